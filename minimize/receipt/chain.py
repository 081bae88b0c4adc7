"""The chain of an output's receipts: gapless from 1, each with the digest of the one before, each signed and balanced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from minimize.errors import Finding, VerificationError
from minimize.keys import Verifier
from minimize.receipt.balance import imbalances
from minimize.receipt.receipt import Receipt


def check_chain(receipts: Iterable[Receipt], verifier: Verifier, *, earlier: Sequence[Receipt] = ()) -> list[Finding]:
    """What is wrong with the chain: V002 sequence, V003 previous, V004 signature, V005 balance. Empty where nothing is.

    `earlier` are the receipts before these, by sequence. Only their sequence and digests are checked: as each receipt carries the
    digest of the one before, the signature of the first of these vouches for them.
    """
    chain = sorted(receipts, key=lambda receipt: receipt.sequence)
    findings = [*_sequence([*earlier, *chain]), *_previous([*earlier, *chain])]
    for receipt in chain:
        findings.extend(_signature(receipt, verifier))
        findings.extend(
            Finding("V005", f"does not balance: {fault}", file=_place(receipt)) for fault in imbalances(receipt)
        )
    return findings


def _sequence(chain: list[Receipt]) -> Iterator[Finding]:
    for expected, receipt in enumerate(chain, start=1):
        if receipt.sequence != expected:
            message = f"has sequence {receipt.sequence} where {expected} is due: a receipt is missing or doubled"
            yield Finding("V002", message, file=_place(receipt))
            return


def _previous(chain: list[Receipt]) -> Iterator[Finding]:
    if chain and chain[0].previous is not None:
        yield Finding("V003", "names a receipt before it, and there is none", file=_place(chain[0]))
    for before, receipt in pairwise(chain):
        if receipt.previous != before.digest:
            yield Finding("V003", "does not carry the digest of the receipt before it", file=_place(receipt))


def _signature(receipt: Receipt, verifier: Verifier) -> Iterator[Finding]:
    try:
        receipt.verify(verifier)
    except VerificationError as error:
        yield Finding("V004", error.message, file=_place(receipt))


def _place(receipt: Receipt) -> str:
    return f"runs/{receipt.run_id}/receipt.json"
