"""Linked identifiers: other ids of a subject, and the devices that belong to a person alone (`--linked`), and their records.

A record that shows two ids of one individual links them: a device's id and its serial number in the inventory. Records of the
subject in datasets that know it by the other id only are found by it. With `--linked`, a record that shows a person and a device
also links the person to that device. An id is linked only if no record shows it with another individual: with another value of
the subject's field or, in files without that field, with two of the ids that it has. Shared ids are counted, and only their
records with the id of the subject are found. Lists of ids link nothing. A record about a device that does not say whose it is may
name an administrator: in files with a device and no `user`, ids of users find their records, and nothing links them to others.

The policy states which fields identify users and devices (`identifies`). Under policies that do not, a person named by a field
such as `user_id` is linked to the subjects of the policies.

The form of an id in one file finds it in another file only if both files made it with the same techniques, links and key
versions, or if a file has the id as received.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import decode_dictionary
from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.datasets.affected_subjects import form_tokens
from minimize.datasets.lifecycle_events import FormTokens, RetentionEvent, linked_events, merge_linked_forms
from minimize.datasets.published_output import OutputFile, PublishedOutput
from minimize.errors import ConfigurationError
from minimize.governance.subjects.named_subjects import DataSubject
from minimize.governance.subjects.search import (
    SubjectRecords,
    SubjectSearch,
    UnsearchableFile,
    record_files,
    sealed_files,
)
from minimize.identifiers import canonical_text
from minimize.keys import Keyring
from minimize.ledger.subject_kinds import LinkedForms
from minimize.policy.fields import DEVICE, USER, identifying_fields, individual_of
from minimize.stages.identifier_forms import AS_RECEIVED, IdentifierColumn
from minimize.text import count_noun
from minimize.times import END_OF_TIME

FORMS_OF_ONE_ID: Final = ""
"""Stands in the ledger for the name of linked ids, for the tokens that belong to one id."""
IdChains = Mapping[str, frozenset[str]]
"""Per token of an id's form, the names of the technique chains that made the form."""
IdForms = Mapping[str, frozenset[str]]
"""Per form of an id, the names of the technique chains that made it."""


