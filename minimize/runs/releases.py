"""Releases of a date: which tables of aggregates a run may publish, given those that were published before.

Statistics with noise are released together: the same data give the same bytes, any other data new noise in all rows of the date.
A date has few releases, because each one more lets noise be averaged. After the last one its tables stay in force. Exact
statistics are released once and stay as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

import pyarrow as pa

from minimize.aggregates.definition import AggregateDefinition
from minimize.aggregates.noise import TABLES_VERSION
from minimize.aggregates.rollups import rolled_up
from minimize.aggregates.tally import AggregateResult
from minimize.errors import Finding, RefusedError
from minimize.ledger.runs import OtherReleases
from minimize.output.folder import batch_date_of
from minimize.output.publish import Staging
from minimize.receipts import NoiseEntry, Receipt, ReleaseEntry, files_in_force
from minimize.records import WrittenFile

log = logging.getLogger("minimize")


@dataclass(frozen=True, slots=True)
class PastReleases:
    """The releases of an output's aggregates, as its receipts and the ledger know them, whatever the tables were called."""

    in_force: frozenset[tuple[str, str | None]]
    """The aggregates and dates with a table in force."""
    exact: frozenset[tuple[str, str | None]] = frozenset()
    """The aggregates and dates with published exact statistics, in force or not."""
    reopened: frozenset[tuple[str, str | None]] = frozenset()
    """The aggregates and dates of void runs whose exact statistics may be published once more, or were empty."""
    own: Mapping[tuple[bool, str | None], Sequence[str]] = field(default_factory=dict, repr=False)
    """The marks of each date, in the order of their releases: of tables that wait for late rows, and of the others."""
    others: Mapping[str, OtherReleases] = field(default_factory=dict, repr=False)
    """The releases of each date by other outputs of the same source."""

    @classmethod
    def from_receipts(cls, chain: Sequence[Receipt], others: Mapping[str, OtherReleases]) -> Self:
        """The releases that receipts name. Takes those of other outputs."""
        in_force = {
            (name, batch_date_of(file.path))
            for name, files in files_in_force(chain).items()
            for file in files
            if name != "records"
        }
        marks_by_date: dict[tuple[bool, str | None], list[str]] = {}
        exact: dict[tuple[str, str | None], str] = {}
        by_run: dict[str, set[tuple[str, str | None]]] = {}
        reopened: set[tuple[str, str | None]] = set()
        for receipt in sorted(chain, key=lambda receipt: receipt.sequence):
            voided = by_run.get(receipt.voids or "", set())
            reopened |= {
                place for place in voided if place not in exact or (receipt.republish and exact[place] == receipt.voids)
            }
            for name, output in receipt.outputs.items():
                if name != "records" and output.noise is None and receipt.reads_source:
                    places = {(name, batch_date_of(file.path)): file.rows for file in output.files}
                    by_run.setdefault(receipt.run_id, set()).update(places)
                    reopened -= places.keys()
                    exact |= {place: receipt.run_id for place, rows in places.items() if rows}
                for date, release in (output.releases or {}).items():
                    known = marks_by_date.setdefault((output.days is not None, date or None), [])
                    if release.mark not in known:
                        known.append(release.mark)
        return cls(frozenset(in_force), frozenset(exact), frozenset(reopened), marks_by_date, others)

    def of_date(self, date: str | None, *, waits: bool) -> ReleasesOfDate:
        """The releases of a date, for tables that wait for late rows, or for the others."""
        on = {name for name, day in self.in_force if day == date}
        exact, reopened = ({name for name, day in each if day == date} for each in (self.exact, self.reopened))
        has_noise = any(self.own.get((each, date)) for each in (False, True))
        others = self.others.get(date or "", OtherReleases())
        marks = self.own.get((waits, date), ())
        return ReleasesOfDate(frozenset(on), frozenset(exact), frozenset(reopened), has_noise, marks, others)


