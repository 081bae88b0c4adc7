"""The lines of a block of NDJSON as arrays, and the lines that Arrow's parser must not see.

A line is odd if it does not begin and end with a brace, is too long or too deep, is not UTF-8, or contains a zero byte.
The scan costs a few passes over the bytes. Lines are examined one by one only if one of them is odd.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools
from minimize.sources.files import MAX_LINE_BYTES, LineBlock
from minimize.sources.ndjson.strict_reader import MAX_DEPTH, nesting_depth

_NEWLINE, _RETURN, _BLANK, _OPEN, _CLOSE, _LIST, _BACKSLASH = b"\n\r {}[\\"

SCAN_BYTES = 1 << 17
"""Bytes that are scanned together."""

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ScannedLines:
    """Nonempty lines of a block: their starts and ends (without the line end), and which of them are odd.

    lasts   the position of each line's last byte, without a carriage return
    origin  the position of each line in its file, if the block was composed of lines from other blocks
    controls     the positions of control characters other than line feeds, if they were searched
    """

    block: LineBlock
    starts: Positions
    ends: Positions
    lasts: Positions
    odd: Bools
    origin: Positions | None = None
    controls: Positions | None = None

    @property
    def marks(self) -> npt.NDArray[np.uint8]:
        """The block's bytes."""
        return np.frombuffer(self.block.data, np.uint8)

    def line(self, row: int) -> bytes:
        """One line, without its line feed."""
        return self.block.data[self.starts[row] : self.ends[row]]

    def file_position(self, row: int) -> int:
        """The position of a line in its file."""
        return int(self.file_positions(np.array([row]))[0])

    def file_positions(self, rows: Positions) -> Positions:
        """The positions of lines in their file."""
        return self.starts[rows] + self.block.position if self.origin is None else self.origin[rows]

    def select(self, rows: Positions) -> ScannedLines:
        """Some of the lines (by index) as a new block."""
        some = [self.line(row) for row in rows.tolist()]
        sizes = np.fromiter(map(len, some), np.int64, len(some))
        ends = np.cumsum(sizes + 1) - 1
        lasts = ends - (self.ends[rows] - self.lasts[rows])
        return ScannedLines(
            block=LineBlock(0, b"\n".join(some)),
            starts=ends - sizes,
            ends=ends,
            lasts=lasts,
            odd=self.odd[rows],
            origin=self.file_positions(rows),
        )

    def text(self, rows: Positions) -> memoryview:
        """The bytes from the first to the last of these lines (by index, in order). Bytes between the lines are blank."""
        first, last = int(rows[0]), int(rows[-1])
        held = memoryview(self.block.data)[self.starts[first] : self.ends[last]]
        if len(rows) == last - first + 1:
            return held
        others = np.setdiff1d(np.arange(first, last + 1), rows, assume_unique=True)
        return memoryview(self.blanked(bytearray(held), others, int(self.starts[first])))

    def blanked(self, data: bytearray, rows: Positions, start: int) -> bytearray:
        """A copy of the block's bytes from `start` on, in which these lines are blank."""
        for begin, end in zip((self.starts[rows] - start).tolist(), (self.ends[rows] - start).tolist(), strict=True):
            data[begin:end] = b" " * (end - begin)
        return data

    def lines_with(self, text: bytes) -> Positions:
        """The indices of the lines that contain these bytes."""
        return self.lines_at_offsets(
            np.array([match.start() for match in re.finditer(re.escape(text), self.block.data)], np.int64)
        )

    def lines_matching(self, pattern: str, rows: Positions) -> Positions:
        """Those of the lines (by index, in order) that match an RE2 pattern. Empty lines after a line count as part of it."""
        if not len(rows):
            return rows
        first, last = int(rows[0]), int(rows[-1])
        ends = pa.array(np.append(self.starts[first:], len(self.block.data))[: last - first + 2], pa.int64())
        texts = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), last - first + 1, [None, ends.buffers()[1], pa.py_buffer(self.block.data)]
        )
        found: Bools = np.asarray(pc.match_substring_regex(texts, pattern))
        return rows[found[rows - first]]

    def lines_at_offsets(self, offsets: Positions) -> Positions:
        """The indices of the lines that contain these byte offsets of the block."""
        return np.unique(np.searchsorted(self.starts, offsets, side="right") - 1)


def scan_lines(block: LineBlock) -> ScannedLines:
    """The lines of a block, with the odd ones marked."""
    return mark_deep_lines(scan_without_depth(block))


def scan_without_depth(block: LineBlock) -> ScannedLines:
    """The lines of a block, with the odd ones marked except those that nest too deep."""
    starts, ends, low = _line_bounds(block.data)
    marks = np.frombuffer(block.data, np.uint8)
    last = ends - 1
    last -= (marks[last] == _RETURN) & (last > starts)
    odd = (marks[starts] != _OPEN) | (marks[last] != _CLOSE) | (last - starts >= MAX_LINE_BYTES)
    found = ScannedLines(block, starts, ends, last, odd, controls=low)
    for rows in (_lines_with_zero(found), _lines_not_utf8(found)):
        found.odd[rows] = True
    return found


