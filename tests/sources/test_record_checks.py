"""Forbidden and required paths are checked in rows, lists and whole files, for every reader."""

from __future__ import annotations

import json
from collections import UserDict, deque
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minimize
from minimize.arrow.pointers import Pointer
from minimize.errors import PolicyError
from minimize.policy.load import load_policy
from minimize.records import UndeclaredCount
from minimize.sources import FORMATS
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.files import file_parts
from minimize.sources.memory import memory_source
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
from tests.project import Project, event, new_project

REQUEST = SourceRequest(
    (
        DeclaredField("id", Pointer.parse("id"), "integer"),
        DeclaredField("/deep/*/x", Pointer.parse("/deep/*/x"), "integer"),
    ),
    never=(Pointer.parse("/deep/forbidden"),),
)

RECORDS: list[dict[str, Any]] = [
    {"id": 0, "deep": [{"forbidden": 1, "x": 1}]},
    {"id": 1, "deep": [{"x": 1}, {"x": 2, "forbidden": 2}]},
    {"id": 2, "deep": [{"x": 1}]},
    {"id": 3, "deep": []},
    {"id": 4, "deep": [{"forbidden": None, "x": 1}]},
    {"id": 5},
] * 20


def found(source: Any) -> tuple[set[str], set[int]]:
    """The codes, and the ids of the records that are good."""
    chunks = [chunk for part in source.parts for chunk in part.read()]
    codes = {f"{reject.code} {reject.field}" for chunk in chunks for reject in chunk.rejects}
    return codes, {each for chunk in chunks for each in chunk.records.column("id").to_pylist()}


@pytest.mark.parametrize("kind", ["ndjson", "parquet", "memory"])
def test_a_name_covers_a_list_of_structs(tmp_path: Path, kind: str) -> None:
    items = pa.list_(pa.struct([("forbidden", pa.int64()), ("x", pa.int64())]))
    table = pa.Table.from_pylist(RECORDS, pa.schema([("id", pa.int64()), ("deep", items)]))
    path = tmp_path / f"a.{kind}"
    if kind == "ndjson":
        path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    else:
        pq.write_table(table, path)
    source = (
        memory_source(table, REQUEST) if kind == "memory" else FORMATS[kind].bind(file_parts([path], tmp_path), REQUEST)
    )
    assert found(source) == ({"forbidden_field /deep/forbidden"}, {2, 3, 4, 5})


DEEP_REQUEST = SourceRequest(
    (
        DeclaredField("id", Pointer.parse("id"), "integer"),
        DeclaredField("/device/os", Pointer.parse("/device/os"), "string"),
    ),
    any_depth=("mail", "password"),
)

DEEP: list[dict[str, Any]] = [
    {"device": {"os": "a", "password": "x"}},
    {"device": {"os": "a", "accounts": [{"password": None, "site": "b"}, {"password": "", "site": "c"}]}},
    {"other": [{"deeper": {"mail": 1, "password": "x"}}]},
    {"other": [{"deeper": {"mail": None}}]},
    {"device": {"os": "password", "accounts": [{"site": "mail"}]}},
    {"device": None, "other": []},
]

DEEP_TYPE = pa.schema(
    [
        ("id", pa.int64()),
        (
            "device",
            pa.struct(
                [
                    ("os", pa.string()),
                    ("password", pa.string()),
                    ("accounts", pa.list_(pa.struct([("password", pa.string()), ("site", pa.string())]))),
                ]
            ),
        ),
        (
            "other",
            pa.list_(pa.struct([("deeper", pa.struct([("mail", pa.int64()), ("password", pa.string())]))])),
        ),
    ]
)

DEEP_FOUND = ({"forbidden_field /**/password", "forbidden_field /**/mail"}, {3, 4, 5})


def numbered(times: int) -> list[dict[str, Any]]:
    """The records as often as wanted, each kind with its own id."""
    return [{"id": index, **record} for index, record in enumerate(DEEP)] * times


@pytest.mark.parametrize("times", [1, 40])
def test_a_word_is_found_at_any_depth_of_ndjson(tmp_path: Path, times: int) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text("".join(json.dumps(record) + "\n" for record in numbered(times)))
    assert found(FORMATS["ndjson"].bind(file_parts([path], tmp_path), DEEP_REQUEST)) == DEEP_FOUND


