"""Collection settings as one run sees them: on or off, and levels, for whole columns of records."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.canonical import EXACT, Folding, canonical, canonical_text
from minimize.settings.asked import Asked, Bounds, Known, pair
from minimize.settings.base import LONGEST_OWN_ON, SCHEMA, FeatureSwitch, Settings
from minimize.settings.columns import index, moments
from minimize.settings.timeline import Bools, Changes, Integers, Timeline

LEVEL = "level"
"""The setting whose values are levels; every other setting is a feature."""

_OFF, _ON, _IGNORED = 0, 1, 2
_OWN_ON_SPAN = LONGEST_OWN_ON // timedelta(microseconds=1)
_PERIODS = 64
"""How many answers a history remembers before it forgets them all."""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One row that decided, and its line where it was read from a file."""

    tenant_id: str
    subject: str | None
    setting: str
    value: str
    holder: str
    valid_from: datetime
    recorded_at: datetime
    line: int | None

    def ran_out(self, switch: FeatureSwitch, when: datetime) -> bool:
        """Whether it is a subject's own `on` of a `per_subject` feature that no longer counts at a time."""
        limited = switch.per_subject and self.subject is not None and self.value == "on"
        return limited and when - self.valid_from >= LONGEST_OWN_ON


class Explained(Settings, Protocol):
    """Settings that can say which rows decided."""

    def as_of(self, at: int) -> Explained:
        """The same rows as a run at another time (in microseconds) sees them."""
        ...

    def why(
        self, tenant: str, setting: str, when: datetime, subject: str | None = None, levels: Sequence[str] = ()
    ) -> tuple[SettingRow, ...]:
        """The rows in force at a time for a tenant (and a subject of it), the latest of each holder: those that decide."""
        ...


@dataclass(frozen=True, slots=True)
class _History:
    """What a setting came to for whole tenants, and for the subjects that have rows of their own.

    truths  what was found to hold for each tenant, by what was asked and the periods in which nothing changes
    """

    tenants: Timeline
    subjects: Timeline
    truths: dict[tuple[_Question, tuple[int, ...]], Bools] = field(default_factory=dict, compare=False)

    def at(self, asked: Asked, when: Integers) -> tuple[Integers, Integers]:
        """The masks in force: the tenant's, and the subject's own."""
        own = np.zeros(len(when), np.int64)
        if asked.own is not None:
            rows = np.flatnonzero(asked.own >= 0)
            own[rows] = self.subjects.at(asked.own[rows], when[rows])
        return self.tenants.at(asked.codes, when), own

    def steadily(self, question: _Question, count: int, times: Sequence[Bounds]) -> Bools | None:
        """Whether it holds in all these times, for each of so many tenants and for nobody; None where a tenant's changes."""
        periods = [self.tenants.period(moment) for bounds in times for moment in bounds]
        key = (question, tuple(periods))
        known = self.truths.get(key)
        if known is None:
            masks = [self.tenants.steady(count, *bounds) for bounds in times]
            found = [question.holds(mask, np.zeros_like(mask)) for mask in masks if mask is not None]
            if len(found) < len(masks):
                return None
            known = np.logical_and.reduce(found)
            if len(self.truths) >= _PERIODS:
                self.truths.clear()
            self.truths[key] = known
        return known


