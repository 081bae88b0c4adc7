"""Lines of NDJSON cut into the texts of their values, many lines at once.

All lines are walked from key to key in one order. A key that does not stand where the walk has come to, byte by byte, is absent
in that line. A value in quotes ends at the next quote, any other before the next comma or brace. A line is cut where the walk
ends at its brace: then it holds these keys, each at most once, and nothing else but the values between them. Any other line is
left to others, and so is one that holds a backslash or a control character, which are not looked for here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.io.json_literal import WIDTH, WINDOW, Literal, Marks, Words, first, words
from minimize.io.json_order import LONGEST, Order
from minimize.io.json_scan import Places, Scanned
from minimize.io.rows import Mask

PIECE = 4 << 20
"""About how many bytes are walked together: so many that threads seldom hand the interpreter to each other."""
_FRONT, _BEHIND = 8, LONGEST + 2 * WIDTH
"""Bytes before and behind the lines, so that what is looked at is always there."""
_SHORT = 32
"""The longest text before a value that is looked at together with it."""
_VALUE = 4
"""How many bytes there are at least for each value that is looked for: most keys are in most lines, and memory is bounded."""
_FEW = 32
"""So many texts that are long are looked through one by one."""
_QUOTE = b'"'
_STOPS = b",}"
"""What ends a value in no quotes."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Lines that are cut: their indices, and a row for each key that says in which of them it is, and in which in quotes.

    texts  all texts, without quotes, the lines of one key after the other; empty where the key is not
    """

    rows: Places
    texts: pa.StringArray
    there: npt.NDArray[np.bool_]
    quoted: npt.NDArray[np.bool_]

    def of(self, key: int) -> pa.StringArray:
        """The texts of one key."""
        return self.texts.slice(key * len(self.rows), len(self.rows))


def cut(lines: Scanned, rows: Places, fit: Mask, order: Order) -> Cuts | None:
    """Those of some lines that fit, cut; None where it is of no use to try. Takes the indices of lines that follow each other."""
    size = int(lines.ends[rows[-1]] - lines.starts[rows[0]])
    if len(rows) * len(order.keys) * _VALUE > size:
        return None
    walk = _Walk.before(lines, rows, len(order.lead))
    values = [walk.past(literal) for literal in order.literals]
    good = walk.done() & fit[rows]
    some = slice(None) if good.all() else good.nonzero()[0]
    held = rows[some]
    spans = np.empty((len(values), len(held), 2), np.int32)
    there, quoted = np.empty((2, len(values), len(held)), bool)
    for key, value in enumerate(values):
        there[key], quoted[key] = value.there[some], value.quoted[some]
        spans[key, :, 0], spans[key, :, 1] = value.starts[some], value.ends[some]
    return Cuts(held, _texts(walk.text, spans), there, quoted)


def _texts(text: Marks, spans: npt.NDArray[np.int32]) -> pa.StringArray:
    """What is between two places of a text, and the next two."""
    if not spans.size:
        return pa.array([], pa.string())
    every = pa.StringArray.from_buffers(spans.size - 1, pa.py_buffer(spans), pa.py_buffer(text))
    return every.take(pa.array(np.arange(0, spans.size, 2, dtype=np.int32)))


@dataclass(frozen=True, slots=True)
class _Value:
    """One key's values, line by line. Where it is not there its text is empty and stands where the walk is."""

    there: Mask
    quoted: Mask
    starts: Places
    ends: Places


@dataclass(slots=True)
class _Walk:
    """At which byte the walk is in each line.

    text   the lines, each beginning as if a key were before its first
    data   the block that they are from
    ahead  how far each byte is from its place there
    close  where each line's brace is
    """

    text: Marks
    data: bytes
    ahead: int
    close: Places
    at: Places

    @classmethod
    def before(cls, lines: Scanned, rows: Places, lead: int) -> _Walk:
        """A walk before its first step; takes how many bytes are before a key."""
        start, end = int(lines.starts[rows[0]]), int(lines.ends[rows[-1]])
        text = np.empty(_FRONT + end - start + _BEHIND, np.uint8)
        text[:_FRONT] = text[_FRONT + end - start :] = 0
        text[_FRONT : _FRONT + end - start] = lines.marks[start:end]
        begin, close = lines.starts[rows] + (_FRONT - start), lines.lasts[rows] + (_FRONT - start)
        for place, mark in enumerate(b", "[:lead]):
            text[begin + (1 - lead + place)] = mark
        return cls(text, lines.block.data, _FRONT - start, close, begin + (1 - lead))

    def past(self, literal: Literal) -> _Value:
        """Goes past a key and its value where they are next."""
        found = words(self.text, self.at, max(WIDTH, literal.width))
        there = literal.met(found)
        many = np.count_nonzero(there)
        if not many:
            return _Value(there, there, self.at, self.at)
        if many == len(there):
            near = found if len(literal) <= _SHORT else None
            value = _Value(there, *self._value(slice(None), len(literal), near))
        else:
            rows = there.nonzero()[0]
            quoted, starts, ends = np.zeros(len(there), bool), self.at.copy(), self.at.copy()
            quoted[rows], starts[rows], ends[rows] = self._value(rows, len(literal))
            value = _Value(there, quoted, starts, ends)
        self.at = value.ends + value.quoted
        return value

    def _value(self, rows: Places | slice, skip: int, found: Words | None = None) -> tuple[Mask, Places, Places]:
        """Values so many bytes behind where the walk is: which are in quotes, where they begin, where they end.

        Takes what is found where the walk is, if it has been looked at.
        """
        at = self.at[rows]
        if found is None:
            at, skip, found = at + skip, 0, words(self.text, at + skip)
        quoted = found.view(np.uint8).reshape(-1, WIDTH)[:, skip] == _QUOTE[0]
        many = np.count_nonzero(quoted)
        ends = at + first(found, skip + bool(many), _QUOTE if many else _STOPS)
        starts = at + skip
        short = ends < starts
        if many < len(quoted):
            if many:
                ends = np.where(quoted, ends, at + first(found, skip, _STOPS))
            ends = np.maximum(starts, ends)
            short &= quoted
        if many and short.any():
            ends[short] = self._beyond(starts[short] + (WINDOW - skip), self.close[rows][short])
        return quoted, starts + quoted, ends

    def _beyond(self, places: Places, close: Places) -> Places:
        """Where the next quote is from each place on; where the line is closed before there is one."""
        ends, left = close.copy(), np.arange(len(places))
        while len(left := left[places[left] < close[left]]) > _FEW:
            behind = first(words(self.text, places[left]), 0, _QUOTE)
            met = behind >= 0
            ends[left[met]] = places[left[met]] + behind[met]
            left = left[~met]
            places[left] += WINDOW
        for row in left.tolist():
            place = self.data.find(_QUOTE, places[row] - self.ahead, close[row] - self.ahead)
            ends[row] = close[row] if place < 0 else place + self.ahead
        return ends

    def done(self) -> Mask:
        """The lines whose end the walk has come to."""
        done: Mask = self.at == self.close
        return done
