"""Text output: line width, escaping of control characters, findings, recall lists, the progress bar."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import click

from minimize.cli import options
from minimize.errors import Finding
from minimize.text import count_noun

if TYPE_CHECKING:
    from minimize.governance.sharing import Recall
    from minimize.runs.execution import ProgressCallback

MIN_WIDTH, DEFAULT_WIDTH, MAX_WIDTH = 60, 100, 120


def line_width() -> int:
    """Returns the number of characters per line."""
    return min(max(shutil.get_terminal_size().columns, MIN_WIDTH), MAX_WIDTH) if sys.stdout.isatty() else DEFAULT_WIDTH


def single_line(text: str) -> str:
    r"""Escapes line breaks and characters that control a terminal.

    >>> single_line("contoso\n1  forged"), single_line("Zürich 株")
    ('contoso\\n1  forged', 'Zürich 株')
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


SEVERITY_COLORS: Final = MappingProxyType({"error": "red", "warning": "yellow"})
UNCHANGED_HINT: Final = "nothing was changed. Pass --yes to apply the plan."


def finding_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Returns the lines of findings: each with its place, and with its hint on a separate line."""
    for finding in findings:
        word = click.style(finding.severity, fg=SEVERITY_COLORS[finding.severity])
        field = f" {click.style(finding.field, bold=True)}:" if finding.field else ""
        place = f"{finding.place}: " if finding.place else ""
        yield f"{place}{word} {finding.code}{field} {finding.message}"
        if finding.hint:
            yield f"    {click.style('hint', dim=True)} {finding.hint}"


def severity_counts(findings: Sequence[Finding]) -> str:
    """How many of which severity."""
    errors = sum(finding.severity == "error" for finding in findings)
    return f"{errors} error(s), {len(findings) - errors} warning(s)"


def print_lint_findings(findings: Sequence[Finding], fail_on: str, as_json: bool) -> int:
    """Prints findings of lint, and returns the exit code that `--fail-on` requires."""
    text = "\n".join([*finding_lines(findings), severity_counts(findings)])
    options.print_result({"findings": [finding.to_json() for finding in findings]}, as_json, text)
    return 1 if any(finding.severity in options.FAILING_SEVERITIES[fail_on] for finding in findings) else 0


@contextmanager
def progress_bar() -> Iterator[ProgressCallback]:
    """Provides the callback with which a run reports progress. On a terminal it shows a bar, elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda done, of: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("minimizing"), BarColumn(), MofNCompleteColumn(), TextColumn("files"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("minimizing", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def write_page(file: str, page: str) -> str:
    """Writes an HTML page. A new file is readable only by its owner. Returns a line that names the file."""
    path = Path(file)
    path.touch(mode=0o600)
    path.write_text(page, encoding="utf-8")
    return f"wrote {file}"


def recalls_json(found: Sequence[Recall]) -> list[dict[str, Any]]:
    """Returns recalls as JSON objects."""
    return [each.to_json() for each in found]


def recall_line(each: Recall) -> str:
    """Returns a recall as one line."""
    late = "  OVERDUE" if each.overdue else ""
    counts = f"{count_noun(each.rows, 'row')}, {count_noun(len(each.subjects), 'subject')}"
    return f"{each.recipient}  {each.tenant}  {each.cause}  {each.state}  {counts}  {each.disclosure}{late}"


def print_recalls(found: Sequence[Recall], as_json: bool) -> None:
    """Prints a list of recalls."""
    options.print_result({"recalls": recalls_json(found)}, as_json, "\n".join(map(recall_line, found)) or "no recalls")
