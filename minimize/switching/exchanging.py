"""Settings brought into the ledger from a file, and taken out into one."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from minimize.io.durable import write_private
from minimize.keys import Keyring
from minimize.ledger import Change, Resource, actor_of
from minimize.ledger.tokens import known_token, secrets_of, subject_token, version_in, versions_in
from minimize.receipt import time_text
from minimize.settings import SCHEMA, SettingsRows
from minimize.settings.faults import ahead
from minimize.settings.files import from_file
from minimize.switching.changing import event_of
from minimize.switching.house import House, PathLike

if TYPE_CHECKING:
    from minimize.ledger.settings import Recorded


def import_settings(file: PathLike, house: House, now: datetime) -> int:
    """Brings the rows of a settings file (CSV, Parquet) into the ledger; those that are there already are passed over.

    Gives how many were new. Subjects become tokens. Raises PolicyError with every faulty row, those recorded in the future too.
    """
    from minimize.ledger.settings import record, recorded

    given = from_file(Path(file), tokens=True)
    keys = house.keyring()
    _check_past(given, now)
    resource = Resource("import", "settings", "settings/import", (Change("digest", None, given.digest),))
    with house.opened(create=True) as ledger:
        rows = _tokened(given, _known(given, recorded(ledger)), keys)
        return record(ledger, rows, event_of("import", actor_of(), now, resource), keys)[0]


def export_settings(file: PathLike, house: House) -> int:
    """Writes every row of the ledger to a new CSV file that only its owner can read; subjects stay tokens. Gives how many.

    Raises OutputError where the file is there.
    """
    from minimize.ledger.settings import recorded

    with house.opened() as ledger:
        rows = recorded(ledger)

    def fill(out: TextIO) -> int:
        writer = csv.writer(out)
        writer.writerow(SCHEMA.names)
        writer.writerows(_line(row) for row in rows)
        return len(rows)

    return write_private(Path(file), fill)


def _known(given: SettingsRows, rows: Sequence[Recorded]) -> dict[str, set[str]]:
    """Per tenant the tokens that stand in the ledger, or are brought."""
    pairs = given.table.select(["tenant_id", "subject"]).to_pylist()
    brought = [(pair["tenant_id"], pair["subject"]) for pair in pairs if version_in(pair["subject"] or "") is not None]
    known: dict[str, set[str]] = {}
    for tenant, token in (*((row.tenant_id, row.subject) for row in rows if row.subject), *brought):
        known.setdefault(tenant, set()).add(token)
    return known


def _tokened(given: SettingsRows, known: Mapping[str, set[str]], keys: Keyring) -> list[Recorded]:
    """The rows with subjects as tokens; each subject is looked up once."""
    from minimize.ledger.settings import Recorded

    secrets = secrets_of(keys, versions_in(token for tokens in known.values() for token in tokens))

    @cache
    def token(tenant: str, subject: str) -> str:
        if version_in(subject) is not None:
            return subject
        found = known_token(secrets, tenant, subject, known.get(tenant, ()))
        return subject_token(keys, tenant, subject) if found is None else found

    return [
        Recorded(**row | {"subject": None if row["subject"] is None else token(row["tenant_id"], row["subject"])})
        for row in given.table.to_pylist()
    ]


def _check_past(given: SettingsRows, now: datetime) -> None:
    times = given.table["recorded_at"].to_pylist()
    lines = given.lines if given.lines is not None else range(1, len(times) + 1)
    late = [line for time, line in zip(times, lines, strict=True) if time > now]
    if late:
        raise ahead(late, given.file)


def _line(row: Recorded) -> tuple[str, ...]:
    times = (time_text(row.valid_from), time_text(row.recorded_at))
    return (row.tenant_id, row.subject or "", row.setting, row.value, row.holder, *times)
