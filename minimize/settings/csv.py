"""Settings from files: CSV with a header, or Parquet with the same names."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.errors import Finding, PolicyError
from minimize.settings.check import Given, checked, refuse
from minimize.settings.rows import SettingsRows


def from_file(path: Path, *, tokens: bool = False) -> SettingsRows:
    """The rows of a settings file, Parquet by its suffix; `tokens` lets subjects be tokens of a ledger.

    Raises PolicyError with every fault, by line.
    """
    if not path.exists():
        finding = Finding("C001", "there is no such settings file", file=str(path), hint="is the path written right?")
        raise PolicyError(f"cannot read the settings {path}", findings=[finding])
    if path.suffix.lower() in (".parquet", ".pq") or path.is_dir():
        return checked(replace(_parquet(path), tokens=tokens))
    return checked(replace(_csv(path), tokens=tokens))


def _parquet(path: Path) -> Given:
    table = None
    with suppress(OSError, pa.ArrowException):
        table = pq.read_table(path, partitioning=None)
    if table is None:
        raise _unreadable(path, "Parquet")
    return Given(table, str(path))


def _csv(path: Path) -> Given:
    lines: list[tuple[int, list[str]]] | None = None
    with suppress(OSError, UnicodeDecodeError, csv.Error), path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(_numbered(file))
    if lines is None:
        raise _unreadable(path, "CSV in UTF-8")
    header = lines[0][1] if lines else []
    body = lines[1:]
    refuse([_uneven(path, line) for line, row in body if len(row) != len(header)], str(path))
    columns = [pa.array([row[position] for _, row in body], pa.string()) for position in range(len(header))]
    return Given(pa.table(columns, names=header), str(path), [line for line, _ in body])


def _numbered(file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line it starts on."""
    reader, start = csv.reader(file, strict=True), 1
    for row in reader:
        if row:
            yield start, row
        start = reader.line_num + 1


def _uneven(path: Path, line: int) -> Finding:
    return Finding("C005", "a row with more or fewer values than the header has names", file=str(path), line=line)


def _unreadable(path: Path, kind: str) -> PolicyError:
    finding = Finding("C001", f"settings that cannot be read as {kind}", file=str(path))
    return PolicyError(f"cannot read the settings {path}", findings=[finding])
