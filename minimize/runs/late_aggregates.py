"""Aggregates that wait for late rows: each complete event day is published once, from all its batches.

An aggregate with `late: 2d` publishes an event day with the batch that comes two days after it. The batches in between are
the day's window. A batch that was run before must still match its receipt.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from minimize.aggregates.definition import EventDays, LateWindow
from minimize.aggregates.tally import AggregateResult, AggregateTally, EventDayTally, settle_tables
from minimize.engines.base import DiscardingQuarantine, Job
from minimize.engines.passes import deduplicates
from minimize.errors import KeyringError
from minimize.output.folder import read_exact_receipt
from minimize.output.publish import Staging
from minimize.plan import Plan
from minimize.plan.request import fields_read_for
from minimize.receipts import Receipt, WrittenOutput
from minimize.receipts.chain import effective_receipts
from minimize.records import WrittenFile
from minimize.runs.batch_dates import Arrival, BatchDate, compare_files, last_inputs
from minimize.runs.inputs import check_source_unchanged, open_sources
from minimize.runs.releases import (
    PastReleases,
    ReleasedTable,
    dates_before_late,
    release_entries,
    release_tables,
)
from minimize.runs.resolve import ResolvedRun
from minimize.sources.files import batch_parts


@dataclass(frozen=True, slots=True)
class EventDayWindow:
    """One event day of one aggregate, and the batches that may contain its rows."""

    name: str
    day: date
    batches: tuple[date, ...]
    wrong: str = ""
    """The batch that prevents publication, with the reason; empty if there is none."""


@dataclass(frozen=True, slots=True)
class PublishedDays:
    """The event days of a late aggregate according to earlier receipts."""

    published: Mapping[date, Mapping[date, int]]
    """For each published event day, the number of its rows per batch."""
    open: frozenset[date]
    """Event days that could not be published."""
    spread: Mapping[date, Mapping[date, int]]
    """For each batch, the number of its rows per event day."""

    @classmethod
    def from_receipts(cls, chain: Sequence[Receipt], name: str) -> PublishedDays:
        """Reads the receipts; later ones override earlier ones."""
        published: dict[date, Mapping[date, int]] = {}
        spread: dict[date, Mapping[date, int]] = {}
        unpublished: set[date] = set()
        for output in _receipt_outputs(chain, name):
            published |= {date.fromisoformat(day): _parse_counts(rows) for day, rows in (output.days or {}).items()}
            spread |= {
                date.fromisoformat(batch): _parse_counts(rows) for batch, rows in (output.event_days or {}).items()
            }
            unpublished |= {date.fromisoformat(day) for day in output.unpublished or {}}
        return cls(published, frozenset(unpublished - published.keys()), spread)


@dataclass(frozen=True, slots=True)
class ClosingWindows:
    """The windows that a run closes, computed from the receipts so far and the files of the source."""

    resolved: ResolvedRun
    chain: Sequence[Receipt]
    before: Mapping[BatchDate, Mapping[str, str]]

    @classmethod
    def from_receipts(cls, resolved: ResolvedRun, chain: Sequence[Receipt]) -> ClosingWindows:
        """The windows that a run closes after these receipts."""
        return cls(resolved, chain, last_inputs(chain, resolved.shown))

    def windows(self, name: str, late: LateWindow) -> tuple[EventDayWindow, ...]:
        """The event days of an aggregate that this run decides about, each with the fault that prevents publication, if any."""
        published = PublishedDays.from_receipts(effective_receipts(self.chain), name)
        due = {day for batch in self.batches for day in self._due_days(batch, late.days)} - published.published.keys()
        again = [window for window in self._windows(name, published, late, published.open - due) if not window.wrong]
        return (*self._windows(name, published, late, due), *again)

    @property
    def batches(self) -> list[date]:
        """The batch dates of this run."""
        return [when for when in self.resolved.sources if when is not None]

    def _due_days(self, batch: date, days: int) -> Iterator[date]:
        """The event days whose windows end with this batch, or ended after the previous batch."""
        before = max((when for when in self._known_dates() if when < batch), default=batch - timedelta(1))
        return (batch - timedelta(days + back) for back in range((batch - before).days))

    def _known_dates(self) -> set[date]:
        return {when for when in (*self.before, *self.batches) if when is not None}

    def _windows(
        self, name: str, published: PublishedDays, late: LateWindow, due: set[date] | frozenset[date]
    ) -> Iterator[EventDayWindow]:
        for day in sorted(due):
            batches = [when for when in self._around(day, late) if self._may_hold(when, day, published)]
            faults = (self._fault(when) for when in batches)
            wrong = next((fault for fault in faults if fault), "")
            yield EventDayWindow(name, day, tuple(when for when in batches if self._is_there(when)), wrong)

    def _around(self, day: date, late: LateWindow) -> list[date]:
        return [day + timedelta(offset) for offset in range(-late.early, late.days + 1)]

    def _may_hold(self, when: date, day: date, published: PublishedDays) -> bool:
        """Whether a batch may contain rows of the day. An earlier batch does only if clocks were ahead, which its
        receipt shows."""
        return when >= day or when in self.resolved.sources or bool(published.spread.get(when, {}).get(day))

    def _is_there(self, when: date) -> bool:
        return bool(self.resolved.found.files.get(when))

    def _fault(self, when: date) -> str:
        """The fault of a batch that this run does not read: its files differ from those in its receipt."""
        if when in self.resolved.sources:
            return ""
        reason = next((each.reason for each in self.resolved.skipped if each.day == when), None)
        if reason is not None:
            return f"{when}: {reason}"
        before = self.before.get(when)
        state = "same" if before is None else self._arrival(when, before).state
        return "" if state == "same" else f"{when}: {state}"

    def _arrival(self, when: date, before: Mapping[str, str]) -> Arrival:
        return compare_files(batch_parts(self.resolved.found, when, self.resolved.shown), before)


def _with_exact_counts(resolved: ResolvedRun, chain: Sequence[Receipt]) -> list[Receipt]:
    """The receipts with the rows of their event days, which are sealed if no records are published. Those under a destroyed key
    are as they are."""
    late = {name for name, plan in resolved.plan.aggregates.items() if plan.late is not None}
    exact = []
    for receipt in chain:
        opened = receipt
        if receipt.rows.is_sealed and late & receipt.outputs.keys():
            with suppress(KeyringError):
                opened = read_exact_receipt(resolved.output, receipt, resolved.keys)
        exact.append(opened)
    return exact


def _receipt_outputs(chain: Sequence[Receipt], name: str) -> Iterator[WrittenOutput]:
    for receipt in sorted(chain, key=lambda receipt: receipt.sequence):
        if name in receipt.outputs:
            yield receipt.outputs[name]


def _parse_counts(rows: Mapping[str, int]) -> dict[date, int]:
    return {date.fromisoformat(day): count for day, count in rows.items()}


log = logging.getLogger("minimize")


@dataclass(frozen=True, slots=True)
class LateAggregate:
    """One late aggregate: its earlier receipts, the days that this run closes, and the rows of this run."""

    name: str
    late: LateWindow
    published_days: PublishedDays
    windows: tuple[EventDayWindow, ...]
    tallies: dict[date, EventDayTally] = field(default_factory=dict)
    """Per batch, its rows per event day."""
    complete: dict[date, AggregateTally] = field(default_factory=dict)
    """The tally of each complete event day."""
    results: dict[date, AggregateResult] = field(default_factory=dict)
    """Per event day that is published or stays, its table."""
    released: dict[date, ReleasedTable] = field(default_factory=dict)
    """The same tables with their releases."""

    @property
    def closing(self) -> list[EventDayWindow]:
        """The windows without a fault."""
        return [window for window in self.windows if not window.wrong]

    def reach(self, batch: date) -> EventDays:
        """The event days that wait for a batch, and those of them that are tallied now."""
        return self.late.event_days(batch, frozenset(window.day for window in self.closing if batch in window.batches))

    def gather(self) -> None:
        """Merges the tallies of every complete day. A day without rows in any batch is left out."""
        for window in self.closing:
            tallies = [self.tallies[when].days[window.day] for when in window.batches]
            if window.day not in window.batches and not sum(self._rows(window).values()):
                continue
            first, *others = tallies
            for tally in others:
                first.merge(tally)
            self.complete[window.day] = first

    def account(self, output: WrittenOutput, run: Sequence[date]) -> WrittenOutput:
        """The aggregate's part of the receipt, with the state of its event days."""
        open_ = {window.day.isoformat(): window.wrong for window in self.windows if window.wrong}
        return replace(
            output,
            groups_suppressed=sum(result.groups_suppressed for result in self.results.values()),
            rows_suppressed=sum(result.rows_suppressed for result in self.results.values()),
            groups_past=sum(result.groups_past for result in self.results.values()) or None,
            rows_past=sum(result.rows_past for result in self.results.values()) or None,
            releases=release_entries((day.isoformat(), each) for day, each in self.released.items()),
            too_late=sum(self._too_late(when) for when in run),
            too_early=sum(self.tallies[when].after for when in run),
            event_days={when.isoformat(): _day_counts(self.tallies[when].rows) for when in run},
            days={window.day.isoformat(): _day_counts(self._rows(window)) for window in self._published_windows()},
            unpublished=open_ or None,
        )

    def outside(self, run: Sequence[date]) -> int:
        """Number of rows of these batches that belong to no event day of the window."""
        return sum(self.tallies[when].before + self.tallies[when].after for when in run)

    def _published_windows(self) -> list[EventDayWindow]:
        return [window for window in self.closing if window.day in self.results]

    def _rows(self, window: EventDayWindow) -> dict[date, int]:
        return {when: self.tallies[when].rows[window.day] for when in window.batches}

    def _too_late(self, when: date) -> int:
        """Rows of days that no longer wait, and rows that were added after their day was published."""
        rows = self.tallies[when].rows
        known = {
            day: self.published_days.published[day].get(when, 0)
            for day in rows.keys() & self.published_days.published.keys()
        }
        return self.tallies[when].before + sum(max(0, rows[day] - count) for day, count in known.items())


