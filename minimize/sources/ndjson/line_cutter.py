"""Splits lines of NDJSON into the texts of their values, many lines at once.

Lines written by one program are alike: the same keys in the same order, some of them omitted, the same blanks. The
order is learned from a few lines. It is a guess that is checked byte by byte: a wrong one is slow, never wrong.

All lines are walked from key to key in that order. A key that is not found at the current position is absent in that line.
A quoted value ends at the next quote, any other before the next comma or brace. A line is valid if the walk ends at its
closing brace: then it has these keys, each at most once, and only values between them. All other lines are left to other
readers, and so are lines with a backslash or a control character.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.arrow.dictionaries import Bools
from minimize.sources.ndjson.line_scan import Positions, ScannedLines

ByteArray = npt.NDArray[np.uint8]
ByteWindows = npt.NDArray[np.uint64]
"""Eight bytes from each position, one row each."""
WINDOW_BYTES = 64
"""Bytes of a window."""
WINDOW_MARKS = WINDOW_BYTES - 1
"""Number of bytes of a window that can be distinguished: the bits of a word without its sign."""
_WINDOW = np.dtype(f"V{WINDOW_BYTES}")
_FRACTION, _BIAS = 52, 1023
"""The format of a double: bits of its fraction, and the bias of its exponent."""


@dataclass(frozen=True, slots=True)
class ByteLiteral:
    """A constant that is compared in words of eight bytes; the last word only as far as it has bytes.

    >>> text = np.frombuffer(b"banana".ljust(16), np.uint8)
    >>> ByteLiteral.from_bytes(b"na").matches(byte_windows(text, np.arange(6), 8)).tolist()
    [False, False, True, False, True, False]
    """

    size: int
    words: tuple[np.uint64, ...]
    mask: np.uint64

    @classmethod
    def from_bytes(cls, data: bytes) -> ByteLiteral:
        """From at least one byte."""
        width = -(-len(data) // 8) * 8
        every = np.frombuffer(data.ljust(width, b"\0"), np.uint64)
        mask = np.frombuffer((b"\xff" * len(data)).ljust(width, b"\0"), np.uint64)
        return cls(len(data), tuple(every), mask[-1])

    def __len__(self) -> int:
        return self.size

    @property
    def width(self) -> int:
        """Number of bytes that are compared."""
        return 8 * len(self.words)

    def matches(self, found: ByteWindows) -> Bools:
        """Whether rows begin with these bytes. The rows must be at least `width` bytes long."""
        *others, last = self.words
        met: Bools = found[:, len(others)] & self.mask == last
        for place, word in enumerate(others):
            met &= found[:, place] == word
        return met


def byte_windows(text: ByteArray, places: npt.NDArray[np.int64], width: int = WINDOW_BYTES) -> ByteWindows:
    """`width` bytes (a multiple of eight) from each position. As many bytes must follow each position."""
    view = np.ndarray(len(text) - width + 1, _WINDOW if width == WINDOW_BYTES else f"V{width}", text, strides=(1,))
    return view[places].view(np.uint64).reshape(-1, width // 8)


def first_mark(found: ByteWindows, skip: int, marks: bytes) -> npt.NDArray[np.int64]:
    """The index of the first mark in each row of a window, after `skip` bytes; negative if there is none.

    >>> text = np.frombuffer(b"banana".ljust(80), np.uint8)
    >>> windows = byte_windows(text, np.arange(6))
    >>> (first_mark(windows, 1, b"nb") < 0).tolist(), first_mark(windows[:3], 1, b"nb").tolist()
    ([False, False, False, False, True, True], [2, 1, 2])
    """
    flat = found.view(np.uint8).ravel()
    met = flat == marks[0]
    for mark in marks[1:]:
        met |= flat == mark
    bits = np.packbits(met, bitorder="little").view("<i8")
    bits &= 2**WINDOW_MARKS - 2**skip
    bits &= -bits
    return _exponents(bits.astype(np.float64))


def _exponents(powers: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The exponents of powers of two, from the bits of a double; negative for zero. Overwrites its argument."""
    exponents = powers.view(np.int64)
    exponents >>= _FRACTION
    exponents -= _BIAS
    return exponents


LEARNED_LINES = 16
"""Lines from which an order is learned at a time."""
MAX_KEYS = 256
"""Maximum number of keys of an order. Each is searched in every line."""
MAX_KEY_BYTES = 256
"""Maximum length of a key in bytes."""
_MEMBER = re.compile(
    rb'([{,][ \t]?)"([^"\\\x00-\x1f]{0,256})"([ \t]?:[ \t]?)(?:"[^"\\\x00-\x1f]*"|[^"\\,{}\[\]\s]+)(?=[,}])'
)


