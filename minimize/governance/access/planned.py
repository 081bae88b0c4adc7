"""What a plan says of an output's columns, as a decision wants to know it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from minimize.errors import PolicyError
from minimize.governance.access.grants import Operation
from minimize.governance.access.model import RECORDS
from minimize.governance.access.wanted import Column, Wanted
from minimize.plan import Plan
from minimize.plan.category import highest
from minimize.plan.model import FieldPlan
from minimize.policy.faults import did_you_mean

NOBODYS: Final = ""
"""What stands for purposes that have nothing in common: nobody can name it."""


def columns_of(plan: Plan, output: str = RECORDS) -> tuple[Column, ...]:
    """The columns of an output, each with its category and the purposes that all within it are for.

    Raises PolicyError for an output that the plan does not have.
    """
    found = plan.outputs.get(output)
    if found is None:
        raise PolicyError(f"there is no output `{output}`", hint=did_you_mean(output, plan.outputs))
    if output != RECORDS:
        return tuple(Column(name, found.category) for name in found.schema.names)
    return tuple(
        _column(name, [each for each in plan.fields.values() if _is_in(each, name)]) for name in found.schema.names
    )


def wanted_of(
    plan: Plan,
    dataset: str,
    columns: Sequence[str] | None = None,
    *,
    purpose: str | None = None,
    incident: str | None = None,
    operation: Operation = "read",
) -> Wanted:
    """What somebody wants who names a dataset and columns of it; all that are open where none are named.

    Raises PolicyError for an output or a column that is not there.
    """
    output = dataset.partition("/")[2] or RECORDS
    every = {column.name: column for column in columns_of(plan, output)}
    for name in columns or ():
        if name not in every:
            raise PolicyError(f"`{dataset}` has no column `{name}`", hint=did_you_mean(name, every))
    named = tuple(every.values()) if columns is None else tuple(every[name] for name in dict.fromkeys(columns))
    purposes, tenant = tuple(plan.policy.purposes), plan.policy.tenant
    keys = set(every) if output == RECORDS else _groups(plan, output)
    return Wanted(
        dataset, named, purpose, incident, operation, columns is None, purposes, tenant is not None and tenant in keys
    )


def _column(name: str, fields: Sequence[FieldPlan]) -> Column:
    """Nested fields make one column: it is as telling as the most telling of them, and for what all of them are for."""
    category = highest(each.category or "identified" for each in fields) if fields else "identified"
    limited = [each.field.purposes for each in fields if each.field.purposes]
    common = tuple(word for word in limited[0] if all(word in each for each in limited)) if limited else ()
    return Column(name, category, common or ((NOBODYS,) if limited else ()))


def _is_in(field: FieldPlan, column: str) -> bool:
    return field.gives is not None and field.pointer.top == column


def _groups(plan: Plan, output: str) -> set[str]:
    """The fields that an aggregate shows as they were released, under their own name."""
    return {name for name, key in plan.aggregates[output].model.group_by.items() if name == key.field}
