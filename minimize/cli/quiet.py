"""`--quiet`: a command prints nothing if all is well, and everything that it would have printed if not. For schedulers."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from functools import wraps
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
SKIPPED: Final = 99
"""What schedulers take for "skipped" (Airflow's `skip_on_exit_code`)."""
WELL: Final = frozenset({0, SKIPPED})


def quiet(command: F) -> F:
    """Adds `--quiet` to a command."""

    @wraps(command)
    def held(*arguments: Any, quiet: bool, **words: Any) -> Any:
        return _held(lambda: command(*arguments, **words)) if quiet else command(*arguments, **words)

    text = "Print nothing, and log nothing, if it exits with 0."
    return click.option("--quiet", is_flag=True, help=text)(held)  # type: ignore[return-value]


def _held(command: Callable[[], Any]) -> Any:
    """Does a command, and prints what it said once it is known to have failed."""
    out, err, code = io.StringIO(), io.StringIO(), 1
    with ExitStack() as stack:
        stack.callback(lambda: None if code in WELL else _print(out, err))
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        for handler in logging.getLogger("minimize").handlers:
            if isinstance(handler, logging.StreamHandler):
                stack.callback(handler.setStream, handler.stream)
                handler.setStream(err)
        try:
            given = command()
        except click.exceptions.Exit as stop:
            code = stop.exit_code
            raise
        code = given if isinstance(given, int) else 0
        return given


def _print(out: io.StringIO, err: io.StringIO) -> None:
    click.echo(out.getvalue(), nl=False)
    click.echo(err.getvalue(), nl=False, err=True)
