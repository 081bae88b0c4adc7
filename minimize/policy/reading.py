"""The fields that fields, conditions and aggregates read besides their own value."""

from __future__ import annotations

from collections.abc import Iterator

from minimize.policy.condition import read_by
from minimize.policy.fields import steps_of
from minimize.policy.model import Field
from minimize.policy.pipeline import AggregateModel


def read_by_conditions(field: Field) -> Iterator[str]:
    """The fields that the conditions of a field read."""
    for condition in (field.collect_if, *(case.when for case in field.cases)):
        yield from read_by(condition)


def read_by_steps(field: Field) -> Iterator[tuple[str, str]]:
    """The fields that the steps of a field read, each after the name of its technique."""
    for step in steps_of(field):
        yield from ((step.name, key) for key in sorted(step.reads()))


def read_by_aggregate(model: AggregateModel) -> Iterator[str]:
    """The fields that the groups and the measures of an aggregate show."""
    yield from (key.field for key in model.group_by.values())
    yield from (measure.of for measure in model.measures.values() if measure.of is not None)
