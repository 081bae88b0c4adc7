"""Fast reader for lines of NDJSON with plain values in one key order: the texts of their values, parsed as columns.

Lines written by one program are alike: the same keys in the same order, some of them omitted, the same blanks. The
order is learned from a few lines. It is a guess that is checked byte by byte: a wrong one is slow, never wrong.

All lines are walked from key to key in that order. A key that is not found at the current position is absent in that line.
A quoted value ends at the next quote, any other before the next comma or brace. A line is valid if the walk ends at its
closing brace: then it has these keys, each at most once, and only values between them. All other lines are left to other
readers, and so are lines with a backslash or a control character.

A value of another type than the declared one makes its line uncertain, and so does a rare number (with an exponent, or very
long). Numbers in plain digits (RFC 8259) are parsed in whole columns. On flat lines this takes 0.6 of the time of Arrow's
parser alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools
from minimize.arrow.types import CONTAINER_TYPES, arrow_type, parse_texts, type_family
from minimize.records import Chunk
from minimize.sources.binding import BoundRequest, undeclared_paths
from minimize.sources.ndjson.line_scan import Positions, ScannedLines, are_mostly_flat, split_pieces
from minimize.sources.projection import FieldNode, batch_without_columns
from minimize.sources.record_checks import ForbiddenNames, forbidden_names

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
    close  the position of each line's closing brace
    """

    text: ByteArray
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
        return cls(text, close, begin + (1 - lead))

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
        while len(left := left[places[left] < close[left]]):
            behind = first_mark(byte_windows(self.text, places[left]), 0, _QUOTE)
            met = behind >= 0
            ends[left[met]] = np.minimum(places[left[met]] + behind[met], close[left[met]])
            left = left[~met]
            places[left] += WINDOW_MARKS
        return ends

    def finished_lines(self) -> Bools:
        """Mask of the lines whose end the walk has reached."""
        done: Bools = self.at == self.close
        return done


MAX_INTEGER_DIGITS = 18
"""Maximum digits of an integer that certainly fits into 64 bits."""
MAX_NUMBER_BYTES = 100
"""Maximum bytes of any other number."""
_ZERO, _POINT, _MINUS = b"0.-"


def are_plain_numbers(texts: pa.StringArray, whole: bool = False) -> Bools:
    """Whether each text is a number in plain digits; with `whole`, an integer. Takes texts without nulls.

    >>> are_plain_numbers(pa.array(["0", "-1.50", "01", "1.", ".5", "-", "1e3", "", "NaN", "1.2.3"])).tolist()
    [True, True, False, False, False, False, False, False, False, False]
    """
    bounds, marks = _text_bounds(texts)
    lengths = bounds[1:] - bounds[:-1]
    if not len(lengths) or not lengths.all():
        return _test_nonempty(texts, lengths > 0, whole)
    first, last = bounds[:-1], bounds[1:] - 1
    digit = marks - np.uint8(_ZERO) < 10
    minus = marks[first] == _MINUS
    lead = np.minimum(first + minus, last)
    long = lengths - minus > (MAX_INTEGER_DIGITS if whole else MAX_NUMBER_BYTES)
    padded = (marks[lead] == _ZERO) & (lead < last) & digit[np.minimum(lead + 1, last)]
    odd = ~digit
    odd[first] &= ~minus
    sound: Bools = digit[lead] & digit[last] & ~long & ~padded
    return sound & _has_at_most_one_point(odd, marks, first, whole)


def _has_at_most_one_point(
    odd: Bools, marks: npt.NDArray[np.uint8], first: npt.NDArray[np.int64], whole: bool
) -> Bools:
    """Whether each text has at most one point besides its digits; with `whole`, none. The total count often decides it."""
    if not np.count_nonzero(odd):
        return np.ones(len(first), bool)
    many = np.add.reduceat(odd.view(np.uint8), first)
    found: Bools = many <= (not whole)
    points = odd & (marks == _POINT)
    if not whole and np.count_nonzero(points) < np.count_nonzero(odd):
        found &= np.add.reduceat(points.view(np.uint8), first) == many
    return found


