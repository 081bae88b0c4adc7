from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.policy.condition import AllOf, AnyOf, Condition, FeatureOn, FieldEquals, TimeWithin, possibly, surely
from minimize.stages.conditions import BatchFacts, is_younger, match_values
from minimize.stages.raw_values import RECORD_PLACE
from tests.project import AT, TIME
from tests.stages.make import APPS, Said, plan_of, records

COLUMNS = {"owner": pa.string(), "apps": APPS}
FIELDS = {
    "owner": {"type": "string", "do": "keep"},
    "/apps/*/name": {"type": "string", "do": "keep"},
    "/apps/*/managed": {"type": "boolean", "do": "keep"},
}
RAW = records(
    COLUMNS,
    {"owner": "corporate", "apps": [{"name": "a", "managed": True}, {"name": "b", "managed": False}]},
    {"owner": None, "apps": [{"name": "c", "managed": None}, {"name": "d", "managed": True}]},
    {"owner": "personal", "apps": []},
)
NAMES = Pointer.parse("/apps/*/name")
LISTS = Pointer.parse("/apps")
CORPORATE = FieldEquals("owner", ("corporate",))
MANAGED = FieldEquals("/apps/*/managed", (True,))


def facts(raw: pa.RecordBatch = RAW, said: Said | None = None, fields: dict[str, Any] | None = None) -> BatchFacts:
    plan = plan_of({**FIELDS, **(fields or {})}, columns=COLUMNS, features={"inventory": {"about": "apps"}})
    return BatchFacts(raw, plan.policy, said, AT)


@pytest.mark.parametrize(
    ("array", "wanted", "found"),
    [
        (pa.array(["a", "b", None]), ("a",), [True, False, False]),
        (pa.array(["a", "b", None, "a"]).dictionary_encode(), ("a", "c"), [True, False, False, True]),
        (pa.array([True, False, None]), (False,), [False, True, False]),
        (pa.array([1, 2, None], pa.int8()), (1.0, 300), [True, False, False]),
        (pa.array([0.5, float("nan"), 2.0]), (2, 0.5), [True, False, True]),
        (pa.array([Decimal("1.50")], pa.decimal128(5, 2)), (1.5,), [True]),
        (pa.array([date(2026, 1, 2)]), ("2026-01-02",), [True]),
        (
            pa.array([datetime(2026, 1, 2, tzinfo=UTC)], pa.timestamp("ns", "UTC")),
            ("2026-01-02T01:00:00+01:00",),
            [True],
        ),
        (pa.array(["a", None], pa.string_view()), ("a",), [True, False]),
        (pa.array([1767312000], pa.timestamp("s")), ("2026-01-02",), [True]),
    ],
)
def test_values_compare_by_the_type_of_the_field(array: pa.Array, wanted: tuple[Any, ...], found: list[bool]) -> None:
    assert match_values(array, wanted).to_pylist() == found


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        (pa.array(["True", "1"]), (True, 1)),
        (pa.array([True]), (1, "true")),
        (pa.array([1]), (True, "1", 1.5)),
        (pa.array([float("nan")]), (float("nan"),)),
        (pa.array([datetime(2026, 1, 2, tzinfo=UTC)], pa.timestamp("s", "UTC")), ("soon", "2026-01-02T00:00:00.5Z")),
        (pa.array([b"a"]), ("a",)),
        (pa.array([date(2026, 1, 2)]), (20260102, "today")),
        (pa.array([1767312000], pa.timestamp("s")), (1767312000,)),
    ],
)
def test_values_of_another_type_never_match(array: pa.Array, wanted: tuple[Any, ...]) -> None:
    assert not any(match_values(array, wanted).to_pylist())


def test_a_null_among_the_entries_of_a_dictionary_never_matches() -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), pa.array(["a", None]))
    assert match_values(array, ("a",)).to_pylist() == [True, False]


def test_a_condition_on_the_record_is_spread_to_its_elements() -> None:
    assert facts().holds(CORPORATE, NAMES).to_pylist() == [True, True, False, False]


def test_a_condition_on_the_element_decides_element_by_element() -> None:
    assert facts().holds(MANAGED, NAMES).to_pylist() == [True, False, False, True]


def test_all_requires_every_part_and_any_requires_one() -> None:
    assert facts().holds(AllOf((CORPORATE, MANAGED)), NAMES).to_pylist() == [True, False, False, False]
    assert facts().holds(AnyOf((CORPORATE, MANAGED)), NAMES).to_pylist() == [True, True, False, True]


def test_all_of_nothing_holds_and_any_of_nothing_does_not() -> None:
    assert facts().holds(AllOf(()), RECORD_PLACE).to_pylist() == [True] * 3
    assert facts().holds(AnyOf(()), RECORD_PLACE).to_pylist() == [False] * 3


def test_a_feature_holds_where_it_is_on() -> None:
    raw = records(COLUMNS, {"tenant_id": "t"}, {"tenant_id": "u"})
    said = Said({"t": ["inventory"]})
    assert facts(raw, said).holds(FeatureOn("inventory"), RECORD_PLACE).to_pylist() == [True, False]


def test_a_field_whose_gate_is_closed_reads_as_null() -> None:
    gated = facts(said=Said(), fields={"owner": {"type": "string", "do": "keep", "feature": "inventory"}})
    assert gated.holds(CORPORATE, RECORD_PLACE).to_pylist() == [False] * 3


