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
        "P001": "a file that cannot be read, or is not YAML",
        "P002": "a key that stands twice, also in two spellings",
        "P003": "YAML that a policy does not use: anchors, aliases, merge keys, tags",
        "P004": "a key that is not known",
        "P005": "a key that is missing",
        "P006": "a value of the wrong kind",
        "P007": "a word that is not in its list (role, type, holder, unit …)",
        "P008": "a purpose that is not known, or that the policy does not list",
        "P009": "a purpose that nobody may have: profiling, advertising, marketing, sale",
        "P010": "a name (field, feature, level) that is not declared",
        "P011": "a technique or measure that is not known",
        "P012": "an unkeyed hash",
        "P013": "a parameter that does not fit its technique or measure",
        "P014": "a secret that would be kept or read",
        "P015": "a reserved or unusable name",
        "P016": "a condition that cannot be read, or reads from another list",
        "P017": "something that needs the policy's `time` or `subject`",
        "P018": "fields that stand in each other's way",
        "P019": "a backfill under the policy of then, of a date that never ran",
        "P020": "keys for each value of a column that has no folders of its own",
    }
)


@dataclass(frozen=True, slots=True)
class FaultList:
    """The faults of one file, in the order in which they were found."""

    file: str | None = None
    found: list[Finding] = field(default_factory=list)

    def add(self, code: str, message: str, *, line: int | None = None, key: str | None = None, hint: str = "") -> None:
        """Takes down one fault; `key` is the field's key."""
        self.found.append(Finding(code, message, "error", hint, self.file, line, key))


def require_sound(value: T | None, faults: Sequence[Finding], noun: str) -> T:
    """What was read. Raises PolicyError, with every fault as a finding, if there are faults or nothing could be read."""
    if value is None or faults:
        count = len(faults)
        raise PolicyError(f"the {noun} has {count} fault{'' if count == 1 else 's'}", findings=faults)
    return value
