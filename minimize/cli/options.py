"""Shared options and their types, and what follows from them: workspace, time and authorization of a command.

A text that is no time or date is refused, and the error names the option. `--quiet` prints nothing if a command
succeeds, and everything that it would have printed if it fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.types import StringParamType

from minimize.cli.startup import LOG_FORMATS, ExitStatus, configure_log
from minimize.engines import ENGINES
from minimize.errors import ConfigurationError
from minimize.times import parse_date, parse_time, utc_now

if TYPE_CHECKING:
    from minimize.governance.workspace import Workspace


class TimeParameter(StringParamType):
    """A text that can be read so. It stays a text: the library reads it again, as it does for callers of its functions."""

    def __init__(self, name: str, read: Callable[[str, str], object]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text. Raises ConfigurationError, which names the option or the argument."""
        self._read(value, _parameter_name(param))
        return value


TIME: Final = TimeParameter("time", parse_time)
DATE: Final = TimeParameter("date", parse_date)


class DurationParameter(StringParamType):
    """A length of time, as policies write it."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The length of time. Raises ConfigurationError, which names the option or the argument."""
        from minimize.policy.value_readers import parse_duration  # it imports Arrow, which `--help` does without

        found = parse_duration(value)
        if found is None:
            raise ConfigurationError(f"{_parameter_name(param)} is no length of time", hint="30m, 8h, 30d")
        return found


DURATION: Final = DurationParameter()


def _parameter_name(param: click.Parameter | None) -> str:
    """The option as it is written, or the argument's name."""
    if param is None:
        return "this"
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name


F = TypeVar("F", bound=Callable[..., Any])


def quiet(command: F) -> F:
    """`--quiet`: what the command prints is held back until its exit code is known."""
    text = "Print nothing, and log nothing, if it exits with 0."
    return click.option("--quiet", is_flag=True, expose_value=False, callback=_hold_output, help=text)(command)


def _hold_output(ctx: click.Context, _: click.Parameter, is_quiet: bool) -> None:
    status = ctx.find_object(ExitStatus)
    if is_quiet and status is not None and not ctx.resilient_parsing:
        status.hold_output()


_AUDIT_FILTERS: Final = {
    "activity": "What was done (run, settings, …).",
    "operation": "How (start, publish, …).",
    "result": "How it ended: success, failure or refused.",
    "actor": "Who did it.",
    "resource": "The id of what it was done to.",
    "correlation": "The id that belongs together: of a run, a request.",
    "since": "From this time on (ISO 8601).",
    "until": "Before this time.",
}
LEDGER_HELP: Final = "The ledger (else MINIMIZE_LEDGER, else minimize.yaml, else ledger.db in the output folder)."


class IdentifierParameter(StringParamType):
    """A tenant or a subject, in its canonical form."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The id; empty for a blank one, which commands refuse."""
        from minimize.identifiers import canonical_text  # it imports Arrow, which `--help` does without

        return canonical_text(str(value))


ID: Final = IdentifierParameter()


class DataPathParameter(click.Path):
    """A path on disk, which may have to exist, or the URI of an object store."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, checked; a URI as it is."""
        return value if "://" in str(value) else super().convert(value, param, ctx)


def as_json(command: F) -> F:
    """`--json`: results for machines. With it comes `--log-format`, which may stand before the verb or behind it."""
    log = click.option(
        "--log-format",
        type=click.Choice(LOG_FORMATS),
        expose_value=False,
        callback=_set_log_format,
        help="Of the log on stderr.",
    )
    return log(click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command))


def _set_log_format(ctx: click.Context, _: click.Parameter, log_format: str | None) -> None:
    if log_format is not None:
        configure_log(log_format, verbose=False)


def print_result(body: Any, as_json: bool, text: str | Callable[[], str]) -> None:
    """Prints a result: as JSON for machines, else its text, or what a function returns that makes the text."""
    if as_json:
        print_json(body)
    else:
        click.echo(text if isinstance(text, str) else text())


def print_json(body: Any) -> None:
    """Prints a result as JSON."""
    click.echo(json.dumps(body, indent=2, default=str))


def keys(command: F) -> F:
    """`--keys FILE`: the keyring."""
    text = "The keyring (else MINIMIZE_KEYS, else minimize.yaml)."
    return click.option("--keys", type=click.Path(dir_okay=False), metavar="FILE", help=text)(command)


def engine(command: F) -> F:
    """`--engine`: what moves the batches."""
    kinds = click.Choice(list(ENGINES))
    text = "What moves the batches."
    return click.option("--engine", type=kinds, default="local", show_default=True, help=text)(command)


FAILING_SEVERITIES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"error": frozenset({"error"}), "warning": frozenset({"error", "warning"}), "never": frozenset()}
)
"""Which severities exit with 1, by what `--fail-on` says."""


def fail_on(command: F) -> F:
    """`--fail-on`: what exits with 1."""
    kinds = click.Choice(list(FAILING_SEVERITIES))
    return click.option("--fail-on", type=kinds, default="error", show_default=True, help="What exits with 1.")(command)


