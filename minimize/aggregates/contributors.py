"""Who stands behind the figures of a group: the distinct subjects of its rows, and of its rows with a value of a field.

Most fields have a value in every row; as long as that is so, their contributors are those of the group, kept once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np

from minimize.aggregates.base import Codes
from minimize.aggregates.cells import Cells
from minimize.aggregates.view import View

Field = tuple[str, bool]
"""A field's key, and whether its values take part by rank: then those in open bins do, too."""


class Contributors:
    """Distinct subjects per group, exact: what thresholds are held against; never to be shown unless they are above."""

    def __init__(self) -> None:
        self._everyone = Cells()
        self._apart: dict[Field, Cells] = {}

    def observe(self, rows: View, partial: Mapping[Field, View]) -> None:
        """Takes rows in, and the rows with a value for those fields that lack one in some."""
        for field in {**self._apart, **partial}:
            _add(self._of(field), partial.get(field, rows))
        _add(self._everyone, rows)

    def merge(self, other: Self, groups: Codes, subjects: Codes) -> None:
        """Takes others in; `groups[i]` and `subjects[i]` are our codes for their code i."""
        for field in {**self._apart, **other._apart}:
            self._of(field).merge(other._apart.get(field, other._everyone), groups, subjects)
        self._everyone.merge(other._everyone, groups, subjects)

    def distinct(self, groups: int, field: Field | None = None) -> Codes:
        """How many subjects each group has, or contribute a value of a field to it."""
        cells = self._everyone if field is None else self._apart.get(field, self._everyone)
        return cells.per_row(groups)

    def _of(self, field: Field) -> Cells:
        if field not in self._apart:
            self._apart[field] = self._everyone.copy()
        return self._apart[field]


def _add(cells: Cells, view: View) -> None:
    there = view.subjects >= 0
    everyone = bool(np.all(there))
    cells.add(view.groups if everyone else view.groups[there], view.subjects if everyone else view.subjects[there])
