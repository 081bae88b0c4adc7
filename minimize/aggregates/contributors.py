"""Who stands behind the figures of a group: the distinct subjects of its rows, and of its rows with a value of a field.

Most fields have a value in nearly every row: what a row lacks stands beside its subject, and one set of pairs tells all of it.
Fields in lists, and those for which there is no room, have pairs of their own from the first row that lacks a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from minimize.aggregates.base import Codes
from minimize.aggregates.last import BITS
from minimize.aggregates.pairs import Pairs
from minimize.aggregates.view import View
from minimize.spill import Aside, Words

Field = tuple[str, bool]
"""A field's key, and whether its values take part by rank: then those in open bins do, too."""
Bools = npt.NDArray[np.bool_]


class Contributors:
    """Distinct subjects per group, exact: what thresholds are held against; never to be shown unless they are above.

    Takes the fields whose rows without a value may be told by a mask: the first few of them have a place beside the pairs.
    """

    def __init__(self, fields: Sequence[Field] = ()) -> None:
        self._everyone = Pairs()
        self._bits = {field: bit for bit, field in enumerate(fields[:BITS])}
        self._apart: dict[Field, Pairs] = {}

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._everyone.nbytes + sum(pairs.nbytes for pairs in self._apart.values())

    def observe(self, rows: View, partial: Mapping[Field, View], lacking: Mapping[Field, Bools] | None = None) -> None:
        """Takes rows in; the views with a value for fields that lack one in some; or which of the rows lack one."""
        views, bits = dict(partial), None
        for field, lacks in (lacking or {}).items():
            if field in self._bits:
                bit = lacks.astype(np.int64) << self._bits[field]
                bits = bit if bits is None else bits | bit
            else:
                views[field] = rows.where(~lacks)
        for field in {**self._apart, **views}:
            _add(self._of(field), views.get(field, rows))
        _add(self._everyone, rows, bits)

    def merge(self, other: Self, groups: Codes, subjects: Codes) -> None:
        """Takes others of the same fields in; `groups[i]` and `subjects[i]` are our codes for their code i."""
        for field in {**self._apart, **other._apart}:
            self._of(field).merge(other._apart.get(field, other._everyone), groups, subjects)
        self._everyone.merge(other._everyone, groups, subjects)

    def distinct(self, groups: Codes, field: Field | None = None) -> Codes:
        """How many subjects some groups have, or contribute a value of a field to them."""
        if field is not None and field in self._apart:
            return self._apart[field].distinct(groups)
        return self._everyone.distinct(groups, None if field is None else self._bits.get(field))

    def held(self, groups: Codes) -> Codes:
        """How many subjects some groups have at least: those in memory."""
        return self._everyone.held(groups)

    def set_aside(self, aside: Aside, subjects: Words) -> None:
        """Sets all subjects aside, by their hashes."""
        for pairs in (self._everyone, *self._apart.values()):
            pairs.set_aside(aside, subjects)

    def _of(self, field: Field) -> Pairs:
        if field not in self._apart:
            self._apart[field] = self._everyone.copy()
        return self._apart[field]


def _add(pairs: Pairs, view: View, bits: Codes | None = None) -> None:
    there = view.subjects >= 0
    if there.all():
        pairs.add(view.groups, view.subjects, bits)
    else:
        pairs.add(view.groups[there], view.subjects[there], None if bits is None else bits[there])
