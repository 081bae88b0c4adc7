"""Reader for lines of NDJSON with plain values in one key order: columns of texts, parsed as their types.

The certain lines have the same result as in the strict reader; the other lines are left to other readers. A value of
another type than the declared one makes its line uncertain, and so does a rare number (with an exponent, or very long).
Numbers in plain digits (RFC 8259) are parsed in whole columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools
from minimize.sources.base import Chunk
from minimize.sources.binding import BoundRequest, undeclared_paths
from minimize.sources.ndjson.line_cutter import LEARNED_LINES, PIECE_BYTES, CutLines, KeyOrder, cut_lines, learn_order
from minimize.sources.ndjson.line_scan import (
    Positions,
    ScannedLines,
    lines_with_backslash,
    lines_with_controls,
    split_pieces,
)
from minimize.sources.projection import FieldNode, batch_without_columns
from minimize.sources.types import CONTAINER_TYPES, arrow_type, parse_texts, type_family

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


_RARE_SHARE = 100
"""If at most one line in this many is excluded, the others are not selected one by one."""
_NUMBERS = {"integer": np.int64, "double": np.float64}


@dataclass(frozen=True, slots=True)
class LineSelection:
    """Lines to keep.

    If few lines are excluded, it stores the ranges between them (piece, offset, length), so that nothing is copied twice.
    """

    mask: Bools
    spans: Sequence[tuple[int, int, int]] | None

    @classmethod
    def from_mask(cls, mask: Bools, sizes: Sequence[int]) -> LineSelection:
        """The lines of a mask, by the sizes of pieces."""
        out = (~mask).nonzero()[0]
        if len(out) * _RARE_SHARE > len(mask):
            return cls(mask, None)
        ends = np.cumsum(sizes)
        bounds = np.unique(np.concatenate([[0], out, out + 1, ends]))
        starts, lengths = bounds[:-1], np.diff(bounds)
        within = mask[starts]
        starts, lengths = starts[within], lengths[within]
        pieces = np.searchsorted(ends, starts, side="right")
        starts -= (ends - sizes)[pieces]
        return cls(mask, list(zip(pieces.tolist(), starts.tolist(), lengths.tolist(), strict=True)))

    def concat_pieces(self, pieces: Sequence[pa.StringArray]) -> pa.StringArray:
        """The kept lines of these pieces, concatenated."""
        if self.spans is None:
            return pa.concat_arrays(pieces).filter(pa.array(self.mask))
        some = [pieces[piece].slice(start, length) for piece, start, length in self.spans]
        return pa.concat_arrays(some) if some else pa.array([], pa.string())


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
        return LineSelection.from_mask(mask, list(map(len, self.pieces))).concat_pieces(self.pieces)

    def fill(self, present: Bools, selection: LineSelection | None = None) -> pa.StringArray:
        """The texts, null if the key is absent; for the kept lines, or for all."""
        texts = pa.concat_arrays(self.pieces) if selection is None else selection.concat_pieces(self.pieces)
        present = present if selection is None else present[selection.mask]
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


@dataclass(frozen=True, slots=True)
class TypedColumn:
    """The values of a key. Texts that need no conversion are concatenated later, when the certain lines are known."""

    values: KeyTexts
    present: Bools
    found: pa.Array | None = None

    def select(self, certain: LineSelection) -> pa.Array:
        """The values of those lines."""
        if self.found is None:
            return self.values.fill(self.present, certain)
        return self.found if certain.mask.all() else self.found.filter(pa.array(certain.mask))


@dataclass(frozen=True, slots=True)
class ColumnReader:
    """Converts texts by the tree of declared fields and the forbidden keys, and tracks the certain lines."""

    root: FieldNode
    never: frozenset[str]
    certain: Bools

    def column(self, name: str, values: KeyTexts) -> TypedColumn | None:
        """A key's values; None if there are none to return."""
        node = self.root.children.get(name)
        if name in self.never or (node is not None and _is_container(node)):
            self._no_null(values, values.present)
            return None
        word = node.declared.type if node is not None and node.declared is not None else None
        if word == "string" and node is not None and node.is_read:
            self._no_null(values, values.bare)
            return TypedColumn(values, values.quoted)
        return TypedColumn(values, values.present, self._read(values, word))

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
        fit = ~(lines.odd | lines_with_backslash(lines) | lines_with_controls(lines))
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


def read_flat(
    lines: ScannedLines, bound: BoundRequest, root: FieldNode, key_order: KnownKeyOrder
) -> list[tuple[Chunk, Positions]]:
    """Chunks of the certain lines, each with their indices."""
    found = key_order.cut_block(lines)
    if found is None:
        return []
    order, cuts = found
    rows = np.concatenate([one.rows for one in cuts])
    reading = ColumnReader(root, frozenset(pointer.top for pointer in bound.request.never), np.ones(len(rows), bool))
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
    sure = LineSelection.from_mask(reading.certain, [len(one.rows) for one in cuts])
    held, records = rows[sure.mask], _selected_records(columns, sure)
    extra = tuple(undeclared_paths(records.schema, bound.request))
    return [(replace(bound, undeclared=extra).chunk(records, lines.file_positions(held), unit="byte"), held)]


def _selected_records(columns: Mapping[str, TypedColumn], certain: LineSelection) -> pa.RecordBatch:
    """The columns of the certain lines."""
    if not columns:
        return batch_without_columns(int(np.count_nonzero(certain.mask)))
    return pa.RecordBatch.from_arrays([column.select(certain) for column in columns.values()], names=[*columns])
