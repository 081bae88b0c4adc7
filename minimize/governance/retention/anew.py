"""Which aggregates are made anew after records went, and what is known of their dates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from os import PathLike

from minimize.aggregates.table import AggregateResult
from minimize.engines.base import Job
from minimize.governance.retention.due import RECORDS, Due
from minimize.governance.retention.lately import day_of
from minimize.governance.retention.ordered import Asked
from minimize.governance.retention.plan import Plan
from minimize.governance.retention.recompute import Before, Recomputed, kept_today, recomputed
from minimize.governance.retention.sources import source_of
from minimize.governance.retention.written import Reading, Written, writers
from minimize.io.places import place_of
from minimize.job.disclosure_guard import guarded
from minimize.job.given import Given
from minimize.job.releases import Releases
from minimize.policy.pipeline import Pipeline
from minimize.receipt import OutputFile, Receipt, in_force


@dataclass(frozen=True)
class Anew:
    """What is asked, of which pipeline, after which receipts, by which plan."""

    asked: Asked
    pipeline: Pipeline
    chain: Sequence[Receipt] = field(repr=False)
    plan: Plan
    reading: Reading = field(repr=False)
    ledger: str | PathLike[str] | None = None

    def made(self, group: Sequence[Due]) -> Iterator[Recomputed]:
        """Aggregates of the dates of some files, of which records went after events alone, as far as they can be made anew."""
        handed = {each.date for each in self.plan.due if each.is_handed}
        dates = {each.date for each in group if each.name == RECORDS} - handed
        for on in sorted(dates, key=str):
            yield from self._of_date(on)
        behind = [
            (place, batches)
            for place, batches in self.plan.behind.items()
            if batches & dates and not batches & handed and not self._is_due(*place)
        ]
        for day in sorted({day for (_, day), _ in behind}):
            yield from self._of_day(day, {name: batches for (name, on), batches in behind if on == day})

    def _of_date(self, on: str | None) -> Iterator[Recomputed]:
        names = [name for name, said in self.plan.stays.items() if (on or "") in said and not self._is_due(name, on)]
        names = [name for name in names if (name, on or "") not in self.plan.behind]
        source = self._source(on) if names else None
        if source is not None:
            last, given = source
            yield from recomputed(self._written(last), given, on, names, self._before(), self._releases, self.asked)

    def _of_day(self, day: str, behind: Mapping[str, frozenset[str]]) -> Iterator[Recomputed]:
        """The aggregates of one event day, each with the batches that it was counted from."""
        made = {name: found for name, batches in behind.items() if (found := self._counted(name, day, batches))}
        definitions = {name: kept_today(job.plan, name, self.asked) for name, (job, _) in made.items()}
        results = {name: result for name, (_, result) in made.items()}
        for name, each in guarded(definitions, results, self._releases, day, self.asked.at).items():
            if not each.is_unchanged:
                yield Recomputed(name, day, made[name][0].output_schema(name), each, self._releases)

    def _counted(self, name: str, day: str, batches: frozenset[str]) -> tuple[Job, AggregateResult] | None:
        files = self._files(name, day)
        found = {when: self._source(when) for when in sorted(batches)}
        there = {date.fromisoformat(when): each[1] for when, each in found.items() if each is not None}
        if not files or len(there) < len(batches):
            return None
        written = self._written(writers(self.chain)[files[0].path])
        return day_of(written, there, name, date.fromisoformat(day), self._before())

    def _is_due(self, name: str, on: str | None) -> bool:
        return any((each.name, each.date) == (name, on) for each in self.plan.due)

    def _before(self) -> Before:
        return Before((*self.asked.happened, *self.asked.earlier), self.asked.until, self._records_left)

    def _records_left(self, on: str | None) -> int:
        gone = sum(each.rows for each in self.plan.due if each.name == RECORDS and each.date == on)
        return sum(file.rows for file in self._files(RECORDS, on)) - gone

    @cached_property
    def _releases(self) -> Releases:
        return Releases.of(self.asked.output, self.chain, self.asked.keys, self.asked.kms)

    def _files(self, name: str, on: str | None) -> list[OutputFile]:
        return [file for file in in_force(self.chain).get(name, ()) if place_of(file.path)[1] == on]

    def _source(self, on: str | None) -> tuple[Receipt, Given] | None:
        asked = self.asked
        return source_of(self.pipeline, asked.output, self.chain, on, asked.at, asked.keys, self.ledger)

    def _written(self, receipt: Receipt) -> Written:
        return Written(self.asked.output, receipt, self.reading)
