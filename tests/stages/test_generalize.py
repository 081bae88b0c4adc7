from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.errors import ConfigurationError
from minimize.plan import Plan
from minimize.records import Batch, FieldCounts
from minimize.stages.generalize import (
    BoundField,
    GeneralizeFields,
    RankNumbers,
    bind_fields,
    ends_in_open_bin,
    field_steps,
    ranking_chain,
)
from minimize.techniques import Context, TechniqueResult
from minimize.techniques.bin import Bin
from minimize.techniques.keep import Keep
from minimize.techniques.mask import Mask
from tests.project import AT
from tests.stages.make import APPS, Beside, Said, Unsettled, before, gated, plan_of, records, with_steps

STRING = {"v": pa.string()}


def bound(do: object, **more: object) -> BoundField:
    plan = plan_of({"v": {"type": "string", "do": do, **more}}, columns=STRING)
    return bind_fields(plan, {}, frozenset())["v"]


def test_a_field_without_companions_reads_no_other_field() -> None:
    found = bound("keep")
    assert (found.reads, found.time, found.replaces) == ((), None, False)


def test_a_field_knows_what_its_steps_read() -> None:
    found = bound({"pseudonymize": {"key": "k", "per": "tenant_id", "rotate": "day"}})
    assert (found.reads, found.time, found.replaces) == (("tenant_id",), "event_time", True)


def test_one_field_treats_one_batch_after_another() -> None:
    plan = plan_of({"v": {"type": "string", "do": {"mask": {"keep_last": 1}}}}, columns=STRING)
    field = bind_fields(plan, {}, frozenset())["v"]
    for word, kept in ("abc", "****c"), ("xyz", "****z"):
        made = field(gated(plan, records(STRING, {"v": word})), AT, None, {})
        assert made.released is not None
        assert made.released.to_pylist() == [kept]
        assert made.counts == FieldCounts(1, changed=1)


@pytest.mark.parametrize("rows", [[None, None], []])
def test_a_column_without_values_reaches_no_technique(rows: list[None]) -> None:
    plan = plan_of({"v": {"type": "string", "do": "keep"}}, columns=STRING)
    field = bind_fields(with_steps(plan, "v", Beside(other="absent")), {}, frozenset())["v"]
    made = field(gated(plan, records(STRING, *({"v": value} for value in rows))), AT, None, {})
    assert made.released == pa.nulls(len(rows), pa.string())
    assert made.counts == FieldCounts()


def test_a_column_that_the_gate_closes_for_all_records_reaches_no_technique() -> None:
    fields = {"v": {"type": "string", "do": "keep", "feature": "location"}}
    plan = plan_of(fields, columns=STRING, features={"location": {"about": "where"}})
    field = bind_fields(with_steps(plan, "v", Beside(other="absent")), {}, frozenset())["v"]
    made = field(gated(plan, records(STRING, {"v": "secret"}, {"v": None})), AT, None, {})
    assert made.released == pa.nulls(2, pa.string())
    assert made.counts == FieldCounts(1, gated=1)


def test_a_field_bound_without_counts_counts_nothing() -> None:
    plan = plan_of({"v": {"type": "string", "do": {"mask": {"keep_last": 1}}}}, columns=STRING)
    field = bind_fields(plan, {}, frozenset(), counts=False)["v"]
    assert field(gated(plan, records(STRING, {"v": "abc"})), AT, None, {}).counts is None


def test_until_its_tally_a_field_counts_nothing_and_takes_the_steps_before_it() -> None:
    plan = plan_of({"v": {"type": "string", "do": "keep"}}, columns=STRING)
    mask = plan_of({"v": {"type": "string", "do": {"mask": {"keep_last": 1}}}}, columns=STRING).fields["v"].steps
    waiting = with_steps(plan, "v", *mask, Unsettled())
    field = BoundField.until_tally(waiting.fields["v"], "event_time")
    made = field(gated(waiting, records(STRING, {"v": "abc"})), AT, None, {})
    assert made.released is not None
    assert made.released.to_pylist() == ["****c"]
    assert made.counts is None


def test_steps_towards_aggregates_are_steps_of_the_field() -> None:
    fields = {"n": {"type": "double", "do": "drop", "in_aggregates": {"clip": {"min": 0, "max": 1}}}}
    plan = plan_of(fields, columns={"n": pa.float64()})
    assert [step.name for step in field_steps(plan.fields["n"])] == ["clip"]


