"""Whether the chain of an output ends where the ledger says that it does."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from minimize.errors import Finding, LedgerError, OutputError
from minimize.io.identity import identity_of
from minimize.io.published import receipts
from minimize.job.ledgers import disagreement
from minimize.keys import Verifier
from minimize.ledger import Address, find_ledger
from minimize.receipt import Receipt
from minimize.stores import Place
from minimize.verification.codes import found

if TYPE_CHECKING:
    from minimize.ledger.anchor import Standing
    from minimize.ledger.ledger import Ledger

PathLike = str | os.PathLike[str]
ALONE = "V008"
_HINT = "name the output's ledger; if it is lost: `minimize runs adopt-ledger OUTPUT --reason TEXT`"


def anchored(output: Place, findings: list[Finding], verifier: Verifier, ledger: PathLike | None) -> list[Finding]:
    """The findings, with what the ledger says of the chain's end in place of the warning that nothing was asked (V008).

    Takes the ledger that was given; else the one that counts for the output, where there is one. Raises LedgerError where one
    was given and cannot be used.
    """
    address = find_ledger(ledger, start=output, output=output)
    if ledger is None and not address.exists:
        return findings
    try:
        chain = receipts(output)
    except OutputError:
        chain = ()
    if not chain:  # which is an error already
        return findings
    said = _said(address, output, chain, verifier, given=ledger is not None)
    return [finding for finding in findings if finding.code != ALONE] + said


def _said(
    address: Address, output: Place, chain: tuple[Receipt, ...], verifier: Verifier, *, given: bool
) -> list[Finding]:
    from minimize.ledger.ledger import open_ledger

    try:
        with open_ledger(address) as ledger:
            return _compared(ledger, output, chain, verifier)
    except LedgerError as error:
        if given:
            raise
        message = f"the end of the chain is not anchored: {error.message}"
    return [found(ALONE, message, hint="see to the ledger, and verify again")]


def _compared(ledger: Ledger, output: Place, chain: tuple[Receipt, ...], verifier: Verifier) -> list[Finding]:
    from minimize.ledger.anchor import is_ours, output_told, standing
    from minimize.ledger.runs import place_of

    known, here = ledger.read(partial(output_told, receipts=chain)), identity_of(output)
    copied = here is not None and ledger.read(partial(place_of, output=here)) is not None
    if known is not None and known != here and not copied:
        message = "the output has another identity than the ledger tells of"
        return [found("V009", message, file="runs/.id", hint="put it back; the next run of a copy gives it its own")]
    identity = here if copied else known or here
    if identity is None:
        return [_unknown(ledger)]
    stands = ledger.read(partial(standing, output=identity, chain=chain))
    if stands.anchor is not None and not is_ours(stands.anchor, verifier):
        message = (
            f"entry {stands.anchor.entry.sequence} of the audit log, which tells of this output, is not signed by us"
        )
        return [found("V009", message, hint="`minimize audit verify` looks at all of it")]
    wrong = disagreement(ledger, chain)
    return (
        [found("V009", f"the ledger {ledger.address} {wrong}", hint=_HINT)]
        if wrong
        else _finding(ledger, stands, len(chain))
    )


def _finding(ledger: Ledger, stands: Standing, count: int) -> list[Finding]:
    if stands.state == "told":
        return []
    if stands.state == "cut" and stands.anchor is not None:
        message = f"the ledger tells of receipt {stands.anchor.sequence}, and it is not among the {count} that are here"
        return [found("V009", message, file="runs", hint="put back what was removed from its end")]
    if stands.state == "other":
        message = "receipts name entries of an audit log that the ledger does not have"
        return [found("V009", message, hint=f"is {ledger.address} the output's ledger, and not an older copy?")]
    if stands.state == "behind":
        message = (
            f"the ledger does not tell of the last {len(stands.untold)} receipts yet, so that the end is not anchored"
        )
        return [found(ALONE, message, hint="the next run of this output tells it of them")]
    return [_unknown(ledger)]


def _unknown(ledger: Ledger) -> Finding:
    message = f"the ledger {ledger.address} does not know this output, so that the end of the chain is not anchored"
    return found(ALONE, message, hint="`minimize runs --rebuild --output DIR` tells it")
