"""Linked devices (`--linked`): the devices that belong to a named subject alone, and their records in files without the subject.

A person is named by a field such as `user_id`. A record that shows the person and the subject of another policy, such as
`device_id`, links the person to that device. A device is linked only if no record shows it with another person: with another
value of the named field or, in files without that field, with two subjects of the file's policy. Devices of several persons are
counted. Only their records with the named subject are found.

The form of a device in one file finds it in another file only if both files made it with the same techniques and key versions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import decode_dictionary
from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.governance.affected_subjects import form_tokens
from minimize.governance.lifecycle_events import (
    FormTokens,
    LinkedForms,
    RetentionEvent,
    linked_events,
    merge_linked_forms,
)
from minimize.governance.output_file import OutputFile, PublishedOutput
from minimize.governance.subjects.requests import DataSubject
from minimize.governance.subjects.search import (
    SubjectRecords,
    SubjectSearch,
    UnsearchableFile,
    record_files,
    sealed_files,
)
from minimize.keys import Keyring
from minimize.text import count_noun
from minimize.times import END_OF_TIME

DeviceChains = Mapping[str, frozenset[str]]
"""Per token of a device's form, the names of the technique chains that made the form."""


@dataclass(frozen=True, slots=True)
class LinkedDevices:
    """The devices of one subject, as they are in outputs.

    devices   the devices that belong to the subject alone, by field
    shared    number of devices that other persons use, too
    fields    the fields by which devices of the subject were searched for
    is_found  whether any file has a record of the subject
    is_complete  whether an earlier request searched every output for the devices
    """

    subject: DataSubject = field(repr=False)
    devices: Mapping[str, DeviceChains] = field(default_factory=dict, repr=False)
    shared: int = 0
    fields: frozenset[str] = frozenset()
    is_found: bool = False
    is_complete: bool = False

    @property
    def tokens(self) -> LinkedForms:
        """The tokens of the devices' forms, as the ledger stores them."""
        return merge_linked_forms(
            {name: dict.fromkeys(chains, (token,))}
            for name, found in self.devices.items()
            for token, chains in found.items()
        )

    def with_earlier(self, tokens: LinkedForms, *, is_complete: bool) -> LinkedDevices:
        """Together with the devices of earlier requests, whose linking records may be gone.

        `is_complete` is whether one of these requests searched every output.
        """
        merged = merge_linked_forms([self.tokens, tokens])
        devices = {name: _by_token(forms) for name, forms in merged.items()}
        found = self.is_found or bool(tokens)
        fields = self.fields | tokens.keys()
        return replace(self, devices=devices, fields=fields, is_found=found, is_complete=is_complete)

    def obstacle(self, file: OutputFile) -> str:
        """The reason why a file cannot be searched for the devices; empty if it can."""
        names = sorted(self.fields & file.pointers.keys())
        if not names:
            return "it shows no device by which records of the subject can be found"
        if not self.is_found and not self.is_complete:
            return "no device of the subject is known, because no record shows the subject"
        for name in names:
            column = file.column(name)
            chains = None if column is None else column.column.chain_names
            if chains is None or any(not each & chains for each in self.devices.get(name, {}).values()):
                return f"its values of {name} cannot be compared with those of the subject's devices"
        return ""

    def unsearchable(self, files: Iterable[UnsearchableFile]) -> Iterator[UnsearchableFile]:
        """Of the files that cannot be searched for the subject, those that cannot be searched for its devices, either."""
        for each in files:
            obstacle = "" if each.file.is_shredded else self.obstacle(each.file)
            if each.file.is_shredded or obstacle:
                yield replace(each, reason=f"{each.reason}; {obstacle}" if obstacle else each.reason)

    def events(self, event: RetentionEvent) -> Iterator[RetentionEvent]:
        """An event of the subject as it applies to the devices."""
        return linked_events(event, self.tokens)

    def records(self, outputs: Sequence[PublishedOutput]) -> Iterator[SubjectRecords]:
        """The records of the devices in files in force, file by file."""
        return self._records_in(record_files(outputs))

    def sealed_records(self, outputs: Sequence[PublishedOutput]) -> Iterator[SubjectRecords]:
        """The sealed records of the devices, file by file."""
        return self._records_in(sealed_files(outputs))

    def _records_in(self, files: Iterable[OutputFile]) -> Iterator[SubjectRecords]:
        everything = RetentionEvent(str(self.subject.tenant), "subject_left", END_OF_TIME, named_by=self.subject.field)
        events = list(self.events(everything))
        for file in files if events else ():
            for event in events:
                name = str(event.named_by)
                rows = (
                    None if file.is_shredded or name not in file.pointers else file.rows(file.affected([event], name))
                )
                if rows is not None and rows.num_rows:
                    yield SubjectRecords(file, name, rows)


