"""Tables on a terminal. In a pipe they have no color and are as wide as their content."""

from __future__ import annotations

from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from minimize.cli.printing import terminal_text
from minimize.pages import Table
from minimize.results import Records

_COLORS: Final = {"keep": "yellow", "drop": "dim", "gate": "cyan", "transform": "green", "null": "dim"}
"""The colors of cells that consist of one of these words."""
_PIPE_WIDTH, _UNLIMITED_WIDTH = 200, 100_000
_NAME_WIDTH = 36
"""Maximum width of the first column, which fits a UUID. Longer names continue on the next line."""


def table_lines(table: Table) -> list[str]:
    """The lines of a table, fitted to the width of the terminal."""
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=_PIPE_WIDTH, highlight=False)
    parts = [_rich_table(table)]
    if isinstance(table, Records) and _width(parts[0]) > console.width:
        rows = enumerate(table.rows, start=1)
        parts = [
            _rich_table(Table("", (f"row {number}", ""), [*zip(table.head, row, strict=True)])) for number, row in rows
        ]
    with console.capture() as printed:
        console.print(*parts, sep="\n")
    return [line.rstrip() for line in printed.get().splitlines()]


def _rich_table(table: Table) -> RichTable:
    rich_table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    numbers = len(table.head) if table.numbers is None else table.numbers
    for at, head in enumerate(table.head):
        rich_table.add_column(head, justify="right" if at >= numbers else "left", overflow="ellipsis" if at else "fold")
    if rich_table.columns:
        rich_table.columns[0].max_width = _NAME_WIDTH
    for row in table.rows:
        rich_table.add_row(*(Text(terminal_text(cell), _COLORS.get(cell, "")) for cell in row))
    return rich_table


def _width(table: RichTable) -> int:
    return Console(width=_UNLIMITED_WIDTH).measure(table).maximum
