"""Lifecycle events in the ledger: forms of a subject in outputs; adding, withdrawing, listing; unknown tenants.

A subject is stored as a token, with tokens of the forms that it takes in known outputs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import compress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from minimize.access.permissions import ALL_TENANTS, TenantSet, entries_in_scope, limited_result
from minimize.datasets.affected_subjects import form_tokens
from minimize.datasets.erasure_list import StoredErasures
from minimize.datasets.lifecycle_events import (
    RECORDED_KINDS,
    REMOVAL_DEADLINES,
    event_faults,
    merge_linked_forms,
    recorded_forms,
)
from minimize.datasets.published_output import PublishedOutput
from minimize.errors import SYSTEM_ERROR, ConfigurationError, LedgerError, MinimizeError, PolicyError
from minimize.governance.known_outputs import published_output
from minimize.identifiers import canonical_id, canonical_text
from minimize.keys import Keyring
from minimize.ledger import Actor, current_actor
from minimize.ledger.acts import ActReader, Decision
from minimize.ledger.runs import output_locations
from minimize.ledger.subject_kinds import (
    LIFECYCLE_EVENT,
    LifecycleEvent,
    LifecycleState,
    LinkedForms,
    last_lifecycle_events,
    linked_forms,
    new_lifecycle_events,
)
from minimize.ledger.subject_tokens import known_or_new_token
from minimize.output.folder import has_runs, parse_partition_folder
from minimize.policy.fields import DEVICE, fields_named, individual_of, is_dropped, resolve_identity
from minimize.policy.model import Policy
from minimize.records import RECORDS
from minimize.results import OMIT_IF_NONE, JsonResult, Line, Listing, LogMessage, Printable, json_member, json_object
from minimize.runs.published_runs import request_time
from minimize.settings.erasures import RESTRICTION
from minimize.settings.tenants import settings_tenants, similar_tenants
from minimize.stages.identifier_forms import (
    AS_RECEIVED,
    AppliedChain,
    IdentifierColumn,
    PinnedKeyring,
    ValueInTenant,
    period_instants,
    rotation_units,
)
from minimize.stores import Location, LocationLike, location_text, parse_output_location
from minimize.times import END_OF_TIME, time_text
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

UNLIMITED_LOOKBACK: Final = timedelta(days=400)
"""The period covered by forms if a policy keeps records forever."""


@dataclass(frozen=True, slots=True)
class SubjectForms:
    """Tokens of a subject's forms by chain name, and the outputs that could not be checked."""

    forms: dict[str, tuple[str, ...]] = field(repr=False)
    unreachable: tuple[str, ...] = ()


def tokenized_forms(
    pairs: Sequence[ValueInTenant],
    outputs: Iterable[Location],
    at: datetime,
    keys: Keyring,
    named_by: str | None = None,
) -> list[SubjectForms]:
    """Tokens of the subjects' forms in outputs, and in files still to be written about event times up to `at`.

    Takes each subject with its tenant, and the name of these ids. Returns the forms in the order
    of the subjects.
    """
    forms = [{AS_RECEIVED: form_tokens(keys, tenant, [subject])} for subject, tenant in pairs]
    missed: list[str] = []
    for output in outputs:
        columns = _subject_columns(output, at, keys, named_by)
        if columns is None:
            missed.append(str(output))
        for name, column, way in _named_chains(columns or ()):
            if name in forms[0]:
                continue
            for tokens_by_chain, (_, tenant), form in zip(forms, pairs, column.forms_by_chain(way, pairs), strict=True):
                tokens_by_chain[name] = form_tokens(keys, tenant, [] if form is None else [form])
    return [SubjectForms(tokens_by_chain, tuple(missed)) for tokens_by_chain in forms]


def _named_chains(columns: Iterable[IdentifierColumn]) -> Iterator[tuple[str, IdentifierColumn, AppliedChain]]:
    yield from ((column.chain_name(way), column, way) for column in columns for way in column.chains or ())


def _subject_columns(
    folder: Location, at: datetime, keys: Keyring, named_by: str | None
) -> list[IdentifierColumn] | None:
    """The columns that identify subjects in an output; None if the output cannot be checked."""
    try:
        output = published_output(folder, keys) if has_runs(folder) else None
        if output is None:
            return []
        policy = output.pipeline_of_today().policy
        return [*_columns_in_force(output, named_by), *_columns_of_today(policy, at, keys, named_by)]
    except (MinimizeError, OSError):
        return None


