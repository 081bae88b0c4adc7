"""The lines of a block of NDJSON as arrays, and which of them Arrow's parser must not see.

A line is odd if it does not begin with a brace and end with one, is too long or too deep, is not UTF-8, or contains a
zero byte. The scan costs a few passes over the bytes. Lines are examined one by one only if one is odd.
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
"""Bytes that are looked at together."""

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ScannedLines:
    """Lines of a block that are not empty: where they begin and end (without the line end), and which are odd.

    lasts   where the last byte of each is, a carriage return left out
    origin  where each stands in its file, if its block is made of lines that were elsewhere
    controls     where control characters stand that are no line feeds, if these have been looked for
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
        """Where a line stands in its file."""
        return int(self.file_positions(np.array([row]))[0])

    def file_positions(self, rows: Positions) -> Positions:
        """Where lines stand in their file."""
        return self.starts[rows] + self.block.position if self.origin is None else self.origin[rows]

    def select(self, rows: Positions) -> ScannedLines:
        """Some of the lines (by index) as a block of their own."""
        some = [self.line(row) for row in rows.tolist()]
        sizes = np.fromiter(map(len, some), np.int64, len(some))
        ends = np.cumsum(sizes + 1) - 1
        lasts = ends - (self.ends[rows] - self.lasts[rows])
        return ScannedLines(
            LineBlock(0, b"\n".join(some)), ends - sizes, ends, lasts, self.odd[rows], self.file_positions(rows)
        )

    def text(self, rows: Positions) -> memoryview:
        """These lines (by index, in order) as they stand, from the first to the last; what is between them is blank."""
        first, last = int(rows[0]), int(rows[-1])
        held = memoryview(self.block.data)[self.starts[first] : self.ends[last]]
        if len(rows) == last - first + 1:
            return held
        others = np.setdiff1d(np.arange(first, last + 1), rows, assume_unique=True)
        return memoryview(self.blanked(bytearray(held), others, int(self.starts[first])))

    def blanked(self, data: bytearray, rows: Positions, start: int) -> bytearray:
        """A copy of the block's bytes from `start` on, in which these lines are now blank."""
        for begin, end in zip((self.starts[rows] - start).tolist(), (self.ends[rows] - start).tolist(), strict=True):
            data[begin:end] = b" " * (end - begin)
        return data

    def lines_with(self, text: bytes) -> Positions:
        """The indices of the lines that hold these bytes."""
        return self.lines_at_offsets(
            np.array([match.start() for match in re.finditer(re.escape(text), self.block.data)], np.int64)
        )

    def lines_matching(self, pattern: str, rows: Positions) -> Positions:
        """Those of the lines (by index, in order) that match an RE2 pattern; empty lines behind a line count as part of it."""
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
        """The indices of the lines that these bytes of the block are in."""
        return np.unique(np.searchsorted(self.starts, offsets, side="right") - 1)


def scan_lines(block: LineBlock) -> ScannedLines:
    """The lines of a block, and which are odd."""
    return mark_deep_lines(scan_without_depth(block))


def scan_without_depth(block: LineBlock) -> ScannedLines:
    """The lines of a block, and which are odd; those that nest too deep are not told yet."""
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
    """The same lines, of which those that nest too deep are odd, too."""
    odd = lines.odd.copy()
    odd[_deep_lines(lines, lines.marks)] = True
    return replace(lines, odd=odd)


def split_pieces(lines: ScannedLines, rows: Positions, size: int) -> Iterator[Positions]:
    """The lines in order, in pieces of about so many bytes."""
    if len(rows):
        yield from np.split(rows, np.flatnonzero(np.diff(lines.starts[rows] // size)) + 1)


def _line_bounds(data: bytes) -> tuple[Positions, Positions, Positions]:
    """Where lines begin and end that are not empty, and where other control characters stand than those that end them."""
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
    """Where control characters stand."""
    return _positions_where(marks, lambda some: some < _BLANK)


def _byte_positions(marks: npt.NDArray[np.uint8], mark: int) -> Positions:
    """Where a byte stands."""
    return _positions_where(marks, lambda some: some == mark)


def _positions_where(marks: npt.NDArray[np.uint8], test: Callable[[npt.NDArray[np.uint8]], Bools]) -> Positions:
    """Looks in windows, so that no array in between is large: fresh memory costs more than looking."""
    found = [test(marks[at : at + SCAN_BYTES]).nonzero()[0] + at for at in range(0, len(marks), SCAN_BYTES)]
    return np.concatenate([np.zeros(0, np.int64), *found])


def lines_with_backslash(lines: ScannedLines) -> Bools:
    """The lines that hold a backslash."""
    found = np.zeros(len(lines.starts), bool)
    if b"\\" in lines.block.data:
        found[lines.lines_at_offsets(_byte_positions(lines.marks, _BACKSLASH))] = True
    return found


def lines_with_controls(lines: ScannedLines) -> Bools:
    """The lines that hold control characters beside those of their ends."""
    found = np.zeros(len(lines.starts), bool)
    low = _line_bounds(lines.block.data)[2] if lines.controls is None else lines.controls
    if len(low):
        found[lines.lines_at_offsets(np.setdiff1d(low, lines.lasts + 1, assume_unique=True))] = True
    return found


def _lines_with_zero(lines: ScannedLines) -> Positions:
    """The lines that hold a zero byte, as it is or escaped."""
    data, found = lines.block.data, np.zeros(0, np.int64)
    if (lines.controls is None or len(lines.controls)) and b"\0" in data:
        found = lines.lines_with(b"\0")
    return np.union1d(found, lines.lines_with(b"\\u0000")) if b"\\" in data and b"\\u0000" in data else found


def _lines_not_utf8(lines: ScannedLines) -> Positions:
    """The lines that are not UTF-8: where decoding stops it goes on behind that line."""
    found: list[int] = []
    at = len(lines.block.data) if lines.block.data.isascii() else 0
    while (stop := _first_undecodable(memoryview(lines.block.data)[at:])) is not None:
        found.append(int(np.searchsorted(lines.starts, at + stop, side="right")) - 1)
        at = int(lines.ends[found[-1]])
    return np.array(found, np.int64)


def _first_undecodable(data: memoryview) -> int | None:
    """Where bytes are no UTF-8; None where they are."""
    try:
        str(data, "utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None


def _deep_lines(lines: ScannedLines, marks: npt.NDArray[np.uint8]) -> Positions:
    """The lines that nest too deep. Where hardly more than a brace a line opens, none does.

    A bit is all that a bracket and a brace differ in.
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
    """How many of the places are within each line."""
    return np.searchsorted(places, lines.ends) - np.searchsorted(places, lines.starts)
