"""Chain of an output's receipts: its checks, the files in force, void runs.

The chain has no gaps and begins with 1. Each receipt has the digest of the previous one, is signed, and balances. The files in
force are the files of the output after all receipts are applied in order. A receipt of kind `void` declares a run invalid; the
run's files stay in force until its dates are run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import Final, get_args

from minimize.errors import Finding, VerificationError
from minimize.keys import Verifier
from minimize.receipts.parts import ANNOTATING_KINDS, ReceiptFile, ReceiptKind, RiskEntry, WrittenOutput
from minimize.receipts.receipt import Receipt, imbalances
from minimize.records import FileRef


def check_chain(receipts: Iterable[Receipt], verifier: Verifier, *, earlier: Sequence[Receipt] = ()) -> list[Finding]:
    """Faults of the chain: V002 sequence, V003 previous, V004 signature, V005 balance. Empty if there are none.

    `earlier` are the receipts before these, by sequence. Only their sequence and digests are checked. Each receipt contains the
    digest of the previous one, so the signature of the first of these receipts covers them.
    """
    chain = sorted(receipts, key=lambda receipt: receipt.sequence)
    findings = [*_sequence_findings([*earlier, *chain]), *digest_findings([*earlier, *chain])]
    for receipt in chain:
        findings.extend(_signature_findings(receipt, verifier))
        findings.extend(
            Finding("V005", f"does not balance: {fault}", file=_receipt_path(receipt)) for fault in imbalances(receipt)
        )
    return findings


def _sequence_findings(chain: list[Receipt]) -> Iterator[Finding]:
    for expected, receipt in enumerate(chain, start=1):
        if receipt.sequence != expected:
            message = f"has sequence {receipt.sequence} instead of {expected}: a receipt is missing or duplicated"
            yield Finding("V002", message, file=_receipt_path(receipt))
            return


def digest_findings(chain: Sequence[Receipt]) -> list[Finding]:
    """V003: the receipts, by sequence, that do not contain the digest of the previous one."""
    findings = []
    if chain and chain[0].previous is not None:
        message = "names a previous receipt, but there is none"
        findings.append(Finding("V003", message, file=_receipt_path(chain[0])))
    for before, receipt in pairwise(chain):
        if receipt.previous != before.digest:
            message = "does not contain the digest of the previous receipt"
            findings.append(Finding("V003", message, file=_receipt_path(receipt)))
    return findings


def _signature_findings(receipt: Receipt, verifier: Verifier) -> Iterator[Finding]:
    try:
        receipt.verify(verifier)
    except VerificationError as error:
        yield Finding("V004", error.message, file=_receipt_path(receipt))


def _receipt_path(receipt: Receipt) -> str:
    return f"runs/{receipt.run_id}/receipt.json"


def files_in_force(receipts: Iterable[Receipt]) -> dict[str, list[ReceiptFile]]:
    """The files in force per output name, by path. A name that any receipt used is included, even without files."""
    in_force: dict[str, dict[str, ReceiptFile]] = {}
    for receipt in _by_sequence(receipts):
        removed = {file.path for file in _removed_files(receipt)}
        for files in in_force.values():
            for path in removed & files.keys():
                del files[path]
        for name, output in receipt.outputs.items():
            in_force.setdefault(name, {}).update({file.path: file for file in files_with_companions(output)})
    return {name: sorted(files.values(), key=lambda file: file.path) for name, files in in_force.items()}


def files_with_companions(output: WrittenOutput) -> list[ReceiptFile]:
    """The files that were written under one name, each with its index if it has one."""
    indexes = {each.of: FileRef(each.path, each.digest) for each in output.index or ()}
    return [replace(file, index=indexes.get(file.path)) for file in output.files]


def quarantine_files_in_force(receipts: Iterable[Receipt]) -> list[ReceiptFile]:
    """The quarantine files in force, by path."""
    in_force: dict[str, ReceiptFile] = {}
    for receipt in _by_sequence(receipts):
        for file in _removed_files(receipt):
            in_force.pop(file.path, None)
        in_force.update({file.path: file for file in receipt.quarantine.files})
    return sorted(in_force.values(), key=lambda file: file.path)


def restricted_files_in_force(receipts: Iterable[Receipt]) -> list[ReceiptFile]:
    """The sealed files with the records of restricted subjects, by path."""
    in_force: dict[str, ReceiptFile] = {}
    for receipt in _by_sequence(receipts):
        for file in _removed_files(receipt):
            in_force.pop(file.path, None)
        in_force.update({file.path: file for file in receipt.restricted or ()})
    return sorted(in_force.values(), key=lambda file: file.path)


def former_sketches(receipts: Iterable[Receipt]) -> frozenset[str]:
    """The paths of the contribution sketches that earlier versions wrote. A publication of this version removes them."""
    kept = (sketches for receipt in receipts for sketches in receipt.kept_sketches or ())
    written = (
        sketches for receipt in receipts for output in receipt.outputs.values() for sketches in output.sketches or ()
    )
    return frozenset(each.path for each in (*kept, *written))


def paths_in_force_below(receipts: Sequence[Receipt], folders: Iterable[str]) -> set[str]:
    """The paths of the files in force below these folders, including quarantine files and sealed files."""
    below = tuple(f"{folder}/" for folder in folders)
    files = [
        *chain.from_iterable(files_in_force(receipts).values()),
        *quarantine_files_in_force(receipts),
        *restricted_files_in_force(receipts),
    ]
    return {file.path for file in files if file.path.startswith(below)}


def check_file_history(receipts: Iterable[Receipt]) -> list[Finding]:
    """V006: contradictions between the files of receipts: a name used twice, or a replaced file that is not in force."""
    in_force: dict[str, str] = {}
    used: set[str] = set()
    findings: list[Finding] = []
    for receipt in _by_sequence(receipts):
        absent = [file.path for file in _removed_files(receipt) if in_force.pop(file.path, None) != file.digest]
        findings += [
            _contradiction_finding(receipt, f"removes {path}, which is not in force with this digest")
            for path in absent
        ]
        again = [file.path for file in _written_files(receipt) if file.path in used]
        findings += [
            _contradiction_finding(receipt, f"writes {path}, a name that an earlier receipt used") for path in again
        ]
        in_force.update({file.path: file.digest for file in _written_files(receipt)})
        in_force.update({each.path: each.digest for each in receipt.kept_sketches or ()})
        used |= {file.path for file in _written_files(receipt)}
    return findings


def _contradiction_finding(receipt: Receipt, message: str) -> Finding:
    return Finding("V006", message, file=f"runs/{receipt.run_id}/receipt.json")


def _removed_files(receipt: Receipt) -> tuple[FileRef, ...]:
    return (*receipt.replaces, *receipt.removes)


def _written_files(receipt: Receipt) -> Iterator[ReceiptFile]:
    for output in receipt.outputs.values():
        yield from output.files
    yield from receipt.quarantine.files
    yield from receipt.restricted or ()


def _by_sequence(receipts: Iterable[Receipt]) -> list[Receipt]:
    return sorted(receipts, key=lambda receipt: receipt.sequence)


VOID_KIND: Final = "void"
VOIDABLE_KINDS: Final = frozenset(get_args(ReceiptKind)) - ANNOTATING_KINDS
"""The kinds of receipt that can be declared void: all that change files. Records that were removed do not come back by that."""


def void_run_ids(receipts: Iterable[Receipt]) -> frozenset[str]:
    """The ids of void runs."""
    return frozenset(receipt.voids for receipt in receipts if receipt.voids is not None)


def effective_receipts(receipts: Iterable[Receipt]) -> tuple[Receipt, ...]:
    """The valid receipts by sequence: without void runs, and without receipts that only record a decision."""
    recorded_receipts = list(receipts)
    voided = void_run_ids(recorded_receipts)
    valid_receipts = (
        receipt
        for receipt in recorded_receipts
        if receipt.kind not in ANNOTATING_KINDS and receipt.run_id not in voided
    )
    return tuple(sorted(valid_receipts, key=lambda receipt: receipt.sequence))


def risk_by_date(receipts: Iterable[Receipt]) -> dict[str, RiskEntry]:
    """The disclosure risk that the last valid run of each batch date states, by date. Without dates, the key is empty."""
    entries: dict[str, RiskEntry] = {}
    for receipt in effective_receipts(receipts):
        if receipt.risk is not None:
            entries |= receipt.risk.dates or dict.fromkeys(receipt.dates or ("",), receipt.risk)
    return dict(sorted(entries.items()))


def check_voids(receipts: Iterable[Receipt]) -> Iterator[Finding]:
    """V006: a void receipt that names no earlier voidable run, names a run that is already void, or changes files.

    A void run may be named once more by a receipt that permits another release of its exact statistics.
    """
    known: dict[str, str] = {}
    voided: dict[str, str] = {}
    for receipt in sorted(receipts, key=lambda receipt: receipt.sequence):
        if receipt.kind == VOID_KIND or receipt.voids is not None:
            fault = _void_fault(receipt, known | (voided if receipt.republish else {}))
            if fault:
                yield Finding("V006", fault, file=f"runs/{receipt.run_id}/receipt.json")
            kind = known.pop(receipt.voids or "", None)
            if receipt.republish:
                voided.pop(receipt.voids or "", None)
            elif receipt.voids is not None and kind is not None:
                voided[receipt.voids] = kind
        known[receipt.run_id] = receipt.kind


def _void_fault(receipt: Receipt, kinds_by_run: dict[str, str]) -> str:
    if receipt.kind != VOID_KIND or receipt.voids is None or not receipt.reason:
        return "declares a run void without being a void receipt with a run and a reason"
    if kinds_by_run.get(receipt.voids) not in VOIDABLE_KINDS:
        return f"declares {receipt.voids} void, but no earlier valid receipt has this id"
    if receipt.outputs or receipt.replaces or receipt.removes or receipt.quarantine.files or receipt.restricted:
        return "is a void receipt and changes files"
    return ""


READING_KINDS: Final = frozenset({"run", "replay"})
"""The kinds of receipt that read a batch from its source."""
