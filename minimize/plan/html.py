"""A plan as tables in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from minimize.plan.encrypted import encrypted_in_words
from minimize.plan.indexed import index_of

if TYPE_CHECKING:
    from minimize.plan.model import FieldPlan, Plan

_LEFT = "text-align:left;vertical-align:top"
_HEAD = ("field", "role", "action", "technique", "leaves", "category", "what happens, and why")


def table(plan: Plan) -> str:
    """The plan as HTML, every text escaped: the fields, the outputs, what conditions reveal."""
    title = f"{plan.policy.policy} version {plan.policy.version}, purpose {plan.purpose or '(none)'}"
    index = index_of(plan).why if plan.pipeline is not None and "records" in plan.outputs else ""
    encrypted = [f"{name}: {words}" for name in plan.outputs if (words := encrypted_in_words(plan, name))]
    keys = f"keys needed: {', '.join(sorted(plan.keys))}" if plan.keys else ""
    outputs = [(name, output.category, ", ".join(output.schema.names)) for name, output in plan.outputs.items()]
    parts = [
        _paragraph(title),
        _table("fields", _HEAD, map(_cells, plan.fields.values())),
        _table("outputs", ("output", "category", "columns"), outputs),
        _table("what a value (or a record) reveals by being there", ("field", "reveals"), plan.reveals.items()),
        _paragraph(f"records: {index}" if index else ""),
        *map(_paragraph, encrypted),
        _paragraph(keys),
    ]
    return "<div>" + "".join(parts) + "</div>"


def _cells(field: FieldPlan) -> Sequence[str]:
    technique = " → ".join(field.technique)
    return field.key, field.field.role, field.action, technique, field.leaves or "", field.category or "", field.why


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row("td", row) for row in rows]
    if not lines:
        return ""
    body = f"<thead>{_row('th', head)}</thead><tbody>{''.join(lines)}</tbody>"
    return f"<table><caption style='text-align:left'>{escape(caption)}</caption>{body}</table>"


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag} style='{_LEFT}'>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
