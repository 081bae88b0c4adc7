"""Evaluation of collection settings.

The questions of the gate, and the effective settings (on or off, and levels) of whole columns of records.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.columns import KnownNames, column_microseconds, positions_among
from minimize.arrow.dictionaries import Bools, Integers
from minimize.identifiers import (
    NO_FOLDING,
    CaseFolding,
    canonical_column,
    canonical_text,
    canonical_word,
    canonical_words,
)
from minimize.results import json_object
from minimize.settings.timeline import (
    NO_FIELDS,
    Bounds,
    Changes,
    FieldIds,
    KnownEntities,
    KnownSubjects,
    SettingsQuery,
    Timeline,
    pair_codes,
)
from minimize.times import seconds_text

SETTINGS_SCHEMA = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("subject", pa.string()),
        ("setting", pa.string()),
        ("value", pa.string()),
        ("holder", pa.string()),
        ("valid_from", pa.timestamp("us", "UTC")),
        ("recorded_at", pa.timestamp("us", "UTC")),
    ]
)
"""The columns that all settings have."""
ROW_SCHEMA: Final = SETTINGS_SCHEMA.append(pa.field("field", pa.string()))
"""The columns of checked settings. `field` names the field whose value `subject` is; null for the subject of the policy."""


OWN_ON_LIMIT: Final = timedelta(hours=24)
"""How long a subject's own `on` of a `per_subject` feature is valid after its `valid_from`. An `off` is valid without end."""


@dataclass(frozen=True, slots=True)
class FeatureSwitch:
    """The rules by which settings turn a feature on."""

    name: str
    holders: tuple[str, ...] = ()
    """The holders that may turn the feature on; empty for any."""
    per_subject: bool = False
    """Whether the feature is on only for subjects that have a setting of their own, in addition to their tenant's. A subject's
    own `on` is valid for 24 hours (`OWN_ON_LIMIT`)."""
    subject: str | None = None
    """The field that is the policy's subject."""

    @property
    def of_tenants(self) -> FeatureSwitch:
        """The tenant's part of the switch alone: a tenant must turn it on before any subject can."""
        return replace(self, per_subject=False)


class Settings(Protocol):
    """Which holder turned which feature on or off, and when; as known at the time of one run."""

    @property
    def digest(self) -> str:
        """`sha256:` over the rows in a canonical order."""
        ...

    @property
    def fields(self) -> frozenset[str]:
        """The fields, other than the policy's subject, by which rows name their subjects."""
        ...

    def feature_on(
        self,
        switch: FeatureSwitch,
        tenants: pa.Array,
        subjects: pa.Array | None,
        times: pa.Array | None,
        others: Mapping[str, FieldIds] = NO_FIELDS,
    ) -> pa.BooleanArray:
        """For each record, whether the feature was on when the event happened *and* is on at the run's `at`.

        Takes tenants and subjects (string, dictionary-encoded or not), compared by their canonical form, and event times
        (timestamp), of equal length. A null in any of them means off; without times only `at` decides. Without subjects a
        `per_subject` feature is off. `others` has the ids of the fields in `fields`: the setting of each of them counts for its
        record. The result has no nulls.
        """
        ...

    def level_at_least(
        self,
        level: str,
        levels: Sequence[str],
        tenants: pa.Array,
        subjects: pa.Array | None,
        times: pa.Array | None,
        others: Mapping[str, FieldIds] = NO_FIELDS,
    ) -> pa.BooleanArray:
        """For each record, whether the level in force is at least this one, at event time and at the run's `at`."""
        ...


LEVEL_SETTING = "level"
"""The setting whose values are levels; every other setting is a feature."""

