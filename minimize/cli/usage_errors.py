"""Usage errors: what click reports about a command line, in the words and with the hints of all other errors.

A value that was typed is named if it had to be one of a few words or an existing path. Other values, such as an argument too
many, may be ids of data subjects, so they are not repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import click

from minimize.errors import ConfigurationError
from minimize.text import did_you_mean, did_you_mean_any, similar_words, single_line

USAGE_ERROR: Final = "E001"
_CHOICE: Final = re.compile("^'(.*)' is not one of ('.*')", re.DOTALL)
_COMMAND: Final = re.compile("^No such command '(.+)'", re.DOTALL)
_PATH: Final = re.compile(r"^\w+ '(.*)' (does not exist|is a file|is a directory|is not readable)\.$", re.DOTALL)
_RANGE: Final = re.compile(r"is not in the range (?:(\d+)(<=?))?x(?:(<=?|>=?)(\d+))?\.$")
_PATH_TEXTS: Final = {
    "does not exist": "the {} does not exist",
    "is a file": "this is a file and must be a folder",
    "is a directory": "this is a folder and must be a file",
    "is not readable": "permission is denied",
}


def usage_error(error: click.ClickException) -> ConfigurationError:
    """The error of the package for an error of click: an unknown option or command, a missing or wrong value."""
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    message, hint = _unknown_word(error, ctx) or _wrong_value(error) or _own_text(error)
    if not hint:
        hint = f"Run `{_command_of(ctx)} --help`."
    return ConfigurationError(single_line(message), code=USAGE_ERROR, hint=hint)


def is_help(error: click.ClickException) -> bool:
    """Whether click shows the help of a group, because no command of it was named."""
    return isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ()))


def _command_of(ctx: click.Context | None) -> str:
    return "minimize" if ctx is None else f"minimize {ctx.command_path.partition(' ')[2]}".strip()


def _unknown_word(error: click.ClickException, ctx: click.Context | None) -> tuple[str, str] | None:
    """Message and hint for an unknown option or command."""
    if isinstance(error, click.NoSuchOption):
        options = [] if ctx is None else [each for each in ctx.command.params if isinstance(each, click.Option)]
        words = [name for each in options if not each.hidden for name in each.opts + each.secondary_opts]
        return f"unknown option `{error.option_name}` of `{_command_of(ctx)}`", _nearest(error.option_name, words)
    command = _COMMAND.match(error.message)
    if command is None:
        return None
    names = ctx.command.list_commands(ctx) if ctx is not None and isinstance(ctx.command, click.Group) else ()
    group = _command_of(ctx)
    return f"unknown command `{group} {command[1]}`", _nearest(command[1], names)


def _nearest(word: str, names: Iterable[str]) -> str:
    return did_you_mean_any(similar_words(word, names))


def _wrong_value(error: click.ClickException) -> tuple[str, str] | None:
    """Message and hint for a value that is missing, or that its type refuses."""
    if isinstance(error, click.MissingParameter):
        kind = "option" if isinstance(error.param, click.Option) else "argument"
        return f"missing {kind} {_parameter(error.param, error.ctx)}", ""
    if isinstance(error, click.BadOptionUsage):
        needs_value = "requires" in error.message
        return f"`{error.option_name}` {'needs a' if needs_value else 'takes no'} value", ""
    if not isinstance(error, click.BadParameter):
        return None
    name, text = _parameter(error.param, error.ctx), error.message
    if choice := _CHOICE.match(text):
        return f"unknown {name} `{choice[1]}`", did_you_mean(choice[1], re.findall("'([^']*)'", choice[2]))
    if path := _PATH.match(text):
        noun = "file or folder" if getattr(error.param and error.param.type, "dir_okay", False) else "file"
        return f"{path[1]}: {_PATH_TEXTS[path[2]].format(noun)}", ""
    if limits := _RANGE.search(text):
        return f"{name} must be a whole number{_range_text(limits)}", ""
    return (f"{name} must be a whole number", "") if "is not a valid int" in text else None


def _range_text(limits: re.Match[str]) -> str:
    """The permitted range: click writes it as `1<=x<=24` or `x>=1`."""
    low = limits[1] or (limits[4] if str(limits[3]).startswith(">") else None)
    high = limits[4] if str(limits[3]).startswith("<") else None
    return (f" from {low}" if low else "") + (f" to {high}" if high else "")


def _parameter(parameter: click.Parameter | None, ctx: click.Context | None) -> str:
    """A parameter as the help names it: an option as it is written, an argument by its word in capitals."""
    if parameter is None:
        return "the value"
    if isinstance(parameter, click.Option):
        return f"`{max(parameter.opts, key=len)}`"
    return (parameter.metavar or str(parameter.name).rstrip("_")).upper()


def _own_text(error: click.ClickException) -> tuple[str, str]:
    """Message and hint of an error that a command raises: `no data to send. Pass --data PATH.` Texts of click are replaced."""
    text = error.message
    if text.startswith("Got unexpected extra argument"):
        return "the command line has more arguments than the command takes", ""
    if text[:1].isupper():
        return "the command line is not valid", ""
    message, _, hint = text.partition(". ")
    return message.removesuffix("."), hint
