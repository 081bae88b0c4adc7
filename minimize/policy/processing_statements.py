"""Information duties (GDPR Art. 13 to 15): who is responsible, on which basis, from where, and the rights of data subjects.

The facts are those under `processing:` of `minimize.yaml`. What is not stated there is listed as missing, because a page without
it is incomplete.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from minimize.pages import BulletList, Section, TermList

REQUIRED_STATEMENTS: Final[Mapping[str, str]] = MappingProxyType(
    {"controller": "controller", "contact": "contact", "legal_basis": "legal basis"}
)
"""The keys under `processing:` without which a page for data subjects is incomplete."""
_RESPONSIBLE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "controller": "Controller",
        "contact": "Contact",
        "representative": "Representative",
        "dpo": "Data protection officer",
    }
)
RIGHTS: Final = (
    "Access: you can have a copy of the data about you (Art. 15).",
    "Rectification: you can have wrong data corrected (Art. 16).",
    "Erasure: you can have the data about you deleted (Art. 17).",
    "Restriction: you can have the data sealed while a question about it is open (Art. 18).",
    "Portability: you can receive data that you have provided, in a form that programs read (Art. 20).",
    "Objection: you can object to the processing (Art. 21).",
)


def missing_statements(stated: Mapping[str, str], *, without: str = "") -> list[str]:
    """What a page for data subjects lacks, each with the key to add. `without`: a key that this page does not need."""
    return [
        f"{text} not stated: add `{key}` under `processing:` of `minimize.yaml`"
        for key, text in REQUIRED_STATEMENTS.items()
        if key != without and not stated.get(key)
    ]


def responsible_section(stated: Mapping[str, str]) -> Section:
    """Who is responsible, and how to reach them."""
    terms = [(title, (stated.get(key, ""),)) for key, title in _RESPONSIBLE.items()]
    return Section("Who is responsible", (TermList(terms), *_unnamed(stated)))


def _unnamed(stated: Mapping[str, str]) -> Iterator[str]:
    if not stated.get("controller"):
        yield "The controller is the organization that manages your device or account. Ask its administrator for a contact."


def rights_section(stated: Mapping[str, str]) -> Section:
    """The rights of data subjects, how to exercise them, and where to complain."""
    contact = stated.get("dpo") or stated.get("contact")
    where = f"Write to {contact}." if contact else "Ask the organization that manages your device or account."
    authority = stated.get("authority")
    complaint = (
        f"You can complain to the supervisory authority {authority}."
        if authority
        else "You can complain to a supervisory authority, for example the one where you live or work (Art. 77)."
    )
    text = f"{where} You get an answer within one month. Each right has the conditions of its Article."
    return Section("Your rights", (text, BulletList((*RIGHTS, complaint))))


def legal_basis_text(stated: Mapping[str, str]) -> str:
    """The legal basis, if it is stated."""
    return stated.get("legal_basis", "")


def source_text(stated: Mapping[str, str], sender: str | None = None) -> str:
    """Where the data comes from: the statement, else the sender, else the devices and accounts themselves."""
    return stated.get("source") or (
        f"received from {sender}" if sender else "the device or account itself, and the system that manages it"
    )


def transfers_text(stated: Mapping[str, str]) -> str:
    """Transfers to third countries, if they are stated."""
    return stated.get("transfers", "")
