"""Affected subjects: the rows of a file that an event concerns, and subjects of the ledger recognized by their tokens.

A pseudonym cannot be made from a token. An event in the ledger therefore also has tokens of the forms that its subject takes in
outputs: HMAC under the keyring's `subject` key, with a separate purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.columns import positions_among
from minimize.arrow.dictionaries import Bools, Codes, decode_dictionary, has_null_entry, merge_equal_entries
from minimize.arrow.nested import leaf, row_indices
from minimize.arrow.pointers import Pointer
from minimize.datasets.lifecycle_events import RetentionEvent
from minimize.datasets.record_age import UNKNOWN_TIME, Moments
from minimize.identifiers import canonical_column
from minimize.keys import Keyring
from minimize.keys.keyring import SUBJECT_KEY
from minimize.ledger.subject_tokens import (
    FORMS_PURPOSE,
    folded_part,
    make_token,
    token_forms,
    token_version,
    token_versions,
)
from minimize.stages.identifier_forms import LookupColumn, ValueInTenant
from minimize.times import epoch_microseconds

NO_MATCH = -1


EventReach = Callable[[RetentionEvent], int]
"""The last event time that an event reaches in a file, in microseconds since 1970."""


def until_event_time(event: RetentionEvent) -> int:
    """An event reaches up to the time at which it happened."""
    return epoch_microseconds(event.occurred_at)


@dataclass(frozen=True, slots=True)
class RecognizedForms:
    """The forms in which a subject of the ledger was recognized in a file."""

    forms: frozenset[str] = field(default=frozenset(), repr=False)
    is_complete: bool = False
    """Whether every form that the subject may have in the file is known."""


NOT_RECOGNIZED: Final = RecognizedForms()
RecognizedSubjects = Mapping[RetentionEvent, RecognizedForms]


@dataclass(frozen=True, slots=True)
class AffectedSubjects:
    """The tenants and subjects of events, in the forms that a file has of them."""

    tenant: Pointer | None = None
    subject: Pointer | None = None
    tenant_forms: Mapping[str, int] = field(default_factory=dict, repr=False)
    """Per form of a tenant with its own event, the last event time reached."""
    subject_forms: Mapping[tuple[str, str | None], int] = field(default_factory=dict, repr=False)
    """Per form of a subject and form of its tenant (None: any tenant), the last event time reached."""
    unfindable: tuple[RetentionEvent, ...] = ()
    """Events whose tenant or subject cannot be found in this file."""
    uncertain: tuple[RetentionEvent, ...] = ()
    """Events of the ledger whose subject may have an unknown form in this file."""
    findable: tuple[RetentionEvent, ...] = ()
    """Events whose tenant or subject may be in this file."""

    @classmethod
    def for_file(
        cls,
        events: Sequence[RetentionEvent],
        tenant: LookupColumn | None,
        subject: LookupColumn | None,
        recognized: RecognizedSubjects = MappingProxyType({}),
        until: EventReach = until_event_time,
    ) -> AffectedSubjects:
        """Finds the tenants and subjects of events in one file. All events have the same kind of effect.

        Takes the recognized forms of the ledger's subjects, and the last event time that each event reaches.
        """
        until_by_tenant: dict[str, int] = {}
        until_by_subject: dict[tuple[str, str | None], int] = {}
        forms = _EventForms.for_events(events, tenant, subject)
        forms_by_event = {event: forms.locate(event, recognized) for event in events}
        for event, event_forms in forms_by_event.items():
            at = until(event)
            for form, tenant_form in event_forms or ():
                if event.is_of_subject:
                    until_by_subject[form, tenant_form] = max(
                        at, until_by_subject.get((form, tenant_form), UNKNOWN_TIME)
                    )
                else:
                    until_by_tenant[form] = max(at, until_by_tenant.get(form, UNKNOWN_TIME))
        places = [None if each is None else each.pointer for each in (tenant, subject)]
        unfindable = tuple(event for event, event_forms in forms_by_event.items() if event_forms is None)
        uncertain = tuple(
            event
            for event, recognition in recognized.items()
            if event in forms_by_event and not recognition.is_complete
        )
        return cls(
            tenant=places[0],
            subject=places[1],
            tenant_forms=until_by_tenant,
            subject_forms=until_by_subject,
            unfindable=unfindable,
            uncertain=uncertain,
            findable=tuple(each for each in events if forms_by_event[each]),
        )

    @property
    def subject_values(self) -> list[str]:
        """The subjects' forms, sorted, for a lookup in the index."""
        return sorted({form for form, _ in self.subject_forms})

    @property
    def tenant_values(self) -> list[str]:
        """The relevant forms of tenants, sorted."""
        return sorted(
            {*self.tenant_forms, *(tenant_form for _, tenant_form in self.subject_forms if tenant_form is not None)}
        )

    def affects(self, batch: pa.RecordBatch, oldest: Moments) -> Bools:
        """The rows that an event concerns: those that may have happened before it."""
        row_mask = np.zeros(batch.num_rows, np.bool_)
        if self.tenant_forms:
            names = sorted(self.tenant_forms)
            until = np.array([*(self.tenant_forms[name] for name in names), UNKNOWN_TIME], np.int64)
            until = until[self._codes(batch, self.tenant, names)]
            row_mask |= (until != UNKNOWN_TIME) & (oldest <= until)
        if self.subject_forms:
            rows, until = self._own_until(batch)
            row_mask[rows] |= (until != UNKNOWN_TIME) & (oldest[rows] <= until)
        return row_mask

    def _own_until(self, batch: pa.RecordBatch) -> tuple[Codes, Moments]:
        """The rows of named subjects, and the last event time reached for each. The loop runs over distinct pairs only."""
        values, names = self.subject_values, self.tenant_values
        subjects = self._codes(batch, self.subject, values)
        rows = np.flatnonzero(subjects != NO_MATCH)
        tenant_batch = batch.select([] if self.tenant is None else [self.tenant.top]).take(pa.array(rows))
        tenants = self._codes(tenant_batch, self.tenant, names)
        width = len(names) + 1  # the last code of a tenant is NO_MATCH
        pairs, places = np.unique(subjects[rows] * width + tenants % width, return_inverse=True)
        code_pairs = (divmod(pair, width) for pair in pairs.tolist())
        times = [self._last_time(values[subject], names, tenant) for subject, tenant in code_pairs]
        return rows, np.array(times, np.int64)[places]

    def _last_time(self, form: str, names: Sequence[str], tenant: int) -> int:
        tenant_form = names[tenant] if tenant < len(names) else ""
        return max(
            self.subject_forms.get((form, None), UNKNOWN_TIME),
            self.subject_forms.get((form, tenant_form), UNKNOWN_TIME),
        )

    def _codes(self, batch: pa.RecordBatch, place: Pointer | None, names: Sequence[str]) -> Codes:
        if place is None or not names:
            return np.full(batch.num_rows, NO_MATCH)
        field_leaf = leaf(batch, place)
        codes = positions_among(canonical_column(field_leaf.values), pa.array(names, pa.string()))
        if not place.stars:
            return codes
        rows = np.full(batch.num_rows, NO_MATCH)
        np.maximum.at(rows, row_indices(field_leaf, batch.num_rows), codes)
        return rows


