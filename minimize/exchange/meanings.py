"""What each column of an output means, what was done to it, and what is left of a value: for every format alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from minimize.aggregates import Measure
from minimize.plan import Plan
from minimize.plan.model import FieldPlan
from minimize.policy.model import Role
from minimize.policy.words import chain_text


@dataclass(frozen=True, slots=True)
class Meaning:
    """One column.

    text   what it means, in words
    form   what is done on the way, in words
    inputs the fields that it is made from, by key
    facts  the same for machines
    """

    text: str
    form: str
    inputs: tuple[str, ...]
    role: Role
    facts: dict[str, Any]


def meanings(plan: Plan, name: str) -> dict[tuple[str, ...], Meaning]:
    """The columns of an output by their path; a list's or map's element is `*`."""
    return dict(_records(plan) if name == "records" else _aggregate(plan, name))


def form_of(field: FieldPlan) -> str:
    """What becomes of a field's values, whatever decides between several ways.

    >>> from minimize.policy.words import chain_text
    >>> chain_text("drop")
    'drop'
    """
    forms = dict.fromkeys("absent" if branch.steps is None else chain_text(branch.steps) for branch in field.branches)
    return " or ".join(forms)


def _records(plan: Plan) -> Iterator[tuple[tuple[str, ...], Meaning]]:
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
        yield path, Meaning(text, form_of(field), inputs, field.field.role, facts)


def _aggregate(plan: Plan, name: str) -> Iterator[tuple[tuple[str, ...], Meaning]]:
    model = plan.aggregates[name].model
    for key, group in model.group_by.items():
        form = f"start of the {group.to}" if group.to else "as released"
        yield (key,), _of_group(plan, group.field, f"group: {group.field}", form)
    for key, measure in model.measures.items():
        yield (key,), _of_measure(plan, measure)


def _of_group(plan: Plan, key: str, text: str, form: str) -> Meaning:
    field = plan.fields.get(key)
    facts = {"group": key, "techniques": list(field.technique) if field else []}
    return Meaning(text, form, (key,), field.field.role if field else "plain", facts)


def _of_measure(plan: Plan, measure: Measure) -> Meaning:
    of = f" of {measure.of}" if measure.of else ""
    return Meaning(
        f"{measure.name}{of}",
        measure.name,
        (measure.of,) if measure.of else (),
        "plain",
        {"measure": measure.name, **({"of": measure.of} if measure.of else {})},
    )
