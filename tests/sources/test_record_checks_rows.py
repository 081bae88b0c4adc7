""""""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.records import UndeclaredCount
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.record_checks import (
    FaultMask,
    ForbiddenPlace,
    count_undeclared,
    first_faults,
    flat_values,
    records_missing_field,
    records_with_path,
    sample_subjects,
)


def pointer(text: str) -> Pointer:
    return Pointer.parse(text)


RECORDS = pa.record_batch(
    {
        "id": ["a", "b", "b", None],
        "s": [{"x": 1, "y": None}, {"x": None, "y": None}, None, {"x": None, "y": 2}],
        "l": [[{"n": 1}, {"n": None}], [], [None], None],
        "m": pa.array([[("k", 1)], [("k", None), ("j", 2)], [], None], pa.map_(pa.string(), pa.int64())),
    }
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/id", [1, 1, 1, 0]),
        ("/s", [1, 1, 0, 1]),
        ("/s/x", [1, 0, 0, 0]),
        ("/s/*", [1, 0, 0, 1]),
        ("/s/nope", [0, 0, 0, 0]),
        ("/l", [1, 1, 1, 0]),
        ("/l/*", [1, 0, 0, 0]),
        ("/l/*/n", [1, 0, 0, 0]),
        ("/m/*", [1, 1, 0, 0]),
        ("/m/k", [1, 0, 0, 0]),
        ("/m/j", [0, 1, 0, 0]),
        ("/id/x", [0, 0, 0, 0]),
        ("/nope", [0, 0, 0, 0]),
    ],
)
def test_a_record_carries_a_path_where_something_is_not_null(path: str, expected: list[int]) -> None:
    assert records_with_path(RECORDS, pointer(path)).tolist() == [bool(one) for one in expected]
    assert records_with_path(RECORDS.slice(1), pointer(path)).tolist() == [bool(one) for one in expected[1:]]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/id", [0, 0, 0, 1]),
        ("/s/x", [0, 1, 1, 1]),
        ("/l/*/n", [1, 0, 1, 1]),
        ("/s/nope", [1, 1, 1, 1]),
        ("/nope", [1] * 4),
    ],
)
def test_a_record_lacks_a_required_field_where_it_or_what_is_above_it_is_null(path: str, expected: list[int]) -> None:
    assert records_missing_field(RECORDS, DeclaredField(path, pointer(path), "integer")).tolist() == [
        bool(one) for one in expected
    ]


def test_of_several_faults_the_first_is_told() -> None:
    mask = np.array([True, True, True, False])
    known = [FaultMask("wrong_type", "/a", mask), FaultMask("malformed", None, np.array([True, False, False, False]))]
    found = first_faults(
        RECORDS, [DeclaredField("id", pointer("/id"), "string")], [ForbiddenPlace(pointer("/m/j"), "/m/j")], known
    )
    rejects = found.rejects(np.array([10, 11, 12, 13]), "row")
    assert [(reject.position, reject.code, reject.field) for reject in rejects] == [
        (10, "malformed", None),
        (11, "forbidden_field", "/m/j"),
        (12, "wrong_type", "/a"),
        (13, "missing_field", "/id"),
    ]


def test_carried_counts_good_records_and_their_subjects() -> None:
    good = np.array([True, True, False, True])
    found = count_undeclared(RECORDS, pointer("/s"), SourceRequest((), subject=pointer("id")), good)
    assert found == UndeclaredCount(3, frozenset({"a", "b"}))


def test_no_more_than_ten_subjects_are_held() -> None:
    records = pa.record_batch({"id": pa.array(range(100))})
    assert len(sample_subjects(records, pointer("id"))) == 10
    assert sample_subjects(records, None) == frozenset()


def test_a_flat_value_is_null_below_a_null_struct() -> None:
    values = flat_values(RECORDS, pointer("/s/x"))
    assert values is not None
    assert values.to_pylist() == [1, None, None, None]
    assert flat_values(RECORDS, pointer("/l/*/n")) is None


def present(value: Any, parts: tuple[str, ...]) -> bool:
    if not parts or value is None:
        return value is not None
    inner = value if parts[0] == "*" else [value.get(parts[0])]
    return any(present(item, parts[1:]) for item in inner)


items = st.none() | st.fixed_dictionaries({"n": st.none() | st.lists(st.none() | st.integers(0, 1), max_size=2)})


@given(st.lists(st.none() | st.lists(items, max_size=3), max_size=6), st.integers(0, 2))
def test_presence_below_lists_is_what_a_walk_finds(rows: list[Any], skip: int) -> None:
    type_ = pa.list_(pa.struct([("n", pa.list_(pa.int8()))]))
    records = pa.record_batch({"l": pa.array(rows, type_)}).slice(skip)
    for path in ("/l", "/l/*", "/l/*/n", "/l/*/n/*"):
        parts = tuple(path.split("/")[2:])
        assert records_with_path(records, pointer(path)).tolist() == [present(row, parts) for row in rows[skip:]]