USER_HOLDER: Final = "user"
"""The holder whose choice is that of one person. For a whole tenant it turns nothing on."""
_OFF, _ON, _IGNORED = 0, 1, 2
_OWN_ON_SPAN = OWN_ON_LIMIT // timedelta(microseconds=1)
_REMEMBERED_PERIODS = 64
"""Number of cached answers of a history; then the cache is cleared."""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One row that decided, and its line if it was read from a file."""

    tenant_id: str
    subject: str | None
    setting: str
    value: str
    holder: str
    valid_from: datetime
    recorded_at: datetime
    line: int | None
    field: str | None = None

    def ran_out(self, switch: FeatureSwitch, when: datetime) -> bool:
        """Whether this is a subject's own `on` of a `per_subject` feature that is no longer valid at a time."""
        limited = switch.per_subject and self.subject is not None and self.value == "on"
        return limited and when - self.valid_from >= OWN_ON_LIMIT

    def to_json(self) -> dict[str, Any]:
        """The row as `settings show --json` prints it."""
        hidden = ("line",) if self.field is not None else ("line", "field")
        return {name: value for name, value in json_object(self).items() if name not in hidden}

    def lines(self) -> Iterator[str]:
        """The row as `settings show` prints it."""
        subject = f"  {self.subject}" if self.subject else ""
        subject += f" ({self.field})" if self.field else ""
        since = seconds_text(self.valid_from)
        yield f"{self.tenant_id}  {self.setting}  {self.value}  {self.holder}  {since}{subject}"


class ExplainableSettings(Settings, Protocol):
    """Settings that can return the rows that decided."""

    def unmatched_subjects(self, settings: frozenset[str], fields: frozenset[str]) -> int:
        """The number of subjects with one of these settings of their own that no record had, in any question until now.

        Subjects that are named by a field count if it is one of these.
        """
        ...

    def as_of(self, at: int) -> ExplainableSettings:
        """The same rows as known at another time of a run (in microseconds)."""
        ...

    def deciding_rows(
        self,
        tenant: str,
        setting: str,
        when: datetime,
        subject: str | None = None,
        levels: Sequence[str] = (),
        field: str | None = None,
    ) -> tuple[SettingRow, ...]:
        """The rows that decide at a time for a tenant (and a subject of it): the latest row of each holder.

        `field` names the field of the subject's id if it is not the policy's subject.
        """
        ...


@dataclass(frozen=True, slots=True)
class _SettingHistory:
    """The values of a setting over time, for whole tenants and for subjects with rows of their own."""

    tenants: Timeline
    subjects: Mapping[str | None, Timeline]
    truths: dict[tuple[_MaskQuestion, tuple[int, ...]], Bools] = field(default_factory=dict, compare=False)
    """Cached results per tenant, by question and by the periods without changes."""

    def masks_at(self, query: SettingsQuery, when: Integers) -> tuple[Integers, Integers]:
        """The masks in force: the tenant's, and the subject's own."""
        subject_masks = np.zeros(len(when), np.int64)
        for ids in query.own or ():
            masks = self.subjects[ids.field].masks_at(ids.positions, when[ids.rows])
            if ids.is_single:
                subject_masks[ids.rows] |= masks
            else:
                np.bitwise_or.at(subject_masks, ids.rows, masks)
        return self.tenants.masks_at(query.codes, when), subject_masks

    def constant_truths(self, question: _MaskQuestion, count: int, times: Sequence[Bounds]) -> Bools | None:
        """The result for each tenant, and for unknown ones, if it is the same at all these times; None if a tenant's changes."""
        key = (question, tuple(self.tenants.period(moment) for bounds in times for moment in dict.fromkeys(bounds)))
        known = self.truths.get(key)
        if known is None:
            masks = [self.tenants.constant_masks(count, *bounds) for bounds in times]
            truths = [question.holds(mask, np.zeros_like(mask)) for mask in masks if mask is not None]
            if len(truths) < len(masks):
                return None
            known = np.logical_and.reduce(truths)
            if len(self.truths) >= _REMEMBERED_PERIODS:
                self.truths.clear()
            self.truths[key] = known
        return known


