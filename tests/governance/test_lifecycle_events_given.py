"""Events from files of three kinds."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.datasets.lifecycle_events import RetentionEvent, load_events
from minimize.errors import PolicyError

AT = datetime(2026, 5, 1, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {"tenant_id": "north", "subject": "d1", "event": "reset", "at": "2026-05-01T00:00:00Z"},
    {"tenant_id": "south", "subject": None, "event": "tenant_closed", "at": "2026-05-01T00:00:00Z"},
]
EVENTS = (RetentionEvent("north", "reset", AT, "d1"), RetentionEvent("south", "tenant_closed", AT))


def test_csv_ndjson_and_parquet_say_the_same(tmp_path: Path) -> None:
    csv, ndjson, parquet = (tmp_path / f"events.{kind}" for kind in ("csv", "ndjson", "parquet"))
    lines = [f"{row['at']},{row['event']},{row['tenant_id']},{row['subject'] or ''}" for row in ROWS]
    csv.write_text("\n".join(["at,event,tenant_id,subject", *lines]))
    ndjson.write_text("\n".join(json.dumps(row) for row in ROWS))
    pq.write_table(pa.Table.from_pylist([{**row, "at": AT} for row in ROWS]), parquet)
    assert load_events(csv) == load_events(ndjson) == load_events(parquet) == EVENTS


def test_a_file_without_subjects_is_about_whole_tenants(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("tenant_id,event,at\nsouth,tenant_closed,2026-05-01T00:00:00Z\n")
    assert load_events(path) == EVENTS[1:]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"tenant_id,at\nnorth,2026-05-01T00:00:00Z\n"])
def test_what_cannot_be_read_is_refused_without_its_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(content)
    with pytest.raises(PolicyError) as error:
        load_events(path)
    assert [finding.code for finding in error.value.findings] == ["G001"]
    assert error.value.__context__ is None


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
@pytest.mark.parametrize("header", ["Subject", "subject ", "sub\u200bject", "subjects", "id", "user_id"])
def test_a_misspelt_column_of_subjects_does_not_make_an_event_of_the_whole_tenant(
    tmp_path: Path, header: str, kind: str
) -> None:
    found = [write_event(tmp_path / f"{number}.{kind}", name) for number, name in enumerate((header, "subject"))]
    with pytest.raises(PolicyError) as error:
        load_events(found[0])
    assert [(finding.code, finding.field) for finding in error.value.findings] == [("G001", "subject")]
    assert load_events(found[1]) == (RetentionEvent("north", "erasure", AT, "d1"),)


def write_event(path: Path, name: str) -> Path:
    """A file with an erasure whose subject is in the column of this name."""
    row = {"tenant_id": "north", name: "d1", "event": "erasure", "at": "2026-05-01T00:00:00Z"}
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([row]), path)
    else:
        csv = f"{','.join(row)}\n{','.join(row.values())}\n"
        path.write_text(csv if path.suffix == ".csv" else json.dumps(row))
    return path


def test_a_column_of_subjects_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("tenant_id,subject,event,at,subject\nnorth,d1,erasure,2026-05-01T00:00:00Z,\n")
    with pytest.raises(PolicyError) as error:
        load_events(path)
    assert [finding.code for finding in error.value.findings] == ["G001"]


@pytest.mark.parametrize("name", ["field", "Field"])
def test_an_event_file_that_names_a_field_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(f"tenant_id,subject,{name},event,at\nnorth,d1,user_id,erasure,2026-05-01T00:00:00Z\n")
    with pytest.raises(PolicyError) as error:
        load_events(path)
    assert [(finding.code, finding.line) for finding in error.value.findings] == [("G001", 2)]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError):
        load_events(tmp_path / "none.parquet")
