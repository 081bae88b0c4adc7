"""Address of the ledger: a flag, then `MINIMIZE_LEDGER`, then `ledger:` of `minimize.yaml`, then a file in the output folder.

`minimize.yaml` is searched upwards from the folder of the pipeline or of the output, not from the current folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from minimize.config import load_config
from minimize.errors import LedgerError
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
    """A ledger's place: a file, or a PostgreSQL database by its URL.

    path      the file; None for a server
    url       the URL of the server. It may contain a password and is never printed.
    named_by  the setting that named the ledger, for messages
    """

    path: Path | None
    url: str | None = field(default=None, repr=False)
    named_by: str = PASSED_LEDGER

    def __str__(self) -> str:
        return str(self.path) if self.url is None else _redacted_url(self.url)

    @property
    def exists(self) -> bool:
        """Whether the file exists; always true for a server, which is not contacted."""
        return self.path is None or os.path.lexists(self.path)

    def is_same(self, other: Address | None) -> bool:
        """Whether another address is the same place, also through symbolic links."""
        if other is None or self.path is None or other.path is None:
            return other is not None and (self.path, self.url) == (other.path, other.url)
        return self.path.resolve() == other.path.resolve()


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
    start: LocationLike | None = None,
    output: LocationLike | None = None,
    environ: Mapping[str, str] | None = None,
) -> Address:
    """The address of the ledger in force.

    Takes the value of a flag or argument, the folder from which `minimize.yaml` is searched, the output folder that may contain
    its own ledger, and the environment (default: that of the process). Raises LedgerError if no ledger is configured.
    """
    if explicit:
        return parse_address(explicit, PASSED_LEDGER)
    named = (os.environ if environ is None else environ).get(LEDGER_VARIABLE)
    if named:
        return parse_address(named, LEDGER_VARIABLE)
    config = load_config(local_path(start) or local_path(output)).checked("ledger", LedgerError)
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
