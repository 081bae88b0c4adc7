"""Settings from CSV (RFC 4180) with a header, in UTF-8."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import pyarrow as pa

from minimize.errors import Finding
from minimize.settings.check import Given, refuse, unreadable


def read(path: Path) -> Given:
    """The rows of a file. Raises PolicyError where it cannot be read, or rows have not as many values as the header has names."""
    lines: list[tuple[int, list[str]]] | None = None
    refused: OSError | None = None
    try:
        with suppress(UnicodeDecodeError, csv.Error), path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(_numbered(file))
    except OSError as error:
        refused = error
    if lines is None:
        raise unreadable(path, "CSV in UTF-8", refused)
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