class EffectiveSettings:
    """Which holder turned which feature on or off, and when; as known at the time of one run."""

    def __init__(
        self, rows: pa.Table, at: int, digest: str, lines: pa.Array | None = None, folding: CaseFolding = NO_FOLDING
    ) -> None:
        self._folding = folding
        self._rows = rows = _fold_subjects(_fold_column(rows, "tenant_id", folding.tenant), folding)
        self._at = at
        self._digest = digest
        self._lines = lines
        self._tenants, self._tenant = _encode_distinct(rows["tenant_id"])
        self._holder = _encode_distinct(rows["holder"])[1]
        self._own = np.asarray(rows["subject"].is_valid())
        self._fields = _own_rows_by_field(rows, self._own)
        self._entity = self._tenant.copy()
        subjects = {name: self._known_subjects(name, places) for name, places in self._fields.items()}
        self._known = KnownEntities(KnownNames(self._tenants), subjects)
        self._histories: dict[tuple[str, Hashable], _SettingHistory] = {}
        self._matched = {name: np.zeros(len(records.pairs), np.bool_) for name, records in subjects.items()}
        self._last: SettingsQuery | None = None

    def unmatched_subjects(self, settings: frozenset[str], fields: frozenset[str]) -> int:
        """The number of subjects with one of these settings of their own that no record had, in any question until now."""
        setting_mask = np.asarray(pc.is_in(self._rows["setting"], value_set=pa.array(sorted(settings), pa.string())))
        count = 0
        for name, rows in self._fields.items():
            if name is None or name in fields:
                pairs = np.unique(self._entity[rows[setting_mask[rows]]])
                count += int(np.count_nonzero(~self._matched[name][pairs]))
        return count

    def _known_subjects(self, name: str | None, rows: Integers) -> KnownSubjects:
        """The subjects of rows that name them by one field. Sets the entities of these rows."""
        subjects, codes = _encode_distinct(self._rows["subject"].take(pa.array(rows)))
        pairs, places = np.unique(pair_codes(self._tenant[rows], codes), return_inverse=True)
        self._entity[rows] = places.reshape(-1)
        return KnownSubjects(KnownNames(subjects), pairs, self._folding.folds(name))

    def as_of(self, at: int) -> EffectiveSettings:
        """The same rows as known at another time of a run. Derived data is shared."""
        view = EffectiveSettings.__new__(EffectiveSettings)
        view.__dict__.update(self.__getstate__(), _at=at)
        return view

    def __getstate__(self) -> dict[str, Any]:
        """For copies and other processes: without the records of the last query."""
        return {**self.__dict__, "_last": None}

    @property
    def digest(self) -> str:
        """`sha256:` over the known rows, in a canonical order."""
        return self._digest

    @property
    def fields(self) -> frozenset[str]:
        """The fields, other than the policy's subject, by which rows name their subjects."""
        return frozenset(name for name in self._fields if name is not None)

    def feature_on(
        self,
        switch: FeatureSwitch,
        tenants: pa.Array,
        subjects: pa.Array | None,
        times: pa.Array | None,
        others: Mapping[str, FieldIds] = NO_FIELDS,
    ) -> pa.BooleanArray:
        """For each record, whether the feature was on when the event happened *and* is on at the run's `at`.

        Takes tenants and subjects (strings or integers, dictionary-encoded or not) and event times as in the input, of equal
        length. A null in any of them means off; without times only `at` decides. Without subjects a `per_subject` feature is off;
        a subject's own `on` of it is valid for 24 hours, and does not count if another field names the subject. The result has
        no nulls.
        """
        key = (canonical_word(switch.name), switch)
        history = self._history(key, lambda rows: self._feature_classes(rows, switch), own_runs_out=switch.per_subject)
        question = _MaskQuestion(per_subject=switch.per_subject)
        return self._holds_both(history, question, self._query(tenants, subjects, times, others))

    def level_at_least(
        self,
        level: str,
        levels: Sequence[str],
        tenants: pa.Array,
        subjects: pa.Array | None,
        times: pa.Array | None,
        others: Mapping[str, FieldIds] = NO_FIELDS,
    ) -> pa.BooleanArray:
        """For each record, whether the level in force is at least this one, at event time and at the run's `at`.

        The first level always is. Raises ValueError if the level is not one of the levels.
        """
        rank = tuple(levels).index(level)
        if rank == 0:
            return pa.array(np.ones(len(tenants), np.bool_))
        history = self._history((LEVEL_SETTING, tuple(levels)), lambda rows: self._level_classes(rows, levels))
        question = _MaskQuestion(rank, count=len(levels))
        return self._holds_both(history, question, self._query(tenants, subjects, times, others))

    def deciding_rows(
        self,
        tenant: str,
        setting: str,
        when: datetime,
        subject: str | None = None,
        levels: Sequence[str] = (),
        field: str | None = None,
    ) -> tuple[SettingRow, ...]:
        """The rows that decide at a time for a tenant (and a subject of it): the latest row of each holder.

        `field` names the field of the subject's id if it is not the policy's subject.
        """
        tenant = canonical_text(tenant, fold=self._folding.tenant)
        subject = None if subject is None else canonical_text(subject, fold=self._folding.folds(field))
        name = canonical_word(setting)
        setting_mask = pc.and_(pc.equal(self._rows["tenant_id"], tenant), pc.equal(self._rows["setting"], name))
        matches = pc.is_null(self._rows["subject"])
        if subject is not None:
            named = pc.is_null(self._rows["field"]) if field is None else pc.equal(self._rows["field"], field)
            matches = pc.or_kleene(matches, pc.and_kleene(pc.equal(self._rows["subject"], subject), named))
        before = pc.less_equal(self._rows["valid_from"], pa.scalar(when, SETTINGS_SCHEMA.field("valid_from").type))
        rows = self._listed(pc.and_kleene(pc.and_kleene(setting_mask, matches), before))
        latest: dict[tuple[str, str], SettingRow] = {}
        for row in sorted(rows, key=lambda row: (row.valid_from, row.recorded_at, -_value_rank(row.value, levels))):
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
        holders, is_subject = table["holder"].combine_chunks(), self._own[rows]
        counts = is_subject | (positions_among(holders, pa.array([USER_HOLDER])) < 0)
        if switch.holders:
            counts &= positions_among(holders, _folded_words(switch.holders)) >= 0
        if switch.per_subject:
            counts &= ~is_subject | np.asarray(pc.fill_null(pc.equal(table["field"], switch.subject or ""), True))
        elif set(switch.holders) != {USER_HOLDER}:
            counts &= ~is_subject
        is_on = positions_among(table["value"].combine_chunks(), pa.array(["on"])) >= 0
        return np.where(is_on, np.where(counts, _ON, _IGNORED), _OFF).astype(np.int64)

    def _level_classes(self, rows: Integers, levels: Sequence[str]) -> Integers:
        """The level of each row. A user's row for a whole tenant sets no level, but limits it: a class of its own."""
        table = self._rows.take(pa.array(rows))
        ranks = np.maximum(positions_among(table["value"].combine_chunks(), _folded_words(levels)), 0)
        is_user = positions_among(table["holder"].combine_chunks(), pa.array([USER_HOLDER])) >= 0
        return np.where(is_user & ~self._own[rows], ranks + len(levels), ranks)

    def _history(
        self, key: tuple[str, Hashable], classes: Callable[[Integers], Integers], *, own_runs_out: bool = False
    ) -> _SettingHistory:
        """The history of a setting, by its name and by the rule that assigns classes to its rows."""
        if key not in self._histories:
            rows = np.flatnonzero(pc.equal(self._rows["setting"], key[0]).to_numpy())
            changes = Changes(
                self._entity[rows],
                self._holder[rows],
                column_microseconds(self._rows["valid_from"].combine_chunks())[rows],
                column_microseconds(self._rows["recorded_at"].combine_chunks())[rows],
                classes(rows),
            )
            subjects: dict[str | None, Timeline] = {}
            for name, places in self._fields.items():
                of_subjects = changes.take(np.isin(rows, places, assume_unique=True))
                if own_runs_out:
                    of_subjects = of_subjects.followed(_IGNORED, after=_ON, span=_OWN_ON_SPAN)
                subjects[name] = Timeline.from_changes(of_subjects)
            of_tenants = Timeline.from_changes(changes.take(~self._own[rows]))
            self._histories[key] = _SettingHistory(of_tenants, subjects)
        return self._histories[key]

    def _query(
        self, tenants: pa.Array, subjects: pa.Array | None, times: pa.Array | None, others: Mapping[str, FieldIds]
    ) -> SettingsQuery:
        """The columns of a batch. For several questions about one batch, they are looked up once."""
        last, columns = self._last, (tenants, subjects, times, others)
        if last is None or any(
            old is not new
            for old, new in zip((last.tenants, last.subjects, last.times, last.others), columns, strict=True)
        ):
            self._last = last = SettingsQuery(self._known, tenants, subjects, times, self._folding, others)
            for ids in last.own or ():
                self._matched[ids.field][ids.positions] = True
        return last

    def _holds_both(self, history: _SettingHistory, question: _MaskQuestion, query: SettingsQuery) -> pa.BooleanArray:
        """Whether the condition is met at the run's time and, separately, at the event's."""
        if query.own is None and (query.times is None or query.bounds is not None):
            times = [(self._at, self._at), *(() if query.bounds is None else (query.bounds,))]
            truths = history.constant_truths(question, len(self._tenants), times)
            if truths is not None:
                return query.spread(truths)
        now = np.broadcast_to(np.int64(self._at), query.codes.shape)
        whens = [when for when in (now, query.moments) if when is not None]
        answer = np.logical_and.reduce([question.holds(*history.masks_at(query, when)) for when in whens])
        answer = answer & (query.codes >= 0)
        return pa.array(answer if query.complete is None else answer & query.complete)


