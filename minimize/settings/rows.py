"""Settings as they were recorded: their rows, and the effective settings at the time of a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.identifiers import NO_FOLDING, CaseFolding, canonical_word
from minimize.ledger.clock import effective_start
from minimize.pages import Table, html_fragment
from minimize.settings.evaluation import LEVEL_SETTING, ROW_SCHEMA, USER_HOLDER, EffectiveSettings, ExplainableSettings
from minimize.text import count_noun
from minimize.times import EPOCH, epoch_microseconds, utc_now

_HOLDER_COLUMNS: Final = ("tenant_id", "subject", "setting", "holder", "field")
"""The columns that name what a row is about, and who decided it."""
_MICROSECOND: Final = timedelta(microseconds=1)


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
    levels        the levels of the policy, lowest first
    """

    table: pa.Table = field(repr=False)
    lines: Sequence[int] | None = field(default=None, repr=False)
    file: str | None = None
    noncanonical: Sequence[int] = ()
    folding: CaseFolding = NO_FOLDING
    levels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if "field" not in self.table.column_names:
            column = pa.nulls(self.table.num_rows, pa.string())
            object.__setattr__(self, "table", self.table.append_column("field", column))  # a frozen dataclass

    def with_folding(self, folding: CaseFolding, levels: Sequence[str] = ()) -> Self:
        """The same rows, compared as a policy compares tenants, subjects and levels."""
        return replace(self, folding=folding, levels=tuple(levels))

    @cached_property
    def effective_table(self) -> pa.Table:
        """The rows with the times from which they count.

        These differ from the recorded ones for an opt-out that a clock ahead has recorded: it counts immediately after the
        earlier rows of its holder, unless a person stated a later day. An opt-out is an `off` or no higher level.
        """
        now, newest = utc_now(), pc.max(self.table["recorded_at"]).as_py()
        if newest is None or newest <= now:
            return self.table
        recorded = self.table["recorded_at"].to_pylist()
        starts, keys = self.table["valid_from"].to_pylist(), list(zip(*map(self._words, _HOLDER_COLUMNS), strict=True))
        last: dict[tuple[str | None, ...], datetime] = {}
        rows = range(len(recorded))
        order = rows if self.has_order else sorted(rows, key=lambda row: recorded[row])
        restricts = self._restricting_rows(order)
        for row in order:
            at = max(starts[row], recorded[row])
            if recorded[row] > now and restricts[row]:
                at = last.get(keys[row], EPOCH) + _MICROSECOND
                starts[row] = effective_start(starts[row], recorded[row], at)
                recorded[row] = at
            if at <= now:
                last[keys[row]] = max(at, last.get(keys[row], EPOCH))
        found = self.table
        for name, column in (("valid_from", starts), ("recorded_at", recorded)):
            place = found.schema.get_field_index(name)
            found = found.set_column(place, found.schema.field(name), pa.array(column, found.schema.field(name).type))
        return found

    def _words(self, name: str) -> list[str | None]:
        found: list[str | None] = self.table[name].to_pylist()
        return found

    @property
    def has_order(self) -> bool:
        """Whether the rows are in the order in which they were recorded."""
        return False

    def _restricting_rows(self, order: Sequence[int]) -> list[bool]:
        """For each row, whether it restricts compared with the row before it of the same holder."""
        ranks = {canonical_word(level): rank for rank, level in enumerate(self.levels)}
        values, keys = self._words("value"), list(zip(*map(self._words, _HOLDER_COLUMNS), strict=True))
        restricts, before = [value != "on" for value in values], dict[tuple[str | None, ...], int]()
        for row in order if LEVEL_SETTING in self._words("setting") else ():
            if keys[row][2] == LEVEL_SETTING:
                rank = ranks.get(str(values[row]), 0)
                restricts[row] = bool(ranks) and rank <= before.get(keys[row], 0)
                before[keys[row]] = rank
        return restricts

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
        seen = pc.less_equal(self.effective_table["recorded_at"], moment)
        table = self.effective_table.filter(seen)
        lines = None if self.lines is None else pa.array(self.lines, pa.int64()).filter(seen.combine_chunks())
        digest = rows_digest(self.table.filter(seen))
        return EffectiveSettings(table.combine_chunks(), at, digest, lines, self.folding)

    @cached_property
    def _last(self) -> int:
        """The time when the last row was recorded. A later run knows all rows."""
        last = pc.max(self.effective_table["recorded_at"]).as_py()
        return 0 if last is None else epoch_microseconds(last)

    @cached_property
    def _all_effective(self) -> EffectiveSettings:
        lines = None if self.lines is None else pa.array(self.lines, pa.int64())
        return EffectiveSettings(self.effective_table.combine_chunks(), self._last, self.digest, lines, self.folding)

    @cached_property
    def digest(self) -> str:
        """`sha256:` over all rows in a canonical order."""
        return rows_digest(self.table)

    def lines_of(self, rows: Sequence[int]) -> list[int | None]:
        """The lines of rows; None for each if they were not read from one file."""
        return [None if self.lines is None else self.lines[row] for row in rows]

    def user_rows_of_tenants(self, settings: Collection[str]) -> list[int]:
        """The rows of the holder `user` that would turn one of these settings on for a whole tenant."""
        names = pa.array([canonical_word(name) for name in settings], pa.string())
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
