"""A progress bar on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advanced = Callable[[int, int], None]
"""Told how many parts are done, of how many."""


@contextmanager
def progress() -> Iterator[Advanced]:
    """What a run may call after each part; it shows a bar on a terminal and does nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, of: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("minimizing"), BarColumn(), MofNCompleteColumn(), TextColumn("files"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("minimizing", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
