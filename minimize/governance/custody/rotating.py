"""`rotate`: new versions of master keys for new files; old versions only decrypt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from minimize.errors import KeyringError, quietly
from minimize.governance.access.gate import gate
from minimize.governance.custody.rewriting import Rewriting
from minimize.governance.custody.telling import tell
from minimize.io.published import receipts
from minimize.job.origin import pipeline_behind
from minimize.keys import Master
from minimize.keys.custody import Custody, state_of
from minimize.keys.kms import custody_of
from minimize.ledger import Change
from minimize.receipt import Receipt
from minimize.stores import Anywhere, output_at
from minimize.switching import House


@dataclass(frozen=True, slots=True)
class Rotation:
    """The versions that were made, and the receipts of outputs that were encrypted anew."""

    made: tuple[Master, ...]
    receipts: tuple[Receipt, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The rotation as `keys rotate --json` prints it."""
        return {"made": [each.id for each in self.made], "receipts": [each.as_json() for each in self.receipts]}


def rotate(
    house: House, now: datetime, *, names: Sequence[str] = (), outputs: Iterable[Anywhere] = (), new: bool = True
) -> Rotation:
    """Makes a new version of master keys, and encrypts what stands in some outputs anew.

    Takes the house (keyring, ledger); the time; the names of master keys, all that there are where none is given; outputs whose
    files are rewritten under the newest versions; `new=False` rewrites alone. Raises KeyringError, LedgerError, OutputError (2),
    AccessDenied (3).
    """
    gate("keys/rotate", house, now)
    keyring = house.keyring()
    custody = custody_of(keyring, house.folder, now=now)
    chosen = _chosen(custody, names) if new else ()
    for name in chosen:
        tell(house, "rotate", [_next(custody, name)], now, Change("state", None, "current"))
        custody.rotate(name)
    rewritten = [each for output in outputs for each in quietly(partial(_rewritten, output, house, now))]
    return Rotation(tuple(_newest(custody, name) for name in chosen), tuple(rewritten))


def _chosen(custody: Custody, names: Sequence[str]) -> tuple[str, ...]:
    """The names that were given; else all, but those whose newest version was destroyed."""
    lines = custody.versions()
    missing = sorted({*names} - {line.name for line in lines})
    if missing:
        raise KeyringError(f"there is no master key {', '.join(missing)}", hint="`minimize keys list` shows them")
    return tuple(sorted(names or {line.name for line in lines if state_of(line, lines) == "current"}))


def _newest(custody: Custody, name: str) -> Master:
    return Master(name, max(line.version for line in custody.versions() if line.name == name))


def _next(custody: Custody, name: str) -> Master:
    return Master(name, _newest(custody, name).version + 1)


def _rewritten(output: Anywhere, house: House, now: datetime) -> tuple[Receipt, ...]:
    folder = output_at(output)
    chain = receipts(folder)
    if not chain:
        return ()
    return Rewriting(folder, pipeline_behind(folder, chain[-1], None), house.keyring(), now, house.ledger).out()