def test_a_kept_value_is_returned_unchanged_and_counted() -> None:
    plan = plan_of({"v": {"type": "string", "do": "keep"}}, columns=STRING)
    field = bind_fields(plan, {}, frozenset())["v"]
    batch = gated(plan, records(STRING, {"v": "a"}, {"v": None}))
    made = field(batch, AT, None, {})
    assert field.stays
    assert made.released is not None
    assert made.released.to_pylist() == ["a", None]
    assert made.counts == FieldCounts(1)


FEATURES = {"usage": {"about": "usage"}}
VERSION = {"type": "string", "do": {"truncate_version": {"parts": 1}}}
COLUMNS = {"v": pa.string()}


def through(plan: Plan, raw: pa.RecordBatch, said: Said | None = None, **more: Any) -> Batch:
    return GeneralizeFields(plan, None, AT, **more)(gated(plan, raw, said))


def versions(*values: str | None, encoded: bool = False) -> pa.RecordBatch:
    raw = records(COLUMNS, *({"v": value} for value in values))
    if not encoded:
        return raw
    index = raw.schema.get_field_index("v")
    return raw.set_column(index, "v", raw.column(index).dictionary_encode())


@pytest.mark.parametrize("encoded", [False, True])
def test_every_value_is_released_through_its_technique_and_counted(encoded: bool) -> None:
    batch = through(plan_of({"v": VERSION}, columns=COLUMNS), versions("1.2", "1", None, "x", encoded=encoded))
    assert batch.released["v"].to_pylist() == ["1", "1", None, None]
    assert batch.counts.fields["v"] == FieldCounts(values=3, changed=1, unparsable=1)


def test_a_dictionary_stays_one_with_equal_results_merged() -> None:
    batch = through(plan_of({"v": VERSION}, columns=COLUMNS), versions("1.2", "1.3", "2.1", encoded=True))
    assert batch.released["v"].dictionary.to_pylist() == ["1", "2"]


@pytest.mark.parametrize("encoded", [False, True])
def test_a_closed_value_is_null_and_counted_as_gated_only(encoded: bool) -> None:
    plan = plan_of({"v": {**VERSION, "feature": "usage"}}, columns=COLUMNS, features=FEATURES)
    batch = through(plan, versions("1.2", "x", None, encoded=encoded))
    assert batch.released["v"].to_pylist() == [None] * 3
    assert batch.counts.fields["v"] == FieldCounts(values=2, gated=2)


def test_a_field_that_the_plan_drops_is_not_there() -> None:
    batch = through(plan_of({"v": {"type": "string", "do": "drop"}}, columns=COLUMNS), versions("1"))
    assert "v" not in batch.released
    assert "v" not in batch.counts.fields


def test_a_kept_value_is_not_changed() -> None:
    batch = through(plan_of({"v": {"type": "string", "do": "keep"}}, columns=COLUMNS), versions("1", None))
    assert batch.counts.fields["v"] == FieldCounts(values=1)


def test_a_kept_column_is_not_copied() -> None:
    raw = versions("1")
    batch = through(plan_of({"v": {"type": "string", "do": "keep"}}, columns=COLUMNS), raw)
    assert batch.released["v"].buffers()[2].address == raw["v"].buffers()[2].address


PHONE = {
    "type": "string",
    "cases": [
        {"if": {"owner": "corporate"}, "do": "keep"},
        {"if": {"owner": "personal"}, "do": {"mask": {"keep_last": 4}}},
    ],
    "otherwise": "drop",
}
OWNED = {"phone": pa.string(), "owner": pa.string()}


def owned(encoded: bool) -> pa.RecordBatch:
    numbers = ["+33612345678", "+33698765432", "+1555", None, "+33612345678"]
    owners = ["corporate", "personal", "shared", "personal", None]
    raw = records(OWNED, *({"phone": n, "owner": o} for n, o in zip(numbers, owners, strict=True)))
    index = raw.schema.get_field_index("phone")
    return raw.set_column(index, "phone", raw["phone"].dictionary_encode()) if encoded else raw


@pytest.mark.parametrize("encoded", [False, True])
def test_each_case_treats_its_own_records(encoded: bool) -> None:
    plan = plan_of({"phone": PHONE, "owner": {"type": "string", "do": "keep"}}, columns=OWNED)
    batch = through(plan, owned(encoded))
    assert batch.released["phone"].to_pylist() == ["+33612345678", "****5432", None, None, None]
    assert batch.counts.fields["phone"] == FieldCounts(values=4, changed=1, dropped=2)


def test_cases_of_an_empty_batch_have_the_type_of_the_field() -> None:
    plan = plan_of({"phone": PHONE, "owner": {"type": "string", "do": "keep"}}, columns=OWNED)
    assert through(plan, owned(False).slice(0, 0)).released["phone"].type == pa.string()


