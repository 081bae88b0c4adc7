"""The `minimize` command: its verbs, loaded when they are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import click

from minimize.cli.examples import exemplified
from minimize.cli.failure import guarded
from minimize.cli.log import FORMATS, set_up
from minimize.cli.process import alone
from minimize.table import load_object

VERBS: Final[Mapping[str, tuple[str, str]]] = {
    "init": ("minimize.cli.init.command", "A policy in which every field found is dropped, ready to edit."),
    "lint": ("minimize.cli.lint.command", "All faults and risky choices, each with a stable code."),
    "plan": ("minimize.cli.plan.command", "Field by field: kept, dropped, gated or generalized, and why."),
    "drift": ("minimize.cli.drift.command", "What arrives, beside what the policy declares and the last runs saw."),
    "run": ("minimize.cli.run.command", "Minimize the records of a pipeline into Parquet, with a receipt."),
    "backfill": (
        "minimize.cli.backfill.command",
        "Run the dates that a file names anew, under the policy of now or then.",
    ),
    "verify": ("minimize.cli.verify.command", "Re-check an output against its receipts and their policies."),
    "report": ("minimize.cli.report.command", "What came in and went out, for people: a page, JSON, or a few lines."),
    "quarantine": ("minimize.cli.quarantine.command", "Count what could not be processed, by code, field and file."),
    "replay": ("minimize.cli.replay.command", "Quarantined records again, under the policy of today."),
    "retract": ("minimize.cli.retract.command", "Apply today's policy and settings to what was written before."),
    "events": (
        "minimize.cli.events.command",
        "What happened to tenants and subjects, for expire: add, withdraw, list.",
    ),
    "expire": ("minimize.cli.expire.command", "Take out of an output what is past its retention, or must go."),
    "runs": ("minimize.cli.runs.command", "What was published: list or show runs, or index them anew from receipts."),
    "settings": (
        "minimize.cli.settings.command",
        "Who turned which feature on or off, when: set, show, why, import, export.",
    ),
    "locate": ("minimize.cli.locate.command", "Locate a lost device for a day at most: start, end, list."),
    "recipient": ("minimize.cli.recipient.command", "Third parties: list them, show a tenant what goes to one, lint."),
    "consent": ("minimize.cli.consent.command", "What tenants agreed to: request, give, refuse, withdraw, show, why."),
    "receive": (
        "minimize.cli.receive.command",
        "Minimize what a third party sends, where contract and consent let it.",
    ),
    "share": ("minimize.cli.share.command", "What may go to a third party: send, log, show, why, recall."),
    "subject": (
        "minimize.cli.subject.command",
        "What is held of a device, a user or a tenant: view, export, correct, restrict, delete.",
    ),
    "access": (
        "minimize.cli.access.command",
        "Who may do what: show, lint, why; grants: request, approve, deny, revoke, list.",
    ),
    "incident": (
        "minimize.cli.incident.command",
        "Breaches: open, scope, declare, notice, measure, exempt, close; list shows what is overdue.",
    ),
    "audit": ("minimize.cli.audit.command", "The log of who did what: print, verify or export it."),
    "diff": (
        "minimize.cli.diff.command",
        "What changed between two states of policies, graded: tightens, loosens, neutral.",
    ),
    "explain": ("minimize.cli.explain.command", "Which rule, case, setting and technique decide about a field."),
    "test": ("minimize.cli.test.command", "A pipeline over the fixtures beside it: what must leave, what must not."),
    "policy": ("minimize.cli.policy.command", "Approve a policy as it is."),
    "completion": (
        "minimize.cli.completion.command",
        "The script that has a shell complete commands, options and files.",
    ),
    "sample": ("minimize.cli.sample.command", "Generated sample data."),
    "serve": ("minimize.cli.serve.command", "The door: a server that holds the keys, for those who hold none."),
    "docs": ("minimize.cli.docs.command", "A data catalogue, and the record of processing (GDPR Art. 30)."),
    "check": ("minimize.cli.check.command", "Hold records against a JSON Schema, in counts."),
    "import": (
        "minimize.cli.import_.command",
        "A policy from JSON Schema, a data contract or an allow-list; all dropped.",
    ),
    "export": ("minimize.cli.export.command", "JSON Schema, a data contract, lineage events or fideslang, from ours."),
    "schema": (
        "minimize.cli.schema.command",
        "The JSON Schema of policy, pipeline, recipient or access files, for editors.",
    ),
    "keys": ("minimize.cli.keys.command", "Make, extend and list keyrings."),
}


class Verbs(click.Group):
    """A group whose commands are imported only when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order of use."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in VERBS:
            return None
        return loaded(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of verbs, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in VERBS.items()])


def loaded(verb: str) -> click.Command:
    """The command of a verb, imported now, with its examples."""
    command: click.Command = load_object(VERBS[verb][0])
    return exemplified(command, verb)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="minimize", prog_name="minimize")
@click.option(
    "--log-format",
    type=click.Choice(FORMATS),
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
    set_up(log_format, verbose)


def entry() -> None:
    """The `minimize` command, in a process of its own."""
    with alone():
        main()


def main() -> None:
    """Runs the command line and exits."""
    guarded(group)
