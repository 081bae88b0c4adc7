"""Search for a subject: in one file, in all outputs, by linked devices; checks of the names in a request.

The form of a subject in a file is made by the policy's techniques with the key version that the file names. It is computed for
each rotation period of the file's events and each tenant to which the subject may belong. The subject index gives the row groups
to read.

A pseudonym of one field is the same in every output that makes it with the same key. It finds linked records in files
that do not name the person. For a device that several people use, all records are found.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import decode_dictionary
from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.errors import ConfigurationError
from minimize.governance.event_times import EventTimeBounds
from minimize.governance.published_outputs import SearchableOutput, WritingRun
from minimize.governance.retention.affected_subjects import AffectedSubjects
from minimize.governance.retention.identifier_forms import LookupColumn, lookup_column, pinned_keyring
from minimize.governance.retention.lifecycle_events import RetentionEvent
from minimize.governance.retention.retention_rules import field_pointers
from minimize.governance.subjects.requests import DataSubject
from minimize.identifiers import canonical_text
from minimize.keys import Keyring, Kms, find_kms
from minimize.keys.parquet_encryption import unless_shredded
from minimize.output.folder import batch_date_of
from minimize.output.partitions import partition_values
from minimize.output.stored_file import StoredFile, open_stored_file, with_dictionaries
from minimize.output.subject_search import find_candidate_files
from minimize.policy.fields import treatments_of
from minimize.policy.model import Field, Policy
from minimize.receipts import ReceiptFile
from minimize.stores import Location, local_path
from minimize.techniques import Context
from minimize.techniques.tokenize import Tokenize
from minimize.text import similar_words
from minimize.times import END_OF_TIME, EPOCH, epoch_microseconds


@dataclass(frozen=True)
class FileSearch:
    """One file, and the field that identifies the subject in it."""

    folder: Location
    policy: Policy
    key: str
    stored: StoredFile = field(repr=False)
    keys: Keyring = field(repr=False)

    @property
    def _kms(self) -> Kms:
        return find_kms(self.keys, local_path(self.folder))

    @cached_property
    def pointers(self) -> dict[str, Pointer]:
        """The pointers of the file's fields."""
        return field_pointers(self.policy, self.stored.whole)

    @cached_property
    def clock(self) -> EventTimeBounds | None:
        """The bounds of the file's event times."""
        return EventTimeBounds.for_policy(self.policy, self.stored.whole)

    def obstacle(self, knows_tenants: bool) -> str:
        """The reason why the file cannot be searched; empty if it can."""
        if self.key not in self.pointers:
            return f"{self.key} was dropped"
        steps = [
            step for way in treatments_of(self.policy.fields[self.key]) if not isinstance(way, str) for step in way
        ]
        vague = [step.name for step in steps if not step.keeps_distinct()]
        if vague:
            return f"{self.key} went through {vague[0]}, which gives several subjects the same form"
        if not knows_tenants and any(self.policy.tenant in step.reads() for step in steps):
            return f"{self.key} has a different form for each tenant, and the tenant is unknown"
        return ""

    def possible_tenants(self, subject: DataSubject, tenants: Collection[str]) -> list[str]:
        """The tenants to which the subject may belong: its own, or else those in the file, or else the known ones."""
        return [subject.tenant] if subject.tenant is not None else sorted(self._tenants_in_file(tenants))

    def affected(self, subject: DataSubject, tenants: Sequence[str]) -> AffectedSubjects:
        """The forms of the subject and of its possible tenants."""
        if subject.is_form:
            return self._affected_by_form(str(subject.id), subject.tenant)
        events = [RetentionEvent(tenant, "subject_left", END_OF_TIME, subject.id) for tenant in tenants or [""]]
        return AffectedSubjects.for_file(
            events, self._lookup(self.policy.tenant), None if subject.is_tenant else self._lookup(self.key)
        )

    def row_groups(self, affected: AffectedSubjects, file: ReceiptFile) -> Sequence[int] | None:
        """The row groups that may have records of the subject, by an index; None for all row groups."""
        if self.key != self.policy.subject or not affected.subject_forms:
            return None
        places = find_candidate_files(self.folder, [file], affected.subject_values, self.keys)
        return places[0].groups if places else ()

    def rows(self, affected: AffectedSubjects, groups: Sequence[int] | None) -> pa.Table:
        """The records about the subject in these row groups; None for all row groups."""
        present_groups = self.groups_with_records(affected) if groups is None else groups
        batches = (
            (self._only(batch, affected) for batch in self.stored.batches(present_groups)) if present_groups else ()
        )
        return pa.Table.from_batches(batches, self.stored.whole)

    def groups_with_records(self, affected: AffectedSubjects) -> list[int]:
        """The row groups with records of the subject. Reads only the identifying columns."""
        columns = sorted({place.top for place in (affected.tenant, affected.subject) if place is not None})
        groups = (
            range(self.stored.file.metadata.num_row_groups) if affected.tenant_forms or affected.subject_forms else ()
        )
        return [
            group
            for group in groups
            if any(map(self._any_affected(affected), self.stored.batches([group], columns=columns)))
        ]

    def absent_tenants(self, tenants: Sequence[str]) -> list[str]:
        """The tenants without records in the file. Reads only the tenant column."""
        events = [RetentionEvent(tenant, "tenant_closed", END_OF_TIME) for tenant in tenants]
        forms = {
            each.tenant: set(AffectedSubjects.for_file([each], self._lookup(self.key), None).tenant_forms)
            for each in events
        }
        present: set[str] = set()
        columns = [self.pointers[self.key].top]
        for batch in with_dictionaries(self.stored, self.folder, self._kms, columns).batches(columns=columns):
            present.update(map(canonical_text, distinct_texts(pa.Table.from_batches([batch]), self.pointers[self.key])))
        return [tenant for tenant in tenants if not forms[tenant] & present]

    def span(self, rows: pa.Table) -> tuple[int | None, int | None]:
        """The first and last possible instant of these records, in microseconds; None if the file shows no times."""
        if self.clock is None or not rows.num_rows:
            return None, None
        batch = rows.combine_chunks().to_batches()[0]
        return int(self.clock.oldest(batch).min()), int(self.clock.newest(batch).max())

    def _affected_by_form(self, form: str, tenant: str | None) -> AffectedSubjects:
        """The subject with this form, optionally of one tenant."""
        named, by = self._lookup(self.policy.tenant), self._lookup(self.key)
        of = None if tenant is None or named is None else named.column.forms(tenant, tenant)
        own = dict.fromkeys(
            ((form, each) for each in ([None] if of is None else sorted(of))), epoch_microseconds(END_OF_TIME)
        )
        places = [None if each is None else each.pointer for each in (named, by)]
        return AffectedSubjects(places[0], places[1], subject_forms=own)

    def _any_affected(self, affected: AffectedSubjects) -> Callable[[pa.RecordBatch], bool]:
        return lambda batch: bool(affected.affects(batch, np.zeros(batch.num_rows, np.int64)).any())

    def _only(self, batch: pa.RecordBatch, affected: AffectedSubjects) -> pa.RecordBatch:
        return batch.filter(pa.array(affected.affects(batch, np.zeros(batch.num_rows, np.int64))))

    def _lookup(self, key: str | None) -> LookupColumn | None:
        if key is None or key not in self.pointers:
            return None
        return lookup_column(self.policy, key, self.pointers[key], self.clock, self.stored, self.keys)

    def _tenants_in_file(self, tenants: Collection[str]) -> frozenset[str]:
        pointer = self.pointers.get(self.policy.tenant or "")
        if pointer is None or not keeps_original(self.policy.fields[str(self.policy.tenant)]):
            return frozenset(tenants)
        batches = with_dictionaries(self.stored, self.folder, self._kms, [pointer.top]).batches(columns=[pointer.top])
        names = (decode_dictionary(pc.unique(leaf(batch, pointer).values)).cast(pa.string()) for batch in batches)
        return frozenset(name for each in names for name in each.to_pylist() if name is not None)


