"""What a plan holds: per field what becomes of it and why, per output its category and schema.

A plan knows neither key bytes nor settings nor rows; engines bind those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import pyarrow as pa

from minimize.aggregates.days import Lateness
from minimize.aggregates.definition import Definition
from minimize.plan.encrypted import encrypted_in_words
from minimize.plan.html import table
from minimize.plan.indexed import index_of
from minimize.pointer import Pointer
from minimize.policy.condition import Condition
from minimize.policy.model import Field, Policy
from minimize.policy.pipeline import AggregateModel, Pipeline
from minimize.policy.words import duration
from minimize.techniques import Leaves, Step

Action = Literal["keep", "drop", "gate", "generalize"]
Category = Literal["identified", "pseudonymized", "aggregated"]


@dataclass(frozen=True, slots=True)
class Branch:
    """One way to treat a value: the chain of steps, None to drop it (null in that record)."""

    when: Condition | None
    steps: tuple[Step, ...] | None


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """What becomes of one field under this purpose.

    inputs    the raw leaves it is made from: itself, or those of `from`
    takes     the type of its leaf as it comes in (a struct of the inputs for `from`)
    gives     the type of its leaf as it leaves; None when it is absent from the output
    measured  the type that aggregates see instead, of a field with `in_aggregates`
    branches  in order, the first whose condition holds decides; the last has no condition
    """

    field: Field
    pointer: Pointer
    inputs: tuple[Pointer, ...]
    takes: pa.DataType
    gives: pa.DataType | None
    measured: pa.DataType | None
    action: Action
    technique: tuple[str, ...]
    why: str
    leaves: Leaves | None
    category: Category | None
    branches: tuple[Branch, ...]

    @property
    def key(self) -> str:
        """The field's key in the policy."""
        return self.field.key

    @property
    def place(self) -> Pointer:
        """The raw leaf that has one value for each value of the field: itself, or the innermost of its inputs."""
        return max(self.inputs, key=lambda pointer: len(pointer.stars))

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step of every branch, in order."""
        return tuple(step for branch in self.branches for step in branch.steps or ())

    def as_json(self) -> dict[str, Any]:
        """The field as `plan --json` prints it."""
        words: Any = self.technique[0] if len(self.technique) == 1 else list(self.technique) or None
        return {
            "action": self.action,
            "technique": words,
            "why": self.why,
            "leaves": self.leaves,
            "category": self.category,
            "role": self.field.role,
            "type": None if self.gives is None else str(self.gives),
        }


@dataclass(frozen=True, slots=True)
class AggregatePlan:
    """One aggregate, checked: its model, what its tally needs, and how long it waits for late rows."""

    name: str
    model: AggregateModel
    definition: Definition
    late: Lateness | None = None


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """One output: its category and its schema."""

    category: Category
    schema: pa.Schema


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """A policy bound to a schema and a purpose."""

    policy: Policy
    pipeline: Pipeline | None
    purpose: str | None
    source: pa.Schema
    fields: Mapping[str, FieldPlan]
    aggregates: Mapping[str, AggregatePlan]
    outputs: Mapping[str, OutputPlan]
    keys: frozenset[str]
    """The names of the keys that a run needs."""
    reveals: Mapping[str, str]
    """Per field with a condition, and under `records` for whole records: what the outcome reveals."""
    digest: str

    def __repr__(self) -> str:
        return f"Plan({self.policy.policy} version {self.policy.version} for {self.purpose}, {len(self.fields)} fields)"

    def as_json(self) -> dict[str, Any]:
        """The plan as `plan --json` prints it."""
        outputs: dict[str, dict[str, str]] = {
            name: {"category": output.category} for name, output in self.outputs.items()
        }
        if self.pipeline is not None and "records" in outputs:
            outputs["records"] |= {"index": index_of(self).why}
        for name in outputs:
            words = encrypted_in_words(self, name)
            outputs[name] |= {"encrypt": words} if words else {}
        for name, span in self.own_retentions.items():
            outputs[name] |= {"retention": duration(span)}
        return {
            "policy": {"name": self.policy.policy, "version": self.policy.version, "digest": self.policy.digest},
            "purpose": self.purpose,
            "fields": {key: field.as_json() for key, field in self.fields.items()},
            "outputs": outputs,
            "keys": sorted(self.keys),
            "reveals": dict(self.reveals),
            "digest": self.digest,
        }

    @property
    def own_retentions(self) -> Mapping[str, timedelta]:
        """The aggregates that have a retention of their own."""
        return {} if self.pipeline is None else self.pipeline.own_retentions

    def _repr_html_(self) -> str:
        return table(self)
