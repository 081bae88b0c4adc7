"""Receipts: what a run read, dropped, generalized, suppressed, wrote and removed; signed, and chained per output."""

from __future__ import annotations

from minimize.receipt.chain import check_chain
from minimize.receipt.force import (
    check_history,
    in_force,
    in_force_below,
    kept_sketches,
    quarantine_in_force,
    with_companions,
)
from minimize.receipt.model import (
    ANNOTATING,
    Adoption,
    Approval,
    AuditHead,
    BackfillRef,
    CompanionFile,
    Digest,
    FieldReceipt,
    FileRef,
    GatedBy,
    Input,
    Kind,
    Origin,
    Output,
    OutputFile,
    PolicyRef,
    Quarantine,
    Received,
    Rows,
    Signature,
)
from minimize.receipt.receipt import FORMAT, Receipt
from minimize.receipt.words import canonical, new_run_id, sha256_text, time_text

__all__ = [
    "ANNOTATING",
    "FORMAT",
    "Adoption",
    "Approval",
    "AuditHead",
    "BackfillRef",
    "CompanionFile",
    "Digest",
    "FieldReceipt",
    "FileRef",
    "GatedBy",
    "Input",
    "Kind",
    "Origin",
    "Output",
    "OutputFile",
    "PolicyRef",
    "Quarantine",
    "Receipt",
    "Received",
    "Rows",
    "Signature",
    "canonical",
    "check_chain",
    "check_history",
    "in_force",
    "in_force_below",
    "kept_sketches",
    "new_run_id",
    "quarantine_in_force",
    "sha256_text",
    "time_text",
    "with_companions",
]