def shared_devices_text(count: int) -> str:
    """What is not included because several persons use a device."""
    devices = count_noun(count, "device")
    return f"  {devices} used by other persons, too: records without the identifier of the subject are not included"


def find_linked_devices(subject: DataSubject, outputs: Sequence[PublishedOutput], keys: Keyring) -> LinkedDevices:
    """The devices of a subject of one tenant that a field names. Other subjects have none."""
    if subject.field is None or subject.tenant is None or subject.is_tenant or subject.is_form:
        return LinkedDevices(subject)
    files = [file for file in (*record_files(outputs), *sealed_files(outputs)) if not file.is_shredded]
    return _DeviceSearch(subject, subject.tenant, subject.field, files, keys).find()


@dataclass(frozen=True)
class _DeviceSearch:
    """A search for the devices of a subject that a field names, in files of records in force and sealed."""

    subject: DataSubject
    tenant: str
    key: str
    files: Sequence[OutputFile]
    keys: Keyring = field(repr=False)

    def find(self) -> LinkedDevices:
        """The devices in records of the subject, without those of other persons."""
        names = {str(file.policy.subject) for file in self.files} - {str(None), self.key}
        searched = [file for file in self.files if self.key in file.pointers]
        found = map(SubjectSearch(self.subject).search_file, searched)
        records = [each.found for each in found if isinstance(each.found, SubjectRecords)]
        candidates: dict[str, dict[str, set[str]]] = {}
        for held in records:
            for name in names & held.file.pointers.keys():
                column = held.file.column(name)
                chains = None if column is None else column.column.chain_names
                for form in held.forms_of(name):
                    candidates.setdefault(name, {}).setdefault(form, set()).update(chains or ())
        shared = {name: self._shared(name, forms.keys()) for name, forms in candidates.items()}
        devices = {
            name: {self._token(form): frozenset(chains) for form, chains in forms.items() if form not in shared[name]}
            for name, forms in candidates.items()
        }
        fields = frozenset(name for file in searched for name in names & file.pointers.keys())
        return LinkedDevices(self.subject, devices, sum(map(len, shared.values())), fields, bool(records))

    def _token(self, form: str) -> str:
        return form_tokens(self.keys, self.tenant, [form])[0]

    def _shared(self, name: str, forms: Collection[str]) -> frozenset[str]:
        """The devices that a file shows with another person."""
        return frozenset(form for file in self.files for form in self._shared_in_file(file, name, forms))

    def _shared_in_file(self, file: OutputFile, name: str, forms: Collection[str]) -> Iterator[str]:
        owner = self.key if self.key in file.pointers else str(file.policy.subject)
        if name not in file.pointers or owner not in file.pointers or owner == name:
            return
        if file.pointers[name].stars or file.pointers[owner].stars:
            yield from forms  # a record with a list of persons
            return
        own = file.forms(self.key, str(self.subject.id), self.tenant) if owner == self.key else None
        for form, owners in self._owners(file, file.pointers[name], file.pointers[owner], forms).items():
            if len(owners) > 1 or (owner == self.key and owners - (own or frozenset())):
                yield form

    def _owners(self, file: OutputFile, device: Pointer, owner: Pointer, forms: Collection[str]) -> dict[str, set[str]]:
        """The persons next to each of these devices of the tenant in a file."""
        tenant = file.pointers.get(file.policy.tenant or "")
        own = file.forms(file.policy.tenant, self.tenant, self.tenant)
        found: dict[str, set[str]] = {}
        for batch in file.batches([each.top for each in (device, owner, tenant) if each is not None]):
            columns = [_texts(batch, each) for each in (device, owner)]
            rows = pc.is_in(columns[0], pa.array(sorted(forms), pa.string()))
            if tenant is not None and own is not None:
                rows = pc.and_(rows, pc.is_in(_texts(batch, tenant), pa.array(sorted(own), pa.string())))
            pairs = zip(*(each.filter(rows).to_pylist() for each in columns), strict=True)
            for form, person in set(pairs):
                found.setdefault(form, set()).update([] if person is None else [person])
        return found


def _by_token(forms: FormTokens) -> DeviceChains:
    """The chains of each token."""
    tokens = {token for found in forms.values() for token in found}
    return {token: frozenset(chain for chain, found in forms.items() if token in found) for token in tokens}


def _texts(batch: pa.RecordBatch, pointer: Pointer) -> pa.Array:
    return decode_dictionary(leaf(batch, pointer).values).cast(pa.string())
