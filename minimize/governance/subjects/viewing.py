"""`subject view`: what is held of somebody, where, in which form, since when and until when, and with whom it was shared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from minimize.errors import LedgerError
from minimize.governance.subjects.asked import Subject
from minimize.governance.subjects.finding import Blind, Held, Search
from minimize.governance.subjects.linked import linked_to
from minimize.governance.subjects.meant import check_fields, unseen
from minimize.governance.subjects.outputs import Output, Unreached, outputs
from minimize.governance.subjects.requests import SHORT, begun
from minimize.governance.subjects.shared import Shared, acts, shared
from minimize.keys import Keyring
from minimize.ledger.ledger import Ledger
from minimize.ledger.tenants import tenants_named
from minimize.receipt import time_text
from minimize.stores import Anywhere
from minimize.switching import House

if TYPE_CHECKING:
    from minimize.ledger.requests import Request

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class View:
    """What is held of one subject.

    blind      files in which nobody can be looked for by this identifier, and why
    unreached  outputs that cannot be looked at from here
    groups     row groups of the files that were looked at; `read` those that had to be
    is_unseen  whether neither the ledger nor an output names the tenant
    erasures   requests to delete the subject that are open or failed: the records that are held are still to go
    """

    subject: Subject
    at: datetime
    held: tuple[Held, ...] = field(default=(), repr=False)
    blind: tuple[Blind, ...] = ()
    unreached: tuple[Unreached, ...] = ()
    shared: tuple[Shared, ...] = ()
    groups: int = 0
    read: int = 0
    is_unseen: bool = False
    erasures: tuple[Request, ...] = ()

    @property
    def rows(self) -> int:
        """How many records."""
        return sum(each.rows.num_rows for each in self.held)

    def as_json(self, rows: int = 0) -> dict[str, Any]:
        """The view; with so many records of each file, the last ones, as they stand."""
        subject, of = self.subject, [told(each, rows) for each in self.held]
        return {
            "subject": {
                "id": subject.id,
                "tenant_id": subject.tenant,
                "field": subject.field,
                **({"is_form": True} if subject.is_form else {}),
            },
            "at": time_text(self.at),
            "rows": self.rows,
            "row_groups": {"all": self.groups, "read": self.read},
            "tenant_is_unseen": self.is_unseen,
            "held": of,
            "shared": [each.as_json() for each in self.shared],
            **({"to_be_deleted": self._to_be_deleted()} if self.erasures else {}),
            "not_searched": [
                {"output": str(each.output.folder), "file": each.file.path, "why": each.why} for each in self.blind
            ],
            "not_reached": [
                {"output": each.folder, "pipeline": each.pipeline, "why": each.why} for each in self.unreached
            ],
        }

    def _to_be_deleted(self) -> list[dict[str, Any]]:
        return [
            {"request": each.id[:SHORT], "asked_at": time_text(each.asked_at), "state": each.state, "rows": self.rows}
            for each in self.erasures
        ]


def view(
    subjects: Sequence[Subject],
    house: House,
    at: datetime,
    *,
    named: Sequence[Anywhere] = (),
    linked: bool = False,
) -> tuple[View, ...]:
    """What is held of these subjects, in every output that the ledger knows and in those that are named.

    Takes where the ledger and the keyring are (a ledger need not be there where outputs are named) and the time; `linked` adds
    records of their devices in files that do not tell whose they are. Raises KeyringError, LedgerError, OutputError, and
    ConfigurationError for a field that no policy has.
    """
    keys = house.keyring()
    with ledger_of(house, needed=not named) as ledger:
        found, missed = outputs(ledger, named)
        check_fields(subjects, found)
        looking = _Looking(found, missed, ledger, at, keys, tenants_named(ledger), linked)
        return tuple(map(looking.view, subjects))


def told(each: Held, rows: int = 0) -> dict[str, Any]:
    """What a file holds of a subject: where, since when, until when, each field with its form, and its last records."""
    policy, receipt = each.written.policy, each.written.receipt
    forms = {name: said.did if isinstance(said.did, str) else list(said.did) for name, said in receipt.fields.items()}
    return {
        "pipeline": receipt.pipeline,
        "output": str(each.output.folder),
        "file": each.file.path,
        "date": each.date,
        "purpose": receipt.purpose,
        "policy": {"name": receipt.policy.name, "version": receipt.policy.version},
        "collected_by": receipt.run_id,
        "found_by": each.key,
        "category": receipt.outputs["records"].category,
        "rows": each.rows.num_rows,
        "since": _moment(each.since),
        "to": _moment(each.until),
        "until": _keeps(each.until, policy.retention),
        "fields": {name: form for name, form in forms.items() if form != "drop"},
        "beside": {name: len(found) for name, found in each.beside.items()},
        "records": each.rows.slice(max(0, each.rows.num_rows - rows)).to_pylist(),
    }


@contextmanager
def ledger_of(house: House, *, needed: bool) -> Iterator[Ledger | None]:
    """The ledger, open; None where there is none and none is needed. Raises LedgerError."""
    found: Ledger | None = None
    with suppress(*(() if needed or house.ledger is not None else (LedgerError,))):
        found = house.opened()
    try:
        yield found
    finally:
        if found is not None:
            found.close()


@dataclass(frozen=True)
class _Looking:
    found: Sequence[Output]
    missed: Sequence[Unreached]
    ledger: Ledger | None
    at: datetime
    keys: Keyring = field(repr=False)
    known: frozenset[str] = field(repr=False)
    linked: bool = False

    def view(self, subject: Subject) -> View:
        """What is held of one subject."""
        search = Search(subject, self.keys, self.known)
        looks = list(search.looks(self.found))
        held = [each.found for each in looks if isinstance(each.found, Held)]
        held += linked_to(held, self.found, self.keys) if self.linked else []
        forms = frozenset(form for one in held for form in one.subjects)
        told = () if self.ledger is None else acts(self.ledger)
        return View(
            subject,
            self.at,
            tuple(held),
            tuple(each.found for each in looks if isinstance(each.found, Blind)),
            tuple(self.missed),
            tuple(shared(told, subject, self._tenants(subject, held), self.keys, forms)),
            sum(each.groups for each in looks),
            sum(each.read for each in looks),
            not held and self._is_unseen(subject),
            self._erasures(subject, held),
        )

    def _erasures(self, subject: Subject, held: Sequence[Held]) -> tuple[Request, ...]:
        """The requests to delete him that are not done."""
        if self.ledger is None or subject.is_form:
            return ()
        tenants = [subject.tenant] if subject.tenant is not None else sorted(self._tenants(subject, held))
        whose = [replace(subject, tenant=tenant) for tenant in tenants]
        return tuple(begun(self.ledger, self.keys, "delete", whose).values())

    def _tenants(self, subject: Subject, held: Sequence[Held]) -> frozenset[str]:
        """The tenants whose disclosures may name him."""
        return self.known.union(*(each.tenants for each in held)) if subject.tenant is None else frozenset()

    def _is_unseen(self, subject: Subject) -> bool:
        tenant = subject.tenant
        return tenant is not None and tenant not in self.known and bool(unseen([tenant], self.found, self.keys))


def _moment(microseconds: int | None) -> str | None:
    return None if microseconds is None else time_text(EPOCH + timedelta(microseconds=microseconds))


def _keeps(newest: int | None, retention: timedelta | None) -> str | None:
    """Until when the youngest of these records may be kept."""
    if newest is None or retention is None:
        return None
    return time_text(EPOCH + timedelta(microseconds=newest) + retention)
