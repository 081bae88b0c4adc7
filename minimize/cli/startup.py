"""Start and end of a command: process settings, the log on stderr, output held back by `--quiet`, errors and exit codes.

The log is text, or one JSON object a line. Its events have stable codes. Neither log nor error messages contain values.
"""

from __future__ import annotations

import gc
import io
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from typing import Final

import click

from minimize.errors import ConfigurationError, MinimizeError, unexpected_error
from minimize.text import similar_words


@contextmanager
def dedicated_process() -> Iterator[None]:
    """What is done in the block has the process for itself. To be entered before NumPy and Arrow are imported.

    Arrow imports pandas, where that is installed, at the first list that becomes an array: half a second for what no command
    uses. Here it is told that there is none. Of its allocators it takes the one that holds least of what was freed, unless
    somebody chose another; and NumPy's linear algebra, of which no command makes use, starts no threads that wait in a loop.
    Plugins of pydantic, which would be shown what is in policies and receipts, are not looked for.
    What is no longer used is looked for less often: modules stay, and columns are freed without it. At the end nobody
    looks for it at all, since the process goes as a whole.
    """
    gc.set_threshold(200_000, 20, 50)
    sys.meta_path.insert(0, ImportBlocker("pandas"))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if sys.platform == "linux":
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    try:
        yield
    finally:
        gc.freeze()


class ImportBlocker:
    """Finds a package missing."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Nothing to say of other modules. Raises ModuleNotFoundError for the package."""
        if fullname == self._package:
            raise ModuleNotFoundError(f"{fullname} is left out", name=fullname)


LOG_FORMATS: Final = ("text", "json")


class JsonLinesFormatter(logging.Formatter):
    """`ts, level, code, run_id, msg, data`, one object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        body = {
            "ts": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "code": getattr(record, "code", None),
            "run_id": getattr(record, "run_id", None),
            "msg": record.getMessage(),
            "data": getattr(record, "data", {}),
        }
        return json.dumps(body, ensure_ascii=False)


def is_log_json() -> bool:
    """Whether the log is for machines; then all of stderr is."""
    return any(isinstance(each.formatter, JsonLinesFormatter) for each in logging.getLogger("minimize").handlers)


def configure_log(log_format: str, verbose: bool) -> None:
    """Sends the library's log to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonLinesFormatter() if log_format == "json" else logging.Formatter("%(levelname)s %(message)s")
    )
    logger = logging.getLogger("minimize")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO if verbose or log_format == "json" else logging.WARNING)
    logger.propagate = False


log = logging.getLogger("minimize")
USAGE_ERROR: Final = "E001"


SKIPPED_EXIT_CODE: Final = 99
"""What schedulers take for "skipped" (Airflow's `skip_on_exit_code`)."""
SUCCESS_EXIT_CODES: Final = frozenset({0, SKIPPED_EXIT_CODE})


class ExitStatus:
    """The exit code of a command, and its output while that is held back. A command fails until it has returned.

    `color` is what click takes: False turns colours off, None leaves them to the terminal.
    """

    def __init__(self) -> None:
        self.code = 1
        self.color = False if os.environ.get("NO_COLOR") else None
        self.held_output = ExitStack()

    def set_result(self, result: object) -> None:
        """Takes what the command returned: its exit code, or something else that means success."""
        self.code = result if isinstance(result, int) else 0

    def hold_output(self) -> None:
        """Holds back what is printed and logged until the command ends. It is printed then if the command failed."""
        out, err = io.StringIO(), io.StringIO()
        self.held_output.callback(self._print_held, out, err)
        self.held_output.callback(_log_to_stderr)
        self.held_output.enter_context(redirect_stdout(out))
        self.held_output.enter_context(redirect_stderr(err))
        _log_to_stderr()

    def _print_held(self, out: io.StringIO, err: io.StringIO) -> None:
        if self.code not in SUCCESS_EXIT_CODES:
            click.echo(out.getvalue(), nl=False)
            click.echo(err.getvalue(), nl=False, err=True)


def _log_to_stderr() -> None:
    """Sends the log to what is stderr now."""
    for handler in logging.getLogger("minimize").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)


@contextmanager
def exit_status() -> Iterator[ExitStatus]:
    """Runs a command in the block, which sets its result. An error is printed, and sets the exit code instead."""
    as_json, status = "--json" in sys.argv[1:], ExitStatus()
    try:
        with status.held_output:
            yield status
    except click.ClickException as error:
        status.code = report_usage_error(error, as_json)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped; nothing was published", err=True)
        status.code = 130
    except BrokenPipeError:
        status.code = discard_output()
    except SystemExit as stop:  # click raises it if the reader of its output has closed the pipe
        status.set_result(0 if type(sys.stdout).__name__ == "PacifyFlushWrapper" else stop.code)
    except MinimizeError as error:
        status.code = report_error(error, as_json)
    except Exception as error:  # its message may carry a value: only its type and its place are printed
        status.code = report_error(unexpected_error(error), as_json)


def report_error(error: MinimizeError, as_json: bool) -> int:
    """Prints an error on stderr and gives its exit code."""
    if as_json:
        click.echo(json.dumps(error.as_json(), indent=2), err=True)
    elif is_log_json():
        faults = [finding.as_json() for finding in error.findings]
        log.error(error.message, extra={"code": error.code, "data": {"hint": error.hint, "faults": faults}})
    else:
        click.echo(f"error {error.code}: {error}", err=True)
    return error.exit_code


def report_usage_error(error: click.ClickException, as_json: bool) -> int:
    """Prints what is wrong with a command's words (an option that is not there, a missing argument) and gives its exit code."""
    error = with_suggestion(error)
    if as_json:
        return report_error(ConfigurationError(error.format_message(), code=USAGE_ERROR), as_json)
    error.show()
    return error.exit_code


def with_suggestion(error: click.ClickException) -> click.ClickException:
    """The same, and for a command that is not there the one that was probably meant."""
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    wrong = re.search("^No such command '(.+)'", error.message)
    if ctx is None or wrong is None or not isinstance(ctx.command, click.Group):
        return error
    near = similar_words(wrong[1], ctx.command.list_commands(ctx))
    return click.UsageError(f"{error.message} (Did you mean '{near[0]}'?)", ctx) if near else error


def discard_output() -> int:
    """Whoever read our output (`head`, a pager) has seen enough: nothing more is written, and that is no failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
