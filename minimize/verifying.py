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
) -> None:
    """Re-checks the set in force of an output against its receipts and the policies they carry.

    Takes the output folder, and a keyring or a public key (a PEM file): a receipt cannot vouch for itself. The ledger that is
    given, else the one that counts for the output, where there is one, says where the chain of receipts ends.
    Raises VerificationError whose findings say what does not hold; ConfigurationError without a key, OutputError without a
    folder or where another process is publishing into it.
    """
    require(check(output, keys=keys, public_key=public_key, ledger=ledger))


def check(
    output: Anywhere,
    *,
    keys: Keyring | PathLike | None = None,
    public_key: PublicKeys | PathLike | None = None,
    ledger: PathLike | None = None,
) -> list[Finding]:
    """All findings about an output, warnings included; see `verify`. What is published meanwhile is looked at again."""
    verifier = verifier_for(output, keys, public_key)
    for _ in range(TRIES):
        before = settle(output_at(output))
        findings = _looked(output_at(output), verifier, ledger)
        if findings is not None and (not _failed(findings) or settle(output_at(output)) == before):
            return findings
    raise OutputError("the output was written to while it was checked", hint="wait until that is done")


def extent(output: Anywhere) -> str:
    """What a verification is about, in words: how many receipts, and what stands by them."""
    said = receipts(output_at(output))
    standing = [file for files in in_force(said).values() for file in files]
    rows = sum(file.rows for file in standing)
    return f"{counted(len(said), 'receipt')}, {counted(len(standing), 'file')} in force, {counted(rows, 'row')}"


def _looked(output: Place, verifier: Verifier, ledger: PathLike | None) -> list[Finding] | None:
    """The findings; None where a file went away while it was looked at. Raises OutputError where one may not be read."""
    try:
        return anchored(output, found_by(output, verifier), verifier, ledger)
    except FileNotFoundError:
        return None
    except OSError as error:
        what, hint = said(error)
    raise OutputError(f"the output cannot be checked: {what}", hint=hint)


def _failed(findings: Iterable[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)
