from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from minimize.arrow.pointers import Pointer
from minimize.errors import SchemaError, SourceError
from minimize.records import Chunk, Reject, UndeclaredCount
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.record_checks import FaultMask, ForbiddenPlace, forbidden_places
from minimize.sources.schema_check import (
    add_rejects,
    bind_request,
    check_schema,
    concat_chunks,
    sort_chunk,
    undeclared_paths,
    unify_schemas,
    validate_chunk,
)

A, NEW, PIN = Pointer.parse("a"), Pointer.parse("new"), Pointer.parse("pin")

REQUEST = SourceRequest((DeclaredField("a", A, "string", required=True),), (PIN,), A)

RECORDS = pa.record_batch({"a": ["x", None, "y", "z"], "new": [1, 1, None, 1], "pin": [None, None, None, 7]})


def test_a_request_is_bound_to_what_a_schema_has() -> None:
    bound = bind_request(RECORDS.schema, REQUEST)
    assert (bound.schema.names, bound.never, bound.undeclared) == (["a"], (ForbiddenPlace(PIN, "/pin"),), (NEW,))
    with pytest.raises(SchemaError):
        bind_request(pa.schema([]), REQUEST)


def test_columns_that_are_as_asked_for_are_not_copied_and_lose_all_metadata() -> None:
    plain = bind_request(RECORDS.schema, REQUEST)
    labelled = RECORDS.cast(pa.schema([field.with_metadata({"secret": "x"}) for field in RECORDS.schema]))
    bound = bind_request(labelled.schema, REQUEST)
    assert (plain.source, bound.source) == (RECORDS.schema, None)
    for one, records in (plain, RECORDS), (bound, labelled), (plain, labelled), (plain, RECORDS.select([2, 1, 0])):
        found = one.chunk(records, np.arange(4)).records
        assert found.schema.equals(pa.schema([("a", pa.string())]), check_metadata=True)
        assert found.to_pydict() == {"a": ["x", "y"]}


def test_good_records_and_rejects_keep_their_positions() -> None:
    chunk = bind_request(RECORDS.schema, REQUEST).chunk(RECORDS, np.array([5, 6, 9, 10]))
    assert chunk.records.to_pydict() == {"a": ["x", "y"]}
    assert chunk.positions == pa.array([5, 9])
    assert [(reject.position, reject.code) for reject in chunk.rejects] == [
        (6, "missing_field"),
        (10, "forbidden_field"),
    ]


def test_only_good_records_count_as_carrying_what_is_undeclared() -> None:
    bound = bind_request(RECORDS.schema, REQUEST)
    assert bound.chunk(RECORDS, np.arange(4)).undeclared == {NEW: UndeclaredCount(1, frozenset("x"))}
    assert bound.chunk(RECORDS, np.arange(4), carry={NEW: UndeclaredCount(9)}).undeclared == {NEW: UndeclaredCount(9)}


def test_faults_found_by_the_reader_also_reject() -> None:
    known = [FaultMask("wrong_type", "/a", np.array([True, True, False, False]))]
    chunk = bind_request(RECORDS.schema, REQUEST).chunk(RECORDS, np.arange(4), known)
    assert [reject.code for reject in chunk.rejects] == ["wrong_type", "wrong_type", "forbidden_field"]


def test_invalid_arrays_are_an_error_and_others_pass() -> None:
    broken = pa.array([b"\xff"], pa.binary()).cast(pa.string(), safe=False)
    good = Chunk(pa.record_batch({"a": ["x"]}), 1)
    assert validate_chunk(good, SourceError("no")) is good
    with pytest.raises(SourceError, match="no") as caught:
        validate_chunk(Chunk(pa.record_batch({"a": broken}), 1), SourceError("no"))
    assert caught.value.__context__ is None


def request(*fields: tuple[str, str], never: tuple[str, ...] = ()) -> SourceRequest:
    declared = tuple(DeclaredField(key, Pointer.parse(key), word) for key, word in fields)
    return SourceRequest(declared, tuple(map(Pointer.parse, never)))


SCHEMA = pa.schema(
    [
        ("a", pa.int8()),
        ("s", pa.struct([("x", pa.string()), ("y", pa.string())])),
        ("l", pa.list_(pa.struct([("n", pa.int8()), ("pin", pa.string())]))),
        ("m", pa.map_(pa.string(), pa.int8())),
    ]
)


def codes(schema: pa.Schema, asked: SourceRequest) -> list[tuple[str, str | None]]:
    with pytest.raises(SchemaError) as caught:
        check_schema(schema, asked, "f.parquet")
    assert {finding.file for finding in caught.value.findings} == {"f.parquet"}
    return [(finding.code, finding.field) for finding in caught.value.findings]


def test_a_matching_schema_is_accepted() -> None:
    check_schema(
        SCHEMA, request(("a", "integer"), ("/s/x", "string"), ("/l/*/n", "integer"), ("l", "list"), ("/m/*", "integer"))
    )


