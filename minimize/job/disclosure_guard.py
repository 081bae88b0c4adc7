"""The disclosure guard: which figures of aggregates may be published, next to each other and after what was published before.

It knows the tables of one date in one run, and all earlier releases of their rows. `minimize/aggregates/release_history.py`
compares releases, `minimize/aggregates/related_tables.py` the tables of a run; each states what gives way.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.base import Codes
from minimize.aggregates.cell_sketches import Kind
from minimize.aggregates.contribution_sketch import Entries, folded
from minimize.aggregates.definition import Definition
from minimize.aggregates.related_tables import PublishedTable, shown_in, withhold_related
from minimize.aggregates.release_history import Decision, Figures, ReleaseHistory
from minimize.aggregates.table import AggregateResult
from minimize.counts import counted
from minimize.io.base import Written
from minimize.io.publish import Staging
from minimize.job.releases import Former, Releases, rows_of
from minimize.spill import Hasher, Words

log = logging.getLogger("minimize")
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Guarded:
    """What may be published of one aggregate on one date, and the releases of its rows with this one.

    withheld      how many rows other tables would give away
    is_unchanged  whether all of its rows are in force as they are, and no others
    """

    result: AggregateResult
    history: ReleaseHistory = field(repr=False)
    withheld: int = 0
    is_unchanged: bool = False

    def write(
        self, staging: Staging, releases: Releases, name: str, date: str | None, schema: pa.Schema
    ) -> Iterator[Written]:
        """Stages the table, and its sketches with it. The log says how many rows are withheld or deferred."""
        _log(name, date, self.withheld, self.result.deferred)
        sink = staging.sink(name, date, schema)
        for batch in self.result.table.to_batches():
            sink.write(batch)
        sealed = releases.sealed(self.history, name, date)
        yield from (staging.attach_sketches(each, sealed) for each in sink.close())


def guarded(
    definitions: Mapping[str, Definition],
    results: Mapping[str, AggregateResult],
    releases: Releases,
    date: str | None,
    at: datetime,
) -> dict[str, Guarded]:
    """What may be published of the aggregates of one date, at a time.

    A group that is past its retention is left out. A row whose new figures would give a few subjects away, next to an earlier
    release of it, keeps the figures that are in force. A row that the other tables would give away is withheld: it counts as
    suppressed.
    """
    results = {name: _within_retention(definitions[name], result, date, at) for name, result in results.items()}
    made = {
        name: _Release.of(definitions[name], result, releases.former(definitions[name], name, date), releases.hasher)
        for name, result in results.items()
    }
    withhold_related([each.published for each in made.values()])
    while any(each.could_stay.any() for each in made.values()):
        made = {name: each.with_former(each.could_stay) for name, each in made.items()}
        withhold_related([each.published for each in made.values()])
    return {name: each.guarded() for name, each in made.items()}


def _within_retention(
    definition: Definition, result: AggregateResult, date: str | None, at: datetime
) -> AggregateResult:
    retention = definition.retention
    return result if retention is None else result.within_retention(retention.past(result.table, date, at))


def _log(name: str, date: str | None, withheld: int, deferred: int) -> None:
    on = f" of {date}" if date else ""
    if withheld:
        message = "%s%s: %s withheld, because other tables of this run would give a small group away"
        log.warning(message, name, on, counted(withheld, "row"), extra={"code": "W032"})
    if deferred:
        message = "%s%s: %s deferred, because the change would give a few subjects away"
        log.info(message, name, on, counted(deferred, "row"), extra={"code": "I006"})


@dataclass
class _Release:
    """A new release of a table: each row with its new figures, or with those that are in force.

    rows       the row of each group
    places     where each is in the table in force; -1 if it is not there
    decision   which new figures may follow those that were published before
    figures    the new figures by kind
    retained   the rows that keep the figures in force
    published  the table as it is compared with the others
    """

    result: AggregateResult
    former: Former
    definition: Definition
    rows: Words = field(repr=False)
    places: Codes = field(repr=False)
    decision: Decision = field(repr=False)
    figures: Mapping[Kind, Figures] = field(repr=False)
    retained: Mask = field(repr=False)
    published: PublishedTable = field(init=False, repr=False)

    @classmethod
    def of(cls, definition: Definition, result: AggregateResult, former: Former, hasher: Hasher) -> _Release:
        rows, shown = rows_of(definition, result.table, hasher), shown_in(definition, result.table)
        places, nowhere = former.places(rows), np.zeros(len(rows), np.bool_)
        figures = {kind: Figures(shown.get(kind, nowhere), entries) for kind, entries in result.sketches.items()}
        if None in figures:
            is_equal = _equal(definition, result.table, former, places)
            decision = former.history.decide(
                rows, definition.below, figures, in_force=former.has(rows), is_equal=is_equal
            )
        else:  # without sketches no row can be compared with anything
            decision = Decision(nowhere, nowhere)
        return cls(result, former, definition, rows, places, decision, figures, ~decision.allowed & (places >= 0))

    def __post_init__(self) -> None:
        self.published = self._published()

    def with_former(self, more: Mask) -> _Release:
        """The same, but that some more rows keep the figures that are in force."""
        return replace(self, retained=self.retained | more)

    @property
    def fresh(self) -> Mask:
        """The rows with new figures."""
        return self.decision.allowed & ~self.retained

    @property
    def taken(self) -> Mask:
        """The rows that are published unless other tables speak against it."""
        return self.decision.allowed | self.retained

    @property
    def could_stay(self) -> Mask:
        """The rows whose new figures other tables speak against, and that have figures in force."""
        changed = self.fresh & ~self.decision.is_same & (self.places >= 0)
        return np.asarray(changed & ~self.published.kept, np.bool_)

    def _published(self) -> PublishedTable:
        table, known, sketches = self.result.table, np.ones(len(self.rows), np.bool_), self.result.sketches
        if self.retained.any():
            history, retained = self.former.history, self.retained
            table = _composed(self.definition, table, self.former, np.where(retained, self.places, -1))
            last = np.where(retained, history.last(self.rows), -1)
            known = ~retained | history.known[last]
            kinds = dict.fromkeys([*self.result.sketches, *history.figures])
            sketches = {kind: _entries(self.result.sketches.get(kind), history, kind, last) for kind in kinds}
        return PublishedTable(
            self.definition,
            table,
            self.result.subjects,
            sketches,
            self.taken.copy(),
            known,
            self.retained,
            self.result.sketches,
        )

    @property
    def deferred(self) -> int:
        """How many rows wait until more subjects have changed."""
        return int((~self.fresh).sum())

    def guarded(self) -> Guarded:
        """What may be published, once the tables were compared."""
        new = np.flatnonzero(self.fresh & self.published.kept)
        figures = {kind: each.take(new) for kind, each in self.figures.items()}
        release = ReleaseHistory.of(self.rows[new], self.definition.below, figures, meanings=self.definition.meanings)
        history = replace(self.former.history.followed(release), deferred=self.deferred)
        result = self.result.published(self.published.table, self.published.kept, self.deferred)
        before = 0 if self.former.table is None else self.former.table.num_rows
        standing = (self.decision.is_same | self.retained) & (self.places >= 0)
        is_unchanged = bool(standing[self.published.kept].all()) and result.table.num_rows == before
        withheld = int((self.taken & ~self.published.kept).sum())
        return Guarded(result, history, withheld, is_unchanged)


def _equal(definition: Definition, table: pa.Table, former: Former, places: Codes) -> Mask:
    """Which rows in force have the same figures in a new table. Only rows without sketches are looked at."""
    equal = np.zeros(len(places), np.bool_)
    last = former.history.last(former.rows)
    unknown = [place for place in np.flatnonzero(places >= 0).tolist() if not former.history.known[last[places[place]]]]
    if former.table is None or not unknown:
        return equal
    names = [name for name in definition.measures if _means(former, definition, name)]
    new = table.select(names).take(unknown).to_pylist()
    old = former.table.select(names).take(places[unknown]).to_pylist()
    equal[unknown] = [one == other for one, other in zip(new, old, strict=True)]
    return equal


def _composed(definition: Definition, table: pa.Table, former: Former, places: Codes) -> pa.Table:
    """A table some of whose rows have the figures in force: row i those of row `places[i]` there, unless that is -1."""
    retained, indices = pa.array(places >= 0), pa.array(places, mask=places < 0)
    columns: dict[str, Any] = {}
    for name in table.column_names:
        new = table.column(name).combine_chunks()
        if name in definition.measures:
            old = pa.nulls(len(new), new.type)
            if former.table is not None and _means(former, definition, name):
                old = former.table.column(name).combine_chunks().take(indices).cast(new.type)
            new = _chosen(retained, old, new)
        columns[name] = new
    return pa.table(columns, schema=table.schema)


def _means(former: Former, definition: Definition, name: str) -> bool:
    """Whether a column of the table in force is the measure that has this name now."""
    if former.table is None or name not in former.table.column_names:
        return False
    return former.history.meanings.get(name, definition.meanings[name]) == definition.meanings[name]


def _chosen(mask: pa.Array, one: pa.Array, other: pa.Array) -> pa.Array:
    """One array where a mask holds, the other elsewhere. Arrow's own choice takes no lists."""
    places = np.arange(len(mask)) + np.where(mask.to_numpy(zero_copy_only=False), 0, len(mask))
    return pc.take(pa.concat_arrays([one, other]), pa.array(places))


def _entries(new: Entries | None, history: ReleaseHistory, kind: Kind, places: Codes) -> Entries:
    """Sketches some of which are those of an earlier release: row i has those of release `places[i]`, unless that is -1."""
    old = history.figures.get(kind)
    buckets = min(each.shape[1] for each in (new, None if old is None else old.entries) if each is not None)
    entries = np.zeros((len(places), buckets), np.uint32) if new is None else folded(new, buckets).copy()
    earlier = places >= 0
    entries[earlier] = 0 if old is None else folded(old.entries, buckets)[places[earlier]]
    return entries
