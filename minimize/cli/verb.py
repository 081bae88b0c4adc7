"""The `verb` decorator, which does what all commands have in common.

A command parses its options into one library call and returns the result. The decorator adds the workspace, the clock, the
progress bar, `--json`, `--log-format`, `--quiet`, the printing and the exit code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from inspect import signature
from typing import TYPE_CHECKING, Any, Final

import click

from minimize.cli.former_names import log_former_names
from minimize.cli.options import (
    COMMON_OPTIONS,
    JSON_OPTIONS,
    OPTIONS,
    QUIET,
    SEARCHED_OUTPUTS,
    SHOWN,
    WORKSPACE,
    CommonOption,
    Places,
)
from minimize.cli.printing import print_result, progress_bar
from minimize.times import utc_now

if TYPE_CHECKING:
    from minimize.results import Printable

_WORKSPACE_NAMES: Final = (*(name.removeprefix("--") for name in WORKSPACE), "region")


def verb(
    name: str,
    *parameters: str | click.Parameter,
    group: click.Command | None = None,
    quiet: bool = False,
    kind: type[click.Command] = click.Command,
    **attributes: Any,
) -> Callable[[Callable[..., Printable | None]], click.Command]:
    """Turns a function that returns a result into a command. Its docstring is the help text.

    parameters  arguments and options in the order of the help; a text is a name in `OPTIONS`
    group       the group of the command; None for a command of `minimize` itself
    quiet       whether the command has `--quiet`
    kind        the class of the command: a click group for a command that also has commands of its own
    attributes  further attributes of the click command, such as `epilog`

    The function receives the parsed parameters by name. It can also have these parameters:

    workspace  the workspace that `--ledger`, `--output`, `--pipeline` and `--keys` name, instead of these options
    now        the current time, unless an option of this name has another
    progress   the callback of the progress bar
    as_json    whether `--json` was given; then the function prints its result itself and returns None
    """

    def decorate(function: Callable[..., Printable | None]) -> click.Command:
        accepted = signature(function).parameters

        def callback(*, as_json: bool, **values: Any) -> int:
            ctx = click.get_current_context()
            if ctx.invoked_subcommand is not None:
                return 0
            log_former_names(ctx)
            shown = tuple(place for name in shown_names for place in _places(values[name]))
            places = Places({**values, SHOWN: shown})
            with ExitStack() as stack:
                if "progress" in accepted:
                    values["progress"] = stack.enter_context(progress_bar())
                if "as_json" in accepted:
                    values["as_json"] = as_json
                if "workspace" in accepted:
                    values["workspace"] = stack.enter_context(places.workspace)
                result = function(**_with_environment(values, accepted))
            return 0 if result is None else print_result(result, as_json)

        common = [*((QUIET,) if quiet else ()), *JSON_OPTIONS]
        named = [
            (COMMON_OPTIONS.get(each) or OPTIONS[each])() if isinstance(each, str) else each for each in parameters
        ]
        shown_names = [str(each.name) for each in named if _names_shown_output(each)]
        command = kind(name, callback=callback, params=[*named, *common], help=function.__doc__, **attributes)
        command.epilog = _paragraphs(command.epilog, _common_options(command))
        if isinstance(group, click.Group):
            group.add_command(command)
        return command

    return decorate


def examples(*calls: str) -> Callable[[click.Command], click.Command]:
    """Adds examples to the help of a command. A call may have several lines."""

    def decorate(command: click.Command) -> click.Command:
        heading, lines = "Examples" if len(calls) > 1 else "Example", "\n".join(f"  {call}" for call in calls)
        command.epilog = _paragraphs(f"\b\n{heading}:\n{lines}", command.epilog)
        return command

    return decorate


def _common_options(command: click.Command) -> str:
    """The line of a command's help that names the options that most commands have."""
    names = [option.opts[0] for option in command.params if isinstance(option, CommonOption)]
    return f"\b\nCommon options (see `minimize help options`):\n  {' '.join(names)}"


def _paragraphs(*texts: str | None) -> str:
    return "\n\n".join(filter(None, texts))


def _names_shown_output(parameter: click.Parameter) -> bool:
    """Whether a parameter names an output whose content the command shows or changes: `OUTPUT` or `--also OUTPUT`."""
    return parameter.name == SEARCHED_OUTPUTS or (parameter.name == "output" and isinstance(parameter, click.Argument))


def _places(value: Any) -> Sequence[Any]:
    """The locations of an argument, or of an option that may be repeatable."""
    return value if isinstance(value, tuple) else () if value is None else (value,)


def _with_environment(values: Mapping[str, Any], accepted: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, with the time if the function accepts it, and without the options that its workspace has."""
    passed = dict(values)
    if "now" in accepted:
        passed["now"] = passed.get("now") or utc_now()
    if "workspace" in accepted:
        passed = {name: value for name, value in passed.items() if name in accepted or name not in _WORKSPACE_NAMES}
    return passed
