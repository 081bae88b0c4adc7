"""The lines of a block of NDJSON as arrays, and the lines that Arrow's parser must not see.

A line is odd if it does not begin and end with a brace, is too long, is not UTF-8, or contains a zero byte. Arrow's parser
must not see lines that nest too deep, either. The scan costs a few passes over the bytes. Lines are examined one by one only
if one of them is odd.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools
from minimize.sources.files import MAX_LINE_BYTES, LineBlock
from minimize.sources.ndjson.strict_reader import MAX_DEPTH, nesting_depth

_NEWLINE, _RETURN, _OPEN, _CLOSE = b"\n\r{}"

SCAN_BYTES = 1 << 17
"""Bytes that are scanned together, so that no intermediate array is large: allocating memory costs more than searching."""

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ScannedLines:
    """Nonempty lines of a block: their starts and ends (without the line end), and which of them are odd."""

    block: LineBlock
    starts: Positions
    ends: Positions
    odd: Bools

    @property
    def marks(self) -> npt.NDArray[np.uint8]:
        """The block's bytes."""
        return np.frombuffer(self.block.data, np.uint8)

    def line(self, row: int) -> bytes:
        """One line, without its line feed."""
        return self.block.data[self.starts[row] : self.ends[row]]

    def file_positions(self, rows: Positions) -> Positions:
        """The positions of lines in their file."""
        return self.starts[rows] + self.block.position

    def text(self, rows: Positions) -> memoryview:
        """The bytes from the first to the last of these lines (by index, in order). Bytes between the lines are blank."""
        first, last = int(rows[0]), int(rows[-1])
        start = int(self.starts[first])
        data_view = memoryview(self.block.data)[start : self.ends[last]]
        if len(rows) == last - first + 1:
            return data_view
        data, others = bytearray(data_view), np.ones(last - first + 1, bool)
        others[rows - first] = False
        for row in (others.nonzero()[0] + first).tolist():
            size = int(self.ends[row] - self.starts[row])
            data[self.starts[row] - start : self.ends[row] - start] = b" " * size
        return memoryview(data)

    def lines_with(self, text: bytes, rows: Positions | None = None) -> Positions:
        """The indices of the lines that contain these bytes; of all lines, or of those from the first to the last given one."""
        within = (0, len(self.block.data)) if rows is None else (int(self.starts[rows[0]]), int(self.ends[rows[-1]]))
        places = [match.start() for match in re.compile(re.escape(text)).finditer(self.block.data, *within)]
        return self.lines_at(np.array(places, np.int64))

    def lines_at(self, places: Positions) -> Positions:
        """The indices of the lines that contain these positions of the block."""
        return np.unique(np.searchsorted(self.starts, places, side="right") - 1)

    def lines_matching(self, pattern: str, rows: Positions) -> Positions:
        """Those of the lines (by index, in order) that match an RE2 pattern. Empty lines after a line count as part of it."""
        if not len(rows):
            return rows
        first, last = int(rows[0]), int(rows[-1])
        ends = pa.array(np.append(self.starts[first:], len(self.block.data))[: last - first + 2], pa.int64())
        texts = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), last - first + 1, [None, ends.buffers()[1], pa.py_buffer(self.block.data)]
        )
        matches: Bools = np.asarray(pc.match_substring_regex(texts, pattern))
        return rows[matches[rows - first]]


def scan_lines(block: LineBlock) -> ScannedLines:
    """The lines of a block, with the odd ones marked."""
    marks = np.frombuffer(block.data, np.uint8)
    starts, ends = _line_bounds(block.data, marks)
    last = ends - 1
    last -= (marks[last] == _RETURN) & (last > starts)
    odd = (marks[starts] != _OPEN) | (marks[last] != _CLOSE) | (last - starts >= MAX_LINE_BYTES)
    lines = ScannedLines(block, starts, ends, odd)
    for rows in (_lines_with_zero(lines), _lines_not_utf8(lines)):
        odd[rows] = True
    return lines


def split_pieces(lines: ScannedLines, rows: Positions, size: int) -> Iterator[Positions]:
    """The lines in order, in pieces of about `size` bytes."""
    if len(rows):
        yield from np.split(rows, np.flatnonzero(np.diff(lines.starts[rows] // size)) + 1)


def _line_bounds(data: bytes, marks: npt.NDArray[np.uint8]) -> tuple[Positions, Positions]:
    """The starts and ends of nonempty lines."""
    windows = range(0, len(marks), SCAN_BYTES)
    newlines = ((marks[at : at + SCAN_BYTES] == _NEWLINE).nonzero()[0] + at for at in windows)
    ends = np.concatenate([np.zeros(0, np.int64), *newlines])
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])
    filled = ends > starts
    return starts[filled], ends[filled]


def _lines_with_zero(lines: ScannedLines) -> Positions:
    """The lines that contain a zero byte, plain or escaped."""
    data = lines.block.data
    texts = (text for text in (b"\0", b"\\u0000") if text[:1] in data and text in data)
    return np.concatenate([np.zeros(0, np.int64), *map(lines.lines_with, texts)])


def _lines_not_utf8(lines: ScannedLines) -> Positions:
    """The lines that are not UTF-8."""
    pieces = [] if _is_utf8(lines.block.data) else split_pieces(lines, np.arange(len(lines.starts)), SCAN_BYTES)
    some = (piece for piece in pieces if not _is_utf8(lines.text(piece)))
    invalid_rows = [row for piece in some for row in piece.tolist() if not _is_utf8(lines.line(row))]
    return np.array(invalid_rows, np.int64)


def _is_utf8(data: bytes | memoryview) -> bool:
    """Whether the bytes are UTF-8. Arrow's check takes an eighth of the time of decoding."""
    bounds = pa.py_buffer(np.array([0, len(data)], np.int64))
    with suppress(pa.ArrowException):
        pa.LargeStringArray.from_buffers(1, bounds, pa.py_buffer(data)).validate(full=True)
        return True
    return False


def deep_lines(lines: ScannedLines) -> Positions:
    """The lines that nest too deep. If few more brackets open than there are lines, there are none."""
    windows = range(0, len(lines.marks), SCAN_BYTES)
    if sum(np.count_nonzero(_opening(lines, at)) for at in windows) - len(lines.starts) < MAX_DEPTH:
        return np.zeros(0, np.int64)
    places = np.concatenate([_opening(lines, at).nonzero()[0] + at for at in windows])
    many = np.searchsorted(places, lines.ends) - np.searchsorted(places, lines.starts) > MAX_DEPTH
    return np.array([row for row in many.nonzero()[0].tolist() if nesting_depth(lines.line(row)) > MAX_DEPTH], np.int64)


def _opening(lines: ScannedLines, at: int) -> Bools:
    """Mask of the opening brackets and braces in the bytes from a position on. Both differ in one bit only."""
    opening_mask: Bools = lines.marks[at : at + SCAN_BYTES] | 32 == _OPEN
    return opening_mask