def test_a_chain_applies_its_steps_in_order_and_counts_a_value_once() -> None:
    chain = [{"truncate_version": {"parts": 2}}, {"truncate_version": {"parts": 1}}]
    batch = through(plan_of({"v": {**VERSION, "do": chain}}, columns=COLUMNS), versions("1.2.3", "x"))
    assert batch.released["v"].to_pylist() == ["1", None]
    assert batch.counts.fields["v"] == FieldCounts(values=2, changed=1, unparsable=1)


def beside(**other: Any) -> Plan:
    fields = {"v": {"type": "string", "do": "keep"}, "o": {"type": "string", "do": "drop", **other}}
    plan = plan_of(fields, columns={"v": pa.string(), "o": pa.string()}, features=FEATURES)
    return with_steps(plan, "v", Beside(other="o"))


BOTH = records({"v": pa.string(), "o": pa.string()}, {"v": "a", "o": "x"}, {"v": "b", "o": None})


def test_a_technique_reads_a_field_that_is_dropped_as_it_came_in() -> None:
    batch = through(beside(), BOTH)
    assert batch.released["v"].to_pylist() == ["a/x", None]
    assert batch.counts.fields["v"] == FieldCounts(values=2, changed=1, unparsable=1)


def test_a_field_whose_own_gate_is_closed_is_read_as_null() -> None:
    batch = through(beside(feature="usage"), BOTH)
    assert batch.released["v"].to_pylist() == [None, None]
    assert batch.counts.fields["v"].unparsable == 2


def test_a_companion_value_is_repeated_for_each_element() -> None:
    columns = {"apps": APPS, "o": pa.string()}
    fields = {"/apps/*/name": {"type": "string", "do": "keep"}, "o": {"type": "string", "do": "drop"}}
    plan = with_steps(plan_of(fields, columns=columns), "/apps/*/name", Beside(other="o"))
    raw = records(columns, {"o": "x", "apps": [{"name": "a"}, {"name": "b"}]}, {"o": "y", "apps": [{"name": "c"}]})
    assert through(plan, raw).released["/apps/*/name"].to_pylist() == ["a/x", "b/x", "c/y"]


def test_a_technique_that_asks_for_it_gets_the_event_time() -> None:
    plan = with_steps(plan_of({"v": {"type": "string", "do": "keep"}}, columns=COLUMNS), "v", Beside())
    raw = records(COLUMNS, {"v": "a", "event_time": before(hours=2)})
    assert through(plan, raw).released["v"].to_pylist() == [f"a/{before(hours=2)}"]


def test_a_derived_field_is_made_from_a_struct_of_its_inputs() -> None:
    fields = {
        "a": {"type": "double", "do": "drop"},
        "b": {"type": "double", "do": "drop"},
        "both": {"type": "string", "from": ["b", "a"], "do": "presence"},
    }
    columns = {"a": pa.float64(), "b": pa.float64()}
    plan = with_steps(plan_of(fields, columns=columns), "both", Keep())
    raw = records(columns, {"a": 1.0, "b": 2.0}, {"a": None, "b": 2.0}, {"a": None, "b": None})
    batch = through(plan, raw)
    assert batch.released["both"].to_pylist() == [{"b": 2.0, "a": 1.0}, {"b": 2.0, "a": None}, None]
    assert batch.counts.fields["both"] == FieldCounts(values=2)


def test_aggregates_see_the_gated_value_through_techniques_of_their_own() -> None:
    field = {
        "type": "double",
        "do": {"bin": {"width": 10}},
        "feature": "usage",
        "in_aggregates": {"clip": {"min": 0, "max": 50}},
    }
    columns = {"battery": pa.float64()}
    plan = plan_of({"battery": field}, columns=columns, features=FEATURES)
    raw = records(columns, {"battery": 87.0}, {"battery": 33.0}, {"battery": 33.0, "tenant_id": "u"})
    batch = through(plan, raw, Said({"t": ["usage"]}))
    assert batch.released["battery"].to_pylist() == [80.0, 30.0, None]
    assert batch.measured["battery"].to_pylist() == [50.0, 33.0, None]


def test_a_field_for_aggregates_only_is_measured_and_not_released() -> None:
    field = {"type": "double", "do": "drop", "in_aggregates": {"clip": {"min": 0, "max": 50}}}
    columns = {"battery": pa.float64()}
    batch = through(plan_of({"battery": field}, columns=columns), records(columns, {"battery": 87.0}))
    assert "battery" not in batch.released
    assert batch.measured["battery"].to_pylist() == [50.0]
    assert batch.counts.fields["battery"] == FieldCounts(values=1)


