"""`top`: the most frequent values by subjects; the rest is `other`.

What is frequent is known once everything was seen, so the step itself treats nothing: its tally observes the values that the
steps before it gave, and settles into `Kept`, the technique that does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from minimize.codebook import Codebook, Codes, ascending, pack, unpack
from minimize.nested import leaf, spread
from minimize.pointer import Pointer
from minimize.stage import Batch
from minimize.techniques.base import Context, Family, Leaves, Step, Technique, Treated


class Top(Step):
    """The `keep` most frequent values by distinct subjects; the rest becomes `other`.

    Takes strings and gives strings; null stays null. Values of fewer than `at_least` subjects go to `other`, and where `other`
    itself has fewer, the least frequent kept values join it. Leaves nothing beyond the values that are frequent.
    """

    name: ClassVar[str] = "top"
    takes: ClassVar[tuple[Family, ...]] = ("string",)
    leaves: ClassVar[Leaves] = "nothing"
    source: ClassVar[str] = "top-n tabulation with a threshold; Hundepool et al., Statistical Disclosure Control (2012)"
    about: ClassVar[str] = "the most frequent values by subjects; the rest is `other`"
    keep: Annotated[int, Field(ge=1)]
    other: str
    at_least: Annotated[int, Field(ge=1)] = 10

    def gives(self, type_: pa.DataType) -> pa.DataType:
        """Always string. Raises TypeRefused."""
        super().gives(type_)
        return pa.string()


class Kept(Technique):
    """Values that are kept as they are; every other value becomes `other`. Null stays null.

    >>> from datetime import datetime, UTC
    >>> technique = Kept(kept=("a", "b"), other="other")
    >>> technique.apply(pa.array(["a", "c", None]), Context("model", datetime.now(UTC))).values.to_pylist()
    ['a', 'other', None]
    """

    name: ClassVar[str] = "top"
    takes: ClassVar[tuple[Family, ...]] = Top.takes
    leaves: ClassVar[Leaves] = Top.leaves
    source: ClassVar[str] = Top.source
    about: ClassVar[str] = Top.about
    kept: tuple[str, ...] = Field(repr=False)
    other: str

    def gives(self, type_: pa.DataType) -> pa.DataType:
        """Always string. Raises TypeRefused."""
        super().gives(type_)
        return pa.string()

    def apply(self, values: pa.Array, context: Context) -> Treated:
        """The kept values, and `other`."""
        text = values.cast(pa.string())
        place = pc.index_in(text, value_set=pa.array(self.kept, pa.string()), skip_nulls=True)
        place = pc.if_else(text.is_null(), pa.nulls(len(text), pa.int32()), pc.fill_null(place, len(self.kept)))
        return Treated(pa.array([*self.kept, self.other], pa.string()).take(place))


class TopTally:
    """Which subjects have which values, over all batches; settles into the technique that keeps the top.

    Takes the field's key (its values in `released`, as the steps before left them), where the field and the subject stand
    in a record, and the step.
    """

    def __init__(self, key: str, pointer: Pointer, subject: Pointer, top: Top) -> None:
        self._key = key
        self._pointer = pointer
        self._subject = subject
        self._top = top
        self._values = Codebook(pa.string())
        self._subjects = Codebook(pa.string())
        self._pairs: list[Codes] = []
        self._waiting = 0
        self._settled = 0

    def observe(self, batch: Batch) -> None:
        """Takes one batch in."""
        values = batch.released[self._key]
        there = values.is_valid()
        subjects = self._subjects_of(batch)
        if there.false_count:
            values, subjects = values.filter(there), subjects.filter(there)
        self._add(pack(self._values.encode(values), self._subjects.encode(subjects)))

    def merge(self, other: Self) -> None:
        """Takes in what another tally of the same field has seen."""
        values = self._values.codes(other._values.values)
        subjects = self._subjects.codes(other._subjects.values)
        for pairs in other._pairs:
            theirs, whose = unpack(pairs)
            self._add(pack(values[theirs], subjects[whose]))

    def settle(self) -> Kept:
        """The technique. It does not depend on the order of anything that was observed."""
        values, subjects = unpack(self._compact())
        nobody = self._subjects.values.is_null().to_numpy(zero_copy_only=False)
        owners = np.where(nobody[subjects], -1, subjects)
        return Kept(kept=chosen(self._values.values.to_pylist(), values, owners, self._top), other=self._top.other)

    def _subjects_of(self, batch: Batch) -> pa.Array:
        above = leaf(batch.raw, self._subject)
        stars = self._pointer.stars
        return spread(above.values, above, leaf(batch.raw, stars[-1])) if stars else above.values

    def _add(self, pairs: Codes) -> None:
        self._pairs.append(ascending(pairs))
        self._waiting += len(self._pairs[-1])
        if self._waiting > self._settled:
            self._compact()

    def _compact(self) -> Codes:
        pairs = ascending(np.concatenate([*self._pairs, np.empty(0, np.int64)]))
        self._pairs, self._waiting, self._settled = [pairs], 0, len(pairs)
        return pairs


def chosen(names: Sequence[str], codes: Codes, owners: Codes, top: Top) -> tuple[str, ...]:
    """The values to keep, most frequent first; ties in the order of the values.

    Takes the distinct values, and the distinct pairs of a value's place among them and a subject (-1: nobody).
    """
    counts = np.bincount(codes[owners >= 0], minlength=len(names))
    frequent = [code for code in np.flatnonzero(counts >= top.at_least).tolist() if names[code] != top.other]
    kept = sorted(frequent, key=lambda code: (-counts[code], names[code]))[: top.keep]
    outside = ~np.isin(codes, kept)
    if outside.any() and _distinct_of(owners[outside]) < top.at_least:
        kept = kept[:-1]  # it has `at_least` subjects of its own, so that `other` now has them, too
    return tuple(names[code] for code in kept)


def _distinct_of(owners: Codes) -> int:
    return len(ascending(owners[owners >= 0]))
