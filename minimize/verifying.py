"""`verify`: what a crash left half way is settled first, then the output is re-checked.

The checks themselves (`verification/`) share no code with what publishes; this is where the two meet.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from minimize.anchoring import anchored
from minimize.counts import counted
from minimize.errors import Finding, OutputError, without_values
from minimize.io.published import receipts, settle
from minimize.keys import Keyring, PublicKeys, Verifier
from minimize.receipt import in_force
from minimize.stores import Anywhere, Place, output_at
from minimize.system import said
from minimize.verification.check import PathLike, found_by, require, verifier_for

TRIES: Final = 5


@without_values
def verify(
    output: Anywhere,
    *,
    keys: Keyring | PathLike | None = None,
    public_key: PublicKeys | PathLike | None = None,
    ledger: PathLike | None = None,
    from_receipt: int = 1,
) -> None:
    """Re-checks the set in force of an output against its receipts and the policies they carry.

    Takes the output folder, and a keyring or a public key (a PEM file): a receipt cannot vouch for itself. The ledger that is
    given, else the one that counts for the output, where there is one, says where the chain of receipts ends.
    `from_receipt` names, by its sequence, the first receipt to check, for an output whose earlier ones were verified before.
    Checked are then: the signatures from it on, the digests of the whole chain, and the content of files in force that it and
    later ones wrote; of all others only that they are there. A warning (V070) says what was not checked.
    Raises VerificationError whose findings say what does not hold; ConfigurationError without a key, OutputError without a
    folder or where another process is publishing into it.
    """
    require(check(output, keys=keys, public_key=public_key, ledger=ledger, from_receipt=from_receipt))


def check(
    output: Anywhere,
    *,
    keys: Keyring | PathLike | None = None,
    public_key: PublicKeys | PathLike | None = None,
    ledger: PathLike | None = None,
    from_receipt: int = 1,
) -> list[Finding]:
    """All findings about an output, warnings included; see `verify`. What is published meanwhile is looked at again."""
    verifier = verifier_for(output, keys, public_key)
    for _ in range(TRIES):
        before = settle(output_at(output))
        findings = _looked(output_at(output), verifier, ledger, from_receipt)
        if findings is not None and (not _failed(findings) or settle(output_at(output)) == before):
            return findings
    raise OutputError("the output was written to while it was checked", hint="wait until that is done")


def extent(output: Anywhere, from_receipt: int = 1) -> str:
    """What a verification is about, in words: how many receipts, and the files in force that they wrote."""
    chain = receipts(output_at(output))
    checked = [receipt for receipt in chain if receipt.sequence >= from_receipt]
    written = {file.path for receipt in checked for output in receipt.outputs.values() for file in output.files}
    files = [file for each in in_force(chain).values() for file in each if file.path in written]
    since = "" if from_receipt == 1 else f" from {from_receipt} on"
    rows = counted(sum(file.rows for file in files), "row")
    return f"{counted(len(checked), 'receipt')}{since}, {counted(len(files), 'file')} in force, {rows}"


def _looked(output: Place, verifier: Verifier, ledger: PathLike | None, from_receipt: int) -> list[Finding] | None:
    """The findings; None where a file went away while it was looked at. Raises OutputError where one may not be read."""
    try:
        return anchored(output, found_by(output, verifier, from_receipt), verifier, ledger)
    except FileNotFoundError:
        return None
    except OSError as error:
        what, hint = said(error)
    raise OutputError(f"the output cannot be checked: {what}", hint=hint)


def _failed(findings: Iterable[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)