def test_a_word_is_found_in_lines_that_are_read_by_hand(tmp_path: Path) -> None:
    labels = (
        DeclaredField("labels", Pointer.parse("labels"), "map"),
        DeclaredField("/labels/*", Pointer.parse("/labels/*"), "string"),
    )
    request = replace(DEEP_REQUEST, fields=(*DEEP_REQUEST.fields, *labels))
    path = tmp_path / "a.ndjson"
    records = [{**record, "labels": {"site": "x"}} for record in numbered(40)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert found(FORMATS["ndjson"].bind(file_parts([path], tmp_path), request)) == DEEP_FOUND


def test_a_word_is_found_at_any_depth_of_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(numbered(40), DEEP_TYPE), tmp_path / "a.parquet")
    assert found(FORMATS["parquet"].bind(file_parts([tmp_path / "a.parquet"], tmp_path), DEEP_REQUEST)) == DEEP_FOUND


def test_a_word_is_found_at_any_depth_of_tables_in_memory() -> None:
    assert found(memory_source(pa.Table.from_pylist(numbered(40), DEEP_TYPE), DEEP_REQUEST)) == DEEP_FOUND


def test_a_word_is_found_in_undeclared_columns_of_a_data_frame() -> None:
    records = [{**record, "device": {"os": "a"}} for record in numbered(40)]
    frame = pd.DataFrame({name: [record.get(name) for record in records] for name in ("id", "device", "other")})
    assert found(memory_source(frame, DEEP_REQUEST)) == ({"forbidden_field /**/mail"}, {0, 1, 3, 4, 5})


def test_a_word_is_found_among_the_keys_of_a_map() -> None:
    labels = pa.array(
        [[("password", "x")], [("password", None)], [("site", "password")], None], pa.map_(pa.string(), pa.string())
    )
    table = pa.table({"id": [0, 1, 2, 3], "labels": labels, "device": pa.array([{"os": "a"}] * 4)})
    assert found(memory_source(table, DEEP_REQUEST)) == ({"forbidden_field /**/password"}, {1, 2, 3})


def test_quarantine_names_the_rule_and_not_the_place(tmp_path: Path) -> None:
    project: Project = new_project(tmp_path)
    project.policy(never=["password"])
    project.records([event(1, **{"Ann Example": {"password": "x"}}), event(2, password="x"), event(3)])
    assert project.run().rows.written == 1
    assert {row["field"] for row in project.rows("quarantine")} == {"/**/password", "/password"}
    minimize.verify(project.out, keys=project.keys)


def test_a_policy_cannot_keep_what_a_word_forbids_at_any_depth(tmp_path: Path) -> None:
    project: Project = new_project(tmp_path)
    project.policy({"/deep/*/password/hint": {"type": "integer", "do": "keep"}}, never=["password"])
    with pytest.raises(PolicyError) as caught:
        load_policy(tmp_path / "policy.yaml")
    assert {finding.code for finding in caught.value.findings} == {"P018"}


def test_a_pointer_forbids_one_place_only(tmp_path: Path) -> None:
    project: Project = new_project(tmp_path)
    project.policy({"/deep/password": {"type": "integer", "do": "keep"}}, never=["/password"])
    assert load_policy(tmp_path / "policy.yaml").fields


def test_a_policy_cannot_keep_a_forbidden_path_inside_a_list(tmp_path: Path) -> None:
    project: Project = new_project(tmp_path)
    project.policy({"/deep/*/forbidden": {"type": "integer", "do": "keep"}}, never=["/deep/forbidden"])
    with pytest.raises(PolicyError) as caught:
        load_policy(tmp_path / "policy.yaml")
    assert {finding.code for finding in caught.value.findings} == {"P018"}


STRUCTS = pa.array([{"password": "x"}, {"password": None}, None])

INDICES = pa.array([0, 1, 2, None, 0], pa.int8())

ENCODED = pa.DictionaryArray.from_arrays(INDICES, STRUCTS)

CODES = pa.array([0, 1, 0, 1, 0], pa.int8())