def keeps_original(field: Field) -> bool:
    """Whether the values are kept as received."""
    return all(step.changes_nothing for way in treatments_of(field) if not isinstance(way, str) for step in way)


def distinct_texts(rows: pa.Table, pointer: Pointer) -> frozenset[str]:
    """The distinct values of a field of some records, as text."""
    batches = rows.combine_chunks().to_batches()
    found = (decode_dictionary(pc.unique(leaf(batch, pointer).values)).to_pylist() for batch in batches)
    return frozenset(str(each) for one in found for each in one if each is not None)


@dataclass(frozen=True, slots=True)
class SubjectRecords:
    """Records of one subject in one file.

    key    the field by which the subject was found
    rows   the records as stored
    since  the oldest possible instant of a record, in microseconds since 1970; None if the file shows no times
    """

    output: SearchableOutput
    written_by: WritingRun
    file: ReceiptFile
    key: str
    rows: pa.Table = field(repr=False)
    since: int | None = None
    until: int | None = None

    @property
    def date(self) -> str | None:
        """The batch date of the partition."""
        return batch_date_of(self.file.path)

    @property
    def forms(self) -> frozenset[str]:
        """The subject's forms in these records."""
        return distinct_texts(self.rows, Pointer.parse(self.key))

    @property
    def subjects(self) -> frozenset[str]:
        """The forms of the policy's subjects in these records: the subject's own, or those of its devices."""
        return self._forms_of(self.written_by.policy.subject)

    @property
    def other_identifiers(self) -> dict[str, frozenset[str]]:
        """Other identifiers in these records, by field, as stored."""
        policy = self.written_by.policy
        names = [name for name, each in policy.fields.items() if each.role == "identifier" and name != self.key]
        return {name: forms for name in names if (forms := self._forms_of(name))}

    @property
    def tenants(self) -> frozenset[str]:
        """The tenants of these records, if the file has them as received."""
        tenant = self.written_by.policy.tenant
        shows = tenant is not None and keeps_original(self.written_by.policy.fields[tenant])
        return self._forms_of(tenant) if shows else frozenset()

    def _forms_of(self, key: str | None) -> frozenset[str]:
        pointer = field_pointers(self.written_by.policy, self.rows.schema).get(key or "")
        return frozenset() if pointer is None else distinct_texts(self.rows, pointer)


