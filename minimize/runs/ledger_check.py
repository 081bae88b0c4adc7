"""Check that the ledger of a command is the one that the receipts of its output name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final

from minimize.errors import RefusedError
from minimize.ledger import Address, find_ledger
from minimize.output.folder import has_runs, read_receipts
from minimize.receipts import Receipt
from minimize.stores import Location

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

WRONG_LEDGER: Final = "E303"
_HINT: Final = (
    "name the ledger that the output was written with (--ledger, MINIMIZE_LEDGER, `ledger:` of minimize.yaml), or, if it is"
    " lost, record that another takes its place: minimize runs adopt-ledger OUTPUT --reason TEXT"
)


def check_output_ledger(output: Location, start: Path, ledger: str | PathLike[str] | None) -> None:
    """Raises RefusedError (E303) if the ledger that is found for an output is not the one that its receipts name.

    Takes the output folder, the folder of its pipeline, and the ledger that was given.
    """
    if has_runs(output):
        check_ledger(find_ledger(ledger, start=start, output=output), read_receipts(output))


def check_ledger(address: Address, chain: Sequence[Receipt]) -> None:
    """Raises RefusedError (E303) if the ledger at an address is not the one that the last receipt of an output names.

    It is not if it is missing, if it is another or a new one, or if it lacks the audit head that the receipt names, as an older
    copy does. Receipts of older versions name no ledger; an output that has only such receipts accepts any.
    """
    from minimize.ledger.ledger import open_ledger

    receipt = last_receipt_with_ledger(chain)
    if receipt is None:
        return
    if not address.exists:
        message = f"there is no ledger: looked for {address} ({address.named_by}), and receipts of this output name one"
        raise RefusedError(message, code=WRONG_LEDGER, hint=_HINT)
    with open_ledger(address) as ledger:
        check_open_ledger(ledger, chain)


def check_open_ledger(ledger: Ledger, chain: Sequence[Receipt]) -> None:
    """The same for a ledger that is open."""
    wrong = ledger_disagreement(ledger, chain)
    if wrong:
        place = f"{ledger.address} ({ledger.address.named_by})"
        raise RefusedError(f"the ledger {place} {wrong}", code=WRONG_LEDGER, hint=_HINT)


def ledger_disagreement(ledger: Ledger, chain: Sequence[Receipt]) -> str:
    """How a ledger differs from the one that the receipts of an output name, in words; nothing if it does not."""
    from minimize.ledger.anchor import ledger_difference

    receipt = last_receipt_with_ledger(chain)
    return "" if receipt is None else ledger.read(partial(ledger_difference, receipt=receipt))


def last_receipt_with_ledger(chain: Sequence[Receipt]) -> Receipt | None:
    """The last receipt that names its ledger."""
    return next((each for each in reversed(chain) if each.audit is not None and each.audit.ledger is not None), None)
