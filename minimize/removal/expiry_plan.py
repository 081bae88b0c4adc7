"""The data of an output that is due: its plan and its open deadlines. Changes nothing.

The ledger may know a subject only under an older key version. Its id is then found through the source of the file, if that is
unchanged, because a new pseudonym cannot be made from a token.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product

import pyarrow as pa

from minimize.arrow.nested import leaf, row_indices
from minimize.arrow.pointers import Pointer
from minimize.datasets.lifecycle_events import RetentionEvent, ledger_events
from minimize.datasets.published_output import OutputFile, PublishedOutput
from minimize.keys import Keyring
from minimize.policy.fields import fields_named
from minimize.policy.model import Policy
from minimize.receipts import ReceiptKind
from minimize.records import RECORDS
from minimize.removal import RuledRemoval
from minimize.removal.decision import RewriteRequest
from minimize.removal.plan import (
    DueFile,
    OpenDeadline,
    RemovalPlan,
    find_due,
    open_deadlines,
)
from minimize.removal.rerun import SourceFinder
from minimize.runs.batch_dates import parse_batch_date
from minimize.settings.erasures import RESTRICTION, Erasures, Tombstone
from minimize.sources.base import Source
from minimize.stages.identifier_forms import IdentifierColumn, PinnedKeyring
from minimize.times import END_OF_TIME
from minimize.workspace import Workspace


def identify_through_sources(
    request: RewriteRequest, events: Iterable[RetentionEvent], output: PublishedOutput, workspace: Workspace
) -> RewriteRequest:
    """The request with the ids of the subjects that are found in the source of a file.

    Takes the events whose subject may have a form in a file that the ledger does not know.
    """
    sources, policy = SourceFinder(workspace, output.chain, request.as_of), workspace.job.policy
    subjects_by_event: dict[RetentionEvent, str] = {}
    for on, date_events in _events_by_date(list(events), output.files(RECORDS)).items():
        unidentified_events = [event for event in date_events if event not in subjects_by_event]
        source = sources.find(on) if unidentified_events else None
        if source is not None:
            subjects_by_event |= dict(
                _subjects_in_source(policy, source[1].sources[parse_batch_date(on)], unidentified_events, request.keys)
            )
    known = tuple(replace(each, subject=subjects_by_event.get(each, each.subject)) for each in request.events)
    return replace(request, events=tuple(each if each.subject is None else replace(each, token=None) for each in known))


def _events_by_date(
    events: Sequence[RetentionEvent], files: Iterable[OutputFile]
) -> dict[str | None, list[RetentionEvent]]:
    """Per batch date, the events whose subject the ledger knows in these files only under older key versions."""
    events_by_date: dict[str | None, list[RetentionEvent]] = {}
    for file in files:
        for event in events if not file.is_shredded else ():
            columns = filter(None, map(file.column, file.fields_named(event.named_by)))
            if any(
                isinstance(lookup_column.column, IdentifierColumn)
                and _is_known_under_older_keys(lookup_column.column, event)
                for lookup_column in columns
            ):
                date_events = events_by_date.setdefault(file.date, [])
                date_events += [event] if event not in date_events else []
    return events_by_date


def _is_known_under_older_keys(column: IdentifierColumn, event: RetentionEvent) -> bool:
    """Whether the ledger knows an event's subject in a column only as written under older key versions."""
    if column.chain_names is None or column.chain_names <= event.forms.keys():
        return False
    names = sorted({name for way in column.chains or () for step in way.steps for name in step.key_names})
    version_ranges = [range(1, column.keys.version_of(name) + 1) for name in names]
    older = (dict(zip(names, versions, strict=True)) for versions in product(*version_ranges))
    return any(event.forms.keys() & (_with_key_versions(column, versions).chain_names or ()) for versions in older)


def _with_key_versions(column: IdentifierColumn, versions: Mapping[str, int]) -> IdentifierColumn:
    return replace(column, keys=PinnedKeyring(column.keys.keys, versions))


def _subjects_in_source(
    policy: Policy, source: Source, events: Sequence[RetentionEvent], keys: Keyring
) -> Iterator[tuple[RetentionEvent, str]]:
    """The original ids of the subjects of events."""
    names = sorted({event.named_by for event in events}, key=str)
    columns = [(name, key) for name in names for key in fields_named(policy, name)]
    for name, key in columns:
        field = policy.fields[key]
        if policy.tenant is None or field.pointer.top not in source.schema.names:
            continue
        field_events = [event for event in events if event.named_by == name]
        for tenant, subject in _affected_pairs(source, Pointer.parse(policy.tenant), field.pointer, field_events, keys):
            pair = (pa.array([tenant]), pa.array([subject]))
            yield from (
                (event, subject)
                for event in field_events
                if _erased_subjects([event], keys).erased_mask(*pair, None) is not None
            )


