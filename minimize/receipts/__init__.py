"""Receipts: what a run read, dropped, transformed, suppressed, wrote and removed; signed, and chained per output.

parts      the parts of a receipt, in the order of its JSON; canonical JSON (RFC 8785), digests, times, run ids
receipt    Receipt: balance, summary for people, JSON, signature
shown_counts  the counts that may be shown, and the sealed exact ones
chain      the chain of an output's receipts, files in force, void runs
"""

from __future__ import annotations

from minimize.receipts.chain import (
    check_chain,
    check_file_history,
    files_in_force,
    files_with_companions,
    paths_in_force_below,
    quarantine_files_in_force,
    restricted_files_in_force,
)
from minimize.receipts.parts import (
    ANNOTATING_KINDS,
    AuditHead,
    BackfillRef,
    CompanionFile,
    DecidingFunctionReceipt,
    DigestRef,
    FieldReceipt,
    GatedRows,
    InputFile,
    LedgerAdoption,
    NoiseEntry,
    PolicyRef,
    QuarantineEntry,
    ReceiptApproval,
    ReceiptFile,
    ReceiptKind,
    RegionRef,
    ReleaseEntry,
    RiskEntry,
    RowCounts,
    RunOrigin,
    Signature,
    WrittenOutput,
    canonical_json,
    new_run_id,
    sha256_text,
)
from minimize.receipts.receipt import RECEIPT_FORMAT, Receipt

__all__ = [
    "ANNOTATING_KINDS",
    "RECEIPT_FORMAT",
    "AuditHead",
    "BackfillRef",
    "CompanionFile",
    "DecidingFunctionReceipt",
    "DigestRef",
    "FieldReceipt",
    "GatedRows",
    "InputFile",
    "LedgerAdoption",
    "NoiseEntry",
    "PolicyRef",
    "QuarantineEntry",
    "Receipt",
    "ReceiptApproval",
    "ReceiptFile",
    "ReceiptKind",
    "RegionRef",
    "ReleaseEntry",
    "RiskEntry",
    "RowCounts",
    "RunOrigin",
    "Signature",
    "WrittenOutput",
    "canonical_json",
    "check_chain",
    "check_file_history",
    "files_in_force",
    "files_with_companions",
    "new_run_id",
    "paths_in_force_below",
    "quarantine_files_in_force",
    "restricted_files_in_force",
    "sha256_text",
]
