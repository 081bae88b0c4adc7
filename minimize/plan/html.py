"""A plan as a table in a notebook."""

from __future__ import annotations

from html import escape

from minimize.plan.model import FieldPlan, Plan

_HEAD = ("field", "role", "action", "technique", "leaves", "category", "why")


def table(plan: Plan) -> str:
    """The plan as HTML, every text escaped."""
    head = "".join(f"<th style='text-align:left'>{name}</th>" for name in _HEAD)
    rows = "".join(_row(field) for field in plan.fields.values())
    outputs = ", ".join(f"{escape(name)}: {output.category}" for name, output in plan.outputs.items())
    purpose = escape(plan.purpose or "no purpose")
    caption = f"{escape(plan.policy.policy)} version {plan.policy.version}, for {purpose}. Outputs: {outputs}"
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(field: FieldPlan) -> str:
    cells = (
        field.key,
        field.field.role,
        field.action,
        " → ".join(field.technique),
        field.leaves or "",
        field.category or "",
        field.why,
    )
    return "<tr>" + "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in cells) + "</tr>"
