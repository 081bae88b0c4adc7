"""A receipt to start from."""

from __future__ import annotations

from typing import Any

from minimize.keys import Keyring
from minimize.receipts import (
    DigestRef,
    FieldReceipt,
    GatedRows,
    InputFile,
    PolicyRef,
    QuarantineEntry,
    Receipt,
    ReceiptFile,
    ReceiptRowCounts,
    WrittenOutput,
)
from tests.project import AT, DAY


def run_id_of(sequence: int) -> str:
    return f"20261125T00000{sequence}Z-0123456789ab"


def receipt(**changes: Any) -> Receipt:
    """The receipt that the documentation shows."""
    files = (ReceiptFile("records/date=2026-11-24/r1-0.parquet", 950, "sha256:01"),)
    parts: dict[str, Any] = {
        "run_id": run_id_of(0),
        "sequence": 1,
        "pipeline": "device_telemetry",
        "purpose": "service_maintenance",
        "engine": "local",
        "at": AT,
        "started": AT,
        "finished": AT,
        "dates": (DAY,),
        "policy": PolicyRef("device_telemetry", 1, "sha256:aa"),
        "plan": DigestRef("sha256:bb"),
        "settings": DigestRef("sha256:cc"),
        "keys": ("device/1",),
        "versions": {"minimize": "0.1.0", "pyarrow": "26.0.1"},
        "inputs": (InputFile("2026-11-24/a.ndjson.gz", "sha256:dd", 1000),),
        "rows": ReceiptRowCounts(1000, 950, 30, 20),
        "gated_by": GatedRows(condition=28, retention=2),
        "fields": {"ip_address": FieldReceipt("truncate_ip", 950, 948, 0, 2)},
        "undeclared": {"/new_thing": 12},
        "outputs": {
            "records": WrittenOutput("pseudonymized", 950, files=files),
            "fleet_by_version": WrittenOutput("aggregated", 0, 7, 33, too_late=0),
        },
        "quarantine": QuarantineEntry(20, {"malformed": 15, "wrong_type": 5}),
    }
    return Receipt(**{**parts, **changes})


def small(sequence: int, previous: str | None = None, **changes: Any) -> Receipt:
    """A receipt that reads nothing and writes nothing, unless told."""
    empty: dict[str, Any] = {
        "inputs": (),
        "rows": ReceiptRowCounts(),
        "gated_by": GatedRows(),
        "quarantine": QuarantineEntry(),
    }
    return receipt(
        **{**empty, "outputs": {}, "run_id": run_id_of(sequence), "sequence": sequence, "previous": previous, **changes}
    )


def chain(keyring: Keyring, *parts: dict[str, Any]) -> list[Receipt]:
    """Signed receipts, each with the digest of the one before."""
    made: list[Receipt] = []
    for sequence, changes in enumerate(parts, start=1):
        previous = made[-1].digest if made else None
        made.append(small(sequence, previous, **changes).with_signature(keyring))
    return made
