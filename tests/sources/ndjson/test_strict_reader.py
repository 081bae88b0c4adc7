from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.arrow.types import FractionText, IntegerText
from minimize.records import Reject, UndeclaredCount
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.files import MAX_LINE_BYTES
from minimize.sources.ndjson.strict_reader import (
    MAX_DEPTH,
    ChunkBuilder,
    JsonFault,
    MalformedLine,
    UndeclaredFlag,
    ValueMismatch,
    build_value,
    convert_value,
    first_fault,
    nesting_depth,
    parse_line,
    record_subject,
    undeclared_in_record,
    value_reader,
)
from minimize.sources.projection import field_tree, prune_schema
from minimize.sources.schema_check import BoundRequest
from tests.hypothesis_profiles import examples

WORDS = {
    "s": "string",
    "n": "integer",
    "x": "double",
    "d": "decimal(4,1)",
    "t": "timestamp",
    "l": "list",
    "o": "struct",
    "m": "map",
    "/apps/*/s": "string",
    "/apps/*/n": "integer",
    "/h/n": "integer",
    "/h/k/s": "date",
    "/tags/*": "string",
    "k": "map",
    "/k/*/s": "binary",
    "/c/s": "string",
    "/c/*": "string",
    "e": "string",
    "/e/s": "string",
    "f": "struct",
    "/f/*": "string",
}


FIELDS = tuple(
    DeclaredField(key, Pointer.parse(key), word, needed=key not in ("x", "/h/n")) for key, word in WORDS.items()
)


REQUEST = SourceRequest(FIELDS)


ROOT = field_tree(REQUEST)


TYPE = pa.struct(list(prune_schema(pa.schema([]), ROOT)))


READ = value_reader(ROOT, TYPE)


keys = st.sampled_from(["s", "n", "x", "d", "t", "l", "o", "m", "apps", "h", "tags", "k", "new", "c", "e", "f"])


scalars = st.none() | st.booleans() | st.integers(-3, 10**6) | st.sampled_from([1.5, 2.0, "a", "YQ==", "2026-11-24"])


values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)


fitting = st.fixed_dictionaries(
    {},
    optional={
        "s": st.just("a"),
        "n": st.integers(-3, 3),
        "d": st.sampled_from([1, 2.5]),
        "t": st.just("2026-11-24T10:00:00Z"),
        "apps": st.lists(
            st.dictionaries(st.sampled_from(["s", "new"]), st.just("x"), max_size=2) | st.none(), max_size=2
        ),
        "h": st.fixed_dictionaries({}, optional={"n": st.just(1), "k": values}),
        "tags": st.lists(st.just("x") | st.none(), max_size=2),
        "k": st.dictionaries(keys, st.fixed_dictionaries({}, optional={"s": st.just("YQ=="), "u": values}), max_size=2),
        "l": st.lists(values, max_size=2),
        "m": st.dictionaries(keys, values, max_size=2),
        "new": values,
    },
)


@settings(max_examples=examples(400))
@given(fitting | fitting | st.dictionaries(keys, values, max_size=4))
def test_the_walk_gives_what_the_strict_reader_gives_or_nothing(value: dict[str, object]) -> None:
    record = parse_line(json.dumps(value).encode())
    seen: UndeclaredFlag = []
    if first_fault(record, REQUEST, ROOT) is None:
        assert READ(record, seen) == build_value(record, ROOT, TYPE)
        assert seen or not undeclared_in_record(record, ROOT)
    else:
        with pytest.raises(ValueMismatch):
            READ(record, seen)


def test_a_value_mismatch_reveals_no_value() -> None:
    with pytest.raises(ValueMismatch) as caught:
        READ(parse_line(b'{"n":"c4n4ry"}'), [])
    assert "c4n4ry" not in repr(caught.value)


ID = Pointer.parse("/who/id")


LINES_REQUEST = SourceRequest(
    (DeclaredField("/who/id", ID, "string"), DeclaredField("n", Pointer.parse("n"), "integer")), (), ID
)


def gathered(request: SourceRequest = LINES_REQUEST) -> ChunkBuilder:
    root = field_tree(request)
    return ChunkBuilder(BoundRequest(request, prune_schema(pa.schema([]), root), (), (), ()), root)


def test_lines_are_gathered_with_their_positions_and_faults() -> None:
    lines = gathered()
    lines.add_line(0, b'{"who":{"id":"a"},"n":1,"new":2}')
    lines.add_line(40, b"broken")
    lines.add_line(50, b'{"n":"1"}')
    chunk = lines.add_too_large(60).chunk()
    assert chunk.records.to_pylist() == [{"who": {"id": "a"}, "n": 1}]
    assert (chunk.read, chunk.positions) == (4, pa.array([0]))
    assert chunk.rejects == (
        Reject(40, "byte", None, "malformed"),
        Reject(50, "byte", "/n", "wrong_type"),
        Reject(60, "byte", None, "too_large"),
    )
    assert chunk.undeclared == {Pointer.parse("new"): UndeclaredCount(1, frozenset("a"))}


def test_a_line_above_the_limit_is_not_even_parsed() -> None:
    lines = gathered()
    lines.add_line(7, b" " * (MAX_LINE_BYTES + 1))
    assert lines.chunk().rejects == (Reject(7, "byte", None, "too_large"),)