def _test_nonempty(texts: pa.StringArray, filled: Bools, whole: bool) -> Bools:
    """`are_plain_numbers` for texts of which some are empty."""
    if filled.any():
        filled[filled] = are_plain_numbers(texts.filter(pa.array(filled)), whole)
    return filled


def _text_bounds(texts: pa.StringArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """The start of each text and the end of the last, and their bytes."""
    _, ends, data = texts.buffers()
    bounds = np.frombuffer(ends, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    marks = np.frombuffer(data or b"", np.uint8)[bounds[0] : bounds[-1]]
    return bounds - bounds[0], marks


_NUMBERS = {"integer": np.int64, "double": np.float64}


@dataclass(frozen=True, slots=True)
class KeyTexts:
    """One key's texts, in pieces, with masks of the lines in which the key is present, and in which its value is quoted."""

    pieces: Sequence[pa.StringArray]
    present: Bools
    quoted: Bools

    @property
    def bare(self) -> Bools:
        """Mask of unquoted values."""
        return self.present & ~self.quoted

    def texts(self, mask: Bools) -> pa.StringArray:
        """The texts of those lines."""
        return _filtered(pa.concat_arrays(self.pieces), mask)

    def fill(self, present: Bools) -> pa.StringArray:
        """The texts, null if the key is absent."""
        texts = pa.concat_arrays(self.pieces)
        if present.all():
            return texts
        valid = pa.array(present).buffers()[1]
        return pa.StringArray.from_buffers(len(present), *texts.buffers()[1:], valid)

    def equals(self, mask: Bools, word: str) -> Bools:
        """Mask of the values under the mask whose text is this word."""
        if not mask.any():
            return mask
        found = mask.copy()
        found[mask] = pc.equal(self.texts(mask), word)
        return found


def _filtered(values: pa.Array, mask: Bools) -> pa.Array:
    return values if mask.all() else values.filter(pa.array(mask))


@dataclass(frozen=True, slots=True)
class ColumnReader:
    """Converts texts by the tree of declared fields and the forbidden keys, and tracks the certain lines."""

    root: FieldNode
    never: frozenset[str]
    names: ForbiddenNames
    certain: Bools

    def column(self, name: str, values: KeyTexts) -> pa.Array | None:
        """A key's values; None if there are none to return."""
        node = self.root.children.get(name)
        if name in self.never or self.names.name_of(name) is not None or (node is not None and _is_container(node)):
            self._no_null(values, values.present)
            return None
        word = node.declared.type if node is not None and node.declared is not None else None
        if word == "string" and node is not None and node.is_read:
            self._no_null(values, values.bare)
            return values.fill(values.quoted)
        return self._read(values, word)

    def _read(self, values: KeyTexts, word: str | None) -> pa.Array:
        if word is None:
            return self._has_any_value(values)
        if word == "boolean":
            return self._boolean(values)
        if word in _NUMBERS or type_family(word) == "decimal":
            return self._number(values, word)
        self._no_null(values, values.bare)
        if word == "string":
            return pa.array(values.quoted, mask=~values.quoted)
        return self._typed(values, values.quoted, word)

    def _doubt(self, bad: Bools) -> None:
        if bad.any():
            self.certain[bad] = False

    def _no_null(self, values: KeyTexts, odd: Bools) -> None:
        """Marks odd values that are not null as uncertain."""
        if odd.any():
            self._doubt(odd & ~values.equals(odd & ~values.quoted, "null"))

    def _has_any_value(self, values: KeyTexts) -> pa.Array:
        """True if there is a value of any type."""
        words = values.equals(values.bare, "true") | values.equals(values.bare, "false")
        valid, left = values.quoted | words, values.bare & ~words
        valid[left] = are_plain_numbers(values.texts(left))
        self._no_null(values, values.present & ~valid)
        return pa.array(valid, mask=~valid)

    def _boolean(self, values: KeyTexts) -> pa.Array:
        true = values.equals(values.bare, "true")
        valid = true | values.equals(values.bare, "false")
        self._no_null(values, values.present & ~valid)
        return pa.array(true, mask=~valid)

    def _number(self, values: KeyTexts, word: str) -> pa.Array:
        valid = values.bare
        texts = values.texts(valid)
        good = are_plain_numbers(texts, whole=word == "integer")
        if not good.all():
            valid[valid] = good
            texts = texts.filter(pa.array(good))
        self._no_null(values, values.present & ~valid)
        if word not in _NUMBERS:
            return self._typed(values, valid, word)
        numbers = texts.cast(arrow_type(word))
        if valid.all():
            return numbers
        held = np.zeros(len(valid), _NUMBERS[word])
        held[valid] = numbers
        return pa.array(held, mask=~valid)

    def _typed(self, values: KeyTexts, present: Bools, word: str) -> pa.Array:
        found, bad = parse_texts(values.fill(present), word)
        self._doubt(bad)
        return found


def _is_container(node: FieldNode) -> bool:
    return bool(node.children) or node.mapped or (node.declared is not None and node.declared.type in CONTAINER_TYPES)


MIN_CUT_SHARE = 4
"""If less than one line in this many can be split, the order is learned again."""


class KnownKeyOrder:
    """The key order of a source's lines so far. It is a guess: a wrong one is slow, never wrong in its result."""

    def __init__(self, size: int = PIECE_BYTES) -> None:
        self.order: KeyOrder | None = None
        self.size = size

    def cut_block(self, lines: ScannedLines) -> tuple[KeyOrder, list[CutLines]] | None:
        """The lines of a block that can be split; None if they have no common order."""
        if not are_mostly_flat(lines):
            return None
        fit = plain_lines(lines)
        rows = fit.nonzero()[0]
        order = self.order or learn_order(map(lines.line, rows[:LEARNED_LINES].tolist()))
        if order is None:
            return None
        every = (cut_lines(lines, some, fit, order) for some in split_pieces(lines, np.arange(len(fit)), self.size))
        found = [one for one in every if one is not None and len(one.rows)]
        self._learn(lines, rows, order, found)
        return (order, found) if found else None

    def _learn(self, lines: ScannedLines, rows: Positions, order: KeyOrder, found: Sequence[CutLines]) -> None:
        """Add keys that the order does not have."""
        left = np.setdiff1d(rows, np.concatenate([rows[:0], *(one.rows for one in found)]), assume_unique=True)
        known = order if len(left) * MIN_CUT_SHARE <= len(rows) * (MIN_CUT_SHARE - 1) else None
        self.order = known and learn_order(map(lines.line, left[:LEARNED_LINES].tolist()), known)


def plain_lines(lines: ScannedLines) -> Bools:
    """Mask of the lines that are not odd and contain neither a backslash nor a control character."""
    plain = ~lines.odd
    plain[lines.lines_at(np.setdiff1d(lines.controls, lines.lasts + 1, assume_unique=True))] = False
    if b"\\" in lines.block.data:
        plain[lines.lines_with(b"\\")] = False
    return plain


def read_flat(
    lines: ScannedLines, bound: BoundRequest, root: FieldNode, key_order: KnownKeyOrder
) -> list[tuple[Chunk, Positions]]:
    """Chunks of the certain lines, each with their indices."""
    found = key_order.cut_block(lines)
    if found is None:
        return []
    order, cuts = found
    rows = np.concatenate([one.rows for one in cuts])
    never = frozenset(pointer.top for pointer in bound.request.never)
    reading = ColumnReader(root, never, forbidden_names(bound.request), np.ones(len(rows), bool))
    present, quoted = (
        np.concatenate(masks, axis=1) for masks in zip(*((one.present, one.quoted) for one in cuts), strict=True)
    )
    columns = {
        name: column
        for key, name in enumerate(map(bytes.decode, order.keys))
        if (
            column := reading.column(name, KeyTexts([one.texts_of_key(key) for one in cuts], present[key], quoted[key]))
        )
        is not None
    }
    held = rows[reading.certain]
    records = batch_without_columns(len(rows))
    if columns:
        records = pa.RecordBatch.from_arrays([*columns.values()], names=[*columns])
    extra = tuple(undeclared_paths(records.schema, bound.request))
    records = _filtered(records, reading.certain)
    return [(replace(bound, undeclared=extra).chunk(records, lines.file_positions(held), unit="byte"), held)]
