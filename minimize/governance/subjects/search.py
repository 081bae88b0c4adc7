"""Search for a subject: in one file, in all outputs; checks of the names in a request.

The form of a subject in a file is made by the policy's techniques with the key version that the file names. It is computed for
each rotation period of the file's events and each tenant to which the subject may belong. The subject index gives the row groups
to read.

What a deletion removes is decided elsewhere (`affected_subjects.py`). After it, the dictionaries of rewritten files are searched
for subjects without records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.datasets.affected_subjects import AffectedSubjects, affected_rows
from minimize.datasets.lifecycle_events import RetentionEvent
from minimize.datasets.published_output import OutputFile, PublishedOutput, distinct_texts
from minimize.errors import ConfigurationError
from minimize.governance.subjects.named_subjects import DataSubject, subject_findings
from minimize.identifiers import canonical_text
from minimize.output.folder import partition_values
from minimize.policy.fields import (
    identifying_fields,
    keeps_original,
    resolve_identity,
    stated_identities,
    treatments_of,
)
from minimize.records import RECORDS
from minimize.techniques import Context
from minimize.techniques.tokenize import Tokenize
from minimize.text import count_noun, did_you_mean_any, similar_words
from minimize.times import END_OF_TIME, EPOCH, epoch_microseconds


def search_obstacle(file: OutputFile, key: str, knows_tenants: bool) -> str:
    """The reason why a file cannot be searched by a field; empty if it can."""
    if key not in file.pointers:
        return f"{key} was dropped"
    steps = [step for way in treatments_of(file.policy.fields[key]) if not isinstance(way, str) for step in way]
    vague = [step.name for step in steps if not step.keeps_distinct()]
    if vague:
        return f"{key} went through {vague[0]}, which gives several subjects the same form"
    if not knows_tenants and any(file.policy.tenant in step.reads() for step in steps):
        return f"{key} has a different form for each tenant, and the tenant is unknown"
    return ""


def subject_in_file(file: OutputFile, key: str, subject: DataSubject, tenants: Sequence[str]) -> AffectedSubjects:
    """The forms that a file has of the subject and of its possible tenants."""
    if subject.is_form:
        return _form_in_file(file, key, str(subject.id), subject.tenant)
    events = [RetentionEvent(tenant, "subject_left", END_OF_TIME, subject.id) for tenant in tenants or [""]]
    return file.affected(events, key)


def _form_in_file(file: OutputFile, key: str, form: str, tenant: str | None) -> AffectedSubjects:
    """The subject with this form, optionally of one tenant."""
    tenant_forms = None if tenant is None else file.forms(file.policy.tenant, tenant, tenant)
    subject_forms = dict.fromkeys(
        ((form, each) for each in ([None] if tenant_forms is None else sorted(tenant_forms))),
        epoch_microseconds(END_OF_TIME),
    )
    return AffectedSubjects(
        file.pointers.get(file.policy.tenant or ""), file.pointers[key], subject_forms=subject_forms
    )


def shows_identifier(file: OutputFile) -> bool:
    """Whether a file has a column that identifies persons or devices, so that it may hold records of any of them."""
    return any(key in file.pointers for key in identifying_fields(file.policy))


@dataclass(frozen=True, slots=True)
class SubjectRecords:
    """Records of one subject in one file."""

    file: OutputFile
    keys: tuple[str, ...]
    """The fields in which the subject was searched for."""
    rows: pa.Table = field(repr=False)
    """The records as stored."""

    @property
    def span(self) -> tuple[int | None, int | None]:
        """The first and last possible instant of the records, in microseconds since 1970; None if the file shows no times."""
        times = self.file.times
        if times is None:
            return None, None
        batch = self.rows.combine_chunks().to_batches()[0]
        return int(times.oldest(batch).min()), int(times.newest(batch).max())

    @property
    def forms(self) -> frozenset[str]:
        """The forms in the fields in which the subject was found."""
        return frozenset(form for key in self.keys for form in self.forms_of(key))

    @property
    def subjects(self) -> frozenset[str]:
        """The forms of the policy's subjects in these records: the subject's own, or those of its devices."""
        return self.forms_of(self.file.policy.subject)

    @property
    def other_identifiers(self) -> dict[str, frozenset[str]]:
        """Other identifiers in these records, by field, as stored."""
        fields = self.file.policy.fields
        names = [name for name, each in fields.items() if each.role == "identifier" and name not in self.keys]
        return {name: forms for name in names if (forms := self.forms_of(name))}

    @property
    def tenants(self) -> frozenset[str]:
        """The tenants of these records, if the file has them as received."""
        tenant = self.file.policy.tenant
        shows = tenant is not None and keeps_original(self.file.policy.fields[tenant])
        return self.forms_of(tenant) if shows else frozenset()

    def forms_of(self, key: str | None) -> frozenset[str]:
        """The distinct values of a field in these records, as stored."""
        pointer = self.file.pointers.get(key or "")
        return frozenset() if pointer is None else distinct_texts(self.rows.to_batches(), pointer)


@dataclass(frozen=True, slots=True)
class UnsearchableFile:
    """A file that cannot be searched by this identifier, and the reason."""

    file: OutputFile
    reason: str

    def to_json(self) -> dict[str, Any]:
        """The file as a view shows it."""
        return {"output": str(self.file.output.folder), "file": self.file.path, "why": self.reason}


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
    tenants: frozenset[str] = field(default=frozenset(), repr=False)

    def find(self, outputs: Iterable[PublishedOutput]) -> Iterator[SearchOutcome]:
        """The results for a subject in these outputs, file by file."""
        yield from (each.found for each in self.search_files(outputs) if each.found is not None)

    def find_records(self, outputs: Iterable[PublishedOutput]) -> Iterator[SubjectRecords]:
        """The records of a subject in these outputs, file by file."""
        yield from (each for each in self.find(outputs) if isinstance(each, SubjectRecords))

    def search_files(self, outputs: Iterable[PublishedOutput]) -> Iterator[SearchedFile]:
        """The results together with every searched file."""
        yield from map(self.search_file, record_files(outputs))

    def search_file(self, file: OutputFile) -> SearchedFile:
        """The result for a subject in one file."""
        if self.is_of_other_tenant(file):
            return SearchedFile(None)
        keys = self._fields(file)
        if not keys:
            return SearchedFile(self._without_field(file))
        results_by_field = {key: self._subject_forms(key, file) for key in keys}
        forms_by_field = {key: each for key, each in results_by_field.items() if isinstance(each, AffectedSubjects)}
        if not forms_by_field:
            return SearchedFile(next(each for each in results_by_field.values() if isinstance(each, UnsearchableFile)))
        groups, candidates = file.stored_file.file.metadata.num_row_groups, file.groups_of_any(forms_by_field.values())
        rows = file.rows([*forms_by_field.values()], candidates)
        unsearchable_files = (each for each in results_by_field.values() if isinstance(each, UnsearchableFile))
        result = (
            SubjectRecords(file, self._found_by(rows, forms_by_field), rows)
            if rows.num_rows
            else next(unsearchable_files, None)
        )
        return SearchedFile(result, groups, groups if candidates is None else len(candidates))

    def _found_by(self, rows: pa.Table, affected: Mapping[str, AffectedSubjects]) -> tuple[str, ...]:
        """The fields in which these records name the subject."""
        batches = rows.to_batches()
        return tuple(
            key for key, each in affected.items() if any(affected_rows(batch, [each]).num_rows for batch in batches)
        )

    def is_of_other_tenant(self, file: OutputFile) -> bool:
        """Whether the file is in the folder of another tenant, so that it need not be opened."""
        name, tenant = file.policy.tenant, self.subject.tenant
        if name is None or tenant is None or not keeps_original(file.policy.fields[name]):
            return False
        folders = partition_values(file.path)
        return canonical_text(folders.get(name) or tenant) != canonical_text(tenant)

    def _fields(self, file: OutputFile) -> list[str]:
        """The fields to search. A given form may be in any field that identifies."""
        policy = file.policy
        if self.subject.is_tenant:
            return [] if policy.tenant is None or policy.tenant not in policy.fields else [policy.tenant]
        keys = [*file.fields_named(self.subject.field)]
        if self.subject.is_form and self.subject.field is None:
            keys += [name for name, each in policy.fields.items() if each.role == "identifier" and name not in keys]
        return keys

    def find_restricted(self, outputs: Iterable[PublishedOutput]) -> Iterator[SubjectRecords]:
        """The sealed records of the subject, if it or its tenant is restricted."""
        searched_files = map(self.search_file, sealed_files(outputs))
        yield from (each.found for each in searched_files if isinstance(each.found, SubjectRecords))

    def has_records(self, files: Iterable[OutputFile]) -> bool:
        """Whether one of these files has records of the subject."""
        return any(isinstance(self.search_file(file).found, SubjectRecords) for file in files)

    def find_all_records(self, outputs: Sequence[PublishedOutput]) -> Iterator[SubjectRecords]:
        """The records of the subject, then its sealed records."""
        yield from self.find_records(outputs)
        yield from self.find_restricted(outputs)

    def known_forms(self, outputs: Sequence[PublishedOutput]) -> frozenset[str]:
        """The forms of the policies' subjects in its records, also in the sealed ones."""
        return frozenset(form for each in self.find_all_records(outputs) for form in each.subjects)

    def unsearchable(self, files: Iterable[OutputFile]) -> Iterator[UnsearchableFile]:
        """Of these files, those that cannot be searched for the subject.

        Reads no records of a subject with a tenant. The result is the same for all subjects of one field.
        """
        for file in files:
            keys = self._fields(file)
            results = [self._subject_forms(key, file) for key in keys] if keys else [self._without_field(file)]
            yield from (each for each in results if isinstance(each, UnsearchableFile))

    def _without_field(self, file: OutputFile) -> UnsearchableFile | None:
        """A file whose policy does not have the field of the subject, but that shows other identifiers."""
        if self.subject.field is None or file.is_shredded or not shows_identifier(file):
            return None
        return UnsearchableFile(file, f"its policy has no field {self.subject.field}")

    def _subject_forms(self, key: str, file: OutputFile) -> AffectedSubjects | UnsearchableFile:
        if file.is_shredded:
            return UnsearchableFile(file, "its keys were destroyed; it can no longer be read")
        tenants = [] if self.subject.is_form else self._possible_tenants(file)
        obstacle = search_obstacle(file, key, self.subject.is_form or bool(tenants))
        if obstacle:
            return UnsearchableFile(file, obstacle)
        affected = subject_in_file(file, key, self.subject, tenants)
        if affected.unfindable:
            return UnsearchableFile(file, f"the form of {key} in this file depends on unknown values")
        return affected

    def _possible_tenants(self, file: OutputFile) -> list[str]:
        """The tenants to which the subject may belong: its own, or else those in the file, or else the known ones."""
        if self.subject.tenant is not None:
            return [self.subject.tenant]
        return sorted(self.tenants if file.tenants is None else file.tenants)


