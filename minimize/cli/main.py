"""The `minimize` command: its commands by heading, imported on demand, `completion`, entry points."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from typing import Final

import click
from click.shell_completion import get_completion_class

from minimize.cli.former_names import accept_former_options, current_arguments
from minimize.cli.options import COMMON_OPTIONS, JSON_OPTIONS, CommonOption
from minimize.cli.startup import LOG_FORMAT, configure_log, dedicated_process, exit_status
from minimize.cli.verb import examples
from minimize.text import load_object

COMMAND_GROUPS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "Policies": {
        "init": ("minimize.cli.policy.init_command", "Draft a policy for data, with every field dropped."),
        "lint": ("minimize.cli.policy.lint_command", "Check a policy and its risks."),
        "plan": ("minimize.cli.policy.plan_command", "Show what happens to each field, and why."),
        "explain": ("minimize.cli.review.explain_command", "Explain why a field is released, changed or dropped."),
        "diff": ("minimize.cli.review.diff_command", "Compare two versions of policies."),
        "test": ("minimize.cli.review.try_fixtures_command", "Test a pipeline against its fixtures."),
        "drift": ("minimize.cli.policy.drift_command", "Compare incoming data with the policy and the last runs."),
        "policy": ("minimize.cli.policy.policy_group", "Approve a policy, or accept proposals of its draft."),
        "settings": ("minimize.cli.settings.settings_group", "Turn features of collection on or off."),
    },
    "Runs": {
        "run": ("minimize.cli.run.run_command", "Minimize a batch into Parquet, with a signed receipt."),
        "backfill": ("minimize.cli.run.backfill_command", "Run the dates of a file again, one by one."),
        "quarantine": ("minimize.cli.runs.quarantine_command", "Count quarantined records by code, field and file."),
        "replay": ("minimize.cli.run.replay_command", "Run quarantined records again under the current policy."),
        "runs": ("minimize.cli.runs.runs_group", "List, show or void published runs."),
    },
    "Checks and reports": {
        "verify": ("minimize.cli.run.verify_command", "Check an output independently against its receipts."),
        "report": ("minimize.cli.report.report_command", "Report what came in, what was released and who received it."),
        "risk": ("minimize.cli.risk.risk_group", "Measure how unique persons are in an output or a file."),
        "leaflet": ("minimize.cli.report.leaflet_command", "Tell people what their organization can see of them."),
        "docs": ("minimize.cli.report.docs_command", "Write a data catalogue and the record of processing."),
        "tenant": ("minimize.cli.tenant.tenant_group", "Report about one tenant for its auditor."),
        "audit": ("minimize.cli.audit.audit_group", "Print, verify, export or truncate the audit log."),
        "check": ("minimize.cli.interop.check_command", "Validate records against a JSON Schema."),
    },
    "Retention and deletion": {
        "expire": ("minimize.cli.retention.expire_command", "Remove data past its retention period."),
        "retract": (
            "minimize.cli.retention.retract_command",
            "Apply the current policy and settings to published output.",
        ),
        "events": ("minimize.cli.retention.events_group", "Record lifecycle events of tenants and subjects."),
    },
    "Data subjects and incidents": {
        "subject": (
            "minimize.cli.subject.subject_group",
            "View, export, correct, restrict or delete a subject's data.",
        ),
        "locate": ("minimize.cli.settings.locate_group", "Locate a lost device for up to 24 hours."),
        "incident": ("minimize.cli.incident.incident_group", "Handle a breach: scope, notices and deadlines."),
    },
    "Third parties": {
        "recipient": ("minimize.cli.recipient.recipient_group", "List recipients and what each of them receives."),
        "contract": ("minimize.cli.contract.contract_group", "Record and show the contracts of tenants."),
        "functions": ("minimize.cli.functions.functions_group", "Turn functions of third parties on and off."),
        "consent": ("minimize.cli.consent.consent_group", "Record and show the consents of tenants."),
        "share": ("minimize.cli.share.share_group", "Send records to a recipient, and recall them."),
        "receive": ("minimize.cli.run.receive_command", "Minimize records that a third party sends."),
    },
    "Access and keys": {
        "access": ("minimize.cli.access.access_group", "Manage roles, grants for incidents and API tokens."),
        "keys": ("minimize.cli.keys.keys_group", "Create, list, rotate or destroy keys."),
    },
    "Service and tools": {
        "serve": ("minimize.cli.serve.serve_command", "Start the data access server."),
        "sample": ("minimize.cli.sample.sample_command", "Generate sample data."),
        "schema": ("minimize.cli.policy.schema_command", "Print the JSON Schema of a kind of file, for editors."),
        "help": ("minimize.cli.main.help_command", "Print the help of a command, or the common options."),
        "completion": ("minimize.cli.main.completion_command", "Print the completion script of a shell."),
        "import": (
            "minimize.cli.interop.import_command",
            "Draft a policy from a schema, contract or list of another tool.",
        ),
        "export": (
            "minimize.cli.interop.export_command",
            "Export a pipeline or its runs in the format of another tool.",
        ),
    },
}
"""The commands by heading of `--help`: for each name, the object to import and its line of help."""
COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    name: command for commands in COMMAND_GROUPS.values() for name, command in commands.items()
}


class LazyCommandGroup(click.Group):
    """A group that imports a command only when it is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in the order of `--help`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command of that name. None if there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        return load_command(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command that the arguments name, also by a former name."""
        return super().resolve_command(ctx, current_arguments(ctx, args))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands under their headings, without importing any of them."""
        width = max(map(len, COMMANDS))
        for heading, commands in COMMAND_GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), about) for name, (_, about) in commands.items()])