@dataclass(frozen=True, slots=True)
class UnsearchableFile:
    """A file that cannot be searched by this identifier, and the reason."""

    output: SearchableOutput
    file: ReceiptFile
    reason: str

    def to_json(self) -> dict[str, Any]:
        """The file as a view shows it."""
        return {"output": str(self.output.folder), "file": self.file.path, "why": self.reason}


SearchOutcome = SubjectRecords | UnsearchableFile


@dataclass(frozen=True, slots=True)
class SearchedFile:
    """A searched file, the result, and the number of row groups read."""

    found: SearchOutcome | None
    groups: int = 0
    read: int = 0


@dataclass(frozen=True)
class SubjectSearch:
    """A search for one subject. `tenants` are those that the ledger names."""

    subject: DataSubject
    keys: Keyring = field(repr=False)
    tenants: frozenset[str] = field(default=frozenset(), repr=False)

    def find(self, outputs: Iterable[SearchableOutput]) -> Iterator[SearchOutcome]:
        """The results for a subject in these outputs, file by file."""
        yield from (each.found for each in self.search_files(outputs) if each.found is not None)

    def search_files(self, outputs: Iterable[SearchableOutput]) -> Iterator[SearchedFile]:
        """The results together with every searched file."""
        for output in outputs:
            for written, file in output.files():
                yield self._search_file(output, written, file)

    def _search_file(self, output: SearchableOutput, written: WritingRun, file: ReceiptFile) -> SearchedFile:
        if self._is_of_other_tenant(written, file):
            return SearchedFile(None)
        keys = self._fields(written)
        looked = [self._search_by_key(key, output, written, file) for key in keys]
        held = next(
            (each for each in looked if isinstance(each.found, SubjectRecords)),
            looked[0] if looked else SearchedFile(None),
        )
        return replace(held, read=min(held.groups, sum(each.read for each in looked)))

    def _is_of_other_tenant(self, written: WritingRun, file: ReceiptFile) -> bool:
        """Whether the file is in the folder of another tenant, so that it need not be opened."""
        name, tenant = written.policy.tenant, self.subject.tenant
        if name is None or tenant is None or not keeps_original(written.policy.fields[name]):
            return False
        folders = partition_values(file.path)
        return canonical_text(folders.get(name) or tenant) != canonical_text(tenant)

    def _fields(self, written: WritingRun) -> list[str]:
        """The fields to search. A given form may be in any field that identifies."""
        policy = written.policy
        key = policy.tenant if self.subject.is_tenant else self.subject.field or policy.subject
        keys = [] if key is None or key not in policy.fields else [key]
        if self.subject.is_form and self.subject.field is None:
            keys += [name for name, each in policy.fields.items() if each.role == "identifier" and name != key]
        return keys

    def unsearchable(self, outputs: Iterable[SearchableOutput]) -> Iterator[UnsearchableFile]:
        """The files that cannot be searched for the subject. Reads no records."""
        for output in outputs:
            for written, file in output.files():
                for key in self._fields(written):
                    found = self._open_search(key, output, written, file)
                    if isinstance(found, UnsearchableFile):
                        yield found

    def _search_by_key(
        self, key: str, output: SearchableOutput, written: WritingRun, file: ReceiptFile
    ) -> SearchedFile:
        opened = self._open_search(key, output, written, file)
        if isinstance(opened, UnsearchableFile):
            return SearchedFile(opened)
        look, affected = opened
        groups = look.stored.file.metadata.num_row_groups
        present_groups = look.row_groups(affected, file)
        rows = look.rows(affected, present_groups)
        held = None if not rows.num_rows else SubjectRecords(output, written, file, key, rows, *look.span(rows))
        return SearchedFile(held, groups, groups if present_groups is None else len(present_groups))

    def _open_search(
        self, key: str, output: SearchableOutput, written: WritingRun, file: ReceiptFile
    ) -> tuple[FileSearch, AffectedSubjects] | UnsearchableFile:
        stored = unless_shredded(lambda: open_stored_file(output.folder, file.path, self._kms(output)))
        if stored is None:
            return UnsearchableFile(output, file, "its keys were destroyed; it can no longer be read")
        look = FileSearch(output.folder, written.policy, key, stored, self.keys)
        tenants = [] if self.subject.is_form else look.possible_tenants(self.subject, self.tenants)
        blind = look.obstacle(self.subject.is_form or bool(tenants))
        if blind:
            return UnsearchableFile(output, file, blind)
        affected = look.affected(self.subject, tenants)
        if affected.unfindable:
            return UnsearchableFile(output, file, f"the form of {key} in this file depends on unknown values")
        return look, affected

    def _kms(self, output: SearchableOutput) -> Kms:
        return find_kms(self.keys, local_path(output.folder))