def record_files(outputs: Iterable[PublishedOutput]) -> Iterator[OutputFile]:
    """The files of records in force. Aggregates are excluded, because they are not about one person."""
    yield from (file for output in outputs for file in output.files(RECORDS))


def sealed_files(outputs: Iterable[PublishedOutput]) -> Iterator[OutputFile]:
    """The sealed files of restricted subjects."""
    yield from (file for output in outputs for file in output.restricted_files())


def files_with_leftovers(
    outputs: Iterable[PublishedOutput], paths: Iterable[str], names: Collection[str | None] = ()
) -> Iterator[str]:
    """The rewritten files whose dictionaries contain a subject, or an id of one of these names, that no record uses."""
    rewritten_paths = frozenset(paths)
    for file in record_files(outputs):
        if file.path not in rewritten_paths:
            continue
        keys = {key for name in (None, *names) for key in file.fields_named(name)}
        pointers = [Pointer.parse(key) for key in keys]
        if any(_has_unused_entry(each, pointer) for pointer in pointers for each in file.dictionaries(pointer)):
            yield file.path


def _has_unused_entry(batches: Iterable[pa.RecordBatch], subject: Pointer) -> bool:
    """Whether a dictionary, which may grow from batch to batch, has an entry that no batch uses."""
    known: pa.Array = pa.array([])
    used = np.zeros(0, np.bool_)
    for values in (leaf(batch, subject).values for batch in batches):
        if not pa.types.is_dictionary(values.type):
            return False
        goes_on = len(known) > 0 and values.dictionary.slice(0, len(known)).equals(known)
        if not goes_on and not used.all():
            return True
        known, before = values.dictionary, used if goes_on else used[:0]
        used = np.append(before, np.zeros(len(known) - len(before), np.bool_))
        used[values.indices.drop_null().to_numpy()] = True
    return not bool(used.all())


