"""Tables on a terminal (and in a pipe: the same, without colour, as wide as they need)."""

from __future__ import annotations

import pyarrow as pa
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from minimize.plan import Plan
from minimize.plan.model import FieldPlan

_COLOURS = {"keep": "yellow", "drop": "dim", "gate": "cyan", "generalize": "green"}
_WIDE = 200


def plan_table(plan: Plan) -> None:
    """Prints the plan: a table of fields, the outputs with their category, what conditions reveal."""
    console = _console()
    heads = ("field", "role", "action", "leaves", "what happens, and why")
    table = Table(*heads, title=_title(plan), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for field in plan.fields.values():
        table.add_row(*_cells(field))
    console.print(table)
    for name, output in plan.outputs.items():
        columns = ", ".join(output.schema.names)
        console.print(Text.assemble((name, "bold"), f": {output.category}; columns {columns}"))
    for key, what in plan.reveals.items():
        console.print(Text.assemble("whether ", (key, "bold"), f" is there reveals {what}"))
    if plan.keys:
        console.print(f"keys needed: {', '.join(sorted(plan.keys))}")


def rows_table(rows: pa.Table) -> None:
    """Prints rows as they would leave."""
    table = Table(*rows.column_names, title="as they would leave", title_justify="left")
    for row in rows.to_pylist():
        table.add_row(*(Text("null", "dim") if value is None else Text(str(value)) for value in row.values()))
    _console().print(table)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_WIDE)


def _title(plan: Plan) -> str:
    return f"{plan.policy.policy} version {plan.policy.version}, purpose {plan.purpose or '(none)'}"


def _cells(field: FieldPlan) -> tuple[Text, ...]:
    action = Text(field.action, _COLOURS[field.action])
    return (Text(field.key), Text(field.field.role), action, Text(field.leaves or ""), Text(field.why))
