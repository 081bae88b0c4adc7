"""Settings from a file, by its suffix: one format a file of this room, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from minimize.errors import Finding, PolicyError
from minimize.settings import csv, parquet
from minimize.settings.check import Given, checked
from minimize.settings.rows import SettingsRows

FORMATS: Final[Mapping[str, Callable[[Path], Given]]] = MappingProxyType(
    {".csv": csv.read, ".parquet": parquet.read, ".pq": parquet.read}
)
"""By suffix the way to read such a file. What has none of these is read as CSV, a folder as Parquet."""


def from_file(path: Path, *, tokens: bool = False) -> SettingsRows:
    """The rows of a settings file; `tokens` lets subjects be tokens of a ledger. Raises PolicyError with every fault, by line."""
    if not path.exists():
        finding = Finding("C001", "there is no such settings file", file=str(path), hint="is the path written right?")
        raise PolicyError(f"cannot read the settings {path}", findings=[finding])
    read = parquet.read if path.is_dir() else FORMATS.get(path.suffix.lower(), csv.read)
    return checked(replace(read(path), tokens=tokens))
