"""Exposed reads and files: reads in the audit log by actor and grant, and the files that an incident exposed.

The audit log contains no values. If it does not name all columns or tenants of a read, all of them count as exposed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from minimize.access.permissions import ALL_TENANTS, NO_TENANTS, READ, REIDENTIFY, TenantSet
from minimize.datasets.published_output import OutputFile, PublishedOutput, TimeWindow
from minimize.errors import ConfigurationError
from minimize.governance.incidents.exposure import ExposedItem, Exposure
from minimize.json_form import JsonResult, json_member
from minimize.ledger.access_log import read_begun_reads
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter, entry_event, utc_text
from minimize.output.folder import identity_of
from minimize.stores import parse_output_location
from minimize.times import EPOCH

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

_SERVER: Final = "door"
_STARTED: Final = "begun"
_SUBJECT_OPERATIONS: Final = ("subject/view", "subject/export")
_DISCLOSE: Final = "disclose"
_TRUNCATED: Final = "…"
_ALL_BUT: Final = "all but "


@dataclass(frozen=True, slots=True)
class ExposedRead(JsonResult):
    """One read, completed or in progress.

    started_at  time at which the read began; it reads the files in force at that time to the end
    dataset     empty if any records may have been shown, because data of persons was viewed or exported
    columns     None if the log does not name all of them
    tenants     tenants whose rows the reader could see; all tenants if the log does not name all of them
    rows        number of rows returned; None if not recorded
    """

    via: str
    actor: str
    started_at: datetime = field(metadata=json_member("at"))
    dataset: str
    columns: frozenset[str] | None
    tenants: TenantSet
    rows: int | None
    json_names = "actor dataset started_at rows"

    @property
    def pipeline(self) -> str:
        """The pipeline of the dataset."""
        return self.dataset.partition("/")[0]

    def is_of(self, pipeline: str) -> bool:
        """Whether the read may have shown outputs of a pipeline."""
        return self.pipeline in ("", pipeline)

    @property
    def name(self) -> str:
        """The name of the output within the pipeline."""
        return self.dataset.partition("/")[2] or "records"


def exposed_reads(ledger: Ledger, exposure: Exposure, window: tuple[datetime, datetime]) -> list[ExposedRead]:
    """The reads under exposed grants, and the reads by exposed actors that overlap their window.

    Views and exports of persons are included if they named a tenant; the log does not name the person. Raises
    ConfigurationError if the beginning of a grant's name is ambiguous.
    """
    items = [*exposure.items_of("grant"), *exposure.items_of("actor")]
    if not items:
        return []
    every = list(_read_events(ledger))
    _check_grant_names(items, {grant for event in every for grant in _event_grants(event)})
    found = [(event, by) for event in every if (by := _exposing_item(event, items, window)) is not None]
    return [
        _parse_read(event, by)
        for event, by in found
        if event["component"] == _SERVER or _named_tenant(event) is not None
    ]


def reads_without_tenant(
    ledger: Ledger, exposure: Exposure, window: tuple[datetime, datetime]
) -> list[Mapping[str, Any]]:
    """Views and exports of persons by exposed actors that named no tenant. The log does not show which persons they covered."""
    items = [*exposure.items_of("actor")]
    events = _read_events(ledger) if items else ()
    return [
        {"actor": each["actor"]["user"], "operation": each["operation"], "at": each["time"], "via": str(by)}
        for each in events
        if each["component"] != _SERVER
        and _named_tenant(each) is None
        and (by := _exposing_item(each, items, window)) is not None
    ]


def exposed_disclosures(ledger: Ledger, exposure: Exposure, window: tuple[datetime, datetime]) -> Mapping[str, str]:
    """The disclosures by exposed actors within their window, each with the item that exposed it."""
    items = [*exposure.items_of("actor")]
    events = map(entry_event, find_entries(ledger, EntryFilter(operation=_DISCLOSE))) if items else ()
    sent = (event for event in events if event["result"] != "refused" and event["resources"])
    found = ((event, _exposing_item(event, items, window)) for event in sent)
    return {event["resources"][0]["id"]: str(by) for event, by in found if by is not None}


def _read_events(ledger: Ledger) -> Iterator[Mapping[str, Any]]:
    """The read events of the log, each with the time when the read began; reads in progress included."""
    known = read_begun_reads(ledger)
    for operation in (READ, REIDENTIFY, *_SUBJECT_OPERATIONS):
        for entry in find_entries(ledger, EntryFilter(operation=operation)):
            event = entry_event(entry)
            wants = event["component"] == _SERVER or operation in _SUBJECT_OPERATIONS
            if wants and event["result"] != "refused" and event["resources"]:
                start = known.get(event["id"])
                yield event if start is None else {**event, _STARTED: utc_text(start.at)}
    yield from ({**each.event, _STARTED: utc_text(each.at)} for each in known.values() if not each.ended)


def _named_tenant(event: Mapping[str, Any]) -> str | None:
    """The tenant that an operation on persons named."""
    name = str(event["resources"][0]["name"])
    return None if name == event["operation"] else name


def _exposing_item(
    event: Mapping[str, Any], items: list[ExposedItem], window: tuple[datetime, datetime]
) -> ExposedItem | None:
    for each in items:
        if each.kind == "grant" and any(grant.startswith(each.name) for grant in _event_grants(event)):
            return each
        since, until = each.window or window
        within = utc_text(since) <= event["time"] and event.get(_STARTED, event["time"]) <= utc_text(until)
        if each.kind == "actor" and each.name == event["actor"]["user"] and within:
            return each
    return None


def _event_grants(event: Mapping[str, Any]) -> set[str]:
    grants = {*str(_event_properties(event).get("grants") or "").split(", "), str(event["correlation_id"] or "")}
    return grants - {""}


def _check_grant_names(items: list[ExposedItem], grants: set[str]) -> None:
    for each in items:
        matches = {grant for grant in grants if each.kind == "grant" and grant.startswith(each.name)}
        if len(matches) > 1 and each.name not in matches:
            raise ConfigurationError("more than one grant has a name that begins like this", hint="Pass the full name.")


def _parse_read(event: Mapping[str, Any], by: ExposedItem) -> ExposedRead:
    properties, who = _event_properties(event), str(event["actor"]["user"])
    when = datetime.fromisoformat(event.get(_STARTED, event["time"]))
    if event["component"] != _SERVER:
        return ExposedRead(
            via=str(by),
            actor=who,
            started_at=when,
            dataset="",
            columns=None,
            tenants=TenantSet.from_names(_named_tenant(event) or ""),
            rows=None,
        )
    rows = properties.get("rows")
    return ExposedRead(
        via=str(by),
        actor=who,
        started_at=when,
        dataset=event["resources"][0]["name"],
        columns=_parse_columns(str(properties.get("columns") or "")),
        tenants=_parse_tenants(str(properties.get("tenants") or "all")),
        rows=rows if isinstance(rows, int) else None,
    )


def _event_properties(event: Mapping[str, Any]) -> dict[str, Any]:
    return {change["name"]: change["new"] for change in event["resources"][0]["changed_properties"]}


def _parse_columns(text: str) -> frozenset[str] | None:
    """Parses a list of columns. None if the text was truncated or is empty."""
    return None if not text or text.endswith(_TRUNCATED) else frozenset(text.split(", "))


def _parse_tenants(text: str) -> TenantSet:
    """Parses a list of tenants. If the text was truncated, it means all tenants."""
    if text in ("all", "none"):
        return ALL_TENANTS if text == "all" else NO_TENANTS
    if text.endswith(_TRUNCATED):
        return ALL_TENANTS
    names = TenantSet.from_names(*text.removeprefix(_ALL_BUT).split(", "))
    return ~names if text.startswith(_ALL_BUT) else names


@dataclass(frozen=True, slots=True)
class ExposedFile:
    """One file that was exposed, fully or partly.

    via      the item of the incident that exposed the file
    columns  the exposed columns; None for all
    tenants  the tenants whose rows were exposed, as far as known
    read     the read that exposed the file; None if the file itself was exposed
    keyed    whether only data made with compromised keys was exposed
    """

    file: OutputFile
    via: str
    columns: frozenset[str] | None = None
    tenants: TenantSet = ALL_TENANTS
    read: ExposedRead | None = None
    keyed: bool = False


def find_exposed_files(
    exposure: Exposure, outputs: Sequence[PublishedOutput], reads: Sequence[ExposedRead], window: TimeWindow
) -> Iterator[ExposedFile]:
    """Every file that an incident exposed, once for each way in which it was exposed."""
    for output in outputs:
        yield from _files_by_item(exposure, output, window)
        for read in reads:
            yield from _files_of_read(read, output)


def _files_by_item(exposure: Exposure, output: PublishedOutput, window: TimeWindow) -> Iterator[ExposedFile]:
    if not exposure.includes_files and not exposure.only_keys:
        return
    columns = exposure.names("column") or None
    dates, runs = exposure.names("date"), exposure.names("run")
    named, everywhere = _matching_items(exposure, output), not exposure.items_of("output") and not runs
    for file in output.files_within((EPOCH, max(window[1], output.chain[-1].finished))):
        run_id = file.written_by.receipt.run_id
        via = [f"run:{run_id}"] if run_id in runs else []
        if file.was_in_force(window):
            via += [str(each) for each in named if each.detail in ("", file.name)]
            via += [", ".join(map(str, exposure.items))] if everywhere else []
        if via and (not dates or file.date in dates):
            yield ExposedFile(file, via[0], columns, keyed=exposure.only_keys)


def _matching_items(exposure: Exposure, output: PublishedOutput) -> list[ExposedItem]:
    """The exposed items that match this output."""
    return [each for each in exposure.items_of("output") if matches_output(each, output)]


def matches_output(each: ExposedItem, output: PublishedOutput) -> bool:
    """Whether an exposed item names this output, by its folder or by its pipeline."""
    by_name = each.name == output.pipeline or parse_output_location(each.name) == output.folder
    return by_name or _is_same_output(each.name, identity_of(output.folder))


def _is_same_output(path: str, mine: str | None) -> bool:
    return mine is not None and identity_of(parse_output_location(path)) == mine


def _files_of_read(read: ExposedRead, output: PublishedOutput) -> Iterator[ExposedFile]:
    """The files in force when a read of their output began. A view of a person may also show sealed records."""
    if not read.is_of(output.pipeline):
        return
    for file in output.files_within((read.started_at, read.started_at)):
        if file.name == read.name or (file.is_sealed and not read.dataset):
            yield ExposedFile(file, read.via, read.columns, read.tenants, read)
