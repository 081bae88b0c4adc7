"""The disclosure guard: which figures of aggregates may be published, given earlier releases and the other tables of a run.

Earlier releases are the tables in force and the encrypted contribution sketches stored with them. The guard compares the tables
of one date in one run with each other and with all earlier releases of their rows. `minimize/aggregates/difference_rule.py` and
`minimize/aggregates/complementary_suppression.py` define which rows are withheld or deferred.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.complementary_suppression import PublishedTable, shown_figures, suppress_related
from minimize.aggregates.contribution_sketches import Entries, FigureKind, fold_sketches
from minimize.aggregates.definition import SUBJECTS_MEANING, AggregateDefinition, GroupKey
from minimize.aggregates.difference_rule import FigureRows, ReleaseDecision, ReleaseHistory, hash_rows
from minimize.aggregates.tally import AggregateResult
from minimize.arrow.dictionaries import Bools, Codes
from minimize.engines.base import derive_sketch_key
from minimize.errors import KeyringError, OutputError
from minimize.keys import Keyring, Kms
from minimize.keys.sealing import open_content, seal_content
from minimize.output.folder import SKETCHES, batch_date_of, output_and_date
from minimize.output.publish import Staging
from minimize.output.stored_file import open_stored_file
from minimize.receipts import FileRef, Receipt, ReceiptFile, files_in_force, retained_sketches
from minimize.sources.base import WrittenFile
from minimize.spill import HashWords, ValueHasher
from minimize.stores import Location
from minimize.stores.digests import has_digest
from minimize.text import count_noun

log = logging.getLogger("minimize")
_SUBKEY_PURPOSES: Final = ("sketches/1", "sketches/2")
_KEY_MARK_BYTES: Final = 8
"""Number of bytes that identify the key of a sketch."""


@dataclass(frozen=True, slots=True)
class FormerRelease:
    """The aggregate in force for one date: its table, the row of each group, and all releases so far.

    is_lost  whether a published table is missing or cannot be read. A run of the date replaces it
    """

    table: pa.Table | None
    rows: HashWords
    history: ReleaseHistory
    is_lost: bool = False

    def has(self, rows: HashWords) -> npt.NDArray[np.bool_]:
        """Which of these rows are in force. If the table is lost: which of them were published."""
        return np.asarray((self.history.last_releases(rows) if self.is_lost else self.places(rows)) >= 0, np.bool_)

    def places(self, rows: HashWords) -> Codes:
        """The index of each of these rows in the table; -1 if the table does not have the row."""
        if not len(self.rows):
            return np.full(len(rows), -1)
        order = np.argsort(self.rows, kind="stable")
        near = np.minimum(np.searchsorted(self.rows[order], rows), len(order) - 1)
        return np.where(self.rows[order[near]] == rows, order[near], -1)


@dataclass(frozen=True, slots=True)
class PublishedReleases:
    """The releases of an output's aggregates."""

    output: Location
    files: Mapping[tuple[str, str | None], Sequence[ReceiptFile]] = field(repr=False)
    sketch_files: Mapping[tuple[str, str | None], FileRef] = field(repr=False)
    keys: Keyring = field(repr=False)
    kms: Kms | None = None

    @classmethod
    def from_receipts(cls, output: Location, chain: Sequence[Receipt], keys: Keyring, kms: Kms | None) -> Self:
        """The releases in force according to these receipts."""
        files: dict[tuple[str, str | None], list[ReceiptFile]] = {}
        for name, every in files_in_force(chain).items():
            for file in every if name != "records" else ():
                files.setdefault((name, batch_date_of(file.path)), []).append(file)
        kept = {output_and_date(each.path): FileRef(each.path, each.digest) for each in retained_sketches(chain)}
        return cls(output, files, kept, keys, kms)

    @property
    def hasher(self) -> ValueHasher:
        """The keyed hash of groups and contributions."""
        return ValueHasher(derive_sketch_key(self.keys))

    def former(self, definition: AggregateDefinition, name: str, date: str | None) -> FormerRelease:
        """The aggregate in force for a date.

        A table without sketches counts as one release of unknown subjects. If its sketches are missing, do not match the receipt
        or cannot be decrypted with this keyring, the earlier releases are unknown, too. Raises KeyringError if the table is
        encrypted and the keyring does not have its key.
        """
        nothing = np.empty(0, np.uint64)
        files = self.files.get((name, date), ())
        if not files:
            kept = self.sketch_files.get((name, date))
            return FormerRelease(None, nothing, self._history(kept, name, date), is_lost=kept is not None)
        history = self._history(files[0].sketches, name, date)
        try:
            tables = [open_stored_file(self.output, file.path, self.kms).table() for file in files]
        except OutputError:
            return FormerRelease(None, nothing, history, is_lost=True)
        table = pa.concat_tables(tables).combine_chunks()
        if history.meanings.get(SUBJECTS_MEANING, str(definition.counting)) != str(definition.counting):
            history = history.forget_subjects()
        columns = {
            about: _key_column(table, label, key) for label, (about, key) in _key_definitions(definition).items()
        }
        there = {about: column for about, column in columns.items() if column is not None}
        if len(there) < len(columns):
            return FormerRelease(None, nothing, history)
        rows = hash_rows(there, table.num_rows, self.hasher)
        unknown = rows[history.last_releases(rows) < 0]
        return FormerRelease(
            table, rows, history.append(ReleaseHistory.from_release(unknown, definition.below, {}, is_complete=False))
        )

    def deferred(self, name: str) -> int:
        """Number of rows of an aggregate, over all dates, that wait until more subjects have changed.

        Raises OutputError if sketches are missing, KeyringError without the subject key.
        """
        histories = [
            self._open_history(every[0].sketches, *place) for place, every in self.files.items() if place[0] == name
        ]
        if any(each is None for each in histories):
            raise OutputError(f"the sketches of {name} are missing")
        return sum(each.deferred for each in histories if each is not None)

    def is_final(self, definition: AggregateDefinition, name: str, date: str | None, at: datetime) -> bool:
        """Whether the table in force for a date must not change, because records that it counts are past their retention."""
        retention = definition.retention
        return retention is not None and (name, date) in self.files and retention.outlives_records(date, at)

    def sealed(self, history: ReleaseHistory, name: str, date: str | None) -> bytes:
        """The encrypted bytes that are stored with an aggregate's file."""
        content = self.hasher.mark.to_bytes(_KEY_MARK_BYTES, "little") + history.to_bytes()
        return seal_content(content, self.keys, _SUBKEY_PURPOSES, *_seal_context(name, date))

    def _history(self, sketches: FileRef | None, name: str, date: str | None) -> ReleaseHistory:
        history = self._open_history(sketches, name, date)
        if history is not None:
            return history
        message = (
            "the sketches of %s%s are missing: changed rows keep their published figures, and new rows are not published. "
            "Run `minimize verify OUTPUT`, and restore the sketches that it reports from a backup."
        )
        log.warning(message, name, f" of {date}" if date else "", extra={"code": "W034"})
        return replace(ReleaseHistory.empty(), is_lost=True)

    def _open_history(self, sketches: FileRef | None, name: str, date: str | None) -> ReleaseHistory | None:
        """The releases that are encrypted in sketches; None if the sketches are missing."""
        if sketches is None:
            return ReleaseHistory.empty()
        try:
            sealed = (self.output / sketches.path).read_bytes()
            if not has_digest(sealed, sketches.digest):
                raise ValueError("the sketches do not match the receipt")
            content = open_content(sealed, self.keys, _SUBKEY_PURPOSES, *_seal_context(name, date)) or b""
            if int.from_bytes(content[:_KEY_MARK_BYTES], "little") == self.hasher.mark:
                return ReleaseHistory.from_bytes(content[_KEY_MARK_BYTES:])
        except (OSError, OutputError, KeyringError, ValueError, KeyError, pa.ArrowException):
            pass
        return None


