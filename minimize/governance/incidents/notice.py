"""Breach notice: its deadline, its wording and its formats: Markdown, HTML and the fields of GDPR Art. 33(3).

A notice contains only facts that the ledger records about the incident and about one tenant. The HTML page loads no resources.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from minimize.html_tables import html_page, page_table
from minimize.recipients.pages import LIST_STYLE
from minimize.techniques import published_techniques
from minimize.text import escape_markdown, markdown_table
from minimize.times import time_text

if TYPE_CHECKING:
    from minimize.governance.incidents.incident import Incident

NOTICE_DEADLINE: Final = timedelta(hours=72)
"""Time from the declaration of an incident until which notice must be given."""

NATURE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "output": "Stored records were exposed to unauthorized access.",
        "run": "Records of specific processing runs were exposed to unauthorized access.",
        "date": "Stored records of specific days were exposed to unauthorized access.",
        "column": "Specific data fields of stored records were exposed to unauthorized access.",
        "recipient": "Records that a third party had received were exposed to unauthorized access.",
        "key": "A cryptographic key became known outside the service.",
        "grant": "Temporary access was used for a purpose other than the one for which it was granted.",
        "actor": "A person or account with access to the service read records without a legitimate reason.",
    }
)
CONSEQUENCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "identified": "Anyone holding the data can identify the individuals and could contact or impersonate them.",
        "pseudonymized": (
            "The data does not name individuals directly. Anyone holding it together with additional information "
            "could identify some of them."
        ),
        "aggregated": "The data consists of figures about groups and names no individuals.",
        "encrypted": (
            "The data is encrypted. To our knowledge the keys were not exposed. Without them the data cannot be read."
        ),
    }
)
LINKED_BY_KEY: Final = (
    "The data identifies individuals, or can be linked to them with a key that was exposed. "
    "They could be contacted or impersonated."
)
"""The consequence for pseudonyms whose key was exposed."""
_FORM_TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "identified": "identifies individuals",
        "pseudonymized": "pseudonymized",
        "aggregated": "figures about groups",
        "encrypted": "encrypted",
    }
)
TABLE_HEAD: Final = ("kind of data", "category", "form in which the data was exposed")
NOTHING_YET: Final = "No measures have been recorded yet. A later version of this notice will list them."
NO_ACTIONS_YET: Final = "No recommendations have been recorded yet. A later version of this notice will list them."


@dataclass(frozen=True, slots=True)
class NoticeSection:
    """A section of a notice: its title, its sentences, and the rows of a table."""

    title: str
    sentences: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """One version of the notice for one tenant."""

    incident: Incident
    tenant: Mapping[str, Any]
    version: int
    contact: str

    @property
    def title(self) -> str:
        """Title of the notice."""
        return f"Notice of a data incident: {self.incident.title}"

    @property
    def stage(self) -> str:
        """Incident, version and tenant of the notice, and the version that it replaces."""
        before = f" This version replaces version {self.version - 1}." if self.version > 1 else ""
        return f"Incident {self.incident.id}, version {self.version}, for {self.tenant['tenant_id']}.{before}"

    @property
    def nature(self) -> str:
        """Nature of the incident, one sentence per kind of exposed item."""
        kinds = dict.fromkeys(each.partition(":")[0] for each in self.incident.opening["exposed"])
        return " ".join(NATURE[kind] for kind in kinds)

    @property
    def subjects(self) -> str:
        """Number of affected persons and of their records."""
        persons = self.tenant["subjects"]
        if persons is None:
            return "No individuals: the data consists of figures about groups."
        rows = f"{'' if self.tenant.get('rows_exact', True) else 'at most '}{self.tenant['rows']:,} records"
        return f"{'' if persons['exact'] else 'At most '}{persons['count']:,} persons or devices, in {rows}."

    @property
    def consequences(self) -> tuple[str, ...]:
        """Likely consequences: the recorded ones, otherwise those of the form in which the data was exposed."""
        return self.incident.statements("consequence") or (self._usual_consequence,)

    @property
    def _usual_consequence(self) -> str:
        """The consequence of the form. Pseudonyms with an exposed key have the form `identified`, but their own text."""
        identified = [each for each in self.tenant["kinds"] if each["form"] == "identified"]
        if identified and all(_is_pseudonym(each) for each in identified):
            return LINKED_BY_KEY
        return CONSEQUENCES[self.tenant["form"]]

    @property
    def measures(self) -> tuple[str, ...]:
        """Measures that were recorded."""
        return self.incident.statements("measure") or (NOTHING_YET,)

    @property
    def actions(self) -> tuple[str, ...]:
        """Actions recommended to the tenant."""
        return self.incident.statements("action") or (NO_ACTIONS_YET,)

    def sections(self) -> Iterator[NoticeSection]:
        """Yields the sections in reading order."""
        body = self.incident.opening
        since, until = body["happened"]
        ended = f" It ended at {minute_text(until)}." if until else ""
        yield NoticeSection("What happened", (self.incident.title, self.nature))
        yield NoticeSection(
            "When",
            (
                f"The incident began at {minute_text(since)}.{ended} We became aware of it at {minute_text(body['known_at'])}.",
                *self._declared(),
            ),
        )
        yield NoticeSection("Who is affected", (self.subjects,))
        yield NoticeSection(
            "What data is affected", tuple(self._period()), tuple(_kind_row(each) for each in self.tenant["kinds"])
        )
        yield NoticeSection("Likely consequences", self.consequences)
        yield NoticeSection("Measures taken", self.measures)
        yield NoticeSection("Recommended actions", self.actions)
        yield NoticeSection("Contact", (self.contact,))

    def _declared(self) -> Iterator[str]:
        if self.incident.declared_at is not None:
            yield f"We confirmed it as a personal data breach on {minute_text(time_text(self.incident.declared_at))}."

    def _period(self) -> Iterator[str]:
        since, until = self.tenant["period"]["from"], self.tenant["period"]["to"]
        start = f"from {minute_text(since)} to" if since else "up to"
        if until:
            yield f"The records describe events {start} {minute_text(until)}."
        recipients = sorted({each["recipient"] for each in self.tenant["recipients"]})
        if recipients:
            yield f"Third parties that hold copies: {', '.join(recipients)}."
        if any(each["form"] == "encrypted" for each in self.tenant["kinds"]):
            yield (
                "To our knowledge the keys of the data listed as encrypted were not exposed. "
                "Without them that data cannot be read."
            )


def minute_text(time: str) -> str:
    """Formats a time for readers, to the minute, in UTC.

    >>> minute_text("2026-11-24T23:59:59.999999Z")
    '2026-11-24 23:59 UTC'
    """
    return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _is_pseudonym(kind: Mapping[str, Any]) -> bool:
    techniques = published_techniques(kind.get("technique", ""))
    return kind["category"] == "pseudonymized" or any(each.leaves == "linkable" for each in techniques)


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
"""Additions to `LIST_STYLE`: three columns, and their labels if the screen has room for one column only."""


def notice_markdown(notice: Notice) -> str:
    """The notice in Markdown. All text is escaped."""
    parts = [f"# {escape_markdown(notice.title)}", escape_markdown(notice.stage)]
    for section in notice.sections():
        parts += [f"## {section.title}", *map(escape_markdown, section.sentences)]
        parts += [markdown_table(TABLE_HEAD, section.rows)] if section.rows else []
    return "\n\n".join(parts) + "\n"


def notice_page(notice: Notice) -> str:
    """The notice as an HTML page. All text is escaped."""
    body = [f"<h1>{escape(notice.title)}</h1>", f"<p>{escape(notice.stage)}</p>"]
    for section in notice.sections():
        body += [f"<h2>{escape(section.title)}</h2>", *(f"<p>{escape(each)}</p>" for each in section.sentences)]
        body += page_table(TABLE_HEAD, section.rows) if section.rows else ()
    return html_page(notice.title, f"{LIST_STYLE}{_NOTICE_STYLE}", body)


def article33(notice: Notice) -> dict[str, Any]:
    """A draft of the content that GDPR Art. 33(3) requires, letter by letter. `phase` refers to Art. 33(4)."""
    tenant, persons = notice.tenant, notice.tenant["subjects"]
    return {
        "incident": notice.incident.id,
        "tenant_id": tenant["tenant_id"],
        "phase": notice.version,
        "a": {
            "nature": notice.nature,
            "happened": {"from": notice.incident.opening["happened"][0], "to": notice.incident.opening["happened"][1]},
            "known_at": notice.incident.opening["known_at"],
            "categories_of_data_subjects": ["users of the tenant's devices"],
            "approximate_number_of_data_subjects": None if persons is None else persons["count"],
            "number_is_exact": persons is not None and persons["exact"],
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
