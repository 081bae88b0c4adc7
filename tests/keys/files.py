"""A file of which some columns are encrypted, for the tests of the room."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from minimize.keys import Kms, find_kms, new_keyring
from minimize.keys.parquet_encryption import CategoryEncryption, column_category
from minimize.output.sink import ParquetSink

NOW = datetime(2026, 11, 25, tzinfo=UTC)
ELEMENT = pa.struct([("name", pa.string()), ("at", pa.int64())])


def _field(name: str, type_: pa.DataType, category: str, below: str = "") -> pa.Field:
    return pa.field(name, type_, metadata={f"minimize:category{below}": category})


SCHEMA = pa.schema(
    [
        _field("phone", pa.string(), "identified"),
        _field("device", pa.string(), "pseudonymized"),
        _field("open", pa.int64(), "aggregated"),
        _field("word", pa.string(), "aggregated"),
        _field("apps", pa.list_(ELEMENT), "pseudonymized", "/apps/*/name"),
        _field("tags", pa.map_(pa.string(), pa.int64()), "identified"),
        _field("place", pa.struct([("lat", pa.float64()), ("lon", pa.float64())]), "pseudonymized"),
    ]
)
CLOSED = ["phone", "device", "apps", "tags", "place"]
ROWS = 500


def rows(count: int = ROWS, first: int = 0) -> pa.RecordBatch:
    """Rows whose encrypted values have a word in them that can be searched for."""
    numbers = range(first, first + count)
    return pa.record_batch(
        [
            [f"CANARY-phone-{number}" for number in numbers],
            [f"CANARY-device-{number}" for number in numbers],
            [*numbers],
            [("red", "green")[number % 2] for number in numbers],
            [[{"name": f"CANARY-app-{number}", "at": number}] for number in numbers],
            [[(f"CANARY-tag-{number}", number)] for number in numbers],
            [{"lat": number / 7, "lon": number / 9} for number in numbers],
        ],
        schema=SCHEMA,
    )


def keyring(folder: Path, name: str = "a.keys") -> Kms:
    """A new keyring that makes master keys."""
    return find_kms(new_keyring(folder / name, now=NOW), now=NOW)


def encryption(kms: Kms, tenant: str | None = None) -> CategoryEncryption:
    """Encryption of every column that is not aggregated."""
    columns = [field for field in SCHEMA if column_category(field) != "aggregated"]
    return CategoryEncryption.for_columns(kms, columns, tenant)


def written(folder: Path, kms: Kms, stem: str = "f", batch: pa.RecordBatch | None = None) -> Path:
    """The file, as a sink leaves it."""
    sink = ParquetSink(folder, "records", stem, SCHEMA, encryption=encryption(kms))
    sink.write(rows() if batch is None else batch)
    sink.close()
    return folder / "records" / f"{stem}.parquet"
