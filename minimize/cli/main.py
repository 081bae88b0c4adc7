"""The `minimize` command: its commands by heading, imported on demand, examples for `--help`, `completion`, entry points."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from typing import Final

import click
from click.shell_completion import get_completion_class

from minimize.cli.startup import LOG_FORMAT, configure_log, dedicated_process, exit_status
from minimize.text import load_object

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = types.MappingProxyType(
    {
        "init": (
            "minimize init data/2026-11-24 mine",
            "minimize init mine --accept os_version --accept battery_pct",
        ),
        "lint": ("minimize lint pipelines/device_telemetry", "minimize lint pipelines/recipients --fail-on warning"),
        "plan": (
            "minimize plan pipelines/device_telemetry --preview 3",
            "minimize plan pipelines/device_telemetry --preview sample_data/device_telemetry/2026-11-24",
            "minimize plan pipelines/device_telemetry --tenant contoso --at 2026-11-24T10:00:00Z",
        ),
        "drift": ("minimize drift pipelines/device_telemetry --date 2026-11-24",),
        "run": (
            "minimize run pipelines/device_telemetry --date 2026-11-24",
            "minimize run pipelines/device_telemetry --pending",
            "minimize run pipelines/device_telemetry --at 2026-11-25T00:00:00Z --output out/as_of_then",
        ),
        "backfill": ("minimize backfill backfills/coarser_storage.yaml --dry-run",),
        "verify": (
            "minimize verify out/device_telemetry --keys minimize.keys",
            "minimize verify out/device_telemetry --public-key public.json",
        ),
        "quarantine show": ("minimize quarantine show out/device_telemetry --check",),
        "replay": ("minimize replay out/device_telemetry --date 2026-11-24",),
        "retract": ("minimize retract out/device_telemetry", "minimize retract out/device_telemetry --yes"),
        "events add": (
            "minimize events add contoso subject_left --subject d-4711 --pipeline pipelines/device_telemetry",
            "minimize events add fabrikam tenant_closed --at 2026-11-20T00:00:00Z",
        ),
        "events import": ("minimize events import deleted-users.csv --linked --pipeline pipelines/device_telemetry",),
        "events withdraw": ("minimize events withdraw EVENT",),
        "events list": ("minimize events list --tenant contoso",),
        "expire": (
            "minimize expire out/device_telemetry",
            "minimize expire out/device_telemetry --yes",
            "minimize expire out/device_telemetry --due",
        ),
        "runs": ("minimize runs", "minimize runs --rebuild"),
        "runs show": ("minimize runs show 20261125T022300Z-3b01b7134733",),
        "runs adopt-ledger": (
            "minimize runs adopt-ledger out/device_telemetry --ledger ledger.db --reason 'the disk failed without a backup'",
        ),
        "runs void": ('minimize runs void 20261125T022300Z-3b01b7134733 --reason "the clock was ahead"',),
        "settings set": (
            "minimize settings set contoso location on --holder admin --pipeline pipelines/device_telemetry",
            "minimize settings set contoso location off --holder user --subject d-4711 --pipeline pipelines/device_telemetry",
        ),
        "settings show": ("minimize settings show --tenant contoso",),
        "settings why": ("minimize settings why contoso location 2026-11-24T10:00:00Z --subject d-4711",),
        "settings import": ("minimize settings import settings.csv",),
        "settings export": ("minimize settings export settings.csv",),
        "locate start": (
            "minimize locate start d-4711 --tenant contoso --pipeline pipelines/device_support",
            "minimize locate start d-4711 --tenant contoso --hours 4 --pipeline pipelines/device_support",
        ),
        "locate end": ("minimize locate end d-4711 --tenant contoso",),
        "locate list": ("minimize locate list --tenant contoso",),
        "recipient list": ("minimize recipient list",),
        "recipient show": ("minimize recipient show apple --html apple.html",),
        "recipient lint": ("minimize recipient lint pipelines/recipients",),
        "contract record": (
            "minimize contract record contoso apple --reference C-2026-17 --offered --document contract.pdf",
            "minimize contract record contoso apple --reference C-2026-17 --permits-transmission --field model --document c.pdf",
        ),
        "contract end": ("minimize contract end contoso apple --reference C-2026-17 --on 2026-12-31",),
        "contract show": ("minimize contract show --tenant contoso",),
        "functions list": ("minimize functions list contoso",),
        "functions enable": ("minimize functions enable contoso apple push",),
        "functions disable": ("minimize functions disable contoso apple push --reference TICKET-9",),
        "functions confirm": (
            "minimize functions confirm contoso apple apple_push_certificate --document certificate.pdf",
            "minimize functions confirm contoso jamf admin_consent --permission update_device_attributes --document grant.pdf",
        ),
        "consent request": ("minimize consent request contoso apple push",),
        "consent give": (
            "MINIMIZE_TOKEN=mzd_… minimize consent give contoso apple push --text-version 1",
            "minimize consent give contoso apple push --document form-17.pdf --until 2027-11-25T00:00:00Z",
        ),
        "consent confirm": ("minimize consent confirm contoso apple push --document form-17.pdf",),
        "consent refuse": ("minimize consent refuse contoso apple push --reference TICKET-9",),
        "consent withdraw": ("minimize consent withdraw contoso apple push --reference TICKET-9 --to recall.json",),
        "consent expire": ("minimize consent expire",),
        "consent show": ("minimize consent show --tenant contoso",),
        "consent why": ("minimize consent why contoso apple push --at 2026-11-25T00:00:00Z",),
        "share recall list": ("minimize share recall list --overdue",),
        "share recall request": ("minimize share recall request",),
        "share recall confirm": ("minimize share recall confirm apple --tenant contoso",),
        "share send": (
            "minimize share send apple push --pipeline pipelines/device_telemetry --dry-run",
            "minimize share send apple push --pipeline pipelines/device_telemetry --to payload.parquet",
        ),
        "receive": (
            "minimize receive jamf compliance --pipeline pipelines/jamf_compliance --date 2026-11-24",
            "minimize receive jamf compliance --pipeline pipelines/jamf_compliance --pending",
        ),
        "share log": ("minimize share log --recipient apple",),
        "share show": ("minimize share show DISCLOSURE",),
        "share why": ("minimize share why apple push --tenant contoso",),
        "subject view": (
            "minimize subject view d-4711 --tenant contoso --pipeline pipelines/device_telemetry",
            "minimize subject view U-12 --as user_id",
        ),
        "subject export": ("minimize subject export d-4711 --tenant contoso --to export --redact model",),
        "subject delete": (
            "minimize subject delete d-4711 --tenant contoso",
            "minimize subject delete --file requests.csv --yes",
        ),
        "subject restrict": ("minimize subject restrict d-4711 --tenant contoso --yes",),
        "subject lift": ("minimize subject lift d-4711 --tenant contoso --yes",),
        "subject correct": ("minimize subject correct d-4711 --tenant contoso --set phone_number=+4915112345 --yes",),
        "subject status": ("minimize subject status",),
        "subject coverage": ("minimize subject coverage --pipeline pipelines/device_telemetry",),
        "subject approve": ("minimize subject approve REQUEST --yes",),
        "subject refuse": (
            "minimize subject refuse REQUEST --because withheld --reference CASE-12",
            "minimize subject refuse --kind export --id d-4711 --tenant contoso --because withheld --reference CASE-12",
        ),
        "subject confirm": ("minimize subject confirm REQUEST apple",),
        "access request": (
            "minimize access request device_telemetry --field phone_number --tenant contoso \\\n"
            '      --incident INC-7 --justification "A device is lost." --for 4h',
        ),
        "access approve": ('minimize access approve GRANT --reason "Checked with the customer."',),
        "access deny": ('minimize access deny GRANT --reason "Not needed."',),
        "access revoke": ("minimize access revoke GRANT",),
        "access review": ('minimize access review GRANT --reason "It was needed."',),
        "access expire": ("minimize access expire",),
        "access list": ("minimize access list --incident INC-7",),
        "access why": ("minimize access why ann device_telemetry --field phone_number --purpose customer_support",),
        "access show": ("minimize access show",),
        "access new": ("minimize access new access.yaml --tenant contoso",),
        "access adopt": ("minimize access adopt --yes",),
        "access lint": ("minimize access lint pipelines/access.yaml",),
        "access token": ("minimize access token --for 8h", "minimize access token --user ann --for 8h"),
        "access token confirm": ("minimize access token confirm NAME",),
        "access token list": ("minimize access token list",),
        "access token revoke": ("minimize access token revoke NAME",),
        "incident open": (
            'minimize incident open INC-7 --title "A lost backup" --since 2026-11-24T08:00Z \\\n'
            "      --known-at 2026-11-25T09:00Z --exposed output:out/device_telemetry#records --exposed date:2026-11-24",
        ),
        "incident scope": ("minimize incident scope INC-7",),
        "incident declare": (
            "minimize incident declare INC-7",
            "minimize incident declare INC-7 --as security_incident",
        ),
        "incident reclassify": (
            'minimize incident reclassify INC-7 --as customer_reportable --because "The copy was read."',
        ),
        "incident measure": ('minimize incident measure INC-7 "The key was changed."',),
        "incident notice": (
            "minimize incident notice INC-7 --to notices --contact privacy@example.com --contacts contacts.csv",
            "minimize incident notice INC-7 --sent --tenant contoso",
        ),
        "incident send": ("minimize incident send INC-7 --outbox notices --yes",),
        "incident lint": ("minimize incident lint contacts.csv",),
        "incident exempt": ('minimize incident exempt INC-7 contoso --reason "Notified by telephone."',),
        "incident close": ("minimize incident close INC-7",),
        "incident list": ("minimize incident list",),
        "incident show": ("minimize incident show INC-7",),
        "audit log": ("minimize audit log --activity run --since 2026-11-01",),
        "audit verify": ("minimize audit verify --receipts out/device_telemetry",),
        "audit export": ("minimize audit export audit.ndjson --since 2026-11-01",),
        "audit truncate": ("minimize audit truncate --to old.ndjson --yes",),
        "diff": (
            "minimize diff main:pipelines/device_telemetry/policy.yaml pipelines/device_telemetry/policy.yaml",
            "minimize diff main HEAD pipelines --markdown",
        ),
        "policy approve": ("minimize policy approve pipelines/device_telemetry/policy.yaml --by privacy@example.com",),
        "explain": (
            "minimize explain pipelines/device_support position --tenant contoso --at 2026-11-24T10:00:00Z",
            "minimize explain pipelines/device_telemetry os_version --record data/2026-11-24/a.ndjson.gz:17",
        ),
        "test": ("minimize test pipelines/device_telemetry",),
        "report": ("minimize report out/device_telemetry --html report.html",),
        "risk": (
            "minimize risk patients.parquet --quasi age --quasi city --sensitive illness",
            "minimize risk out/device_telemetry --sensitive compliance_state --html risk.html",
            "minimize risk survey.csv --quasi age --quasi city --population 83000000",
        ),
        "leaflet": ("minimize leaflet pipelines/device_support --html leaflet.html",),
        "docs": ("minimize docs pipelines --to out/docs",),
        "tenant report": ("minimize tenant report contoso --html contoso.html",),
        "import": (
            "minimize import jsonschema checkins.schema.json mine",
            "minimize import odcs contract.yaml mine --object checkins",
        ),
        "export": (
            "minimize export odcs pipelines/device_telemetry --to contract.yaml",
            "minimize export openlineage out/device_telemetry",
        ),
        "check": ("minimize check data.ndjson --schema checkins.schema.json",),
        "completion": (
            'eval "$(minimize completion bash)"     # in ~/.bashrc; the same for zsh',
            "minimize completion fish > ~/.config/fish/completions/minimize.fish",
        ),
        "sample": ("minimize sample device_telemetry --rows 10000 --date 2026-11-24 --out data",),
        "serve": (
            "minimize serve pipelines/device_telemetry --host 0.0.0.0 --cert server.pem --key server.key",
            "minimize access token --for 8h",
            'python -c \'import minimize; print(minimize.connect("grpc+tls://HOST:8815", token="mzd_…", ca="ca.pem")\n'
            '      .read("device_telemetry", columns=["model"], purpose="customer_support"))\'',
        ),
        "schema": ("minimize schema policy > policy.schema.json",),
        "keys new": ("minimize keys new minimize.keys --name device --name user",),
        "keys add": ("minimize keys add minimize.keys session",),
        "keys list": ("minimize keys list minimize.keys",),
        "keys rotate": ("minimize keys rotate minimize.keys --rewrite out/device_telemetry",),
        "keys shred": ("minimize keys shred minimize.keys --tenant contoso",),
        "keys public": ("minimize keys public minimize.keys > public.json",),
    }
)


def add_examples(command: click.Command, words: str) -> click.Command:
    """Adds the examples to the help of a command and of its subcommands. `words` is the full name, such as `keys new`."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            add_examples(below, f"{words} {name}")
    if words in EXAMPLES and "\b\nExample" not in (command.epilog or ""):
        lines = "\n".join(f"  {line}" for line in EXAMPLES[words])
        heading = "Examples" if len(EXAMPLES[words]) > 1 else "Example"
        command.epilog = "\n\n".join(filter(None, (f"\b\n{heading}:\n{lines}", command.epilog)))
    return command


