"""Tables on a terminal. In a pipe they have no color and are as wide as their content."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import click
import pyarrow as pa
from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from minimize.plan import Plan
from minimize.plan.model import FieldPlan, describe_encryption, plan_subject_index
from minimize.results import TextTable
from minimize.times import duration_text

_COLOURS = {"keep": "yellow", "drop": "dim", "gate": "cyan", "generalize": "green"}
_PIPE_WIDTH, _UNLIMITED_WIDTH = 200, 100_000
_NAME_WIDTH = 30
"""Maximum width of field names. Longer names continue on the next line."""


def print_plan(plan: Plan) -> None:
    """Prints a plan: the table of fields, the outputs with their category, and what conditions reveal."""
    _print_parts(_title(plan), _fields(plan), *_outputs(plan), *_reveals(plan), *_keys(plan))


def print_rows(rows: pa.Table) -> None:
    """Prints released rows: one per line if they fit, else one table per row."""
    title = Text("\nreleased rows" if rows.num_rows else "\nno row would be released", "bold")
    wide = _table(*rows.column_names)
    for row in rows.to_pylist():
        wide.add_row(*map(_value, row.values()))
    if not rows.num_rows or _console(_UNLIMITED_WIDTH).measure(wide).maximum <= _console().width:
        _print_parts(title, wide)
    else:
        _print_parts(title, *(_single_row_table(number, row) for number, row in enumerate(rows.to_pylist(), start=1)))


def table_lines(table: TextTable) -> list[str]:
    """The lines of a table."""
    drawn = _table()
    for number, head in enumerate(table.heads):
        is_count = any(isinstance(row[number], int) for row in table.rows)
        drawn.add_column(head, justify="right" if is_count else "left")
    for row in table.rows:
        drawn.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) else cell or "") for cell in row))
    return _drawn_lines(drawn)


def print_matrix(head: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Prints a table whose rows have a name and one word per column."""
    table = _table(head, *columns)
    for name, cells in rows:
        table.add_row(Text(name), *map(Text, cells))
    _print_parts(table)


def _single_row_table(number: int, row: dict[str, Any]) -> Table:
    table = _table(f"row {number}", "")
    for name, value in row.items():
        table.add_row(Text(name), _value(value))
    return table


def _value(value: Any) -> Text:
    return Text("null", "dim") if value is None else Text(_value_text(value))


def _value_text(value: Any) -> str:
    """Formats a value: times in ISO 8601, nested values as JSON."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bool | list | dict):
        return json.dumps(value, default=_value_text, ensure_ascii=False)
    return str(value)


def _print_parts(*parts: RenderableType) -> None:
    click.echo("\n".join(_drawn_lines(*parts)))


def _drawn_lines(*parts: RenderableType) -> list[str]:
    console = _console()
    with console.capture() as printed:
        console.print(*parts, sep="\n")
    return [line.rstrip() for line in printed.get().splitlines()]


def _console(width: int | None = None) -> Console:
    console = Console(highlight=False, width=width)
    return console if console.is_terminal or width else Console(width=_PIPE_WIDTH, highlight=False)


def _table(*heads: str) -> Table:
    return Table(*heads, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))


def _title(plan: Plan) -> Text:
    return Text(f"{plan.policy.policy} version {plan.policy.version}, purpose {plan.purpose or '(none)'}", "bold")


def _fields(plan: Plan) -> Table:
    table = _table()
    table.add_column("field", overflow="fold", max_width=_NAME_WIDTH)
    for head in ("role", "action", "remains"):
        table.add_column(head, no_wrap=True)
    table.add_column("treatment and reason")
    for field in plan.fields.values():
        table.add_row(*_cells(field))
    return table


def _cells(field: FieldPlan) -> tuple[Text, ...]:
    action = Text(field.action, _COLOURS[field.action])
    return (Text(field.key), Text(field.field.role), action, Text(field.leaves or ""), Text(field.why))


def _outputs(plan: Plan) -> Iterator[RenderableType]:
    for name, output in plan.outputs.items():
        yield Text.assemble((name, "bold"), ": ", (output.category, "bold"))
        yield Padding(Text(", ".join(output.schema.names)), (0, 0, 0, 2))
        if name == "records" and plan.pipeline is not None:
            yield Padding(Text(plan_subject_index(plan).explanation, "dim"), (0, 0, 0, 2))
        if words := describe_encryption(plan, name):
            yield Padding(Text(words, "dim"), (0, 0, 0, 2))
        if name in plan.own_retentions:
            yield Padding(Text(f"kept for {duration_text(plan.own_retentions[name])}", "dim"), (0, 0, 0, 2))


def _reveals(plan: Plan) -> Iterator[RenderableType]:
    """Groups the conditions that reveal the same facts."""
    if plan.reveals:
        yield Text("\nthe presence of a value or record reveals:")
    for what, keys in groupby(sorted(plan.reveals, key=plan.reveals.__getitem__), plan.reveals.__getitem__):
        yield Padding(Text.assemble((", ".join(keys), "bold"), f": {what}"), (0, 0, 0, 2))


def _keys(plan: Plan) -> Iterator[Text]:
    if plan.keys:
        yield Text(f"\nkeys needed: {', '.join(sorted(plan.keys))}")