def resolve_names(subjects: Sequence[DataSubject], outputs: Sequence[PublishedOutput]) -> tuple[DataSubject, ...]:
    """The subjects with the identities of the fields that name them, so that they are found in all datasets.

    Raises ConfigurationError for a field or identity that no policy has, or a field with different identities.
    """
    field_names = {each.field for each in subjects if each.field is not None}
    files = (*record_files(outputs), *sealed_files(outputs)) if field_names else ()
    policies = [output.job.policy for output in outputs if output.job is not None] if field_names else []
    policies += {id(file.policy): file.policy for file in files}.values()
    policy_names = {name for policy in policies for name in policy.fields}
    policy_names |= {name for policy in policies for names in stated_identities(policy).values() for name in names}
    for name in sorted(field_names - policy_names):
        hint = did_you_mean_any(similar_words(name, policy_names))
        raise ConfigurationError(
            f"no output has a policy with the field `{name}`",
            hint=hint or "Run `minimize plan` to see the fields of a pipeline.",
        )
    identities = {name: resolve_identity(name, policies) for name in field_names}
    return tuple(dict.fromkeys(replace(each, field=identities.get(str(each.field))) for each in subjects))


def check_tenants(
    subjects: Iterable[DataSubject], outputs: Sequence[PublishedOutput], tenants: Collection[str]
) -> None:
    """Raises ConfigurationError for tenants that neither the ledger nor an output names."""
    tenant_names = dict.fromkeys(
        each.tenant for each in subjects if each.tenant is not None and each.tenant not in tenants
    )
    unknown = absent_tenants(tenant_names, outputs)
    if unknown:
        raise ConfigurationError(
            f"neither an output nor the ledger names {_shorten_names(unknown)}",
            hint="Check the spelling. Pass --allow-unknown-tenant to continue; then later records are excluded, too.",
        )


