"""One thing that drifted, and all of them as a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from minimize.errors import Severity
from minimize.pointer import Pointer

Kind = Literal["new", "renamed", "retyped", "nested", "unlisted", "gone"]
CODES: Mapping[Kind, str] = {
    "new": "D001",
    "renamed": "D002",
    "retyped": "D003",
    "nested": "D004",
    "unlisted": "D005",
    "gone": "D006",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between the policy and what arrives.

    path     where, as it may be shown
    before   the policy's path, of what is renamed or nested otherwise
    was, is  the types, as words of the policy
    records  how many records of the date are concerned
    values   how many distinct values are not listed
    since    the earliest date whose receipt saw the path already
    line     where the field stands in the policy's file
    edit     what the policy could say instead, as a line of YAML
    """

    kind: Kind
    path: Pointer
    severity: Severity
    message: str
    records: int
    key: str | None = None
    before: str | None = None
    was: str | None = None
    is_: str | None = None
    values: int | None = None
    since: str | None = None
    line: int | None = None
    edit: str = ""

    @property
    def code(self) -> str:
        """The stable code of its kind."""
        return CODES[self.kind]

    def as_json(self) -> dict[str, Any]:
        """The change as `drift --json` prints it; what does not apply is left out."""
        said = {
            "code": self.code,
            "kind": self.kind,
            "severity": self.severity,
            "field": str(self.path),
            "before": self.before,
            "was": self.was,
            "is": self.is_,
            "records": self.records,
            "values": self.values,
            "since": self.since,
            "line": self.line,
            "message": self.message,
            "edit": self.edit or None,
        }
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Report:
    """What drifted on the dates that were looked at.

    unknown  per undeclared path, as receipts show it: how many records carried it, by receipt
    """

    pipeline: str
    policy: str
    version: int
    dates: tuple[str, ...]
    records: int
    changes: Sequence[Change]
    unknown: Mapping[str, Sequence[Mapping[str, Any]]]

    @property
    def matters(self) -> bool:
        """Whether something is lost or refused because of a change."""
        return any(change.severity == "error" for change in self.changes)

    @property
    def edit(self) -> str:
        """All suggested edits as one piece of a policy, in YAML; empty where there is none."""
        lines = [change.edit for change in self.changes if change.edit]
        return "fields:\n" + "\n".join(lines) + "\n" if lines else ""

    def as_json(self) -> dict[str, Any]:
        """The report as `drift --json` prints it."""
        return {
            "pipeline": self.pipeline,
            "policy": {"name": self.policy, "version": self.version},
            "dates": list(self.dates),
            "records": self.records,
            "drift": [change.as_json() for change in self.changes],
            "unknown": {path: list(seen) for path, seen in self.unknown.items()},
            "edit": self.edit,
        }
