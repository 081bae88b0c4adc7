""""""

from __future__ import annotations

import numpy as np
import pytest

from minimize.sources import files as module
from minimize.sources.files import MAX_LINE_BYTES, LineBlock
from minimize.sources.ndjson.line_scan import (
    lines_with_backslash,
    lines_with_controls,
    mark_deep_lines,
    scan_lines,
    scan_without_depth,
)


def odd(data: bytes) -> list[bool]:
    return [bool(flag) for flag in scan_lines(LineBlock(0, data)).odd]


def test_lines_are_found_without_their_ends_and_empty_ones_left_out() -> None:
    lines = scan_lines(LineBlock(100, b'{"a":1}\n\n{"b":2}\r\n{}'))
    assert [lines.line(row) for row in range(3)] == [b'{"a":1}', b'{"b":2}\r', b"{}"]
    assert [lines.file_position(row) for row in range(3)] == [100, 109, 118]
    assert lines.odd.tolist() == [False, False, False]


def test_some_lines_as_text_leave_the_others_out() -> None:
    lines = scan_lines(LineBlock(0, b'{"a":1}\n{"b":2}\n{"c":3}\n{"d":4}'))
    rows = [row for row in range(4) if row != 2]
    assert bytes(lines.text(np.array(rows))) == b'{"a":1}\n{"b":2}\n       \n{"d":4}'
    assert bytes(lines.text(np.array([1, 2]))) == b'{"b":2}\n{"c":3}'


@pytest.mark.parametrize(
    "line",
    [
        b" {}",
        b"{} ",
        b" ",
        b"\r",
        b"x",
        b'"id":1}',
        b'{"id":',
        b'{"id":"\xff"}',
        b"\xef\xbb\xbf{}",
        b'{"id":"a\\u0000"}',
        b'{"id":"a"}\x00',
        b'{"id":"\x00"}',
        b'{"u":' + b"[" * 128 + b"]" * 128 + b"}",
    ],
)
def test_an_odd_line_is_told_and_its_neighbours_are_not(line: bytes) -> None:
    assert odd(b'{"id":"\xc3\xa9"}\n' + line + b"\n{}") == [False, True, False]


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b'{"a":"NaN"}',
        b'{"u":' + b"[" * 127 + b"]" * 127 + b"}",
        b'{"a":"' + b"[" * 200 + b'"}',
        b'{"a":"\\u00e9"}',
    ],
)
def test_what_only_looks_odd_is_not(line: bytes) -> None:
    assert odd(line) == [False]


def test_every_line_that_is_not_utf8_is_told() -> None:
    text = [b'{"a":"\xff"}', b'{"a":"\xc3\xa9"}', b'{"a":"\xc3"}', b'{"a":"\xed\xa0\x80"}', b"{}", b'{"a":"\xf0\x9f"}']
    assert odd(b"\n\n".join(text)) == [True, False, True, True, False, True]


def test_a_line_above_the_limit_is_odd_whatever_its_end() -> None:
    longest = b'{"a":"' + b"x" * (MAX_LINE_BYTES - 8) + b'"}'
    assert module.line_length(longest) == MAX_LINE_BYTES
    assert odd(longest + b"\r\n{}") == [False, False]
    assert odd(longest[:-2] + b'x"}\r\n{}') == [True, False]


def test_lines_are_matched_among_those_asked_for() -> None:
    lines = scan_lines(LineBlock(0, b'{"a":1}\n{"a":2}\n\n{"b":1}\n{"a":3}'))
    assert lines.lines_matching('"a"', np.arange(4)).tolist() == [0, 1, 3]
    assert lines.lines_matching('"a"', np.array([1, 2])).tolist() == [1]
    assert lines.lines_matching('"a"', np.array([0, 3])).tolist() == [0, 3]
    assert lines.lines_matching('"a"', np.zeros(0, np.int64)).tolist() == []


def test_some_lines_are_a_block_of_their_own_that_knows_where_they_were() -> None:
    lines = scan_without_depth(LineBlock(100, b'{"a":1}\n\nx\n{"b":2}\r\n{}')).select(np.array([1, 2]))
    assert [lines.line(row) for row in range(2)] == [b"x", b'{"b":2}\r']
    assert [lines.file_position(row) for row in range(2)] == [109, 111]
    assert lines.lasts.tolist() == [0, 8]
    assert lines.odd.tolist() == [True, False]


def test_lines_that_nest_too_deep_are_told_when_asked() -> None:
    lines = scan_without_depth(LineBlock(0, b'{"u":' + b"[" * 128 + b"]" * 128 + b"}\n{}"))
    assert lines.odd.tolist() == [False, False]
    assert mark_deep_lines(lines).odd.tolist() == [True, False]


def test_lines_with_a_backslash_are_told() -> None:
    assert lines_with_backslash(scan_without_depth(LineBlock(0, b'{"a":"\\n"}\n\n{}\n"\\'))).tolist() == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n"])
def test_lines_with_control_characters_are_told_and_ends_of_lines_are_none(end: bytes) -> None:
    texts = [b"{}", b'{"a":"\t"}', b"{}", b"\x01", b"a\rb", b"{}", b"\r\r", b"\x7f"]
    lines = scan_without_depth(LineBlock(0, end.join(texts)))
    told = [False, True, False, True, True, False, True, False]
    assert lines_with_controls(lines).tolist() == told
    assert lines_with_controls(lines.select(np.array([5, 1, 6]))).tolist() == [False, True, True]
