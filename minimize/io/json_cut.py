"""Lines of NDJSON cut into the texts of their values, many lines at once, by where their quotes stand.

All lines are walked from key to key in one order. A key that does not stand where the walk has come to, byte by byte, is absent
in that line. A line is cut where the walk ends at its brace and has passed all of its quotes and no others: then it holds these
keys, each at most once, and nothing else but the values between them. Any other line is left to others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.io.json_literal import Literal, Marks
from minimize.io.json_order import LONGEST, Order
from minimize.io.json_scan import Places, Scanned, controls
from minimize.io.rows import Mask

PIECE = 1 << 20
"""About how many bytes are walked together: as many as a processor has near."""
_FRONT, _BEHIND = 8, LONGEST + 64
"""Bytes before and behind the lines, so that what is looked at is always there."""
_SPARE = 8
"""Quotes that are pretended to stand behind the last one."""
_COMMON = 3
"""Where more than one byte in so many is a quote, there is nothing between them."""
_VALUE = 4
"""How many bytes there are at least for each value that is looked for: most keys are in most lines, and memory is bounded."""
_QUOTE = b'"'[0]


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
    walk = _Walk.before(lines, rows, len(order.lead)) if len(rows) * len(order.keys) * _VALUE <= size else None
    if walk is None:
        return None
    values = [walk.past(literal) for literal in order.literals]
    good = (walk.done() & fit[rows] & ~controls(lines, rows)).nonzero()[0]
    places = np.empty((len(good), len(values), 2), np.int32)
    for column, value in enumerate(values):
        places[:, column, 0] = value.starts[good]
        places[:, column, 1] = value.ends[good]
    there, quoted = (
        np.array(masks)[:, good] for masks in zip(*((one.there, one.quoted) for one in values), strict=True)
    )
    return Cuts(rows[good], _texts(walk.text, places), there, quoted)


def _texts(text: Marks, places: npt.NDArray[np.int32]) -> pa.StringArray:
    """What is between places of a text, which are in order line by line, key by key; given key by key."""
    lines, keys, _ = places.shape
    if not places.size:
        return pa.array([], pa.string())
    spans = pa.StringArray.from_buffers(places.size - 1, pa.py_buffer(places), pa.py_buffer(text))
    return spans.take(pa.array(np.arange(0, places.size, 2, dtype=np.int32).reshape(lines, keys).T.ravel()))


@dataclass(frozen=True, slots=True)
class _Value:
    """One key's values, line by line. Where it is not there its text is empty and stands where the walk is."""

    there: Mask
    quoted: Mask
    starts: Places
    ends: Places


@dataclass(slots=True)
class _Walk:
    """Where the walk is in each line: at which byte, and which quote is the next.

    text    the lines, each beginning as if a key were before its first
    lead    how many bytes are before a key
    quotes  where all quotes stand
    close   where each line's brace is
    after   which quote is the first behind each line
    sound   the lines in which nothing was met that cannot be
    """

    text: Marks
    lead: int
    quotes: Places
    close: Places
    after: Places
    at: Places
    next: Places
    sound: Mask

    @classmethod
    def before(cls, lines: Scanned, rows: Places, lead: int) -> _Walk | None:
        """A walk before its first step, over lines without other control characters than those of their ends."""
        start, end = int(lines.starts[rows[0]]), int(lines.ends[rows[-1]])
        text = np.empty(_FRONT + end - start + _BEHIND, np.uint8)
        text[:_FRONT] = text[_FRONT + end - start :] = 0
        text[_FRONT : _FRONT + end - start] = lines.marks[start:end]
        quoting = text == _QUOTE
        if np.count_nonzero(quoting) * _COMMON > len(text):
            return None
        quotes = quoting.nonzero()[0]
        begin, close = lines.starts[rows] + (_FRONT - start), lines.lasts[rows] + (_FRONT - start)
        first = np.searchsorted(quotes, begin)
        after = np.append(first[1:], len(quotes))
        for place, mark in enumerate(b", "[:lead]):
            text[begin + (1 - lead + place)] = mark
        quotes = np.append(quotes, np.full(_SPARE, _FRONT + end - start))
        return cls(text, lead, quotes, close, after, begin + (1 - lead), first, np.ones(len(rows), bool))

    def past(self, literal: Literal) -> _Value:
        """Goes past a key and its value where they are next."""
        there = literal.met(self.text, self.at)
        if np.count_nonzero(there) == len(there):
            value, self.at, self.next = self._value(self.at, self.next, slice(None), len(literal))
            return value
        rows = there.nonzero()[0]
        starts, ends, quoted = self.at, self.at.copy(), np.zeros(len(there), bool)
        if len(rows):
            value, at, quote = self._value(self.at[rows], self.next[rows], rows, len(literal))
            starts, self.at, self.next = starts.copy(), self.at.copy(), self.next.copy()
            quoted[rows], starts[rows], ends[rows] = value.quoted, value.starts, value.ends
            self.at[rows], self.next[rows] = at, quote
        return _Value(there, quoted, starts, ends)

    def _value(self, at: Places, quote: Places, rows: Places | slice, skip: int) -> tuple[_Value, Places, Places]:
        """The values behind a key, which begins at these places, and where the walk is behind them."""
        opened = self.text[skip:][at] == _QUOTE
        opening = np.count_nonzero(opened)
        if opening == len(opened):
            ends = self.quotes[3:][quote]
            return _Value(opened, opened, at + (skip + 1), ends), ends + 1, quote + 4
        starts, quote = at + skip, quote + 2
        ends = np.where(quote == self.after[rows], self.close[rows], self.quotes[quote] - self.lead)
        self.sound[rows] &= opened | (ends >= starts)
        if opening:
            ends = np.where(opened, self.quotes[1:][quote], ends)
            every = np.ones(len(opened), bool)
            return _Value(every, opened, starts + opened, ends), ends + opened, quote + 2 * opened
        return _Value(~opened, opened, starts, ends), ends, quote

    def done(self) -> Mask:
        """The lines whose end the walk has come to."""
        done: Mask = self.sound & (self.at == self.close) & (self.next == self.after)
        return done
