"""A Plan: a policy bound to a schema and a purpose, by names. Every check that needs no data is made here.

A plan knows neither key bytes nor settings nor rows; engines bind those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from minimize.pointer import Pointer
from minimize.policy.condition import Condition
from minimize.policy.model import Field, Policy
from minimize.policy.pipeline import AggregateModel, Pipeline
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


@dataclass(frozen=True, slots=True)
class AggregatePlan:
    """One aggregate, checked: its model, and the schema of its table."""

    name: str
    model: AggregateModel
    schema: pa.Schema


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """One output: its category and its schema."""

    category: Category
    schema: pa.Schema


@dataclass(frozen=True, slots=True)
class Plan:
    """A policy bound to a schema and a purpose."""

    policy: Policy
    pipeline: Pipeline | None
    purpose: str
    source: pa.Schema
    fields: Mapping[str, FieldPlan]
    aggregates: Mapping[str, AggregatePlan]
    outputs: Mapping[str, OutputPlan]
    keys: frozenset[str]
    """The names of the keys that a run needs."""
    digest: str
