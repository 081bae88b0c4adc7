from __future__ import annotations

import pyarrow as pa

from minimize.stages.generalize import BoundField, bind_fields, field_steps
from tests.project import AT
from tests.stages.make import Unsettled, gated, plan_of, records, with_steps

STRING = {"v": pa.string()}


def bound(do: object, **more: object) -> BoundField:
    plan = plan_of({"v": {"type": "string", "do": do, **more}}, columns=STRING)
    return bind_fields(plan, {}, frozenset())["v"]


def test_a_field_that_reads_nothing_beside_itself_asks_for_nothing() -> None:
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
        assert (made.counts.values, made.counts.changed) == (1, 1)


def test_until_its_tally_a_field_counts_nothing_and_takes_the_steps_before_it() -> None:
    plan = plan_of({"v": {"type": "string", "do": "keep"}}, columns=STRING)
    mask = plan_of({"v": {"type": "string", "do": {"mask": {"keep_last": 1}}}}, columns=STRING).fields["v"].steps
    waiting = with_steps(plan, "v", *mask, Unsettled())
    field = BoundField.until_tally(waiting.fields["v"], "event_time")
    made = field(gated(waiting, records(STRING, {"v": "abc"})), AT, None, {})
    assert made.released is not None
    assert made.released.to_pylist() == ["****c"]
    assert made.counts.values == 0


def test_steps_towards_aggregates_are_steps_of_the_field() -> None:
    fields = {"n": {"type": "double", "do": "drop", "in_aggregates": {"clip": {"min": 0, "max": 1}}}}
    plan = plan_of(fields, columns={"n": pa.float64()})
    assert [step.name for step in field_steps(plan.fields["n"])] == ["clip"]


def test_what_only_stays_is_given_as_it_came_in_and_counted() -> None:
    plan = plan_of({"v": {"type": "string", "do": "keep"}}, columns=STRING)
    field = bind_fields(plan, {}, frozenset())["v"]
    batch = gated(plan, records(STRING, {"v": "a"}, {"v": None}))
    made = field(batch, AT, None, {})
    assert field.stays
    assert made.released is not None
    assert made.released.to_pylist() == ["a", None]
    assert (made.counts.values, made.counts.changed) == (1, 0)