@dataclass(frozen=True, slots=True)
class LateAggregates:
    """All late aggregates of a run."""

    resolved: ResolvedRun
    waiting: tuple[LateAggregate, ...]

    @classmethod
    def from_receipts(cls, resolved: ResolvedRun, chain: Sequence[Receipt]) -> LateAggregates:
        """The windows that this run closes. Logs each day that cannot be published, with the reason."""
        chain = _with_exact_counts(resolved, chain)
        closing = ClosingWindows.from_receipts(resolved, chain)
        aggregates = tuple(
            LateAggregate(
                name,
                plan.late,
                PublishedDays.from_receipts(effective_receipts(chain), name),
                closing.windows(name, plan.late),
            )
            for name, plan in resolved.plan.aggregates.items()
            if plan.late is not None
        )
        for waiting in aggregates:
            dates = dates_before_late(chain, waiting.name)
            if dates:
                message = (
                    "%s: the rows of %s were published without `late` and stay, so that event days can have two rows"
                )
                log.warning(message, waiting.name, ", ".join(dates), extra={"code": "W037"})
            for window in waiting.windows:
                if window.wrong:
                    message = (
                        "%s: the event day %s is not published, because one of its batches was skipped or has changed (%s). "
                        "Restore its files if they are missing, and run `minimize run PIPELINE --date %s`."
                    )
                    batch = window.wrong.partition(":")[0]
                    log.warning(message, waiting.name, window.day, window.wrong, batch, extra={"code": "W011"})
        return cls(resolved, aggregates)

    def reach(self, batch: date | None) -> dict[str, EventDays]:
        """Per aggregate, the event days that wait for a batch."""
        return {} if batch is None else {waiting.name: waiting.reach(batch) for waiting in self.waiting}

    def take(self, batch: date | None, tallies: Mapping[str, EventDayTally]) -> None:
        """Adds the tallies of a batch."""
        for waiting in self.waiting:
            if batch is not None:
                waiting.tallies[batch] = tallies[waiting.name]

    def read_other_batches(self, job: Job, move: Any) -> None:
        """Reads the batches of the windows that this run does not process."""
        days = {when for waiting in self.waiting for window in waiting.closing for when in window.batches}
        others = sorted(days - set(self.resolved.sources))
        other_files = replace(self.resolved.found, files={when: self.resolved.found.files[when] for when in others})
        names = self.resolved.subject_names
        sources = open_sources(self.resolved.pipeline, other_files, self.resolved.shown, names, at=self.resolved.at)
        plan = _late_plan(job.plan)
        for when, source in sources.items():
            narrow = source if deduplicates(plan) else source.only(_fields_to_read(plan))
            outcome = move(replace(job, plan=plan, event_days=self.reach(when)), narrow, None, DiscardingQuarantine())
            self.take(when, outcome.late)
            check_source_unchanged(source)
            log.debug("read %d files of %s again", len(source.parts), when)

    def publish(self, job: Job, staging: Staging, past: PastReleases) -> Iterator[tuple[str, Iterator[WrittenFile]]]:
        """Settles and writes all complete event days: the files of each table."""
        for waiting in self.waiting:
            waiting.gather()
        definitions = {name: each.definition for name, each in job.plan.aggregates.items()}
        released: dict[str, dict[date, ReleasedTable]] = {}
        for day in sorted({day for waiting in self.waiting for day in waiting.complete}):
            waiting_by_name = {waiting.name: waiting for waiting in self.waiting if day in waiting.complete}
            tallies = {name: waiting.complete.pop(day) for name, waiting in waiting_by_name.items()}
            results = settle_tables(tallies, job.noise, day.isoformat())
            tables_by_name, staying = release_tables(
                definitions, results, past.of_date(day.isoformat(), waits=True), day.isoformat(), job.at
            )
            for name, waiting in waiting_by_name.items():
                waiting.results[day] = results[name].select_none() if name in staying else tables_by_name[name].result
            for name, table in tables_by_name.items():
                released.setdefault(name, {})[day] = table
        for waiting in self.waiting:
            waiting.released.update(released.get(waiting.name, {}))
        for name, tables in released.items():
            yield name, _write_days(tables, name, job, staging)

    def outside(self, name: str) -> int:
        """Number of rows of this run that belong to no event day of an aggregate."""
        run = [when for when in self.resolved.sources if when is not None]
        return next(waiting.outside(run) for waiting in self.waiting if waiting.name == name)

    def account(self, outputs: Mapping[str, WrittenOutput]) -> dict[str, WrittenOutput]:
        """The outputs of the receipt, with the state of their event days."""
        run = [when for when in self.resolved.sources if when is not None]
        published = {waiting.name: waiting.account(outputs[waiting.name], run) for waiting in self.waiting}
        return {**outputs, **published}


