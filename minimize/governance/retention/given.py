"""Events from files: CSV with a header, NDJSON, or Parquet with the same names."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.errors import Finding, PolicyError
from minimize.governance.retention.events import Event, events_from

Rows = list[tuple[int, Mapping[str, Any]]]


def load_events(path: Path | str) -> tuple[Event, ...]:
    """The events of a file, each once, by its suffix: `.parquet`, `.ndjson` or `.jsonl`, else CSV.

    Raises PolicyError with every fault, by line.
    """
    file = Path(path)
    read = {".parquet": _parquet, ".ndjson": _ndjson, ".jsonl": _ndjson}.get(file.suffix.lower(), _csv)
    try:
        rows = list(read(file))
    except (OSError, ValueError, csv.Error, pa.ArrowException):
        rows = None
    if rows is None:
        finding = Finding("G001", "events that cannot be read", file=str(file), hint="CSV, NDJSON or Parquet, in UTF-8")
        raise PolicyError(f"cannot read the events {file}", findings=[finding])
    return events_from(rows, str(file))


def _csv(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        if not {"tenant_id", "event", "at"} <= set(reader.fieldnames or ()):
            raise ValueError("no events")
        yield from ((reader.line_num, row) for row in reader)


def _ndjson(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), start=1):
        if line.strip():
            row = json.loads(line)
            yield number, row if isinstance(row, dict) else {}


def _parquet(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    table = pq.read_table(path, partitioning=None)
    if not {"tenant_id", "event", "at"} <= set(table.column_names):
        raise ValueError("no events")
    yield from enumerate(table.to_pylist(), start=1)