@dataclass(frozen=True, slots=True)
class LinkedIdentifiers:
    """Other ids of one subject and its devices, as they are in outputs."""

    subject: DataSubject = field(repr=False)
    ids: Mapping[str, Sequence[IdChains]] = field(default_factory=dict, repr=False)
    """The ids that belong to the subject alone, by identity, or by field under policies that state none: each id with the
    tokens of its forms."""
    shared: int = 0
    """Number of ids that other individuals also have."""
    names: frozenset[str] = frozenset()
    """The identities by which ids of the subject could be searched for: files show them next to its own."""
    shown: frozenset[str] = frozenset()
    """The identities among `names` that a record of the subject shows."""
    individuals: frozenset[str] = frozenset()
    """Whether the subject is a user or a device; empty if no policy states it."""
    own: frozenset[str] = frozenset()
    """The identities by which the subject was named or found."""
    with_devices: bool = False
    """Whether devices of a user were searched for."""
    is_found: bool = False
    """Whether any file has a record of the subject."""
    is_complete: bool = False
    """Whether an earlier request searched every output for these ids."""
    compared: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By identity, the chains whose forms were also looked for among ids that files have as received."""

    @property
    def tokens(self) -> LinkedForms:
        """The tokens of the ids' forms, as the ledger stores them."""
        ids = [(name, id_chains) for name, ids_of_name in self.ids.items() for id_chains in ids_of_name]
        forms = ({name: _by_chain(each)} for name, each in ids)
        groups = ({FORMS_OF_ONE_ID: {min(each): tuple(sorted(each))}} for _, each in ids)
        return merge_linked_forms([*forms, *groups])

    @property
    def identities(self) -> dict[str, list[str]]:
        """The identities of the subject that its records showed, for the request that removes them; no ids."""
        identities = sorted(name for name in self.own if individual_of(name) is not None)
        return (
            {"identities": identities, "linked_identities": sorted(self.shown)} if identities and self.is_found else {}
        )

    def with_request(self, body: Mapping[str, Any]) -> LinkedIdentifiers:
        """Together with the identities that an open request found before it removed the records that showed them."""
        identities, shown = (frozenset(body.get(name, ())) for name in ("identities", "linked_identities"))
        individuals = frozenset(each for each in map(individual_of, identities) if each is not None)
        return replace(
            self, own=self.own | identities, individuals=self.individuals | individuals, shown=self.shown | shown
        )

    def with_earlier(self, tokens: LinkedForms, *, is_complete: bool) -> LinkedIdentifiers:
        """Together with the ids of earlier requests, whose linking records may be gone.

        `is_complete` is whether one of these requests searched every output.
        """
        merged = merge_linked_forms([self.tokens, tokens])
        groups = merged.get(FORMS_OF_ONE_ID, {}).values()
        names = merged.keys() - {FORMS_OF_ONE_ID}
        return replace(
            self,
            ids={name: _divide(_by_token(merged[name]), groups) for name in sorted(names)},
            names=self.names | names,
            shown=self.shown | names,
            is_found=self.is_found or bool(tokens),
            is_complete=is_complete,
        )

    def obstacle(self, file: OutputFile) -> str | None:
        """The reason why a file cannot be searched for the ids; None if it can, or if it cannot hold the subject."""
        if self.is_complete:
            return None
        if file.states_identities:
            names = self._names_in(file)
            if not names:
                return None
        elif not self.with_devices:
            return ""
        else:
            names = sorted(self.names & file.pointers.keys())
            if not names:
                return "it shows no device by which records of the subject can be found"
        known = [name for name in names if self._is_known(name)]
        missing = [name for name in names if name not in known]
        if missing and (not known or individual_of(missing[0]) == USER):  # ids of two persons can be in one record
            return self._missing_id(missing[0])
        for name in known:
            if any(not self._is_comparable(name, key, file) for key in self._keys(file, name)):
                return f"its values of {name} cannot be compared with those of the subject's other records"
        return None

    def _names_in(self, file: OutputFile) -> list[str]:
        """The identities in a file by which it may hold the subject: its own kinds of ids, else its devices."""
        stated = sorted({name for names in file.identities.values() for name in names})
        candidates = [name for name in stated if individual_of(name) in (self.individuals or (USER, DEVICE))]
        return candidates or [name for name in stated if individual_of(name) == DEVICE and USER in self.individuals]

    def _is_known(self, name: str) -> bool:
        """Whether the ids of this name are known, also if there are none."""
        if name in self.ids or name in self.shown:
            return True
        if individual_of(name) is None:
            return self.is_found
        is_own = individual_of(name) in self.individuals
        return not is_own and self.with_devices and self.is_found and name in self.names

    def _missing_id(self, name: str) -> str:
        if not self.with_devices and individual_of(name) == DEVICE and USER in self.individuals:
            return "it names devices, and the devices of the subject were not searched for"
        if individual_of(name) is None:
            return "no device of the subject is known, because no record shows the subject"
        return f"no record shows the {name} of the subject"

    def _is_comparable(self, name: str, key: str, file: OutputFile) -> bool:
        """Whether a form of each id of a name is known in a column, or was looked for among its ids as received."""
        column = file.column(key)
        chains = None if column is None else column.column.chain_names
        if chains is not None and AS_RECEIVED in chains:
            chains |= self.compared.get(name, frozenset())
        return chains is not None and all(
            any(made_by & chains for made_by in each.values()) for each in self.ids.get(name, ())
        )

    def _keys(self, file: OutputFile, name: str) -> list[str]:
        return [key for key in file.fields_named(name) if key in file.pointers]

    def unsearched(
        self, files: Iterable[OutputFile], unsearchable: Iterable[UnsearchableFile]
    ) -> Iterator[UnsearchableFile]:
        """The files that can be searched neither for the subject nor for its other ids.

        Takes all files, and those that cannot be searched by the name of the subject.
        """
        reasons = {id(each.file): each for each in unsearchable}
        for file in files:
            known = reasons.get(id(file))
            if known is None and (file.is_shredded or self._shows_subject(file)):
                continue
            reason, obstacle = "" if known is None else known.reason, "" if file.is_shredded else self.obstacle(file)
            if obstacle == "" and not reason:
                obstacle = "its policy does not state which fields identify users and devices"
            if obstacle is not None:
                yield UnsearchableFile(file, "; ".join(each for each in (reason, obstacle) if each))

    def _shows_subject(self, file: OutputFile) -> bool:
        """Whether the file has a column of ids by which the subject was named or found."""
        if self.subject.field is not None or self.subject.is_tenant:
            return True
        if not file.states_identities:
            others = {*identifying_fields(file.policy)} & file.pointers.keys() - {file.policy.subject}
            return not self.individuals or not others
        identities = self.own or {USER, DEVICE}
        return any(identities & {*names} for names in file.identities.values())

    def events(self, event: RetentionEvent) -> Iterator[RetentionEvent]:
        """An event of the subject as it applies to the ids."""
        return linked_events(event, self.tokens)

    def records(self, outputs: Sequence[PublishedOutput]) -> Iterator[SubjectRecords]:
        """The records of the ids in files in force, file by file."""
        return self._records_in(record_files(outputs))

    def sealed_records(self, outputs: Sequence[PublishedOutput]) -> Iterator[SubjectRecords]:
        """The sealed records of the ids, file by file."""
        return self._records_in(sealed_files(outputs))

    def _records_in(self, files: Iterable[OutputFile]) -> Iterator[SubjectRecords]:
        everything = RetentionEvent(str(self.subject.tenant), "subject_left", END_OF_TIME, named_by=self.subject.field)
        events = list(self.events(everything))
        for file in files if events else ():
            records = () if file.is_shredded else _records_of(events, file)
            yield from records


