"""Describes what a scenario left on disk: receipts, tables, documents, and where planted values are found."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tests.golden.normalize import Normalizer
from tests.leak.canary import Canary
from tests.leak.pages import encrypted_columns
from tests.leak.sweep import found

MOST_ROWS = 60
"""A table with more rows is recorded as its first rows and a digest of each column."""
FIRST_ROWS = 15


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files below a folder with their relative names, sorted."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.endswith(("-wal", "-shm", ".lock")):
            yield path.relative_to(folder).as_posix(), path


def describe(path: Path, stable: Normalizer) -> Any:
    """What is in a file, in a form that does not change from run to run."""
    match path.suffix:
        case ".parquet":
            return _parquet(path, stable)
        case ".json":
            return stable.value(json.loads(path.read_bytes()))
        case ".ndjson":
            return [_without_large_facets(stable.value(json.loads(line))) for line in path.read_bytes().splitlines()]
        case ".yaml":
            return stable.value(as_data(yaml.safe_load(path.read_bytes())))
        case ".csv":
            return [stable.value(row) for row in csv.reader(io.StringIO(path.read_text()))]
        case ".md" | ".html" | ".txt" | ".prom":
            return "<text>"
        case _:
            return "empty" if not path.stat().st_size else "<bytes>"


def _without_large_facets(event: Any) -> Any:
    """An OpenLineage event whose large facets, such as column lineage, are replaced by a digest."""
    if isinstance(event, dict):
        return {
            key: _shortened(member) if key == "facets" else _without_large_facets(member)
            for key, member in event.items()
        }
    return [_without_large_facets(member) for member in event] if isinstance(event, list) else event


def _shortened(facets: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: json.dumps(facet, sort_keys=True) for name, facet in facets.items()}
    return {name: facets[name] if len(text) < 800 else _short_digest(text) for name, text in texts.items()}


def _short_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _parquet(path: Path, stable: Normalizer) -> Any:
    try:
        encrypted = encrypted_columns(path)
        schema = pq.read_schema(path)
    except (ValueError, IndexError, OSError):
        return "<not Parquet>"
    readable = [name for name in schema.names if name not in encrypted]
    described = as_data(pq.ParquetFile(path).read(columns=readable)) if readable else {"rows": _row_count(path)}
    described["schema"] = _schema(schema, stable)
    described |= {"encrypted": sorted(encrypted)} if encrypted else {}
    return stable.value(described)


def _row_count(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def as_data(value: Any) -> Any:
    """A result of the public API as JSON."""
    if hasattr(value, "__arrow_c_stream__") or isinstance(value, pa.RecordBatch):
        return _table(pa.table(value))
    if hasattr(value, "to_json"):
        return as_data(value.to_json())
    if isinstance(value, Mapping):
        return {str(key): as_data(member) for key, member in value.items()}
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Sequence):
        return [as_data(member) for member in value]
    return f"<{type(value).__name__}>"


def _schema(schema: pa.Schema, stable: Normalizer) -> dict[str, Any]:
    columns = {field.name: {"type": str(field.type), **_metadata(field.metadata)} for field in schema}
    return stable.value({"columns": columns, "metadata": _metadata(schema.metadata)})  # type: ignore[no-any-return]


def _metadata(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    """Field metadata; that of other writers and readers is named, not shown."""
    texts = {key.decode(): value.decode() for key, value in sorted((metadata or {}).items())}
    return {key: value if key.startswith("minimize:") else "<bytes>" for key, value in texts.items()}


def _table(table: pa.Table) -> dict[str, Any]:
    """The rows of a table in a fixed order. A long one is cut, with a digest of each column as a whole."""
    rows = sorted(([as_data(value) for value in row.values()] for row in table.to_pylist()), key=json.dumps)
    described: dict[str, Any] = {"rows": table.num_rows, "names": table.schema.names}
    described["types"] = [str(kind) for kind in table.schema.types]
    if len(rows) <= MOST_ROWS:
        return {**described, "values": rows}
    columns = zip(*rows, strict=True)
    digests = {
        name: _short_digest(json.dumps(column)) for name, column in zip(table.schema.names, columns, strict=True)
    }
    return {**described, "columns": digests, "first": rows[:FIRST_ROWS]}


def leaks(
    canaries: Iterable[Canary], files: Iterable[tuple[str, Path]], printed: Iterable[tuple[str, bytes]]
) -> dict[str, list[str]]:
    """By canary the folders, files and streams in which it is found."""
    canaries = list(canaries)
    places: dict[str, set[str]] = {canary.place: set() for canary in canaries}
    for name, path in files:
        for place in found(canaries, path) | found(canaries, name.encode()):
            places[place].add("/".join(name.split("/")[:3]))
    for stream, text in printed:
        for place in found(canaries, text):
            places[place].add(stream)
    return {place: sorted(where) for place, where in sorted(places.items())}
