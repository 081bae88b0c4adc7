"""Aggregates that wait for late rows, over a run: each event day that is complete is published once, from all its batches."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from minimize.aggregates.days import DayTally, Lateness, Reach
from minimize.aggregates.table import AggregateResult
from minimize.engines.base import Job, Unkept
from minimize.engines.passes import deduplicates
from minimize.io.base import Written
from minimize.io.publish import Staging
from minimize.job.disclosure_guard import Guarded, guarded
from minimize.job.given import Given, open_sources
from minimize.job.releases import Releases
from minimize.job.windows import Closing, Told, Window
from minimize.plan import Plan
from minimize.plan.request import fields_read_for
from minimize.receipt import Output, Receipt
from minimize.receipt.void import counting

log = logging.getLogger("minimize")


@dataclass(frozen=True, slots=True)
class Waiting:
    """One aggregate that waits: what earlier receipts say of it, the days that this run closes, and the rows it saw.

    seen     per batch what its rows came to
    results  per event day that is published its table
    guarded  the same, as the disclosure guard leaves it
    """

    name: str
    late: Lateness
    told: Told
    windows: tuple[Window, ...]
    seen: dict[date, DayTally] = field(default_factory=dict)
    results: dict[date, AggregateResult] = field(default_factory=dict)
    guarded: dict[date, Guarded] = field(default_factory=dict)

    @property
    def closing(self) -> list[Window]:
        """The windows against which nothing stands."""
        return [window for window in self.windows if not window.wrong]

    def reach(self, batch: date) -> Reach:
        """Which event days wait for a batch, and which of them are tallied now."""
        return self.late.reach(batch, frozenset(window.day for window in self.closing if batch in window.batches))

    def settle(self) -> None:
        """Settles every day that is complete. A day for which no batch has a row is left out."""
        for window in self.closing:
            tallies = [self.seen[when].days[window.day] for when in window.batches]
            if window.day not in window.batches and not sum(self._rows(window).values()):
                continue
            first, *others = tallies
            for other in others:
                first.merge(other)
            self.results[window.day] = first.settle()

    def write(self, job: Job, staging: Staging, releases: Releases) -> Iterator[Written]:
        """Writes every day that was settled."""
        for day, each in self.guarded.items():
            yield from each.write(staging, releases, self.name, day.isoformat(), job.output_schema(self.name))

    def account(self, output: Output, run: Sequence[date]) -> Output:
        """The output's part of the receipt, with what became of event days."""
        open_ = {window.day.isoformat(): window.wrong for window in self.windows if window.wrong}
        return replace(
            output,
            groups_suppressed=sum(result.groups_suppressed for result in self.results.values()),
            rows_suppressed=sum(result.rows_suppressed for result in self.results.values()),
            groups_past=sum(result.groups_past for result in self.results.values()) or None,
            rows_past=sum(result.rows_past for result in self.results.values()) or None,
            deferred=sum(result.deferred for result in self.results.values()),
            too_late=sum(self._too_late(when) for when in run),
            too_early=sum(self.seen[when].after for when in run),
            event_days={when.isoformat(): _texts(self.seen[when].rows) for when in run},
            days={window.day.isoformat(): _texts(self._rows(window)) for window in self._published()},
            unpublished=open_ or None,
        )

    def outside(self, run: Sequence[date]) -> int:
        """How many rows of these batches can count in no event day."""
        return sum(self.seen[when].before + self.seen[when].after for when in run)

    def _published(self) -> list[Window]:
        return [window for window in self.closing if window.day in self.results]

    def _rows(self, window: Window) -> dict[date, int]:
        return {when: self.seen[when].rows[window.day] for when in window.batches}

    def _too_late(self, when: date) -> int:
        """Rows of days that no longer wait, and rows more than there were when their day was published."""
        rows = self.seen[when].rows
        known = {day: self.told.published[day].get(when, 0) for day in rows.keys() & self.told.published.keys()}
        return self.seen[when].before + sum(max(0, rows[day] - count) for day, count in known.items())


