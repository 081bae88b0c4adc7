"""What every source must hold to, whatever its format."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest
import zstandard

from minimize.arrow.pointers import Pointer
from minimize.records import Chunk
from minimize.sources import FORMATS, declared_schema
from minimize.sources.base import Source, SourceRequest
from minimize.sources.file_discovery import find_files
from minimize.sources.files import file_parts
from minimize.sources.memory import memory_source
from minimize.stores.durable_files import digest_algorithm
from tests.sources.declared import declared

CANARY = "c4n4ry"


REQUEST = SourceRequest(
    fields=(
        declared("id", "string", required=True),
        declared("at", "timestamp", required=True),
        declared("n", "integer"),
        declared("x", "double"),
        declared("ok", "boolean"),
        declared("gone", "string", needed=False),
        declared("may_be", "date", optional=True),
    ),
    never=(Pointer.parse("pin"),),
    subject=Pointer.parse("id"),
)
ROWS = [
    {"id": f"d{number}", "at": "2026-11-24T10:00:00.000000Z", "n": number, "x": number / 4, "ok": number % 2 == 0}
    | {"gone": CANARY, "pin": CANARY if number == 5 else None, "new": CANARY if number != 4 else None}
    for number in range(20)
]
ROWS[3]["id"] = None
ROWS[7]["at"] = None


def table() -> pa.Table:
    at = pa.array([row["at"] for row in ROWS]).cast(pa.timestamp("us", "UTC"))
    columns = pa.Table.from_pylist(ROWS)
    return columns.set_column(columns.schema.get_field_index("at"), "at", at)


def ndjson_bytes() -> bytes:
    return b"\n".join(json.dumps(row).encode() for row in ROWS)


def csv_bytes() -> bytes:
    held = io.BytesIO()
    pv.write_csv(pa.Table.from_pylist(ROWS), held)
    return held.getvalue()


def parquet_bytes() -> bytes:
    held = io.BytesIO()
    pq.write_table(table(), held, row_group_size=6)
    return held.getvalue()


FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a.ndjson": ("ndjson", ndjson_bytes),
    "a.ndjson.gz": ("ndjson", lambda: gzip.compress(ndjson_bytes())),
    "a.ndjson.zst": ("ndjson", lambda: zstandard.compress(ndjson_bytes())),
    "a.csv": ("csv", csv_bytes),
    "a.csv.gz": ("csv", lambda: gzip.compress(csv_bytes())),
    "a.csv.zst": ("csv", lambda: zstandard.compress(csv_bytes())),
    "a.parquet": ("parquet", parquet_bytes),
}


def sources_by_date(pattern: str, kind: str, base: Path) -> dict[date | None, Source]:
    found = find_files(pattern, base)
    return {day: FORMATS[kind].bind(file_parts(files, found.root), REQUEST) for day, files in found.files.items()}


@pytest.fixture(params=[*FILES, "memory"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    if request.param == "memory":
        return memory_source(table(), REQUEST)
    kind, data = FILES[request.param]
    (tmp_path / request.param).write_bytes(data())
    return sources_by_date(request.param, kind, tmp_path)[None]


def chunks(source: Source) -> list[Chunk]:
    return [chunk for part in source.parts for chunk in part.read()]


def test_every_chunk_has_the_schema_of_the_source_and_only_needed_columns(source: Source) -> None:
    assert sorted(source.schema.names) == ["at", "id", "may_be", "n", "ok", "x"]
    assert all(chunk.records.schema.equals(source.schema) for chunk in chunks(source))


def test_records_come_in_order_and_the_same_from_every_format(source: Source) -> None:
    rows = [row for chunk in chunks(source) for row in chunk.records.to_pylist()]
    good = [number for number in range(20) if number not in (3, 5, 7)]
    assert [(row["id"], row["n"], row["x"], row["ok"], row["may_be"]) for row in rows] == [
        (f"d{number}", number, number / 4, number % 2 == 0, None) for number in good
    ]
    assert {row["at"].isoformat() for row in rows} == {"2026-11-24T10:00:00+00:00"}


def test_read_counts_good_records_and_rejects_and_each_has_its_own_position(source: Source) -> None:
    found = chunks(source)
    assert sum(chunk.read for chunk in found) == 20
    assert all(chunk.read == chunk.records.num_rows + len(chunk.rejects) for chunk in found)
    places = [at for chunk in found if chunk.positions is not None for at in chunk.positions.to_pylist()]
    places += [reject.position for chunk in found for reject in chunk.rejects]
    assert len(set(places)) == 20


def test_rejects_name_code_and_pointer_and_never_a_value(source: Source) -> None:
    rejects = [reject for chunk in chunks(source) for reject in chunk.rejects]
    assert [(reject.code, reject.field) for reject in rejects] == [
        ("missing_field", "/id"),
        ("forbidden_field", "/pin"),
        ("missing_field", "/at"),
    ]
    assert CANARY not in repr(rejects)


def test_undeclared_data_is_counted_and_not_returned(source: Source) -> None:
    found = chunks(source)
    assert {str(pointer) for chunk in found for pointer in chunk.undeclared} == {"/new"}
    counted = sum(carry.records for chunk in found for carry in chunk.undeclared.values())
    assert counted in (16, 19)
    assert CANARY not in repr([chunk.records.to_pydict() for chunk in found])


def test_a_source_can_be_read_again(source: Source) -> None:
    assert chunks(source)[0].records.equals(chunks(source)[0].records)


def test_parts_have_names_and_digests_of_stored_bytes(source: Source) -> None:
    (part,) = source.parts
    assert part.name == "memory" or digest_algorithm(part.digest) == "blake3"


def test_sources_are_grouped_by_date(tmp_path: Path) -> None:
    for day in ("2026-11-23", "2026-11-24"):
        (tmp_path / day).mkdir()
        (tmp_path / day / "a.ndjson").write_bytes(ndjson_bytes())
    only = date(2026, 11, 24)
    assert list(sources_by_date("{date}/*.ndjson", "ndjson", tmp_path)) == [date(2026, 11, 23), only]
    found = sources_by_date("{date}/*.ndjson", "ndjson", tmp_path)[only]
    assert [part.name for part in found.parts] == ["2026-11-24/a.ndjson"]


def test_a_file_of_every_format_is_tried() -> None:
    assert {kind for kind, _ in FILES.values()} == set(FORMATS)


@pytest.mark.parametrize("kind", FORMATS)
def test_no_files_are_a_source_of_the_declared_schema(kind: str, tmp_path: Path) -> None:
    found = sources_by_date("none/*", kind, tmp_path)[None]
    assert (found.schema, list(found.parts)) == (declared_schema(REQUEST), [])
