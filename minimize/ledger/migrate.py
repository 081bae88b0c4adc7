"""A ledger's version, and the steps to the newest. The steps run in one transaction, one process at a time."""

from __future__ import annotations

import io
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, String, column, inspect, select, table

from minimize.errors import LedgerError

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER: Final = Path(__file__).parent / "migrations"
TABLE: Final = "alembic_version"
NONE: Final = "0000"
_ALONE: Final = threading.Lock()
"""Alembic keeps what it works on in its module, so that two threads would mix theirs up."""
_FILE: Final = re.compile(r"v(\d{4})_\w+\.py")


def newest() -> str:
    """The version that this code wants."""
    found = (_FILE.fullmatch(path.name) for path in (FOLDER / "versions").iterdir())
    return max((match[1] for match in found if match), default=NONE)


def version_of(connection: Connection) -> str | None:
    """The version of a ledger; `0000` of an empty database, None where something else stands in it."""
    tables = inspect(connection).get_table_names()
    if TABLE not in tables:
        return None if tables and connection.dialect.name == "sqlite" else NONE
    return connection.execute(select(column("version_num", String)).select_from(table(TABLE))).scalar() or NONE


def is_current(version: str | None, place: str) -> bool:
    """Whether a ledger of this version needs no step. Raises LedgerError where it is too new, or none."""
    if version is None:
        raise LedgerError(f"{place} is a database, but no ledger", hint="name another file")
    if version > newest():
        hint = "update minimize; a ledger is not taken back to an older version"
        raise LedgerError(f"the ledger {place} was written by a newer version of minimize", hint=hint)
    return version == newest()


def upgrade(connection: Connection, version: str = "head") -> None:
    """Brings the ledger to a version, in the connection's transaction."""
    from alembic import command

    with _ALONE:
        command.upgrade(_config(connection), version)


def downgrade(connection: Connection, version: str) -> None:
    """Takes the ledger back to an older version (`base` is none at all), in the connection's transaction."""
    from alembic import command

    with _ALONE:
        command.downgrade(_config(connection), version)


def check(connection: Connection) -> None:
    """Raises alembic's CommandError where migrations and tables disagree."""
    from alembic import command

    with _ALONE:
        command.check(_config(connection))


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