def observability(command: F) -> F:
    """`--lineage`, `--metrics`: where others are told of a run."""
    events = "OpenLineage events (else MINIMIZE_LINEAGE, minimize.yaml, beside the output); `off` for none."
    text = "Prometheus metrics: a .prom file, or a folder for one (else MINIMIZE_METRICS, minimize.yaml, none)."
    with_metrics = click.option("--metrics", type=click.Path(), metavar="PATH", help=text)(command)
    return click.option("--lineage", type=click.Path(), metavar="FILE", help=events)(with_metrics)


def receipt_overrides(command: F) -> F:
    """`--pipeline`, `--input`, `--settings`: what stands in for the places that the receipts of an output name."""
    of, instead = "The pipeline that made it (else as its receipts say).", "Read from here instead."
    rows = "Collection settings, CSV or Parquet, instead of the pipeline's."
    with_settings = click.option("--settings", type=click.Path(), metavar="PATH", help=rows)(command)
    with_input = click.option("--input", "input_", metavar="PATH", help=instead)(with_settings)
    return click.option("--pipeline", type=click.Path(), metavar="PIPELINE", help=of)(with_input)


def pipeline_overrides(command: F) -> F:
    """`--input`, `--settings`, `--output`: what stands in for the places that the pipeline names."""
    read, write = "Read from here instead of the pipeline's source.", "Write here instead."
    rows = "Collection settings, CSV or Parquet, or `ledger`."
    with_output = click.option("--output", type=click.Path(file_okay=False), metavar="DIR", help=write)(command)
    with_settings = click.option("--settings", type=click.Path(), metavar="PATH", help=rows)(with_output)
    return click.option("--input", "input_", metavar="PATH", help=read)(with_settings)


def allow_shrink(text: str = "Publish dates that have far fewer rows than at their last receipt.") -> Callable[[F], F]:
    """`--allow-shrink`: the shrink guard is off."""
    return click.option("--allow-shrink", is_flag=True, help=text)


def pipeline(command: F) -> F:
    """The argument PIPELINE: a folder or its pipeline.yaml."""
    return click.argument("pipeline", type=click.Path())(command)


def ledger(command: F) -> F:
    """`--ledger` and `--output`: where the ledger is."""
    own = "An output folder that may hold it."
    command = click.option("--output", type=click.Path(file_okay=False), metavar="DIR", help=own)(command)
    return only_ledger(command)


def only_ledger(command: F) -> F:
    """`--ledger`: where the ledger is."""
    return click.option("--ledger", metavar="PATH_OR_URL", help=LEDGER_HELP)(command)


def workspace(command: F) -> F:
    """`--pipeline`, `--ledger`, `--output`, `--keys`: where the house's things are."""
    text = "The pipeline whose policy and places count."
    return click.option("--pipeline", type=click.Path(), metavar="PIPELINE", help=text)(ledger(keys(command)))


def recipients(command: F) -> F:
    """`--recipients DIR`: the folder of recipients."""
    text = "The folder of recipients (else `recipients:` of minimize.yaml, else recipients/ beside it)."
    return click.option("--recipients", type=click.Path(file_okay=False), metavar="DIR", help=text)(command)


def prerequisites(command: F) -> F:
    """`--having NAME`: prerequisites of a function."""
    text = "A prerequisite of the function that is met. Repeatable."
    return click.option("--having", multiple=True, metavar="NAME", help=text)(command)


def audit_filters(command: F) -> F:
    """Which entries of the audit log are wanted."""
    for name, about in reversed(_AUDIT_FILTERS.items()):
        kind = TIME if name in ("since", "until") else None
        command = click.option(f"--{name}", type=kind, metavar=name.upper(), help=about)(command)
    return command


def list_file_option(command: F) -> F:
    """`--to FILE`: the list that the recipient is given."""
    text = "The list for the recipient, a new JSON file."
    return click.option("--to", type=click.Path(dir_okay=False), metavar="FILE", help=text)(command)


_WORKSPACE_OPTIONS: Final = ("ledger", "output", "pipeline", "keys")


def command_workspace(options: Mapping[str, Any]) -> Workspace:
    """The workspace that a command's options name. Other options are ignored."""
    from minimize.governance.workspace import Workspace  # late: `--help` of a command needs no Arrow

    return Workspace(**{name: options.get(name) for name in _WORKSPACE_OPTIONS})


def authorize(permission: str, places: Mapping[str, Any], tenant: str | None = None) -> None:
    """Lets them pass, or raises AccessDenied (exit 3); the audit log is told in either case.

    Takes the permission, where the house's things are (`ledger`, `output`, `pipeline`, `keys`), and the tenant that it is about:
    what is about none concerns all.
    """
    from minimize.config import load_config

    if not load_config(places.get("pipeline")).has_access_file:  # most have none, and then nothing more is imported
        return
    from minimize.governance.access.enforcement import require_permission

    require_permission(permission, command_workspace(places), utc_now(), tenant=tenant)
