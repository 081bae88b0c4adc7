"""What a notice says: its sections in plain words, from what the ledger tells of the incident and of one tenant alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from minimize.governance.incidents.incident import Incident
from minimize.receipt import time_text

NATURE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "output": "Stored records came within the reach of somebody who should not have had them.",
        "run": "Records of some runs came within the reach of somebody who should not have had them.",
        "date": "Stored records of some days came within the reach of somebody who should not have had them.",
        "column": "Some columns of stored records came within the reach of somebody who should not have had them.",
        "recipient": "Records that a third party had received came within the reach of somebody who should not have had them.",
        "key": "A key became known outside of the service.",
        "grant": "Access that was given for a limited time was used for what it was not given for.",
        "actor": "Somebody read records without having reason to.",
    }
)
CONSEQUENCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "identified": "Whoever has the data can tell whom it is about, and may write to them or pretend to know them.",
        "pseudonymized": "The data names nobody. Whoever knows more from elsewhere may find out whom some of it is about.",
        "aggregated": "The data are counts of groups, and name nobody.",
        "encrypted": "The data is encrypted under keys that nobody else has, and cannot be understood.",
    }
)
_FORMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "identified": "names somebody",
        "pseudonymized": "under a pseudonym",
        "aggregated": "counts",
        "encrypted": "encrypted",
    }
)
HEAD: Final = ("kind of data", "category", "form in which it was exposed")
NOTHING_YET: Final = "Nothing has been taken down yet; a later version of this notice will say more."


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a notice: its title, its sentences, and the lines of a table."""

    title: str
    said: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice for one tenant, as one version of it is."""

    incident: Incident
    tenant: Mapping[str, Any]
    version: int
    contact: str

    @property
    def title(self) -> str:
        """What stands above."""
        return f"Notice of an incident: {self.incident.title}"

    @property
    def stage(self) -> str:
        """Which version it is."""
        before = f" It stands in for version {self.version - 1}." if self.version > 1 else ""
        return f"Incident {self.incident.id}, version {self.version}, for {self.tenant['tenant_id']}.{before}"

    @property
    def nature(self) -> str:
        """What happened."""
        kinds = dict.fromkeys(each.partition(":")[0] for each in self.incident.opened["exposed"])
        return " ".join(NATURE[kind] for kind in kinds)

    @property
    def subjects(self) -> str:
        """How many persons."""
        many = self.tenant["subjects"]
        if many is None:
            return "Nobody alone: groups were counted."
        rows = f"{'' if self.tenant.get('rows_exact', True) else 'at most '}{self.tenant['rows']:,} records"
        return f"{'' if many['exact'] else 'At most '}{many['count']:,} persons or devices, in {rows}."

    @property
    def consequences(self) -> tuple[str, ...]:
        """What may follow: what was taken down, else what the form tells."""
        return self.incident.said("consequence") or (CONSEQUENCES[self.tenant["form"]],)

    @property
    def measures(self) -> tuple[str, ...]:
        """What was done."""
        return self.incident.said("measure") or (NOTHING_YET,)

    @property
    def actions(self) -> tuple[str, ...]:
        """What the tenant should do."""
        return self.incident.said("action") or ("Nothing that we know of now.",)

    def sections(self) -> Iterator[Section]:
        """The parts, in the order in which they are read."""
        body = self.incident.opened
        since, until = body["happened"]
        ended = f" It ended at {said(until)}." if until else ""
        yield Section("What happened", (self.incident.title, self.nature))
        yield Section(
            "When", (f"It began at {said(since)}.{ended} It was known at {said(body['known_at'])}.", *self._declared())
        )
        yield Section("Who is concerned", (self.subjects,))
        yield Section("Which data", tuple(self._period()), tuple(_line(each) for each in self.tenant["kinds"]))
        yield Section("What may follow", self.consequences)
        yield Section("What was done", self.measures)
        yield Section("What you should do", self.actions)
        yield Section("Whom to ask", (self.contact,))

    def _declared(self) -> Iterator[str]:
        if self.incident.declared_at is not None:
            yield f"It was declared an incident at {said(time_text(self.incident.declared_at))}."

    def _period(self) -> Iterator[str]:
        since, until = self.tenant["period"]["from"], self.tenant["period"]["to"]
        began = f"from {said(since)} " if since else ""
        if until:
            yield f"Records of events {began}to {said(until)}."
        there = sorted({each["recipient"] for each in self.tenant["recipients"]})
        if there:
            yield f"Third parties that have copies: {', '.join(there)}."
        if any(each["form"] == "encrypted" for each in self.tenant["kinds"]):
            yield "What is encrypted is under keys that nobody else has: it cannot be understood."


def said(time: str) -> str:
    """A time as people read it, to the minute.

    >>> said("2026-11-24T23:59:59.999999Z")
    '2026-11-24 23:59 UTC'
    """
    return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _line(kind: Mapping[str, Any]) -> tuple[str, ...]:
    return (kind["column"], kind["category"], _FORMS[kind["form"]])
