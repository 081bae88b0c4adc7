"""The table of options that commands share, their types, and the workspace of a command.

A text that is not a time or date is refused, and the error names the option. With `--quiet`, a command prints its output
only if it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from minimize.cli.startup import LOG_FORMAT, ExitStatus, configure_log
from minimize.engines import ENGINES
from minimize.errors import ConfigurationError
from minimize.results import FAILING_SEVERITIES
from minimize.times import parse_date, parse_time

if TYPE_CHECKING:
    from minimize.workspace import Workspace


class TimeParameter(click.ParamType[Any]):
    """A time in UTC, or a date."""

    def __init__(self, name: str, read: Callable[[Any, str], object]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns the time or date. Raises ConfigurationError, which names the option or the argument, if it is not valid."""
        return self._read(value, _parameter_name(param))


TIME: Final = TimeParameter("time", parse_time)
DATE: Final = TimeParameter("date", parse_date)


class DurationParameter(StringParamType):
    """A duration, in the notation of policies."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns the duration. Raises ConfigurationError, which names the option or the argument."""
        from minimize.forms.values import parse_duration  # it imports Arrow, which `--help` does not need

        duration = parse_duration(value)
        if duration is None:
            raise ConfigurationError(
                f"{_parameter_name(param)} is not a duration", hint="Write a number and a unit, such as 30m, 8h or 30d."
            )
        return duration


DURATION: Final = DurationParameter()


def _parameter_name(param: click.Parameter | None) -> str:
    """Returns the option as it is written, or the name of the argument."""
    if param is None:
        return "this"
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name


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


class TableName(click.ParamType[str]):
    """A name in a table, which is read when the command is."""

    name = "choice"

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self._names = names

    @property
    def _choice(self) -> click.Choice[str]:
        return click.Choice(list(self._names()))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the name. Fails if it is not in the table."""
        return self._choice.convert(value, param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        """Returns all names, for the help text."""
        return self._choice.get_metavar(param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Returns the names that begin with the text."""
        return self._choice.shell_complete(ctx, param, incomplete)


PATH: Final = click.Path()
FILE: Final = click.Path(dir_okay=False)
FOLDER: Final = click.Path(file_okay=False)
AS_OF_HELP: Final = "Evaluate as of TIME (ISO 8601)."
MADE_BY_HELP: Final = "Pipeline that made the output. [default: from its receipts]"
SETTINGS_OR_LEDGER_HELP: Final = "File of collection settings, or `ledger`. [default: the pipeline's]"


