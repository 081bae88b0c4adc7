"""Files and row groups that need not be decoded, by what their folders and statistics say. In doubt they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from minimize.door.matching import Bound
from minimize.governance.access import Tenants
from minimize.io.footer import Footer
from minimize.io.stored import Stored
from minimize.pointer import Pointer


def groups_of(stored: Stored, rules: Sequence[Bound]) -> list[int]:
    """The row groups that may hold a row which meets all conditions; these are on columns as they stand in the file."""
    footer = Footer(stored.file.metadata, stored.schema)
    known = [(rule, leaf) for rule in rules if (leaf := _leaf(footer, rule.column)) is not None]
    return [group for group in range(footer.groups) if all(_may(footer, group, leaf, rule) for rule, leaf in known)]


def folder_meets(value: str | None, type_: pa.DataType, rules: Sequence[Bound]) -> bool:
    """Whether the one value that a folder says for all of its rows meets the conditions on it."""
    made = pa.array([None if value is None else value], pa.string()).cast(type_)
    return all(rule.mask(made)[0].as_py() for rule in rules)


def date_meets(on: str | None, rules: Sequence[Bound]) -> bool:
    """Whether a file of this batch date meets the conditions on it."""
    made = pa.array([None if on is None else date.fromisoformat(on)], pa.date32())
    return all(rule.mask(made)[0].as_py() for rule in rules)


def one_of(tenants: Tenants, column: str) -> list[Bound]:
    """The scope as a condition that statistics can settle; none where it is all but some."""
    if tenants.but:
        return []
    return [Bound(column, "in", pa.array(sorted(tenants.names), pa.string()))]


def _leaf(footer: Footer, column: str) -> int | None:
    return footer.flat(Pointer((column,))) if column in footer.schema.names else None


def _may(footer: Footer, group: int, leaf: int, rule: Bound) -> bool:
    chunk = footer.metadata.row_group(group).column(leaf)
    if not chunk.is_stats_set or not chunk.statistics.has_min_max:
        return True
    ends = _ends(chunk.statistics, rule.values.type)
    return ends is None or rule.may_lie_in(*ends)


def _ends(statistics: Any, type_: pa.DataType) -> tuple[pa.Scalar, pa.Scalar] | None:
    """The smallest and the largest value, in the column's type; None where they cannot be had in it."""
    try:
        low, high = pa.array([statistics.min, statistics.max]).cast(type_)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return None
    return low, high