@dataclass(frozen=True)
class KeyOrder:
    """Keys in their order, the text before each key except a line's first, and the text after each key.

    >>> KeyOrder.from_line(b'{"a": 1, "b": "x"}')
    KeyOrder(keys=(b'a', b'b'), lead=b', ', colon=b': ')
    """

    keys: tuple[bytes, ...]
    lead: bytes
    colon: bytes

    @cached_property
    def literals(self) -> tuple[ByteLiteral, ...]:
        """The text before the value of each key."""
        texts = (self.lead + b'"' + key + b'"' + self.colon for key in self.keys)
        return tuple(map(ByteLiteral.from_bytes, texts))

    @classmethod
    def from_line(cls, line: bytes) -> KeyOrder | None:
        """The order of one line; None if it is not an object of plain values without escapes, or has a duplicate key."""
        members, at = list[re.Match[bytes]](), 0
        while len(members) <= MAX_KEYS and (found := _MEMBER.match(line, at)) is not None:
            members.append(found)
            at = found.end()
        keys, colons = tuple(found[2] for found in members), {found[3] for found in members}
        leads = {found[1] for found in members[1:]} or {b","}
        if line[at:] not in (b"}", b"}\r") or not _is_uniform(keys, leads, colons) or members[0][1] != b"{":
            return None
        lead = leads.pop()
        return cls(keys, lead, colons.pop()) if lead.startswith(b",") else None

    def merge(self, other: KeyOrder) -> KeyOrder:
        """The order with the keys of another line inserted, if both fit into one order; otherwise unchanged.

        >>> KeyOrder((b"a", b"c"), b",", b":").merge(KeyOrder((b"a", b"b", b"c"), b",", b":")).keys
        (b'a', b'b', b'c')
        """
        keys, place = [*self.keys], len(self.keys)
        for key in reversed(other.keys):
            if key not in keys:
                keys.insert(place, key)
            place = keys.index(key)
        joined = replace(self, keys=tuple(keys))
        return joined if len(keys) <= MAX_KEYS and joined.covers(other) else self

    def covers(self, other: KeyOrder) -> bool:
        """Whether the other's keys are among these, in this order and with the same text between them."""
        keys = iter(self.keys)
        return (self.lead, self.colon) == (other.lead, other.colon) and all(key in keys for key in other.keys)


def learn_order(lines: Iterable[bytes], former: KeyOrder | None = None) -> KeyOrder | None:
    """The known order with the keys of these lines; None if nothing is known and most lines have no common order."""
    orders = [KeyOrder.from_line(line) for line in lines]
    found, start = [order for order in orders if order is not None], former
    for order in found:
        former = order if former is None else former.merge(order)
    agreeing = sum(former.covers(order) for order in found) if former is not None else 0
    return former if start is not None or agreeing * 2 > len(orders) else None


def _is_uniform(keys: tuple[bytes, ...], leads: set[bytes], colons: set[bytes]) -> bool:
    return 0 < len({*keys}) == len(keys) <= MAX_KEYS and len(leads) == len(colons) == 1


PIECE_BYTES = 4 << 20
"""Approximate bytes that are walked together: many enough that threads seldom switch."""
_BYTES_BEFORE, _BYTES_AFTER = 8, MAX_KEY_BYTES + 2 * WINDOW_BYTES
"""Padding before and after the lines, so that windows never exceed the buffer."""
_SHORT_LITERAL = 32
"""Maximum length of a text before a value that is compared together with it."""
_MIN_VALUE_BYTES = 4
"""Minimum bytes per searched value, to limit memory. Most keys are in most lines."""
_FEW_TEXTS = 32
"""Up to this number of long texts are searched one by one."""
_QUOTE = b'"'
_STOPS = b",}"
"""The bytes that end an unquoted value."""


@dataclass(frozen=True, slots=True)
class CutLines:
    """The lines that were split: their indices, and per key a mask of the lines that contain it and of those where it is quoted.

    texts  all texts, without quotes, key by key and line by line; empty if the key is absent
    """

    rows: Positions
    texts: pa.StringArray
    present: npt.NDArray[np.bool_]
    quoted: npt.NDArray[np.bool_]

    def texts_of_key(self, key: int) -> pa.StringArray:
        """The texts of one key."""
        return self.texts.slice(key * len(self.rows), len(self.rows))


def cut_lines(lines: ScannedLines, rows: Positions, fit: Bools, order: KeyOrder) -> CutLines | None:
    """The matching lines, split; None if splitting has no prospect. Takes the indices of consecutive lines."""
    size = int(lines.ends[rows[-1]] - lines.starts[rows[0]])
    if len(rows) * len(order.keys) * _MIN_VALUE_BYTES > size:
        return None
    walk = _LineWalk.before(lines, rows, len(order.lead))
    values = [walk.past(literal) for literal in order.literals]
    good = walk.finished_lines() & fit[rows]
    some = slice(None) if good.all() else good.nonzero()[0]
    held = rows[some]
    spans = np.empty((len(values), len(held), 2), np.int32)
    present, quoted = np.empty((2, len(values), len(held)), bool)
    for key, value in enumerate(values):
        present[key], quoted[key] = value.present[some], value.quoted[some]
        spans[key, :, 0], spans[key, :, 1] = value.starts[some], value.ends[some]
    return CutLines(held, _span_texts(walk.text, spans), present, quoted)


