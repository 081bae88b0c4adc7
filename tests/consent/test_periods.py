"""The periods in which consents hold say of every record what a plain reader of the acts says."""

from __future__ import annotations

import pickle
import random
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from minimize.consent import ConsentPeriods, Consents, current_terms
from minimize.consent.terms import DPV_STATES
from minimize.ledger.kinds import ConsentAct
from tests.consent.factory import TERMS, VENDOR, act, hours
from tests.consent.reference import verdict
from tests.world import sync, vendor

OTHER = current_terms(vendor(functions=sync(text_version=2)), "sync").text
MICROSECONDS = pa.timestamp("us", "UTC")


def periods(*acts: ConsentAct, run: float = 0, **more: Any) -> ConsentPeriods:
    return ConsentPeriods.from_consents(Consents(acts), VENDOR, "sync", hours(run), **more)


def holds(found: ConsentPeriods, tenant: str | None, *times: float) -> list[bool]:
    """Whether the tenant's consent covers events of these hours."""
    when = pa.array([hours(each) for each in times], MICROSECONDS)
    agreed: list[bool] = found.consent_mask(pa.array([tenant] * len(times), pa.string()), when).to_pylist()
    return agreed


def wild(dice: random.Random, tenant: str) -> list[ConsentAct]:
    """A history in which anything may happen at any time."""
    return [
        act(
            dice.choice(sorted(DPV_STATES)),
            dice.randint(0, 6),
            recorded=dice.randint(0, 6),
            until=dice.choice([None, None, dice.randint(0, 6)]),
            terms=TERMS if dice.random() < 0.9 else OTHER,
            tenant_id=tenant,
        )
        for _ in range(dice.randint(0, 6))
    ]


def test_every_event_of_random_histories_is_judged_as_a_plain_reader_does() -> None:
    dice = random.Random(20261128)
    histories = {f"t{number}": wild(dice, f"t{number}") for number in range(2_000)}
    found = periods(*(each for one in histories.values() for each in one), run=5)
    asked = [(tenant, dice.randint(-2, 28) / 4) for tenant in histories for _ in range(4)]
    tenants = pa.array([tenant for tenant, _ in asked])
    agreed = found.consent_mask(tenants, pa.array([hours(when) for _, when in asked], MICROSECONDS)).to_pylist()
    expected = [verdict(histories[tenant], TERMS, [hours(5), hours(when)], hours(5)) is None for tenant, when in asked]
    assert agreed == expected
    assert 100 < sum(expected) < len(expected) - 100


def test_a_consent_covers_events_from_its_first_instant_to_before_its_expiry() -> None:
    found = periods(act("given", -3, until=2))
    assert holds(found, "north", -3.1, -3, 0, 1.9, 2) == [False, True, True, True, False]


def test_events_between_a_withdrawal_and_a_new_consent_are_not_covered() -> None:
    found = periods(act("given", -9), act("withdrawn", -6), act("renewed", -3))
    assert holds(found, "north", -7, -6, -4, -3, -1) == [True, False, False, True, True]


@pytest.mark.parametrize("ending", ["withdrawn", "refused", "expired"])
def test_after_an_end_nothing_is_covered_whenever_it_happened(ending: str) -> None:
    assert holds(periods(act("given", -9), act(ending, -1)), "north", -8, -1) == [False, False]


def test_an_act_that_is_recorded_after_the_run_is_not_known() -> None:
    acts = [act("given", -9), act("withdrawn", -3, recorded=1)]
    assert holds(periods(*acts), "north", -2) == [True]
    assert holds(periods(*acts, run=1), "north", -2) == [False]


def test_a_tenant_without_acts_and_a_record_without_a_tenant_or_a_time_are_not_covered() -> None:
    found = periods(act("given", -9))
    assert holds(found, "south", -1) == holds(found, None, -1) == [False]
    assert found.consent_mask(pa.array(["north"]), pa.nulls(1, MICROSECONDS)).to_pylist() == [False]


def test_without_event_times_the_time_of_the_run_decides() -> None:
    tenants = pa.array(["north", "south", None]).dictionary_encode()
    assert periods(act("given", -9)).consent_mask(tenants, None).to_pylist() == [True, False, False]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_every_unit_are_compared(unit: str) -> None:
    when = pa.array([hours(-2), hours(0)], pa.timestamp(unit, "UTC"))
    found = periods(act("given", -1), run=1).consent_mask(pa.array(["north", "north"]), when)
    assert found.to_pylist() == [False, True]


def test_tenants_are_compared_in_their_canonical_form() -> None:
    found = periods(act("given", -9, tenant_id=" north\u200b"))
    assert holds(found, "north ", -1) == [True]
    assert holds(found, "North", -1) == [False]


def test_with_folding_tenants_that_differ_in_case_are_one() -> None:
    acts = [act("given", -9, tenant_id="North"), act("withdrawn", -3, tenant_id="NORTH")]
    assert holds(periods(*acts, run=-4, fold=True), "north", -5) == [True]
    assert holds(periods(*acts, fold=True), "north", -5) == [False]


def test_integers_name_tenants_too() -> None:
    found = periods(act("given", -9, tenant_id="17"))
    assert found.consent_mask(pa.array([17, 18]), None).to_pylist() == [True, False]


def test_other_terms_are_not_covered() -> None:
    other = ConsentPeriods.from_consents(
        Consents((act("given", -9),)), vendor(functions=sync(text_version=2)), "sync", hours(0)
    )
    assert holds(other, "north", -1) == [False]


def test_a_function_that_the_file_does_not_have_is_covered_by_nothing() -> None:
    found = ConsentPeriods.from_consents(Consents((act("given", -9),)), vendor(functions={}), "sync", hours(0))
    assert holds(found, "north", -1) == [False]


def test_an_interval_is_covered_if_the_consent_holds_throughout() -> None:
    found = periods(act("given", -9), act("withdrawn", -6), act("renewed", -3))
    first, last = [_ticks(hours(each)) for each in (-8, -8, -2)], [_ticks(hours(each)) for each in (-7, -2, -1)]
    tenants = pa.array(["north"] * 3)
    assert found.agreed_throughout(tenants, _numbers(first), _numbers(last)).tolist() == [True, False, True]


def test_a_renewal_without_a_gap_makes_no_gap() -> None:
    found = periods(act("given", -9, until=-2), act("renewed", -5))
    first, last = _numbers([_ticks(hours(-8))]), _numbers([_ticks(hours(-1))])
    assert found.agreed_throughout(pa.array(["north"]), first, last).tolist() == [True]


def test_the_digest_changes_with_the_acts_that_are_known_and_with_the_terms() -> None:
    acts = [act("given", -9), act("withdrawn", -3, recorded=1)]
    same = {
        periods(acts[0]).digest,
        periods(*acts).digest,
        periods(act("given", -9), act("given", 0, recorded=2)).digest,
    }
    other = ConsentPeriods.from_consents(
        Consents((acts[0],)), vendor(functions=sync(text_version=2)), "sync", hours(0)
    ).digest
    assert len(same) == 1
    assert len({*same, periods(*acts, run=1).digest, other}) == 3


def test_another_process_gets_the_same_answers() -> None:
    found = periods(act("given", -9))
    holds(found, "north", -1)
    assert holds(pickle.loads(pickle.dumps(found)), "north", -1, -10) == [True, False]


def _ticks(time: datetime) -> int:
    return round(time.timestamp() * 1_000_000)


def _numbers(values: list[int]) -> Any:
    return pa.array(values, pa.int64()).to_numpy()