def test_every_disagreement_is_reported() -> None:
    asked = request(
        ("a", "string"), ("/s/z", "string"), ("/a/b", "string"), ("/s/*", "string"), ("/l/n", "string"), ("q", "date")
    )
    assert sorted(codes(SCHEMA, asked), key=str) == [
        ("S001", "/s/z"),
        ("S001", "q"),
        ("S002", "/l/n"),
        ("S002", "/s/z"),
        ("S002", "a"),
    ]


def test_a_repeated_name_is_refused() -> None:
    assert codes(pa.schema([("a", pa.int8()), ("a", pa.int8())]), request(("a", "integer"))) == [("S003", None)]


def test_undeclared_paths_are_reported_at_their_top_without_forbidden_ones() -> None:
    asked = request(("/s/x", "string"), ("/l/*/n", "integer"), never=("/m", "/l/*/pin"))
    assert list(map(str, undeclared_paths(SCHEMA, asked))) == ["/a", "/s/y"]


def test_a_container_declared_whole_has_nothing_undeclared_below() -> None:
    asked = request(("a", "integer"), ("s", "struct"), ("l", "list"), ("m", "map"))
    assert undeclared_paths(SCHEMA, asked) == []


def test_a_forbidden_path_counts_if_the_schema_can_contain_it() -> None:
    asked = request(never=("/nope", "/l/*/pin", "/m/password", "/s/*", "/a/b", "/l/pin"))
    assert [str(place.pointer) for place in forbidden_places(SCHEMA, asked)] == [
        "/l/*/pin",
        "/m/password",
        "/s/*",
        "/l/pin",
    ]


def test_files_that_disagree_about_a_family_are_refused_by_name() -> None:
    one, other = pa.schema([("a", pa.date32())]), pa.schema([("a", pa.bool_())])
    with pytest.raises(SchemaError) as caught:
        unify_schemas([one, one, other], ["1", "2", "3"])
    assert [(finding.code, finding.file) for finding in caught.value.findings] == [("S004", "3")]


@pytest.mark.parametrize(("name", "shown"), [("phones", True), ("phone@x", False), ("+phone", False)])
def test_an_undeclared_column_is_proposed_only_if_it_looks_like_a_name(name: str, shown: bool) -> None:
    with pytest.raises(SchemaError) as caught:
        check_schema(pa.schema([(name, pa.string())]), request(("phone", "string")))
    assert (name in str(caught.value)) == shown


MERGED_A, B, C = (Pointer((name,)) for name in "abc")


def chunk(
    values: list[int], undeclared: dict[Pointer, UndeclaredCount] | None = None, rejects: tuple[Reject, ...] = ()
) -> Chunk:
    return Chunk(
        pa.record_batch({"n": pa.array(values, pa.int64())}),
        len(values) + len(rejects),
        rejects,
        undeclared or {},
        pa.array(values, pa.int64()),
    )


def reject(position: int) -> Reject:
    return Reject(position, "row", None, "malformed")


def test_chunks_in_order_are_one_chunk() -> None:
    first = chunk([0, 1], {MERGED_A: UndeclaredCount(1, frozenset("x"))}, (reject(2),))
    second = chunk([3], {MERGED_A: UndeclaredCount(1, frozenset("y")), B: UndeclaredCount(2)})
    both = concat_chunks([first, second], first.records.schema)
    assert (both.records.to_pydict(), both.read, both.rejects) == ({"n": [0, 1, 3]}, 4, (reject(2),))
    assert both.undeclared == {MERGED_A: UndeclaredCount(2, frozenset("xy")), B: UndeclaredCount(2)}
    assert both.positions == pa.array([0, 1, 3])


def test_no_chunks_are_an_empty_one() -> None:
    none = concat_chunks([], pa.schema([("n", pa.int64())]))
    assert (none.read, none.records.num_rows, len(none.rejects)) == (0, 0, 0)


def test_added_rejects_are_counted_and_sorted() -> None:
    found = add_rejects(chunk([0, 4], rejects=(reject(2),)), [reject(3), reject(1)])
    assert [one.position for one in found.rejects] == [1, 2, 3]
    assert found.read == 5


def test_a_chunk_in_order_has_its_records_and_rejects_by_position() -> None:
    records = pa.record_batch({"a": ["x", "y", "z"]})
    rejects = (Reject(7, "byte", None, "malformed"), Reject(2, "byte", None, "malformed"))
    chunk = sort_chunk(Chunk(records, 5, rejects, positions=pa.array([0, 9, 4])))
    assert chunk.records.column("a").to_pylist() == ["x", "z", "y"]
    assert chunk.positions == pa.array([0, 4, 9])
    assert [reject.position for reject in chunk.rejects] == [2, 7]