def _write_days(tables: Mapping[date, ReleasedTable], name: str, job: Job, staging: Staging) -> Iterator[WrittenFile]:
    for day, table in tables.items():
        yield from table.write(staging, name, day.isoformat(), job.output_schema(name))


def _late_plan(plan: Plan) -> Plan:
    """The plan of the late aggregates, with their fields only. If deduplication uses all fields, it has all fields."""
    aggregates = {name: each for name, each in plan.aggregates.items() if each.late is not None}
    fields = plan.fields if deduplicates(plan) else {key: plan.fields[key] for key in _late_field_keys(plan)}
    return replace(plan, aggregates=aggregates, fields=fields)


def _late_field_keys(plan: Plan) -> list[str]:
    definitions = [each.definition for each in plan.aggregates.values() if each.late is not None]
    named = {key.key for definition in definitions for key in definition.keys.values()}
    named |= {measured.measure.of or "" for definition in definitions for measured in definition.measures.values()}
    named |= {each.late.time for each in plan.aggregates.values() if each.late is not None}
    return [key for key in plan.fields if key in named]


def _fields_to_read(plan: Plan) -> frozenset[str]:
    counted = {str(each.definition.counting) for each in plan.aggregates.values()}
    keys = {key for key, field in plan.policy.fields.items() if str(field.pointer) in counted}
    return fields_read_for(plan.policy, {*plan.fields, *keys}, plan.pipeline)


def _day_counts(rows: Mapping[date, int]) -> dict[str, int]:
    return {day.isoformat(): count for day, count in sorted(rows.items())}
