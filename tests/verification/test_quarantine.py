"""Quarantine: codes and pointers, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from minimize.receipts import InputFile, QuarantineEntry
from minimize.stores.durable_files import file_digest

from .make import QUARANTINE, OutputWriter, column, policy

POLICY = policy(
    {"x": {"type": "string", "do": "keep"}, "/apps/*/name": {"type": "string", "do": "drop"}}, never=["/sms"]
)


def rejects(**changed: Any) -> pa.Table:
    row = {"run_id": None, "source": "a.ndjson", "position": 7, "unit": "byte", "field": "/x", "code": "wrong_type"}
    return pa.Table.from_pylist([{**row, **changed}], schema=QUARANTINE)


def codes(writer: OutputWriter, quarantine: pa.Table) -> list[str]:
    records = pa.table([pa.array(["a"])], schema=pa.schema([column(pa.string(), "keep")]))
    inputs = (InputFile("a.ndjson", file_digest(b""), 1 + len(quarantine)),)
    writer.run(POLICY, {"records": records}, quarantine=quarantine, inputs=inputs)
    return writer.codes()


@pytest.mark.parametrize("field", ["/x", "/apps/*/name", "/sms", None])
def test_codes_and_pointers_of_the_policy_are_accepted(writer: OutputWriter, field: str | None) -> None:
    assert codes(writer, rejects(field=field)) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"field": "/alice"},
        {"field": "/apps/0/name"},
        {"code": "it was alice"},
        {"unit": "line"},
        {"source": "alice.ndjson"},
        {"run_id": "20261125T000009Z-0123456789ab"},
    ],
)
def test_anything_else_is_found(writer: OutputWriter, changed: dict[str, str]) -> None:
    assert codes(writer, rejects(**changed)) == ["V051"]


def test_another_column_is_found(writer: OutputWriter) -> None:
    assert codes(writer, rejects().append_column("raw", pa.array(["secret"]))) == ["V050"]


def test_a_missing_column_is_found(writer: OutputWriter) -> None:
    assert codes(writer, rejects(run_id="r").drop_columns(["field"])) == ["V050"]


def test_codes_that_are_counted_otherwise_are_found(writer: OutputWriter) -> None:
    codes(writer, rejects())
    (receipt,) = writer.receipts
    writer.receipts.clear()
    counted = QuarantineEntry(1, {"malformed": 1}, receipt.quarantine.files)
    writer.sign(replace(receipt, quarantine=counted))
    assert writer.codes() == ["V052"]
