"""Faults of policy and pipeline files: the table of codes, and the list for one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from minimize.errors import Finding, PolicyError

T = TypeVar("T")

FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "P001": "a file cannot be read, or is not YAML",
        "P002": "a key is duplicate, possibly in two spellings",
        "P003": "the file uses YAML features that are not allowed: anchors, aliases, merge keys, tags",
        "P004": "a key is unknown",
        "P005": "a key is missing",
        "P006": "a value has the wrong type",
        "P007": "a word is not one of the permitted words (role, type, holder, unit …)",
        "P008": "a purpose is unknown, or the policy does not list it",
        "P009": "a purpose is prohibited: profiling, advertising, marketing, sale",
        "P010": "a name (field, feature, level) is not declared",
        "P011": "a technique or measure is unknown",
        "P012": "a technique is an unkeyed hash",
        "P013": "a parameter is not valid for its technique or measure",
        "P014": "a secret would be kept or read",
        "P015": "a name is reserved or not valid",
        "P016": "a condition is not valid, or reads from another list",
        "P017": "the policy must name `time` or `subject`",
        "P018": "fields or keys contradict each other",
        "P019": "a backfill needs the earlier policy of a date that was never run",
        "P020": "a key for each value of a field needs a folder for each value: list the field in `partition_by`",
    }
)


@dataclass(frozen=True, slots=True)
class FaultList:
    """The faults of one file, in the order in which they were found."""

    file: str | None = None
    found: list[Finding] = field(default_factory=list)

    def add(self, code: str, message: str, *, line: int | None = None, key: str | None = None, hint: str = "") -> None:
        """Records one fault; `key` is the field's key."""
        self.found.append(
            Finding(code=code, message=message, severity="error", hint=hint, file=self.file, line=line, field=key)
        )


def require_sound(value: T | None, faults: Sequence[Finding], noun: str) -> T:
    """The value that was read. Raises PolicyError, with every fault as a finding, if it has faults or could not be read."""
    if value is None or faults:
        count = len(faults)
        raise PolicyError(f"the {noun} has {count} fault{'' if count == 1 else 's'}", findings=faults)
    return value
