"""The meaning, treatment and remaining form of each column of an output; declared fields as a tree."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from minimize.aggregates import Measure
from minimize.arrow.pointers import STAR, Pointer
from minimize.plan import Plan
from minimize.plan.model import FieldPlan
from minimize.policy.describe import treatment_text
from minimize.policy.model import Field, Role


@dataclass(frozen=True, slots=True)
class ColumnMeaning:
    """One column.

    text   its meaning as text
    form   its treatment as text
    inputs keys of the fields from which it is made
    facts  meaning and treatment in machine-readable form
    """

    text: str
    form: str
    inputs: tuple[str, ...]
    role: Role
    facts: dict[str, Any]


def column_meanings(plan: Plan, name: str) -> dict[tuple[str, ...], ColumnMeaning]:
    """The columns of an output by their path; a list's or map's element is `*`."""
    return dict(_record_columns(plan) if name == "records" else _aggregate_columns(plan, name))


def treatments_text(field: FieldPlan) -> str:
    """All treatments of a field as text, without the conditions that select one.

    >>> from minimize.policy.describe import treatment_text
    >>> treatment_text("drop")
    'drop'
    """
    forms = dict.fromkeys(
        "absent" if branch.steps is None else treatment_text(branch.steps) for branch in field.branches
    )
    return " or ".join(forms)


def _record_columns(plan: Plan) -> Iterator[tuple[tuple[str, ...], ColumnMeaning]]:
    for field in plan.fields.values():
        if field.gives is None:
            continue
        path = tuple(part if isinstance(part, str) else part.value for part in field.pointer.parts)
        about = field.field.about or field.key
        text = f"{about} ({field.field.unit})" if field.field.unit else about
        facts = {
            "role": field.field.role,
            "techniques": list(field.technique),
            "leaves": field.leaves,
            "category": field.category,
        }
        inputs = tuple(pointer.top if pointer.is_flat else str(pointer) for pointer in field.inputs)
        yield path, ColumnMeaning(text, treatments_text(field), inputs, field.field.role, facts)


def _aggregate_columns(plan: Plan, name: str) -> Iterator[tuple[tuple[str, ...], ColumnMeaning]]:
    model = plan.aggregates[name].model
    for key, group in model.group_by.items():
        form = f"start of the {group.to}" if group.to else "as released"
        yield (key,), _group_meaning(plan, group.field, f"group: {group.field}", form)
    of = plan.aggregates[name].definition.rolls_up
    for key, measure in model.measures.items():
        meaning = _measure_meaning(plan, measure)
        yield (
            (key,),
            meaning if of is None else dataclasses.replace(meaning, form=f"sum over the rows of {of} that are shown"),
        )


def _group_meaning(plan: Plan, key: str, text: str, form: str) -> ColumnMeaning:
    field = plan.fields.get(key)
    facts = {"group": key, "techniques": list(field.technique) if field else []}
    return ColumnMeaning(text, form, (key,), field.field.role if field else "plain", facts)


def _measure_meaning(plan: Plan, measure: Measure) -> ColumnMeaning:
    return ColumnMeaning(
        measure.phrase,
        measure.name,
        (measure.of,) if measure.of else (),
        "plain",
        {"measure": measure.name, **({"of": measure.of} if measure.of else {})},
    )


@dataclasses.dataclass(slots=True)
class FieldTree:
    """A node of a record: a field, a list (or map), or an object with named fields."""

    field: Field | None = None
    items: FieldTree | None = None
    named: dict[str, FieldTree] = dataclasses.field(default_factory=dict)

    @property
    def is_required(self) -> bool:
        """Whether every record has this node or a node below it."""
        return self.field.required if self.field else any(each.is_required for each in self.named.values())


def field_tree(fields: Mapping[Pointer, Field]) -> FieldTree:
    """The tree of these fields.

    >>> root = field_tree({Pointer.parse("/apps/*/name"): Field(key="/apps/*/name", type="string")})
    >>> list(root.named["apps"].items.named)
    ['name']
    """
    root = FieldTree()
    for pointer, declared in fields.items():
        here = root
        for part in () if pointer.is_keys else pointer.parts:
            if part is STAR:
                here.items = here.items or FieldTree()
                here = here.items
            else:
                here = here.named.setdefault(str(part), FieldTree())
        if not pointer.is_keys:
            here.field = declared
    return root