@dataclass(frozen=True, slots=True)
class ReleasesOfDate:
    """The releases of one date."""

    in_force: frozenset[str]
    """The aggregates with a table in force."""
    exact: frozenset[str]
    """The aggregates with published exact statistics, in force or not."""
    reopened: frozenset[str]
    """The aggregates whose exact statistics may be published once more, or were empty."""
    has_noise: bool
    """Whether the output has released statistics with noise."""
    own: Sequence[str] = field(repr=False)
    """The marks of its releases, in their order."""
    others: OtherReleases = field(repr=False)
    """The releases by other outputs of the source."""

    def number(self, mark: str) -> int:
        """The number of a release, from 1: a release that is known keeps its own."""
        known = list(dict.fromkeys((*self.own, *self.others.counted)))
        return known.index(mark) + 1 if mark in known else len(known) + 1

    def permits(self, mark: str, releases: int) -> bool:
        """Whether statistics may be published if a date may have so many releases. Known statistics are no further release."""
        is_known = mark in self.own or (mark in self.others.marks and len(self.own) < releases)
        return is_known or self.number(mark) <= releases


def older_tables(chain: Sequence[Receipt]) -> dict[str, tuple[str, ...]]:
    """The tables in force that are older than the last run of their date, with these dates: the run read other files than the
    one that published them, and could not publish them again."""
    older = _states_of_tables(chain)
    dates_by_table: dict[str, tuple[str, ...]] = {}
    for name, entries in files_in_force(chain).items():
        dates = sorted({batch_date_of(file.path) or "" for file in entries})
        those = tuple(date for date in dates if older.get((name, date)))
        dates_by_table |= {name: those} if those else {}
    return dates_by_table


def _states_of_tables(chain: Sequence[Receipt]) -> dict[tuple[str, str], bool]:
    """For each table and date that was published, whether the last run of the date read other files."""
    files: dict[tuple[str, str], frozenset[str]] = {}
    older: dict[tuple[str, str], bool] = {}
    for receipt in sorted((each for each in chain if each.reads_source), key=lambda receipt: receipt.sequence):
        for name, output in receipt.outputs.items():
            for date in {batch_date_of(file.path) or "" for file in output.files if output.days is None}:
                files[name, date], older[name, date] = _files_of_date(receipt, date), False
        for name, dates in (receipt.stays or {}).items():
            for date in dates or ("",):
                if (name, date) in files:
                    older[name, date] = files[name, date] != _files_of_date(receipt, date)
    return older


def dates_before_late(chain: Sequence[Receipt], name: str) -> tuple[str, ...]:
    """The dates in force of a table that were published before it waited for late rows: their event days can be in two rows."""
    before: dict[str, bool] = {}
    for receipt in chain:
        if name in receipt.outputs:
            output = receipt.outputs[name]
            before |= {file.path: output.days is None for file in output.files}
    files = files_in_force(chain).get(name, ())
    return tuple(sorted({batch_date_of(file.path) or "" for file in files if before.get(file.path) and file.rows}))


def older_text(dates: Sequence[str]) -> str:
    """That the statistics of these dates are older than the data of the last run."""
    return f"data that came later are not in the statistics{of_dates(dates)}"


def of_dates(dates: Sequence[str]) -> str:
    """Dates after a noun; empty for a table without dates."""
    named = ", ".join(date for date in dates if date)
    return f" of {named}" if named else ""


def _files_of_date(receipt: Receipt, date: str) -> frozenset[str]:
    """The digests of the files that a run read for a date."""
    has_dates = any(each.date for each in receipt.inputs)
    return frozenset(each.digest for each in receipt.inputs if not has_dates or each.date == date)


@dataclass(frozen=True, slots=True)
class ReleasedTable:
    """The publishable part of one aggregate on one date."""

    result: AggregateResult
    definition: AggregateDefinition
    release: ReleaseEntry | None
    """Its number and mark; None for exact statistics."""

    def write(self, staging: Staging, name: str, date: str | None, schema: pa.Schema) -> Iterator[WrittenFile]:
        """Stages the table."""
        sink = staging.sink(name, date, schema)
        for batch in self.result.table.to_batches():
            sink.write(batch)
        yield from sink.close()


