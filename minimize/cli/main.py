"""The `minimize` command: examples of `--help`, commands and their import on demand, `completion`, entry point."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from typing import Final

import click
from click.shell_completion import get_completion_class

from minimize.cli.startup import LOG_FORMATS, configure_log, dedicated_process, exit_status
from minimize.registry import load_object

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = types.MappingProxyType(
    {
        "init": (
            "minimize init data/2026-11-24 mine",
            "minimize init mine --accept os_version --accept battery_pct",
        ),
        "lint": ("minimize lint pipelines/device_telemetry", "minimize lint pipelines/recipients --fail-on warning"),
        "plan": (
            "minimize plan pipelines/device_telemetry --preview 3",
            "minimize plan pipelines/device_telemetry --tenant contoso --at 2026-11-24T10:00:00Z",
        ),
        "drift": ("minimize drift pipelines/device_telemetry --date 2026-11-24",),
        "run": (
            "minimize run pipelines/device_telemetry --date 2026-11-24",
            "minimize run pipelines/device_telemetry --pending",
            "minimize run pipelines/device_telemetry --at 2026-11-25T00:00:00Z --output out/as_of_then",
        ),
        "backfill": ("minimize backfill backfills/coarser_storage.yaml --look",),
        "verify": (
            "minimize verify out/device_telemetry --keys house.keys",
            "minimize verify out/device_telemetry --public-key public.json",
        ),
        "quarantine show": ("minimize quarantine show out/device_telemetry --check",),
        "replay": ("minimize replay out/device_telemetry --date 2026-11-24",),
        "retract": ("minimize retract out/device_telemetry", "minimize retract out/device_telemetry --yes"),
        "events add": (
            "minimize events add contoso subject_left --subject d-4711 --pipeline pipelines/device_telemetry",
            "minimize events add fabrikam tenant_closed --at 2026-11-20T00:00:00Z",
        ),
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
            "minimize runs adopt-ledger out/device_telemetry --ledger ledger.db --reason 'the disk failed, and there is no copy'",
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
        "recipient show": ("minimize recipient show apple --html > apple.html",),
        "recipient lint": ("minimize recipient lint pipelines/recipients",),
        "consent request": ("minimize consent request contoso apple push",),
        "consent give": ("minimize consent give contoso apple push --text-version 1 --until 2027-11-25T00:00:00Z",),
        "consent refuse": ("minimize consent refuse contoso apple push",),
        "consent withdraw": ("minimize consent withdraw contoso apple push --to recall.csv",),
        "consent expire": ("minimize consent expire",),
        "consent show": ("minimize consent show --tenant contoso",),
        "consent why": ("minimize consent why contoso apple push --at 2026-11-25T00:00:00Z",),
        "share recall list": ("minimize share recall list --late",),
        "share recall request": ("minimize share recall request",),
        "share recall confirm": ("minimize share recall confirm apple --tenant contoso",),
        "share send": (
            "minimize share send apple push --pipeline pipelines/device_telemetry --dry-run",
            "minimize share send apple push --pipeline pipelines/device_telemetry --to payload.parquet",
        ),
        "receive": (
            "minimize receive jamf compliance --pipeline pipelines/jamf_compliance --date 2026-11-24",
            "minimize receive jamf compliance --pipeline pipelines/jamf_compliance --pending --having admin_consent",
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
            "minimize subject delete --file asked.csv --yes",
        ),
        "subject restrict": ("minimize subject restrict d-4711 --tenant contoso --to export --yes",),
        "subject correct": ("minimize subject correct d-4711 --tenant contoso --set phone_number=+4915112345 --yes",),
        "subject status": ("minimize subject status",),
        "subject coverage": ("minimize subject coverage --pipeline pipelines/device_telemetry",),
        "subject confirm": ("minimize subject confirm REQUEST apple",),
        "access request": (
            "minimize access request device_telemetry --field phone_number --tenant contoso \\\n"
            '      --incident INC-7 --justification "A device is lost." --for 4h',
        ),
        "access approve": ('minimize access approve GRANT --note "Seen."',),
        "access deny": ('minimize access deny GRANT --note "Not needed."',),
        "access revoke": ("minimize access revoke GRANT",),
        "access review": ('minimize access review GRANT --note "It was needed."',),
        "access expire": ("minimize access expire",),
        "access list": ("minimize access list --incident INC-7",),
        "access why": ("minimize access why ann device_telemetry --field phone_number --purpose customer_support",),
        "access show": ("minimize access show",),
        "access adopt": ("minimize access adopt --yes",),
        "access lint": ("minimize access lint pipelines/access.yaml",),
        "access token": ("minimize access token --user ann --for 8h",),
        "access token list": ("minimize access token list",),
        "access token revoke": ("minimize access token revoke NAME",),
        "incident open": (
            'minimize incident open INC-7 --title "A lost backup" --from 2026-11-24T08:00Z \\\n'
            "      --known 2026-11-25T09:00Z --exposed output:out/device_telemetry#records --exposed date:2026-11-24",
        ),
        "incident scope": ("minimize incident scope INC-7",),
        "incident declare": ("minimize incident declare INC-7",),
        "incident measure": ('minimize incident measure INC-7 "The key was changed."',),
        "incident notice": (
            "minimize incident notice INC-7 --to notices --contact privacy@example.com --contacts contacts.csv",
            "minimize incident notice INC-7 --sent",
        ),
        "incident lint": ("minimize incident lint contacts.csv",),
        "incident exempt": ('minimize incident exempt INC-7 contoso --reason "Told by telephone."',),
        "incident close": ("minimize incident close INC-7",),
        "incident list": ("minimize incident list",),
        "incident show": ("minimize incident show INC-7",),
        "audit log": ("minimize audit log --activity run --since 2026-11-01",),
        "audit verify": ("minimize audit verify --receipts out/device_telemetry",),
        "audit export": ("minimize audit export audit.ndjson --since 2026-11-01",),
        "audit truncate": ("minimize audit truncate --export old.ndjson --yes",),
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
        "docs": ("minimize docs pipelines --out out/docs",),
        "import": (
            "minimize import jsonschema checkins.schema.json mine",
            "minimize import odcs contract.yaml mine --object checkins",
        ),
        "export": (
            "minimize export odcs pipelines/device_telemetry --out contract.yaml",
            "minimize export openlineage out/device_telemetry",
        ),
        "check": ("minimize check data.ndjson --schema checkins.schema.json",),
        "completion": (
            'eval "$(minimize completion bash)"     # in ~/.bashrc; zsh alike',
            "minimize completion fish > ~/.config/fish/completions/minimize.fish",
        ),
        "sample": ("minimize sample device_telemetry --rows 10000 --date 2026-11-24 --out data",),
        "serve": (
            "minimize serve pipelines/device_telemetry --host 0.0.0.0 --cert door.pem --key door.key",
            "minimize access token --user ann --for 8h",
            'python -c \'import minimize; print(minimize.connect("grpc+tls://HOST:8815", token="mzd_…", ca="ca.pem")\n'
            '      .read("device_telemetry", columns=["model"], purpose="customer_support"))\'',
        ),
        "schema": ("minimize schema policy > policy.schema.json",),
        "keys new": ("minimize keys new house.keys --name device --name user",),
        "keys add": ("minimize keys add house.keys session",),
        "keys list": ("minimize keys list house.keys",),
        "keys rotate": ("minimize keys rotate house.keys --rewrite out/device_telemetry",),
        "keys shred": ("minimize keys shred house.keys --tenant contoso",),
        "keys public": ("minimize keys public house.keys > public.json",),
    }
)


def add_examples(command: click.Command, words: str) -> click.Command:
    """The command of these words, and what stands in it, with their examples below the help."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            add_examples(below, f"{words} {name}")
    if words in EXAMPLES and "\b\nExample" not in (command.epilog or ""):
        lines = "\n".join(f"  {line}" for line in EXAMPLES[words])
        heading = "Examples" if len(EXAMPLES[words]) > 1 else "Example"
        command.epilog = "\n\n".join(filter(None, (f"\b\n{heading}:\n{lines}", command.epilog)))
    return command


COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "init": ("minimize.cli.policy.init_command", "A policy in which every field found is dropped, ready to edit."),
    "lint": ("minimize.cli.policy.lint_command", "All faults and risky choices, each with a stable code."),
    "plan": ("minimize.cli.policy.plan_command", "Field by field: kept, dropped, gated or generalized, and why."),
    "drift": (
        "minimize.cli.policy.drift_command",
        "What arrives, beside what the policy declares and the last runs saw.",
    ),
    "run": ("minimize.cli.run.run_command", "Minimize the records of a pipeline into Parquet, with a receipt."),
    "backfill": (
        "minimize.cli.run.backfill_command",
        "Run the dates that a file names anew, under the policy of now or then.",
    ),
    "verify": ("minimize.cli.run.verify_command", "Re-check an output against its receipts and their policies."),
    "report": (
        "minimize.cli.report.report_command",
        "What came in and went out, for people: a page, JSON, or a few lines.",
    ),
    "quarantine": ("minimize.cli.runs.quarantine_group", "Count what could not be processed, by code, field and file."),
    "replay": ("minimize.cli.run.replay_command", "Quarantined records again, under the policy of today."),
    "retract": (
        "minimize.cli.retention.retract_command",
        "Apply today's policy and settings to what was written before.",
    ),
    "events": (
        "minimize.cli.retention.events_group",
        "What happened to tenants and subjects, for expire: add, withdraw, list.",
    ),
    "expire": (
        "minimize.cli.retention.expire_command",
        "Take out of an output what is past its retention, or must go.",
    ),
    "runs": (
        "minimize.cli.runs.runs_group",
        "What was published: list or show runs, or index them anew from receipts.",
    ),
    "settings": (
        "minimize.cli.settings.settings_group",
        "Who turned which feature on or off, when: set, show, why, import, export.",
    ),
    "locate": ("minimize.cli.settings.locate_group", "Locate a lost device for a day at most: start, end, list."),
    "recipient": (
        "minimize.cli.recipient.recipient_group",
        "Third parties: list them, show a tenant what goes to one, lint.",
    ),
    "consent": (
        "minimize.cli.consent.consent_group",
        "What tenants agreed to: request, give, refuse, withdraw, show, why.",
    ),
    "receive": (
        "minimize.cli.run.receive_command",
        "Minimize what a third party sends, where contract and consent let it.",
    ),
    "share": ("minimize.cli.share.share_group", "What may go to a third party: send, log, show, why, recall."),
    "subject": (
        "minimize.cli.subject.subject_group",
        "What is held of a device, a user or a tenant: view, export, correct, restrict, delete.",
    ),
    "access": (
        "minimize.cli.access.access_group",
        "Who may do what: show, lint, why; grants: request, approve, deny, revoke, list.",
    ),
    "incident": (
        "minimize.cli.incident.incident_group",
        "Breaches: open, scope, declare, notice, measure, exempt, close; list shows what is overdue.",
    ),
    "audit": ("minimize.cli.audit.audit_group", "The log of who did what: print, verify or export it."),
    "diff": (
        "minimize.cli.review.diff_command",
        "What changed between two states of policies, graded: tightens, loosens, neutral.",
    ),
    "explain": ("minimize.cli.review.explain_command", "Which rule, case, setting and technique decide about a field."),
    "test": (
        "minimize.cli.review.try_fixtures_command",
        "A pipeline over the fixtures beside it: what must leave, what must not.",
    ),
    "policy": ("minimize.cli.policy.policy_group", "Approve a policy as it is."),
    "completion": (
        "minimize.cli.main.completion_command",
        "The script that has a shell complete commands, options and files.",
    ),
    "sample": ("minimize.cli.sample.sample_command", "Generated sample data."),
    "serve": ("minimize.cli.serve.serve_command", "The door: a server that holds the keys, for those who hold none."),
    "docs": ("minimize.cli.report.docs_command", "A data catalogue, and the record of processing (GDPR Art. 30)."),
    "check": ("minimize.cli.interop.check_command", "Hold records against a JSON Schema, in counts."),
    "import": (
        "minimize.cli.interop.import_command",
        "A policy from JSON Schema, a data contract or an allow-list; all dropped.",
    ),
    "export": (
        "minimize.cli.interop.export_command",
        "JSON Schema, a data contract, lineage events or fideslang, from ours.",
    ),
    "schema": (
        "minimize.cli.policy.schema_command",
        "The JSON Schema of policy, pipeline, recipient or access files, for editors.",
    ),
    "keys": ("minimize.cli.keys.keys_group", "Make, extend and list keyrings."),
}