NESTED = {
    "dictionary of structs": (ENCODED, {1, 2, 3}),
    "dictionary of lists": (
        pa.DictionaryArray.from_arrays(INDICES, pa.array([[{"password": 1}], [{"password": None}], []])),
        {1, 2, 3},
    ),
    "dictionary of maps": (
        pa.DictionaryArray.from_arrays(
            INDICES,
            pa.array([[("password", "x")], [("site", "x")], None], pa.map_(pa.string(), pa.string())),
        ),
        {1, 2, 3},
    ),
    "list of a dictionary": (pa.ListArray.from_arrays([0, 2, 3, 4, 4, 5], ENCODED), {1, 2, 3}),
    "struct of a dictionary": (pa.StructArray.from_arrays([ENCODED], ["a"]), {1, 2, 3}),
    "run ends": (pa.RunEndEncodedArray.from_arrays(pa.array([1, 3, 5], pa.int32()), STRUCTS), {1, 2, 3, 4}),
    "dense union": (
        pa.UnionArray.from_dense(
            CODES, pa.array([0, 0, 1, 1, 2], pa.int32()), [STRUCTS, pa.array(["password", "x"])], ["a", "b"]
        ),
        {1, 2, 3, 4},
    ),
    "sparse union": (
        pa.UnionArray.from_sparse(CODES, [STRUCTS.take(INDICES), pa.array(["x"] * 5)], ["a", "b"]),
        {1, 2, 3},
    ),
    "child of a union": (
        pa.UnionArray.from_sparse(CODES, [pa.array(["x"] * 5), pa.array([1] * 5)], ["password", "b"]),
        {1, 3},
    ),
}


@pytest.mark.parametrize("kind", NESTED)
@pytest.mark.parametrize("first", [0, 1])
def test_a_word_is_found_in_encoded_columns_and_unions(kind: str, first: int) -> None:
    column, good = NESTED[kind]
    table = pa.table({"id": list(range(5)), "device": pa.array([{"os": "a"}] * 5), "other": column}).slice(first)
    codes, kept = found(memory_source(table, DEEP_REQUEST))
    assert kept == good - set(range(first))
    assert codes == ({"forbidden_field /**/password"} if len(kept) < len(table) else set())


def test_a_pointer_is_found_in_a_dictionary_of_structs() -> None:
    table = pa.table({"id": list(range(5)), "deep": ENCODED})
    request = SourceRequest(REQUEST.fields[:1], never=(Pointer.parse("/deep/password"),))
    assert found(memory_source(table, request)) == ({"forbidden_field /deep/password"}, {1, 2, 3})


@dataclass
class Login:
    """An object that has its names as attributes."""

    password: str | None


class Unknown:
    """An object that cannot be looked into."""


CYCLE: list[Any] = []

CYCLE.append(CYCLE)

OBJECTS: dict[str, Any] = {
    "dictionary": {"password": 1},
    "mapping": UserDict(password=1),
    "keys that are not text": {1: {"password": 1}, None: 2},
    "bytes as a key": {b"password": 1},
    "list of several types": [1, {"a": "x", "b": {"password": 1}}],
    "tuple": ({"password": 1},),
    "pair in a list": [("password", 1)],
    "set of pairs": frozenset([("password", 1)]),
    "queue": deque([{"password": 1}]),
    "array": np.array([None, {"password": 1}], object),
    "records of an array": np.array([("x",)], [("password", "U1")]),
    "series": pd.Series({"password": 1}),
    "frame": pd.DataFrame({"password": [1]}),
    "frame in a dictionary": {"a": pl.DataFrame({"password": [1]})},
    "struct of Arrow": pa.scalar({"password": 1}),
    "dataclass": [Login("x")],
}

CLEAN: list[Any] = [
    *("password", 1, None, Decimal(1), pd.NA, pd.NaT, np.float64(1), [1, "password"], {"a": "password"}, CYCLE),
    *({"password": None}, Login(None), pd.Series({"password": np.nan}), pd.Period("2026-11"), np.array(["password"])),
]


def frame_of(objects: list[Any], package: str = "pandas") -> Any:
    """A data frame whose column `other` has these objects, whatever their types."""
    rows = range(len(objects))
    if package == "polars":
        plain = pl.DataFrame({"id": rows, "device": [{"os": "a"} for _ in rows]})
        return plain.with_columns(pl.Series("other", objects, dtype=pl.Object))
    column = pd.Series([None] * len(objects), dtype=object)
    for row, value in enumerate(objects):
        column.iat[row] = value
    return pd.DataFrame({"id": rows, "device": [{"os": "a"}] * len(objects), "other": column})


