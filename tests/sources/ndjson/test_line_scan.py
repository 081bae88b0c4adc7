from __future__ import annotations

import numpy as np
import pytest

from minimize.sources import files as module
from minimize.sources.files import MAX_LINE_BYTES, LineBlock
from minimize.sources.ndjson.line_scan import deep_lines, scan_lines


def odd(data: bytes) -> list[bool]:
    return [bool(flag) for flag in scan_lines(LineBlock(0, data)).odd]


def test_lines_are_found_without_their_ends_and_empty_ones_left_out() -> None:
    lines = scan_lines(LineBlock(100, b'{"a":1}\n\n{"b":2}\r\n{}'))
    assert [lines.line(row) for row in range(3)] == [b'{"a":1}', b'{"b":2}\r', b"{}"]
    assert lines.file_positions(np.arange(3)).tolist() == [100, 109, 118]
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
    ],
)
def test_an_odd_line_is_marked_without_its_neighbours(line: bytes) -> None:
    assert odd(b'{"id":"\xc3\xa9"}\n' + line + b"\n{}") == [False, True, False]


@pytest.mark.parametrize(
    "line",
    [b"{}", b'{"a":"NaN"}', b'{"a":"\\u00e9"}'],
)
def test_an_unusual_valid_line_is_not_odd(line: bytes) -> None:
    assert odd(line) == [False]


def test_every_line_that_is_not_utf8_is_marked() -> None:
    text = [b'{"a":"\xff"}', b'{"a":"\xc3\xa9"}', b'{"a":"\xc3"}', b'{"a":"\xed\xa0\x80"}', b"{}", b'{"a":"\xf0\x9f"}']
    assert odd(b"\n\n".join(text)) == [True, False, True, True, False, True]


def test_a_line_above_the_limit_is_odd_with_any_line_end() -> None:
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


def test_texts_are_looked_for_among_the_lines_asked_for() -> None:
    lines = scan_lines(LineBlock(0, b'{"a":1}\n{"a":2}\n\n{"b":1}\n{"a":3}'))
    assert lines.lines_with(b'"a"').tolist() == [0, 1, 3]
    assert lines.lines_with(b'"a"', np.array([1, 2])).tolist() == [1]


@pytest.mark.parametrize("many", [1, 500])
def test_lines_with_too_deep_nesting_are_marked(many: int) -> None:
    deep, as_text = b'{"u":' + b"[" * 128 + b"]" * 128 + b"}", b'{"a":"' + b"[" * 200 + b'"}'
    just = b'{"u":' + b"[" * 127 + b"]" * 127 + b"}"
    lines = scan_lines(LineBlock(0, b"\n".join([deep, b"{}", just, as_text] * many)))
    assert not lines.odd.any()
    assert deep_lines(lines).tolist() == [*range(0, 4 * many, 4)]