@dataclass(frozen=True, slots=True)
class _MaskQuestion:
    """Whether the feature is on; or, with the index of a level, whether that level is reached."""

    level: int | None = None
    per_subject: bool = False
    """Whether the feature must be on for the tenant and for the subject, each by a setting of its own."""
    count: int = 0
    """The number of levels."""

    def holds(self, tenant_masks: Integers, subject_masks: Integers) -> Bools:
        """Evaluates the masks of tenants and of subjects."""
        if self.level is None:
            either: Integers = tenant_masks | subject_masks
            turned_on: Integers = tenant_masks & subject_masks if self.per_subject else either
            return np.asarray((turned_on & (1 << _ON) != 0) & (either & (1 << _OFF) == 0), np.bool_)
        lower, set_ = np.int64((1 << self.level) - 1), tenant_masks & np.int64((1 << self.count) - 1)
        limits = tenant_masks | subject_masks | (tenant_masks >> self.count)
        return np.asarray((set_ != 0) & (limits & lower == 0), np.bool_)


def _fold_subjects(rows: pa.Table, folding: CaseFolding) -> pa.Table:
    """The rows with subjects in the form in which the policy compares the ids of their field."""
    place, subjects = rows.schema.get_field_index("subject"), rows["subject"].combine_chunks()
    for name in rows["field"].unique().to_pylist():
        if folding.folds(name):
            field_mask = (
                pc.is_null(rows["field"]) if name is None else pc.fill_null(pc.equal(rows["field"], name), False)
            )
            subjects = pc.if_else(field_mask.combine_chunks(), canonical_column(subjects, fold=True), subjects)
    return rows.set_column(place, "subject", subjects)


