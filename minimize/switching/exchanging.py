"""Settings brought into the ledger from a file, and taken out into one."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from minimize.io.durable import write_private
from minimize.keys import Keyring
from minimize.ledger import Change, Resource, actor_of
from minimize.ledger.tokens import subject_token, version_in
from minimize.receipt import time_text
from minimize.settings import SCHEMA, SettingsRows
from minimize.settings.csv import from_file
from minimize.settings.faults import ahead
from minimize.switching.changing import event_of
from minimize.switching.house import House, PathLike

if TYPE_CHECKING:
    from minimize.ledger.settings import Recorded


def import_settings(file: PathLike, house: House, now: datetime) -> int:
    """Brings the rows of a settings file (CSV, Parquet) into the ledger; those that are there already are passed over.

    Gives how many were new. Subjects become tokens. Raises PolicyError with every faulty row, those recorded in the future too.
    """
    from minimize.ledger.settings import record

    given = from_file(Path(file), tokens=True)
    keys = house.keyring()
    rows = [_recorded(row, keys) for row in given.table.to_pylist()]
    _check_past(rows, given, now)
    resource = Resource("import", "settings", "settings/import", (Change("digest", None, given.digest),))
    with house.opened(create=True) as ledger:
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


def _recorded(row: dict[str, Any], keys: Keyring) -> Recorded:
    from minimize.ledger.settings import Recorded

    subject = row["subject"]
    if subject is not None and version_in(subject) is None:
        row = {**row, "subject": subject_token(keys, row["tenant_id"], subject)}
    return Recorded(**row)


def _check_past(rows: Sequence[Recorded], given: SettingsRows, now: datetime) -> None:
    lines = given.lines if given.lines is not None else range(1, len(rows) + 1)
    late = [line for row, line in zip(rows, lines, strict=True) if row.recorded_at > now]
    if late:
        raise ahead(late, given.file)


def _line(row: Recorded) -> tuple[str, ...]:
    times = (time_text(row.valid_from), time_text(row.recorded_at))
    return (row.tenant_id, row.subject or "", row.setting, row.value, row.holder, *times)