class SeenSettings:
    """Who turned which feature on or off, when, as seen at one run time."""

    def __init__(
        self, rows: pa.Table, at: int, digest: str, lines: pa.Array | None = None, folding: Folding = EXACT
    ) -> None:
        self._folding = folding
        self._rows = rows = _folded(_folded(rows, "tenant_id", folding.tenant), "subject", folding.subject)
        self._at = at
        self._digest = digest
        self._lines = lines
        self._tenants, self._tenant = _coded(rows["tenant_id"])
        self._subjects, self._subject = _coded(rows["subject"])
        self._holder = _coded(rows["holder"])[1]
        own = self._subject >= 0
        pairs, places = np.unique(pair(self._tenant[own], self._subject[own]), return_inverse=True)
        self._known = Known(self._tenants, self._subjects, pairs)
        self._entity = self._tenant.copy()
        self._entity[own] = places
        self._own = own
        self._histories: dict[tuple[str, Hashable], _History] = {}
        self._last: Asked | None = None

    def as_of(self, at: int) -> SeenSettings:
        """The same rows as a run at another time sees them; what was worked out of them is shared."""
        other = copy(self)
        other._at = at
        return other

    def __getstate__(self) -> dict[str, Any]:
        """For copies and other processes: without the records that were asked about last."""
        return {**self.__dict__, "_last": None}

    @property
    def digest(self) -> str:
        """`sha256:` over the rows that are seen, in a canonical order."""
        return self._digest

    def feature_on(
        self, switch: FeatureSwitch, tenants: pa.Array, subjects: pa.Array | None, times: pa.Array | None
    ) -> pa.BooleanArray:
        """Per record: whether the feature was on when the event happened *and* is on at the run's `at`.

        Takes tenants and subjects (strings or integers, dictionary-encoded or not) and event times as they came in, equally
        long; null anywhere is off, no times means that only `at` decides. Without subjects a feature that is `per_subject` is
        off; a subject's own `on` of it counts for 24 hours. Gives no nulls.
        """
        key = (switch.name, switch)
        history = self._history(key, lambda rows: self._feature_classes(rows, switch), own_runs_out=switch.per_subject)
        question = _Question(per_subject=switch.per_subject)
        return self._both(history, question, self._asked(tenants, subjects, times))

    def level_at_least(
        self, level: str, levels: Sequence[str], tenants: pa.Array, subjects: pa.Array | None, times: pa.Array | None
    ) -> pa.BooleanArray:
        """Per record: whether the level in force is this one or higher, at event time and at the run's `at`.

        The first level always is. Raises ValueError where the level is none of the levels.
        """
        wanted = tuple(levels).index(level)
        if wanted == 0:
            return pa.array(np.ones(len(tenants), np.bool_))
        history = self._history((LEVEL, tuple(levels)), lambda rows: self._level_classes(rows, levels))
        return self._both(history, _Question(wanted), self._asked(tenants, subjects, times))

    def why(
        self, tenant: str, setting: str, when: datetime, subject: str | None = None, levels: Sequence[str] = ()
    ) -> tuple[SettingRow, ...]:
        """The rows in force at a time for a tenant (and a subject of it), the latest of each holder: those that decide."""
        tenant = canonical_text(tenant, fold=self._folding.tenant)
        subject = None if subject is None else canonical_text(subject, fold=self._folding.subject)
        mine = pc.and_(pc.equal(self._rows["tenant_id"], tenant), pc.equal(self._rows["setting"], setting))
        whose = pc.is_null(self._rows["subject"])
        if subject is not None:
            whose = pc.or_kleene(whose, pc.equal(self._rows["subject"], subject))
        before = pc.less_equal(self._rows["valid_from"], pa.scalar(when, SCHEMA.field("valid_from").type))
        rows = self._listed(pc.and_kleene(pc.and_kleene(mine, whose), before))
        latest: dict[tuple[str, str], SettingRow] = {}
        for row in sorted(rows, key=lambda row: (row.valid_from, row.recorded_at, -_height(row.value, levels))):
            latest[row.subject or "", row.holder] = row
        return tuple(latest[key] for key in sorted(latest))

    def _listed(self, chosen: pa.ChunkedArray) -> list[SettingRow]:
        numbers = pa.array(np.arange(self._rows.num_rows)) if self._lines is None else self._lines
        table = self._rows.append_column("line", numbers).filter(chosen)
        return [
            SettingRow(**{**row, "line": None if self._lines is None else row["line"]}) for row in table.to_pylist()
        ]

    def _feature_classes(self, rows: Integers, switch: FeatureSwitch) -> Integers:
        table = self._rows.take(pa.array(rows))
        permitted = np.ones(len(rows), np.bool_)
        if switch.holders:
            permitted = index(table["holder"].combine_chunks(), pa.array(switch.holders, pa.string())) >= 0
        own_counts = switch.per_subject or set(switch.holders) == {"user"}
        counts = permitted & (~self._own[rows] | own_counts)
        is_on = index(table["value"].combine_chunks(), pa.array(["on"])) >= 0
        return np.where(is_on, np.where(counts, _ON, _IGNORED), _OFF).astype(np.int64)

    def _level_classes(self, rows: Integers, levels: Sequence[str]) -> Integers:
        values = self._rows["value"].take(pa.array(rows)).combine_chunks()
        return np.maximum(index(values, pa.array(levels, pa.string())), 0)

    def _history(
        self, key: tuple[str, Hashable], classes: Callable[[Integers], Integers], *, own_runs_out: bool = False
    ) -> _History:
        """The history of a setting, by its name and by what decides the classes of its rows."""
        if key not in self._histories:
            rows = np.flatnonzero(pc.equal(self._rows["setting"], key[0]).to_numpy())
            changes = Changes(
                self._entity[rows],
                self._holder[rows],
                moments(self._rows["valid_from"].combine_chunks())[rows],
                moments(self._rows["recorded_at"].combine_chunks())[rows],
                classes(rows),
            )
            own = self._own[rows]
            of_subjects = changes.take(own)
            if own_runs_out:
                of_subjects = of_subjects.followed(_IGNORED, after=_ON, span=_OWN_ON_SPAN)
            self._histories[key] = _History(Timeline.of(changes.take(~own)), Timeline.of(of_subjects))
        return self._histories[key]

    def _asked(self, tenants: pa.Array, subjects: pa.Array | None, times: pa.Array | None) -> Asked:
        """Who and when; of several questions about one batch the first has it made."""
        last = self._last
        if last is None or last.tenants is not tenants or last.subjects is not subjects or last.times is not times:
            self._last = last = Asked(self._known, tenants, subjects, times, self._folding)
        return last

    def _both(self, history: _History, question: _Question, asked: Asked) -> pa.BooleanArray:
        """Whether it holds at the run's time and, by itself, at the event's."""
        if asked.own is None and (asked.times is None or asked.bounds is not None):
            times = [(self._at, self._at), *(() if asked.bounds is None else (asked.bounds,))]
            truths = history.steadily(question, len(self._tenants), times)
            if truths is not None:
                return asked.spread(truths)
        now = np.broadcast_to(np.int64(self._at), asked.codes.shape)
        whens = [when for when in (now, asked.moments) if when is not None]
        answer = np.logical_and.reduce([question.holds(*history.at(asked, when)) for when in whens])
        answer = answer & (asked.codes >= 0)
        return pa.array(answer if asked.somebody is None else answer & asked.somebody)