def _own_rows_by_field(rows: pa.Table, subject_mask: Bools) -> dict[str | None, Integers]:
    """The rows of single subjects, by the field that names them; None for the policy's subject."""
    names, codes = _encode_distinct(rows["field"])
    places = {None: np.flatnonzero(subject_mask & (codes < 0))}
    places |= {name: np.flatnonzero(subject_mask & (codes == code)) for code, name in enumerate(names.to_pylist())}
    return {name: field_rows for name, field_rows in places.items() if len(field_rows)}


def _folded_words(words: Sequence[str]) -> pa.Array:
    return pa.array([canonical_word(word) for word in words], pa.string())


def _fold_column(rows: pa.Table, name: str, fold: bool) -> pa.Table:
    if not fold:
        return rows
    values = canonical_words(rows[name].combine_chunks())
    return rows.set_column(rows.schema.get_field_index(name), name, values)


def _value_rank(value: str, levels: Sequence[str]) -> int:
    folded = [canonical_word(level) for level in levels]
    if value in folded:
        return folded.index(value)
    return int(value == "on")


def _encode_distinct(values: pa.ChunkedArray) -> tuple[pa.Array, Integers]:
    """The distinct values, and for each row the index of its value among them; -1 for null."""
    column = values.combine_chunks()
    distinct = column.drop_null().unique()
    return distinct, positions_among(column, distinct)
