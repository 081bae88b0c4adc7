from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.drafting.values import discover_fields
from minimize.errors import SourceError

CANARY = "c4n4ry"


def test_fields_of_ndjson_are_inferred_from_its_records(tmp_path: Path) -> None:
    records = [
        {
            "id": CANARY,
            "at": "2026-11-24T10:00:00Z",
            "n": 1,
            "apps": [{"name": CANARY, "ok": True}],
            "day": "2026-11-24",
        },
        {"id": None, "at": "2026-11-24T10:00:00Z", "n": 1.5, "tags": ["x"], "device": {"os": {"v": "1"}}, "none": None},
        {"day": "someday", "empty": []},
    ]
    lines = [json.dumps(record).encode() for record in records]
    (tmp_path / "a.ndjson.gz").write_bytes(
        gzip.compress(b"\n".join([lines[0], b"{broken " + CANARY.encode(), *lines[1:]]))
    )
    found = discover_fields(tmp_path)
    assert found == [
        ("id", "string"),
        ("at", "timestamp"),
        ("n", "double"),
        ("/apps/*/name", "string"),
        ("/apps/*/ok", "boolean"),
        ("day", "string"),
        ("/tags/*", "string"),
        ("/device/os/v", "string"),
        ("none", "string"),
        ("empty", "list"),
    ]
    assert CANARY not in repr(found)


def test_an_object_whose_keys_may_be_values_is_a_map(tmp_path: Path) -> None:
    many = {f"k{number}": 1 for number in range(100)}
    line = json.dumps({"by_user": {f"{CANARY}@mail.example": 1}, "many": many, "few": {"a": 1}})
    (tmp_path / "a.jsonl").write_text(line)
    assert discover_fields(tmp_path / "a.jsonl") == [
        ("by_user", "map"),
        ("/by_user/*", "integer"),
        ("many", "map"),
        ("/many/*", "integer"),
        ("/few/a", "integer"),
    ]


def test_fields_of_csv_are_inferred_from_its_header(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"id,name\n{CANARY},{CANARY}\n")
    assert discover_fields(str(tmp_path / "*.csv")) == [("id", "string"), ("name", "string")]


def test_fields_of_parquet_and_memory_come_from_their_schema(tmp_path: Path) -> None:
    table = pa.table(
        {
            "a/b": pa.array([1], pa.int8()),
            "/c": ["x"],
            "s": [{"x": 1.5}],
            "l": [[{"y": b"z"}]],
            "m": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int8())),
            "d": pa.array([None], pa.decimal128(5, 2)),
            "t": pa.array([1], pa.time32("ms")),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    expected = [
        ("a/b", "integer"),
        ("/~1c", "string"),
        ("/s/x", "double"),
        ("/l/*/y", "binary"),
        ("m", "map"),
        ("/m/*", "integer"),
        ("d", "decimal(5,2)"),
        ("t", "time32[ms]"),
    ]
    assert discover_fields(tmp_path) == expected
    assert discover_fields(table) == expected
    assert discover_fields(pd.DataFrame({"n": [1]})) == [("n", "integer")]


def test_nothing_to_look_at_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SourceError, match="ndjson"):
        discover_fields(tmp_path)


def test_a_source_in_which_nothing_is_found_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"in {tmp_path}/nothing"):
        discover_fields(tmp_path / "nothing")