def test_a_value_that_an_element_may_have_is_assumed_possible() -> None:
    assert possibly(facts().truth(AllOf((CORPORATE, MANAGED)), LISTS)).to_pylist() == [True, False, False]
    assert possibly(facts().truth(AnyOf((CORPORATE, MANAGED)), LISTS)).to_pylist() == [True, True, True]


def test_an_element_closed_by_its_own_gate_cannot_match() -> None:
    managed = {"type": "boolean", "do": "keep", "collect_if": {"owner": "corporate"}}
    assert possibly(facts(fields={"/apps/*/managed": managed}).truth(MANAGED, LISTS)).to_pylist() == [
        True,
        False,
        False,
    ]


def test_a_value_that_an_element_may_have_is_not_certain() -> None:
    assert surely(facts().truth(AnyOf((CORPORATE, MANAGED)), LISTS)).to_pylist() == [True, False, False]


conditions = st.recursive(
    st.sampled_from([CORPORATE, MANAGED, FieldEquals("/apps/*/name", ("a", "d"))]),
    lambda inner: (
        st.builds(AllOf, st.lists(inner, max_size=3).map(tuple))
        | st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=6,
)


@given(conditions)
def test_the_bounds_of_a_condition_enclose_its_value_for_each_element(condition: Condition) -> None:
    known = facts()
    could, must = (rounded(known.truth(condition, LISTS)).to_pylist() for rounded in (possibly, surely))
    for row, held in zip([0, 0, 1, 1], known.holds(condition, NAMES).to_pylist(), strict=True):
        assert must[row] <= held <= could[row]


TIMES = {"seen": TIME, "apps": pa.list_(pa.struct([("used", TIME), ("name", pa.string())]))}
TIMED: dict[str, Any] = {
    "seen": {"type": "timestamp", "do": "drop"},
    "/apps/*/used": {"type": "timestamp", "do": "drop"},
    "/apps/*/name": {"type": "string", "do": "keep"},
}
WEEK = timedelta(days=7)
RECENT = TimeWithin("seen", WEEK, "event_time")


def timed(*rows: dict[str, Any], **more: Any) -> BatchFacts:
    """The facts of records that were seen so long before they happened."""
    plan = plan_of({**TIMED, **more}, columns=TIMES, features={"inventory": {"about": "apps"}})
    return BatchFacts(records(TIMES, *rows), plan.policy, None, AT)


def test_a_time_is_within_an_age_before_another_and_after_it() -> None:
    ago = [timedelta(0), WEEK - timedelta(microseconds=1), WEEK, -timedelta(days=1)]
    rows = [{"event_time": AT, "seen": AT - each} for each in ago]
    assert timed(*rows).holds(RECENT, RECORD_PLACE).to_pylist() == [True, True, False, True]


def test_a_null_is_within_nothing() -> None:
    rows = [{"event_time": AT, "seen": None}, {"event_time": None, "seen": AT}]
    assert timed(*rows).holds(RECENT, RECORD_PLACE).to_pylist() == [False, False]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_different_units_and_dates_are_compared(unit: str) -> None:
    type_ = pa.timestamp(unit, "UTC")
    seen = pa.array([AT - WEEK, AT - timedelta(days=6), None], type_)
    assert is_younger(seen, pa.array([AT] * 3, TIME), WEEK).to_pylist() == [False, True, False]
    dates = pa.array([(AT - WEEK).date(), AT.date()])
    assert is_younger(dates, pa.array([AT] * 2, type_), WEEK).to_pylist() == [False, True]
    assert is_younger(pa.array([AT] * 2, type_).dictionary_encode().dictionary_decode(), dates, WEEK).to_pylist() == [
        True,
        True,
    ]


def test_times_that_lie_furthest_apart_are_not_near() -> None:
    first, last = pa.array([-(2**62)], pa.timestamp("us")), pa.array([2**62], pa.timestamp("us"))
    assert is_younger(first, last, WEEK).to_pylist() == [False]
    assert is_younger(last, first, WEEK).to_pylist() == [True]


def test_a_value_that_is_no_time_is_never_recent() -> None:
    assert is_younger(pa.array(["2026-11-25"]), pa.array([AT], TIME), WEEK).to_pylist() == [False]


def test_elements_are_compared_one_by_one_with_the_records_time() -> None:
    apps = [{"used": AT - timedelta(days=1), "name": "a"}, {"used": AT - timedelta(days=9), "name": "b"}]
    found = timed({"event_time": AT, "apps": apps}, {"event_time": AT, "apps": []})
    used = TimeWithin("/apps/*/used", WEEK, "event_time")
    assert found.holds(used, NAMES).to_pylist() == [True, False]
    assert possibly(found.truth(used, LISTS)).to_pylist() == [True, True]
    assert surely(found.truth(used, LISTS)).to_pylist() == [False, False]


def test_a_time_behind_a_closed_gate_is_within_nothing() -> None:
    gated = {"seen": {"type": "timestamp", "do": "drop", "feature": "inventory"}}
    assert timed({"event_time": AT, "seen": AT}, **gated).holds(RECENT, RECORD_PLACE).to_pylist() == [False]
