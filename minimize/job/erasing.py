"""Whose records must not come back: what the ledger tells of tenants and subjects that are gone, when a run begins and ends."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

from minimize.errors import LedgerError
from minimize.keys import Keyring
from minimize.ledger import find_ledger
from minimize.policy.pipeline import Pipeline
from minimize.settings.erased import ErasedRows
from minimize.stores import Place

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger


def load_erased(job: Pipeline, keys: Keyring, output: Place, ledger: str | PathLike[str] | None) -> ErasedRows:
    """What the ledger of a run tells; nothing where there is none yet. Raises LedgerError."""
    from minimize.ledger.happened import recorded
    from minimize.ledger.ledger import open_ledger

    address = find_ledger(ledger, start=job.folder, output=output)
    if not address.exists:
        return ErasedRows()
    with open_ledger(address) as book:
        return ErasedRows(tuple(recorded(book)), keys)


def check_still(ledger: Ledger, known: ErasedRows) -> None:
    """Raises LedgerError where the ledger was told of somebody since the run began: what was made may hold him."""
    from minimize.ledger.happened import recorded

    if tuple(recorded(ledger)) != known.rows:
        message = (
            "the ledger was told of tenants or subjects that are gone while the run went on; nothing was published"
        )
        raise LedgerError(message, hint="run it again")
