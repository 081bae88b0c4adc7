"""The index of runs as people ask for it: listed, shown, made anew from receipts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from minimize.auditing import opened
from minimize.errors import ConfigurationError, KeyringError, LedgerError
from minimize.io.history import RECEIPT, RUNS
from minimize.io.identity import identified, identity_of
from minimize.io.published import receipts
from minimize.job.booking import lying
from minimize.keys import Keyring, find_keyring
from minimize.ledger import actor_of, find_ledger
from minimize.receipt import Receipt, check_chain
from minimize.stores import Anywhere, Place, local, output_at, written
from minimize.verification.check import PathLike

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger
    from minimize.ledger.runs import RunRow


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """One output whose runs were indexed anew: how many, and how many of them the audit log was told of."""

    folder: str
    runs: int
    told: int


def list_runs(
    ledger: PathLike | None = None, *, output: Anywhere | None = None, pipeline: str | None = None
) -> list[RunRow]:
    """The published runs, oldest first: of one output, of one pipeline, or all that the ledger knows. Raises LedgerError.

    Which of them are void is known of outputs whose receipts can be read here.
    """
    from minimize.ledger.runs import listed

    with opened(ledger, output) as book:
        identity = None if output is None else identity_of(output_at(output))
        return _marked(book.read(partial(listed, output=identity, pipeline=pipeline)))


def show_run(
    run_id: str, ledger: PathLike | None = None, *, output: Anywhere | None = None
) -> tuple[RunRow, Receipt | None]:
    """One run, by the beginning of its id, and its receipt where it can be read here. Raises LedgerError, ConfigurationError."""
    from minimize.ledger.runs import listed, named

    with opened(ledger, output) as book:
        found = book.read(partial(named, run_id=run_id))
        others = book.read(partial(listed, output=found[0].output)) if len(found) == 1 else []
    if len(found) != 1:
        what = "no run" if not found else f"{len(found)} runs"
        raise ConfigurationError(f"the ledger knows {what} whose id begins so", hint="`minimize runs` lists them")
    (row,) = (each for each in _marked(others, output) if each.run_id == found[0].run_id)
    return row, _receipt(output_at(output or row.folder) / RUNS / row.run_id / RECEIPT)


def _marked(rows: Sequence[RunRow], output: Anywhere | None = None) -> list[RunRow]:
    """The rows, those marked as void that a receipt of kind `void` names; takes where the output is, if not where it was."""
    places = ((row.output, output_at(output or row.folder) / RUNS / row.run_id) for row in rows if row.kind == "void")
    found = ((identity, _receipt(place / RECEIPT)) for identity, place in places)
    voids = {(identity, receipt.voids) for identity, receipt in found if receipt is not None}
    return [replace(row, void=(row.output, row.run_id) in voids) for row in rows]


def rebuild(
    outputs: Sequence[Anywhere] = (),
    ledger: PathLike | None = None,
    *,
    keys: Keyring | PathLike | None = None,
    now: datetime,
) -> list[Rebuilt]:
    """Makes the index anew from the receipts of these outputs, and of those on this host that the ledger knows.

    A ledger is made where there is none. What its audit log does not tell of is told, so that what is here counts from now on.
    Raises LedgerError, OutputError, KeyringError, and ConfigurationError where no output is known.
    """
    from minimize.ledger.ledger import open_ledger

    first = outputs[0] if outputs else None
    keyring = find_keyring(keys, local(first))
    if keyring is None:
        raise KeyringError("no keyring, and the audit log is signed", hint="--keys FILE or MINIMIZE_KEYS")
    with open_ledger(find_ledger(ledger, start=first, output=first), create=bool(outputs)) as book:
        folders = {lying(output) for output in outputs} or _known(book)
        if not folders:
            raise ConfigurationError("the ledger knows no output on this host", hint="name them: --output DIR")
        return [_rebuilt(book, folder, keyring, now) for folder in sorted(folders, key=written)]


def _known(ledger: Ledger) -> set[Place]:
    from minimize.ledger.runs import places

    found = (output_at(place.folder) for place in ledger.read(places) if place.is_here)
    return {folder for folder in found if folder.is_dir()}


def _rebuilt(ledger: Ledger, folder: Place, keyring: Keyring, now: datetime) -> Rebuilt:
    from minimize.ledger.rebuilding import Output, rebuilt

    chain = receipts(folder)
    wrong = check_chain(chain, keyring)
    if wrong:
        raise LedgerError(f"the receipts in {folder} are no chain of ours; nothing was taken from them", findings=wrong)
    output = Output(identified(folder), written(folder))
    told = ledger.write(partial(rebuilt, output=output, chain=chain, signer=keyring, actor=actor_of(), now=now))
    return Rebuilt(str(folder), len(chain), told)


def _receipt(path: Place) -> Receipt | None:
    try:
        return Receipt.from_json(path.read_bytes())
    except (OSError, ConfigurationError):
        return None


def as_json(row: RunRow, receipt: Receipt | None) -> dict[str, Any]:
    """A run as `runs show --json` prints it."""
    return {**row.as_json(), "receipt": None if receipt is None else receipt.as_json()}