def mark_deep_lines(lines: ScannedLines) -> ScannedLines:
    """The same lines, with those that nest too deep also marked as odd."""
    odd = lines.odd.copy()
    odd[_deep_lines(lines, lines.marks)] = True
    return replace(lines, odd=odd)


def split_pieces(lines: ScannedLines, rows: Positions, size: int) -> Iterator[Positions]:
    """The lines in order, in pieces of about `size` bytes."""
    if len(rows):
        yield from np.split(rows, np.flatnonzero(np.diff(lines.starts[rows] // size)) + 1)


def _line_bounds(data: bytes) -> tuple[Positions, Positions, Positions]:
    """The starts and ends of nonempty lines, and the positions of control characters other than line ends."""
    marks = np.frombuffer(data, np.uint8)
    low = _control_positions(marks)
    feeds = marks[low] == _NEWLINE
    ends, others = (low, low[:0]) if feeds.all() else (low[feeds], low[~feeds])
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])
    filled = ends > starts
    return (starts, ends, others) if filled.all() else (starts[filled], ends[filled], others)


def _control_positions(marks: npt.NDArray[np.uint8]) -> Positions:
    """The positions of control characters."""
    return _positions_where(marks, lambda some: some < _BLANK)


def _byte_positions(marks: npt.NDArray[np.uint8], mark: int) -> Positions:
    """The positions of a byte."""
    return _positions_where(marks, lambda some: some == mark)


def _positions_where(marks: npt.NDArray[np.uint8], test: Callable[[npt.NDArray[np.uint8]], Bools]) -> Positions:
    """Searches in windows, so that no intermediate array is large: allocating memory costs more than searching."""
    found = [test(marks[at : at + SCAN_BYTES]).nonzero()[0] + at for at in range(0, len(marks), SCAN_BYTES)]
    return np.concatenate([np.zeros(0, np.int64), *found])


def lines_with_backslash(lines: ScannedLines) -> Bools:
    """Mask of the lines that contain a backslash."""
    found = np.zeros(len(lines.starts), bool)
    if b"\\" in lines.block.data:
        found[lines.lines_at_offsets(_byte_positions(lines.marks, _BACKSLASH))] = True
    return found


def lines_with_controls(lines: ScannedLines) -> Bools:
    """Mask of the lines that contain control characters other than their line ends."""
    found = np.zeros(len(lines.starts), bool)
    low = _line_bounds(lines.block.data)[2] if lines.controls is None else lines.controls
    if len(low):
        found[lines.lines_at_offsets(np.setdiff1d(low, lines.lasts + 1, assume_unique=True))] = True
    return found


def _lines_with_zero(lines: ScannedLines) -> Positions:
    """The lines that contain a zero byte, plain or escaped."""
    data, found = lines.block.data, np.zeros(0, np.int64)
    if (lines.controls is None or len(lines.controls)) and b"\0" in data:
        found = lines.lines_with(b"\0")
    return np.union1d(found, lines.lines_with(b"\\u0000")) if b"\\" in data and b"\\u0000" in data else found


def _lines_not_utf8(lines: ScannedLines) -> Positions:
    """The lines that are not UTF-8. After an error, decoding continues after that line."""
    found: list[int] = []
    at = len(lines.block.data) if lines.block.data.isascii() else 0
    while (stop := _first_undecodable(memoryview(lines.block.data)[at:])) is not None:
        found.append(int(np.searchsorted(lines.starts, at + stop, side="right")) - 1)
        at = int(lines.ends[found[-1]])
    return np.array(found, np.int64)


def _first_undecodable(data: memoryview) -> int | None:
    """The position of the first byte that is not UTF-8; None if there is none."""
    try:
        str(data, "utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None


def _deep_lines(lines: ScannedLines, marks: npt.NDArray[np.uint8]) -> Positions:
    """The lines that nest too deep. If few more braces open than there are lines, there are none.

    A bracket and a brace differ in only one bit.
    """
    windows = (marks[at : at + SCAN_BYTES] for at in range(0, len(marks), SCAN_BYTES))
    opened = sum(np.count_nonzero(some | 32 == _OPEN) for some in windows)
    if opened - len(lines.starts) < MAX_DEPTH:
        return np.zeros(0, np.int64)
    many = sum(_count_within_lines(_byte_positions(marks, mark), lines) for mark in (_OPEN, _LIST)) > MAX_DEPTH
    return np.array(
        [row for row in np.flatnonzero(many).tolist() if nesting_depth(lines.line(row)) > MAX_DEPTH], np.int64
    )


def _count_within_lines(places: Positions, lines: ScannedLines) -> Positions:
    """The number of positions within each line."""
    return np.searchsorted(places, lines.ends) - np.searchsorted(places, lines.starts)
