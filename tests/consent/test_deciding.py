from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from minimize.consent import Consents, current_terms
from tests.consent.factory import NOW, VENDOR, act, asked, north
from tests.world import SHARED_FIELDS, SYNC, sync, vendor

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
def test_what_ends_a_consent_ends_it_at_once(state: str) -> None:
    assert north(act("given", -2), act(state)) == state


def test_a_request_leaves_what_stands() -> None:
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


def test_what_is_recorded_after_the_run_is_not_seen() -> None:
    given, withdrawn = act("given", -3), act("withdrawn", -2, recorded=1)
    assert [north(given, withdrawn, run=run) for run in (0, 1)] == [None, "withdrawn"]


def test_a_withdrawal_ends_what_was_given_before_it_for_later() -> None:
    assert north(act("given", 5, recorded=-3), act("withdrawn", -1), run=6) == "withdrawn"


def test_a_withdrawal_for_later_leaves_the_consent_until_then() -> None:
    acts = act("given", -3), act("withdrawn", 2, recorded=-1)
    assert [north(*acts, run=run) for run in (0, 2)] == [None, "withdrawn"]


def test_a_consent_dated_back_does_not_undo_a_withdrawal() -> None:
    assert north(act("withdrawn", -2), act("given", -5, recorded=-1)) == "withdrawn"


def test_a_withdrawal_by_a_clock_that_is_slow_is_one_at_once() -> None:
    assert north(act("given", -1), act("withdrawn", -3)) == "withdrawn"


def test_a_withdrawal_after_an_act_by_a_clock_that_is_fast_is_one_at_once() -> None:
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
        ({"functions": sync(purpose="operations")}, "other_purpose"),
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


def test_times_are_told_apart_to_the_microsecond() -> None:
    seen = Consents((act("given", -1), act("withdrawn", 0)))
    before, then = (seen.effective_at(when).evaluate(VENDOR, "sync", pa.array(["north"])) for when in (NOW - TICK, NOW))
    assert (before.valid.to_pylist(), then.valid.to_pylist()) == ([True], [False])
