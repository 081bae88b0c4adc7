from __future__ import annotations

import pyarrow as pa
import pytest

from minimize.aggregates import measure_from
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure, GroupKey, definition_faults
from minimize.arrow.pointers import Pointer


def measured(word: str, of: str | None = None) -> BoundMeasure:
    return BoundMeasure(measure_from(word, of) if of else measure_from(word), pa.int64() if of else None)


@pytest.mark.parametrize(
    ("measure", "list_"),
    [
        (measured("count"), None),
        (measured("sum", "size"), None),
        (measured("sum", "/apps/*/size"), "/apps/*"),
        (measured("sum", "/apps/*/parts/*/size"), "/apps/*/parts/*"),
    ],
)
def test_a_measure_belongs_to_the_innermost_list_of_its_field(measure: BoundMeasure, list_: str | None) -> None:
    assert measure.star == (None if list_ is None else Pointer.parse(list_))


def test_a_measure_over_another_list_than_the_groups_is_a_fault_unless_it_counts_the_subject() -> None:
    measures = {
        "rows": measured("count"),
        "same": measured("sum", "/apps/*/size"),
        "record": measured("sum", "weight"),
        "other": measured("sum", "/disks/*/size"),
        "devices": measured("count_distinct", "device"),
    }
    what = AggregateDefinition(
        "apps", {"name": GroupKey("/apps/*/name", pa.string())}, measures, 2, Pointer.parse("device")
    )
    assert [(found.code, str(found.field)) for found in definition_faults(what)] == [("A004", "/disks/*/size")]
