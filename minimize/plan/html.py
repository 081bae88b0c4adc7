"""A plan as tables in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from minimize.markup import page, paragraph
from minimize.markup import table as tabled
from minimize.plan.encrypted import encrypted_in_words
from minimize.plan.indexed import index_of
from minimize.policy.words import duration

if TYPE_CHECKING:
    from minimize.plan.model import FieldPlan, Plan

_HEAD = ("field", "role", "action", "technique", "leaves", "category", "what happens, and why")


def table(plan: Plan) -> str:
    """The plan as HTML, every text escaped: the fields, the outputs, what conditions reveal."""
    title = f"{plan.policy.policy} version {plan.policy.version}, purpose {plan.purpose or '(none)'}"
    index = index_of(plan).why if plan.pipeline is not None and "records" in plan.outputs else ""
    encrypted = [f"{name}: {words}" for name in plan.outputs if (words := encrypted_in_words(plan, name))]
    kept = [f"{name}: kept for {duration(span)}" for name, span in plan.own_retentions.items()]
    keys = f"keys needed: {', '.join(sorted(plan.keys))}" if plan.keys else ""
    outputs = [(name, output.category, ", ".join(output.schema.names)) for name, output in plan.outputs.items()]
    return page(
        paragraph(title),
        tabled("fields", _HEAD, map(_cells, plan.fields.values())),
        tabled("outputs", ("output", "category", "columns"), outputs),
        tabled("what a value (or a record) reveals by being there", ("field", "reveals"), plan.reveals.items()),
        paragraph(f"records: {index}" if index else ""),
        *map(paragraph, encrypted),
        *map(paragraph, kept),
        paragraph(keys),
    )


def _cells(field: FieldPlan) -> Sequence[str]:
    technique = " → ".join(field.technique)
    return field.key, field.field.role, field.action, technique, field.leaves or "", field.category or "", field.why