@cache
def load_command(verb: str) -> click.Command:
    """Imports a command, which also accepts its former options."""
    command: click.Command = load_object(COMMANDS[verb][0])
    accept_former_options(command, verb)
    return command


@click.group(cls=LazyCommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="minimize", prog_name="minimize")
@click.option("--log-format", envvar="MINIMIZE_LOG_FORMAT", default="text", **LOG_FORMAT)
@click.option("-v", "--verbose", is_flag=True, help="Also log each step.")
def group(log_format: str, verbose: bool) -> None:
    """Minimize personal data by policy, publish it as Parquet, and prove it with signed receipts.

    Exit codes: 0 success, or nothing to do; 1 a check failed; 2 usage or configuration error; 3 refused by the policy; 4
    published, but more records are quarantined than the policy allows.

    `minimize help options` lists the options that most commands share.
    """
    configure_log(log_format, verbose)


OPTIONS_TOPIC: Final = "options"
"""The word after `minimize help` for the common options, which are no command."""


@examples("minimize help consent give", "minimize help options")
@click.command()
@click.argument("words", nargs=-1, metavar="[COMMAND]… | options")
@click.pass_context
def help_command(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Print the help of COMMAND, or describe the options that most commands share."""
    context = ctx.find_root()
    if words == (OPTIONS_TOPIC,):
        formatter = ctx.make_formatter()
        with formatter.section("Common options"):
            formatter.write_dl(common_option_records(ctx))
        click.echo(formatter.getvalue().rstrip())
        return
    for word in current_arguments(ctx, list(words)):
        command = context.command.get_command(context, word) if isinstance(context.command, click.Group) else None
        if command is None:
            raise click.UsageError(f"No such command '{word}'.", context)
        context = click.Context(command, info_name=word, parent=context)
    click.echo(context.get_help())


def common_option_records(ctx: click.Context) -> list[tuple[str, str]]:
    """The options that most commands have, each with its description."""
    options = [*(make_option() for make_option in COMMON_OPTIONS.values()), *JSON_OPTIONS]
    records = [option.full_help_record(ctx) for option in options if isinstance(option, CommonOption)]
    return [record for record in records if record is not None]


def entry() -> None:
    """Runs the `minimize` command in a dedicated process, and exits."""
    with dedicated_process(), exit_status() as status:
        status.set_result(group.main(standalone_mode=False, color=status.color, obj=status))
    sys.exit(status.code)


def main() -> None:
    """Runs the command line in the caller's process, and exits."""
    with exit_status() as status:
        status.set_result(group.main(standalone_mode=False, color=status.color, obj=status))
    sys.exit(status.code)


COMPLETION_VARIABLE = "_MINIMIZE_COMPLETE"
"""The environment variable that the completion script sets to ask for completions."""


@examples(
    'eval "$(minimize completion bash)"     # in ~/.bashrc; the same for zsh',
    "minimize completion fish > ~/.config/fish/completions/minimize.fish",
)
@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """Print the script with which SHELL completes commands, options and files.

    Load it from the start-up file of the shell.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"completion does not support {shell}")
    click.echo(kind(ctx.find_root().command, {}, "minimize", COMPLETION_VARIABLE).source())