def _records_of(events: Sequence[RetentionEvent], file: OutputFile) -> Iterator[SubjectRecords]:
    """The records of a file that these events concern, if it has any."""
    present = [event for event in events if any(key in file.pointers for key in file.fields_named(event.named_by))]
    rows = file.rows(file.affected_by_field(present)) if present else None
    if rows is not None and rows.num_rows:
        keys = dict.fromkeys(key for event in present for key in file.fields_named(event.named_by))
        yield SubjectRecords(file, tuple(keys), rows)


def check_individuals(linked: Iterable[LinkedIdentifiers]) -> None:
    """Raises ConfigurationError if an id was found as that of a user and as that of a device, and neither was named."""
    if any(len(each.individuals) > 1 for each in linked):
        raise ConfigurationError(
            "a named id is that of a user and also that of a device", hint="Pass --id-field user or --id-field device."
        )


def shared_devices_text(count: int) -> str:
    """What is not included because several persons use a device."""
    devices = count_noun(count, "device")
    return f"  {devices} used by other persons, too: records without the identifier of the subject are not included"


def find_linked_identifiers(
    subject: DataSubject, outputs: Sequence[PublishedOutput], keys: Keyring, *, devices: bool
) -> LinkedIdentifiers:
    """The other ids of a subject of one tenant and, if asked for, its devices. A whole tenant and a form have none."""
    if subject.tenant is None or subject.is_tenant or subject.is_form:
        return LinkedIdentifiers(subject, with_devices=devices)
    files = (*record_files(outputs), *sealed_files(outputs))
    if not any(file.states_identities for file in files) and (not devices or subject.field is None):
        return LinkedIdentifiers(subject, with_devices=devices)
    readable = [file for file in files if not file.is_shredded]
    return _IdentifierSearch(subject, subject.tenant, readable, keys, devices).find()


