"""Output of commands: results as JSON or text, line width, findings, the progress bar."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from minimize.errors import SYSTEM_ERROR, ConfigurationError, Finding, describe_os_error
from minimize.pages import Table
from minimize.results import AlternativeText, Line, Printable
from minimize.text import TERMINAL_NAMES, single_line

if TYPE_CHECKING:
    from minimize.runs.execution import ProgressCallback

T = TypeVar("T")
MIN_WIDTH, DEFAULT_WIDTH, MAX_WIDTH = 60, 100, 120


def line_width() -> int:
    """Returns the number of characters per line."""
    return min(max(shutil.get_terminal_size().columns, MIN_WIDTH), MAX_WIDTH) if sys.stdout.isatty() else DEFAULT_WIDTH


def print_result(result: Printable, as_json: bool) -> int:
    """Prints a result as JSON, or else as text, logs its messages, and returns its exit code."""
    if as_json:
        click.echo(json.dumps(result.to_json(), indent=2, default=str))
    else:
        click.echo("\n".join(text for line in result.lines() for text in terminal_lines(line)))
        for note in getattr(result, "notes", ()):
            click.echo(single_line(note), err=True)
    for message in getattr(result, "log_messages", ()):
        message.log()
    code: int = getattr(result, "exit_code", 0)
    return code


def terminal_lines(line: Line) -> Iterable[str]:
    """Returns the lines that a terminal shows for a line of a result: escaped, colored, wrapped or drawn."""
    if isinstance(line, Finding):
        return finding_lines(line)
    if isinstance(line, str):
        return [terminal_text(line)]
    if isinstance(line, tuple):
        return ["\t".join(map(terminal_text, line))]
    if isinstance(line, Table):
        from minimize.cli.tables import table_lines  # late: most commands print no table

        return table_lines(line)
    return map(terminal_text, line.summary(line_width()).splitlines())


def terminal_text(text: str) -> str:
    """Text for stdout on one line. A terminal shows names of input files in place of their hashes."""
    return single_line(TERMINAL_NAMES.restore(text, sys.stdout))


SEVERITY_COLORS: Final = MappingProxyType({"error": "red", "warning": "yellow"})


def finding_lines(finding: Finding) -> Iterator[str]:
    """Returns the lines of a finding: with its place, and with its hint on a separate line."""
    word = click.style(finding.severity, fg=SEVERITY_COLORS[finding.severity])
    field = f" {click.style(single_line(finding.field), bold=True)}:" if finding.field else ""
    place = f"{terminal_text(finding.place)}: " if finding.place else ""
    yield f"{place}{word} {finding.code}{field} {terminal_text(finding.message)}"
    if finding.hint:
        yield f"    {click.style('hint', dim=True)} {single_line(finding.hint)}"


@contextmanager
def progress_bar() -> Iterator[ProgressCallback]:
    """Provides the callback with which a run reports progress. On a terminal it shows a bar, elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda completed, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("minimizing"), BarColumn(), MofNCompleteColumn(), TextColumn("files"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("minimizing", total=None)
        yield lambda completed, total: bar.update(task, completed=completed, total=total)


def write_page(result: Printable, file: str, page: str) -> Printable:
    """Writes an HTML page of a result. Returns the result; its text names the file."""
    save_page(file, page)
    return AlternativeText(result, [f"wrote {file}"])


def save_page(file: str, page: str) -> None:
    """Writes an HTML page. A new file is readable only by its owner.

    Raises ConfigurationError for a file that is no page, and for one that cannot be written.
    """
    with_write_errors(file, _save_page, Path(file), page)


def with_write_errors(place: str, work: Callable[..., T], *arguments: Any) -> T:
    """The result of the work. Raises ConfigurationError that names the place for an error of the operating system."""
    try:
        return work(*arguments)
    except OSError as error:
        reason, hint = describe_os_error(error)
    raise ConfigurationError(f"{place} cannot be written: {reason}", code=SYSTEM_ERROR, hint=hint)


def _save_page(path: Path, page: str) -> None:
    if path.is_file() and path.stat().st_size and not path.read_bytes()[:64].lstrip().startswith(b"<"):
        hint = "Pass the name of a new file, or of an earlier page."
        raise ConfigurationError(f"{path} is not an HTML page, so it is not overwritten", hint=hint)
    path.touch(mode=0o600)
    path.write_text(page, encoding="utf-8")
