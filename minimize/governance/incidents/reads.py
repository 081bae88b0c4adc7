"""Reads that the audit log tells of: by whom, under which grants, of which columns of which tenants. It tells no values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from minimize.errors import ConfigurationError
from minimize.governance.access.permissions import READ, REIDENTIFY
from minimize.governance.access.tenants import EVERYBODY, NOBODY, Tenants
from minimize.governance.incidents.exposed import Exposed, Exposure
from minimize.ledger.event import moment_text

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

_DOOR: Final = "door"
_BEGUN: Final = "begun"
_OF_PERSONS: Final = ("subject/view", "subject/export")
_SENT: Final = "disclose"
_CUT: Final = "…"
_BUT: Final = "all but "


@dataclass(frozen=True, slots=True)
class Read:
    """One read, whether it came to an end or goes on.

    at       when it began: the files of then are read to the end
    dataset  empty where it may have been any of the records: persons were viewed or exported
    columns  None where the log does not tell them all
    tenants  whose rows the reader could see; everybody's where the log does not tell all of them
    rows     how many left; None where that is not told
    """

    via: str
    actor: str
    at: datetime
    dataset: str
    columns: frozenset[str] | None
    tenants: Tenants
    rows: int | None

    @property
    def pipeline(self) -> str:
        """Of which pipeline."""
        return self.dataset.partition("/")[0]

    def is_of(self, pipeline: str) -> bool:
        """Whether it may have shown outputs of a pipeline."""
        return self.pipeline in ("", pipeline)

    @property
    def name(self) -> str:
        """Of which of its outputs."""
        return self.dataset.partition("/")[2] or "records"


def reads(ledger: Ledger, exposure: Exposure, window: tuple[datetime, datetime]) -> list[Read]:
    """The reads under the exposed grants, and by the exposed actors that went on at some time within their window.

    Views and exports of persons are among them where they named a tenant: of which person the log does not tell. Raises
    ConfigurationError where the beginning of a grant's name means several.
    """
    wanted = [*exposure.named("grant"), *exposure.named("actor")]
    if not wanted:
        return []
    every = list(_told(ledger))
    _check_names(wanted, {grant for told in every for grant in _grants(told)})
    found = [(told, by) for told in every if (by := _by(told, wanted, window)) is not None]
    return [_read(told, by) for told, by in found if told["component"] == _DOOR or _tenant(told) is not None]


def unplaced(ledger: Ledger, exposure: Exposure, window: tuple[datetime, datetime]) -> list[Mapping[str, Any]]:
    """The views and exports of persons by exposed actors that named no tenant: whom they showed, nobody can tell from the log."""
    wanted = [*exposure.named("actor")]
    told = _told(ledger) if wanted else ()
    return [
        {"actor": each["actor"]["user"], "operation": each["operation"], "at": each["time"], "via": str(by)}
        for each in told
        if each["component"] != _DOOR and _tenant(each) is None and (by := _by(each, wanted, window)) is not None
    ]


def handed_by(ledger: Ledger, exposure: Exposure, window: tuple[datetime, datetime]) -> Mapping[str, str]:
    """The acts of sharing by exposed actors within their window, each with what of the incident exposed it."""
    from minimize.ledger.asked import logged
    from minimize.ledger.audit import Wanted, told

    wanted = [*exposure.named("actor")]
    events = map(told, logged(ledger, Wanted(operation=_SENT))) if wanted else ()
    sent = (event for event in events if event["result"] != "refused" and event["resources"])
    found = ((event, _by(event, wanted, window)) for event in sent)
    return {event["resources"][0]["id"]: str(by) for event, by in found if by is not None}


def _told(ledger: Ledger) -> Iterator[Mapping[str, Any]]:
    """What the log tells of reads, each with when it was begun, and reads that go on."""
    from minimize.ledger.asked import logged
    from minimize.ledger.audit import Wanted, told
    from minimize.ledger.readings import begun

    known = begun(ledger)
    for operation in (READ, REIDENTIFY, *_OF_PERSONS):
        for entry in logged(ledger, Wanted(operation=operation)):
            event = told(entry)
            wants = event["component"] == _DOOR or operation in _OF_PERSONS
            if wants and event["result"] != "refused" and event["resources"]:
                start = known.get(event["id"])
                yield event if start is None else {**event, _BEGUN: moment_text(start.at)}
    yield from ({**each.event, _BEGUN: moment_text(each.at)} for each in known.values() if not each.ended)


def _tenant(event: Mapping[str, Any]) -> str | None:
    """The tenant that an act about persons named."""
    name = str(event["resources"][0]["name"])
    return None if name == event["operation"] else name


def _by(event: Mapping[str, Any], wanted: list[Exposed], window: tuple[datetime, datetime]) -> Exposed | None:
    for each in wanted:
        if each.kind == "grant" and any(grant.startswith(each.name) for grant in _grants(event)):
            return each
        since, until = each.window or window
        within = moment_text(since) <= event["time"] and event.get(_BEGUN, event["time"]) <= moment_text(until)
        if each.kind == "actor" and each.name == event["actor"]["user"] and within:
            return each
    return None


def _grants(event: Mapping[str, Any]) -> set[str]:
    said = {*str(_said(event).get("grants") or "").split(", "), str(event["correlation_id"] or "")}
    return said - {""}


def _check_names(wanted: list[Exposed], grants: set[str]) -> None:
    for each in wanted:
        meant = {grant for grant in grants if each.kind == "grant" and grant.startswith(each.name)}
        if len(meant) > 1 and each.name not in meant:
            raise ConfigurationError("more than one grant has a name that begins so", hint="name the whole of it")


def _read(event: Mapping[str, Any], by: Exposed) -> Read:
    said, who = _said(event), str(event["actor"]["user"])
    when = datetime.fromisoformat(event.get(_BEGUN, event["time"]))
    if event["component"] != _DOOR:
        return Read(str(by), who, when, "", None, Tenants.of(_tenant(event) or ""), None)
    rows = said.get("rows")
    return Read(
        str(by),
        who,
        when,
        event["resources"][0]["name"],
        _columns(str(said.get("columns") or "")),
        _tenants(str(said.get("tenants") or "all")),
        rows if isinstance(rows, int) else None,
    )


def _said(event: Mapping[str, Any]) -> dict[str, Any]:
    return {change["name"]: change["new"] for change in event["resources"][0]["changed_properties"]}


def _columns(text: str) -> frozenset[str] | None:
    """None where the text was cut, or says nothing."""
    return None if not text or text.endswith(_CUT) else frozenset(text.split(", "))


def _tenants(text: str) -> Tenants:
    """The tenants that a text names; where it was cut, those that it may stand for."""
    if text in ("all", "none"):
        return EVERYBODY if text == "all" else NOBODY
    if text.endswith(_CUT):
        return EVERYBODY
    names = Tenants.of(*text.removeprefix(_BUT).split(", "))
    return ~names if text.startswith(_BUT) else names