@dataclass(frozen=True, slots=True)
class _Question:
    """Whether the feature is on; or, with a level's place among the levels, whether that is reached.

    per_subject  whether the feature must be on for the tenant and for the subject, each by a setting of its own
    """

    level: int | None = None
    per_subject: bool = False

    def holds(self, wide: Integers, own: Integers) -> Bools:
        """By the masks of tenants and of subjects."""
        if self.level is None:
            either: Integers = wide | own
            turned_on: Integers = wide & own if self.per_subject else either
            return np.asarray((turned_on & (1 << _ON) != 0) & (either & (1 << _OFF) == 0), np.bool_)
        lower = np.int64((1 << self.level) - 1)
        return np.asarray((wide != 0) & ((wide | own) & lower == 0), np.bool_)


def _folded(rows: pa.Table, name: str, fold: bool) -> pa.Table:
    if not fold:
        return rows
    values = canonical(rows[name].combine_chunks(), fold=True)
    return rows.set_column(rows.schema.get_field_index(name), name, values)


def _height(value: str, levels: Sequence[str]) -> int:
    if value in levels:
        return tuple(levels).index(value)
    return int(value == "on")


def _coded(values: pa.ChunkedArray) -> tuple[pa.Array, Integers]:
    """The distinct values, and for each row the place of its value among them, -1 for null."""
    column = values.combine_chunks()
    distinct = column.drop_null().unique()
    return distinct, index(column, distinct)