def release_tables(
    definitions: Mapping[str, AggregateDefinition],
    results: Mapping[str, AggregateResult],
    past: ReleasesOfDate,
    date: str | None,
    at: datetime,
) -> tuple[dict[str, ReleasedTable], frozenset[str]]:
    """The tables of one date that may be published, with their roll-ups, and the names of those whose table in force stays.

    Takes the definitions of all tables, and what was tallied. The roll-ups of a table in force stay with it. A group past its
    retention is left out. Raises RefusedError if a subject has more rows than a definition without limits expects.
    """
    check_limits(definitions, results)
    staying = {name for name in results if _stays(definitions[name], results[name], past, name, date, at)}
    released = {
        name: _released_table(definitions[name], result, past, date, at)
        for name, result in results.items()
        if name not in staying
    }
    return released | dict(_rollups(definitions, released)), frozenset(staying)


def _rollups(
    definitions: Mapping[str, AggregateDefinition], released: Mapping[str, ReleasedTable]
) -> Iterator[tuple[str, ReleasedTable]]:
    """The roll-ups of released tables: sums over the rows that these show."""
    for name, definition in definitions.items():
        table = released.get(definition.rolls_up or "")
        if table is not None:
            sums = AggregateResult(rolled_up(table.result.table, definition), 0, 0, 0, 0)
            yield name, ReleasedTable(sums, definition, None)


def check_limits(definitions: Mapping[str, AggregateDefinition], results: Mapping[str, AggregateResult]) -> None:
    """Raises RefusedError if a subject has several rows in a group of an aggregate that does not limit them."""
    wrong = [
        Finding(
            "R025",
            f"aggregate {name}: a subject has several rows in a group, and no limit is stated",
            hint="Add `per_subject: {rows: R}`; `minimize plan PIPELINE --preview FILE` shows the largest number in a file.",
        )
        for name, result in results.items()
        if definitions[name].needs_limit and result.most_of_subject > definitions[name].limits.rows
    ]
    if wrong:
        raise RefusedError("statistics would show more of one subject than their noise hides", findings=tuple(wrong))


def _stays(
    definition: AggregateDefinition,
    result: AggregateResult,
    past: ReleasesOfDate,
    name: str,
    date: str | None,
    at: datetime,
) -> bool:
    """Whether the table in force stays, because no further release is permitted. A table that was removed does not come back, and
    one of another name or in another output is a further release."""
    on = f" of {date}" if date else ""
    retention = definition.retention
    if name in past.in_force and retention is not None and retention.outlives_records(date, at):
        return True
    if definition.noise is None and name in past.reopened:
        return False
    if definition.noise is None or result.mark is None:
        is_known = bool(past.exact or past.has_noise or name in past.in_force or past.others.exact or past.others.marks)
    else:
        is_known = past.others.exact or (bool(past.in_force & past.exact) and not past.has_noise)
    if is_known:
        log.info(
            "%s%s: exact statistics were published once, and are not published again", name, on, extra={"code": "I006"}
        )
    if is_known or definition.noise is None or result.mark is None:
        return is_known
    if past.permits(result.mark, definition.noise.releases):
        return False
    what = "the table in force stays" if name in past.in_force else "no table is published"
    message = "%s%s: %s, because the date has had its last release (`releases: %d`), here or in another output"
    log.warning(message, name, on, what, definition.noise.releases, extra={"code": "W032"})
    return True


def _released_table(
    definition: AggregateDefinition,
    result: AggregateResult,
    past: ReleasesOfDate,
    date: str | None,
    at: datetime,
) -> ReleasedTable:
    retention = definition.retention
    if retention is not None:
        result = result.within_retention(retention.expired(result.table, date, at))
    release = None if result.mark is None else ReleaseEntry(past.number(result.mark), result.mark)
    return ReleasedTable(result, definition, release)


def noise_entry(definition: AggregateDefinition) -> NoiseEntry | None:
    """What a receipt says of the noise of an aggregate; None for exact statistics."""
    terms = definition.noise
    return None if terms is None else NoiseEntry(terms.sd, terms.margin, TABLES_VERSION, definition.source)


def release_entries(tables: Iterable[tuple[str | None, ReleasedTable]]) -> dict[str, ReleaseEntry] | None:
    """The releases of an aggregate by date, for the receipt; None if its statistics are exact."""
    return {date or "": each.release for date, each in tables if each.release is not None} or None
