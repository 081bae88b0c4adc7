"""A directory's feed of deleted users (`events import`): lifecycle events for the users of a file, each recorded once.

The same file can be imported every night. A line that cannot be taken is reported by its number; the other lines are recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from minimize.datasets.lifecycle_events import event_faults, parse_event_time, read_rows
from minimize.errors import Finding, PolicyError, unreadable_file
from minimize.governance.events import NewEvent, add_events, event_states, resolve_names
from minimize.governance.known_outputs import find_outputs
from minimize.governance.subjects.linked import find_linked_identifiers
from minimize.governance.subjects.named_subjects import DataSubject
from minimize.identifiers import canonical_id
from minimize.results import JsonResult, Line, json_member
from minimize.sources import format_suffixes
from minimize.text import count_noun, text_or_none
from minimize.workspace import Workspace, optional_ledger

FeedEvent = Literal["subject_left", "erasure", "reset"]


@dataclass(frozen=True, slots=True)
class FeedColumns:
    """The columns of a feed: the tenant, the id of the user, and the time of the deletion."""

    tenant: str = "tenant_id"
    id: str = "user_id"
    time: str = "deleted_at"


@dataclass(frozen=True, slots=True)
class ImportedEvents(JsonResult):
    """The outcome of an import: numbers of events, and the lines that were not taken."""

    file: str
    new: int
    """Events that were recorded now."""
    repeated: int
    """Events that were recorded before."""
    withdrawn: int
    """Events that were withdrawn, and are not recorded again."""
    faults: tuple[Finding, ...] = dataclass_field(default=(), metadata=json_member("not_taken"))
    """The lines that were not taken."""

    @property
    def exit_code(self) -> int:
        """1 if a line was not taken."""
        return int(bool(self.faults))

    def lines(self) -> Iterator[Line]:
        """The numbers, then the lines that were not taken."""
        counts = f"{count_noun(self.new, 'new event')}, {self.repeated:,} recorded before, {self.withdrawn:,} withdrawn"
        yield f"{self.file}: {counts}"
        yield from (f"  not taken: {each}" for each in self.faults)


def import_events(
    file: Path | str,
    workspace: Workspace,
    now: datetime,
    *,
    field: str = "user_id",
    kind: FeedEvent = "subject_left",
    columns: FeedColumns | None = None,
    linked: bool = False,
) -> ImportedEvents:
    """Records an event for each user of a feed in a source format. A recorded or withdrawn event is not recorded again.

    Takes the policies' field of the users' ids, the kind of the events, and the columns of the feed. With `linked`, the events
    also concern the devices that belong to a user alone. Raises PolicyError for a file that cannot be read, LedgerError,
    KeyringError.
    """
    workspace.require("event/import")
    path, names = Path(file), columns or FeedColumns(id=field)
    rows = read_rows(path, {names.tenant, names.id, names.time})
    if rows is None:
        hint = (
            f"Use UTF-8 and one of {format_suffixes()}, with the columns {names.tenant}, {names.id} and {names.time}."
        )
        finding = unreadable_file("G001", "the feed", path, hint)
        raise PolicyError(f"cannot read the feed {path}", findings=[finding])
    read = [_parse_line(line, row, names, field, kind, str(path)) for line, row in rows]
    faults = tuple(each for each in read if isinstance(each, Finding))
    events = resolve_names(list(dict.fromkeys(each for each in read if isinstance(each, NewEvent))), workspace)
    states = event_states(events, workspace)
    active = [event for event in events if states.get(event) != "withdrawn"]
    if active:
        add_events(list(_with_devices(active, workspace)) if linked else active, workspace, now)
    repeated = sum(event in states for event in active)
    return ImportedEvents(str(path), len(active) - repeated, repeated, len(events) - len(active), faults)


def _parse_line(
    line: int, row: Mapping[str, Any], columns: FeedColumns, field: str, kind: FeedEvent, file: str
) -> NewEvent | Finding:
    values = [row.get(name) for name in (columns.tenant, columns.id)]
    if not all(value is None or type(value) in (str, int) for value in values):
        return Finding("G005", "the tenant or the id is neither a text nor an integer", file=file, line=line)
    tenant, id_ = (canonical_id(text_or_none(value)) for value in values)
    fault = next(event_faults(tenant or None, id_, kind), None)
    at = parse_event_time(row.get(columns.time))
    if fault is None and at is None:
        fault = ("G003", f"`{columns.time}` is not an ISO 8601 time with a UTC offset")
    if fault is None and id_ is None:
        fault = ("G005", "this event needs a subject")
    if fault is not None:
        return Finding(*fault, file=file, line=line)
    return NewEvent(str(tenant), kind, id_, at, field)


def _with_devices(events: Sequence[NewEvent], workspace: Workspace) -> Iterator[NewEvent]:
    """The events with the devices that belong to their users alone."""
    keys = workspace.keyring()
    with optional_ledger(workspace, needed=False) as ledger:
        outputs = find_outputs(ledger, workspace.named_outputs, keys)[0]
    for event in events:
        subject = DataSubject(event.subject, event.tenant, event.named_by)
        yield replace(event, linked=find_linked_identifiers(subject, outputs, keys, devices=True).tokens)
