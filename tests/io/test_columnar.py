from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from minimize.arrow.pointers import Pointer
from minimize.errors import SchemaError, SourceError
from minimize.sources.base import Chunk, DeclaredField, SourceRequest, UndeclaredCount
from minimize.sources.binding import bind_request, validate_chunk
from minimize.sources.record_checks import FaultMask, ForbiddenPlace

A, NEW, PIN = Pointer.parse("a"), Pointer.parse("new"), Pointer.parse("pin")
REQUEST = SourceRequest((DeclaredField("a", A, "string", required=True),), (PIN,), A)
RECORDS = pa.record_batch({"a": ["x", None, "y", "z"], "new": [1, 1, None, 1], "pin": [None, None, None, 7]})


def test_a_request_is_bound_to_what_a_schema_has() -> None:
    bound = bind_request(RECORDS.schema, REQUEST)
    assert (bound.schema.names, bound.never, bound.undeclared) == (["a"], (ForbiddenPlace(PIN, "/pin"),), (NEW,))
    with pytest.raises(SchemaError):
        bind_request(pa.schema([]), REQUEST)


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


def test_what_the_reader_found_rejects_too() -> None:
    known = [FaultMask("wrong_type", "/a", np.array([True, True, False, False]))]
    chunk = bind_request(RECORDS.schema, REQUEST).chunk(RECORDS, np.arange(4), known)
    assert [reject.code for reject in chunk.rejects] == ["wrong_type", "wrong_type", "forbidden_field"]


def test_arrays_that_are_not_what_they_say_are_an_error_and_others_pass() -> None:
    broken = pa.array([b"\xff"], pa.binary()).cast(pa.string(), safe=False)
    good = Chunk(pa.record_batch({"a": ["x"]}), 1)
    assert validate_chunk(good, SourceError("no")) is good
    with pytest.raises(SourceError, match="no") as caught:
        validate_chunk(Chunk(pa.record_batch({"a": broken}), 1), SourceError("no"))
    assert caught.value.__context__ is None
