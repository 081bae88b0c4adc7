"""Options that commands share, their types, and the workspace and authorization of a command.

A text that is not a time or date is refused, and the error names the option. With `--quiet`, a command prints its output
only if it fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.types import StringParamType

from minimize.cli.startup import LOG_FORMAT_HELP, LOG_FORMATS, ExitStatus, configure_log
from minimize.engines import ENGINES
from minimize.errors import ConfigurationError
from minimize.times import parse_date, parse_time, utc_now

if TYPE_CHECKING:
    from minimize.governance.workspace import Workspace


class TimeParameter(StringParamType):
    """A time or date that is checked and passed on as text. The library parses it again, as for other callers."""

    def __init__(self, name: str, read: Callable[[str, str], object]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns the text. Raises ConfigurationError, which names the option or the argument, if it cannot be parsed."""
        self._read(value, _parameter_name(param))
        return value


TIME: Final = TimeParameter("time", parse_time)
DATE: Final = TimeParameter("date", parse_date)


class DurationParameter(StringParamType):
    """A duration, in the notation of policies."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns the duration. Raises ConfigurationError, which names the option or the argument."""
        from minimize.policy.form_values import parse_duration  # it imports Arrow, which `--help` does not need

        found = parse_duration(value)
        if found is None:
            raise ConfigurationError(
                f"{_parameter_name(param)} is not a duration", hint="Write a number and a unit, such as 30m, 8h or 30d."
            )
        return found


DURATION: Final = DurationParameter()


def _parameter_name(param: click.Parameter | None) -> str:
    """Returns the option as it is written, or the name of the argument."""
    if param is None:
        return "this"
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name


F = TypeVar("F", bound=Callable[..., Any])


def quiet(command: F) -> F:
    """`--quiet`: buffers the output until the exit code is known."""
    text = "Print and log nothing if the command succeeds."
    return click.option("--quiet", is_flag=True, expose_value=False, callback=_hold_output, help=text)(command)


def _hold_output(ctx: click.Context, _: click.Parameter, is_quiet: bool) -> None:
    status = ctx.find_object(ExitStatus)
    if is_quiet and status is not None and not ctx.resilient_parsing:
        status.hold_output()


_AUDIT_FILTERS: Final = {
    "activity": "Only this activity (run, settings, …).",
    "operation": "Only this operation (start, publish, …).",
    "result": "Only this result: success, failure or refused.",
    "actor": "Only events of this account.",
    "resource": "Only events about the resource with this id.",
    "correlation": "Only events with this correlation id, such as a run or a request.",
    "since": "Only entries from this time on (ISO 8601).",
    "until": "Only entries before this time (ISO 8601).",
}
LEDGER_HELP: Final = "Ledger. [env: MINIMIZE_LEDGER] [default: from minimize.yaml, else ledger.db in the output folder]"


class IdentifierParameter(StringParamType):
    """A tenant or a subject, in its canonical form."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the id in canonical form. A blank id becomes empty, which commands refuse."""
        from minimize.identifiers import canonical_text  # it imports Arrow, which `--help` does not need

        return canonical_text(str(value))


ID: Final = IdentifierParameter()


class DataPathParameter(click.Path):
    """A path on disk, or the URI of an object store. Only a path can be required to exist."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns a checked path, or a URI unchanged."""
        return value if "://" in str(value) else super().convert(value, param, ctx)


def as_json(command: F) -> F:
    """`--json`, and `--log-format`, which can be given before or after the command name."""
    log = click.option(
        "--log-format",
        type=click.Choice(LOG_FORMATS),
        expose_value=False,
        callback=_set_log_format,
        help=LOG_FORMAT_HELP,
    )
    return log(click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command))


def _set_log_format(ctx: click.Context, _: click.Parameter, log_format: str | None) -> None:
    if log_format is not None:
        configure_log(log_format, verbose=False)


def print_result(body: Any, as_json: bool, text: str | Callable[[], str]) -> None:
    """Prints a result as JSON, or else as text. `text` may be a function that returns the text."""
    if as_json:
        print_json(body)
    else:
        click.echo(text if isinstance(text, str) else text())


def print_json(body: Any) -> None:
    """Prints a result as JSON."""
    click.echo(json.dumps(body, indent=2, default=str))


def keys(command: F) -> F:
    """`--keys FILE`: the keyring."""
    text = "Keyring. [env: MINIMIZE_KEYS] [default: from minimize.yaml]"
    return click.option("--keys", type=click.Path(dir_okay=False), metavar="FILE", help=text)(command)


def engine(command: F) -> F:
    """`--engine`: the engine that processes the batches."""
    kinds = click.Choice(list(ENGINES))
    text = "Engine that processes the batches."
    return click.option("--engine", type=kinds, default="local", show_default=True, help=text)(command)


INPUT_HELP: Final = "Read from PATH instead of the pipeline's source."
SETTINGS_HELP: Final = "Collection settings, CSV or Parquet. [default: the pipeline's]"
SETTINGS_OR_LEDGER_HELP: Final = "Collection settings, CSV or Parquet, or `ledger`. [default: the pipeline's]"
DATE_HELP: Final = "Batch date, YYYY-MM-DD. [default: all dates found]"
AS_OF_HELP: Final = "Evaluate as of TIME (ISO 8601)."
AT_HELP: Final = f"{AS_OF_HELP} [default: now]"
HTML_HELP: Final = "Write an HTML page to FILE instead of printing."
APPLY_HELP: Final = "Apply the plan. Without it, only print the plan."
SEARCH_HELP: Final = "Also search this output; the ledger knows the others. Repeatable."
TENANT_FILTER_HELP: Final = "Only this tenant."
MADE_BY_HELP: Final = "Pipeline that made the output. [default: from its receipts]"