def check_known(unknown: Sequence[DataSubject]) -> None:
    """Raises ConfigurationError if there are subjects to restrict of which no data is held."""
    if unknown:
        raise ConfigurationError(
            f"no data is held of {count_noun(len(unknown), 'named subject')}; nothing was restricted",
            hint="Check the ids and the tenant. Pass --allow-unknown-subject to exclude their later records, too.",
            findings=subject_findings("Q012", "no data is held of this subject", unknown),
        )


def absent_tenants(tenants: Iterable[str], outputs: Iterable[PublishedOutput]) -> list[str]:
    """The tenants without records in any output; none if an output does not show tenants."""
    missing_tenants = list(tenants)
    for file in record_files(outputs):
        key = file.policy.tenant
        if not missing_tenants or file.is_shredded:
            return []
        if key is None:
            continue
        if search_obstacle(file, key, knows_tenants=True):
            return []
        present = file.distinct(key)
        missing_tenants = [
            tenant for tenant in missing_tenants if not (file.forms(key, tenant, tenant) or frozenset()) & present
        ]
    return missing_tenants


def identify_form(records: SubjectRecords) -> Iterator[DataSubject]:
    """The original subjects of a found form: the id as received, or the id of a token that the keyring decrypts."""
    file, policy = records.file, records.file.policy
    values = _original_values(records)
    pointer = file.pointers.get(policy.tenant or "")
    if values is None or pointer is None or not keeps_original(policy.fields[str(policy.tenant)]):
        return
    tenants = records.rows[pointer.top].to_pylist()
    key = records.keys[0]
    identities = file.identities.get(key, ())
    field = identities[0] if len(identities) == 1 else None if key == policy.subject else key
    pairs = dict.fromkeys(zip(values.to_pylist(), tenants, strict=True))
    yield from (DataSubject(str(id_), str(tenant), field) for id_, tenant in pairs if None not in (id_, tenant))


def _original_values(records: SubjectRecords) -> pa.Array | None:
    """The original id of each record; None if it cannot be recovered."""
    file, policy, key = records.file, records.file.policy, records.keys[0]
    pointer, field_ = file.pointers[key], policy.fields[key]
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
    return step.detokenize(values, Context(key, EPOCH, file.pinned_keys(key), columns)).values


def _shorten_names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"the tenant {shown}" if len(names) == 1 else f"{len(names)} tenants, {shown}{' …' if names[3:] else ''}"
