"""`open`: the door in this process, which may hold the keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from minimize.door.asking import Ask, Reversal
from minimize.door.datasets import datasets_at
from minimize.door.deciding import Clock
from minimize.door.door import Door
from minimize.door.reader import Reader
from minimize.door.telling import Caller
from minimize.errors import ConfigurationError, KeyringError
from minimize.governance.access import find_access
from minimize.keys import Keyring, find_keyring
from minimize.ledger import actor_of, find_ledger
from minimize.stores import Anywhere, local

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

PathLike = str | os.PathLike[str]


def open(
    path: Anywhere,
    *,
    keys: Keyring | PathLike | None = None,
    access: PathLike | None = None,
    ledger: PathLike | None = None,
    user: str | None = None,
    clock: Clock | None = None,
) -> Reader:
    """A dataset to read in this process, with the same decision, views and audit as through a server.

    Takes an output folder or a pipeline, the keyring, the access file and the ledger (each found where it is not given), and the
    account that reads (else `MINIMIZE_ACTOR`, else the system's user): a process that holds the keys is taken at its word. Close
    it, or use it in a `with`. Raises ConfigurationError, PolicyError, KeyringError, LedgerError.
    """
    from minimize.ledger.ledger import open_ledger

    datasets = datasets_at([path])
    start = local(path)
    ring, rules = keyring_of(keys, start), access_of(access, start)
    (name, output), *_ = datasets.items()
    book = open_ledger(find_ledger(ledger, start=start, output=output), create=True)
    door = Door(datasets, rules, book, ring, clock or now)
    door.settle()
    return Reader(Inside(door, Caller(user or actor_of().user or ""), book), name)


class Inside:
    """A way that leaves no process."""

    def __init__(self, door: Door, caller: Caller, ledger: Ledger) -> None:
        self._door, self._caller, self._ledger = door, caller, ledger

    def stream(self, ask: Ask) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """The schema and the batches of a read."""
        found = self._door.read(self._caller, ask)
        return found.schema, (batch for batch in found.batches if batch.num_rows)

    def answer(self, reversal: Reversal) -> pa.Table:
        """Tokens with what they stand for."""
        return self._door.reidentify(self._caller, reversal)

    def close(self) -> None:
        """Closes the ledger."""
        self._ledger.close()


def now() -> datetime:
    """What time it is."""
    return datetime.now(UTC)


def keyring_of(keys: Keyring | PathLike | None, start: Path | None) -> Keyring:
    """The keyring. Raises KeyringError."""
    found = find_keyring(keys, start)
    if found is None:
        raise KeyringError("a door holds the keys, and none are here", hint="--keys FILE or MINIMIZE_KEYS")
    return found


def access_of(access: PathLike | None, start: Path | None) -> Path:
    """The access file. Raises ConfigurationError where there is none: then there is nobody to let in."""
    found = find_access(start) if access is None else Path(access)
    if found is None or not found.is_file():
        raise ConfigurationError("a door wants an access file", hint="--access FILE, or `access:` in minimize.yaml")
    return found