def _columns_in_force(output: PublishedOutput, named_by: str | None) -> Iterator[IdentifierColumn]:
    for file in output.files(RECORDS):
        for column in () if file.is_shredded else map(file.column, file.fields_named(named_by)):
            if column is not None and isinstance(column.column, IdentifierColumn):
                yield column.column


def _columns_of_today(policy: Policy, at: datetime, keys: Keyring, named_by: str | None) -> Iterator[IdentifierColumn]:
    """The subject's columns as today's policy and keys write them."""
    for key in fields_named(policy, named_by):
        column, units = IdentifierColumn(policy, key, PinnedKeyring(keys, {})), rotation_units(policy, key)
        if is_dropped(policy.fields[key]):
            continue
        first = at - (policy.retention or UNLIMITED_LOOKBACK)
        yield replace(column, times=tuple(period_instants(first, at, units))) if units else column


log = logging.getLogger("minimize")
EVENT_ID_LENGTH: Final = 8
"""The number of letters that identify an event's id."""
PERSONAL_NEEDS_DEVICE: Final = "became_personal applies to a device, and the field does not identify devices"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A new event: tenant, kind, subject, and time (default: now).

    named_by  what the ids identify: an identity or a field; None if any field that identifies may hold them
    linked    tokens of the forms of the subject's devices, whose records the event concerns, too
    """

    tenant: str
    kind: str
    subject: str | None = None
    occurred_at: datetime | None = None
    named_by: str | None = None
    linked: LinkedForms = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class EventEntry:
    """An event of the ledger, and whether it is new. `missed` lists outputs in which the subject's forms are unknown."""

    row: LifecycleEvent
    is_new: bool = True
    unreachable: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The event as `events --json` prints it."""
        row = self.row
        field = {"field": row.field} if row.field else {}
        subject = {"tenant_id": row.tenant_id, "subject": row.subject, **field, "what": row.kind}
        times = {"at": row.at, "by": row.at + _removal_deadline(row), "recorded_at": row.recorded_at}
        return json_object({"event": row.id, **subject, **times, "state": row.state, "actor": row.actor})

    def lines(self) -> Iterator[Line]:
        """The event in one line."""
        yield str(self)

    def __str__(self) -> str:
        row = self.row
        subject = "" if row.subject is None else "a subject of "
        deadline = "" if row.state == "withdrawn" else f", by {time_text(row.at + _removal_deadline(row))}"
        return f"{row.id[:EVENT_ID_LENGTH]}  {row.kind} of {subject}{row.tenant_id} at {time_text(row.at)}: {row.state}{deadline}"


@dataclass(frozen=True, slots=True)
class RecordedEvent(JsonResult):
    """An event that was added or withdrawn.

    missed           outputs in which the forms of the subject are unknown; None for a withdrawal
    similar_tenants  known tenants with a similar name if the tenant is unknown, else None
    """

    entry: EventEntry = field(metadata=json_member(merge=True))
    is_new: bool = field(metadata=json_member("new"))
    missed: tuple[str, ...] | None = field(default=None, metadata=OMIT_IF_NONE)
    similar_tenants: tuple[str, ...] | None = None
    json_names = "entry is_new missed"

    def lines(self) -> Iterator[Line]:
        """The event in one line."""
        yield from self.entry.lines()

    @property
    def log_messages(self) -> Iterator[LogMessage]:
        """Warnings about an unknown tenant and about outputs that cannot be read."""
        if self.similar_tenants is not None:
            hint = f"Did you mean {' or '.join(self.similar_tenants)}? " if self.similar_tenants else ""
            yield LogMessage(
                "W029",
                f"unknown tenant {self.entry.row.tenant_id}: not in the ledger, the settings or the newest records"
                f" ({hint}To undo it, run `minimize events withdraw`.)",
            )
        for output in self.missed or ():
            message = f"{output} cannot be read, so it is not known whether it contains the subject"
            yield LogMessage("W022", message)


def record_event(event: NewEvent, workspace: Workspace, now: datetime) -> RecordedEvent:
    """Adds an event, also of an unknown tenant. Raises the errors of `add_event`."""
    workspace.require("event/record", tenant=event.tenant)
    similar = suggest_tenants(event.tenant, workspace)
    entry = add_event(event, workspace, now)
    return RecordedEvent(entry, entry.is_new, entry.unreachable, similar)


def add_event(event: NewEvent, workspace: Workspace, now: datetime) -> EventEntry:
    """Records an event, with its audit event. A known event is recorded again if more forms are known now.

    Its subject is stored as a token, with tokens of its forms in the outputs that the ledger knows and in the output of the
    configured pipeline. Raises PolicyError, LedgerError, KeyringError.
    """
    return add_events([event], workspace, now)[0]


def add_events(new_events: Sequence[NewEvent], workspace: Workspace, now: datetime) -> tuple[EventEntry, ...]:
    """Records several events, all or none. Each output is checked only once."""
    new_events = [
        replace(new_event, tenant=canonical_text(new_event.tenant), subject=canonical_id(new_event.subject))
        for new_event in new_events
    ]
    keys, actor = workspace.keyring(), current_actor()
    with workspace.open_ledger(create=True) as ledger:
        if any(new_event.occurred_at is None for new_event in new_events):
            now = request_time(ledger, now)
        before, outputs = ledger.find(LIFECYCLE_EVENT), reachable_outputs(ledger, workspace)
        new_events = _resolve_names(new_events, outputs, workspace)
        for new_event in new_events:
            _check_event(new_event)
        subject_forms = _subject_forms(new_events, now, outputs, keys)
        earlier = _EarlierEvents.of(before)
        rows = [
            _event_row(new_event, each, earlier, keys, now, actor)
            for new_event, each in zip(new_events, subject_forms, strict=True)
        ]
        new = _record_rows(ledger, rows, before)
        _store_erasure_lists(ledger, outputs)
    return tuple(
        EventEntry(row, fresh, each.unreachable) for row, fresh, each in zip(rows, new, subject_forms, strict=True)
    )


def resolve_names(events: Sequence[NewEvent], workspace: Workspace) -> list[NewEvent]:
    """The events with the identities of the fields that name their subjects, by the policies of the known outputs.

    Raises ConfigurationError for a field with different identities in different policies.
    """
    if not workspace.address.exists:
        return _resolve_names(events, [], workspace)
    with workspace.open_ledger() as ledger:
        return _resolve_names(events, reachable_outputs(ledger, workspace), workspace)


def _resolve_names(events: Sequence[NewEvent], outputs: Iterable[Location], workspace: Workspace) -> list[NewEvent]:
    names = {event.named_by for event in events if event.named_by is not None}
    if all(individual_of(name) is not None for name in names):
        return [*events]
    policies = [*_policies_of(outputs, workspace)]
    identities = {name: resolve_identity(name, policies) for name in names}
    return [replace(event, named_by=identities.get(str(event.named_by))) for event in events]


def _policies_of(outputs: Iterable[Location], workspace: Workspace) -> Iterator[Policy]:
    """The policy of the workspace's pipeline, and today's policies of these outputs."""
    if workspace.loaded_pipeline is not None:
        yield workspace.loaded_pipeline.policy
    for folder in outputs:
        with suppress(MinimizeError, OSError):
            output = published_output(folder, workspace.keyring()) if has_runs(folder) else None
            if output is not None:
                yield output.pipeline_of_today().policy


def event_states(events: Sequence[NewEvent], workspace: Workspace) -> dict[NewEvent, LifecycleState]:
    """The state of each of these events that is recorded in the ledger. Takes tenants and subjects in canonical form."""
    if not workspace.address.exists:
        return {}
    keys = workspace.keyring()
    with workspace.open_ledger() as ledger:
        before = ledger.find(LIFECYCLE_EVENT)
    states, earlier = {row.id: row.state for row in before}, _EarlierEvents.of(before)
    event_ids = {
        each: _event_row(each, SubjectForms({}), earlier, keys, END_OF_TIME, current_actor()).id for each in events
    }
    return {each: states[id_] for each, id_ in event_ids.items() if id_ in states}


def _store_erasure_lists(ledger: Ledger, outputs: Iterable[Location]) -> None:
    """Stores the ledger's erasure list with every output known here. If an output cannot be written, its next run does it."""
    rows = ledger.find(LIFECYCLE_EVENT)
    for output in outputs:
        try:
            if has_runs(output):
                StoredErasures(output, ledger.keyring).store(rows, ledger.now)
        except (MinimizeError, OSError) as error:
            code = error.code if isinstance(error, MinimizeError) else SYSTEM_ERROR
            message = "the erasure list could not be stored with %s (%s); its next run will store it"
            log.warning(message, location_text(output), code, extra={"code": "W030"})


