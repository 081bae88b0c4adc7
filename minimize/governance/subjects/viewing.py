"""`subject view`: what is held of somebody, where, in which form, since when and until when, and with whom it was shared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from minimize.errors import LedgerError
from minimize.governance.subjects.asked import Subject
from minimize.governance.subjects.finding import Blind, Held, Search
from minimize.governance.subjects.outputs import Unreached, outputs
from minimize.governance.subjects.shared import Shared, acts, shared
from minimize.ledger.ledger import Ledger
from minimize.ledger.tenants import tenants_named
from minimize.receipt import time_text
from minimize.stores import Anywhere
from minimize.switching import House

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class View:
    """What is held of one subject.

    blind      files in which nobody can be looked for by this identifier, and why
    unreached  outputs that cannot be looked at from here
    """

    subject: Subject
    at: datetime
    held: tuple[Held, ...] = field(default=(), repr=False)
    blind: tuple[Blind, ...] = ()
    unreached: tuple[Unreached, ...] = ()
    shared: tuple[Shared, ...] = ()

    @property
    def rows(self) -> int:
        """How many records."""
        return sum(each.rows.num_rows for each in self.held)

    def as_json(self, rows: int = 0) -> dict[str, Any]:
        """The view; with so many records of each file, the last ones, as they stand."""
        subject, of = self.subject, [told(each, rows) for each in self.held]
        return {
            "subject": {"id": subject.id, "tenant_id": subject.tenant, "field": subject.field},
            "at": time_text(self.at),
            "rows": self.rows,
            "held": of,
            "shared": [each.as_json() for each in self.shared],
            "not_searched": [
                {"output": str(each.output.folder), "file": each.file.path, "why": each.why} for each in self.blind
            ],
            "not_reached": [
                {"output": each.folder, "pipeline": each.pipeline, "why": each.why} for each in self.unreached
            ],
        }


def view(
    subjects: Sequence[Subject], house: House, at: datetime, *, named: Sequence[Anywhere] = ()
) -> tuple[View, ...]:
    """What is held of these subjects, in every output that the ledger knows and in those that are named.

    Takes where the ledger and the keyring are (a ledger need not be there where outputs are named) and the time. Raises
    KeyringError, LedgerError, OutputError.
    """
    keys = house.keyring()
    with ledger_of(house, needed=not named) as ledger:
        found, missed = outputs(ledger, named)
        known = tenants_named(ledger)
        return tuple(_view(each, Search(each, keys, known), found, missed, ledger, at) for each in subjects)


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


def _view(
    subject: Subject,
    search: Search,
    found: Sequence[Any],
    missed: Sequence[Unreached],
    ledger: Ledger | None,
    at: datetime,
) -> View:
    each = list(search.over(found))
    held = tuple(one for one in each if isinstance(one, Held))
    forms = frozenset(form for one in held for form in one.forms)
    sent = () if ledger is None else tuple(shared(acts(ledger), subject, search.tenants, search.keys, forms))
    return View(subject, at, held, tuple(one for one in each if isinstance(one, Blind)), tuple(missed), sent)


def _moment(microseconds: int | None) -> str | None:
    return None if microseconds is None else time_text(EPOCH + timedelta(microseconds=microseconds))


def _keeps(newest: int | None, retention: timedelta | None) -> str | None:
    """Until when the youngest of these records may be kept."""
    if newest is None or retention is None:
        return None
    return time_text(EPOCH + timedelta(microseconds=newest) + retention)