def group_hashes(definition: AggregateDefinition, table: pa.Table, hasher: ValueHasher) -> HashWords:
    """The row of each group of a table."""
    columns = {about: table.column(label) for label, (about, _) in _key_definitions(definition).items()}
    return hash_rows(columns, table.num_rows, hasher)


def _key_definitions(definition: AggregateDefinition) -> dict[str, tuple[str, GroupKey]]:
    """The definition of each key by the key's name; it does not depend on the name."""
    return {label: (f"{key.pointer} {key.to}", key) for label, key in definition.keys.items()}


def _key_column(table: pa.Table, label: str, key: GroupKey) -> pa.ChunkedArray | None:
    """The column of a key in a table of an earlier pipeline, which may use another name; None if the table has no such key."""
    names = [each.name for each in table.schema if _column_field(each) in (None, key.key)]
    name = label if label in names else next((each for each in names if _column_field(table.schema.field(each))), None)
    return None if name is None else table.column(name)


def _column_field(column: pa.Field) -> str | None:
    """The field of a column of a group key; None if the file does not have this information."""
    about = column.metadata or {}
    return "" if b"minimize:measure" in about else about[b"minimize:field"].decode() if about else None


def _seal_context(name: str, date: str | None) -> tuple[bytes, ...]:
    """The context to which the encryption of sketches is bound."""
    return SKETCHES.encode(), name.encode(), (date or "").encode()


