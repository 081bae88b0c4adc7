"""Reads that the audit log tells of: by whom, under which grants, of which columns of which tenants. It tells no values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from minimize.governance.access.permissions import READ, REIDENTIFY
from minimize.governance.access.tenants import EVERYBODY, NOBODY, Tenants
from minimize.governance.incidents.exposed import Exposed, Exposure
from minimize.ledger.event import moment_text

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

_DOOR: Final = "door"
_CUT: Final = "…"
_BUT: Final = "all but "


@dataclass(frozen=True, slots=True)
class Read:
    """One read that came to an end, well or not.

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

    @property
    def name(self) -> str:
        """Of which of its outputs."""
        return self.dataset.partition("/")[2] or "records"


def reads(ledger: Ledger, exposure: Exposure, window: tuple[datetime, datetime]) -> list[Read]:
    """The reads under the exposed grants, and by the exposed actors within their window (both ends are within)."""
    wanted = [*exposure.named("grant"), *exposure.named("actor")]
    return (
        [_read(told, by) for told in _told(ledger) if (by := _by(told, wanted, window)) is not None] if wanted else []
    )


def _told(ledger: Ledger) -> Iterator[Mapping[str, Any]]:
    from minimize.ledger.asked import logged
    from minimize.ledger.audit import Wanted, told

    for operation in (READ, REIDENTIFY):
        for entry in logged(ledger, Wanted(operation=operation)):
            event = told(entry)
            if event["component"] == _DOOR and event["result"] != "refused" and event["resources"]:
                yield event


def _by(event: Mapping[str, Any], wanted: list[Exposed], window: tuple[datetime, datetime]) -> Exposed | None:
    grants = {*str(_said(event).get("grants") or "").split(", "), event["correlation_id"]}
    for each in wanted:
        if each.kind == "grant" and any(str(grant or "").startswith(each.name) for grant in grants):
            return each
        since, until = each.window or window
        within = moment_text(since) <= event["time"] <= moment_text(until)
        if each.kind == "actor" and each.name == event["actor"]["user"] and within:
            return each
    return None


def _read(event: Mapping[str, Any], by: Exposed) -> Read:
    said = _said(event)
    rows = said.get("rows")
    return Read(
        str(by),
        str(event["actor"]["user"]),
        datetime.fromisoformat(event["time"]),
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