def _check_event(event: NewEvent) -> None:
    faults = [message for _, message in event_faults(event.tenant or None, event.subject, event.kind, RECORDED_KINDS)]
    if event.named_by is not None and event.subject is None:
        faults.append("a field is given, but the event has no subject")
    elif event.kind == "became_personal" and event.named_by is not None and individual_of(event.named_by) != DEVICE:
        faults.append(PERSONAL_NEEDS_DEVICE)
    if faults:
        hint = "Pass --subject S for one subject; leave it out for a whole tenant."
        raise PolicyError(f"invalid event: {'; '.join(faults)}", hint=hint)


@dataclass(frozen=True, slots=True)
class _EarlierEvents:
    """The recorded events.

    tokens  the subjects by tenant and field
    rows    the acts about each event, by its id
    """

    tokens: Mapping[tuple[str, str | None], Set[str | None]] = field(repr=False)
    rows: Mapping[str, Sequence[LifecycleEvent]] = field(repr=False)

    @classmethod
    def of(cls, acts: Iterable[LifecycleEvent]) -> _EarlierEvents:
        """The events of these acts."""
        tokens: dict[tuple[str, str | None], set[str | None]] = {}
        rows: dict[str, list[LifecycleEvent]] = {}
        for act in acts:
            tokens.setdefault((act.tenant_id, act.field), set()).add(act.subject)
            rows.setdefault(act.id, []).append(act)
        return cls(tokens, rows)