def linked_records(
    records: Sequence[SubjectRecords], outputs: Iterable[SearchableOutput], keys: Keyring
) -> list[SubjectRecords]:
    """The records of linked subjects in files in which the person was not found."""
    known = {(str(each.output.folder), each.file.path) for each in records}
    pairs = {
        (form, tenant)
        for each in records
        if each.key != each.written_by.policy.subject
        for form, tenant in _linked_subjects(each)
    }
    found_files = [*outputs]
    found = (
        each
        for form, tenant in sorted(pairs, key=lambda pair: (pair[0], pair[1] or ""))
        for each in SubjectSearch(DataSubject(form, tenant, is_form=True), keys).find(found_files)
    )
    return [
        each
        for each in found
        if isinstance(each, SubjectRecords)
        and each.key == each.written_by.policy.subject
        and (str(each.output.folder), each.file.path) not in known
    ]


def _linked_subjects(records: SubjectRecords) -> set[tuple[str, str | None]]:
    """The forms of linked subjects, each with the tenants that the file shows."""
    return {(form, tenant) for form in records.subjects for tenant in records.tenants or {None}}


def check_fields(subjects: Iterable[DataSubject], outputs: Iterable[SearchableOutput]) -> None:
    """Raises ConfigurationError if a subject's field is in no output's policy."""
    wanted = {each.field for each in subjects if each.field is not None}
    policies = [written.policy for output in outputs for written, _ in output.files()] if wanted else []
    known = {name for policy in policies for name in policy.fields}
    for name in sorted(wanted - known):
        close = similar_words(name, known)
        hint = f"did you mean {close[0]}?" if close else "Run `minimize plan` to see the fields of a pipeline."
        raise ConfigurationError(f"no output has a policy with a field {name}", hint=hint)