def _affected_pairs(
    source: Source, tenant: Pointer, subject: Pointer, events: Sequence[RetentionEvent], keys: Keyring
) -> Iterator[tuple[str, str]]:
    """The distinct pairs of tenant and subject in a source that these events concern."""
    erased = _erased_subjects(events, keys)
    pairs: set[tuple[str, str]] = set()
    for part in source.parts:
        for chunk in part.read():
            subjects = leaf(chunk.records, subject)
            rows = pa.array(row_indices(subjects, chunk.records.num_rows))
            tenants = leaf(chunk.records, tenant).values.take(rows)
            affected = erased.erased_mask(tenants, subjects.values, None)
            if affected is not None:
                columns = (each.filter(affected).to_pylist() for each in (tenants, subjects.values))
                pairs |= {(str(tenant_id), str(subject_id)) for tenant_id, subject_id in zip(*columns, strict=True)}
    yield from sorted(pairs)


def _erased_subjects(events: Sequence[RetentionEvent], keys: Keyring) -> Erasures:
    """The subjects of events of one field, as an erasure list."""
    erasures = Erasures.from_tombstones([Tombstone(event.tenant, END_OF_TIME, event.token) for event in events])
    assert erasures is not None
    return replace(erasures, named_by=events[0].named_by).with_keys(keys)


@dataclass(frozen=True, slots=True)
class ResolvedExpiry:
    """A resolved expiry: the request, the workspace with today's pipeline, the output, whether all tables are removed, and the
    restrictions."""

    request: RewriteRequest
    workspace: Workspace
    output: PublishedOutput
    removes_tables: bool = False
    restrictions: tuple[RetentionEvent, ...] = ()

    def with_plan(self) -> tuple[ResolvedExpiry, RemovalPlan]:
        """The expiry and its plan.

        Subjects that may have an unknown form in a file are named by their ids, if the sources of the files show them.
        """
        plan = self.plan()
        if not plan.uncertain:
            return self, plan
        named = identify_through_sources(self.request, plan.uncertain, self.output, self.workspace)
        expiry = replace(self, request=named)
        return expiry, expiry.plan()

    def sealing(self) -> ResolvedExpiry:
        """The sealing of published records of restricted subjects, which an output has if it was restored from an older copy."""
        request = replace(self.request, events=self.restrictions, by_age=False, removal_reason="restricted")
        return replace(self, request=request, removes_tables=False)

    @property
    def operation(self) -> RuledRemoval:
        """The removal of what is due, or the sealing of records that restrictions concern."""
        kind: ReceiptKind = "restrict" if self.request.removal_reason == "restricted" else "expire"
        return RuledRemoval(kind, self.request.as_of, lambda _: self.request, self.removes_tables, replans=False)

    def plan(self) -> RemovalPlan:
        """The plan of the data that is due."""
        return self.operation.plan(self.output)

    def open_deadlines(self, plan: RemovalPlan) -> list[OpenDeadline]:
        """The open deadlines of a plan."""
        return open_deadlines(
            plan,
            self.request.events,
            {event: self._files_concerned(event, plan.due) for event in self.request.past_events},
        )

    def _files_concerned(self, event: RetentionEvent, due: tuple[DueFile, ...]) -> int:
        """The number of files with data to remove because of one event."""
        alone = replace(self.request, events=(event,))
        due_files = (find_due(alone, each.file) for each in due if each.may_concern(event))
        return sum(each is not None and bool(each.gated.get("erased") or each.is_reclassified) for each in due_files)


def expiry_of_output(
    workspace: Workspace, output: PublishedOutput, at: datetime, events: Sequence[RetentionEvent] = ()
) -> ResolvedExpiry:
    """The expiry of an opened output at this time, with these events and those of the ledger."""
    recorded: tuple[RetentionEvent, ...] = ()
    restrictions: tuple[RetentionEvent, ...] = ()
    if workspace.address.exists:
        with workspace.open_ledger(signs=True) as ledger:
            recorded = ledger_events(ledger, ledger.keyring, events)
            restrictions = ledger_events(ledger, ledger.keyring, kinds=(RESTRICTION,))
    request = RewriteRequest.for_output(output, at, (*events, *recorded))
    return ResolvedExpiry(request, workspace, output, restrictions=restrictions)
