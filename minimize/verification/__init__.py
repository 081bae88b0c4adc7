"""Verification: checks an output against its receipts and the policies they carry. Shares no code with the checked code.

evidence         findings by stable code; runs, receipts and policies of an output; the run of each file
files            files in force: presence, digests, encryption, quarantine
indexes          subject indexes
records          columns and values of records
disclosure_risk  the bound on what combinations of values disclose
values           nested values, conditions, ids, retention and rare values
aggregates       aggregates and their definitions
noise            noise, releases and grids of statistics
rules            permitted values after a technique
declared_forms   whether values have their declared form before release
policy_reading   policies and pipelines, read without the loader

"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from minimize.errors import ConfigurationError, Finding, VerificationError
from minimize.keys import Keyring, PublicKeys, Verifier, find_keyring, find_kms
from minimize.receipts import check_chain, check_file_history
from minimize.receipts.chain import check_voids
from minimize.stores import Location, LocationLike, PathText, local_path, parse_output_location
from minimize.text import count_noun
from minimize.verification.aggregates import check_aggregates, thresholds
from minimize.verification.disclosure_risk import check_risk
from minimize.verification.evidence import (
    CODES,
    Evidence,
    check_ledgers,
    check_received,
    check_sealed_counts,
    gather_evidence,
    new_finding,
)
from minimize.verification.files import check_bytes, check_encryption, check_files, check_inputs, check_quarantine
from minimize.verification.indexes import check_indexes
from minimize.verification.records import check_records

__all__ = ["CODES", "check", "check_aggregate", "verify"]


def verify(
    output: LocationLike,
    *,
    keys: Keyring | PathText | None = None,
    public_key: PublicKeys | PathText | None = None,
    from_receipt: int = 1,
) -> None:
    """Check the files in force of an output against its receipts and the policies they carry.

    Takes the output folder, and a keyring or a public key (a PEM file) for the signatures. `from_receipt` is the sequence of the
    first receipt to check, together with the files in force that it and later receipts wrote.
    Raises VerificationError with the findings if a check fails, ConfigurationError without a key, OutputError without a folder.
    """
    require_no_errors(check(output, keys=keys, public_key=public_key, from_receipt=from_receipt))


def require_no_errors(findings: Sequence[Finding]) -> None:
    """Raises VerificationError with all findings if one of them is an error."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        noun = "finding" if len(errors) == 1 else "findings"
        raise VerificationError(f"{len(errors)} {noun}: the output does not match its receipts", findings=findings)


def check(
    output: LocationLike,
    *,
    keys: Keyring | PathText | None = None,
    public_key: PublicKeys | PathText | None = None,
    from_receipt: int = 1,
) -> list[Finding]:
    """All findings about an output, warnings included; see `verify`."""
    return find_faults(output, verifier_for(output, keys, public_key), from_receipt)


def find_faults(output: LocationLike, verifier: Verifier, from_receipt: int = 1) -> list[Finding]:
    """All findings about an output. The keyring or public keys check the signatures.

    Raises ConfigurationError if `from_receipt` is not a possible sequence of a receipt.
    """
    if from_receipt < 1:
        raise ConfigurationError("receipts are counted from 1", hint="Pass --from-receipt with a number from 1.")
    kms = find_kms(verifier, local_path(output)) if isinstance(verifier, Keyring) else None
    return list(_all_findings(gather_evidence(parse_output_location(output), kms, first=from_receipt), verifier))


def check_aggregate(output: Location, name: str, verifier: Verifier) -> tuple[list[Finding], int | None]:
    """Findings about the chain and one aggregate in force, and the lowest threshold under which its files were written."""
    evidence = gather_evidence(
        output, find_kms(verifier, local_path(output)) if isinstance(verifier, Keyring) else None
    )
    table_evidence = replace(evidence, files=tuple(each for each in evidence.files if each.name == name))
    of_files = [finding for file in table_evidence.files for finding in check_bytes(output, file.file)]
    return [*check_chain(table_evidence.receipts, verifier), *of_files, *check_aggregates(table_evidence)], min(
        thresholds(table_evidence), default=None
    )


def _all_findings(evidence: Evidence, verifier: Verifier) -> Iterator[Finding]:
    yield from evidence.findings
    if not evidence.is_output:
        return
    yield from check_chain(evidence.receipts, verifier, earlier=evidence.earlier)
    yield from check_file_history(evidence.history)
    yield from check_voids(evidence.history)
    yield from check_ledgers(evidence)
    yield from check_received(evidence)
    yield from check_inputs(evidence)
    yield from check_files(evidence)
    yield from check_encryption(evidence)
    yield from check_indexes(evidence, verifier)
    yield from check_quarantine(evidence)
    yield from check_records(evidence)
    yield from check_risk(evidence)
    yield from check_sealed_counts(evidence, verifier)
    yield from check_aggregates(evidence)
    if evidence.earlier:
        yield _unchecked_finding(evidence)
    yield new_finding(
        "V008",
        "no ledger anchors the end of the chain, so missing receipts at its end cannot be detected",
        hint="Compare the digest of the last receipt with a copy that is stored elsewhere.",
    )


def _unchecked_finding(evidence: Evidence) -> Finding:
    """Warning about the checks that `--from-receipt` skips."""
    receipts, files = count_noun(len(evidence.earlier), "receipt"), count_noun(len(evidence.earlier_files), "file")
    message = (
        f"not checked: signatures, balance and attachments of {receipts} before the given one, "
        f"and the content of {files} in force that they wrote"
    )
    return new_finding(
        "V070", message, file="runs", hint="Run `minimize verify` without --from-receipt to check everything."
    )


def verifier_for(
    output: LocationLike, keys: Keyring | PathText | None, public_key: PublicKeys | PathText | None
) -> Verifier:
    """The keys that check signatures: the public key, else a given or found keyring. Raises ConfigurationError without one."""
    if public_key is not None:
        return public_key if isinstance(public_key, PublicKeys) else PublicKeys.load(public_key)
    keyring = find_keyring(keys, local_path(output))
    if keyring is None:
        message = "a keyring or a public key is required to check the signatures of receipts"
        raise ConfigurationError(message, hint="Pass --keys FILE or --public-key FILE, or set MINIMIZE_KEYS.")
    return keyring
