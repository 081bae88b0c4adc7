"""Small outputs written by hand, in the layout of a run, without any code that makes real ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.receipts import (
    FieldReceipt,
    NoiseEntry,
    PolicyRef,
    QuarantineEntry,
    Receipt,
    ReceiptFile,
    ReceiptRowCounts,
    ReleaseEntry,
    WrittenOutput,
    sha256_text,
)
from minimize.records import FileRef
from minimize.stores.durable_files import file_digest
from minimize.verification import check
from tests.project import AT, DAY, write_keyring
from tests.receipts.make import run_id_of, small

QUARANTINE = pa.schema(
    [
        ("run_id", pa.string()),
        ("source", pa.string()),
        ("position", pa.int64()),
        ("unit", pa.string()),
        ("field", pa.string()),
        ("code", pa.string()),
    ]
)


def policy(fields: Mapping[str, Any], **parts: Any) -> dict[str, Any]:
    """A policy as a mapping: JSON is YAML."""
    return {"policy": "p", "version": 1, "purposes": ["operations"], "subject": "device", **parts, "fields": fields}


def column(type_: pa.DataType, words: str, name: str = "x", pointer: str = "", **more: str) -> pa.Field:
    """A column with the metadata of a technique."""
    told = {"technique": words, "category": "pseudonymized", **more}
    return pa.field(name, type_, metadata={f"minimize:{key}{pointer}": value for key, value in told.items()})


class OutputWriter:
    """An output folder, its keyring, and runs that are written into it."""

    def __init__(self, folder: Path) -> None:
        self.output = folder / "out"
        self.keyring = write_keyring(folder / "test.keys", ["device"])
        self.receipts: list[Receipt] = []

    def run(
        self,
        written: Mapping[str, Any],
        outputs: Mapping[str, pa.Table],
        *,
        pipeline: Mapping[str, Any] | None = None,
        date: str | None = DAY,
        beside: Mapping[str, str] | None = None,
        fields: Mapping[str, FieldReceipt] | None = None,
        quarantine: pa.Table | None = None,
        replaces: tuple[FileRef, ...] = (),
        noise: NoiseEntry | None = None,
        mark: str | None = None,
        **changes: Any,
    ) -> Receipt:
        """Writes one run and its signed receipt. Takes what it says of the noise of aggregates, and the mark of their release."""
        turn = len(self.receipts) + 1
        run_id = run_id_of(turn)
        texts = {"policy.yaml": json.dumps(written), "pipeline.yaml": json.dumps(pipeline or {"pipeline": "p"})}
        texts |= dict(beside or {})
        for name, text in texts.items():
            self._write(f"runs/{run_id}/{name}", text.encode())
        files = {name: self._table(name, run_id, table, date) for name, table in outputs.items()}
        rows = files["records"].rows if "records" in files else 0
        bad = QuarantineEntry()
        if quarantine is not None:
            codes = quarantine["code"].to_pylist()
            file = self._table("quarantine", run_id, self._named(quarantine, run_id), date)
            bad = QuarantineEntry(len(codes), {code: codes.count(code) for code in codes}, (file,))
        parts: dict[str, Any] = {
            "pipeline": "p",
            "purpose": "operations",
            "dates": () if date is None else (date,),
            "policy": PolicyRef("p", 1, sha256_text(texts["policy.yaml"].encode())),
            "settings": None,
            "rows": ReceiptRowCounts(rows + bad.rows, rows, 0, bad.rows),
            "fields": dict(fields or {}),
            "undeclared": {},
            "outputs": {
                name: WrittenOutput("pseudonymized" if name == "records" else "aggregated", file.rows, files=(file,))
                for name, file in files.items()
            },
            "replaces": replaces,
            "quarantine": bad,
            "files": {name: sha256_text(text.encode()) for name, text in texts.items() if name != "policy.yaml"},
        }
        release = None if mark is None else {date or "": ReleaseEntry(1, mark)}
        for name in parts["outputs"].keys() - {"records"}:
            parts["outputs"][name] = replace(parts["outputs"][name], noise=noise, releases=release)
        previous = self.receipts[-1].digest if self.receipts else None
        return self.sign(small(turn, previous, **{**parts, **changes}))

    def sign(self, receipt: Receipt) -> Receipt:
        """Signs a receipt and puts it into the chain and on the disk."""
        signed = receipt.with_signature(self.keyring)
        self.receipts.append(signed)
        self._write(f"runs/{signed.run_id}/receipt.json", signed.file_text().encode())
        return signed

    def refs(self, receipt: Receipt) -> tuple[FileRef, ...]:
        """The files of a receipt, to be replaced."""
        files = [file for output in receipt.outputs.values() for file in output.files]
        return tuple(FileRef(file.path, file.digest) for file in (*files, *receipt.quarantine.files))

    def remove(self, receipt: Receipt) -> None:
        """Takes the data files of a receipt away, as a run that replaces them does."""
        for file in self.refs(receipt):
            (self.output / file.path).unlink()

    def codes(self) -> list[str]:
        """The codes of what verification finds, without the warning about the end of the chain."""
        return [finding.code for finding in check(self.output, keys=self.keyring) if finding.code != "V008"]

    def next(self) -> dict[str, Any]:
        """What a receipt after the last one needs to be told from it."""
        last = self.receipts[-1]
        return {
            "sequence": last.sequence + 1,
            "previous": last.digest,
            "finished": AT + timedelta(hours=1),
            "run_id": run_id_of(last.sequence + 1),
        }

    def _table(self, name: str, run_id: str, table: pa.Table, date: str | None) -> ReceiptFile:
        folder = name if date is None else f"{name}/date={date}"
        path = f"{folder}/{run_id}-0.parquet"
        (self.output / folder).mkdir(parents=True, exist_ok=True)
        pq.write_table(table, self.output / path)
        (self.output / folder / "_SUCCESS").touch()
        return ReceiptFile(path, table.num_rows, file_digest(self.output / path))

    def _named(self, quarantine: pa.Table, run_id: str) -> pa.Table:
        if quarantine.column_names[:1] != ["run_id"] or None not in quarantine["run_id"].to_pylist():
            return quarantine
        return quarantine.set_column(0, "run_id", pa.array([run_id] * len(quarantine)))

    def _write(self, path: str, content: bytes) -> None:
        (self.output / path).parent.mkdir(parents=True, exist_ok=True)
        (self.output / path).write_bytes(content)


def single(folder: Path, do: Any, values: pa.Array, declared: str, words: str, **more: Any) -> list[str]:
    """The codes found in an output with one column `x` that a policy treats so."""
    writer = OutputWriter(folder)
    keyed = {"key": "device/1"} if any(word in words for word in ("pseudonymize", "tokenize", "shift_dates")) else {}
    field = column(values.type, words, **keyed)
    table = pa.table([values], schema=pa.schema([field]))
    writer.run(policy({"x": {"type": declared, "role": "plain", "do": do}}, subject=None), {"records": table}, **more)
    return writer.codes()


__all__ = ["AT", "QUARANTINE", "OutputWriter", "column", "policy", "single"]