@dataclass(frozen=True, slots=True)
class GuardedAggregate:
    """The publishable part of one aggregate on one date, and the releases of its rows including this one.

    withheld      number of rows that could be derived from other tables
    is_unchanged  whether its rows are exactly those in force
    """

    result: AggregateResult
    history: ReleaseHistory = field(repr=False)
    withheld: int = 0
    is_unchanged: bool = False

    def write(
        self, staging: Staging, releases: PublishedReleases, name: str, date: str | None, schema: pa.Schema
    ) -> Iterator[WrittenFile]:
        """Stages the table with its sketches. Logs how many rows are withheld or deferred."""
        _log_guarded(name, date, self.withheld, self.result.deferred)
        sink = staging.sink(name, date, schema)
        for batch in self.result.table.to_batches():
            sink.write(batch)
        sealed = releases.sealed(self.history, name, date)
        yield from (staging.attach_sketches(each, sealed) for each in sink.close())


def guard_aggregates(
    definitions: Mapping[str, AggregateDefinition],
    results: Mapping[str, AggregateResult],
    releases: PublishedReleases,
    date: str | None,
    at: datetime,
) -> dict[str, GuardedAggregate]:
    """The publishable part of each aggregate of one date.

    A group past its retention is left out. A row keeps its figures in force if its new figures, compared with an earlier release,
    would reveal the figures of a few subjects. A row that could be derived from the other tables is withheld; it counts as
    suppressed.
    """
    results = {name: _within_retention(definitions[name], result, date, at) for name, result in results.items()}
    made = {
        name: _NewRelease.of(definitions[name], result, releases.former(definitions[name], name, date), releases.hasher)
        for name, result in results.items()
    }
    suppress_related([each.published for each in made.values()])
    while any(each.could_stay.any() for each in made.values()):
        made = {name: each.with_former(each.could_stay) for name, each in made.items()}
        suppress_related([each.published for each in made.values()])
    return {name: each.guarded() for name, each in made.items()}


def _within_retention(
    definition: AggregateDefinition, result: AggregateResult, date: str | None, at: datetime
) -> AggregateResult:
    retention = definition.retention
    return result if retention is None else result.within_retention(retention.expired(result.table, date, at))


def _log_guarded(name: str, date: str | None, withheld: int, deferred: int) -> None:
    on = f" of {date}" if date else ""
    if withheld:
        message = "%s%s: rows are withheld, because a small group could be derived from other tables of this run"
        log.warning(message, name, on, extra={"code": "W032"})
    if deferred:
        message = "%s%s: %s deferred, because the change would reveal the figures of a few subjects"
        log.info(message, name, on, count_noun(deferred, "row"), extra={"code": "I006"})


@dataclass
class _NewRelease:
    """A new release of a table: each row with its new figures, or with those in force.

    rows       the row of each group
    places     index of each row in the table in force; -1 if it does not have the row
    decision   which new figures may follow those that were published earlier
    figures    the new figures by kind
    retained   the rows that keep the figures in force
    published  the table that is compared with the others
    """

    result: AggregateResult
    former: FormerRelease
    definition: AggregateDefinition
    rows: HashWords = field(repr=False)
    places: Codes = field(repr=False)
    decision: ReleaseDecision = field(repr=False)
    figures: Mapping[FigureKind, FigureRows] = field(repr=False)
    retained: Bools = field(repr=False)
    published: PublishedTable = field(init=False, repr=False)

    @classmethod
    def of(
        cls, definition: AggregateDefinition, result: AggregateResult, former: FormerRelease, hasher: ValueHasher
    ) -> _NewRelease:
        rows, shown = group_hashes(definition, result.table, hasher), shown_figures(definition, result.table)
        places, nowhere = former.places(rows), np.zeros(len(rows), np.bool_)
        figures = {kind: FigureRows(shown.get(kind, nowhere), entries) for kind, entries in result.sketches.items()}
        if None in figures:
            is_equal = _equal_rows(definition, result.table, former, places)
            decision = former.history.decide(
                rows, definition.below, figures, in_force=former.has(rows), is_equal=is_equal
            )
        else:  # without sketches, rows cannot be compared with earlier releases
            decision = ReleaseDecision(nowhere, nowhere)
        return cls(result, former, definition, rows, places, decision, figures, ~decision.allowed & (places >= 0))

    def __post_init__(self) -> None:
        self.published = self._published_table()

    def with_former(self, more: Bools) -> _NewRelease:
        """A copy in which these rows also keep the figures in force."""
        return replace(self, retained=self.retained | more)

    @property
    def fresh(self) -> Bools:
        """The rows with new figures."""
        return self.decision.allowed & ~self.retained

    @property
    def publishable_rows(self) -> Bools:
        """The rows that are published unless another table reveals them."""
        return self.decision.allowed | self.retained

    @property
    def could_stay(self) -> Bools:
        """The rows that have figures in force, and whose new figures another table reveals."""
        changed = self.fresh & ~self.decision.is_same & (self.places >= 0)
        return np.asarray(changed & ~self.published.unsuppressed, np.bool_)

    def _published_table(self) -> PublishedTable:
        table, known, sketches = self.result.table, np.ones(len(self.rows), np.bool_), self.result.sketches
        if self.retained.any():
            history, retained = self.former.history, self.retained
            table = _compose_table(self.definition, table, self.former, np.where(retained, self.places, -1))
            last = np.where(retained, history.last_releases(self.rows), -1)
            known = ~retained | history.has_sketches[last]
            kinds = dict.fromkeys([*self.result.sketches, *history.figures])
            sketches = {kind: _compose_sketches(self.result.sketches.get(kind), history, kind, last) for kind in kinds}
        return PublishedTable(
            definition=self.definition,
            table=table,
            subjects=self.result.subjects,
            sketches=sketches,
            unsuppressed=self.publishable_rows.copy(),
            has_sketches=known,
            retained=self.retained,
            current=self.result.sketches,
        )

    @property
    def deferred(self) -> int:
        """Number of rows that wait until more subjects have changed."""
        return int((~self.fresh).sum())

    def guarded(self) -> GuardedAggregate:
        """The publishable part, after the tables were compared."""
        new = np.flatnonzero(self.fresh & self.published.unsuppressed)
        figures = {kind: each.take(new) for kind, each in self.figures.items()}
        release = ReleaseHistory.from_release(
            self.rows[new], self.definition.below, figures, meanings=self.definition.meanings
        )
        history = replace(self.former.history.append(release), deferred=self.deferred)
        result = self.result.select_rows(self.published.table, self.published.unsuppressed, self.deferred)
        before = 0 if self.former.table is None else self.former.table.num_rows
        in_force = (self.decision.is_same | self.retained) & (self.places >= 0)
        is_unchanged = bool(in_force[self.published.unsuppressed].all()) and result.table.num_rows == before
        withheld = int((self.publishable_rows & ~self.published.unsuppressed).sum())
        return GuardedAggregate(result, history, withheld, is_unchanged)


