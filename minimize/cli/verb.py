"""The `verb` decorator, which does what all commands have in common.

A command parses its options into one library call and returns the result. The decorator adds the workspace, the clock, the
permission check, the progress bar, `--json`, `--log-format`, `--quiet`, the printing and the exit code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from inspect import signature
from typing import TYPE_CHECKING, Any, Final

import click

from minimize.cli.options import (
    JSON_OPTIONS,
    OPTIONS,
    QUIET,
    SEARCHED_OUTPUTS,
    SHOWN,
    WORKSPACE,
    Places,
    authorize,
    authorize_read,
)
from minimize.cli.printing import print_result, progress_bar
from minimize.results import ScopedResult
from minimize.times import utc_now

if TYPE_CHECKING:
    from minimize.access import TenantSet
    from minimize.results import Printable

_WORKSPACE_NAMES: Final = (*(name.removeprefix("--") for name in WORKSPACE), "region")


def verb(
    name: str,
    *parameters: str | click.Parameter,
    group: click.Command | None = None,
    permission: str | Callable[[Mapping[str, Any]], str] | None = None,
    reads: str | None = None,
    changed_ledger: bool = False,
    quiet: bool = False,
    kind: type[click.Command] = click.Command,
    **attributes: Any,
) -> Callable[[Callable[..., Printable | None]], click.Command]:
    """Turns a function that returns a result into a command. Its docstring is the help text.

    parameters  arguments and options in the order of the help; a text is a name in `OPTIONS`
    group       the group of the command; None for a command of `minimize` itself
    permission  the permission that the account needs if there is an access file, for each tenant of the parameter `tenant`, or
                for all tenants; a function takes it from the parsed parameters
    reads       the permission that the account needs for at least one tenant; the result is limited to the tenants in scope
    changed_ledger  whether the command also runs on a ledger whose acts cannot be proven; the configured access file then decides
    quiet       whether the command has `--quiet`
    kind        the class of the command: a click group for a command that also has commands of its own
    attributes  further attributes of the click command, such as `epilog`

    The function receives the parsed parameters by name. It can also have these parameters:

    workspace  the workspace that `--ledger`, `--output`, `--pipeline` and `--keys` name, instead of these options
    now        the current time, unless an option of this name has another
    tenants    the tenants in scope of `reads`, to which the function must limit its result
    progress   the callback of the progress bar
    as_json    whether `--json` was given; then the function prints its result itself and returns None
    """

    def decorate(function: Callable[..., Printable | None]) -> click.Command:
        accepted = signature(function).parameters

        def callback(*, as_json: bool, **values: Any) -> int:
            if click.get_current_context().invoked_subcommand is not None:
                return 0
            shown = tuple(place for name in shown_names for place in _places(values[name]))
            places = Places({**values, SHOWN: shown})
            limit = _check_permission(permission, reads, places, changed_ledger)
            with ExitStack() as stack:
                if "progress" in accepted:
                    values["progress"] = stack.enter_context(progress_bar())
                if "as_json" in accepted:
                    values["as_json"] = as_json
                if limit is not None:
                    values["tenants"] = limit
                result = function(**_with_environment(values, accepted, places))
            return 0 if result is None else print_result(limited_result(result, limit), as_json)

        common = [*((QUIET,) if quiet else ()), *JSON_OPTIONS]
        named = [OPTIONS[each]() if isinstance(each, str) else each for each in parameters]
        shown_names = [str(each.name) for each in named if _names_shown_output(each)]
        command = kind(name, callback=callback, params=[*named, *common], help=function.__doc__, **attributes)
        if isinstance(group, click.Group):
            group.add_command(command)
        return command

    return decorate


def _names_shown_output(parameter: click.Parameter) -> bool:
    """Whether a parameter names an output whose content the command shows or changes: `OUTPUT` or `--in OUTPUT`."""
    return parameter.name == SEARCHED_OUTPUTS or (parameter.name == "output" and isinstance(parameter, click.Argument))


def _places(value: Any) -> Sequence[Any]:
    """The locations of an argument, or of an option that may be repeatable."""
    return value if isinstance(value, tuple) else () if value is None else (value,)


def _tenants_of(values: Mapping[str, Any]) -> Sequence[str | None]:
    """The tenants of the parameter `tenant`, which may be repeatable. None, which means all tenants, if none is named."""
    named = values.get("tenant")
    return named or [None] if isinstance(named, tuple) else [named]


def _check_permission(
    permission: str | Callable[[Mapping[str, Any]], str] | None,
    reads: str | None,
    values: Places,
    changed_ledger: bool,
) -> TenantSet | None:
    """Checks the permission of a command. Returns the tenants in scope of a command that reads."""
    if reads is not None:
        return authorize_read(reads, values, values.get("tenant"))
    if permission is not None:
        needed = permission if isinstance(permission, str) else permission(values)
        for tenant in _tenants_of(values):
            authorize(needed, values, tenant, changed_ledger=changed_ledger)
    return None


def limited_result(result: Printable, limit: TenantSet | None) -> Printable:
    """The result. It says that it is limited if not all tenants are in scope."""
    return result if limit is None or limit.is_all else ScopedResult(result)


def _with_environment(values: Mapping[str, Any], accepted: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """The parameters, with the workspace and the time if the function accepts them."""
    passed = dict(values)
    if "now" in accepted:
        passed["now"] = passed.get("now") or utc_now()
    if "workspace" in accepted:
        passed = {name: value for name, value in passed.items() if name in accepted or name not in _WORKSPACE_NAMES}
        passed["workspace"] = places.workspace
    return passed