_ATTRIBUTES: Final[Mapping[str, Mapping[str, Any]]] = {
    "FUNCTION": {},
    "OUTPUT": {"type": FOLDER},
    "PIPELINE": {"type": PATH},
    "RECIPIENT": {},
    "TENANT": {"type": ID},
    "--activity": {"metavar": "ACTIVITY", "help": "Only this activity (run, settings, …)."},
    "--actor": {"metavar": "ACTOR", "help": "Only events of this account."},
    "--allow": {
        "multiple": True,
        "metavar": "CODE",
        "help": "Run although lint finds this error. The receipt names it. Repeatable.",
    },
    "--allow-shrink": {
        "is_flag": True,
        "help": "Publish dates even if they have far fewer rows than in their last receipt.",
    },
    "--also": {
        "param_decls": ["--also", "named"],
        "multiple": True,
        "metavar": "OUTPUT",
        "help": "Also search this output; the ledger knows the others. Repeatable.",
    },
    "--at": {"type": TIME, "metavar": "TIME", "help": f"{AS_OF_HELP} [default: now]"},
    "--category": {"metavar": "CATEGORY", "help": "Only this category (access, consent, run, …)."},
    "--correlation": {
        "metavar": "CORRELATION",
        "help": "Only events with this correlation id, such as a run or a request.",
    },
    "--date": {"type": DATE, "metavar": "D", "help": "Batch date, YYYY-MM-DD. [default: all dates found]"},
    "--engine": {
        "type": TableName(ENGINES.keys),
        "default": "local",
        "show_default": True,
        "help": "Engine that processes the batches.",
    },
    "--evidence": {
        "param_decls": ["--evidence", "reference"],
        "metavar": "REFERENCE",
        "help": "Reference of the document that shows the decision, such as the number of a signed form or a ticket.",
    },
    "--fail-on": {
        "type": click.Choice(list(FAILING_SEVERITIES)),
        "default": "error",
        "show_default": True,
        "help": "Exit with 1 if a finding has this severity or a higher one.",
    },
    "--function": {"metavar": "NAME", "help": "Only this function."},
    "--history": {"is_flag": True, "help": "List all rows, not only those in force."},
    "--html": {"type": FILE, "metavar": "FILE", "help": "Write an HTML page to FILE instead of printing."},
    "--input": {"metavar": "PATH", "help": "Read from PATH instead of the pipeline's source."},
    "--keys": {"type": FILE, "metavar": "FILE", "help": "Keyring. [env: MINIMIZE_KEYS] [default: from minimize.yaml]"},
    "--ledger": {
        "metavar": "PATH_OR_URL",
        "help": "Ledger. [env: MINIMIZE_LEDGER] [default: from minimize.yaml, else ledger.db in the output folder]",
    },
    "--lineage": {
        "type": PATH,
        "metavar": "FILE",
        "help": "Write OpenLineage events to FILE; `off` writes none. [env: MINIMIZE_LINEAGE] "
        "[default: from minimize.yaml, else next to the output]",
    },
    "--metrics": {
        "type": PATH,
        "metavar": "PATH",
        "help": "Write Prometheus metrics to a .prom file, or into a folder. [env: MINIMIZE_METRICS] "
        "[default: from minimize.yaml, else none]",
    },
    "--operation": {"metavar": "OPERATION", "help": "Only this operation (start, publish, …)."},
    "--output": {
        "type": FOLDER,
        "metavar": "DIR",
        "help": "Folder of an output, whose ledger and configuration are used.",
    },
    "--pending": {"is_flag": True, "help": "Only dates whose files are new or changed since their last receipt."},
    "--pipeline": {"type": PATH, "metavar": "PIPELINE", "help": "Pipeline whose policy, source and output are used."},
    "--public-key": {
        "type": FILE,
        "metavar": "FILE",
        "help": "Verify with this public key (PEM) instead of a keyring.",
    },
    "--recipient": {"metavar": "NAME", "help": "Only this recipient."},
    "--recipients": {
        "type": FOLDER,
        "metavar": "DIR",
        "help": "Folder of recipients. [default: `recipients:` of minimize.yaml, else recipients/ next to it]",
    },
    "--region": {
        "metavar": "REGION",
        "help": "Only the rows of this region's tenants. Required with --output if regions are configured.",
    },
    "--resource": {"metavar": "RESOURCE", "help": "Only events about the resource with this id."},
    "--result": {"metavar": "RESULT", "help": "Only this result: success, failure or refused."},
    "--settings": {
        "type": PATH,
        "metavar": "PATH",
        "help": "File of collection settings. [default: the pipeline's]",
    },
    "--since": {"type": TIME, "metavar": "SINCE", "help": "Only entries from this time on (ISO 8601)."},
    "--tenant": {"type": ID, "metavar": "T", "help": "Only this tenant."},
    "--to": {"type": FILE, "metavar": "FILE", "help": "Write the recall list for the recipient to this new JSON file."},
    "--until": {"type": TIME, "metavar": "UNTIL", "help": "Only entries before this time (ISO 8601)."},
    "--document": {
        "type": FILE,
        "metavar": "FILE",
        "help": "File of the document that shows it. Its SHA-256 digest is recorded, not the file.",
    },
    "--token-file": {
        "type": FILE,
        "metavar": "FILE",
        "help": "File with an API token of the acting account, which shows the decision. [env: MINIMIZE_TOKEN]",
    },
    "--yes": {"is_flag": True, "help": "Apply the plan. Without it, only print the plan."},
}
OPTIONS: Final[Mapping[str, Callable[..., click.Parameter]]] = {
    name: partial(
        click.Option if name.startswith("-") else click.Argument, **{"param_decls": [name.lower()], **attributes}
    )
    for name, attributes in _ATTRIBUTES.items()
}
"""The arguments and options that commands share, by their names on the command line.

Each makes a click parameter. An attribute that differs in one command is passed by keyword: `OPTIONS["--at"](help="…")`.
"""


