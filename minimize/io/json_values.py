"""Texts of JSON values, cut out of their lines, read as what the policy declares: whole columns, and which lines are in doubt.

A value of another type than the declared one is not judged here, and neither is a number that is rare (with an exponent, very
long): its line is in doubt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.io.numerals import plain
from minimize.io.rows import Mask
from minimize.io.shape import Node
from minimize.io.text import read
from minimize.io.types import CONTAINERS, arrow_type, family

_NUMBERS = {"integer": np.int64, "double": np.float64}


@dataclass(frozen=True, slots=True)
class Values:
    """One key's texts, and in which lines it is there at all, and in quotes."""

    texts: pa.StringArray
    there: Mask
    quoted: Mask

    @property
    def bare(self) -> Mask:
        """Where something stands that is in no quotes."""
        return self.there & ~self.quoted

    def filled(self, mask: Mask) -> pa.StringArray:
        """The texts, null where the mask is not set."""
        if mask.all():
            return self.texts
        valid = pa.array(mask).buffers()[1]
        return pa.StringArray.from_buffers(len(mask), *self.texts.buffers()[1:], valid)

    def are(self, mask: Mask, word: str) -> Mask:
        """Where the mask is set and the text is this word."""
        return mask & np.asarray(pc.equal(self.texts, word)) if mask.any() else mask

    def numbers(self, mask: Mask, whole: bool = False) -> Mask:
        """Where the mask is set and the text is a number in plain digits."""
        if mask.all():
            return plain(self.texts, whole)
        found = mask.copy()
        found[mask] = plain(self.texts.filter(pa.array(mask)), whole)
        return found


@dataclass(frozen=True, slots=True)
class Reading:
    """What values are read as, by the tree of declared fields; the keys that must not arrive; the lines that are beyond doubt."""

    root: Node
    never: frozenset[str]
    sure: Mask

    def column(self, name: str, values: Values) -> pa.Array | None:
        """A key's values; None where there can be none."""
        node = self.root.children.get(name)
        if name in self.never or (node is not None and _is_container(node)):
            self._no_null(values, values.there)
            return None
        if node is None or node.declared is None:
            return self._anything(values)
        word = node.declared.type
        if word == "boolean":
            return self._boolean(values)
        if word in _NUMBERS or family(word) == "decimal":
            return self._number(values, word)
        return self._text(values, word, node.needed)

    def _doubt(self, bad: Mask) -> None:
        if bad.any():
            self.sure[bad] = False

    def _no_null(self, values: Values, odd: Mask) -> None:
        """Doubts what is odd and not null."""
        if odd.any():
            self._doubt(odd & ~values.are(odd & ~values.quoted, "null"))

    def _anything(self, values: Values) -> pa.Array:
        """True where there is a value of whatever kind."""
        bare = values.bare
        words = values.are(bare, "true") | values.are(bare, "false")
        there = values.quoted | words | values.numbers(bare & ~words)
        self._no_null(values, values.there & ~there)
        return pa.array(there, mask=~there)

    def _boolean(self, values: Values) -> pa.Array:
        bare = values.bare
        true = values.are(bare, "true")
        there = true | values.are(bare, "false")
        self._no_null(values, values.there & ~there)
        return pa.array(true, mask=~there)

    def _number(self, values: Values, word: str) -> pa.Array:
        there = values.numbers(values.bare, whole=word == "integer")
        self._no_null(values, values.there & ~there)
        if word not in _NUMBERS:
            return self._read(values.filled(there), word)
        if there.all():
            return values.texts.cast(arrow_type(word))
        held = np.zeros(len(there), _NUMBERS[word])
        held[there] = values.texts.filter(pa.array(there)).cast(arrow_type(word))
        return pa.array(held, mask=~there)

    def _text(self, values: Values, word: str, needed: bool) -> pa.Array:
        self._no_null(values, values.bare)
        there = values.quoted
        if word == "string" and not needed:
            return pa.array(there, mask=~there)
        return self._read(values.filled(there), word)

    def _read(self, texts: pa.StringArray, word: str) -> pa.Array:
        found, bad = read(texts, word)
        self._doubt(bad)
        return found


def _is_container(node: Node) -> bool:
    return bool(node.children) or node.mapped or (node.declared is not None and node.declared.type in CONTAINERS)
