"""The database of a ledger: statements, rows, transactions, and the connections that are not in use.

A statement is SQL that SQLite and PostgreSQL both understand, with parameters `:name`. A time is stored as text of fixed width,
and a collection is the right side of `IN`.

Address of the ledger: a flag, then `MINIMIZE_LEDGER`, then `ledger:` of `minimize.yaml`, then a file in the output folder.

`minimize.yaml` is searched upwards from the folder of the pipeline or of the output, not from the current folder.

Errors of the database of a ledger as LedgerError.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Semaphore
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from minimize.checkpoints import checkpoint
from minimize.config import Config
from minimize.config_search import load_config
from minimize.errors import LedgerError
from minimize.ledger.audit_event import utc_text
from minimize.stores import LocationLike, PathText, local_path

LEDGER_VARIABLE: Final = "MINIMIZE_LEDGER"
LEDGER_FILE: Final = "ledger.db"
PASSED_LEDGER: Final = "the argument"
"""What names a ledger that was passed, for messages."""
DEFAULT_LEDGER: Final = "the default"
"""What names the ledger of an output for which no ledger is configured, for messages."""
_SQLITE: Final = "sqlite:///"
_POSTGRES: Final = ("postgres", "postgresql", "postgresql+psycopg")


@dataclass(frozen=True, slots=True)
class Address:
    """A ledger's place: a file, or a PostgreSQL database by its URL."""

    path: Path | None
    """The file; None for a server."""
    url: str | None = field(default=None, repr=False)
    """The URL of the server. It may contain a password and is never printed."""
    named_by: str = PASSED_LEDGER
    """The setting that named the ledger, for messages."""

    def __str__(self) -> str:
        return str(self.path) if self.url is None else _redacted_url(self.url)

    @property
    def exists(self) -> bool:
        """Whether the file exists; always true for a server, which is not contacted."""
        return self.path is None or os.path.lexists(self.path)

    def is_same(self, address: Address | None) -> bool:
        """Whether another address is the same place, also through symbolic links."""
        if address is None or self.path is None or address.path is None:
            return address is not None and (self.path, self.url) == (address.path, address.url)
        return self.path.resolve() == address.path.resolve()


def parse_address(text: PathText, named_by: str, base: Path | None = None) -> Address:
    """The address of a path or URL. A path is relative to `base` (default: the current folder). Raises LedgerError.

    >>> str(parse_address("postgresql://ann:secret@db.example:5432/ledger?sslpassword=x", "a test"))
    'postgresql://ann@db.example:5432/ledger'
    """
    location = os.fspath(text)
    if "://" not in location:
        return _file_address(location, named_by, base)
    if location.startswith(_SQLITE) and "?" not in location:
        return _file_address(location.removeprefix(_SQLITE), named_by, base)
    scheme = location.partition("://")[0]
    if scheme not in _POSTGRES:
        hint = "Use a path, sqlite:///PATH, or postgresql+psycopg://USER@HOST/DATABASE."
        raise LedgerError(f"the URL of the ledger ({named_by}) is not supported", hint=hint)
    return Address(None, f"postgresql://{location.partition('://')[2]}", named_by)


def find_ledger(
    explicit: PathText | None = None,
    *,
    start: LocationLike | Config | None = None,
    output: LocationLike | None = None,
    environ: Mapping[str, str] | None = None,
) -> Address:
    """The address of the ledger in force.

    Takes the value of a flag or argument, the configuration or the folder from which it is searched, the output folder that may
    contain its own ledger, and the environment (default: that of the process). Raises LedgerError if no ledger is configured.
    """
    if explicit:
        return parse_address(explicit, PASSED_LEDGER)
    named = (os.environ if environ is None else environ).get(LEDGER_VARIABLE)
    if named:
        return parse_address(named, LEDGER_VARIABLE)
    place = start if isinstance(start, Config) else local_path(start) or local_path(output)
    config = load_config(place).checked("ledger", LedgerError)
    if config.ledger:
        return parse_address(config.ledger, str(config.path), config.folder)
    folder = local_path(output)
    if folder is not None:
        return Address(Path(os.path.abspath(folder)) / LEDGER_FILE, named_by=DEFAULT_LEDGER)
    places = f"{LEDGER_VARIABLE} is not set, and {config.path or 'minimize.yaml (not found)'} has no `ledger:`"
    if output is not None:
        message = f"no ledger is configured for the output in an object store: {places}"
        raise LedgerError(
            message, hint="Pass --ledger PATH_OR_URL, or set MINIMIZE_LEDGER or `ledger:` in minimize.yaml."
        )
    raise LedgerError(
        f"no ledger is configured: {places}",
        hint="Pass --ledger PATH_OR_URL, or an output folder that contains a ledger.",
    )


def _file_address(text: str, named_by: str, base: Path | None) -> Address:
    if not text or "\0" in text:
        raise LedgerError(f"the path of the ledger ({named_by}) is empty or invalid", hint="Pass the path of a file.")
    return Address(Path(os.path.abspath((base or Path.cwd()) / Path(text).expanduser())), named_by=named_by)


