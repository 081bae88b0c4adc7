"""Rerunnable dates.

Published dates whose source is unchanged since their receipts, so that a run can replace them, and the dates that today's
policy, settings and consents cannot change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import pyarrow.compute as pc

from minimize.consent import Consents
from minimize.datasets.pipelines import origin_place, origin_settings
from minimize.datasets.published_output import PublishedOutput
from minimize.errors import ConfigurationError
from minimize.keys import Keyring
from minimize.output.folder import RESTRICTED, output_and_date
from minimize.policy.fields import gate_condition, is_dropped
from minimize.policy.load import hierarchy_files
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt, RunOrigin
from minimize.receipts.chain import READING_KINDS
from minimize.records import RECORDS
from minimize.removal.retention_rules import current_conditions
from minimize.runs.batch_dates import DateSelection, compare_files, date_text, last_inputs, parse_batch_date
from minimize.runs.deciding_function import ConsentChange, consent_change, consents_changed
from minimize.runs.inputs import find_input_files, path_mask
from minimize.runs.resolve import ResolvedRun, RunRequest, resolve_run
from minimize.settings import SettingsRows
from minimize.sources.file_discovery import SourceFiles
from minimize.sources.files import batch_parts
from minimize.stores import PathText
from minimize.workspace import Workspace

REMOVING_KINDS: Final = ("expire", "retract", "correct", "delete")


@dataclass(frozen=True, slots=True)
class RerunnableDate:
    """A date that can be run again. `is_pending` if the result may differ from the published one."""

    date: str | None
    is_pending: bool


@dataclass(frozen=True)
class SourceFinder:
    """Finds the unchanged sources of published dates. They are listed once for all dates of a publication."""

    workspace: Workspace = field(repr=False)
    chain: Sequence[Receipt] = field(repr=False)
    at: datetime

    def find(self, on: str | None) -> tuple[Receipt, ResolvedRun] | None:
        """The receipt that read a date, and a run that finds its source unchanged; None if the source changed.

        Records removed after events since then do not count as a change, because the caller knows the events.
        """
        last = last_reading_receipt(self._receipts.get(on, ()))
        if last is None or not self._unchanged.is_unchanged(on):
            return None
        folder = self.workspace.target
        request = RunRequest(
            DateSelection.from_options(on),
            self.at,
            origin_place(folder, self._origin.input),
            origin_settings(folder, self._origin),
            rerun=True,
        )
        run = resolve_run(self.workspace, request, listed=self._unchanged.listed)
        return None if run.is_empty else (last, run)

    @property
    def _origin(self) -> RunOrigin:
        return self.chain[-1].origin or RunOrigin()

    @cached_property
    def _receipts(self) -> dict[str | None, list[Receipt]]:
        return receipts_by_date(self.chain)

    @cached_property
    def _unchanged(self) -> UnchangedSources:
        source = origin_place(self.workspace.target, self._origin.input)
        return UnchangedSources(self.workspace.job, self.chain, source, self.workspace.keyring(), after_events=True)


class UnchangedSources:
    """The dates whose source files have the digests of their last receipt, and of which no records were removed since.

    With `after_events`, records removed after events do not count. The source is listed once. The files of a date are read on
    demand.
    """

    def __init__(
        self,
        job: Pipeline,
        chain: Sequence[Receipt],
        source: PathText | None,
        keys: Keyring,
        *,
        after_events: bool = False,
    ) -> None:
        self._job, self._source, self._shown = job, source, path_mask(job, keys)
        self._inputs = {date_text(day): each for day, each in last_inputs(chain, self._shown).items()}
        self._receipts, self._after_events = receipts_by_date(chain), after_events
        self._known: dict[str | None, bool] = {}

    def dates(self, without: Collection[str | None] = ()) -> Iterator[str | None]:
        """These dates, except those in `without`."""
        yield from (on for on in self._inputs if on not in without and self.is_unchanged(on))

    def is_unchanged(self, on: str | None) -> bool:
        """Whether a date is one of them."""
        if on not in self._known:
            self._known[on] = self._is_unchanged(on)
        return self._known[on]

    def _is_unchanged(self, on: str | None) -> bool:
        before = self._inputs.get(on)
        if not before or _would_restore(self._receipts[on], but_events=self._after_events):
            return False
        day = parse_batch_date(on)
        try:
            files = self.listed or find_input_files(self._job, self._source, day)
        except ConfigurationError:
            return False
        return compare_files(batch_parts(files, day, self._shown), before).state == "same"

    @cached_property
    def listed(self) -> SourceFiles | None:
        """The files of all dates; None if the source can only be listed date by date."""
        try:
            return find_input_files(self._job, self._source, None)
        except ConfigurationError:
            return None


def receipts_by_date(chain: Sequence[Receipt]) -> dict[str | None, list[Receipt]]:
    """The receipts of each date, by sequence; None is the single batch of a source without dates."""
    by_date: dict[str | None, list[Receipt]] = {}
    for receipt in chain:
        for on in receipt.dates or (None,):
            by_date.setdefault(on, []).append(receipt)
    return by_date


def _would_restore(receipts: Sequence[Receipt], *, but_events: bool) -> bool:
    """Whether a run of this date would restore records removed for another reason than age (with `but_events`: or events)."""
    return any(
        any(field.changed for field in receipt.fields.values())
        or (_removed_records(receipt) and not (but_events and receipt.kind in ("expire", "delete")))
        for receipt in _removing_receipts(receipts)
        if not _changes_only_sealed_files(receipt)
    )


def _changes_only_sealed_files(receipt: Receipt) -> bool:
    """Whether only records of restricted subjects were changed, which no run publishes."""
    return all(output_and_date(each.path)[0] == RESTRICTED for each in (*receipt.replaces, *receipt.removes))


def _removing_receipts(receipts: Sequence[Receipt]) -> Iterator[Receipt]:
    last = last_reading_receipt(receipts)
    later = (each for each in receipts if last is not None and each.sequence > last.sequence)
    yield from (each for each in later if each.kind in REMOVING_KINDS)


def _removed_records(receipt: Receipt) -> bool:
    return bool(receipt.gated_by.erased) or bool(receipt.stays)


def last_reading_receipt(receipts: Sequence[Receipt]) -> Receipt | None:
    """The last receipt of a date that read it from its source."""
    reading = [each for each in receipts if each.kind in READING_KINDS or each.from_ == "source"]
    return reading[-1] if reading else None


def has_earlier_records(receipts: Sequence[Receipt]) -> bool:
    """Whether a date may have records that are older than its last run: a restriction excluded them from that run."""
    last = last_reading_receipt(receipts)
    sealed = [each.sequence for each in receipts if each.kind == "restrict"]
    lifted = [each.sequence for each in receipts if each.kind == "lift"]
    return last is not None and bool(sealed and lifted) and sealed[0] < last.sequence < lifted[-1]


def policy_or_settings_changed(policy: Policy, settings: SettingsRows | None, last: Receipt, at: datetime) -> bool:
    """Whether policy or settings differ from those of a receipt, or a setting came into force since."""
    before = None if last.settings is None else last.settings.digest
    if (policy.digest, None if settings is None else settings.digest) != (last.policy.digest, before):
        return True
    return settings is not None and _settings_changed_between(settings, last.at, at)


def _settings_changed_between(rows: SettingsRows, first: datetime, last: datetime) -> bool:
    """Whether a row came into force between the two times."""
    table = rows.effective_table
    for name in ("valid_from", "recorded_at"):
        after = pc.and_(pc.greater(table[name], first), pc.less_equal(table[name], last))
        if pc.any(after).as_py():
            return True
    return False


@dataclass(frozen=True)
class DatesWithSource:
    """The published dates, compared with their sources and with today's policy, settings and consents.

    Sources are listed once, and their files are read once. The plan is made for one date of each group of dates that were planned
    from the same policy, pipeline and package version.
    """

    workspace: Workspace = field(repr=False)
    output: PublishedOutput
    as_of: datetime
    """Reference time of policy, settings and consents; consents must also hold `now`."""
    now: datetime
    source: PathText | None
    settings_source: Any = field(repr=False)
    """Source of the settings, if not the pipeline's own."""
    settings: SettingsRows | None = field(repr=False)
    """Today's rows."""
    consents: Consents | None = field(repr=False)
    """Recorded consents; None for the organization's own records."""
    _digests: dict[tuple[object, ...], str | None] = field(default_factory=dict, init=False, repr=False)

    def unaffected(self) -> frozenset[str | None]:
        """The dates that today's policy, settings and consents cannot change.

        Raises the errors of `run` about policy, settings and keys.
        """
        groups: dict[tuple[object, ...], list[str | None]] = {}
        for on, last in self._last.items():
            if not self._inputs_changed(on):
                groups.setdefault(self._planned_from(last), []).append(on)
        plain = self._plain() if self._is_plain() else frozenset()
        return frozenset(on for group in groups.values() for on in self._of_group(group, plain))

    def rerunnable(self, without: Collection[str | None]) -> dict[str | None, RerunnableDate]:
        """The dates that can be run again, except those in `without`, by date.

        Raises the errors of `run` about policy, settings and keys.
        """
        dates = [on for on in self._unchanged.dates(without) if on in self._last]
        return {on: RerunnableDate(on, self._plan_changed(on) or self._inputs_changed(on)) for on in dates}

    def with_same_consents(self) -> frozenset[str | None]:
        """The dates that today's consents cannot change."""
        return frozenset(
            on
            for on, last in self._last.items()
            if not consents_changed(self.workspace.job, self.consents, last, self.as_of, self.now)
        )

    def rerunnable_for_consents(self, dates: Collection[str | None]) -> dict[str | None, RerunnableDate]:
        """Of these dates, those that can be run again and of which policy, plan and settings are as in their receipts."""
        unchanged_dates = [
            on for on in dates if on in self._last and self._has_same_rules(on) and self._unchanged.is_unchanged(on)
        ]
        return {on: RerunnableDate(on, is_pending=True) for on in unchanged_dates if not self._plan_changed(on)}

    def _has_same_rules(self, on: str | None) -> bool:
        """Whether policy and settings are as in the receipt of a date, and no lifted restriction published earlier records."""
        changed = policy_or_settings_changed(self.workspace.job.policy, self.settings, self._last[on], self.as_of)
        return not changed and not has_earlier_records(self._receipts[on])

    def consent_change(self, on: str | None) -> ConsentChange | None:
        """How the consents changed since a date was read; None for a date without a receipt that read it."""
        last = self._last.get(on)
        return None if last is None else consent_change(self.workspace.job, self.consents, last, self.as_of)

    def _inputs_changed(self, on: str | None) -> bool:
        """Whether policy, settings or consents of a date differ, or a lifted restriction published earlier records of it."""
        if not self._has_same_rules(on):
            return True
        return consents_changed(self.workspace.job, self.consents, self._last[on], self.as_of, self.now)

    def _of_group(self, group: Sequence[str | None], plain: frozenset[str | None]) -> Iterator[str | None]:
        """The unaffected dates of a group planned with the same policy, pipeline, package version and plan."""
        first = next(([on] for on in group if self._unchanged.is_unchanged(on)), [])
        if not any(map(self._plan_changed, first)):
            yield from (on for on in group if on in plain or self._unchanged.is_unchanged(on))

    def _plan_changed(self, on: str | None) -> bool:
        """Whether today's plan for a date differs from that of its receipt. It is made once for dates that were planned alike."""
        last = self._last[on]
        same = self._planned_from(last)
        if same not in self._digests:
            resolved = self.resolve(on)
            self._digests[same] = None if resolved.is_empty else resolved.plan.digest
        return self._digests[same] != last.plan.digest

    def resolve(self, on: str | None) -> ResolvedRun:
        """The run of a date. Raises the errors of `run` about policy, settings and keys."""
        selection = DateSelection.from_options(on)
        return resolve_run(
            self.workspace, RunRequest(selection, self.as_of, self.source, self.settings_source, rerun=True)
        )

    def _planned_from(self, last: Receipt) -> tuple[object, ...]:
        """The inputs of a receipt's plan. If they are equal for two dates, today's plan matches both dates or neither."""
        return (
            last.plan.digest,
            tuple(sorted(last.versions.items())),
            *self.output.writing_run(last).rewrite_group,
        )

    def _is_plain(self) -> bool:
        """Whether today's policy keeps everything that was collected: it has no condition and no hierarchy file."""
        policy, records = self.workspace.job.policy, self.workspace.job.records
        is_gated = gate_condition(policy.records).parts or (records is not None and records.collect_if is not None)
        if is_gated or any(hierarchy_files(policy)):
            return False
        shown = (key for key, each in policy.fields.items() if not is_dropped(each))
        return not any(True for key in shown for _ in current_conditions(key, policy))

    def _plain(self) -> frozenset[str | None]:
        """The dates whose files of records were all written under today's policy."""
        today, files = self.workspace.job.policy.digest, self.output.files(RECORDS)
        under = {(file.date, file.written_by.receipt.policy.digest) for file in files}
        return frozenset(self._last) - {on for on, digest in under if digest != today}

    @cached_property
    def _last(self) -> dict[str | None, Receipt]:
        """Per date, the last receipt that read it from its source."""
        last = {on: last_reading_receipt(each) for on, each in self._receipts.items()}
        return {on: each for on, each in last.items() if each is not None}

    @cached_property
    def _receipts(self) -> dict[str | None, list[Receipt]]:
        return receipts_by_date(self.output.chain)

    @cached_property
    def _unchanged(self) -> UnchangedSources:
        return UnchangedSources(self.workspace.job, self.output.chain, self.source, self.workspace.keyring())