def test_ranks_are_infinite_in_open_bins() -> None:
    columns = {"free": pa.int64()}
    plan = plan_of({"free": {"type": "integer", "do": {"bin": {"edges": [10, 20, 30]}}}}, columns=columns)
    raw = records(columns, *({"free": value} for value in (5, 15, 25, 35, None)))
    batch = through(plan, raw, ranks={"free"})
    assert batch.ranks["free"].to_pylist() == [float("-inf"), 10.0, 20.0, float("inf"), None]
    assert batch.counts.fields["free"] == FieldCounts(values=4, changed=4)


def test_ranks_are_computed_only_for_open_bins_that_request_them() -> None:
    columns = {"free": pa.int64(), "used": pa.int64()}
    fields = {
        "free": {"type": "integer", "do": {"bin": {"width": 10}}},
        "used": {"type": "integer", "do": {"bin": {"edges": [1, 2]}}},
    }
    assert through(plan_of(fields, columns=columns), records(columns, {"free": 1}), ranks={"free"}).ranks == {}


class Unseen(Mask):
    """For tests: what a tally settled into."""

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        return TechniqueResult(pa.array(["other"] * len(values)))


def unsettled() -> Plan:
    plan = plan_of({"v": VERSION, "w": VERSION}, columns={"v": pa.string(), "w": pa.string()})
    return with_steps(plan, "v", *plan.fields["v"].steps, Unsettled(), Mask(keep_last=1))


def test_pass_one_runs_only_the_steps_before_the_tally_and_counts_nothing() -> None:
    raw = records({"v": pa.string(), "w": pa.string()}, {"v": "17.2", "w": "1"})
    batch = through(unsettled(), raw, until_tally=True)
    assert {key: values.to_pylist() for key, values in batch.released.items()} == {"v": ["17"]}
    assert batch.counts.fields == {}


def test_in_pass_two_the_settled_technique_takes_the_place_of_the_tally() -> None:
    raw = records({"v": pa.string(), "w": pa.string()}, {"v": "17.2", "w": "1"})
    batch = through(unsettled(), raw, settled={"v": Unseen(keep_last=1)})
    assert batch.released["v"].to_pylist() == ["****r"]


def test_a_tally_that_has_not_settled_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        GeneralizeFields(unsettled(), None, AT)


@given(st.lists(st.none() | st.sampled_from(["1.2", "1", "x", ""]), max_size=8), st.booleans(), st.integers(0, 8))
def test_batches_do_not_matter(values: list[str | None], encoded: bool, cut: int) -> None:
    plan = plan_of({"v": VERSION}, columns=COLUMNS)
    raw = versions(*values, encoded=encoded)
    parts = [through(plan, raw.slice(0, cut)), through(plan, raw.slice(cut))]
    whole = through(plan, raw)
    assert [value for part in parts for value in part.released["v"].to_pylist()] == whole.released["v"].to_pylist()
    assert parts[0].counts + parts[1].counts == whole.counts


def test_aggregates_do_not_see_what_the_deciding_case_drops() -> None:
    field = {
        "type": "double",
        "cases": [{"if": {"kind": "open"}, "do": {"round": {"to": 1}}}],
        "otherwise": "drop",
        "in_aggregates": {"clip": {"min": 0, "max": 50}},
    }
    columns = {"x": pa.float64(), "kind": pa.string()}
    plan = plan_of({"x": field, "kind": {"type": "string", "do": "drop"}}, columns=columns)
    batch = through(plan, records(columns, {"x": 70.0, "kind": "open"}, {"x": 3.0, "kind": "shut"}))
    assert batch.measured["x"].to_pylist() == [50.0, None]


OPEN, CLOSED = Bin(edges=(10, 20)), Bin(width=10)


def test_a_chain_is_open_where_its_last_bin_is() -> None:
    assert [ends_in_open_bin(chain) for chain in ([Keep(), OPEN], [OPEN, Keep()], [CLOSED], None)] == [
        True,
        False,
        False,
        False,
    ]


def test_a_bin_ranks_in_its_own_way_and_other_numbers_as_they_are() -> None:
    context = Context("f", AT)
    chains = [ranking_chain([OPEN]), ranking_chain([Keep()])]
    found = [chain[-1].apply(pa.array([5, 15, None]), context).values.to_pylist() for chain in chains if chain]
    assert found == [[float("-inf"), 10.0, None], [5.0, 15.0, None]]


def test_a_chain_that_drops_has_no_ranks() -> None:
    assert ranking_chain(None) is None


def test_ranks_are_doubles() -> None:
    assert RankNumbers().output_type(pa.int32()) == pa.float64()