def affected_rows(batch: pa.RecordBatch, affected: Iterable[AffectedSubjects]) -> pa.RecordBatch:
    """The rows of any of these tenants and subjects, whenever they happened."""
    nowhere, always = np.zeros(batch.num_rows, np.bool_), np.zeros(batch.num_rows, np.int64)
    masks = (each.affects(batch, always) for each in affected)
    return batch.filter(pa.array(np.logical_or.reduce([nowhere, *masks])))


FormsInTenants = list[tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class _EventForms:
    """The forms of all tenants and subjects of events, each computed once."""

    under: Mapping[str, frozenset[str] | None] = field(repr=False)
    """Per tenant its forms; None if the file does not show it."""
    own: Mapping[ValueInTenant, frozenset[str]] | None = field(repr=False)
    """Per subject and tenant the subject's forms; None if the file cannot show them."""
    shows: bool

    @classmethod
    def for_events(
        cls, events: Sequence[RetentionEvent], tenant: LookupColumn | None, subject: LookupColumn | None
    ) -> _EventForms:
        """The forms for the events in one file."""
        names = dict.fromkeys(event.tenant for event in events)
        several = None if tenant is None else tenant.column.forms_of_all([(name, name) for name in names])
        under = dict.fromkeys(names) if several is None else dict(zip(names, several, strict=True))
        pairs = list(dict.fromkeys((each.subject, each.tenant) for each in events if each.subject is not None))
        subject_forms = None if subject is None else subject.column.forms_of_all(pairs)
        return cls(
            under, None if subject_forms is None else dict(zip(pairs, subject_forms, strict=True)), subject is not None
        )

    def locate(self, event: RetentionEvent, recognized: RecognizedSubjects) -> FormsInTenants | None:
        """The forms of an event's tenant or subject, subjects with their tenants' forms; None if the file cannot show them."""
        if not event.is_of_subject:
            forms = self.under[event.tenant]
            return None if forms is None else [(form, None) for form in sorted(forms)]
        if not self.shows:
            return None
        if event.subject is None:
            return list(self._pairs(recognized.get(event, NOT_RECOGNIZED).forms, event.tenant))
        return None if self.own is None else list(self._pairs(self.own[event.subject, event.tenant], event.tenant))

    def _pairs(self, forms: frozenset[str], tenant: str) -> Iterator[tuple[str, str | None]]:
        """A subject's forms, each with the forms of its tenant; with None for any tenant if the file shows no tenants."""
        under = self.under[tenant]
        for form in sorted(forms):
            if under is None:
                yield form, None
            else:
                yield from ((form, tenant_form) for tenant_form in sorted(under))


BatchReader = Callable[[Collection[str]], Iterable[pa.RecordBatch]]
"""Reads the batches of a file with only these columns."""


def form_tokens(keys: Keyring, tenant: str, forms: Iterable[str]) -> tuple[str, ...]:
    """The tokens of a subject's forms in a tenant, under the newest `subject` key. Raises KeyringError."""
    version = keys.version_of(SUBJECT_KEY)
    secret = keys.subkey(SUBJECT_KEY, FORMS_PURPOSE, version)
    return tuple(sorted(make_token(secret, version, tenant, form) for form in forms))


def recognize_tokens(
    events: Sequence[RetentionEvent],
    tenant: LookupColumn | None,
    subject: LookupColumn | None,
    batches: BatchReader,
    keys: Keyring,
    *,
    folds: bool = False,
) -> dict[RetentionEvent, RecognizedForms]:
    """The forms in which the subjects of the ledger's events are in a file, and whether all possible forms are known.

    Takes the columns that identify tenants and subjects, and whether ids that differ only in case are one subject. Raises
    KeyringError if the key version of a token is missing.
    """
    tokenized = [event for event in events if event.token is not None]
    if subject is None or not tokenized:
        return {}
    names = subject.column.chain_names
    tokens_by_event = {event: _event_tokens(event, names or ()) for event in tokenized}
    tenants = [event.tenant for event, tokens in tokens_by_event.items() if tokens]
    known = _FormIndex(keys, _forms_in_file(tenant, subject, tenants, batches), folds)
    return {
        event: RecognizedForms(known.forms(event.tenant, tokens), names is not None and names <= event.forms.keys())
        for event, tokens in tokens_by_event.items()
    }


@dataclass(frozen=True, slots=True)
class _FormIndex:
    """The forms of subjects in a file, by tenant. Their tokens are computed on first use."""

    keys: Keyring = field(repr=False)
    in_file: Mapping[str, Collection[str]] = field(repr=False)
    folds: bool = False
    _by_token: dict[tuple[str, int], dict[str, list[str]]] = field(default_factory=dict, repr=False)

    def forms(self, tenant: str, tokens: frozenset[str]) -> frozenset[str]:
        """The forms of a tenant's subjects whose token is in this set."""
        forms_by_token = (self._tokens(tenant, version) for version in token_versions(tokens))
        all_tokens = {*tokens, *(map(folded_part, tokens) if self.folds else ())}
        return frozenset(
            form for version_forms in forms_by_token for token in all_tokens for form in version_forms.get(token, ())
        )

    def _tokens(self, tenant: str, version: int) -> dict[str, list[str]]:
        if (tenant, version) not in self._by_token:
            secret = self.keys.subkey(SUBJECT_KEY, FORMS_PURPOSE, version)
            forms_by_token: dict[str, list[str]] = {}
            for form in self.in_file.get(tenant, ()):
                tokens = list(token_forms(secret, version, tenant, form))
                for token in (*tokens, folded_part(tokens[0])):
                    forms_by_token.setdefault(token, []).append(form)
            self._by_token[tenant, version] = forms_by_token
        return self._by_token[tenant, version]


def _event_tokens(event: RetentionEvent, names: Collection[str]) -> frozenset[str]:
    return frozenset(token for name in names for token in event.forms.get(name, ()) if token_version(token) is not None)


def _forms_in_file(
    tenant: LookupColumn | None, subject: LookupColumn, tenants: Iterable[str], batches: BatchReader
) -> dict[str, frozenset[str]]:
    """Per tenant the forms of its subjects in a file; the forms of all subjects if the file does not show tenants."""
    under = {name: None if tenant is None else tenant.column.forms(name, name) for name in dict.fromkeys(tenants)}
    forms_by_tenant: dict[str, set[str]] = {name: set() for name in under}
    columns = [each.pointer.top for each in (tenant, subject) if each is not None]
    for batch in batches(columns) if under else ():
        subjects = _SubjectsByTenant.for_batch(batch, None if tenant is None else tenant.pointer, subject.pointer)
        for name, forms in under.items():
            forms_by_tenant[name].update(subjects.texts(forms))
    return {name: frozenset(forms) for name, forms in forms_by_tenant.items()}


@dataclass(frozen=True, slots=True)
class _SubjectsByTenant:
    """The distinct pairs of tenant and subject in a batch, grouped by tenant once for all events."""

    entries: pa.Array = field(repr=False)
    subjects: Codes = field(repr=False)
    starts: Codes = field(repr=False)
    places: Mapping[str, int] = field(repr=False)
    """By form of a tenant, its number; its subjects are those from `starts` at that number to the next."""

    @classmethod
    def for_batch(cls, batch: pa.RecordBatch, tenant: Pointer | None, subject: Pointer) -> Self:
        """The pairs of a batch; without a tenant column all subjects have no tenant."""
        subject_leaf = leaf(batch, subject)
        who, entries = _encoded(subject_leaf.values)
        tenant_codes, names = (
            (np.zeros(len(who), np.int64), pa.array([])) if tenant is None else _encoded(leaf(batch, tenant).values)
        )
        tenant_codes = tenant_codes[row_indices(subject_leaf, batch.num_rows)]
        pairs = np.unique(((tenant_codes + 1) * len(entries) + who)[who >= 0])
        tenants, subjects = np.divmod(pairs, max(len(entries), 1))
        starts = np.searchsorted(tenants, np.arange(len(names) + 2))
        return cls(entries, subjects, starts, {each: place + 1 for place, each in enumerate(_texts(names))})

    def texts(self, forms: Collection[str] | None) -> Iterator[str]:
        """The subjects of a tenant with one of these forms; all subjects if the forms are unknown."""
        if forms is None:
            yield from _texts(self.entries.take(pa.array(np.unique(self.subjects))))
            return
        for place in (self.places[form] for form in forms if form in self.places):
            yield from _texts(self.entries.take(pa.array(self.subjects[self.starts[place] : self.starts[place + 1]])))


def _encoded(values: pa.Array) -> tuple[Codes, pa.Array]:
    """Per value the index of its entry (-1 for none), and the distinct entries."""
    plain = decode_dictionary(values) if has_null_entry(values) else values
    encoded = merge_equal_entries(plain) if pa.types.is_dictionary(plain.type) else plain.dictionary_encode()
    return np.asarray(pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy(), np.int64), encoded.dictionary


def _texts(values: pa.Array) -> Iterator[str]:
    return map(_text, values.to_pylist())


def _text(value: str | int | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
