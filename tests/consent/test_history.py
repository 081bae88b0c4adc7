"""100,000 random histories of consent, whole columns at once beside a reader who goes through each act by act."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from minimize.consent import Consents, current_terms
from minimize.consent.evaluation import ConsentHistory
from minimize.consent.terms import DPV_STATES
from minimize.ledger.consents import ConsentAct
from tests.consent.factory import TERMS, VENDOR, act, hours
from tests.consent.reference import verdict
from tests.world import sync, vendor

HISTORIES = 20_000
OTHER = current_terms(vendor(functions=sync(text_version=2)), "sync").text
SPAN = 6
"""Few hours, so that times often are equal."""

acts = st.builds(
    lambda state, at, recorded, until, terms: act(state, at, recorded=recorded, until=until, terms=terms),
    st.sampled_from(sorted(DPV_STATES)),
    st.integers(0, SPAN),
    st.integers(0, SPAN),
    st.none() | st.integers(0, SPAN),
    st.sampled_from([TERMS, TERMS, TERMS, OTHER]),
)


def wild(dice: random.Random, tenant: str) -> list[ConsentAct]:
    """A history in which anything may happen at any time."""
    states = sorted(DPV_STATES)
    return [
        act(
            dice.choice(states),
            dice.randint(0, SPAN),
            recorded=dice.randint(0, SPAN),
            until=dice.choice([None, None, dice.randint(0, SPAN)]),
            terms=OTHER if dice.random() < 0.15 else TERMS,
            tenant_id=tenant,
        )
        for _ in range(dice.randint(0, 5))
    ]


def test_20_000_random_histories_are_answered_as_a_plain_reader_does() -> None:
    dice = random.Random(20261125)
    histories = {f"t{number}": wild(dice, f"t{number}") for number in range(HISTORIES)}
    consents = Consents(tuple(each for one in histories.values() for each in one))
    tenants = pa.array(histories, pa.string())
    for run, event in ((3, None), (5, 2)):
        seen = consents.effective_at(hours(run), None if event is None else hours(event))
        found = seen.evaluate(VENDOR, "sync", tenants).reasons.to_pylist()
        times = [hours(run)] if event is None else [hours(run), hours(event)]
        expected = [verdict(one, TERMS, times, hours(run)) for one in histories.values()]
        assert found == expected
        assert 1_000 < found.count(None) < HISTORIES - 1_000


@given(st.lists(acts, max_size=8), st.integers(0, SPAN), st.none() | st.integers(0, SPAN))
def test_any_history_is_answered_as_a_plain_reader_does(history: list[ConsentAct], run: int, event: int | None) -> None:
    seen = Consents(tuple(history)).effective_at(hours(run), None if event is None else hours(event))
    times = [hours(run)] if event is None else [hours(run), hours(event)]
    found = seen.evaluate(VENDOR, "sync", pa.array(["north"])).reasons[0].as_py()
    assert found == verdict(history, TERMS, times, hours(run))


@given(st.lists(st.tuples(st.sampled_from(["north", "south", "east"]), acts), max_size=12))
def test_acts_of_other_tenants_between_them_change_nothing(history: list[tuple[str, ConsentAct]]) -> None:
    mixed = [replace(each, tenant_id=tenant) for tenant, each in history]
    seen, tenants = Consents(tuple(mixed)).effective_at(hours(SPAN)), ["north", "south", "east"]
    own = [[each for each in mixed if each.tenant_id == tenant] for tenant in tenants]
    found = seen.evaluate(VENDOR, "sync", pa.array(tenants)).reasons.to_pylist()
    assert found == [verdict(each, TERMS, [hours(SPAN)], hours(SPAN)) for each in own]


@given(st.lists(acts, max_size=6), st.integers(0, SPAN))
def test_after_a_withdrawal_there_is_no_consent_until_another_is_given(history: list[ConsentAct], run: int) -> None:
    withdrawn = act("withdrawn", run, recorded=SPAN)
    seen = Consents((*history, withdrawn)).effective_at(hours(SPAN + 1), hours(run))
    assert not seen.evaluate(VENDOR, "sync", pa.array(["north"])).valid[0].as_py()


def test_nothing_decides_where_nothing_was_recorded() -> None:
    empty: Sequence[ConsentAct] = ()
    assert ConsentHistory.from_acts(empty).deciding(hours(0), hours(0)).dtype == np.int64
    assert len(ConsentHistory.from_acts(empty).deciding(hours(0), hours(0))) == 0
