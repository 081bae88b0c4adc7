"""What lint looks at: a policy, perhaps its pipeline, and what is known about source, settings and tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from minimize.errors import Finding
from minimize.pointer import Pointer
from minimize.policy.condition import Condition
from minimize.policy.fields import is_dropped
from minimize.policy.lint.rules import RULES
from minimize.policy.model import Field, Policy
from minimize.policy.pipeline import Pipeline
from minimize.policy.roles import contact_kind

SettingRow = tuple[str, str, str]
"""Setting, holder, value, as the settings have them."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is linted; None where nothing is known.

    values    of the fields whose values in the source identify: what they are, in words
    contacts  of the fields whose values in the source are addresses of people or computers: what they are, in words
    """

    policy: Policy
    pipeline: Pipeline | None = None
    columns: frozenset[Pointer] | None = None
    settings: tuple[SettingRow, ...] | None = None
    values: Mapping[Pointer, str] | None = None
    contacts: Mapping[Pointer, str] | None = None
    siblings: Sequence[Policy] = ()

    def finding(self, code: str, message: str, *, field: Field | None = None, at: str = "", hint: str = "") -> Finding:
        """A finding about a field, or about a key of the policy's head."""
        path = self.policy.path
        line = self.policy.lines.get(tuple(at.split("."))) if field is None else field.line
        key = None if field is None else field.key
        return Finding(code, message, RULES[code].severity, hint, None if path is None else str(path), line, key)

    def in_pipeline(self, code: str, message: str, *at: str, hint: str = "") -> Finding:
        """A finding about a key of the pipeline."""
        pipeline = self.pipeline
        path = None if pipeline is None else pipeline.path
        line = None if pipeline is None else pipeline.line_of(*at)
        name = at[1] if len(at) > 1 and at[0] == "aggregates" else None
        return Finding(code, message, RULES[code].severity, hint, None if path is None else str(path), line, name)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The policy's fields."""
        return tuple(self.policy.fields.values())

    def contact_kind(self, field: Field) -> str | None:
        """Which kind of name or address a field holds, by its name or its values, in words."""
        return contact_kind(field.pointer) or (self.contacts or {}).get(field.pointer)

    def is_held(self, key: str) -> bool:
        """Whether the records hold the field, in a run for the pipeline's purpose."""
        field = self.policy.fields.get(key)
        return field is not None and not is_dropped(field) and self.is_for_purpose(field)

    def is_for_purpose(self, field: Field) -> bool:
        """Whether a field may be had for the pipeline's purpose; without a pipeline for any."""
        purpose = None if self.pipeline is None else self.pipeline.purpose
        return not field.purposes or purpose is None or purpose in field.purposes

    def conditions(self) -> Iterator[tuple[Condition, Field | None]]:
        """Every condition of the policy and the pipeline, and the field that it belongs to (None: whole records)."""
        for field in self.fields:
            if field.collect_if is not None:
                yield field.collect_if, field
            yield from ((case.when, field) for case in field.cases)
        records = None if self.pipeline is None else self.pipeline.records
        for whole in (self.policy.records.collect_if, None if records is None else records.collect_if):
            if whole is not None:
                yield whole, None
