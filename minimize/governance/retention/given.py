"""Events from files: CSV with a header, NDJSON, or Parquet with the same names."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Set
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
    rows = rows_of(file, {"tenant_id", "event", "at"})
    if rows is None:
        finding = Finding("G001", "events that cannot be read", file=str(file), hint="CSV, NDJSON or Parquet, in UTF-8")
        raise PolicyError(f"cannot read the events {file}", findings=[finding])
    return events_from(rows, str(file))


def rows_of(file: Path, names: Set[str]) -> Rows | None:
    """The rows of a file, each with its line; None where it cannot be read, or its header lacks one of the names."""
    read = {".parquet": _parquet, ".ndjson": _ndjson, ".jsonl": _ndjson}.get(file.suffix.lower(), _csv)
    try:
        return list(read(file, names))
    except (OSError, ValueError, csv.Error, pa.ArrowException):
        return None


def _csv(path: Path, names: Set[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        _check(names, reader.fieldnames or ())
        yield from ((reader.line_num, row) for row in reader)


def _ndjson(path: Path, _: Set[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), start=1):
        if line.strip():
            row = json.loads(line)
            yield number, row if isinstance(row, dict) else {}


def _parquet(path: Path, names: Set[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    table = pq.read_table(path, partitioning=None)
    _check(names, table.column_names)
    yield from enumerate(table.to_pylist(), start=1)


def _check(names: Set[str], there: Iterable[str]) -> None:
    if not names <= set(there):
        raise ValueError("a column is missing")