FAILING_SEVERITIES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"error": frozenset({"error"}), "warning": frozenset({"error", "warning"}), "never": frozenset()}
)
"""For each value of `--fail-on`, the severities that make a command exit with 1."""


def fail_on(command: F) -> F:
    """`--fail-on`: the lowest severity that makes the command exit with 1."""
    kinds = click.Choice(list(FAILING_SEVERITIES))
    text = "Exit with 1 if a finding has this severity or a higher one."
    return click.option("--fail-on", type=kinds, default="error", show_default=True, help=text)(command)


def observability(command: F) -> F:
    """`--lineage`, `--metrics`: files for lineage events and metrics of a run."""
    events = (
        "Write OpenLineage events to FILE; `off` writes none. [env: MINIMIZE_LINEAGE] "
        "[default: from minimize.yaml, else next to the output]"
    )
    text = (
        "Write Prometheus metrics to a .prom file, or into a folder. [env: MINIMIZE_METRICS] "
        "[default: from minimize.yaml, else none]"
    )
    with_metrics = click.option("--metrics", type=click.Path(), metavar="PATH", help=text)(command)
    return click.option("--lineage", type=click.Path(), metavar="FILE", help=events)(with_metrics)


def receipt_overrides(command: F) -> F:
    """`--pipeline`, `--input`, `--settings`: replace the locations that the receipts of an output name."""
    of = MADE_BY_HELP
    rows = SETTINGS_HELP
    with_settings = click.option("--settings", type=click.Path(), metavar="PATH", help=rows)(command)
    with_input = click.option("--input", "input_", metavar="PATH", help=INPUT_HELP)(with_settings)
    return click.option("--pipeline", type=click.Path(), metavar="PIPELINE", help=of)(with_input)


def pipeline_overrides(command: F) -> F:
    """`--input`, `--settings`, `--output`: replace the locations that the pipeline names."""
    write = "Write to this output folder instead of the pipeline's."
    rows = SETTINGS_OR_LEDGER_HELP
    with_output = click.option("--output", type=click.Path(file_okay=False), metavar="DIR", help=write)(command)
    with_settings = click.option("--settings", type=click.Path(), metavar="PATH", help=rows)(with_output)
    return click.option("--input", "input_", metavar="PATH", help=INPUT_HELP)(with_settings)


def allow_shrink(
    text: str = "Publish dates even if they have far fewer rows than in their last receipt.",
) -> Callable[[F], F]:
    """`--allow-shrink`: turns the shrink guard off."""
    return click.option("--allow-shrink", is_flag=True, help=text)


def pipeline(command: F) -> F:
    """The argument PIPELINE: a folder, or its pipeline.yaml."""
    return click.argument("pipeline", type=click.Path())(command)


def ledger(command: F) -> F:
    """`--ledger` and `--output`: the location of the ledger."""
    own = "Output folder that may contain the ledger."
    command = click.option("--output", type=click.Path(file_okay=False), metavar="DIR", help=own)(command)
    return only_ledger(command)


def only_ledger(command: F) -> F:
    """`--ledger`: the location of the ledger."""
    return click.option("--ledger", metavar="PATH_OR_URL", help=LEDGER_HELP)(command)


def workspace(command: F) -> F:
    """`--pipeline`, `--ledger`, `--output`, `--keys`: the workspace."""
    text = "Pipeline whose policy, source and output are used."
    return click.option("--pipeline", type=click.Path(), metavar="PIPELINE", help=text)(ledger(keys(command)))


def recipients(command: F) -> F:
    """`--recipients DIR`: the folder of recipients."""
    text = "Folder of recipients. [default: `recipients:` of minimize.yaml, else recipients/ next to it]"
    return click.option("--recipients", type=click.Path(file_okay=False), metavar="DIR", help=text)(command)


def prerequisites(command: F) -> F:
    """`--having NAME`: prerequisites of a function."""
    text = "A prerequisite of the function that is met. Repeatable."
    return click.option("--having", multiple=True, metavar="NAME", help=text)(command)


def audit_filters(command: F) -> F:
    """The options that select entries of the audit log."""
    for name, about in reversed(_AUDIT_FILTERS.items()):
        kind = TIME if name in ("since", "until") else None
        command = click.option(f"--{name}", type=kind, metavar=name.upper(), help=about)(command)
    return command


def list_file_option(command: F) -> F:
    """`--to FILE`: the recall list for the recipient."""
    text = "Write the recall list for the recipient to this new JSON file."
    return click.option("--to", type=click.Path(dir_okay=False), metavar="FILE", help=text)(command)


_WORKSPACE_OPTIONS: Final = ("ledger", "output", "pipeline", "keys")


def command_workspace(options: Mapping[str, Any]) -> Workspace:
    """The workspace that a command's options name. Other options are ignored."""
    from minimize.governance.workspace import Workspace  # late: it imports Arrow, which `--help` does not need

    return Workspace(**{name: options.get(name) for name in _WORKSPACE_OPTIONS})


def authorize(permission: str, places: Mapping[str, Any], tenant: str | None = None) -> None:
    """Checks that the current account has the permission. Raises AccessDenied (exit 3) if not. Either result is audited.

    `places` has the locations of the workspace (`ledger`, `output`, `pipeline`, `keys`). Without a tenant the permission must
    cover all tenants.
    """
    from minimize.config import load_config

    if not load_config(places.get("pipeline")).has_access_file:  # without an access file, nothing more is imported
        return
    from minimize.governance.access.enforcement import require_permission

    require_permission(permission, command_workspace(places), utc_now(), tenant=tenant)
