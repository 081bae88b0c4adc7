from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from minimize.arrow.batch import Batch
from minimize.arrow.pointers import Pointer
from minimize.stages.raw_values import field_place, filter_records, list_container
from tests.stages.make import APPS, plan_of, records

COLUMNS = {"apps": APPS, "a": pa.string()}
FIELDS = {
    "a": {"type": "string", "do": "keep"},
    "/apps/*/name": {"type": "string", "do": "keep"},
    "/apps/*/managed": {"type": "boolean", "do": "keep"},
}
PLAN = plan_of(FIELDS, columns=COLUMNS)
RAW = records(COLUMNS, {"a": "x", "apps": [{"name": "p"}, {"name": "q"}]}, {"a": "y", "apps": [{"name": "r"}]})


def test_a_derived_field_stands_where_its_innermost_input_does() -> None:
    both = replace(PLAN.fields["/apps/*/managed"], inputs=(Pointer.parse("a"), Pointer.parse("/apps/*/name")))
    assert field_place(both) == Pointer.parse("/apps/*/name")


def test_the_container_of_elements_is_their_list() -> None:
    assert list_container(Pointer.parse("/a/*/b/*")) == Pointer.parse("/a/*/b")


def test_a_record_that_goes_takes_its_elements_out_of_every_part() -> None:
    names = pa.array(["p", "q", "r"])
    batch = Batch(
        RAW,
        closed={"/apps/*/name": pa.array([True, True, False])},
        cases={"a": pa.array([0, -1], pa.int8())},
        gated_lists={"/apps/*": pa.array([True, False])},
        released={"/apps/*/name": names, "/apps/*/managed": names},
    )
    kept = filter_records(batch, np.array([False, True]), PLAN)
    assert kept.raw["a"].to_pylist() == ["y"]
    assert [kept.closed["/apps/*/name"].to_pylist(), kept.gated_lists["/apps/*"].to_pylist()] == [[False], [False]]
    assert kept.cases["a"].to_pylist() == [-1]
    assert {key: values.to_pylist() for key, values in kept.released.items()} == {
        "/apps/*/name": ["r"],
        "/apps/*/managed": ["r"],
    }


def test_where_every_record_stays_the_batch_is_the_same() -> None:
    batch = Batch(RAW)
    assert filter_records(batch, np.array([True, True]), PLAN) is batch