@dataclass(frozen=True, slots=True)
class Late:
    """All aggregates of a run that wait."""

    given: Given
    each: tuple[Waiting, ...]

    @classmethod
    def of(cls, given: Given, chain: Sequence[Receipt]) -> Late:
        """What this run closes. Says of a day that cannot be published why."""
        closing = Closing.of(given, chain)
        each = tuple(
            Waiting(name, plan.late, Told.of(counting(chain), name), closing.windows(name, plan.late))
            for name, plan in given.plan.aggregates.items()
            if plan.late is not None
        )
        for waiting in each:
            for window in waiting.windows:
                if window.wrong:
                    message = "%s: the event day %s is not published: its batch %s since it ran"
                    log.warning(message, waiting.name, window.day, window.wrong, extra={"code": "W011"})
        return cls(given, each)

    def reach(self, batch: date | None) -> dict[str, Reach]:
        """Per aggregate the event days that wait for a batch."""
        return {} if batch is None else {waiting.name: waiting.reach(batch) for waiting in self.each}

    def take(self, batch: date | None, tallies: Mapping[str, DayTally]) -> None:
        """Takes in what the rows of a batch came to."""
        for waiting in self.each:
            if batch is not None:
                waiting.seen[batch] = tallies[waiting.name]

    def look(self, job: Job, move: Any) -> None:
        """Reads the batches of the windows that are not run now."""
        days = {when for waiting in self.each for window in waiting.closing for when in window.batches}
        others = sorted(days - set(self.given.sources))
        found = replace(self.given.found, files={when: self.given.found.files[when] for when in others})
        fields = self.given.people.erased.fields
        sources = open_sources(self.given.pipeline, found, self.given.shown, fields, at=self.given.at)
        plan = _waiting_only(job.plan)
        for when, source in sources.items():
            narrow = source if deduplicates(plan) else source.only(_read(plan))
            outcome = move(replace(job, plan=plan, reach=self.reach(when)), narrow, None, Unkept())
            self.take(when, outcome.late)
            digests = [part.digest for part in source.parts]  # which fails where one changed while it was read
            log.debug("looked at %d files of %s again", len(digests), when)

    def publish(self, job: Job, staging: Staging, releases: Releases) -> Iterator[tuple[str, Iterator[Written]]]:
        """Settles, guards and writes all event days that are complete: the files of each aggregate."""
        for waiting in self.each:
            waiting.settle()
        definitions = {waiting.name: job.plan.aggregates[waiting.name].definition for waiting in self.each}
        for day in sorted({day for waiting in self.each for day in waiting.results}):
            there = {waiting.name: waiting for waiting in self.each if day in waiting.results}
            results = {name: waiting.results[day] for name, waiting in there.items()}
            for name, each in guarded(definitions, results, releases, day.isoformat(), job.at).items():
                there[name].guarded[day] = each
                there[name].results[day] = each.result
        for waiting in self.each:
            yield waiting.name, waiting.write(job, staging, releases)

    def outside(self, name: str) -> int:
        """How many rows of this run can count in no event day of an aggregate."""
        run = [when for when in self.given.sources if when is not None]
        return next(waiting.outside(run) for waiting in self.each if waiting.name == name)

    def account(self, outputs: Mapping[str, Output]) -> dict[str, Output]:
        """The outputs of the receipt, with what became of event days."""
        run = [when for when in self.given.sources if when is not None]
        told = {waiting.name: waiting.account(outputs[waiting.name], run) for waiting in self.each}
        return {**outputs, **told}


def _waiting_only(plan: Plan) -> Plan:
    """The plan of the aggregates that wait; of the fields only theirs, unless duplicates are told by all of them."""
    aggregates = {name: each for name, each in plan.aggregates.items() if each.late is not None}
    fields = plan.fields if deduplicates(plan) else {key: plan.fields[key] for key in _keys(plan)}
    return replace(plan, aggregates=aggregates, fields=fields)


def _keys(plan: Plan) -> list[str]:
    definitions = [each.definition for each in plan.aggregates.values() if each.late is not None]
    named = {key.key for each in definitions for key in each.keys.values()}
    named |= {measured.measure.of or "" for each in definitions for measured in each.measures.values()}
    named |= {each.late.time for each in plan.aggregates.values() if each.late is not None}
    return [key for key in plan.fields if key in named]


def _read(plan: Plan) -> frozenset[str]:
    counted = {str(each.definition.counting) for each in plan.aggregates.values()}
    keys = {key for key, field in plan.policy.fields.items() if str(field.pointer) in counted}
    return fields_read_for(plan.policy, {*plan.fields, *keys}, plan.pipeline)


def _texts(rows: Mapping[date, int]) -> dict[str, int]:
    return {day.isoformat(): count for day, count in sorted(rows.items())}
