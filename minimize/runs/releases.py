"""Releases of a date: which tables of aggregates a run may publish, given those that were published before.

Figures with noise are released together: the same data give the same bytes, any other data new noise in all rows of the date. A
date has few releases, because each one more lets noise be averaged. After the last one its tables stay in force. Exact figures
are released once and stay as they are.
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
from minimize.output.folder import batch_date_of
from minimize.output.publish import Staging
from minimize.receipts import NoiseEntry, Receipt, ReleaseEntry, files_in_force
from minimize.sources.base import WrittenFile

log = logging.getLogger("minimize")


@dataclass(frozen=True, slots=True)
class PastReleases:
    """The releases of an output's aggregates, as its receipts and the ledger know them.

    in_force  the aggregates and dates with a table in force
    marks     the marks of each aggregate and date, in the order of their releases
    others    the marks of each date that other outputs of the same source released, and that count
    exact     the aggregates and dates with published exact figures, in force or not
    reopened  the aggregates and dates of void runs whose exact figures may be published once more, or were empty
    """

    in_force: frozenset[tuple[str, str | None]]
    marks: Mapping[tuple[str, str | None], Sequence[str]] = field(repr=False)
    others: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    exact: frozenset[tuple[str, str | None]] = frozenset()
    reopened: frozenset[tuple[str, str | None]] = frozenset()

    @classmethod
    def from_receipts(cls, chain: Sequence[Receipt], others: Mapping[str, Sequence[str]]) -> Self:
        """The releases that receipts name. Takes those of other outputs."""
        there = {
            (name, batch_date_of(file.path))
            for name, files in files_in_force(chain).items()
            for file in files
            if name != "records"
        }
        marks: dict[tuple[str, str | None], list[str]] = {}
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
                    known = marks.setdefault((name, date or None), [])
                    if release.mark not in known:
                        known.append(release.mark)
        return cls(frozenset(there), marks, others, frozenset(exact), frozenset(reopened))

    def number(self, name: str, date: str | None, mark: str) -> int:
        """The number of a release of a date, from 1: a release that is known keeps its own."""
        known = [*self.marks.get((name, date), ())]
        others = [each for each in self.others.get(date or "", ()) if each not in known]
        return known.index(mark) + 1 if mark in known else len(known) + len(others) + 1


@dataclass(frozen=True, slots=True)
class ReleasedTable:
    """The publishable part of one aggregate on one date.

    release  its number and mark; None for exact figures
    """

    result: AggregateResult
    definition: AggregateDefinition
    release: ReleaseEntry | None

    def write(self, staging: Staging, name: str, date: str | None, schema: pa.Schema) -> Iterator[WrittenFile]:
        """Stages the table."""
        sink = staging.sink(name, date, schema)
        for batch in self.result.table.to_batches():
            sink.write(batch)
        yield from sink.close()


def release_tables(
    definitions: Mapping[str, AggregateDefinition],
    results: Mapping[str, AggregateResult],
    past: PastReleases,
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
        name: _released_table(definitions[name], result, past, name, date, at)
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
        raise RefusedError("figures would show more of one subject than their noise hides", findings=tuple(wrong))


def _stays(
    definition: AggregateDefinition,
    result: AggregateResult,
    past: PastReleases,
    name: str,
    date: str | None,
    at: datetime,
) -> bool:
    """Whether the table in force stays, because no further release is permitted. A table that was removed does not come back."""
    place, on = (name, date), f" of {date}" if date else ""
    if place not in past.in_force | past.exact and not past.marks.get(place):
        return False
    retention = definition.retention
    if place in past.in_force and retention is not None and retention.outlives_records(date, at):
        return True
    if definition.noise is None and place in past.reopened:
        return False
    is_exact = place in past.in_force & past.exact and not past.marks.get(place)
    if definition.noise is None or result.mark is None or is_exact:
        log.info(
            "%s%s: exact figures were published once, and are not published again", name, on, extra={"code": "I006"}
        )
        return True
    if past.number(name, date, result.mark) <= definition.noise.releases:
        return False
    message = "%s%s: the table in force stays, because the date has had its last release (`releases: %d`)"
    log.warning(message, name, on, definition.noise.releases, extra={"code": "W032"})
    return True


def _released_table(
    definition: AggregateDefinition,
    result: AggregateResult,
    past: PastReleases,
    name: str,
    date: str | None,
    at: datetime,
) -> ReleasedTable:
    retention = definition.retention
    if retention is not None:
        result = result.within_retention(retention.expired(result.table, date, at))
    release = None if result.mark is None else ReleaseEntry(past.number(name, date, result.mark), result.mark)
    return ReleasedTable(result, definition, release)


def noise_entry(definition: AggregateDefinition) -> NoiseEntry | None:
    """What a receipt says of the noise of an aggregate; None for exact figures."""
    terms = definition.noise
    return None if terms is None else NoiseEntry(terms.sd, terms.margin, TABLES_VERSION, definition.source)


def release_entries(tables: Iterable[tuple[str | None, ReleasedTable]]) -> dict[str, ReleaseEntry] | None:
    """The releases of an aggregate by date, for the receipt; None if its figures are exact."""
    return {date or "": each.release for date, each in tables if each.release is not None} or None
