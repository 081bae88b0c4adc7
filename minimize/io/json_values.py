"""Texts of JSON values, cut out of their lines, read as what the policy declares: whole columns, and which lines are in doubt.

A value of another type than the declared one is not judged here, and neither is a number that is rare (with an exponent, very
long): its line is in doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.io.numerals import plain
from minimize.io.rows import Mask
from minimize.io.shape import Node
from minimize.io.text import read
from minimize.io.types import CONTAINERS, arrow_type, family

_RARE = 100
"""Where at most one line in so many is left out, the others are not looked at one by one."""
_NUMBERS = {"integer": np.int64, "double": np.float64}


@dataclass(frozen=True, slots=True)
class Kept:
    """Lines that are kept, and where few are not what is between these: piece, place and length. So nothing is moved twice."""

    mask: Mask
    spans: Sequence[tuple[int, int, int]] | None

    @classmethod
    def of(cls, mask: Mask, sizes: Sequence[int]) -> Kept:
        """The lines of a mask, by the sizes of pieces."""
        out = (~mask).nonzero()[0]
        if len(out) * _RARE > len(mask):
            return cls(mask, None)
        ends = np.cumsum(sizes)
        bounds = np.unique(np.concatenate([[0], out, out + 1, ends]))
        starts, lengths = bounds[:-1], np.diff(bounds)
        within = mask[starts]
        starts, lengths = starts[within], lengths[within]
        pieces = np.searchsorted(ends, starts, side="right")
        starts -= (ends - sizes)[pieces]
        return cls(mask, list(zip(pieces.tolist(), starts.tolist(), lengths.tolist(), strict=True)))

    def of_pieces(self, pieces: Sequence[pa.StringArray]) -> pa.StringArray:
        """The lines of these pieces that are kept, put together."""
        if self.spans is None:
            return pa.concat_arrays(pieces).filter(pa.array(self.mask))
        some = [pieces[piece].slice(start, length) for piece, start, length in self.spans]
        return pa.concat_arrays(some) if some else pa.array([], pa.string())


@dataclass(frozen=True, slots=True)
class Values:
    """One key's texts, in pieces, and in which lines it is there at all, and in quotes."""

    pieces: Sequence[pa.StringArray]
    there: Mask
    quoted: Mask

    @property
    def bare(self) -> Mask:
        """Where something stands that is in no quotes."""
        return self.there & ~self.quoted

    def texts(self, mask: Mask) -> pa.StringArray:
        """The texts of those lines."""
        return Kept.of(mask, list(map(len, self.pieces))).of_pieces(self.pieces)

    def filled(self, there: Mask, kept: Kept | None = None) -> pa.StringArray:
        """The texts, null where nothing is there; of lines that are kept, or of all."""
        texts = pa.concat_arrays(self.pieces) if kept is None else kept.of_pieces(self.pieces)
        there = there if kept is None else there[kept.mask]
        if there.all():
            return texts
        valid = pa.array(there).buffers()[1]
        return pa.StringArray.from_buffers(len(there), *texts.buffers()[1:], valid)

    def are(self, mask: Mask, word: str) -> Mask:
        """Where the mask is set and the text is this word."""
        if not mask.any():
            return mask
        found = mask.copy()
        found[mask] = pc.equal(self.texts(mask), word)
        return found


@dataclass(frozen=True, slots=True)
class Column:
    """What a key's values are read as; where nothing is, they are texts, to be put together once all doubts are known."""

    values: Values
    there: Mask
    found: pa.Array | None = None

    def of(self, sure: Kept) -> pa.Array:
        """The values of those lines."""
        if self.found is None:
            return self.values.filled(self.there, sure)
        return self.found if sure.mask.all() else self.found.filter(pa.array(sure.mask))


@dataclass(frozen=True, slots=True)
class Reading:
    """What values are read as, by the tree of declared fields; the keys that must not arrive; the lines that are beyond doubt."""

    root: Node
    never: frozenset[str]
    sure: Mask

    def column(self, name: str, values: Values) -> Column | None:
        """A key's values; None where there can be none."""
        node = self.root.children.get(name)
        if name in self.never or (node is not None and _is_container(node)):
            self._no_null(values, values.there)
            return None
        word = node.declared.type if node is not None and node.declared is not None else None
        if word == "string" and node is not None and node.needed:
            self._no_null(values, values.bare)
            return Column(values, values.quoted)
        return Column(values, values.there, self._read(values, word))

    def _read(self, values: Values, word: str | None) -> pa.Array:
        if word is None:
            return self._anything(values)
        if word == "boolean":
            return self._boolean(values)
        if word in _NUMBERS or family(word) == "decimal":
            return self._number(values, word)
        self._no_null(values, values.bare)
        if word == "string":
            return pa.array(values.quoted, mask=~values.quoted)
        return self._typed(values, values.quoted, word)

    def _doubt(self, bad: Mask) -> None:
        if bad.any():
            self.sure[bad] = False

    def _no_null(self, values: Values, odd: Mask) -> None:
        """Doubts what is odd and not null."""
        if odd.any():
            self._doubt(odd & ~values.are(odd & ~values.quoted, "null"))

    def _anything(self, values: Values) -> pa.Array:
        """True where there is a value of whatever kind."""
        words = values.are(values.bare, "true") | values.are(values.bare, "false")
        there, left = values.quoted | words, values.bare & ~words
        there[left] = plain(values.texts(left))
        self._no_null(values, values.there & ~there)
        return pa.array(there, mask=~there)

    def _boolean(self, values: Values) -> pa.Array:
        true = values.are(values.bare, "true")
        there = true | values.are(values.bare, "false")
        self._no_null(values, values.there & ~there)
        return pa.array(true, mask=~there)

    def _number(self, values: Values, word: str) -> pa.Array:
        there = values.bare
        texts = values.texts(there)
        good = plain(texts, whole=word == "integer")
        if not good.all():
            there[there] = good
            texts = texts.filter(pa.array(good))
        self._no_null(values, values.there & ~there)
        if word not in _NUMBERS:
            return self._typed(values, there, word)
        numbers = texts.cast(arrow_type(word))
        if there.all():
            return numbers
        held = np.zeros(len(there), _NUMBERS[word])
        held[there] = numbers
        return pa.array(held, mask=~there)

    def _typed(self, values: Values, there: Mask, word: str) -> pa.Array:
        found, bad = read(values.filled(there), word)
        self._doubt(bad)
        return found


def _is_container(node: Node) -> bool:
    return bool(node.children) or node.mapped or (node.declared is not None and node.declared.type in CONTAINERS)