def _event_row(
    event: NewEvent, forms: SubjectForms, before: _EarlierEvents, keys: Keyring, now: datetime, actor: Actor
) -> LifecycleEvent:
    subject, named_by = event.subject, event.named_by
    known = before.tokens.get((event.tenant, named_by), frozenset())
    token = None if subject is None else known_or_new_token(keys, event.tenant, subject, known, named_by)
    at, who = event.occurred_at or now, actor.user or ""
    row = LifecycleEvent(
        tenant_id=event.tenant,
        subject=token,
        kind=event.kind,
        at=at,
        state="recorded",
        forms="{}",
        recorded_at=now,
        actor=who,
        field=event.named_by,
    )
    acts = before.rows.get(row.id, ())
    linked = merge_linked_forms([*map(linked_forms, acts), event.linked])
    earlier = {name: tokens for act in acts for name, tokens in recorded_forms(act).items()}
    known_forms = {**earlier, **forms.forms}
    return replace(row, forms=json.dumps(known_forms, sort_keys=True), linked=json.dumps(linked, sort_keys=True))


def withdraw_event(name: str, workspace: Workspace, now: datetime) -> EventEntry:
    """Withdraws an event that was recorded by mistake or no longer applies. The event is given by the start of its id.

    Data that it removed from outputs stays removed. Raises ConfigurationError if no event or more than one matches, or for a
    restriction; and the errors of `add_event`.
    """
    workspace.require("event/record")
    with workspace.open_ledger() as ledger:
        rows = last_lifecycle_events(ledger.find(LIFECYCLE_EVENT), ledger.now)
        named = [row for row in rows if len(name) >= EVENT_ID_LENGTH and row.id.startswith(name)]
        if len(named) != 1:
            message = (
                "no event id starts with this text" if not named else "more than one event id starts with this text"
            )
            raise ConfigurationError(
                message, hint=f"Run `minimize events list` to see the ids. Pass at least {EVENT_ID_LENGTH} letters."
            )
        if named[0].kind == RESTRICTION:
            raise ConfigurationError("a restriction is not withdrawn, but lifted", hint="Run `minimize subject lift`.")
    return withdraw_events(named, workspace, now)[0]


def withdraw_events(events: Sequence[LifecycleEvent], workspace: Workspace, now: datetime) -> list[EventEntry]:
    """Withdraws recorded events. Raises the errors of `add_event`."""
    actor = current_actor()
    rows = [
        replace(each, state="withdrawn", forms="{}", linked="{}", recorded_at=now, actor=actor.user or "")
        for each in events
    ]
    with workspace.open_ledger(signs=True) as ledger:
        new = _record_rows(ledger, rows, ledger.find(LIFECYCLE_EVENT))
        _store_erasure_lists(ledger, reachable_outputs(ledger, workspace))
    return [EventEntry(row, is_new) for row, is_new in zip(rows, new, strict=True)]


def show_events(workspace: Workspace, *, tenant: str | None = None, history: bool = False) -> Printable:
    """The events that the current actor may read, as `list_events` finds them."""
    tenants = workspace.readable_tenants("event/read", tenant=tenant)
    entries = list_events(workspace, tenant=tenant, history=history, tenants=tenants)
    return limited_result(Listing("events", entries, "no events"), tenants)


