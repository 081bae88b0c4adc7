"""`notice`: drafts for every tenant that has to be told, by version; and that they were sent. Each is recorded."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from minimize.errors import ConfigurationError, OutputError
from minimize.governance.incidents.acting import is_open, named, step
from minimize.governance.incidents.contacts import Contact, Contacts
from minimize.governance.incidents.incident import Incident
from minimize.governance.incidents.pages import article33, html, markdown
from minimize.governance.incidents.wording import Notice
from minimize.io.durable import write_private
from minimize.io.working_folder import new_folder
from minimize.switching import House

_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
ADDRESSED: Final = "addressed.json"


@dataclass(frozen=True, slots=True)
class Drafted:
    """Notices that were drafted.

    nobody  tenants of whom no contact is known
    """

    incident: Incident
    folder: Path
    version: int
    tenants: tuple[str, ...]
    nobody: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """What `incident notice --json` prints."""
        return {
            "incident": self.incident.id,
            "version": self.version,
            "folder": str(self.folder),
            "tenants": list(self.tenants),
            "without_contact": list(self.nobody),
        }


def draft(
    name: str, to: Path, contact: str, contacts: Contacts, house: House, now: datetime, *, only: Sequence[str] = ()
) -> Drafted:
    """Drafts the next version of notices: for the tenants that have to be told, or for those of them that are named.

    Takes a folder (a new one is made in it for each version), whom tenants may ask, and their contacts. Raises
    ConfigurationError where nobody is to be told, OutputError, LedgerError, KeyringError.
    """
    this = named(name, house)
    tenants = _meant(is_open(this), only)
    version = this.versions + 1
    folder = to / f"{_name(name)}-v{version}"
    notices = {tenant["tenant_id"]: Notice(this, tenant, version, contact) for tenant in tenants}
    listed = {tenant: contacts.of(tenant) for tenant in notices}
    digests = _written(folder, notices, listed)

    def wants(found: Incident | None) -> Mapping[str, Any]:
        if is_open(found).versions + 1 != version:
            raise ConfigurationError("somebody else drafted notices meanwhile", hint="do it again")
        told = {tenant: {"digest": digest, "to": _role(listed[tenant])} for tenant, digest in digests.items()}
        return {"version": version, "tenants": told}

    done = step(name, "drafted", wants, house, now)
    return Drafted(done, folder, version, tuple(notices), tuple(each for each in listed if not listed[each]))


def sent(name: str, house: House, now: datetime, *, only: Sequence[str] = ()) -> Incident:
    """Takes down that the last notices were sent. Raises ConfigurationError where none was drafted for one of the tenants."""

    def wants(found: Incident | None) -> Mapping[str, Any]:
        this = is_open(found)
        drafted = {each: this.notices(each) for each in only or this.affected}
        last = {each: notices[-1]["version"] for each, notices in drafted.items() if notices}
        if not last or (only and set(only) - set(last)):
            raise ConfigurationError("nothing was drafted yet", hint=f"minimize incident notice {name} --to DIR")
        return {"tenants": last}

    return step(name, "given", wants, house, now)


def _meant(this: Incident, only: Sequence[str]) -> list[Mapping[str, Any]]:
    if this.scope is None:
        raise ConfigurationError("nobody knows yet who is affected", hint=f"minimize incident scope {this.id}")
    concerned = [each for each in this.concerned if each not in this.exempt and (not only or each in only)]
    if not concerned or set(only) - set(concerned):
        raise ConfigurationError("no notice is needed", hint=f"minimize incident show {this.id}")
    return [each for each in this.scope["tenants"] if each["tenant_id"] in concerned]


def _written(folder: Path, notices: Mapping[str, Notice], listed: Mapping[str, Sequence[Contact]]) -> dict[str, str]:
    """Writes the drafts, for their owner's eyes alone; gives the digest of what each says."""
    told: dict[str, str] | None = None
    to = {
        tenant: [{"role": each.role, "name": each.name, "address": each.address} for each in some]
        for tenant, some in listed.items()
    }
    with suppress(OSError):
        with new_folder(folder, "notice") as work:
            drafts = {tenant: _draft(work, notice) for tenant, notice in notices.items()}
            _private(work / ADDRESSED, _text(to))
        told = drafts
    if told is None:
        raise OutputError("the notices cannot be written there", hint="name a folder in which you may make one")
    return told


def _draft(folder: Path, notice: Notice) -> str:
    place = _name(str(notice.tenant["tenant_id"]))
    said = _text(article33(notice))
    _private(folder / f"{place}.md", markdown(notice))
    _private(folder / f"{place}.html", html(notice))
    _private(folder / f"{place}.json", said)
    return f"sha256:{hashlib.sha256(said.encode()).hexdigest()}"


def _private(path: Path, text: str) -> None:
    write_private(path, lambda out: out.write(text))


def _text(said: Any) -> str:
    return json.dumps(said, indent=2, ensure_ascii=False) + "\n"


def _name(text: str) -> str:
    """A name as a file can have it; hashed where it cannot."""
    return text if _PLAIN.fullmatch(text) else hashlib.sha256(text.encode()).hexdigest()[:32]


def _role(contacts: Sequence[Contact]) -> str | None:
    return contacts[0].role if contacts else None