def test_without_needed_fields_the_records_still_count() -> None:
    lines = gathered(SourceRequest(()))
    lines.add_line(0, b"{}")
    assert (lines.chunk().records.num_rows, lines.chunk().read) == (1, 1)


def test_a_subject_that_is_no_text_is_none() -> None:
    assert record_subject({"who": {"id": "a"}}, LINES_REQUEST) == "a"
    assert record_subject({"who": {"id": ["a"]}}, LINES_REQUEST) is None
    assert record_subject({"who": None}, LINES_REQUEST) is None
    assert record_subject({}, LINES_REQUEST) is None


CANARY = "c4n4ry"


def request(*fields: tuple[str, str], never: tuple[str, ...] = (), required: tuple[str, ...] = ()) -> SourceRequest:
    declared = (DeclaredField(key, Pointer.parse(key), word, required=key in required) for key, word in fields)
    return SourceRequest(tuple(declared), tuple(map(Pointer.parse, never)))


def judged(asked: SourceRequest, line: str) -> JsonFault | None:
    return first_fault(parse_line(line.encode()), asked, field_tree(asked))


def test_numbers_keep_their_text_until_a_type_asks() -> None:
    record = parse_line(b'{"a":1.10,"b":10,"c":1e2}')
    assert record == {"a": "1.10", "b": "10", "c": "1e2"}
    assert [type(value) for value in record.values()] == [FractionText, IntegerText, FractionText]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b'"text"',
        b"{} {}",
        b"{'a':1}",
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":.5}',
        b'{"a":"\x01"}',
        b'{"a":"\\x"}',
        b'{"a":1,}',
        b'{"a":"\\udfff"}',
        b'{"\\udfff":1}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":[{"b":1,"b":1}]}',
        b'{"a":Infinity}',
        b"\xef\xbb\xbf{}",
    ],
)
def test_a_line_that_is_no_record_is_malformed_and_the_error_shows_none_of_it(line: bytes) -> None:
    with pytest.raises(MalformedLine) as caught:
        parse_line(line)
    assert (str(caught.value), caught.value.__context__, caught.value.__cause__) == ("", None, None)


def test_nesting_above_the_limit_is_malformed_and_at_the_limit_is_not() -> None:
    nested = b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1)
    assert parse_line(b'{"a":' + nested + b"}")
    with pytest.raises(MalformedLine):
        parse_line(b'{"a":[' + nested + b"]}")
    with pytest.raises(MalformedLine):
        parse_line(b"[" * 1_000_000)


def test_brackets_in_text_are_no_nesting() -> None:
    assert nesting_depth(json.dumps({"a": ['[{"[' * 200]}).encode()) == 2
    assert nesting_depth(b'{"a":[' + b'{"b":1},' * 500 + b'{"b":[]}]}') == 4


def test_the_first_fault_is_forbidden_then_type_then_missing() -> None:
    asked = request(("a", "integer"), ("b", "timestamp"), ("c", "string"), never=("/x",), required=("c",))
    assert judged(asked, '{"x":1,"a":"1"}') == JsonFault("forbidden_field", "/x")
    assert judged(asked, '{"a":"1","b":"no"}') == JsonFault("wrong_type", "/a")
    assert judged(asked, '{"b":"no"}') == JsonFault("bad_time", "/b")
    assert judged(asked, "{}") == JsonFault("missing_field", "/c")
    assert judged(asked, '{"c":"x"}') is None


def test_a_required_field_below_a_star_must_be_in_every_element() -> None:
    asked = request(("/l/*/a", "integer"), required=("/l/*/a",))
    assert judged(asked, '{"l":[]}') is None
    assert judged(asked, '{"l":[{"a":1},{}]}') == JsonFault("missing_field", "/l/*/a")
    assert judged(asked, "{}") == JsonFault("missing_field", "/l/*/a")


@pytest.mark.parametrize(
    ("word", "value", "expected"),
    [
        ("double", IntegerText("3"), 3.0),
        ("double", IntegerText("9" * 400), None),
        ("integer", FractionText("3.0"), None),
        ("integer", IntegerText("-0"), 0),
        ("string", IntegerText("3"), None),
        ("boolean", "true", None),
        ("binary", "YQ==", b"a"),
        ("list", [], None),
    ],
)
def test_a_value_is_accepted_for_its_type_and_not_coerced(word: str, value: Any, expected: Any) -> None:
    assert convert_value(value, word) == expected


def test_an_undeclared_path_is_reported_at_its_top() -> None:
    asked = request(("/a/b", "integer"), ("/l/*/x", "string"), ("/whole", "struct"))
    record = parse_line(b'{"a":{"b":1,"c":{"d":1}},"l":[{"y":1},null],"whole":{"k":1},"n":null,"o":[]}')
    assert {str(Pointer(parts)) for parts in undeclared_in_record(record, field_tree(asked))} == {
        "/a/c",
        "/l/*/y",
        "/o",
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.text(), json_values))
def test_every_object_that_json_writes_is_a_record(record: dict[str, Any]) -> None:
    line = json.dumps(record, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        with pytest.raises(MalformedLine):
            parse_line(json.dumps(record).encode())
    else:
        assert list(parse_line(line.encode())) == list(record)


@given(st.binary())
def test_any_bytes_are_a_record_or_malformed(line: bytes) -> None:
    with suppress(MalformedLine):
        assert isinstance(parse_line(line), dict)
