"""100,000 random histories of consent, whole columns at once beside a reader who goes through each act by act."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.consent import ConsentAnswer, Consents, current_terms
from minimize.consent.evaluation import ConsentHistory, consent_end
from minimize.consent.terms import DPV_STATES
from minimize.ledger.kinds import ConsentAct
from tests.consent.factory import NOW, TERMS, VENDOR, act, asked, hours, north
from tests.consent.reference import verdict
from tests.world import SHARED_FIELDS, SYNC, sync, vendor

NORTH, SOUTH = act("given", -1), act("given", -1, tenant_id="south")
ACTS = (NORTH, SOUTH, act("withdrawn", -1, tenant_id="east"), act("given", -1, tenant_id="west"))


def answered(*tenants: str | None) -> ConsentAnswer:
    return Consents(ACTS).effective_at(NOW).evaluate(VENDOR, "sync", pa.array(tenants, pa.string()))


def test_the_consents_are_those_of_tenants_that_are_among_the_rows() -> None:
    assert answered("north", "north", "east", None).consents == (NORTH.id,)
    assert answered("south", "north").consents == tuple(sorted([NORTH.id, SOUTH.id]))


def test_tenants_are_counted_and_not_rows() -> None:
    assert answered("north", "north", "south", "east", "east").tenants == {None: 2, "withdrawn": 1}


def test_every_row_has_the_answer_of_its_tenant() -> None:
    found = answered("east", "north", "nobody", "north")
    assert found.valid.to_pylist() == [False, True, False, True]
    assert found.ids.to_pylist() == [None, NORTH.id, None, NORTH.id]
    assert found.reasons.to_pylist() == ["withdrawn", None, "none", None]


TICK = timedelta(microseconds=1)


def test_without_any_act_there_is_no_consent() -> None:
    answer = asked()
    assert answer.valid.to_pylist() == [False, False, False]
    assert answer.reasons.to_pylist() == ["none"] * 3


def test_a_consent_is_its_tenants_alone() -> None:
    given = act("given", -1)
    answer = asked(given)
    assert answer.valid.to_pylist() == [True, False, False]
    assert answer.ids.to_pylist() == [given.id, None, None]
    assert answer.reasons.to_pylist() == [None, "none", "none"]


@pytest.mark.parametrize("state", ["given", "renewed"])
def test_given_and_renewed_are_consents(state: str) -> None:
    assert north(act(state, -1)) is None


@pytest.mark.parametrize("state", ["requested", "refused", "withdrawn", "expired"])
def test_nothing_else_is_one(state: str) -> None:
    assert north(act(state, -1)) == state


@pytest.mark.parametrize("state", ["refused", "withdrawn", "expired"])
def test_an_act_that_ends_a_consent_is_effective_immediately(state: str) -> None:
    assert north(act("given", -2), act(state)) == state


def test_a_request_leaves_the_current_consent_unchanged() -> None:
    assert north(act("given", -2), act("requested", -1)) is None
    assert north(act("withdrawn", -2), act("requested", -1)) == "withdrawn"


def test_a_consent_can_be_given_again() -> None:
    assert north(act("given", -3), act("withdrawn", -2), act("renewed", -1)) is None


def test_a_consent_expires_at_its_time() -> None:
    given = act("given", -2, until=0)
    assert [north(given, run=run) for run in (-1, 0)] == [None, "expired"]


def test_a_consent_that_ran_out_does_not_bring_an_older_one_back() -> None:
    assert north(act("given", -3), act("renewed", -2, until=-1)) == "expired"


def test_a_consent_for_later_is_not_yet_one() -> None:
    given = act("given", 2, recorded=-1)
    assert [north(given, run=run) for run in (0, 2)] == ["not_yet", None]


def test_an_act_recorded_after_the_run_is_not_seen() -> None:
    given, withdrawn = act("given", -3), act("withdrawn", -2, recorded=1)
    assert [north(given, withdrawn, run=run) for run in (0, 1)] == [None, "withdrawn"]


def test_a_withdrawal_ends_what_was_given_before_it_for_later() -> None:
    assert north(act("given", 5, recorded=-3), act("withdrawn", -1), run=6) == "withdrawn"


def test_a_withdrawal_for_later_leaves_the_consent_until_then() -> None:
    acts = act("given", -3), act("withdrawn", 2, recorded=-1)
    assert [north(*acts, run=run) for run in (0, 2)] == [None, "withdrawn"]


def test_a_consent_dated_back_does_not_undo_a_withdrawal() -> None:
    assert north(act("withdrawn", -2), act("given", -5, recorded=-1)) == "withdrawn"


def test_a_withdrawal_by_a_slow_clock_is_effective_immediately() -> None:
    assert north(act("given", -1), act("withdrawn", -3)) == "withdrawn"


def test_a_withdrawal_after_an_act_by_a_fast_clock_is_effective_immediately() -> None:
    acts = act("given", -3), act("requested", 5), act("withdrawn", -1)
    assert [north(*acts, run=run) for run in (0, 6)] == ["withdrawn", "withdrawn"]
    assert north(act("given", 5), act("withdrawn", -1), run=6) == "withdrawn"


def test_among_equals_the_latest_recorded_counts() -> None:
    assert north(act("withdrawn", -2), act("given", -2)) is None
    assert north(act("given", -2), act("withdrawn", -2)) == "withdrawn"


def test_with_an_events_time_a_consent_holds_at_both() -> None:
    given, withdrawn = act("given", -3), act("withdrawn", -1)
    assert north(given, run=0, event=-2) is None
    assert north(given, run=0, event=-4) == "not_yet"
    assert north(given, withdrawn, run=0, event=-2) == "withdrawn"
    again = act("renewed", -0.5)
    assert [north(given, withdrawn, again, event=event) for event in (-2, -0.75, -0.25)] == [None, "withdrawn", None]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"functions": sync(text_version=2)}, "other_text"),
        ({"functions": sync(purpose="customer_support")}, "other_purpose"),
        ({"functions": sync(direction="inbound")}, "other_purpose"),
        ({"standing": "agent", "subprocessor": "Desk"}, "other_standing"),
        ({"functions": sync(fields={**SHARED_FIELDS, "name": "keep"})}, "other_fields"),
        ({"functions": sync(fields={**SHARED_FIELDS, "owner": {"role": "identifier", "do": "keep"}})}, "other_fields"),
        (
            {"functions": sync(fields={**SHARED_FIELDS, "device_id": {"role": "identifier", "do": "keep"}})},
            "other_fields",
        ),
    ],
)
def test_an_old_consent_does_not_cover(changes: dict[str, Any], reason: str) -> None:
    assert north(act("given", -1), recipient=vendor(**changes)) == reason


def test_an_old_consent_covers_fewer_fields() -> None:
    fewer = {key: field for key, field in SHARED_FIELDS.items() if key != "device_id"}
    assert north(act("given", -1), recipient=vendor(functions=sync(fields=fewer))) is None


def test_an_old_consent_covers_the_old_fields_where_only_they_leave() -> None:
    more = vendor(functions=sync(fields={**SHARED_FIELDS, "name": "keep"}))
    assert north(act("given", -1), recipient=more, fields=["app_id", "device_id"]) is None
    assert north(act("given", -1), recipient=more, fields=["app_id", "name"]) == "other_fields"


def test_a_field_that_the_function_does_not_share_is_not_covered() -> None:
    assert north(act("given", -1), fields=["owner"]) == "other_fields"
    assert north(act("given", -1), fields=["nobody"]) == "other_fields"


def test_another_function_is_not_covered() -> None:
    two = vendor(functions={"sync": SYNC, "push": SYNC})
    seen = Consents((act("given", -1),)).effective_at(NOW)
    assert seen.evaluate(two, "push", pa.array(["north"])).reasons.to_pylist() == ["none"]


def test_another_recipient_is_not_covered() -> None:
    assert north(act("given", -1), recipient=vendor(recipient="other")) == "none"


def test_a_function_that_is_not_there_is_no_consent() -> None:
    seen = Consents((act("given", -1),)).effective_at(NOW)
    assert seen.evaluate(VENDOR, "nothing", pa.array(["north"])).reasons.to_pylist() == ["no_function"]


def test_the_latest_consent_decides_and_no_older_one_steps_in() -> None:
    other = current_terms(vendor(functions=sync(text_version=2)), "sync").text
    assert north(act("given", -2), act("renewed", -1, terms=other)) == "other_text"


@pytest.mark.parametrize(
    "tenants",
    [
        pa.chunked_array([["south"], [], ["north", None]], pa.string()),
        pa.array(["south", "north", None]).dictionary_encode(),
        pa.chunked_array([pa.array(["south", "north", None]).dictionary_encode()]),
        pa.array(["south", "north", None], pa.large_string()),
        pa.array(["south", "north", None], pa.string_view()),
        pa.array(["x", "south", "north", None]).slice(1),
        pa.DictionaryArray.from_arrays(pa.array([1, 0, 2]), pa.array(["north", "south", None])),
    ],
)
def test_any_column_of_tenants_is_answered(tenants: pa.Array) -> None:
    answer = Consents((act("given", -1),)).effective_at(NOW).evaluate(VENDOR, "sync", tenants)
    assert answer.valid.to_pylist() == [False, True, False]
    assert answer.valid.null_count == 0


def test_no_rows_are_answered_by_none() -> None:
    answer = Consents(()).effective_at(NOW).evaluate(VENDOR, "sync", pa.array([], pa.string()))
    assert (len(answer.valid), answer.consents, answer.tenants) == (0, (), {})


def test_consent_times_are_compared_to_the_microsecond() -> None:
    seen = Consents((act("given", -1), act("withdrawn", 0)))
    before, then = (seen.effective_at(when).evaluate(VENDOR, "sync", pa.array(["north"])) for when in (NOW - TICK, NOW))
    assert (before.valid.to_pylist(), then.valid.to_pylist()) == ([True], [False])


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
    assert ConsentHistory.from_acts(empty, NOW).deciding(hours(0), hours(0)).dtype == np.int64
    assert len(ConsentHistory.from_acts(empty, NOW).deciding(hours(0), hours(0))) == 0


GIVEN = act("given", -3)


@pytest.mark.parametrize(
    ("acts", "end"),
    [
        ([GIVEN], None),
        ([GIVEN, act("withdrawn", -2)], "withdrawn"),
        ([GIVEN, act("withdrawn", 2, recorded=-2)], None),
        ([GIVEN, act("requested", -2)], None),
        ([GIVEN, act("withdrawn", -2), act("renewed", -1)], "withdrawn"),
        ([GIVEN, act("refused", -2), act("withdrawn", -1)], "withdrawn"),
        ([act("withdrawn", -4), GIVEN], None),
        ([act("withdrawn", -1, recorded=-4), GIVEN], "withdrawn"),
        ([GIVEN, act("withdrawn", -4, recorded=-2)], "withdrawn"),
        ([GIVEN, act("withdrawn", -5, recorded=-5)], "withdrawn"),
    ],
)
def test_a_consent_ends_with_an_act_that_was_recorded_after_it_or_is_valid_from_a_later_time(
    acts: list[ConsentAct], end: str | None
) -> None:
    assert consent_end(acts, GIVEN.id, NOW) == end


def test_a_consent_whose_time_is_over_has_ended_unless_another_one_holds() -> None:
    over = act("given", -3, until=-1)
    assert consent_end([over], over.id, NOW) == "expired"
    assert consent_end([over, act("renewed", -2)], over.id, NOW) is None
    assert consent_end([over, act("renewed", -2, until=-1)], over.id, NOW) == "expired"


def test_every_end_counts_for_a_consent_that_the_ledger_does_not_contain() -> None:
    assert consent_end([act("withdrawn", -4), GIVEN], "unknown", NOW) == "withdrawn"
    assert consent_end([GIVEN], "unknown", NOW) is None