@pytest.mark.parametrize("package", ["pandas", "polars"])
@pytest.mark.parametrize("kind", OBJECTS)
def test_a_word_is_found_in_objects_of_any_type(kind: str, package: str) -> None:
    frame = frame_of(["password", OBJECTS[kind], 1, None, OBJECTS[kind]], package)
    assert found(memory_source(frame, DEEP_REQUEST)) == ({"forbidden_field /**/password"}, {0, 2, 3})


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_objects_without_the_words_are_kept(package: str) -> None:
    assert found(memory_source(frame_of(CLEAN, package), DEEP_REQUEST)) == (set(), set(range(len(CLEAN))))


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_objects_of_an_unknown_class_are_rejected(package: str) -> None:
    frame = frame_of([1, Unknown(), [Unknown()]], package)
    assert found(memory_source(frame, DEEP_REQUEST)) == ({"forbidden_field None"}, {0})


def test_without_what_must_never_arrive_no_object_is_looked_into() -> None:
    assert found(memory_source(frame_of([1, Unknown()]), SourceRequest(DEEP_REQUEST.fields))) == (set(), {0, 1})


def test_objects_of_polars_below_a_pointer_are_rejected() -> None:
    request = SourceRequest(REQUEST.fields[:1], never=(Pointer.parse("/other/password"),))
    assert found(memory_source(frame_of(["x", {"a": 1}], "polars"), request)) == ({"forbidden_field None"}, {0})


def test_a_word_is_found_in_every_chunk_of_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minimize.sources.memory.MEMORY_CHUNK_ROWS", 2)
    frame = frame_of(["x", 1, 2, {"password": 1}, 3, (1, {"password": 1})])
    assert found(memory_source(frame, DEEP_REQUEST)) == ({"forbidden_field /**/password"}, {0, 1, 2, 4})


def test_a_word_is_found_in_labels_of_several_levels() -> None:
    frame = pd.DataFrame({"id": [0, 1], "device": [{"os": "a"}] * 2, ("site", "password"): ["x", None]})
    assert found(memory_source(frame, DEEP_REQUEST)) == ({"forbidden_field /**/password"}, {1})


def test_a_word_is_found_in_a_frame_of_a_derived_class() -> None:
    derived = type("Derived", (pd.DataFrame,), {"__module__": "elsewhere"})
    frame = derived(frame_of(["x", {"password": 1}]))
    assert found(memory_source(frame, DEEP_REQUEST)) == ({"forbidden_field /**/password"}, {0})


def pointer(text: str) -> Pointer:
    return Pointer.parse(text)


RECORD_BATCH = pa.record_batch(
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
    assert records_with_path(RECORD_BATCH, pointer(path)).tolist() == [bool(one) for one in expected]
    assert records_with_path(RECORD_BATCH.slice(1), pointer(path)).tolist() == [bool(one) for one in expected[1:]]


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
    assert records_missing_field(RECORD_BATCH, DeclaredField(path, pointer(path), "integer")).tolist() == [
        bool(one) for one in expected
    ]


def test_a_record_with_several_faults_is_rejected_by_the_first() -> None:
    mask = np.array([True, True, True, False])
    known = [FaultMask("wrong_type", "/a", mask), FaultMask("malformed", None, np.array([True, False, False, False]))]
    found = first_faults(
        RECORD_BATCH, [DeclaredField("id", pointer("/id"), "string")], [ForbiddenPlace(pointer("/m/j"), "/m/j")], known
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
    found = count_undeclared(RECORD_BATCH, pointer("/s"), SourceRequest((), subject=pointer("id")), good)
    assert found == UndeclaredCount(3, frozenset({"a", "b"}))


def test_no_more_than_ten_subjects_are_held() -> None:
    records = pa.record_batch({"id": pa.array(range(100))})
    assert len(sample_subjects(records, pointer("id"))) == 10
    assert sample_subjects(records, None) == frozenset()


def test_a_flat_value_is_null_below_a_null_struct() -> None:
    values = flat_values(RECORD_BATCH, pointer("/s/x"))
    assert values is not None
    assert values.to_pylist() == [1, None, None, None]
    assert flat_values(RECORD_BATCH, pointer("/l/*/n")) is None


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