def check_tenants(
    subjects: Iterable[DataSubject], outputs: Sequence[SearchableOutput], keys: Keyring, tenants: Collection[str]
) -> None:
    """Raises ConfigurationError for tenants that neither the ledger nor an output names."""
    wanted = dict.fromkeys(each.tenant for each in subjects if each.tenant is not None and each.tenant not in tenants)
    unknown = absent_tenants(wanted, outputs, keys)
    if unknown:
        raise ConfigurationError(
            f"neither an output nor the ledger names {_shorten_names(unknown)}",
            hint="Check the spelling. Pass --allow-unknown-tenant to continue; then later records are excluded, too.",
        )


def absent_tenants(tenants: Iterable[str], outputs: Iterable[SearchableOutput], keys: Keyring) -> list[str]:
    """The tenants without records in any output; none if an output does not show tenants."""
    left = list(tenants)
    for output in outputs if left else ():
        kms = find_kms(keys, local_path(output.folder))
        for written, file in output.files() if left else ():
            stored = unless_shredded(partial(open_stored_file, output.folder, file.path, kms))
            key = written.policy.tenant
            if stored is not None and key is None:
                continue
            look = None if stored is None else FileSearch(output.folder, written.policy, str(key), stored, keys)
            left = [] if look is None or look.obstacle(knows_tenants=True) else look.absent_tenants(left)
    return left


def identify_form(records: SubjectRecords, keys: Keyring) -> Iterator[DataSubject]:
    """The original subjects of a found form: the id as received, or the id of a token that the keyring decrypts."""
    policy = records.written_by.policy
    values = _original_values(records, policy, keys)
    pointer = field_pointers(policy, records.rows.schema).get(policy.tenant or "")
    shows = policy.tenant is not None and keeps_original(policy.fields[policy.tenant]) and pointer is not None
    if values is None or not shows or pointer is None:
        return
    tenants = records.rows[pointer.top].to_pylist()
    field = None if records.key == policy.subject else records.key
    pairs = dict.fromkeys(zip(values.to_pylist(), tenants, strict=True))
    yield from (DataSubject(str(id_), str(tenant), field) for id_, tenant in pairs if None not in (id_, tenant))


def _original_values(records: SubjectRecords, policy: Policy, keys: Keyring) -> pa.Array | None:
    """The original id of each record; None if it cannot be recovered."""
    pointer, field_ = field_pointers(policy, records.rows.schema)[records.key], policy.fields[records.key]
    if not pointer.is_flat:
        return None
    values = records.rows[pointer.top].combine_chunks()
    if keeps_original(field_):
        return values
    chains = [way for way in treatments_of(field_) if not isinstance(way, str)]
    step = chains[0][0] if len(chains) == 1 and len(chains[0]) == 1 else None
    if not isinstance(step, Tokenize) or step.reads() - {policy.tenant}:
        return None
    tenant = policy.tenant
    columns = {} if tenant is None else {tenant: records.rows[tenant].combine_chunks()} if step.reads() else {}
    context = Context(records.key, EPOCH, pinned_keyring(keys, records.rows.schema, pointer), columns)
    return step.detokenize(values, context).values


def _shorten_names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"the tenant {shown}" if len(names) == 1 else f"{len(names)} tenants, {shown}{' …' if names[3:] else ''}"
