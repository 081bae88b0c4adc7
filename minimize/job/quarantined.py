"""The quarantine that stands: which records of which date, by code, field and file. Of a source nothing is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from minimize.errors import OutputError
from minimize.io.places import place_of
from minimize.io.published import receipts
from minimize.io.quarantine import SCHEMA
from minimize.io.stored import open_stored
from minimize.receipt import Receipt, quarantine_in_force
from minimize.stores import Place

Group = tuple[str, str | None, str]
"""Code, field, file."""


@dataclass(frozen=True, slots=True)
class Held:
    """The quarantined records of one batch date (None where there are no dates), and the receipt that put them there."""

    day: str | None
    receipt: Receipt
    places: Mapping[str, Mapping[int, tuple[str, str | None]]]
    """By file and position: code and field."""

    @property
    def rows(self) -> int:
        """How many they are."""
        return sum(map(len, self.places.values()))

    def groups(self) -> Counter[Group]:
        """How many there are of each code, field and file."""
        return Counter((*what, source) for source, some in self.places.items() for what in some.values())


def held(output: Place, day: str | None = None) -> list[Held]:
    """What stands in quarantine, a date each, in order; of one date where that is given. Raises OutputError."""
    chain = receipts(output)
    writers = {file.path: receipt for receipt in chain for file in receipt.quarantine.files}
    by_day: dict[str | None, list[str]] = {}
    for file in quarantine_in_force(chain):
        by_day.setdefault(place_of(file.path)[1], []).append(file.path)
    days = sorted((each for each in by_day if day in (None, each)), key=lambda each: each or "")
    return [_held(output, each, by_day[each], writers) for each in days]


def counted(found: list[Held]) -> list[dict[str, Any]]:
    """Groups by code, field and file over all dates, with how many rows each has, the most first."""
    rows: Counter[Group] = Counter()
    for each in found:
        rows.update(each.groups())
    ordered = sorted(rows.items(), key=lambda pair: (-pair[1], pair[0][0], pair[0][1] or "", pair[0][2]))
    return [{"code": code, "field": field, "file": source, "rows": count} for (code, field, source), count in ordered]


def _held(output: Place, day: str | None, paths: list[str], writers: Mapping[str, Receipt]) -> Held:
    places: dict[str, dict[int, tuple[str, str | None]]] = {}
    for path in paths:
        table = open_stored(output, path).table()
        if table.schema.names != SCHEMA.names:
            raise OutputError(f"{path} is no quarantine file", hint="`minimize verify` checks all files")
        columns = (table[name].to_pylist() for name in ("source", "position", "code", "field"))
        for source, position, code, field in zip(*columns, strict=True):
            places.setdefault(source, {})[position] = (code, field)
    return Held(day, writers[paths[0]], places)