@dataclass(frozen=True)
class _IdentifierSearch:
    """A search for the other ids of a subject, in files of records in force and sealed."""

    subject: DataSubject
    tenant: str
    files: Sequence[OutputFile]
    keys: Keyring = field(repr=False)
    devices: bool = False
    _received: dict[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict, init=False, repr=False)

    def find(self) -> LinkedIdentifiers:
        """The ids in records of the subject, and in records of these ids, without those of other individuals."""
        direct = [each.found for each in map(SubjectSearch(self.subject).search_file, self.files)]
        records = [each for each in direct if isinstance(each, SubjectRecords)]
        subject_names = self._own_names(records)
        individuals = frozenset(each for each in map(individual_of, subject_names) if each is not None)
        alone: dict[str, list[IdForms]] = {}
        shared: dict[str, list[IdForms]] = {}
        shown, pending_records = set[str](), records
        while pending_records:
            new: dict[str, list[IdForms]] = {}
            for name, form, chains in self._linked_forms(pending_records, subject_names, individuals, shown):
                known_ids = [*alone.get(name, ()), *shared.get(name, ()), *new.get(name, ())]
                if not any(form in each for each in known_ids):
                    new.setdefault(name, []).append(self._forms_of_id(name, form, chains))
            unshared: dict[str, list[IdForms]] = {}
            for name, id_forms in (
                (name, id_forms) for name, ids in new.items() for id_forms in _without_duplicates(ids)
            ):
                is_shared = self._shared(name, id_forms, subject_names, individuals)
                (shared if is_shared else unshared).setdefault(name, []).append(id_forms)
            for name, ids in unshared.items():
                alone.setdefault(name, []).extend(ids)
            by_individual = (
                {name: ids for name, ids in unshared.items() if individual_of(name) == individual}
                for individual in (USER, DEVICE)
            )
            pending_records = [record for ids in by_individual for record in self._records_of(ids)]
        return LinkedIdentifiers(
            self.subject,
            {name: tuple(map(self._tokens, _without_duplicates(ids))) for name, ids in alone.items()},
            sum(map(len, shared.values())),
            frozenset(self._names_beside(subject_names, individuals)),
            frozenset(shown),
            individuals,
            subject_names,
            self.devices,
            bool(records),
            compared={name: frozenset(self._received_ids(name)) for name in alone if individual_of(name) is not None},
        )

    @cached_property
    def _policy_subjects(self) -> frozenset[str | None]:
        """The subjects of policies that state no identities, which count as devices of a person that a field names."""
        searches = self.devices and self.subject.field is not None
        files = (file for file in self.files if searches and not file.states_identities)
        return frozenset(file.policy.subject for file in files)

    def _own_names(self, records: Iterable[SubjectRecords]) -> frozenset[str]:
        """The names of the subject's own id: the one that it was given, else those under which it was found."""
        if self.subject.field is not None:
            return frozenset({self.subject.field})
        identity_names = [
            file_records.file.identities.get(key, ()) for file_records in records for key in file_records.keys
        ]
        return frozenset(names[0] for names in identity_names if len(names) == 1)

    def _name_of(
        self, file: OutputFile, key: str, subject_names: Collection[str], individuals: Collection[str]
    ) -> str | None:
        """The name of a linking column; None for any other column."""
        names = file.identities.get(key, ())
        if file.pointers[key].stars or len(names) > 1:
            return None
        if not names:
            return (
                key
                if key in self._policy_subjects and not file.states_identities and key not in subject_names
                else None
            )
        name, individual = names[0], individual_of(names[0])
        if individual == USER and _may_name_administrators(file):
            return None
        if name in subject_names or not (
            individual in individuals or (self.devices and individual == DEVICE and USER in individuals)
        ):
            return None
        return name

    def _names_beside(self, subject_names: Collection[str], individuals: Collection[str]) -> Iterator[str]:
        """The names of linking columns in files that also have a column of the subject."""
        for file in self.files:
            is_linking = USER not in individuals or not _may_name_administrators(file)
            if is_linking and any(key in file.pointers for key in file.fields_named(self.subject.field)):
                names = (self._name_of(file, key, subject_names, individuals) for key in file.pointers)
                yield from (name for name in names if name is not None)

    def _linked_forms(
        self,
        records: Iterable[SubjectRecords],
        subject_names: Collection[str],
        individuals: Collection[str],
        shown: set[str],
    ) -> Iterator[tuple[str, str, Collection[str]]]:
        """The ids in these records: the name, the form, and the chains that may have made it. Adds the names to `shown`."""
        for file_records in records:
            for key in () if _is_of_administrators(file_records) else file_records.file.pointers:
                name = self._name_of(file_records.file, key, subject_names, individuals)
                if name is None:
                    continue
                shown.add(name)
                column = file_records.file.column(key)
                chains = None if column is None else column.column.chain_names
                yield from ((name, form, chains or ()) for form in file_records.forms_of(key))

    def _records_of(self, ids_by_name: Mapping[str, Sequence[IdForms]]) -> list[SubjectRecords]:
        """The records of these ids in all files whose policies state identities."""
        everything = RetentionEvent(self.tenant, "subject_left", END_OF_TIME)
        forms = ({name: _by_chain(self._tokens(each))} for name, ids in ids_by_name.items() for each in ids)
        events = list(linked_events(everything, merge_linked_forms(forms)))
        return [each for file in self.files if events for each in _records_of(events, file)]

    def _forms_of_id(self, name: str, form: str, chains: Collection[str]) -> IdForms:
        """The known forms of the id with this form, with their chains; for an id as received its forms in every file.

        An id whose form another file has as received is known as received.
        """
        chains_by_form: dict[str, set[str]] = {form: {*chains}}
        by_chain = self._received_ids(name)
        received = (
            {form} if AS_RECEIVED in chains else {by_chain[each].get(form, "") for each in chains if each in by_chain}
        )
        for value in received - {""}:
            chains_by_form.setdefault(value, set()).add(AS_RECEIVED)
            for chain, form_in_file in self._forms_in_files(name, canonical_text(value)):
                chains_by_form.setdefault(form_in_file, set()).add(chain)
        return {each: frozenset(chain_names) for each, chain_names in chains_by_form.items()}

    def _received_ids(self, name: str) -> Mapping[str, Mapping[str, str]]:
        """Per chain of the columns of a name, the ids that some file has as received, by the form that the chain makes."""
        if name not in self._received:
            columns = ((file, key, file.column(key)) for file in self.files for key in file.fields_named(name))
            values = (
                file.distinct(key)
                for file, key, column in columns
                if column is not None and AS_RECEIVED in (column.column.chain_names or ())
            )
            ids_by_chain: dict[str, dict[str, str]] = {}
            for value in sorted(frozenset[str]().union(*values)):
                for chain, form in self._forms_in_files(name, value):
                    ids_by_chain.setdefault(chain, {})[form] = value
            self._received[name] = ids_by_chain
        return self._received[name]

    def _tokens(self, forms: IdForms) -> IdChains:
        """The tokens of the forms of one id, with their chains."""
        chains_by_token: dict[str, set[str]] = {}
        for form, chains in forms.items():
            chains_by_token.setdefault(self._token(form), set()).update(chains)
        return {token: frozenset(chains) for token, chains in chains_by_token.items()}

    def _forms_in_files(self, name: str, value: str) -> Iterator[tuple[str, str]]:
        """The chains and forms of an id as received in the columns of its name."""
        columns = (file.column(key) for file in self.files for key in file.fields_named(name))
        stored_columns = (each.column for each in columns if each is not None)
        distinct_columns = {id(each): each for each in stored_columns if isinstance(each, IdentifierColumn)}
        for column in distinct_columns.values():
            for chain in column.chains or ():
                form = column.forms_by_chain(chain, [(value, self.tenant)])[0]
                if form is not None:
                    yield column.chain_name(chain), form

    def _token(self, form: str) -> str:
        return form_tokens(self.keys, self.tenant, [form])[0]

    def _shared(
        self, name: str, forms: Collection[str], subject_names: Collection[str], individuals: Collection[str]
    ) -> bool:
        """Whether a file shows one of the forms of an id with another individual."""
        return any(
            True for file in self.files for _ in self._shared_in_file(file, name, forms, subject_names, individuals)
        )

    def _shared_in_file(
        self,
        file: OutputFile,
        name: str,
        forms: Collection[str],
        subject_names: Collection[str],
        individuals: Collection[str],
    ) -> Iterator[str]:
        keys = [key for key in file.fields_named(name) if key in file.pointers and not file.pointers[key].stars]
        for key in keys:
            for owner in self._owner_columns(file, subject_names, individuals):
                if owner == key:
                    continue
                if file.pointers[owner].stars or file.pointers[key].stars:
                    yield from forms  # a record with a list of persons
                    continue
                subject_forms = self._own_forms(file, owner, subject_names)
                for form, owners in self._owners(file, file.pointers[key], file.pointers[owner], forms).items():
                    if len(owners) > 1 or (subject_forms is not None and owners - subject_forms):
                        yield form

    def _owner_columns(
        self, file: OutputFile, subject_names: Collection[str], individuals: Collection[str]
    ) -> list[str]:
        """The columns that show to whom an id belongs: the subject's own, else other ids of such individuals."""
        if not file.states_identities:
            named = [key for key in file.fields_named(self.subject.field) if key in file.pointers]
            subject = file.policy.subject
            return named or ([] if subject is None or subject not in file.pointers else [subject])
        flat = {
            key: each[0] for key, each in file.identities.items() if len(each) == 1 and not file.pointers[key].stars
        }
        exact = [key for key, name in flat.items() if name in subject_names]
        if exact or (USER in individuals and _may_name_administrators(file)):
            return exact
        return [key for key, name in flat.items() if individual_of(name) in individuals]

    def _own_forms(self, file: OutputFile, owner: str, subject_names: Collection[str]) -> frozenset[str] | None:
        """The subject's forms in a column of its own ids; None for another column."""
        if owner not in subject_names and not {*file.identities.get(owner, ())} & {*subject_names}:
            return None
        return file.forms(owner, str(self.subject.id), self.tenant) or frozenset()

    def _owners(self, file: OutputFile, device: Pointer, owner: Pointer, forms: Collection[str]) -> dict[str, set[str]]:
        """The individuals next to each of these ids of the tenant in a file."""
        tenant = file.pointers.get(file.policy.tenant or "")
        tenant_forms = file.forms(file.policy.tenant, self.tenant, self.tenant)
        owners_by_form: dict[str, set[str]] = {}
        for batch in file.batches([each.top for each in (device, owner, tenant) if each is not None]):
            columns = [_texts(batch, each) for each in (device, owner)]
            rows = pc.is_in(columns[0], pa.array(sorted(forms), pa.string()))
            if tenant is not None and tenant_forms is not None:
                rows = pc.and_(rows, pc.is_in(_texts(batch, tenant), pa.array(sorted(tenant_forms), pa.string())))
            pairs = zip(*(each.filter(rows).to_pylist() for each in columns), strict=True)
            for form, person in set(pairs):
                owners_by_form.setdefault(form, set()).update([] if person is None else [person])
        return owners_by_form


