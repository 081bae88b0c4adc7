"""The tally of `top`: how many distinct subjects each value has, whatever does not fit into memory set aside.

It works on hashes: a pair is the hash of a value XOR that of a subject, under other domains, so that the pair's hash, the
value's and the subject's fit into four words. Values are kept beside, once each: only the names of those that stay are needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.nested import leaf, spread
from minimize.pointer import Pointer
from minimize.spill import Accumulator, Aside, Recent, Rows, Words, places_of
from minimize.stage import Batch
from minimize.techniques.ranking import most_frequent
from minimize.techniques.said import Said
from minimize.techniques.top import Kept, Top

_SUBJECT, _VALUE = 0, 1
_LATELY: Final = 16 << 20
"""Bytes for what came lately, at most; no more than an eighth of the budget either."""
_A_ROW: Final = 1 << 8
"""Bytes for what came lately, at most, for each row of the first batch: small batches are not followed by large ones."""


class TopTally:
    """Which subjects have which values, over all batches; settles into the technique that keeps the top.

    Takes the field's key (its values in `released`, as the steps before left them), where the field and the subject stand
    in a record, the step, and the run's space beside memory; tallies that merge must hash under the same key. Those of one
    process may share what was `said`: what one of them has taken in, the others then leave out.
    """

    def __init__(
        self, key: str, pointer: Pointer, subject: Pointer, top: Top, aside: Aside, said: Said | None = None
    ) -> None:
        self._key = key
        self._pointer = pointer
        self._subject = subject
        self._top = top
        self._aside = aside
        self._mark = aside.hasher.mark
        self._pairs = Accumulator(aside, width=4)
        self._names = Accumulator(aside, width=2)
        self._said = said
        self._lately: tuple[Recent, Recent] | None = None

    def observe(self, batch: Batch) -> None:
        """Takes one batch in."""
        values, subjects = self._there(batch.released[self._key], self._subjects_of(batch))
        if not len(values):
            return
        new = None if self._said is None else self._said.news(subjects, values)
        if new is None:
            pairs = self._pairs_of(values, subjects)
            self._pairs.add(Rows(pairs[self._recent(len(pairs))[0].news(pairs)]))
        elif len(new):
            taken = pa.array(new)
            self._pairs.add(Rows(self._pairs_of(values.take(taken), subjects.take(taken))))

    def _pairs_of(self, values: pa.Array, subjects: pa.Array) -> Words:
        """The hashes of pairs and values, side by side; the values are known by then."""
        hashes = self._take_names(values, self._recent(len(values))[1])
        owned = self._aside.hasher(subjects, _SUBJECT)
        owned ^= hashes
        return np.column_stack([owned, hashes])

    def merge(self, other: Self) -> None:
        """Takes in what another tally of the same field has seen. Raises ValueError where it hashed under another key."""
        if self._mark != other._mark:
            raise ValueError("tallies of two keys")
        self._pairs.merge(other._pairs)
        self._names.merge(other._names)

    def settle(self) -> Kept:
        """The technique. It does not depend on the order of anything that was observed."""
        self._lately = self._said = None
        other = self._aside.hasher(pa.array([self._top.other]), _VALUE)
        counts = Accumulator(self._aside, width=3, summed=1)
        for pairs in self._pairs.settle():
            hashes = pairs.words[owned(pairs.words), 2:]
            counts.add(Rows(np.column_stack([hashes, np.ones(len(hashes), np.uint64)])).reduced(summed=1))
        kept = most_frequent(counts.settle(), self._names.settle(), self._top, other)
        return Kept(kept=self._with_room(kept), other=self._top.other)

    def _with_room(self, kept: tuple[str, ...]) -> tuple[str, ...]:
        """What is kept where `other` has enough subjects, or nothing in it."""
        inside = Rows(self._aside.hasher(pa.array(kept, pa.string()), _VALUE)).reduced().words
        if enough_outside(self._pairs.settle(), inside, self._top.at_least):
            return kept
        return kept[:-1]  # it has `at_least` subjects of its own, so that `other` now has them, too

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: hashes and values, and nothing of what came lately."""
        return {**self.__dict__, "_lately": None, "_said": None}

    def _subjects_of(self, batch: Batch) -> pa.Array:
        above = leaf(batch.raw, self._subject)
        stars = self._pointer.stars
        return spread(above.values, above, leaf(batch.raw, stars[-1])) if stars else above.values

    def _there(self, values: pa.Array, subjects: pa.Array) -> tuple[pa.Array, pa.Array]:
        """The values that are not null, and their subjects."""
        there = values.is_valid()
        if pa.types.is_dictionary(values.type) and values.dictionary.null_count:
            values = values.dictionary_decode()
            there = values.is_valid()
        return (values.filter(there), subjects.filter(there)) if there.false_count else (values, subjects)

    def _take_names(self, values: pa.Array, recent: Recent) -> Words:
        """The hash of each value; values that did not come lately are kept."""
        encoded = pa.types.is_dictionary(values.type) and len(values.dictionary) <= len(values)
        texts = values.dictionary if encoded else values.cast(pa.large_string())
        hashes = self._aside.hasher(texts, _VALUE)
        new = recent.news(hashes)
        if len(new):
            self._names.add(Rows(hashes[new], texts.take(pa.array(new)).cast(pa.large_string())))
        return hashes[values.indices.to_numpy()] if encoded else hashes

    def _recent(self, rows: int) -> tuple[Recent, Recent]:
        if self._lately is None:
            part = self._aside.budget.part()
            size = min(_LATELY, _A_ROW * rows, _LATELY if part is None else part // 8)
            self._lately = Recent(size), Recent(size // 8)
        return self._lately


def owned(pairs: Words) -> npt.NDArray[np.bool_]:
    """Which pairs have a subject: the hash of none is zero."""
    return np.asarray((pairs[:, 0] != pairs[:, 2]) | (pairs[:, 1] != pairs[:, 3]), np.bool_)


def enough_outside(pairs: Iterator[Rows], inside: Words, enough: int) -> bool:
    """Whether the pairs whose value is not inside are none, or have enough distinct subjects."""
    nobody, seen = True, np.empty((0, 2), np.uint64)
    for part in pairs:
        outside = part.words[places_of(part.words[:, 2:], inside) < 0]
        nobody = nobody and not len(outside)
        outside = outside[owned(outside)]
        subjects = outside[:, :2] ^ outside[:, 2:]
        seen = Rows(np.vstack([seen, subjects])).reduced().words[:enough]
        if len(seen) >= enough:
            return True
    return nobody
