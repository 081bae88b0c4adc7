"""The stages with the techniques that need more than the value: keys, companions, tallies, several inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.records import FieldCounts
from minimize.spill import SpillSpace
from minimize.stages.generalize import GeneralizeFields
from minimize.techniques.top import SubjectValues, Top, TopTally
from tests.project import AT
from tests.stages.make import before, gated, plan_of, records


class Keys:
    def bytes_of(self, name: str, version: int | None = None) -> bytes:
        return name.encode().ljust(32, b"k")

    def version_of(self, name: str) -> int:
        return 1


def generalized(
    fields: Mapping[str, Any], columns: Mapping[str, pa.DataType], *rows: Mapping[str, Any], **policy: Any
) -> Any:
    plan = plan_of(fields, columns=columns, **policy)
    return GeneralizeFields(plan, Keys(), AT)(gated(plan, records(columns, *rows)))


def pseudonyms(do: Mapping[str, Any], *rows: Mapping[str, Any]) -> list[str | None]:
    fields = {"user": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user", **do}}}}
    found: list[str | None] = generalized(fields, {"user": pa.string()}, *rows).released["user"].to_pylist()
    return found


def test_a_pseudonym_is_one_per_value_and_tenant() -> None:
    rows = [{"user": user, "tenant_id": tenant} for user, tenant in (("a", "t"), ("a", "t"), ("a", "u"), ("b", "t"))]
    one, same, other, second = pseudonyms({"per": "tenant_id"}, *rows)
    assert one == same
    assert len({one, other, second}) == 3


def test_without_a_tenant_there_is_no_pseudonym() -> None:
    assert pseudonyms({"per": "tenant_id"}, {"user": "a", "tenant_id": None}) == [None]


def test_a_pseudonym_rotates_with_the_time_of_the_event() -> None:
    first, same, other = pseudonyms(
        {"per": "tenant_id", "rotate": "day"},
        *({"user": "a", "event_time": before(hours=hours)} for hours in (1, 2, 25)),
    )
    assert first == same != other


def test_the_age_is_counted_to_another_field_that_is_dropped() -> None:
    columns = {"born": pa.timestamp("us", "UTC"), "seen": pa.timestamp("us", "UTC")}
    fields = {
        "born": {"type": "timestamp", "do": {"age": {"unit": "days", "at": "seen"}}},
        "seen": {"type": "timestamp", "do": "drop"},
    }
    batch = generalized(fields, columns, {"born": before(days=9), "seen": before(days=2)}, {"born": AT, "seen": None})
    assert batch.released["born"].to_pylist() == [7, None]
    assert batch.counts.fields["born"] == FieldCounts(values=2, changed=1, unparsable=1)


def test_the_most_frequent_values_are_found_in_pass_one_and_released_in_pass_two() -> None:
    do = [{"truncate_version": {"parts": 1}}, {"top": {"keep": 1, "other": "other", "at_least": 1}}]
    plan = plan_of({"v": {"type": "string", "do": do}}, columns={"v": pa.string()})
    rows = [{"v": version, "device_id": device} for version, device in (("1.1", "a"), ("1.2", "b"), ("2.0", "c"))]
    batch = gated(plan, records({"v": pa.string()}, *rows))
    top = next(step for step in plan.fields["v"].steps if isinstance(step, Top))
    tally = TopTally("v", Pointer.parse("v"), Pointer.parse("device_id"), top, SubjectValues(SpillSpace()))
    tally.observe(GeneralizeFields(plan, None, AT, until_tally=True)(batch))
    released = GeneralizeFields(plan, None, AT, settled={"v": tally.settle()})(batch)
    assert released.released["v"].to_pylist() == ["1", "1", "other"]
    assert released.counts.fields["v"] == FieldCounts(values=3, changed=3)
