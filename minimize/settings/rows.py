"""Settings as they were recorded: their rows, and the effective settings at the time of a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.identifiers import NO_FOLDING, CaseFolding, canonical_text
from minimize.pages import Table, html_fragment
from minimize.settings.evaluation import ROW_SCHEMA, USER_HOLDER, EffectiveSettings, ExplainableSettings
from minimize.text import count_noun
from minimize.times import epoch_microseconds


@dataclass(frozen=True, slots=True)
class SettingKind:
    """A setting with the value and the holder that set it, and the first line with them (None for data in memory)."""

    setting: str
    holder: str
    value: str
    line: int | None


@dataclass(frozen=True)
class SettingsRows:
    """Settings as they were recorded, in no particular order.

    table  the rows, in the schema of settings; an empty subject is null
    lines  the line of each row in its file
    file   the file that was read
    noncanonical  indexes of the rows of which a name was not in canonical form; the table has the canonical form
    folding       whether tenants and subjects are compared without regard to case
    """

    table: pa.Table = field(repr=False)
    lines: Sequence[int] | None = field(default=None, repr=False)
    file: str | None = None
    noncanonical: Sequence[int] = ()
    folding: CaseFolding = NO_FOLDING

    def __post_init__(self) -> None:
        if "field" not in self.table.column_names:
            column = pa.nulls(self.table.num_rows, pa.string())
            object.__setattr__(self, "table", self.table.append_column("field", column))  # a frozen dataclass

    def with_folding(self, folding: CaseFolding) -> Self:
        """The same rows, compared as a policy compares tenants and subjects."""
        return replace(self, folding=folding)

    @cached_property
    def fields(self) -> frozenset[str]:
        """The fields, other than a policy's subject, by which rows name their subjects."""
        return frozenset(name for name in self.table["field"].unique().to_pylist() if name is not None)

    def effective_at(self, run_at: datetime) -> ExplainableSettings:
        """The settings as known to a run at this time, without rows that were recorded later."""
        at = epoch_microseconds(run_at)
        if at >= self._last:
            return self._all_effective.as_of(at)
        if at not in self._earlier:
            self._earlier.clear()
            self._earlier[at] = self._effective_before(at)
        return self._earlier[at].as_of(at)

    @cached_property
    def _earlier(self) -> dict[int, EffectiveSettings]:
        """The settings as known at the last time that was asked for, if rows were recorded later."""
        return {}

    def _effective_before(self, at: int) -> EffectiveSettings:
        moment = pa.scalar(at, pa.int64()).cast(pa.timestamp("us", "UTC"))
        seen = pc.less_equal(self.table["recorded_at"], moment)
        table = self.table.filter(seen)
        lines = None if self.lines is None else pa.array(self.lines, pa.int64()).filter(seen.combine_chunks())
        return EffectiveSettings(table.combine_chunks(), at, rows_digest(table), lines, self.folding)

    @cached_property
    def _last(self) -> int:
        """The time when the last row was recorded. A later run knows all rows."""
        last = pc.max(self.table["recorded_at"]).as_py()
        return 0 if last is None else epoch_microseconds(last)

    @cached_property
    def _all_effective(self) -> EffectiveSettings:
        lines = None if self.lines is None else pa.array(self.lines, pa.int64())
        return EffectiveSettings(self.table.combine_chunks(), self._last, self.digest, lines, self.folding)

    @cached_property
    def digest(self) -> str:
        """`sha256:` over all rows in a canonical order."""
        return rows_digest(self.table)

    def lines_of(self, rows: Sequence[int]) -> list[int | None]:
        """The lines of rows; None for each if they were not read from one file."""
        return [None if self.lines is None else self.lines[row] for row in rows]

    def user_rows_of_tenants(self, settings: Collection[str]) -> list[int]:
        """The rows of the holder `user` that would turn one of these settings on for a whole tenant."""
        names = pa.array([canonical_text(name, fold=True) for name in settings], pa.string())
        masks = [
            pc.equal(self.table["holder"], USER_HOLDER),
            pc.equal(self.table["value"], "on"),
            pc.is_null(self.table["subject"]),
            pc.is_in(self.table["setting"], value_set=names),
        ]
        return np.flatnonzero(np.logical_and.reduce([np.asarray(mask) for mask in masks])).tolist()

    def _repr_html_(self) -> str:
        """How often each setting was changed, and by how many tenants; without the settings of any single tenant."""
        keys = ["setting", "holder", "value"]
        moved = [("tenant_id", "count"), ("tenant_id", "count_distinct")]
        moves = (
            self.table.group_by(keys, use_threads=False).aggregate(moved).sort_by([(key, "ascending") for key in keys])
        )
        rows = [[str(cell) for cell in row.values()] for row in moves.to_pylist()]
        title = (
            f"collection settings{f' of {self.file}' if self.file else ''}: {count_noun(self.table.num_rows, 'row')}"
        )
        head = ("setting", "holder", "value", "rows", "tenants")
        return html_fragment(title, Table("changes of settings", head, rows, numbers=3))

    def kinds(self) -> tuple[SettingKind, ...]:
        """The distinct (setting, holder, value) with the first line of each, for lint."""
        lines = range(self.table.num_rows) if self.lines is None else self.lines
        table = self.table.select(["setting", "holder", "value"]).append_column("line", pa.array(lines, pa.int64()))
        first = table.group_by(["setting", "holder", "value"], use_threads=False).aggregate([("line", "min")])
        kinds = [SettingKind(row["setting"], row["holder"], row["value"], row["line_min"]) for row in first.to_pylist()]
        if self.lines is None:
            kinds = [SettingKind(kind.setting, kind.holder, kind.value, None) for kind in kinds]
        return tuple(sorted(kinds, key=lambda kind: (kind.setting, kind.holder, kind.value)))


def rows_digest(table: pa.Table) -> str:
    """`sha256:` over the rows in a canonical order and notation."""
    total = hashlib.sha256()
    for line in sorted(_canonical_lines(table)):
        total.update(line.encode() + b"\n")
    return f"sha256:{total.hexdigest()}"


def _canonical_lines(table: pa.Table) -> Iterator[str]:
    names = ROW_SCHEMA.names
    moments = {name: table[name].cast(pa.int64()) for name in ("valid_from", "recorded_at")}
    columns = [moments.get(name, table[name]).to_pylist() for name in names]
    rows = (row if row[-1] is not None else row[:-1] for row in zip(*columns, strict=True))  # without an empty `field`
    return (json.dumps(row, ensure_ascii=True) for row in rows)
