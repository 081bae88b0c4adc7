"""One step of an explanation: what was looked at, what was found, and whether that decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from minimize.receipt import time_text
from minimize.settings import SettingRow

Verdict = Literal["passes", "stops", "depends", "says"]
"""It lets the value pass; it stops it; it depends on each record; it says something and decides nothing."""
SIGNS: Final = {"passes": "✓", "stops": "✗", "depends": "?", "says": "·"}


@dataclass(frozen=True, slots=True)
class Step:
    """A rule or a row and what it comes to.

    rows  the rows of settings that decide, without whose they are
    """

    what: str
    found: str
    verdict: Verdict = "says"
    file: str | None = None
    line: int | None = None
    rows: tuple[SettingRow, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The step as `explain --json` prints it."""
        said = {"what": self.what, "found": self.found, "verdict": self.verdict, "file": self.file, "line": self.line}
        return {**said, "rows": [row_json(row) for row in self.rows]}

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        head = f"{SIGNS[self.verdict]} {self.what}: {self.found}" + (f"  ({place})" if place else "")
        return "\n".join([head, *(f"    {row_text(row)}" for row in self.rows)])


def row_json(row: SettingRow) -> dict[str, Any]:
    """A row of settings, without the name of whose it is."""
    return {
        "of": _of(row),
        "setting": row.setting,
        "value": row.value,
        "holder": row.holder,
        "valid_from": time_text(row.valid_from),
        "recorded_at": time_text(row.recorded_at),
        "line": row.line,
    }


def row_text(row: SettingRow) -> str:
    """A row of settings, as people read it."""
    place = f" (line {row.line} of the settings)" if row.line is not None else ""
    when = f"from {time_text(row.valid_from)} on, recorded {time_text(row.recorded_at)}"
    return f"{row.setting} {row.value}, said by {row.holder} for {_of(row)}, {when}{place}"


def _of(row: SettingRow) -> str:
    return "the tenant" if row.subject is None else "the subject"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """What several come to: one that stops decides, then one that depends."""
    order: tuple[Verdict, ...] = ("stops", "depends", "passes", "says")
    return min(verdicts, key=order.index, default="says")
