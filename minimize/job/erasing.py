"""What the ledger tells of people when a run begins, and still when it ends: who is gone, and what was put right."""

from __future__ import annotations

from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING

from minimize.errors import LedgerError
from minimize.keys import Keyring
from minimize.ledger import find_ledger
from minimize.policy.pipeline import Pipeline
from minimize.settings.erased import ErasedRows
from minimize.stores import Place

if TYPE_CHECKING:
    from minimize.ledger.corrections import Corrected
    from minimize.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class People:
    """Who is gone, and what was put right, as the ledger told when it was asked."""

    erased: ErasedRows = field(default_factory=ErasedRows)
    corrected: tuple[Corrected, ...] = field(default=(), repr=False)


def load_people(job: Pipeline, keys: Keyring, output: Place, ledger: str | PathLike[str] | None) -> People:
    """What the ledger of a run tells; nothing where there is none yet. Raises LedgerError."""
    from minimize.ledger.ledger import open_ledger

    address = find_ledger(ledger, start=job.folder, output=output)
    if not address.exists:
        return People()
    with open_ledger(address) as book:
        return _told(book, keys)


def check_still(ledger: Ledger, known: People) -> None:
    """Raises LedgerError where the ledger was told of somebody since the run began: what was made may hold him."""
    now = _told(ledger, known.erased.keys)
    if (now.erased.rows, now.corrected) != (known.erased.rows, known.corrected):
        message = "the ledger was told of people who are gone, or of corrections, while the run went on; nothing was published"
        raise LedgerError(message, hint="run it again")


def _told(ledger: Ledger, keys: Keyring | None) -> People:
    from minimize.ledger import corrections, happened

    return People(ErasedRows(tuple(happened.recorded(ledger)), keys), tuple(corrections.recorded(ledger)))
