"""The lines of a block of NDJSON as arrays, and which of them are odd: what Arrow's parser does not see, or must not see.

Odd is a line that does not begin with a brace and end with one, is too long or too deep, is not UTF-8, or holds a zero
byte. Looking costs a few passes over the bytes; lines are looked at one by one only where one is odd.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.io.json_strict import DEPTH, depth
from minimize.io.lines import LIMIT, Block
from minimize.io.rows import Mask

_NEWLINE, _RETURN, _BLANK, _OPEN, _CLOSE, _LIST, _BACKSLASH = b"\n\r {}[\\"

WINDOW = 1 << 17
"""Bytes that are looked at together."""

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scanned:
    """Lines of a block that are not empty: where they begin and end (without the line end), and which are odd.

    lasts   where the last byte of each is, a carriage return left out
    origin  where each stands in its file, if its block is made of lines that were elsewhere
    low     where control characters stand that are no line feeds, if these have been looked for
    """

    block: Block
    starts: Places
    ends: Places
    lasts: Places
    odd: Mask
    origin: Places | None = None
    low: Places | None = None

    @property
    def marks(self) -> npt.NDArray[np.uint8]:
        """The block's bytes."""
        return np.frombuffer(self.block.data, np.uint8)

    def line(self, row: int) -> bytes:
        """One line, without its line feed."""
        return self.block.data[self.starts[row] : self.ends[row]]

    def position(self, row: int) -> int:
        """Where a line stands in its file."""
        return int(self.places(np.array([row]))[0])

    def places(self, rows: Places) -> Places:
        """Where lines stand in their file."""
        return self.starts[rows] + self.block.position if self.origin is None else self.origin[rows]

    def only(self, rows: Places) -> Scanned:
        """Some of the lines (by index) as a block of their own."""
        some = [self.line(row) for row in rows.tolist()]
        sizes = np.fromiter(map(len, some), np.int64, len(some))
        ends = np.cumsum(sizes + 1) - 1
        lasts = ends - (self.ends[rows] - self.lasts[rows])
        return Scanned(Block(0, b"\n".join(some)), ends - sizes, ends, lasts, self.odd[rows], self.places(rows))

    def text(self, rows: Places) -> memoryview:
        """These lines (by index, in order) as they stand, from the first to the last; what is between them is blank."""
        first, last = int(rows[0]), int(rows[-1])
        held = memoryview(self.block.data)[self.starts[first] : self.ends[last]]
        if len(rows) == last - first + 1:
            return held
        others = np.setdiff1d(np.arange(first, last + 1), rows, assume_unique=True)
        return memoryview(self.blanked(bytearray(held), others, int(self.starts[first])))

    def blanked(self, data: bytearray, rows: Places, start: int) -> bytearray:
        """A copy of the block's bytes from `start` on, in which these lines are now blank."""
        for begin, end in zip((self.starts[rows] - start).tolist(), (self.ends[rows] - start).tolist(), strict=True):
            data[begin:end] = b" " * (end - begin)
        return data

    def holding(self, text: bytes) -> Places:
        """The indices of the lines that hold these bytes."""
        return self.at(np.array([match.start() for match in re.finditer(re.escape(text), self.block.data)], np.int64))

    def matching(self, pattern: str, rows: Places) -> Places:
        """Those of the lines (by index, in order) that match an RE2 pattern; empty lines behind a line count as part of it."""
        if not len(rows):
            return rows
        first, last = int(rows[0]), int(rows[-1])
        ends = pa.array(np.append(self.starts[first:], len(self.block.data))[: last - first + 2], pa.int64())
        texts = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), last - first + 1, [None, ends.buffers()[1], pa.py_buffer(self.block.data)]
        )
        found: Mask = np.asarray(pc.match_substring_regex(texts, pattern))
        return rows[found[rows - first]]

    def at(self, offsets: Places) -> Places:
        """The indices of the lines that these bytes of the block are in."""
        return np.unique(np.searchsorted(self.starts, offsets, side="right") - 1)


def scan(block: Block) -> Scanned:
    """The lines of a block, and which are odd."""
    return deepened(looked(block))


def looked(block: Block) -> Scanned:
    """The lines of a block, and which are odd; those that nest too deep are not told yet."""
    starts, ends, low = _bounds(block.data)
    marks = np.frombuffer(block.data, np.uint8)
    last = ends - 1
    last -= (marks[last] == _RETURN) & (last > starts)
    odd = (marks[starts] != _OPEN) | (marks[last] != _CLOSE) | (last - starts >= LIMIT)
    found = Scanned(block, starts, ends, last, odd, low=low)
    for rows in (_zeros(found), _foreign(found)):
        found.odd[rows] = True
    return found


