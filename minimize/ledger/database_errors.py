"""Errors of the database of a ledger as LedgerError."""

from __future__ import annotations

import sqlite3
from typing import Final

from minimize.errors import LedgerError

_CHANGE_REFUSED: Final = ("refuses the change: recorded rows cannot be changed or removed", "Nothing was changed.")
_SQLITE_ERRORS: Final = {
    "SQLITE_CONSTRAINT": _CHANGE_REFUSED,
    "SQLITE_MISMATCH": _CHANGE_REFUSED,
    "SQLITE_BUSY": ("is locked by another process", "Wait until it has finished. `fuser FILE` shows the process."),
    "SQLITE_LOCKED": ("is locked by another process", "Wait until it has finished. `fuser FILE` shows the process."),
    "SQLITE_CORRUPT": ("is damaged", "Restore a backup, then run `minimize runs --rebuild` to add newer receipts."),
    "SQLITE_NOTADB": ("is damaged or not an SQLite database", "Restore a backup, or pass another file."),
    "SQLITE_READONLY": ("cannot be written", "Check the owner and permissions of the file and its folder."),
    "SQLITE_PERM": ("cannot be written", "Check the owner and permissions of the file and its folder."),
    "SQLITE_CANTOPEN": (
        "cannot be opened",
        "Check that the file exists, and the owner and permissions of the file and its folder.",
    ),
    "SQLITE_FULL": ("cannot be written: the disk is full", "Free disk space and run again."),
    "SQLITE_IOERR": ("cannot be read or written: the disk is failing or full", "Check the system log."),
}
_POSTGRES_ERRORS: Final = {
    "P0001": _CHANGE_REFUSED,  # raised by a trigger
    "23": _CHANGE_REFUSED,
    "42501": (
        "does not permit this operation for the user",
        "Grant the permission to the database user of the ledger.",
    ),
    "53": ("is out of disk space or has too many connections", "Check the log of the database server."),
    "25006": ("cannot be written: the server is read-only", "Use the primary server."),
    "55P03": ("is locked by another process", "Wait until it has finished."),
    "40": ("was changed by another process at the same time", "Run again."),
}
_UNREACHABLE: Final = ("cannot be reached", "Check that the server is running and the URL of the ledger is correct.")
_LOGIN_REFUSED: Final = (
    "refuses the login",
    "Check user, password and database in the URL of the ledger, and pg_hba.conf of the server.",
)
_STARTING_OR_STOPPING: Final = ("starting up", "shutting down", "in recovery", "not yet accepting")
_UNKNOWN_ERROR: Final = (
    "reported an unknown error",
    "Check the log of the database server, or run `sqlite3 FILE 'pragma integrity_check'`.",
)


def database_error(error: Exception, place: object) -> LedgerError:
    """The LedgerError for an error of the driver. Takes the address of the ledger or the path of its file."""
    what, hint = _describe_error(error)
    return LedgerError(f"the ledger {place} {what}", hint=hint)


def is_connection_lost(error: Exception) -> bool:
    """Whether the server closed the connection or is not running yet: a retry may work."""
    if isinstance(error, sqlite3.Error) or _is_login_refused(error):
        return False
    state = _sqlstate(error)
    return not state or state.startswith(("57P", "080", "25P03"))


def _describe_error(error: Exception) -> tuple[str, str]:
    if is_connection_lost(error):
        return _UNREACHABLE
    if _is_login_refused(error):
        return _LOGIN_REFUSED
    is_sqlite = isinstance(error, sqlite3.Error)
    known, code = (
        (_SQLITE_ERRORS, getattr(error, "sqlite_errorname", "")) if is_sqlite else (_POSTGRES_ERRORS, _sqlstate(error))
    )
    return next((found for start, found in known.items() if code.startswith(start)), _UNKNOWN_ERROR)


def _sqlstate(error: Exception) -> str:
    """The SQLSTATE, or an empty text if the server sent none."""
    return str(getattr(error, "sqlstate", None) or "")


def _is_login_refused(error: Exception) -> bool:
    """Whether the server refused the login. The driver has no code for this, only the message of the server."""
    message = "" if _sqlstate(error) else str(error)
    return "FATAL" in message and not any(words in message for words in _STARTING_OR_STOPPING)
