"""How a command fails: an exit code, one message on stderr, as text or JSON, and never a value."""

from __future__ import annotations

import json
import os
import sys
import traceback
from types import TracebackType
from typing import Final

import click

from minimize.errors import ConfigurationError, MinimizeError

INTERNAL: Final = "E900"
USAGE: Final = "E001"


def guarded(command: click.Command) -> None:
    """Runs the command line and exits."""
    as_json = "--json" in sys.argv[1:]
    try:
        code = command.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        code = misused(error, as_json)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped; nothing was published", err=True)
        code = 130
    except BrokenPipeError:
        code = unread()
    except MinimizeError as error:
        code = tell(error, as_json)
    except Exception as error:  # whatever it is, its message may carry a value: only its place is told
        code = tell(unforeseen(error), as_json)
    sys.exit(code if isinstance(code, int) else 0)


def tell(error: MinimizeError, as_json: bool) -> int:
    """Prints an error on stderr and gives its exit code."""
    if as_json:
        click.echo(json.dumps(error.as_json(), indent=2), err=True)
    else:
        click.echo(f"error {error.code}: {error}", err=True)
    return error.exit_code


def misused(error: click.ClickException, as_json: bool) -> int:
    """Prints what is wrong with a command's words (an option that is not there, a missing argument) and gives its exit code."""
    if as_json:
        return tell(ConfigurationError(error.format_message(), code=USAGE), as_json)
    error.show()
    return error.exit_code


def unread() -> int:
    """Whoever read our output (`head`, a pager) has seen enough: nothing more is written, and that is no failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def unforeseen(error: Exception) -> MinimizeError:
    """What may be said of an error that nobody foresaw: its type and the place in this library, never its message."""
    place = _place(error.__traceback__)
    message = f"an error inside minimize: {type(error).__name__} {place}; nothing was published"
    return ConfigurationError(message, code=INTERNAL, hint="please report it with this line; it holds no values")


def _place(trace: TracebackType | None) -> str:
    frames = [frame for frame in traceback.extract_tb(trace) if "minimize" in frame.filename]
    if not frames:
        return "at an unknown place"
    last = frames[-1]
    return f"in {last.filename.rpartition('minimize/')[2]}:{last.lineno} ({last.name})"