def _redacted_url(url: str) -> str:
    """A URL without password and options."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    except ValueError:
        return "a PostgreSQL database"
    user = f"{parts.username}@" if parts.username else ""
    return f"postgresql://{user}{host}{port}{parts.path}"


Dialect = Literal["sqlite", "postgresql"]
Row = dict[str, Any]
"""The values of a row, by column."""
TIME_COLUMNS: Final = frozenset(
    ("at", "beat_at", "before", "finished", "latest", "recorded_at", "since", "started", "time", "valid_from")
)
"""The columns of all tables that contain a time in UTC, as text that sorts and compares in time order on every database."""
ADVISORY_LOCK: Final = 0x6D696E696D697A65
"""Number of the advisory lock in PostgreSQL for work that one process may do at a time ("minimize" in ASCII)."""
MOST_CONNECTIONS: Final = 15
"""The number of connections to a ledger that a process uses at the same time."""
_MARK: Final[dict[Dialect, str]] = {"sqlite": "?", "postgresql": "%s"}
"""A parameter by its position. SQLite takes quadratic time for many names."""
_WRITES: Final[dict[Dialect, str]] = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN"}
"""SQLite takes its lock at once in a transaction that will write, not at the first change."""
_READS: Final[dict[Dialect, str]] = {"sqlite": "BEGIN", "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ"}
"""All queries of a transaction that only reads see the same state: acts are read in the state in which they were proven."""
_PARAMETER: Final = re.compile(r":(\w+)")
_UTC_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):\d\d:\d\d\.\d{6}Z", re.ASCII)
_PRAGMAS: Final = (
    "foreign_keys = ON",
    "synchronous = FULL",
    "recursive_triggers = ON",
    "trusted_schema = OFF",
    "secure_delete = ON",  # also when pages are split, or removed content would stay in the file
)


class Connection(NamedTuple):
    """A connection in a transaction, and the kind of its database."""

    driver: Any
    dialect: Dialect

    def execute(self, statement: str, **values: Any) -> int:
        """Executes a statement. Returns the number of changed rows."""
        return int(self._cursor(statement, values).rowcount)

    def rows(self, statement: str, **values: Any) -> list[Row]:
        """The rows of a query. Raises LedgerError for a time that cannot be read."""
        cursor = self._cursor(statement, values)
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        for name in TIME_COLUMNS.intersection(names):
            for row in rows:
                row[name] = _time_from_text(row[name])
        return rows

    def tuples(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query as tuples, with times as text."""
        rows: list[tuple[Any, ...]] = self._cursor(statement, values).fetchall()
        return rows

    def row(self, statement: str, **values: Any) -> Row | None:
        """The first row of a query; None if there is none."""
        return next(iter(self.rows(statement, **values)), None)

    def column(self, statement: str, **values: Any) -> list[Any]:
        """The first column of a query."""
        return [value for value, *_ in self._cursor(statement, values).fetchall()]

    def value(self, statement: str, **values: Any) -> Any:
        """The first value of a query; None if there is no row."""
        return next(iter(self.column(statement, **values)), None)

    def insert(self, table: str, *rows: Row) -> None:
        """Inserts rows, all with the same columns."""
        names, marks = ", ".join(rows[0]), ", ".join([_MARK[self.dialect]] * len(rows[0]))
        values = [[_stored_value(row[name]) for name in rows[0]] for row in rows]
        self.driver.cursor().executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)  # noqa: S608

    def lock(self) -> None:
        """Locks out other writers until the transaction ends. SQLite permits only one writer anyway."""
        if self.dialect == "postgresql":
            self.value("SELECT pg_advisory_xact_lock(:number)", number=ADVISORY_LOCK)

    def table_names(self) -> list[str]:
        """The names of all tables."""
        return self.column(_TABLE_NAMES[self.dialect])

    def _cursor(self, statement: str, values: Row) -> Any:
        checkpoint("ledger.statement", statement)
        if not values:
            return self.driver.execute(statement)
        bound, mark = list[Any](), _MARK[self.dialect]

        def bind(match: re.Match[str]) -> str:
            value = values[match[1]]
            if isinstance(value, str) or not isinstance(value, Collection):
                bound.append(_stored_value(value))
                return mark
            bound.extend(value)
            return f"({', '.join([mark] * len(value))})" if value else "(SELECT NULL WHERE 1 = 0)"

        return self.driver.execute(_PARAMETER.sub(bind, statement), bound)


def server_time(connection: Connection) -> datetime | None:
    """The time of the server clock; None for a file."""
    time: datetime | None = None if connection.dialect == "sqlite" else connection.value("SELECT clock_timestamp()")
    return time


def like_pattern(text: str) -> str:
    """The text as part of a pattern of `LIKE … ESCAPE '/'`, in which no character is a wildcard."""
    return re.sub("[%_/]", r"/\g<0>", text)


_TABLE_NAMES: Final[dict[Dialect, str]] = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite/_%' ESCAPE '/'",
    "postgresql": (
        "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
        " WHERE relkind IN ('r', 'p') AND pg_table_is_visible(pg_class.oid) AND nspname <> 'pg_catalog'"
    ),
}