def deepened(lines: Scanned) -> Scanned:
    """The same lines, of which those that nest too deep are odd, too."""
    odd = lines.odd.copy()
    odd[_deep(lines, lines.marks)] = True
    return replace(lines, odd=odd)


def pieces(lines: Scanned, rows: Places, size: int) -> Iterator[Places]:
    """The lines in order, in pieces of about so many bytes."""
    if len(rows):
        yield from np.split(rows, np.flatnonzero(np.diff(lines.starts[rows] // size)) + 1)


def _bounds(data: bytes) -> tuple[Places, Places, Places]:
    """Where lines begin and end that are not empty, and where other control characters stand than those that end them."""
    marks = np.frombuffer(data, np.uint8)
    low = _low(marks)
    feeds = marks[low] == _NEWLINE
    ends, others = (low, low[:0]) if feeds.all() else (low[feeds], low[~feeds])
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])
    filled = ends > starts
    return (starts, ends, others) if filled.all() else (starts[filled], ends[filled], others)


def _low(marks: npt.NDArray[np.uint8]) -> Places:
    """Where control characters stand."""
    return _where(marks, lambda some: some < _BLANK)


def _places(marks: npt.NDArray[np.uint8], mark: int) -> Places:
    """Where a byte stands."""
    return _where(marks, lambda some: some == mark)


def _where(marks: npt.NDArray[np.uint8], told: Callable[[npt.NDArray[np.uint8]], Mask]) -> Places:
    """Looks in windows, so that no array in between is large: fresh memory costs more than looking."""
    found = [told(marks[at : at + WINDOW]).nonzero()[0] + at for at in range(0, len(marks), WINDOW)]
    return np.concatenate([np.zeros(0, np.int64), *found])


def escaped(lines: Scanned) -> Mask:
    """The lines that hold a backslash."""
    found = np.zeros(len(lines.starts), bool)
    if b"\\" in lines.block.data:
        found[lines.at(_places(lines.marks, _BACKSLASH))] = True
    return found


def controls(lines: Scanned) -> Mask:
    """The lines that hold control characters beside those of their ends."""
    found = np.zeros(len(lines.starts), bool)
    low = _bounds(lines.block.data)[2] if lines.low is None else lines.low
    if len(low):
        found[lines.at(np.setdiff1d(low, lines.lasts + 1, assume_unique=True))] = True
    return found


def _zeros(lines: Scanned) -> Places:
    """The lines that hold a zero byte, as it is or escaped."""
    data, found = lines.block.data, np.zeros(0, np.int64)
    if (lines.low is None or len(lines.low)) and b"\0" in data:
        found = lines.holding(b"\0")
    return np.union1d(found, lines.holding(b"\\u0000")) if b"\\" in data and b"\\u0000" in data else found


def _foreign(lines: Scanned) -> Places:
    """The lines that are not UTF-8: where decoding stops it goes on behind that line."""
    found: list[int] = []
    at = len(lines.block.data) if lines.block.data.isascii() else 0
    while (stop := _undecodable(memoryview(lines.block.data)[at:])) is not None:
        found.append(int(np.searchsorted(lines.starts, at + stop, side="right")) - 1)
        at = int(lines.ends[found[-1]])
    return np.array(found, np.int64)


def _undecodable(data: memoryview) -> int | None:
    """Where bytes are no UTF-8; None where they are."""
    try:
        str(data, "utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None


def _deep(lines: Scanned, marks: npt.NDArray[np.uint8]) -> Places:
    """The lines that nest too deep. Where hardly more than a brace a line opens, none does.

    A bit is all that a bracket and a brace differ in.
    """
    windows = (marks[at : at + WINDOW] for at in range(0, len(marks), WINDOW))
    opened = sum(np.count_nonzero(some | 32 == _OPEN) for some in windows)
    if opened - len(lines.starts) < DEPTH:
        return np.zeros(0, np.int64)
    many = sum(_within(_places(marks, mark), lines) for mark in (_OPEN, _LIST)) > DEPTH
    return np.array([row for row in np.flatnonzero(many).tolist() if depth(lines.line(row)) > DEPTH], np.int64)


def _within(places: Places, lines: Scanned) -> Places:
    """How many of the places are within each line."""
    return np.searchsorted(places, lines.ends) - np.searchsorted(places, lines.starts)
