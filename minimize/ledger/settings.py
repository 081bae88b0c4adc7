"""Collection settings in the ledger: recorded and read back, with one digest over all rows in each entry of the audit log.

The digest shows rows that were added or removed without the log, whichever entries still exist.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Self

from sqlalchemy import Connection, insert, select

from minimize.errors import Finding
from minimize.keys.cryptography import Signer
from minimize.ledger.audit_event import AuditEvent, PropertyChange, Resource, audit_finding, utc_text
from minimize.ledger.audit_log import EntryFilter, LogHead, append_event, entry_event, last_checkpoint, latest_entries
from minimize.ledger.database import lock_ledger
from minimize.ledger.ledger import Ledger
from minimize.ledger.tables import SETTINGS

_SETTINGS_RESOURCE: Final = "settings"


@dataclass(frozen=True, slots=True)
class SettingsDigest:
    """A number of rows, and the chained digest over the digests of the rows."""

    rows: int = 0
    digest: str = ""

    def extend(self, digests: Iterable[str]) -> Self:
        """The digest extended by more rows, given by their digests."""
        rows, all_of_them = self.rows, self.digest
        for digest in digests:
            rows, all_of_them = rows + 1, hashlib.sha256((all_of_them + digest).encode()).hexdigest()
        return replace(self, rows=rows, digest=all_of_them)


def with_settings_digest(
    connection: Connection, event: AuditEvent, digests: Iterator[str], new: list[str]
) -> AuditEvent:
    """The event of a change, with the digest over all rows: those that the log records (else all existing ones), and new ones."""
    before = _last_settings_digest(connection) or SettingsDigest().extend(digests)
    after = before.extend(new)
    changes = (
        PropertyChange("rows", before.rows, after.rows),
        PropertyChange("digest", before.digest or None, after.digest),
    )
    return replace(
        event,
        resources=(*event.resources, Resource(_SETTINGS_RESOURCE, _SETTINGS_RESOURCE, _SETTINGS_RESOURCE, changes)),
    )


def check_settings_digest(connection: Connection, digests: Iterable[str]) -> Iterator[Finding]:
    """H017: compares the existing rows, by their digests, with the digest that the log recorded last."""
    recorded, there = _last_settings_digest(connection), list(digests)
    if recorded is None:
        if (
            there
            and not latest_entries(connection, EntryFilter(activity=_SETTINGS_RESOURCE), 1)
            and last_checkpoint(connection) is None
        ):
            yield audit_finding("H017", f"{len(there)} rows, but the log records none", file=_SETTINGS_RESOURCE)
    elif recorded != SettingsDigest().extend(there[: recorded.rows]):
        yield audit_finding("H017", "the rows differ from those that the log records", file=_SETTINGS_RESOURCE)
    elif len(there) > recorded.rows:
        yield audit_finding(
            "H017", f"{len(there) - recorded.rows} rows are not recorded in the log", file=_SETTINGS_RESOURCE
        )


def _last_settings_digest(connection: Connection) -> SettingsDigest | None:
    """The digest that the last change recorded; None for a change of an older version, which recorded none."""
    for entry in latest_entries(connection, EntryFilter(activity=_SETTINGS_RESOURCE, result="success"), 1):
        for resource in entry_event(entry)["resources"]:
            if resource["id"] == _SETTINGS_RESOURCE:
                new: dict[str, Any] = {change["name"]: change["new"] for change in resource["changed_properties"]}
                return SettingsDigest(new["rows"], new["digest"])
    return None


DIGESTS_PER_QUERY: Final = 1_000


@dataclass(frozen=True, slots=True)
class RecordedSetting:
    """One recorded setting. `subject` is a token; None for a whole tenant."""

    tenant_id: str
    subject: str | None
    setting: str
    value: str
    holder: str
    valid_from: datetime
    recorded_at: datetime

    @property
    def digest(self) -> str:
        """The digest of the content of the row; equal rows have equal digests."""
        times = (utc_text(self.valid_from), utc_text(self.recorded_at))
        words = [self.tenant_id, self.subject or "", self.setting, self.value, self.holder, *times]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def record_settings(
    ledger: Ledger, rows: Sequence[RecordedSetting], event: AuditEvent, signer: Signer
) -> tuple[int, LogHead | None]:
    """Records rows and their audit event in one transaction. Existing rows are skipped.

    Returns the number of new rows, and the head of the log (None if there were no new rows).
    """

    def work(connection: Connection) -> tuple[int, LogHead | None]:
        lock_ledger(connection)
        known = _known_digests(connection, [row.digest for row in rows])
        new = {row.digest: row for row in rows if row.digest not in known}
        if not new:
            return 0, None
        saying = with_settings_digest(connection, event, setting_digests(connection), list(new))
        connection.execute(insert(SETTINGS), [_row_values(row) for row in new.values()])
        return len(new), append_event(connection, saying, signer)

    return ledger.write(work)


def read_settings(ledger: Ledger) -> list[RecordedSetting]:
    """All rows, in the order of recording."""
    return ledger.read(lambda connection: list(_select_settings(connection)))


def setting_digests(connection: Connection) -> Iterator[str]:
    """The digest of the present content of each row, in the same order."""
    return (row.digest for row in _select_settings(connection))


def _select_settings(connection: Connection) -> Iterator[RecordedSetting]:
    columns = [column for column in SETTINGS.c if column.name not in ("id", "digest")]
    for row in connection.execute(select(*columns).order_by(SETTINGS.c.id)):
        yield RecordedSetting(row.tenant_id, row.subject or None, *row[2:])


def _row_values(row: RecordedSetting) -> dict[str, object]:
    return {
        "tenant_id": row.tenant_id,
        "subject": row.subject or "",
        "setting": row.setting,
        "value": row.value,
        "holder": row.holder,
        "valid_from": row.valid_from,
        "recorded_at": row.recorded_at,
        "digest": row.digest,
    }


def _known_digests(connection: Connection, digests: Sequence[str]) -> set[str]:
    return {
        digest
        for page in _pages(digests)
        for digest in connection.scalars(select(SETTINGS.c.digest).where(SETTINGS.c.digest.in_(page)))
    }


def _pages(digests: Sequence[str]) -> Iterator[Iterable[str]]:
    return (digests[at : at + DIGESTS_PER_QUERY] for at in range(0, len(digests), DIGESTS_PER_QUERY))
