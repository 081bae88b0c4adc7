"""Checks that the ledger and the keyring in effect are those of the receipts of an output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Final

from minimize.errors import RefusedError
from minimize.keys import Keyring
from minimize.keys.keyring import NOISE_KEY
from minimize.ledger import Address
from minimize.ledger.ledger import Ledger
from minimize.ledger.runs import ledger_difference
from minimize.receipts import Receipt
from minimize.receipts.chain import digest_findings

WRONG_LEDGER: Final = "E303"
WRONG_KEYRING: Final = "E310"
_HINT: Final = (
    "Pass the output's own ledger (--ledger, MINIMIZE_LEDGER, `ledger:` in minimize.yaml). If it is lost, run"
    " `minimize runs adopt-ledger OUTPUT --reason TEXT` to replace it."
)


def check_keyring(keys: Keyring, chain: Sequence[Receipt]) -> None:
    """Raises RefusedError (E310) if a keyring does not have the key that signed the last receipt of an output, or a key that the
    output was written with.

    Another keyring, or an older copy, makes other pseudonyms and tokens: published records would no longer join, and erased
    subjects would not be recognized.
    """
    last = chain[-1] if chain else None
    if last is None:
        return
    if not last.is_signed_by(keys):
        key = "a key" if last.signature is None else f"the key {last.signature.key}"
        raise RefusedError(
            f"the keyring {keys.path} does not have {key} that signed the last receipt of this output",
            code=WRONG_KEYRING,
            hint="Pass the output's own keyring (--keys, MINIMIZE_KEYS, `keys:` in minimize.yaml), or restore it from a backup."
            " If it is lost, write to a new output folder (--output): with another keyring, each subject has another pseudonym."
            " If it is the right keyring, the receipt was changed: run `minimize verify`.",
        )
    wrong = keys.wrong_keys({id_: value for receipt in chain for id_, value in (receipt.key_checks or {}).items()})
    if wrong:
        is_replaced = any(f"{key.name}/{key.version}" == wrong[0] for key in keys.listing())
        fault = f"has another key under {wrong[0]}, not the one" if is_replaced else f"does not have the key {wrong[0]}"
        if wrong[0].partition("/")[0] == NOISE_KEY:
            reason = "with other noise, the figures of a row could be averaged."
        else:
            reason = "each subject would have another pseudonym."
        raise RefusedError(
            f"the keyring {keys.path} {fault} with which this output was written",
            code=WRONG_KEYRING,
            hint=f"Restore the newest keyring from a backup. A new key with this id would be another key: {reason}",
        )


def check_earlier_receipts(keys: Keyring, chain: Sequence[Receipt]) -> None:
    """Raises RefusedError (E310) unless a keyring signed the last receipt, and each receipt has the digest of the previous one.

    Commands call it if an earlier receipt decides: on the policy of a date, or the input and settings of a replay.
    """
    check_keyring(keys, chain)
    changed = digest_findings(chain)
    if changed:
        raise RefusedError(
            "a receipt of this output was changed, removed or inserted: the next one has the digest of another receipt",
            code=WRONG_KEYRING,
            findings=changed,
            hint="Run `minimize verify` for details, and restore the receipt from a backup.",
        )


LedgerOpener = Callable[[], AbstractContextManager[Ledger]]
"""Opens a ledger in a `with` statement."""


def check_ledger(address: Address, chain: Sequence[Receipt], open_: LedgerOpener) -> None:
    """Raises RefusedError (E303) if the ledger at an address is not the one that the last receipt of an output names.

    This is the case if the ledger is missing, is another or a new one, or lacks the audit head that the receipt names, as an
    older copy does. Receipts of older versions name only the audit head. `open_` opens the ledger, with the keys that verify a
    checkpoint, which shows that the oldest entries were removed after their year.
    """
    receipt = last_receipt_with_ledger(chain)
    if receipt is None:
        return
    if not address.exists:
        message = f"the ledger {address} ({address.named_by}) does not exist, but receipts of this output name a ledger"
        raise RefusedError(message, code=WRONG_LEDGER, hint=_HINT)
    with open_() as ledger:
        check_open_ledger(ledger, chain)


def check_open_ledger(ledger: Ledger, chain: Sequence[Receipt]) -> None:
    """`check_ledger` for a ledger that is already open."""
    wrong = ledger_disagreement(ledger, chain)
    if wrong:
        place = f"{ledger.address} ({ledger.address.named_by})"
        raise RefusedError(f"the ledger {place} {wrong}", code=WRONG_LEDGER, hint=_HINT)


def ledger_disagreement(ledger: Ledger, chain: Sequence[Receipt]) -> str:
    """The difference between a ledger and the one that the receipts of an output name, in words; empty if there is none."""

    receipt = last_receipt_with_ledger(chain)
    return "" if receipt is None else ledger.read(partial(ledger_difference, receipt=receipt, verifier=ledger.verifier))


def last_receipt_with_ledger(chain: Sequence[Receipt]) -> Receipt | None:
    """The last receipt that names its ledger; of an output of an older version, the last one that names an audit head."""
    with_head = [each for each in chain if each.audit is not None]
    named = (each for each in reversed(with_head) if each.audit is not None and each.audit.ledger is not None)
    return next(named, with_head[-1] if with_head else None)


def has_erasures(chain: Sequence[Receipt]) -> bool:
    """Whether a receipt of an output shows that subjects were erased or restricted."""
    return any(
        receipt.kind in ("delete", "restrict") or receipt.erasures is not None or (receipt.gated_by.erased or 0) > 0
        for receipt in chain
    )