def list_events(
    workspace: Workspace, *, tenant: str | None = None, history: bool = False, tenants: TenantSet = ALL_TENANTS
) -> list[EventEntry]:
    """The events in effect in the ledger, or every row with `history`; optionally of one tenant, or of tenants in scope.

    Raises LedgerError.
    """
    tenant = canonical_id(tenant)
    with workspace.open_ledger() as ledger:
        rows = ledger.find(LIFECYCLE_EVENT)
    if not history:
        rows = [row for row in last_lifecycle_events(rows, workspace.clock()) if row.state == "recorded"]
    tenant_rows = [row for row in rows if tenant in (None, row.tenant_id)]
    return [EventEntry(row) for row in entries_in_scope(tenant_rows, tenants, lambda row: (row.tenant_id,))]


def _subject_forms(
    new_events: Sequence[NewEvent], now: datetime, outputs: Sequence[Location], keys: Keyring
) -> list[SubjectForms]:
    at = max((new_event.occurred_at or now for new_event in new_events), default=now)
    subject_forms: dict[int, SubjectForms] = {}
    for named_by in dict.fromkeys(new_event.named_by for new_event in new_events if new_event.subject is not None):
        named_events = [
            (place, (new_event.subject, new_event.tenant))
            for place, new_event in enumerate(new_events)
            if new_event.subject is not None and new_event.named_by == named_by
        ]
        tokenized = tokenized_forms([pair for _, pair in named_events], outputs, at, keys, named_by)
        subject_forms.update(zip((place for place, _ in named_events), tokenized, strict=True))
    return [subject_forms.get(place, SubjectForms({})) for place in range(len(new_events))]


def reachable_outputs(ledger: Ledger, workspace: Workspace) -> list[Location]:
    """The outputs that the ledger knows on this machine, and the outputs of the workspace, each once."""
    seen: list[LocationLike] = [each.folder for each in ledger.read(output_locations) if each.is_reachable]
    places = map(parse_output_location, [*seen, *workspace.named_outputs])
    return list({str(place): place for place in places}.values())


def _record_rows(ledger: Ledger, rows: Sequence[LifecycleEvent], before: Iterable[LifecycleEvent]) -> list[bool]:
    """Records the rows that change anything, with one audit event. Returns which rows do."""
    if not rows:
        return []
    last = {row.id: row for row in before}

    def decide(acts: ActReader) -> Decision[list[bool]]:
        is_new = new_lifecycle_events(acts, rows)
        changes = [*compress(rows, is_new)]
        operation = "add" if rows[0].state == "recorded" else "withdraw"
        decision = LIFECYCLE_EVENT.joint_decision(operation, *changes, before=[last.get(row.id) for row in changes])
        return Decision(is_new, decision.acts, decision.events)

    return ledger.record(decide)


def _removal_deadline(row: LifecycleEvent) -> Any:
    return {str(kind): within for kind, within in REMOVAL_DEADLINES.items()}[row.kind]


def suggest_tenants(tenant: str, workspace: Workspace) -> tuple[str, ...] | None:
    """Names similar to an unknown tenant; None if the tenant is known or cannot be checked.

    Checks the ledger, then for each output its folder names, its pipeline's settings, and the records of its newest date. A
    tenant
    cannot be checked if an output shows no original tenants, or if there is no ledger yet. Raises KeyringError.
    """
    keys = workspace.keyring()
    known, places = set[str](), list[Location]()
    with suppress(LedgerError), workspace.open_ledger() as ledger:
        known |= ledger.tenants()
        places += [] if tenant in known else reachable_outputs(ledger, workspace)
    for place in places:
        for names in _tenants_of_output(place, keys):
            if names is None:
                return None
            known |= names
            if tenant in known:
                return None
    return None if not known or tenant in known else similar_tenants(tenant, known)


def _tenants_of_output(place: Location, keys: Keyring) -> Iterator[Set[str] | None]:
    """The tenant names that an output shows, from one source after the other; None if it does not show them."""
    with suppress(MinimizeError, OSError):
        output = published_output(place, keys) if has_runs(place) else None
        if output is None:
            return
        job = output.pipeline_of_today()
        rows = None if job.settings in (None, "ledger") else Workspace(pipeline=job, keys=keys).load_settings()
        if rows is not None:
            yield set(settings_tenants(rows))
        files = output.files(RECORDS)
        yield {value for file in files for value in _tenants_in_path(file.path, str(job.policy.tenant))}
        newest = max((file.date or "" for file in files), default="")
        yield from (file.tenants for file in files if (file.date or "") == newest)


def _tenants_in_path(path: str, tenant: str) -> Iterator[str]:
    for part in PurePosixPath(path).parts[:-1]:
        key, value = parse_partition_folder(part)
        if key == tenant and value is not None:
            yield canonical_text(value)
