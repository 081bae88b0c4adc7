"""Published outputs and their files: everything that governance asks about a file is answered here.

`PublishedOutput` is an output folder with its receipts and keyring. `OutputFile` is one of its files with the run that wrote it,
its policy, columns, event times, subject index and rows. No other module of governance opens a footer or an index. Attachments of
a receipt are checked against its digests.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import decode_dictionary
from minimize.arrow.nested import has_leaf, leaf
from minimize.arrow.pointers import Pointer
from minimize.datasets.affected_subjects import (
    AffectedSubjects,
    EventReach,
    RecognizedSubjects,
    affected_rows,
    recognize_tokens,
    until_event_time,
)
from minimize.datasets.lifecycle_events import RetentionEvent, events_by_field
from minimize.datasets.pipelines import find_pipeline
from minimize.datasets.record_age import EventTimeBounds, partition_start
from minimize.datasets.writing_run import PolicyCache, WritingRun, receipts_by_path
from minimize.errors import MinimizeError, OutputError
from minimize.identifiers import canonical_text
from minimize.keys import Keyring, Kms, find_kms
from minimize.keys.discovery import require_keyring
from minimize.keys.keyring import SUBJECT_KEY
from minimize.keys.parquet_encryption import open_parquet, unless_shredded
from minimize.keys.parquet_footer import read_encrypted_columns
from minimize.output.folder import RESTRICTED, batch_date_of, output_and_date
from minimize.output.restricted import open_restricted, read_sealing_key
from minimize.output.stored_file import StoredFile, as_stored_file, open_stored_file, with_dictionaries
from minimize.output.subject_search import HashedSearch, candidate_groups, hashed_search
from minimize.policy.fields import fields_named, is_dropped, keeps_original, stated_identities
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipts import (
    Receipt,
    ReceiptFile,
    files_in_force,
    files_with_companions,
    restricted_files_in_force,
)
from minimize.records import RECORDS
from minimize.stages.identifier_forms import (
    IdentifierColumn,
    LookupColumn,
    PinnedKeyring,
    period_instants,
    pinned_keyring,
    rotation_units,
)
from minimize.stores import Location, local_path
from minimize.times import from_epoch_microseconds

TimeWindow = tuple[datetime, datetime]
OPEN_FILES: Final = 16
"""The number of files of an output that are kept open, because a process can open a limited number of files."""


@dataclass(frozen=True)
class PublishedOutput:
    """An output folder, its receipt chain, its keyring, its pipeline if found, its loaded policies and identifier columns."""

    folder: Location
    chain: tuple[Receipt, ...] = field(repr=False)
    keys: Keyring | None = field(default=None, repr=False, compare=False)
    job: Pipeline | None = field(default=None, repr=False, compare=False)
    policies: PolicyCache = field(default_factory=PolicyCache, repr=False, compare=False)
    columns: dict[tuple[object, ...], IdentifierColumn] = field(default_factory=dict, repr=False, compare=False)

    @property
    def pipeline(self) -> str:
        """The name of the pipeline that writes the output."""
        return self.chain[-1].pipeline

    def pipeline_of_today(self) -> Pipeline:
        """The loaded pipeline. Raises the errors of the search for it."""
        return self.job or find_pipeline(self.folder, self.chain[-1], None)

    @cached_property
    def kms(self) -> Kms:
        """The service with the master keys of encrypted files."""
        start = local_path(self.folder) if self.job is None else self.job.config
        return find_kms(self.keys, start)

    def files(self, name: str | None = None) -> tuple[OutputFile, ...]:
        """The files in force, or those of one output."""
        return tuple(each for each in self._in_force if name in (None, each.name))

    def file(self, entry: ReceiptFile) -> OutputFile:
        """A file of any receipt of the chain, also one that is no longer in force."""
        if entry.path not in self._files:
            self._files[entry.path] = OutputFile(self, entry, self._writing_runs[entry.path])
        return self._files[entry.path]

    def restricted_files(self) -> Iterator[OutputFile]:
        """The sealed files with the records of restricted subjects."""
        return map(self.file, restricted_files_in_force(self.chain))

    @cached_property
    def removals(self) -> dict[str, Receipt]:
        """The receipt that replaced or removed each former file, by path."""
        return {file.path: receipt for receipt in self.chain for file in (*receipt.replaces, *receipt.removes)}

    def files_within(self, window: TimeWindow) -> Iterator[OutputFile]:
        """The files that were in force at some time within a window, by receipt, with sealed files of restricted subjects."""
        for receipt in self.chain:
            of_outputs = (file for output in receipt.outputs.values() for file in files_with_companions(output))
            files = map(self.file, (*of_outputs, *(receipt.restricted or ())))
            yield from (each for each in files if each.was_in_force(window))

    @cached_property
    def open_file(self) -> Callable[[str], StoredFile]:
        """Opens a file, which may be sealed, and keeps the last ones open. Raises the errors of `open_stored_file`."""
        return lru_cache(OPEN_FILES)(self._open_file)

    def _open_file(self, path: str) -> StoredFile:
        if output_and_date(path)[0] == RESTRICTED:
            return open_restricted(self.folder, path, self.required_keys, self.kms).stored
        return open_stored_file(self.folder, path, self.kms)

    @cached_property
    def hashed_search(self) -> Callable[[tuple[str, ...]], HashedSearch]:
        """The hashes of subjects that are looked up in indexes. Those of the last subjects are kept for the next file."""
        return lru_cache(1)(lambda values: hashed_search(values, self.required_keys))

    @property
    def required_keys(self) -> Keyring:
        """The keyring. Raises KeyringError if the output was opened without one and none is found."""
        return require_keyring(self.keys, local_path(self.folder), "no keyring found")

    def identifier_column(self, file: OutputFile, key: str) -> IdentifierColumn:
        """The forms of identifiers in a field of a file. Files of the same policy, key versions and periods share them."""
        keys, times = file.pinned_keys(key), tuple(file.period_instants(key))
        same = (file.written_by.rewrite_group, key, *sorted(keys.versions.items()), times)
        if same not in self.columns:
            self.columns[same] = IdentifierColumn(file.policy, key, keys, times)
        return self.columns[same]

    @cached_property
    def _files(self) -> dict[str, OutputFile]:
        return {}

    @cached_property
    def _in_force(self) -> tuple[OutputFile, ...]:
        return tuple(self.file(entry) for entries in files_in_force(self.chain).values() for entry in entries)

    @cached_property
    def _writing_runs(self) -> dict[str, WritingRun]:
        """The run that wrote each file, by path. Files of one run share one object."""
        writing_receipts = receipts_by_path(self.chain)
        runs = {each.run_id: self.writing_run(each) for each in writing_receipts.values()}
        return {path: runs[receipt.run_id] for path, receipt in writing_receipts.items()}

    def writing_run(self, receipt: Receipt) -> WritingRun:
        """The run of a receipt."""
        return WritingRun(self.folder, receipt, self.policies)


@dataclass(frozen=True, eq=False)
class OutputFile:
    """One published file. Each answer is computed when it is first needed."""

    output: PublishedOutput = field(repr=False)
    entry: ReceiptFile
    """Its entry in the receipts."""
    written_by: WritingRun = field(repr=False)
    """The run that wrote it."""
    _columns: dict[str, LookupColumn] = field(default_factory=dict, init=False, repr=False)

    @property
    def path(self) -> str:
        """The path relative to the output folder."""
        return self.entry.path

    @property
    def name(self) -> str:
        """The output to which it belongs."""
        return output_and_date(self.path)[0]

    @property
    def date(self) -> str | None:
        """The batch date of its partition."""
        return batch_date_of(self.path)

    @cached_property
    def has_rows(self) -> bool:
        """Whether it has any row, by its footer."""
        return bool(self.stored_file.file.metadata.num_rows)

    @property
    def policy(self) -> Policy:
        """The policy under which it was written. Raises PolicyError, OutputError."""
        return self.written_by.policy

    @property
    def keys(self) -> Keyring:
        """The keyring. Raises KeyringError if the output was opened without one and none is found."""
        return self.output.required_keys

    @property
    def has_records(self) -> bool:
        """Whether it has records, in force or sealed; False for an aggregate."""
        return self.name in (RECORDS, RESTRICTED)

    @property
    def is_sealed(self) -> bool:
        """Whether it has sealed records of restricted subjects."""
        return self.name == RESTRICTED

    @cached_property
    def sealing_keys(self) -> frozenset[str]:
        """The key version under which it is sealed, or every version that it may be; empty if it is not sealed."""
        if not self.is_sealed:
            return frozenset()
        known = read_sealing_key(self.output.folder, self.path)
        possible_keys = (f"{each.name}/{each.version}" for each in self.keys.listing() if each.name == SUBJECT_KEY)
        return frozenset(possible_keys if known is None else {known})

    @property
    def content_name(self) -> str:
        """The output of its rows. Sealed rows are records."""
        return RECORDS if self.has_records else self.name

    @property
    def stored_file(self) -> StoredFile:
        """The opened file. Raises OutputError if it is missing or damaged, KeyringError if a key is not available."""
        return self.output.open_file(self.path)

    @property
    def is_shredded(self) -> bool:
        """Whether its keys were destroyed, so that it can no longer be read. Raises the other errors of `stored_file`.

        A file that is neither encrypted nor sealed is not opened.
        """
        return bool(self.entry.keys or self.is_sealed) and unless_shredded(lambda: self.stored_file) is None

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns, with those that are folders."""
        return self.stored_file.whole

    @property
    def open_schema(self) -> pa.Schema | None:
        """The same, as far as the footer shows it without a key; None if it cannot be read."""
        with suppress(OSError, pa.ArrowException):
            return as_stored_file(self.path, open_parquet(self.output.folder / self.path, None, columns=())).whole
        return None

    @cached_property
    def pointers(self) -> Mapping[str, Pointer]:
        """The pointers of the policy's fields in the file: by path in records, by column metadata in an aggregate."""
        if self.has_records:
            return field_pointers(self.policy, self.schema)
        fields = {(each.metadata or {}).get(b"minimize:field", b"").decode(): each for each in self.schema}
        return {key: Pointer((each.name,)) for key, each in fields.items() if key and not _is_measure(each)}

    @cached_property
    def times(self) -> EventTimeBounds | None:
        """How precisely it shows event times; None if it does not show them."""
        if self.has_records:
            return EventTimeBounds.for_policy(self.policy, self.schema)
        time = None if self.policy.time is None else Pointer.parse(self.policy.time)
        groups = self.written_by.group_fields(self.name)
        units = {column: unit for column, key, unit in groups if Pointer.parse(key) == time}
        return EventTimeBounds.for_groups(self.policy, units)

    def was_in_force(self, window: TimeWindow) -> bool:
        """Whether it was in force at some time within a window."""
        removal = self.output.removals.get(self.path)
        written = self.written_by.receipt.finished <= window[1]
        return written and (removal is None or removal.finished > window[0])

    @property
    def batch_dates(self) -> frozenset[str | None]:
        """The batch dates from which it was written: its own, or those of a late event day of an aggregate."""
        date, output = self.date, self.written_by.receipt.outputs.get(self.name)
        days = {} if output is None else output.days or {}
        return frozenset(days[date]) if date is not None and date in days else frozenset({date})

    @property
    def partition_start(self) -> int | None:
        """The start of its batch date in microseconds since 1970; None without a date."""
        return partition_start(self.date)

    @cached_property
    def time_bounds(self) -> tuple[int, int] | None:
        """The smallest and largest oldest instant of its events, from statistics or else its batch date; None if unknown."""
        if self.times is not None:
            return self.times.bounds(self.stored_file)
        return None if self.partition_start is None else (self.partition_start, self.partition_start)

    @cached_property
    def extent(self) -> tuple[int, int] | None:
        """The first and last possible instant of its events; None if it shows none. Reads the times without statistics."""
        return None if self.times is None else self.times.extent(self.stored_file)

    def read_footer(self) -> None:
        """Reads what its footer shows about rows, fields and times, so that the file is not opened again for it."""
        with suppress(MinimizeError):
            _ = self.has_rows, self.pointers, self.time_bounds

    def fields_named(self, name: str | None) -> tuple[str, ...]:
        """The columns that hold ids of a name, by the policy of the file or by today's.

        A field that the file lacks, if its policies have such a field and the file has no such column.
        """
        today = () if self.output.job is None else fields_named(self.output.job.policy, name)
        both = dict.fromkeys(key for key in (*fields_named(self.policy, name), *today) if key in self.policy.fields)
        present = () if self.is_shredded else tuple(key for key in both if key in self.pointers)
        return present or tuple(both)[:1]

    @property
    def stated_identities(self) -> Mapping[str, tuple[str, ...]]:
        """The fields that state what their ids identify, by today's policy or that of the file; also fields that it lacks."""
        today = {} if self.output.job is None else stated_identities(self.output.job.policy)
        return {**stated_identities(self.policy), **today}

    @cached_property
    def identities(self) -> Mapping[str, tuple[str, ...]]:
        """Those of them that are columns of the file."""
        return {key: each for key, each in self.stated_identities.items() if key in self.pointers}

    @property
    def states_identities(self) -> bool:
        """Whether a policy states which of its fields identify users and devices."""
        return bool(self.stated_identities)

    def affected_by_field(
        self,
        events: Iterable[RetentionEvent],
        until: EventReach = until_event_time,
        recognized: Mapping[str | None, RecognizedSubjects] = MappingProxyType({}),
    ) -> tuple[AffectedSubjects, ...]:
        """The tenants and subjects of events, for each field in which their ids may be; see `affected`."""
        by_field = events_by_field(events, self.fields_named, self.policy.subject)
        return tuple(self.affected(each, key, until, recognized.get(key)) for key, each in by_field.items())

    def column(self, key: str | None) -> LookupColumn | None:
        """The column of a field, and the forms of identifiers in it; None if the file does not have the field."""
        if key is None or key not in self.pointers:
            return None
        if key not in self._columns:
            self._columns[key] = LookupColumn(self.pointers[key], self.output.identifier_column(self, key))
        return self._columns[key]

    def pinned_keys(self, key: str) -> PinnedKeyring:
        """The keyring with the key versions of a field's values."""
        return pinned_keyring(self.keys, self.schema, self.policy.fields[key].pointer)

    def period_instants(self, key: str) -> Iterator[datetime]:
        """Instants that cover every rotation period of a field's pseudonyms in which an event may have happened."""
        units = rotation_units(self.policy, key)
        if units and self.extent is not None:
            first, last = map(from_epoch_microseconds, self.extent)
            yield from period_instants(first, last, units)

    def forms(self, key: str | None, value: str, tenant: str) -> frozenset[str] | None:
        """Every form that a value of a tenant may have in a field; None if it depends on unknown values or is not shown."""
        column = self.column(key)
        return None if column is None else column.column.forms(value, tenant)

    def distinct(self, key: str | None) -> frozenset[str]:
        """The distinct values of a field, as canonical text."""
        pointer = self.pointers.get(key or "")
        if pointer is None:
            return frozenset()
        return frozenset(map(canonical_text, distinct_texts(self.batches([pointer.top]), pointer)))

    @cached_property
    def tenants(self) -> frozenset[str] | None:
        """The tenants of its rows; None if it does not show them as received."""
        key = self.policy.tenant
        shows = key in self.pointers and keeps_original(self.policy.fields[str(key)])
        return self.distinct(key) if shows else None

    def recognized(self, events: Sequence[RetentionEvent], named_by: str | None = None) -> RecognizedSubjects:
        """The forms of subjects that are tokens of the ledger. Reads their column if there are any.

        `named_by` is the field that names the subjects (default: the policy's subject). Raises KeyringError without a token's
        key.
        """
        return recognize_tokens(events, *self._identifying_columns(named_by), self.batches, self.keys)

    def affected(
        self,
        events: Sequence[RetentionEvent],
        named_by: str | None = None,
        until: EventReach = until_event_time,
        recognized: RecognizedSubjects | None = None,
    ) -> AffectedSubjects:
        """The tenants and subjects of events, in the forms that the file has of them.

        Takes the field that names the subjects (default: the policy's subject), the last event time that each event reaches, and
        the recognized subjects of these and other events (default: those of these events).
        """
        known = self.recognized(events, named_by) if recognized is None else recognized
        return AffectedSubjects.for_file(events, *self._identifying_columns(named_by), known, until)

    def _identifying_columns(self, named_by: str | None) -> tuple[LookupColumn | None, LookupColumn | None]:
        return self.column(self.policy.tenant), self.column(self.policy.subject if named_by is None else named_by)

    def candidate_groups(self, affected: AffectedSubjects) -> Sequence[int] | None:
        """The row groups that may have rows of affected subjects, by the subject index; None if any may.

        Raises OutputError for a damaged index, KeyringError without the version of its key.
        """
        if not affected.tenant_forms and not affected.subject_forms:
            return ()
        if affected.tenant_forms or affected.subject != self.pointers.get(self.policy.subject or ""):
            return None  # the index has only subjects
        search = self.output.hashed_search(tuple(affected.subject_values))
        return candidate_groups(self.output.folder, self.entry, search)

    def groups_of_any(self, affected: Iterable[AffectedSubjects]) -> Sequence[int] | None:
        """The row groups that may have rows of any of these affected subjects; see `candidate_groups`."""
        candidates = [self.candidate_groups(each) for each in affected]
        known = [each for each in candidates if each is not None]
        return None if len(known) < len(candidates) else sorted({group for groups in known for group in groups})

    def may_hold(self, affected: AffectedSubjects) -> bool:
        """Whether it may have rows of affected subjects, by the subject index."""
        return self.candidate_groups(affected) != ()

    def rows(self, affected: Sequence[AffectedSubjects], groups: Sequence[int] | None = None) -> pa.Table:
        """The rows of affected subjects in these row groups. By default reads the identifying columns of all row groups first."""
        groups_to_read = self._affected_groups(affected) if groups is None else groups
        batches = self.stored_file.batches(groups_to_read) if groups_to_read else ()
        return pa.Table.from_batches((affected_rows(batch, affected) for batch in batches), self.schema)

    def batches(self, columns: Collection[str]) -> Iterator[pa.RecordBatch]:
        """Its rows with only these columns, in batches with text as dictionaries."""
        return with_dictionaries(self.stored_file, self.output.folder, self.output.kms, columns).batches(
            columns=columns
        )

    def readable_columns(self, names: Collection[str]) -> list[list[str]]:
        """These columns in groups that can be read together, because they need no key or the same master key."""
        if not self.entry.keys:
            return [[*names]]
        masters = read_encrypted_columns(self.output.folder / self.path).columns_by_master_key(names)
        encrypted = {name for group in masters.values() for name in group}
        return [[name for name in names if name not in encrypted], *map(list, masters.values())]

    def open_columns(self, names: Collection[str]) -> StoredFile:
        """The file, opened for these columns only. The keys of its other columns may be missing.

        Raises OutputError if it is missing or damaged, KeyringError if a key of these columns is not available.
        """
        if not self.entry.keys:
            return self.stored_file
        file = None
        with suppress(OSError, pa.ArrowException):
            file = open_parquet(self.output.folder / self.path, self.output.kms, columns=[*names], name=self.path)
        if file is None:
            raise OutputError(f"{self.path} is missing or damaged", hint="Run `minimize verify` to check all files.")
        return as_stored_file(self.path, file)

    def dictionaries(self, pointer: Pointer) -> Iterator[Iterator[pa.RecordBatch]]:
        """Per row group, the batches of a text column with the dictionaries as written, including entries without rows."""
        stored = self.stored_file
        if pointer.top not in stored.schema.names:
            return
        if pointer.is_flat:
            place = self.output.folder / self.path
            file = open_parquet(place, self.output.kms, read_dictionary=[pointer.top], name=self.path)
            stored = replace(stored, file=file, coded=True)
        yield from (stored.column(pointer.top, group) for group in range(stored.file.metadata.num_row_groups))

    def _affected_groups(self, affected: Sequence[AffectedSubjects]) -> list[int]:
        places = (place for subjects in affected for place in (subjects.tenant, subjects.subject))
        columns = sorted({place.top for place in places if place is not None})
        groups = range(self.stored_file.file.metadata.num_row_groups)
        return [
            group
            for group in groups
            if any(
                affected_rows(batch, affected).num_rows for batch in self.stored_file.batches([group], columns=columns)
            )
        ]


def field_pointers(policy: Policy, schema: pa.Schema) -> dict[str, Pointer]:
    """The pointers of the policy's fields that a file contains, by key."""
    pointers = {key: each.pointer for key, each in policy.fields.items() if not is_dropped(each)}
    return {key: pointer for key, pointer in pointers.items() if has_leaf(schema, pointer)}


def distinct_texts(batches: Iterable[pa.RecordBatch], pointer: Pointer) -> frozenset[str]:
    """The distinct values of a field of some records, as text."""
    batch_values = (decode_dictionary(pc.unique(leaf(batch, pointer).values)).to_pylist() for batch in batches)
    return frozenset(str(value) for values in batch_values for value in values if value is not None)


def _is_measure(column: pa.Field) -> bool:
    return b"minimize:measure" in (column.metadata or {})