COMMAND_GROUPS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "Policies": {
        "init": ("minimize.cli.policy.init_command", "Draft a policy for data, with every field dropped."),
        "lint": ("minimize.cli.policy.lint_command", "Check a policy and its risks."),
        "plan": ("minimize.cli.policy.plan_command", "Show what happens to each field, and why."),
        "explain": ("minimize.cli.review.explain_command", "Explain why a field is released, changed or dropped."),
        "diff": ("minimize.cli.review.diff_command", "Compare two versions of policies."),
        "test": ("minimize.cli.review.try_fixtures_command", "Test a pipeline against its fixtures."),
        "drift": ("minimize.cli.policy.drift_command", "Compare incoming data with the policy and the last runs."),
        "policy": ("minimize.cli.policy.policy_group", "Approve a policy."),
        "settings": ("minimize.cli.settings.settings_group", "Turn features of collection on or off."),
    },
    "Runs": {
        "run": ("minimize.cli.run.run_command", "Minimize a batch into Parquet, with a signed receipt."),
        "backfill": ("minimize.cli.run.backfill_command", "Run the dates of a file again, one by one."),
        "quarantine": ("minimize.cli.runs.quarantine_group", "Count quarantined records by code, field and file."),
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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands under their headings, without importing any of them."""
        width = max(map(len, COMMANDS))
        for heading, commands in COMMAND_GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), about) for name, (_, about) in commands.items()])


def load_command(verb: str) -> click.Command:
    """Imports a command and adds its examples."""
    command: click.Command = load_object(COMMANDS[verb][0])
    return add_examples(command, verb)


@click.group(cls=LazyCommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="minimize", prog_name="minimize")
@click.option("--log-format", envvar="MINIMIZE_LOG_FORMAT", default="text", **LOG_FORMAT)
@click.option("-v", "--verbose", is_flag=True, help="Also log each step.")
def group(log_format: str, verbose: bool) -> None:
    """Minimize personal data by policy, publish it as Parquet, and prove it with signed receipts.

    Exit codes: 0 success, or nothing to do; 1 a check failed; 2 usage or configuration error; 3 refused by the policy; 4
    published, but more records are quarantined than the policy allows.
    """
    configure_log(log_format, verbose)


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
