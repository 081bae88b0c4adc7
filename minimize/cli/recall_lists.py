"""Recall lists: as commands print them, and as files for recipients."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from minimize.cli import options
from minimize.governance.sharing import recall_list
from minimize.stores.durable_files import create_private_file
from minimize.text import count_noun

if TYPE_CHECKING:
    from minimize.governance.sharing import Recall

F = TypeVar("F", bound=Callable[..., Any])
WriteRecalls = Callable[[Sequence["Recall"]], object]


def list_file_option(command: F) -> F:
    """`--to FILE`: the list that the recipient is given."""
    text = "The list for the recipient, a new JSON file."
    return click.option("--to", type=click.Path(dir_okay=False), metavar="FILE", help=text)(command)


@contextmanager
def recall_list_writer(path: str | None, recipient: str | None) -> Iterator[WriteRecalls]:
    """A way to write the list that a recipient is given; the file is there before anything is recorded, or nothing is."""
    if path is None:
        yield lambda _: None
        return
    with TextIOWrapper(create_private_file(Path(path)), encoding="utf-8") as file:
        yield lambda found: file.write(_list_file_text(recipient, found))


def recalls_json(found: Sequence[Recall]) -> list[dict[str, Any]]:
    """The entries as JSON objects."""
    return [each.as_json() for each in found]


def recall_line(each: Recall) -> str:
    """An entry on one line."""
    late = "  OVERDUE" if each.overdue else ""
    counts = f"{count_noun(each.rows, 'row')}, {count_noun(len(each.subjects), 'subject')}"
    return f"{each.recipient}  {each.tenant}  {each.cause}  {each.state}  {counts}  {each.disclosure}{late}"


def print_recalls(found: Sequence[Recall], as_json: bool) -> None:
    """Prints a list."""
    options.print_result(
        {"recalls": recalls_json(found)}, as_json, "\n".join(map(recall_line, found)) or "nothing has to go"
    )


def _list_file_text(recipient: str | None, found: Sequence[Recall]) -> str:
    names = [recipient] if recipient is not None else list(dict.fromkeys(each.recipient for each in found))
    lists = [recall_list(name, [each for each in found if each.recipient == name]) for name in names]
    return json.dumps(lists[0] if recipient is not None else lists, indent=2)
