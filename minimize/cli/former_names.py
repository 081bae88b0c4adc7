"""Former names of commands and options: they still work, are not in the help, and log the current name.

Add a row when a command or an option gets another name. Nothing else knows former names.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Final, NamedTuple, cast

import click

log = logging.getLogger("minimize")

FORMER_COMMANDS: Final[Mapping[str, str]] = {
    "settings why": "settings explain",
    "consent why": "consent explain",
    "consent expire": "consent mark-expired",
    "share why": "share explain",
    "share recall request": "share recall issue",
    "access why": "access explain",
    "access expire": "access mark-expired",
    "functions enable": "functions request",
    "quarantine show": "quarantine",
}
"""The current name of each command that had another one."""


class RenamedOption(NamedTuple):
    """An option that had another name in some commands."""

    former: str
    current: str
    """The option that replaces it, after other options that it stands for; or the command that does what it did."""
    commands: tuple[str, ...]


FORMER_OPTIONS: Final = (
    RenamedOption("--sent", "incident mark-sent", ("incident notice",)),
    RenamedOption("--accept", "policy accept", ("init",)),
    RenamedOption(
        "--as",
        "--id-field",
        (
            *(f"subject {name}" for name in ("view", "export", "delete", "restrict", "lift", "refuse")),
            *("settings set", "settings explain", "events add", "events import"),
        ),
    ),
    RenamedOption("--as", "--class", ("incident declare", "incident reclassify", "incident close")),
    RenamedOption("--as", "--type", ("incident measure",)),
    RenamedOption("--because", "--reason", ("subject refuse", "incident reclassify")),
    RenamedOption("--justification", "--reason", ("access request",)),
    RenamedOption(
        "--reference",
        "--evidence",
        (
            *("consent give", "consent refuse", "consent withdraw", "functions disable", "functions confirm"),
            *("settings set", "settings import", "subject refuse", "incident open"),
        ),
    ),
    RenamedOption("--source-correction", "--origin source --evidence", ("subject correct",)),
    RenamedOption("--request", "--origin request --evidence", ("subject correct",)),
    RenamedOption("--by", "--actor", ("policy approve",)),
    RenamedOption("--user", "--actor", ("access token",)),
    RenamedOption(
        "--in",
        "--also",
        (
            *(f"subject {name}" for name in ("view", "export", "delete", "restrict", "lift")),
            *("subject correct", "subject approve", "subject coverage", "incident scope"),
        ),
    ),
    RenamedOption("--output", "--also", ("keys shred",)),
    RenamedOption("--out", "--output", ("sample",)),
)


def current_arguments(ctx: click.Context, arguments: list[str]) -> list[str]:
    """Returns the arguments of `minimize`, with the current name of a command in place of its former one."""
    for former, current in FORMER_COMMANDS.items():
        words = former.split()
        if arguments[: len(words)] == words:
            _note(ctx, f"minimize {former}", f"minimize {current}")
            return [*current.split(), *arguments[len(words) :]]
    return arguments


def accept_former_options(command: click.Command, name: str) -> None:
    """Adds the former options of a command and of all commands below it."""
    for row in FORMER_OPTIONS:
        if name in row.commands:
            _accept(command, name, row)
    if isinstance(command, click.Group):
        for word, below in command.commands.items():
            accept_former_options(below, f"{name} {word}")


def _accept(command: click.Command, name: str, row: RenamedOption) -> None:
    options = {word: option for option in command.params for word in option.opts}
    *fixed, current = row.current.split()
    if current in options:
        values = dict(zip((str(options[word].name) for word in fixed[::2]), fixed[1::2], strict=True))
        command.params.append(FormerOption(row, cast("click.Option", options[current]), values))
    else:
        replaced = cast("click.Option", options[row.former])
        replaced.hidden, replaced.callback = True, _noting_callback(f"minimize {name} {row.former}", row.current)


class FormerOption(click.Option):
    """The former name of an option that has a value. What it is given is the value of the current option."""

    def __init__(self, row: RenamedOption, current: click.Option, fixed: Mapping[str, str]) -> None:
        name = "former_" + row.former.strip("-").replace("-", "_")
        super().__init__([row.former, name], hidden=True, expose_value=False, is_eager=True, multiple=current.multiple)
        self._row, self._current, self._fixed = row, current, fixed

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Passes the value to the current option. It is parsed after this one, which is eager."""
        if self.name in opts:
            self._pass_on(ctx, cast("MutableMapping[str, Any]", opts), opts[self.name])
        return None, args

    def _pass_on(self, ctx: click.Context, values: MutableMapping[str, Any], value: Any) -> None:
        current = str(self._current.name)
        if current in values and not self.multiple:
            raise click.UsageError(f"pass {self._row.current}, and not also {self._row.former}", ctx)
        _note(ctx, self._row.former, self._row.current)
        values[current] = [*values.get(current, ()), *value] if self.multiple else value
        values.update(self._fixed)


def _noting_callback(former: str, current: str) -> Any:
    def note(ctx: click.Context, _: click.Parameter, value: Any) -> Any:
        if value:
            _note(ctx, former, f"minimize {current}")
        return value

    return note


_NOTED: Final = f"{__name__}.noted"


def _note(ctx: click.Context, former: str, current: str) -> None:
    """Keeps that a former name was used, until `--log-format` and `--quiet` are parsed."""
    if ctx.resilient_parsing:
        return
    noted: list[tuple[str, str]] = ctx.meta.setdefault(_NOTED, [])
    if not noted:
        ctx.find_root().call_on_close(lambda: log_former_names(ctx))
    noted.append((former, current))


def log_former_names(ctx: click.Context) -> None:
    """Logs the current name of each former one that the command was called by, once."""
    noted: Sequence[tuple[str, str]] = ctx.meta.pop(_NOTED, ())
    for former, current in noted:
        log.warning("`%s` is now `%s`", former, current, extra={"code": "W070"})
