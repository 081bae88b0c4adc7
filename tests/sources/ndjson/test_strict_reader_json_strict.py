""""""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.arrow.types import FractionText, IntegerText
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.ndjson.strict_reader import (
    MAX_DEPTH,
    JsonFault,
    MalformedLine,
    convert_value,
    first_fault,
    nesting_depth,
    parse_line,
    undeclared_in_record,
)
from minimize.sources.projection import field_tree

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
def test_what_is_no_record_is_malformed_and_the_error_says_nothing_of_it(line: bytes) -> None:
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
def test_a_value_is_taken_for_its_type_and_nothing_is_coerced(word: str, value: Any, expected: Any) -> None:
    assert convert_value(value, word) == expected


def test_an_undeclared_path_is_told_at_its_top() -> None:
    asked = request(("/a/b", "integer"), ("/l/*/x", "string"), ("/whole", "struct"))
    record = parse_line(b'{"a":{"b":1,"c":{"d":1}},"l":[{"y":1},null],"whole":{"k":1},"n":null,"o":[]}')
    assert {str(Pointer(parts)) for parts in undeclared_in_record(record, field_tree(asked))} == {
        "/a/c",
        "/l/*/y",
        "/o",
    }


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.text(), values))
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
