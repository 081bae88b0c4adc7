"""Breach notice: its wording, its document and the fields of GDPR Art. 33(3).

A notice contains only facts that the ledger records about the incident and about one tenant.

Message to the contacts of one tenant, as a file that mail programs open (RFC 5322).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from minimize.governance.incidents.incident import names_by_form
from minimize.pages import BulletList, Section, StatusLine
from minimize.policy.plain_words import capitalized
from minimize.techniques import published_techniques
from minimize.text import count_noun
from minimize.times import minute_text

if TYPE_CHECKING:
    from minimize.governance.incidents.incident import Incident
import re
from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default as message_format

from minimize.receipts.parts import sha256_text

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
        "aggregated": "The data consists of statistics about groups and names no individuals.",
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
        "identified": "Data that identifies individuals",
        "pseudonymized": "Data in pseudonymized form",
        "aggregated": "Statistics about groups",
        "encrypted": "Encrypted data",
    }
)
NOTHING_YET: Final = "No measures have been recorded yet. A later version of this notice will list them."


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
        """Incident, version and tenant of the notice, and the version that it replaces: the last one that the tenant was sent."""
        name = self.tenant["tenant_id"]
        sent = [each["version"] for each in self.incident.notices(name) if each["given_at"] is not None]
        before = f" This version replaces version {sent[-1]}." if sent else ""
        return f"Incident {self.incident.id}, version {self.version}, for {name}.{before}"

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
            return "No individuals: the data consists of statistics about groups."
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
        """Actions recommended to the tenant; none if none were recorded."""
        return self.incident.statements("action")

    @property
    def document(self) -> Section:
        """The notice as a document."""
        body = self.incident.opening
        since, until = body["happened"]
        ended = f" It ended at {_minute_text(until)}." if until else ""
        known = f"We became aware of it at {_minute_text(body['known_at'])}."
        actions = [Section("Recommended actions", (BulletList(self.actions),))] if self.actions else []
        return Section(
            self.title,
            (
                self.status,
                self.stage,
                Section("What happened", (self.incident.title, self.nature)),
                Section("When", (f"The incident began at {_minute_text(since)}.{ended} {known}", *self._declared())),
                Section("Who is affected", (self.subjects, *self._restricted())),
                Section("What data is affected", (*self._period(), *self._kinds())),
                Section("Likely consequences", self.consequences),
                Section("Measures taken", self.measures),
                *actions,
                Section("Contact", (self.contact,)),
            ),
        )

    def _declared(self) -> Iterator[str]:
        if self.incident.reportable_since is not None:
            yield f"We confirmed it as a personal data breach on {minute_text(self.incident.reportable_since)}."

    def _restricted(self) -> Iterator[str]:
        """The records of individuals whose data is under a restriction (GDPR Art. 18)."""
        sealed = self.tenant.get("restricted")
        if sealed is None:
            return
        yield (
            f"These include {count_noun(sealed['rows'], 'record')} of individuals whose data was under a restriction of "
            "processing. We stored these records separately and encrypted."
        )
        if sealed["form"] == "encrypted":
            yield "To our knowledge their key was not exposed. Without it they cannot be read."
        else:
            yield "They were not protected by this encryption in the incident."

    @property
    def status(self) -> StatusLine:
        """How many are affected, whether the data identifies them, and what the tenant can do."""
        names = names_by_form(self.tenant["kinds"])
        identifying = names.get("identified", [])
        facts = [self.subjects.removesuffix(".").partition(":")[0]]
        facts += [f"data that identifies individuals: {', '.join(identifying)}"] if identifying else []
        facts += [] if identifying or "pseudonymized" not in names else ["no direct identifiers"]
        facts += [f"{count_noun(len(self.actions), 'action')} recommended to you"] if self.actions else []
        return StatusLine("bad" if identifying else "attention", "Affected", facts)

    def _kinds(self) -> Iterator[str | BulletList]:
        """All kinds of data of one form together, those that identify individuals first."""
        names = names_by_form(self.tenant["kinds"])
        for form, text in _FORM_TEXTS.items():
            if form in names:
                yield f"{text}:"
                yield BulletList([capitalized(name) for name in names[form]])

    @property
    def empty_sections(self) -> tuple[str, ...]:
        """The kinds of statements that the notice lacks, as `minimize incident` names them."""
        return tuple(each for each in ("measure", "action") if not self.incident.statements(each))

    def _period(self) -> Iterator[str]:
        since, until = self.tenant["period"]["from"], self.tenant["period"]["to"]
        start = f"from {_minute_text(since)} to" if since else "up to"
        if until:
            yield f"The records describe events {start} {_minute_text(until)}."
        recipients = sorted({each["recipient"] for each in self.tenant["recipients"]})
        if recipients:
            yield f"Third parties that hold copies: {', '.join(recipients)}."
        if any(each["form"] == "encrypted" for each in self.tenant["kinds"]):
            yield (
                "To our knowledge the keys of the data listed as encrypted were not exposed. "
                "Without them that data cannot be read."
            )


def _minute_text(time: str) -> str:
    return minute_text(datetime.fromisoformat(time))


def _is_pseudonym(kind: Mapping[str, Any]) -> bool:
    techniques = published_techniques(kind.get("technique", ""))
    return kind["category"] == "pseudonymized" or any(each.residual == "linkable" for each in techniques)


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
            **({"records_under_restriction": tenant["restricted"]["rows"]} if "restricted" in tenant else {}),
            "period": dict(tenant["period"]),
            "recipients_with_copies": sorted({each["recipient"] for each in tenant["recipients"]}),
        },
        "b": {"contact": notice.contact},
        "c": {"likely_consequences": list(notice.consequences)},
        "d": {"measures": list(notice.measures), "actions_for_the_tenant": list(notice.actions)},
    }


NOTICE_LANGUAGE: Final = "en"
"""The language of notices, as in BCP 47."""
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
ADDRESS_PATTERN: Final = rf"{_ATOM}(\.{_ATOM})*@([A-Za-z0-9-]+\.)+[A-Za-z0-9-]+"
"""A pattern of addresses that fit into a header unquoted: a dot-atom at a domain, in ASCII (RFC 5322, section 3.4.1)."""


def notice_message(notice: Notice, addresses: Sequence[str], text: str, html: str) -> str:
    """The message with a notice as text and as HTML."""
    return contact_message(notice.title, notice.contact, addresses, text, html)


def contact_message(title: str, contact: str, addresses: Sequence[str], text: str, html: str) -> str:
    """The message with a page as text and as HTML. The sender is the address in `contact`, if any.

    The names of contacts are not part of it.
    """
    message = EmailMessage(policy=message_format)
    sender = re.search(ADDRESS_PATTERN, contact)
    if sender is not None:
        message["From"] = sender[0]
    message["To"] = [Address(addr_spec=each) for each in addresses]
    message["Subject"] = " ".join(title.split())
    message["Content-Language"] = NOTICE_LANGUAGE
    message["X-Unsent"] = "1"  # mail programs open it as a draft
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    message.set_boundary(f"notice-{sha256_text((text + html).encode()).rpartition(':')[2][:32]}")
    return message.as_string()


def message_digest(message: str) -> str:
    """The digest of the body of a message. The headers, which have the addresses, are not part of it.

    >>> message_digest("To: a@example.com\\n\\nHello") == message_digest("To: b@example.com\\n\\nHello")
    True
    """
    return sha256_text(message.partition("\n\n")[2].encode())
