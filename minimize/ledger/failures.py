"""What may be said of a database's error: which ledger, what kind of trouble, what to do. Never the error's own words."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DBAPIError, IntegrityError

from minimize.errors import LedgerError
from minimize.ledger.address import Address

_BY_SQLITE: Final = {
    "SQLITE_BUSY": ("is locked by another process", "wait until it is done; `fuser FILE` says who it is"),
    "SQLITE_LOCKED": ("is locked by another process", "wait until it is done; `fuser FILE` says who it is"),
    "SQLITE_CORRUPT": ("is damaged", "restore it from a backup; `minimize runs --rebuild` brings what receipts know"),
    "SQLITE_NOTADB": ("is no SQLite database, or damaged", "restore it from a backup, or name another file"),
    "SQLITE_READONLY": ("cannot be written", "see who owns it and its folder"),
    "SQLITE_PERM": ("cannot be written", "see who owns it and its folder"),
    "SQLITE_CANTOPEN": ("cannot be opened", "see whether it is there, and who owns it and its folder"),
    "SQLITE_FULL": ("cannot be written: the disk is full", "make room and run again"),
    "SQLITE_IOERR": ("cannot be read or written: the disk fails, or is full", "see the system's log"),
}
_BY_STATE: Final = {
    "42501": ("does not let this user do that", "grant it to the ledger's user"),
    "53": ("has no room left, or too many connections", "see the server's log"),
    "25006": ("cannot be written: the server is read-only", "name the primary server"),
    "55P03": ("is locked by another process", "wait until it is done"),
    "40": ("was changed by others at the same time", "run again"),
}
_UNREACHABLE: Final = ("cannot be reached", "is the server up, and the ledger's URL right?")
_TURNED_AWAY: Final = (
    "turns us away",
    "see user, password and database of the ledger's URL, and the server's pg_hba.conf",
)
_UP_AND_DOWN: Final = ("starting up", "shutting down", "in recovery", "not yet accepting")
_REFUSED: Final = ("does not take this change: it keeps what stands in it", "nothing was changed")
_UNKNOWN: Final = (
    "gave an error that has no name here",
    "see the server's log, or `sqlite3 FILE 'pragma integrity_check'`",
)


def failure(error: DBAPIError, address: Address) -> LedgerError:
    """The error to raise in the place of a database's."""
    what, hint = _said(error)
    return LedgerError(f"the ledger {address} {what}", hint=hint)


def unprepared(error: sqlite3.Error, path: Path) -> LedgerError:
    """The error to raise in the place of SQLite's own, where a file is made a ledger's."""
    what, hint = _by_name(str(getattr(error, "sqlite_errorname", "")))
    return LedgerError(f"the ledger {path} {what}", hint=hint)


def is_lost(error: DBAPIError) -> bool:
    """Whether the server went away, or is not up (yet): another try may work."""
    if _sqlite(error) or _is_turned_away(error):
        return False
    return error.connection_invalidated or _state(error)[:3] in ("", "57P", "080")


def _said(error: DBAPIError) -> tuple[str, str]:
    if isinstance(error, IntegrityError) or _state(error) == "P0001":
        return _REFUSED
    if is_lost(error):
        return _UNREACHABLE
    if _is_turned_away(error):
        return _TURNED_AWAY
    name = _sqlite(error)
    for state, said in _BY_STATE.items():
        if not name and _state(error).startswith(state):
            return said
    return _by_name(name)


def _by_name(name: str) -> tuple[str, str]:
    return next((said for known, said in _BY_SQLITE.items() if name.startswith(known)), _UNKNOWN)


def _sqlite(error: DBAPIError) -> str:
    """SQLite's name of the error; empty where it is another database's."""
    return str(getattr(error.orig, "sqlite_errorname", ""))


def _state(error: DBAPIError) -> str:
    """The SQLSTATE, where the server gave one."""
    return str(getattr(error.orig, "sqlstate", None) or "")


def _is_turned_away(error: DBAPIError) -> bool:
    """Whether the server is up and does not let us in: for that the driver has no code, only the server's words."""
    said = "" if _state(error) or _sqlite(error) else str(error.orig)
    return "FATAL" in said and not any(words in said for words in _UP_AND_DOWN)