class CommonOption(click.Option):
    """An option that most commands have. Their help names it; `minimize help options` describes it."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """None: the help of a command does not describe it."""
        return None

    def full_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The option with its description."""
        return super().get_help_record(ctx)


COMMON_OPTIONS: Final[Mapping[str, Callable[[], click.Parameter]]] = {
    name: partial(CommonOption, [name], **_ATTRIBUTES[name])
    for name in ("--pipeline", "--ledger", "--output", "--keys")
}
"""Those of `OPTIONS` that most commands have, without an attribute that differs."""
AT_OR_NOW: Final = OPTIONS["--at"](param_decls=["--at", "now"])
"""`--at`, for a command that evaluates as of a time. It replaces the current time."""
LEDGER: Final = ("--ledger", "--output")
WORKSPACE: Final = ("--pipeline", *LEDGER, "--keys")
OBSERVABILITY: Final = ("--lineage", "--metrics")
AUDIT_FILTERS: Final = (
    "--tenant",
    "--category",
    "--activity",
    "--operation",
    "--result",
    "--actor",
    "--resource",
    "--correlation",
    "--since",
    "--until",
)
PIPELINE_OVERRIDES: Final = (
    "--input",
    OPTIONS["--settings"](help=SETTINGS_OR_LEDGER_HELP),
    OPTIONS["--output"](help="Write to this output folder instead of the pipeline's."),
    "--region",
)
"""Options that replace the locations that the pipeline names."""
RECEIPT_OVERRIDES: Final = (OPTIONS["--pipeline"](help=MADE_BY_HELP), "--input", "--settings")
"""Options that replace the locations that the receipts of an output name."""
EVIDENCE: Final = ("--document", "--evidence", "--token-file")
"""The evidence of a tenant's decision."""


def _hold_output(ctx: click.Context, _: click.Parameter, is_quiet: bool) -> None:
    status = ctx.find_object(ExitStatus)
    if is_quiet and status is not None and not ctx.resilient_parsing:
        status.hold_output()


def _set_log_format(ctx: click.Context, _: click.Parameter, log_format: str | None) -> None:
    if log_format is not None:
        configure_log(log_format, verbose=False)


QUIET: Final = click.Option(
    ["--quiet"],
    is_flag=True,
    expose_value=False,
    callback=_hold_output,
    help="Print and log nothing if the command succeeds.",
)
"""`--quiet`: buffers the output until the exit code is known."""
JSON_OPTIONS: Final = (
    CommonOption(["--log-format"], expose_value=False, callback=_set_log_format, **LOG_FORMAT),
    CommonOption(["--json", "as_json"], is_flag=True, help="Print the result as JSON."),
)
"""`--json`, and `--log-format`, which can be given before or after the command name."""

SHOWN: Final = "shown"
"""The name of the outputs whose content a command shows or changes, among the locations of its workspace."""
SEARCHED_OUTPUTS: Final = "named"
"""The name of `--also OUTPUT` among the options of a command that otherwise searches all outputs of the ledger."""
_WORKSPACE_OPTIONS: Final = ("ledger", "output", "keys", "region")


class Places(dict[str, Any]):
    """The options of a command that name its workspace, which is made once, when it is first needed. Other options are ignored.

    `--pipeline` may be repeatable. `shown` has the outputs whose content the command shows or changes.
    """

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace."""
        from minimize.workspace import Workspace  # late: it imports Arrow, which `--help` does not need

        named = self.get("pipeline")
        pipelines = named if isinstance(named, tuple) else (named,)
        places: dict[str, Any] = {name: self.get(name) for name in _WORKSPACE_OPTIONS}
        shown = tuple(self.get(SHOWN) or ())
        first, *further = pipelines or (None,)
        return Workspace(
            pipeline=first, further_pipelines=tuple(further), shown=shown, searches=SEARCHED_OUTPUTS in self, **places
        )
