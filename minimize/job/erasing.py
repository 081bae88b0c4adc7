"""What the ledger tells of people when a run begins, and still when it ends: who is gone, and what was put right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from os import PathLike
from typing import TYPE_CHECKING

from minimize.consent import Consents
from minimize.errors import LedgerError
from minimize.job.erasure_list import stored
from minimize.job.sender import NO_CONSENTS, consents_of
from minimize.keys import Keyring
from minimize.ledger import find_ledger
from minimize.policy.pipeline import Pipeline
from minimize.receipt import Receipt
from minimize.settings.erased import ErasedRows
from minimize.stores import Place

if TYPE_CHECKING:
    from minimize.io.find import Shown
    from minimize.ledger.corrections import Corrected
    from minimize.ledger.happened import Happened
    from minimize.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class People:
    """Who is gone, what was put right, and who agreed to what a third party sends, as the ledger told when it was asked."""

    erased: ErasedRows = field(default_factory=ErasedRows)
    corrected: tuple[Corrected, ...] = field(default=(), repr=False)
    consents: Consents | None = field(default=None, repr=False)
    """None for records of our own, and where there is no ledger."""


def load_people(job: Pipeline, keys: Keyring, output: Place, ledger: str | PathLike[str] | None) -> People:
    """What the ledger of a run has, and the erasure list that is stored with its output. Raises LedgerError, OutputError."""
    from minimize.ledger.ledger import open_ledger

    address, listed = find_ledger(ledger, start=job.folder, output=output), stored(output, keys)
    if not address.exists:
        return People(ErasedRows((), keys, listed))
    with open_ledger(address) as book:
        return _told(book, job, keys, listed)


def first_read(chain: Iterable[Receipt], shown: Shown) -> dict[str, datetime]:
    """When each file of the input was first read, by its name as it is shown today: the earlier of both times of the first
    receipt that names it."""
    found: dict[str, datetime] = {}
    for receipt in chain:
        for each in receipt.inputs:
            read = min(receipt.at, receipt.finished)
            name = shown.again(each.path)
            found[name] = min(read, found.get(name, read))
    return found


def check_still(ledger: Ledger, job: Pipeline, known: People) -> None:
    """Raises LedgerError where the ledger was told of somebody since the run began: what was made may hold him."""
    now = _told(ledger, job, known.erased.keys)
    if (now.erased.rows, now.corrected) != (known.erased.rows, known.corrected):
        message = "the ledger was told of people who are gone, or of corrections, while the run went on; nothing was published"
        raise LedgerError(message, hint="run it again")
    if (now.consents or NO_CONSENTS).acts != (known.consents or NO_CONSENTS).acts:
        raise LedgerError("consents were recorded while the run went on; nothing was published", hint="run it again")


def _told(ledger: Ledger, job: Pipeline, keys: Keyring | None, listed: Iterable[Happened] = ()) -> People:
    from minimize.ledger import corrections

    erased, corrected = ErasedRows.of_ledger(ledger, keys, listed), tuple(corrections.recorded(ledger))
    return People(erased, corrected, consents_of(job, ledger))
