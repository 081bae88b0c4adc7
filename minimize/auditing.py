"""The audit log as people ask for it: read, checked, exported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from minimize.errors import ConfigurationError, Finding, KeyringError, OutputError
from minimize.io.durable import write_private
from minimize.keys import Keyring, PublicKeys, find_keyring
from minimize.ledger import actor_of, find_ledger
from minimize.ledger.chain import EMPTY, Head
from minimize.ledger.codes import found
from minimize.receipt import Receipt
from minimize.stores import Anywhere, Place, local, output_at, relative
from minimize.verification.check import PathLike, verifier_for

if TYPE_CHECKING:
    from minimize.ledger.asked import Checked
    from minimize.ledger.audit import Wanted
    from minimize.ledger.chain import Entry
    from minimize.ledger.ledger import Ledger
    from minimize.ledger.truncating import Truncation

RECEIPT: Final = "receipt.json"
_WANTS: Final = "--receipts wants an output folder, or one of receipts"


def opened(ledger: PathLike | None, output: Anywhere | None = None) -> Ledger:
    """The ledger that counts, which must be there; an output folder may hold it. Raises LedgerError, which says where it was."""
    from minimize.ledger.ledger import open_ledger

    return open_ledger(find_ledger(ledger, start=output, output=output))


def log_entries(
    ledger: PathLike | None, wanted: Wanted, *, output: Anywhere | None = None, last: int | None = None
) -> list[Entry]:
    """The entries that are wanted, oldest first; the last so many of them where a number is given. Raises LedgerError."""
    from minimize.ledger.asked import logged

    with opened(ledger, output) as book:
        return logged(book, wanted, last)


def check_audit(
    ledger: PathLike | None = None,
    *,
    output: Anywhere | None = None,
    receipts: Anywhere | None = None,
    head: PathLike | None = None,
    keys: Keyring | PathLike | None = None,
    public_key: PublicKeys | PathLike | None = None,
) -> Checked:
    """Checks the whole log.

    Takes the ledger (else the one that counts for the output folder), a folder in or below which receipts stand, a file with a
    head that was kept, and the keyring or public key that signatures are checked by.
    Without receipts and head a warning says that the log's end is not vouched for. Raises LedgerError, ConfigurationError,
    OutputError where a folder is named and no receipt stands there.
    """
    from dataclasses import replace

    from minimize.ledger.asked import checked
    from minimize.ledger.checking import Kept

    folder = output if output is not None else receipts
    verifier = verifier_for(folder or Path.cwd(), keys, public_key)
    kept = None if head is None else Kept(_kept(Path(head)), str(head))
    places = [] if receipts is None else list(_places(output_at(receipts)))
    if receipts is not None and not places:
        raise OutputError(f"no receipt stands in or below {receipts}", hint=_WANTS)
    said = [(place, each) for place, each in places if isinstance(each, Receipt)]
    with opened(ledger, folder) as book:
        result = checked(book, verifier, kept, said)
    unreadable = tuple(each for _, each in places if isinstance(each, Finding))
    return replace(result, findings=(*result.findings, *unreadable))


def export_audit(ledger: PathLike | None, file: Path, wanted: Wanted, *, output: Anywhere | None = None) -> int:
    """Writes entries to a new file that only its owner can read, one JSON object a line; gives how many.

    Raises OutputError where the file is there or cannot be made, LedgerError.
    """
    from minimize.ledger.asked import exported

    with opened(ledger, output) as book:
        return write_private(file, lambda out: exported(book, wanted, out))


def truncate_audit(
    ledger: PathLike | None,
    at: datetime,
    *,
    output: Anywhere | None = None,
    keys: Keyring | PathLike | None = None,
    export: Path | None = None,
    yes: bool = False,
) -> Truncation:
    """Lets entries go that are older than a year, up to a signed checkpoint; without `yes` only the plan is made.

    Takes the ledger (else the one that counts for the output folder), the time, the keyring, and a new file to which the
    entries are written first. Gives what went, or would. Raises KeyringError, OutputError where the file is there, LedgerError.
    """
    from minimize.ledger.truncating import going, truncate, truncation

    with opened(ledger, output) as book:
        plan = truncation(book, at)
        if not yes or plan.last is None:
            return plan
        keyring = find_keyring(keys, None if output is None else local(output))
        if keyring is None:
            raise KeyringError("no keyring, and a checkpoint is signed", hint="--keys FILE or MINIMIZE_KEYS")
        if export is not None:
            write_private(export, lambda out: going(book, plan, out))
        return truncate(book, plan, actor_of(), at, keyring)


def _places(folder: Place) -> Iterator[tuple[str, Receipt | Finding]]:
    """Every receipt in or below a folder, by its place; in place of one that cannot be read, a finding."""
    if not folder.is_dir():
        raise OutputError(f"there is no folder {folder}", hint=_WANTS)
    for path in _named(folder):
        place = str(relative(path, folder))
        try:
            yield place, Receipt.from_json(path.read_bytes())
        except (OutputError, OSError):
            yield place, found("H010", "cannot be read", file=place)


def _named(folder: Place) -> list[Place]:
    return sorted(folder.rglob(RECEIPT), key=str)


def _kept(file: Path) -> Head:
    """The head that a file names: what `audit verify --json` printed, a receipt, an exported entry. Raises ConfigurationError."""
    try:
        said = json.loads(file.read_bytes())
    except (OSError, ValueError):
        said = None
    body = said.get("audit", said) if isinstance(said, dict) else {}
    sequence, digest = body.get("sequence"), body.get("head", body.get("digest"))
    if isinstance(sequence, int) and (isinstance(digest, str) or (digest is None and sequence == EMPTY.sequence)):
        return Head(sequence, digest)
    hint = "keep what `minimize audit verify --json` prints"
    raise ConfigurationError(f"{file} names no head of an audit log", hint=hint)