def _stored_value(value: Any) -> Any:
    return utc_text(value) if isinstance(value, datetime) else value


def _time_from_text(text: Any) -> datetime | None:
    """The time of a text. Raises LedgerError for another text, which only a damaged or changed ledger contains.

    Another text of the same time is refused, too: it would sort differently, and a text without a zone has no fixed time.
    """
    if text is None:
        return None
    try:
        if _UTC_TIME.fullmatch(text):
            return datetime.fromisoformat(text)
    except (ValueError, TypeError):
        pass
    raise LedgerError("the ledger contains a time that cannot be read", hint="Restore a backup.")


class Database:
    """The database of a ledger. Connections are used again after a transaction that was committed.

    dialect  the kind of the database
    error    the class of the errors of its driver
    """

    def __init__(self, dialect: Dialect, error: type[Exception], connect: Callable[[], Any]) -> None:
        self.dialect: Dialect = dialect
        self.error = error
        self._connect = connect
        self._free = Semaphore(MOST_CONNECTIONS)
        self._idle = deque[Any]()

    @contextmanager
    def transaction(self, *, writes: bool) -> Iterator[Connection]:
        """A transaction. The block commits it; if it raises, the transaction is undone.

        Waits while `MOST_CONNECTIONS` other threads have a transaction, so a block begins no second one.
        """
        with self._free:
            driver = self._reused() or self._connect()
            try:
                driver.execute((_WRITES if writes else _READS)[self.dialect])
                yield Connection(driver, self.dialect)
            except BaseException:
                with contextlib.suppress(self.error):
                    driver.execute("ROLLBACK")
                driver.close()
                raise
            self._idle.append(driver)

    def empty_journal(self) -> None:
        """Empties the write-ahead log of SQLite, which contains removed rows until then.

        If another connection reads for longer than the patience of this one, the log is emptied when the last connection is
        closed.
        """
        if self.dialect == "sqlite":
            with contextlib.suppress(self.error), closing(self._connect()) as driver:
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Closes the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()

    def _reused(self) -> Any:
        """A connection that is not in use and that the server has not closed; None if there is none."""
        while self._idle:
            driver = self._idle.pop()
            try:
                driver.execute("SELECT 1")
            except self.error:
                driver.close()
            else:
                return driver
        return None


def ledger_database(address: Address, patience: float) -> Database:
    """The database of a ledger, not yet connected. `patience` is the time in seconds to wait for a lock or a server."""
    if address.path is None:
        return _postgres_database(address, patience)
    path = address.path
    return Database("sqlite", sqlite3.Error, lambda: _connect_sqlite(path, patience))


def _connect_sqlite(path: Path, patience: float) -> sqlite3.Connection:
    """`mode=rw`: opening does not create a missing file. Transactions begin explicitly."""
    uri = f"file:{quote(str(path))}?mode=rw"
    driver = sqlite3.connect(uri, uri=True, timeout=patience, isolation_level=None, check_same_thread=False)
    try:
        for pragma in _PRAGMAS:
            driver.execute(f"PRAGMA {pragma}")
    except BaseException:
        driver.close()
        raise
    return driver


def _postgres_database(address: Address, patience: float) -> Database:
    psycopg = _import_psycopg()
    url = address.url or ""
    try:
        parts = urlsplit(url)
        psycopg.conninfo.conninfo_to_dict(url, port=parts.port)
        named = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
        is_valid = len(named) == len({*named})  # the driver would use the last of several
    except (psycopg.Error, ValueError):
        is_valid = False
    if not is_valid:
        raise LedgerError(
            f"the URL of the ledger ({address.named_by}) is invalid",
            hint="Use postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, with special characters as %23, and several hosts in"
            " one place (HOST1,HOST2).",
        )
    isolation = (
        r"-c default_transaction_isolation=read\ committed"  # a snapshot from before the lock would be out of date
    )
    options = f"-c lock_timeout={int(patience * 1000)} -c timezone=UTC {isolation}"
    timeout = max(2, int(patience))

    def connect() -> Any:
        return psycopg.connect(
            url, autocommit=True, connect_timeout=timeout, options=options, application_name="minimize"
        )

    return Database("postgresql", psycopg.Error, connect)


def _import_psycopg() -> Any:
    """The driver of PostgreSQL. It is imported late because it is optional."""
    try:
        import psycopg
    except ImportError:
        pass
    else:
        return psycopg
    raise LedgerError(
        "a ledger on PostgreSQL requires the package psycopg", hint="Install minimize with its extra `postgres`."
    )


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
    return next((error_class for start, error_class in known.items() if code.startswith(start)), _UNKNOWN_ERROR)


def _sqlstate(error: Exception) -> str:
    """The SQLSTATE, or an empty text if the server sent none."""
    return str(getattr(error, "sqlstate", None) or "")


def _is_login_refused(error: Exception) -> bool:
    """Whether the server refused the login. The driver has no code for this, only the message of the server."""
    message = "" if _sqlstate(error) else str(error)
    return "FATAL" in message and not any(words in message for words in _STARTING_OR_STOPPING)