def _equal_rows(definition: AggregateDefinition, table: pa.Table, former: FormerRelease, places: Codes) -> Bools:
    """Which rows in force have the same figures in a new table. Only rows without sketches are compared."""
    equal = np.zeros(len(places), np.bool_)
    last = former.history.last_releases(former.rows)
    unknown = [
        place for place in np.flatnonzero(places >= 0).tolist() if not former.history.has_sketches[last[places[place]]]
    ]
    if former.table is None or not unknown:
        return equal
    names = [name for name in definition.measures if _is_same_measure(former, definition, name)]
    new = table.select(names).take(unknown).to_pylist()
    old = former.table.select(names).take(places[unknown]).to_pylist()
    equal[unknown] = [one == other for one, other in zip(new, old, strict=True)]
    return equal


def _compose_table(definition: AggregateDefinition, table: pa.Table, former: FormerRelease, places: Codes) -> pa.Table:
    """A table in which row i has the figures in force of row `places[i]`, unless that is -1."""
    retained, indices = pa.array(places >= 0), pa.array(places, mask=places < 0)
    columns: dict[str, Any] = {}
    for name in table.column_names:
        new = table.column(name).combine_chunks()
        if name in definition.measures:
            old = pa.nulls(len(new), new.type)
            if former.table is not None and _is_same_measure(former, definition, name):
                old = former.table.column(name).combine_chunks().take(indices).cast(new.type)
            new = _choose(retained, old, new)
        columns[name] = new
    return pa.table(columns, schema=table.schema)


def _is_same_measure(former: FormerRelease, definition: AggregateDefinition, name: str) -> bool:
    """Whether a column of the table in force is the current measure of this name."""
    if former.table is None or name not in former.table.column_names:
        return False
    return former.history.meanings.get(name, definition.meanings[name]) == definition.meanings[name]


def _choose(mask: pa.Array, one: pa.Array, other: pa.Array) -> pa.Array:
    """Items of `one` where the mask is true, else of `other`. Arrow's `if_else` does not support lists."""
    places = np.arange(len(mask)) + np.where(mask.to_numpy(zero_copy_only=False), 0, len(mask))
    return pc.take(pa.concat_arrays([one, other]), pa.array(places))


def _compose_sketches(new: Entries | None, history: ReleaseHistory, kind: FigureKind, places: Codes) -> Entries:
    """Sketches in which row i has those of the earlier release `places[i]`, unless that is -1."""
    old = history.figures.get(kind)
    buckets = min(each.shape[1] for each in (new, None if old is None else old.entries) if each is not None)
    entries = np.zeros((len(places), buckets), np.uint32) if new is None else fold_sketches(new, buckets).copy()
    earlier = places >= 0
    entries[earlier] = 0 if old is None else fold_sketches(old.entries, buckets)[places[earlier]]
    return entries
