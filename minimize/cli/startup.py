"""Start and end of a command: process settings, log on stderr, output buffered by `--quiet`, errors and exit codes.

The log is text, or one JSON object per line. Its events have stable codes. Neither log nor error messages contain values.
"""

from __future__ import annotations

import ctypes
import gc
import io
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from typing import Any, Final

import click

from minimize.cli.usage_errors import is_help, usage_error
from minimize.errors import MinimizeError, unexpected_error
from minimize.text import TERMINAL_NAMES, single_line


@contextmanager
def dedicated_process() -> Iterator[None]:
    """Applies process-wide settings for a command. Enter it before NumPy and Arrow are imported.

    Blocks pandas: if it is installed, Arrow imports it when a list first becomes an array. That takes half a second, and no
    command uses pandas. Selects the Arrow allocator that keeps the least freed memory, unless the environment names another, and
    lets all threads take memory that any of them has freed.
    Limits NumPy's linear algebra, which no command uses, to one thread, so that no threads busy-wait. Disables pydantic
    plugins, because they would see the contents of policies and receipts. Runs garbage collection less often: modules stay
    loaded, and columns are freed without it. Skips it at the end, because the process exits.
    """
    gc.set_threshold(200_000, 20, 50)
    sys.meta_path.insert(0, ImportBlocker("pandas"))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if sys.platform == "linux":
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
        _limit_arenas()
    try:
        yield
    finally:
        gc.freeze()


_M_ARENA_MAX: Final = -8
"""The option of `mallopt` in glibc's malloc.h for the most arenas: pools of freed memory, by default one for each thread."""


def _limit_arenas() -> None:
    """Limits the C library to one pool of freed memory, if it has several: aggregates are large, and often freed by another
    thread, which cannot use what it freed in the pool of the first one."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None and "MALLOC_ARENA_MAX" not in os.environ:
        set_option(_M_ARENA_MAX, 1)


class ImportBlocker:
    """An import finder that reports one package as not installed."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Returns None for other modules. Raises ModuleNotFoundError for the package."""
        if fullname == self._package:
            raise ModuleNotFoundError(f"{fullname} is blocked", name=fullname)


LOG_FORMAT: Final[Mapping[str, Any]] = {
    "type": click.Choice(("text", "json")),
    "help": "Format of the log on stderr. [env: MINIMIZE_LOG_FORMAT] [default: text]",
}
"""Attributes of `--log-format`, which can be given before or after the command name."""


class JsonLinesFormatter(logging.Formatter):
    """Formats a record as one JSON object with `ts, level, code, run_id, msg, data`."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats the record as one line of JSON."""
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


class TextFormatter(logging.Formatter):
    """Formats a record as one line of text, with escaped control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats the record as its level and message."""
        return single_line(TERMINAL_NAMES.restore(f"{record.levelname} {record.getMessage()}", sys.stderr))


def is_log_json() -> bool:
    """True if the log is JSON. Then errors on stderr are JSON, too."""
    return any(isinstance(each.formatter, JsonLinesFormatter) for each in logging.getLogger("minimize").handlers)


def configure_log(log_format: str, verbose: bool) -> None:
    """Sends the library's log to stderr."""
    TERMINAL_NAMES.is_collecting = sys.stderr.isatty() or sys.stdout.isatty()
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLinesFormatter() if log_format == "json" else TextFormatter())
    logger = logging.getLogger("minimize")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO if verbose or log_format == "json" else logging.WARNING)
    logger.propagate = False


log = logging.getLogger("minimize")
SKIPPED_EXIT_CODE: Final = 99
"""The exit code that schedulers read as "skipped" (Airflow's `skip_on_exit_code`)."""
SUCCESS_EXIT_CODES: Final = frozenset({0, SKIPPED_EXIT_CODE})


class ExitStatus:
    """The exit code of a command, and its buffered output. The code is 1 until the command returns.

    `color` is passed to click: False turns colors off, None leaves the choice to the terminal.
    """

    def __init__(self) -> None:
        self.code = 1
        self.color = False if os.environ.get("NO_COLOR") else None
        self.held_output = ExitStack()

    def set_result(self, result: object) -> None:
        """Sets the code to the result if it is an int, else to 0."""
        self.code = result if isinstance(result, int) else 0

    def hold_output(self) -> None:
        """Buffers output and log until the command ends, and prints them only if the command fails."""
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
    """Redirects the log to the current `sys.stderr`."""
    for handler in logging.getLogger("minimize").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)


@contextmanager
def exit_status() -> Iterator[ExitStatus]:
    """Runs a command in the block. Prints an error, if one is raised, and sets the exit code accordingly."""
    as_json, status = "--json" in sys.argv[1:], ExitStatus()
    try:
        with status.held_output:
            yield status
    except click.ClickException as error:
        if is_help(error):
            error.show()
        status.code = error.exit_code if is_help(error) else report_error(usage_error(error), as_json)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; the change in progress was not published", err=True)
        status.code = 130
    except BrokenPipeError:
        status.code = discard_output()
    except SystemExit as stop:  # click raises it if the reader of its output has closed the pipe
        status.set_result(0 if type(sys.stdout).__name__.endswith("PacifyFlushWrapper") else stop.code)
    except MinimizeError as error:
        status.code = report_error(error, as_json)
    except Exception as error:  # the message may contain a value, so only type and location are printed
        status.code = report_error(unexpected_error(error), as_json)


def report_error(error: MinimizeError, as_json: bool) -> int:
    """Prints an error on stderr and returns its exit code."""
    if as_json:
        click.echo(json.dumps(error.to_json(), indent=2), err=True)
    elif is_log_json():
        faults = [finding.to_json() for finding in error.findings]
        log.error(error.message, extra={"code": error.code, "data": {"hint": error.hint, "faults": faults}})
    else:
        click.echo(TERMINAL_NAMES.restore(f"error {error.shown_code}: {error}", sys.stderr), err=True)
    return error.exit_code


def discard_output() -> int:
    """Discards further output after the reader (`head`, a pager) closed the pipe. Returns 0: this is not a failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
