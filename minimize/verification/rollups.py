"""Checks of roll-ups: each equals the sums over the rows that its table shows. Needs no records.

Written from the definition of roll-ups, without the code that makes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import isfinite, isnan
from typing import Any

import pyarrow as pa

from minimize.errors import Finding
from minimize.verification.evidence import new_finding


@dataclass(frozen=True, slots=True)
class ExactTable:
    """One table of exact figures in force: its partition, the table that it rolls up, its groups and its measures."""

    root: str
    name: str
    date: str | None
    rolls_up: str | None
    groups: Sequence[str]
    measures: Sequence[str]
    table: pa.Table

    def sums(self, groups: Sequence[str], measures: Sequence[str]) -> dict[tuple[Any, ...], list[Any]]:
        """The sums of figures by some of the groups, in the types of their columns."""
        keys = zip(*(self.table[group].to_pylist() for group in groups), strict=True)
        rows: dict[tuple[Any, ...], list[int]] = {}
        for place, key in enumerate(keys if groups else [()] * self.table.num_rows):
            rows.setdefault(key, []).append(place)
        columns = [(self.table[each].to_pylist(), self.table.schema.field(each).type) for each in measures]
        return {
            key: [_sum([column[at] for at in own], type_) for column, type_ in columns] for key, own in rows.items()
        }


def check_rollups(tables: Sequence[ExactTable]) -> Iterator[Finding]:
    """V056: a roll-up that differs from the sums over the rows of its table in force."""
    known = {(each.name, each.date): each for each in tables}
    for rollup in tables:
        base = known.get((rollup.rolls_up or "", rollup.date))
        if base is None:
            continue
        expected, found = (each.sums(rollup.groups, rollup.measures) for each in (base, rollup))
        wrong = sum(expected.get(key) != found.get(key) for key in expected.keys() | found.keys())
        if wrong:
            message = f"{wrong} rows are not the sums over the rows of {base.root}"
            yield new_finding("V056", message, file=rollup.root)


def _sum(figures: Sequence[Any], type_: pa.DataType) -> Any:
    """The exact sum of the figures that are shown, rounded once; None if none is, or if it does not fit the type."""
    shown = [figure for figure in figures if figure is not None]
    if not shown:
        return None
    if pa.types.is_floating(type_):
        total = float(sum(map(Fraction, shown))) if all(map(isfinite, shown)) else sum(shown)
        return "NaN" if isnan(total) else total
    total = sum(map(Fraction, shown))
    if pa.types.is_decimal(type_):
        return None if abs(total) >= Fraction(Decimal(10) ** (type_.precision - type_.scale)) else total
    return total if -(2**63) <= total < 2**63 else None