def _may_name_administrators(file: OutputFile) -> bool:
    """Whether the users in a file may be others than those of its devices."""
    stated = {name for names in file.identities.values() for name in names}
    return USER not in stated and any(individual_of(name) == DEVICE for name in stated)


def _is_of_administrators(records: SubjectRecords) -> bool:
    """Whether records were found by a user who may be another than that of their devices."""
    names = {name for key in records.keys for name in records.file.identities.get(key, ())}
    return any(individual_of(name) == USER for name in names) and _may_name_administrators(records.file)


def _without_duplicates(ids: Iterable[IdForms]) -> list[IdForms]:
    """The ids, with those that share a form as one."""
    merged_ids: list[IdForms] = []
    for id_forms in ids:
        same = [other_forms for other_forms in merged_ids if other_forms.keys() & id_forms.keys()]
        merged: dict[str, frozenset[str]] = {}
        for other_forms in (*same, id_forms):
            merged |= {form: merged.get(form, frozenset()) | chains for form, chains in other_forms.items()}
        merged_ids = [
            *(other_forms for other_forms in merged_ids if not any(other_forms is same_forms for same_forms in same)),
            merged,
        ]
    return merged_ids


def _divide(tokens: IdChains, groups: Iterable[Collection[str]]) -> tuple[IdChains, ...]:
    """The tokens of the forms of each id. A token without a group stands for an id of its own."""
    remaining_tokens, chains_by_id = dict(tokens), list[IdChains]()
    for group in groups:
        group_chains = {token: remaining_tokens.pop(token) for token in group if token in remaining_tokens}
        chains_by_id += [group_chains] if group_chains else []
    return (*chains_by_id, *({token: chains} for token, chains in remaining_tokens.items()))


def _by_token(forms: Mapping[str, Collection[str]]) -> IdChains:
    """The chains of each token."""
    tokens = {token for chain_tokens in forms.values() for token in chain_tokens}
    return {
        token: frozenset(chain for chain, chain_tokens in forms.items() if token in chain_tokens) for token in tokens
    }


def _by_chain(ids: IdChains) -> FormTokens:
    """The tokens of each chain."""
    chains = {chain for id_chains in ids.values() for chain in id_chains}
    return {
        chain: tuple(sorted(token for token, id_chains in ids.items() if chain in id_chains))
        for chain in sorted(chains)
    }


def _texts(batch: pa.RecordBatch, pointer: Pointer) -> pa.Array:
    return decode_dictionary(leaf(batch, pointer).values).cast(pa.string())