class LazyCommandGroup(click.Group):
    """A group whose commands are imported only when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        return load_command(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of verbs, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


def load_command(verb: str) -> click.Command:
    """The command of a verb, imported now, with its examples."""
    command: click.Command = load_object(COMMANDS[verb][0])
    return add_examples(command, verb)


@click.group(cls=LazyCommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="minimize", prog_name="minimize")
@click.option(
    "--log-format",
    type=click.Choice(LOG_FORMATS),
    envvar="MINIMIZE_LOG_FORMAT",
    default="text",
    help="Of the log on stderr.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log what is done, too.")
def group(log_format: str, verbose: bool) -> None:
    """Collect what is allowed, keep it coarse, prove it with a receipt.

    Exit codes: 0 done (or nothing to do); 1 a check failed; 2 usage or configuration; 3 refused by policy; 4 done, but
    quarantine above its limit.
    """
    configure_log(log_format, verbose)


def entry() -> None:
    """The `minimize` command, in a process of its own."""
    with dedicated_process(), exit_status() as status:
        status.set_result(group.main(standalone_mode=False, color=status.color, obj=status))
    sys.exit(status.code)


def main() -> None:
    """Runs the command line in the process of the caller, and exits."""
    with exit_status() as status:
        status.set_result(group.main(standalone_mode=False, color=status.color, obj=status))
    sys.exit(status.code)


COMPLETION_VARIABLE = "_MINIMIZE_COMPLETE"
"""What the shell's script sets to be told what fits."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """The script that has SHELL complete commands, options and files, for its start-up file."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell} is not known to click")
    click.echo(kind(ctx.find_root().command, {}, "minimize", COMPLETION_VARIABLE).source())
