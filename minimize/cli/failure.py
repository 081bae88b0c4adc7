"""How a command fails: an exit code, one message on stderr, as text or JSON, and never a value."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from typing import Final

import click

from minimize.cli.log import is_json
from minimize.errors import ConfigurationError, MinimizeError, unforeseen

log = logging.getLogger("minimize")
USAGE: Final = "E001"


def guarded(command: click.Command) -> None:
    """Runs the command line and exits."""
    as_json = "--json" in sys.argv[1:]
    try:
        code = command.main(standalone_mode=False, color=False if os.environ.get("NO_COLOR") else None)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        code = misused(error, as_json)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped; nothing was published", err=True)
        code = 130
    except BrokenPipeError:
        code = unread()
    except SystemExit as stop:  # click leaves like this where nobody reads on
        code = 0 if type(sys.stdout).__name__ == "PacifyFlushWrapper" else stop.code
    except MinimizeError as error:
        code = tell(error, as_json)
    except Exception as error:  # whatever it is, its message may carry a value: only its place is told
        code = tell(unforeseen(error), as_json)
    sys.exit(code if isinstance(code, int) else 0)


def tell(error: MinimizeError, as_json: bool) -> int:
    """Prints an error on stderr and gives its exit code."""
    if as_json:
        click.echo(json.dumps(error.as_json(), indent=2), err=True)
    elif is_json():
        faults = [finding.as_json() for finding in error.findings]
        log.error(error.message, extra={"code": error.code, "data": {"hint": error.hint, "faults": faults}})
    else:
        click.echo(f"error {error.code}: {error}", err=True)
    return error.exit_code


def misused(error: click.ClickException, as_json: bool) -> int:
    """Prints what is wrong with a command's words (an option that is not there, a missing argument) and gives its exit code."""
    error = meant(error)
    if as_json:
        return tell(ConfigurationError(error.format_message(), code=USAGE), as_json)
    error.show()
    return error.exit_code


def meant(error: click.ClickException) -> click.ClickException:
    """The same, and for a command that is not there the one that was probably meant."""
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    wrong = re.search("^No such command '(.+)'", error.message)
    if ctx is None or wrong is None or not isinstance(ctx.command, click.Group):
        return error
    from difflib import get_close_matches

    near = get_close_matches(wrong[1], ctx.command.list_commands(ctx), n=1)
    return click.UsageError(f"{error.message} (Did you mean '{near[0]}'?)", ctx) if near else error


def unread() -> int:
    """Whoever read our output (`head`, a pager) has seen enough: nothing more is written, and that is no failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