def _span_texts(text: ByteArray, spans: npt.NDArray[np.int32]) -> pa.StringArray:
    """The text between the first and the second position, the third and the fourth, and so on."""
    if not spans.size:
        return pa.array([], pa.string())
    every = pa.StringArray.from_buffers(spans.size - 1, pa.py_buffer(spans), pa.py_buffer(text))
    return every.take(pa.array(np.arange(0, spans.size, 2, dtype=np.int32)))


@dataclass(frozen=True, slots=True)
class _CutValues:
    """One key's values, line by line. If the key is absent, its text is empty at the current position of the walk."""

    present: Bools
    quoted: Bools
    starts: Positions
    ends: Positions


@dataclass(slots=True)
class _LineWalk:
    """The current byte position of the walk in each line.

    text   the lines, padded as if a key preceded the first one
    data   the block that contains the lines
    ahead  distance from each byte to its position in the block
    close  the position of each line's closing brace
    """

    text: ByteArray
    data: bytes
    ahead: int
    close: Positions
    at: Positions

    @classmethod
    def before(cls, lines: ScannedLines, rows: Positions, lead: int) -> _LineWalk:
        """A walk before its first step. Takes the number of bytes before a key."""
        start, end = int(lines.starts[rows[0]]), int(lines.ends[rows[-1]])
        text = np.empty(_BYTES_BEFORE + end - start + _BYTES_AFTER, np.uint8)
        text[:_BYTES_BEFORE] = text[_BYTES_BEFORE + end - start :] = 0
        text[_BYTES_BEFORE : _BYTES_BEFORE + end - start] = lines.marks[start:end]
        begin, close = lines.starts[rows] + (_BYTES_BEFORE - start), lines.lasts[rows] + (_BYTES_BEFORE - start)
        for place, mark in enumerate(b", "[:lead]):
            text[begin + (1 - lead + place)] = mark
        return cls(text, lines.block.data, _BYTES_BEFORE - start, close, begin + (1 - lead))

    def past(self, literal: ByteLiteral) -> _CutValues:
        """Advance past a key and its value in the lines where they are next."""
        found = byte_windows(self.text, self.at, max(WINDOW_BYTES, literal.width))
        present = literal.matches(found)
        many = np.count_nonzero(present)
        if not many:
            return _CutValues(present, present, self.at, self.at)
        if many == len(present):
            near = found if len(literal) <= _SHORT_LITERAL else None
            value = _CutValues(present, *self._value(slice(None), len(literal), near))
        else:
            rows = present.nonzero()[0]
            quoted, starts, ends = np.zeros(len(present), bool), self.at.copy(), self.at.copy()
            quoted[rows], starts[rows], ends[rows] = self._value(rows, len(literal))
            value = _CutValues(present, quoted, starts, ends)
        self.at = value.ends + value.quoted
        return value

    def _value(
        self, rows: Positions | slice, skip: int, found: ByteWindows | None = None
    ) -> tuple[Bools, Positions, Positions]:
        """The values that start `skip` bytes after the current position: whether they are quoted, their starts and their ends.

        Takes the window at the current position, if it was already read.
        """
        at = self.at[rows]
        if found is None:
            at, skip, found = at + skip, 0, byte_windows(self.text, at + skip)
        quoted = found.view(np.uint8).reshape(-1, WINDOW_BYTES)[:, skip] == _QUOTE[0]
        many = np.count_nonzero(quoted)
        ends = at + first_mark(found, skip + bool(many), _QUOTE if many else _STOPS)
        starts = at + skip
        short = ends < starts
        if many < len(quoted):
            if many:
                ends = np.where(quoted, ends, at + first_mark(found, skip, _STOPS))
            ends = np.maximum(starts, ends)
            short &= quoted
        if many and short.any():
            ends[short] = self._next_quote(starts[short] + (WINDOW_MARKS - skip), self.close[rows][short])
        return quoted, starts + quoted, ends

    def _next_quote(self, places: Positions, close: Positions) -> Positions:
        """The position of the next quote after each position; the end of the line if there is none."""
        ends, left = close.copy(), np.arange(len(places))
        while len(left := left[places[left] < close[left]]) > _FEW_TEXTS:
            behind = first_mark(byte_windows(self.text, places[left]), 0, _QUOTE)
            met = behind >= 0
            ends[left[met]] = places[left[met]] + behind[met]
            left = left[~met]
            places[left] += WINDOW_MARKS
        for row in left.tolist():
            place = self.data.find(_QUOTE, places[row] - self.ahead, close[row] - self.ahead)
            ends[row] = close[row] if place < 0 else place + self.ahead
        return ends

    def finished_lines(self) -> Bools:
        """Mask of the lines whose end the walk has reached."""
        done: Bools = self.at == self.close
        return done
