"""Entries of the audit log as rows of named columns, and as NDJSON, JSON or CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TextIO

from minimize.errors import ConfigurationError
from minimize.ledger.audit_event import LogEntry, entry_event
from minimize.results import Line
from minimize.text import did_you_mean, without_formula

ENTRY_COLUMNS: Final[Mapping[str, Callable[[Mapping[str, Any]], str | None]]] = MappingProxyType(
    {
        "time": lambda event: event["time"],
        "actor": lambda event: event["actor"]["user"],
        "application": lambda event: event["actor"]["application"],
        "address": lambda event: event["actor"]["ip"],
        "permissions": lambda event: " ".join(event["actor"]["permissions"]),
        "category": lambda event: event["category"],
        "component": lambda event: event["component"],
        "activity": lambda event: event["activity"],
        "operation": lambda event: event["operation"],
        "result": lambda event: event["result"],
        "tenant": lambda event: event.get("tenant"),
        "resource": lambda event: " ".join(each["id"] for each in event["resources"]),
        "correlation": lambda event: event["correlation_id"],
        "id": lambda event: event["id"],
    }
)
"""The columns by name, each computed from an event."""
EntryFormat = Literal["ndjson", "json", "csv"]


def parse_columns(text: str) -> tuple[str, ...]:
    """The names of columns, separated by commas. Raises ConfigurationError for an unknown one."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in ENTRY_COLUMNS:
            hint = did_you_mean(name, ENTRY_COLUMNS) or f"Choose from {', '.join(ENTRY_COLUMNS)}."
            raise ConfigurationError(f"unknown column `{name}` of the audit log", hint=hint)
    return names


@dataclass(frozen=True, slots=True)
class EntryForm:
    """The form of listed entries.

    columns     only these columns; without them, whole entries
    is_limited  whether the reader sees the entries of some tenants only. Then an entry has no number, signature and link to the
                entry before it, because these would show how many other entries there are. Its digest identifies it.
    """

    columns: tuple[str, ...] | None = None
    is_limited: bool = False

    def json_of(self, entry: LogEntry) -> dict[str, Any]:
        """The entry as JSON."""
        if self.columns is not None:
            return dict(zip(self.columns, self.row_of(entry), strict=True))
        return {"digest": entry.digest, "event": entry_event(entry)} if self.is_limited else entry.to_json()

    def row_of(self, entry: LogEntry) -> list[str | None]:
        """The columns of the entry; all of them if none are chosen."""
        event = entry_event(entry)
        return [ENTRY_COLUMNS[name](event) for name in self.columns or ENTRY_COLUMNS]

    def lines_of(self, entry: LogEntry) -> Iterator[str]:
        """The entry as text."""
        number = f"{entry.sequence:>6}  "
        return (line.removeprefix(number) if self.is_limited else line for line in entry.lines())

    def write(self, entries: Iterable[LogEntry], out: TextIO, format_: EntryFormat) -> int:
        """Writes entries. Returns their number."""
        count = 0
        if format_ == "csv":
            rows = csv.writer(out, lineterminator="\n")
            rows.writerow(self.columns or ENTRY_COLUMNS)
        for count, entry in enumerate(entries, start=1):
            if format_ == "csv":
                rows.writerow(None if cell is None else without_formula(cell) for cell in self.row_of(entry))
            else:
                before = "" if format_ == "ndjson" else "[\n" if count == 1 else ",\n"
                out.write(before + json.dumps(self.json_of(entry), ensure_ascii=False))
                out.write("\n" if format_ == "ndjson" else "")
        if format_ == "json":
            out.write("\n]\n" if count else "[]\n")
        return count


WHOLE_ENTRIES: Final = EntryForm()


def format_of_file(file: Path) -> EntryFormat:
    """The format of a file by its suffix: .csv, .json, or else NDJSON."""
    formats: Mapping[str, EntryFormat] = {".csv": "csv", ".json": "json"}
    return formats.get(file.suffix.lower(), "ndjson")


@dataclass(frozen=True, slots=True)
class ListedEntries:
    """Entries of the audit log in a form, as the result of a command."""

    entries: Sequence[LogEntry]
    form: EntryForm

    def to_json(self) -> dict[str, Any]:
        """The entries under their name."""
        return {"entries": [self.form.json_of(each) for each in self.entries]}

    def lines(self) -> Iterable[Line]:
        """The chosen columns separated by tabs, below their names, else a line for each entry."""
        if not self.entries:
            return ["no entries"]
        if self.form.columns is None:
            return [line for each in self.entries for line in self.form.lines_of(each)]
        rows = (tuple(cell or "" for cell in self.form.row_of(each)) for each in self.entries)
        return [self.form.columns, *rows]
