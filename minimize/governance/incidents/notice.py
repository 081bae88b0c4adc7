"""Breach notice: its deadline, its wording, and its forms: Markdown, HTML and the fields of GDPR Art. 33(3).

A notice has only what the ledger records of the incident and of one tenant. The HTML page fetches nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from types import MappingProxyType
from typing import Any, Final

from minimize.governance.incidents.incident import Incident
from minimize.html_tables import html_page, page_table
from minimize.recipients.pages import LIST_STYLE
from minimize.text import escape_markdown, markdown_table
from minimize.times import time_text

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
_FORM_TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "identified": "names somebody",
        "pseudonymized": "under a pseudonym",
        "aggregated": "counts",
        "encrypted": "encrypted",
    }
)
TABLE_HEAD: Final = ("kind of data", "category", "form in which it was exposed")
NOTHING_YET: Final = "Nothing has been taken down yet; a later version of this notice will say more."


@dataclass(frozen=True, slots=True)
class NoticeSection:
    """A part of a notice: its title, its sentences, and the lines of a table."""

    title: str
    sentences: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = ()


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
        kinds = dict.fromkeys(each.partition(":")[0] for each in self.incident.opening["exposed"])
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
        return self.incident.statements("consequence") or (CONSEQUENCES[self.tenant["form"]],)

    @property
    def measures(self) -> tuple[str, ...]:
        """What was done."""
        return self.incident.statements("measure") or (NOTHING_YET,)

    @property
    def actions(self) -> tuple[str, ...]:
        """What the tenant should do."""
        return self.incident.statements("action") or ("Nothing that we know of now.",)

    def sections(self) -> Iterator[NoticeSection]:
        """The parts, in the order in which they are read."""
        body = self.incident.opening
        since, until = body["happened"]
        ended = f" It ended at {minute_text(until)}." if until else ""
        yield NoticeSection("What happened", (self.incident.title, self.nature))
        yield NoticeSection(
            "When",
            (
                f"It began at {minute_text(since)}.{ended} It was known at {minute_text(body['known_at'])}.",
                *self._declared(),
            ),
        )
        yield NoticeSection("Who is concerned", (self.subjects,))
        yield NoticeSection(
            "Which data", tuple(self._period()), tuple(_kind_row(each) for each in self.tenant["kinds"])
        )
        yield NoticeSection("What may follow", self.consequences)
        yield NoticeSection("What was done", self.measures)
        yield NoticeSection("What you should do", self.actions)
        yield NoticeSection("Whom to ask", (self.contact,))

    def _declared(self) -> Iterator[str]:
        if self.incident.declared_at is not None:
            yield f"It was declared an incident at {minute_text(time_text(self.incident.declared_at))}."

    def _period(self) -> Iterator[str]:
        since, until = self.tenant["period"]["from"], self.tenant["period"]["to"]
        began = f"from {minute_text(since)} " if since else ""
        if until:
            yield f"Records of events {began}to {minute_text(until)}."
        there = sorted({each["recipient"] for each in self.tenant["recipients"]})
        if there:
            yield f"Third parties that have copies: {', '.join(there)}."
        if any(each["form"] == "encrypted" for each in self.tenant["kinds"]):
            yield "What is encrypted is under keys that nobody else has: it cannot be understood."


def minute_text(time: str) -> str:
    """A time as people read it, to the minute.

    >>> minute_text("2026-11-24T23:59:59.999999Z")
    '2026-11-24 23:59 UTC'
    """
    return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _kind_row(kind: Mapping[str, Any]) -> tuple[str, ...]:
    return (kind["column"], kind["category"], _FORM_TEXTS[kind["form"]])


_NOTICE_STYLE: Final = """
th, td { width: 33%; }
td:nth-child(2), td:nth-child(3) { font: inherit; }
@media (max-width: 40rem) {
  th, td { width: auto; }
  td:nth-child(2)::before { content: "category: "; }
  td:nth-child(3)::before { content: "exposed: "; }
}
"""
"""What differs from the page that the style was made for: three columns, and what they are where there is room for one."""


def notice_markdown(notice: Notice) -> str:
    """The notice in Markdown; whatever somebody wrote is escaped."""
    parts = [f"# {escape_markdown(notice.title)}", escape_markdown(notice.stage)]
    for section in notice.sections():
        parts += [f"## {section.title}", *map(escape_markdown, section.sentences)]
        parts += [markdown_table(TABLE_HEAD, section.rows)] if section.rows else []
    return "\n\n".join(parts) + "\n"


def notice_page(notice: Notice) -> str:
    """The notice as a page; whatever somebody wrote is escaped."""
    body = [f"<h1>{escape(notice.title)}</h1>", f"<p>{escape(notice.stage)}</p>"]
    for section in notice.sections():
        body += [f"<h2>{escape(section.title)}</h2>", *(f"<p>{escape(each)}</p>" for each in section.sentences)]
        body += page_table(TABLE_HEAD, section.rows) if section.rows else ()
    return html_page(notice.title, f"{LIST_STYLE}{_NOTICE_STYLE}", body)


def article33(notice: Notice) -> dict[str, Any]:
    """What GDPR Art. 33(3) asks for, letter by letter; `phase` is of Art. 33(4)."""
    tenant, many = notice.tenant, notice.tenant["subjects"]
    return {
        "incident": notice.incident.id,
        "tenant_id": tenant["tenant_id"],
        "phase": notice.version,
        "a": {
            "nature": notice.nature,
            "happened": {"from": notice.incident.opening["happened"][0], "to": notice.incident.opening["happened"][1]},
            "known_at": notice.incident.opening["known_at"],
            "categories_of_data_subjects": ["persons and devices of the tenant"],
            "approximate_number_of_data_subjects": None if many is None else many["count"],
            "number_is_exact": many is not None and many["exact"],
            "categories_of_records": list(tenant["kinds"]),
            "approximate_number_of_records": tenant["rows"],
            "number_of_records_is_exact": tenant.get("rows_exact", True),
            "period": dict(tenant["period"]),
            "recipients_with_copies": sorted({each["recipient"] for each in tenant["recipients"]}),
        },
        "b": {"contact": notice.contact},
        "c": {"likely_consequences": list(notice.consequences)},
        "d": {"measures": list(notice.measures), "actions_for_the_tenant": list(notice.actions)},
    }
