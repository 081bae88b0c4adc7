"""`minimize share`: sends records to recipients, lists disclosures, and recalls records (`share recall`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from minimize.cli.options import AS_OF_HELP, OPTIONS, PATH, SETTINGS_OR_LEDGER_HELP, WORKSPACE
from minimize.cli.verb import examples, verb
from minimize.governance.sharing import (
    confirm_recalls,
    explain_share,
    request_recalls,
    show_disclosure,
    show_disclosures,
    show_recalls,
)
from minimize.governance.sharing.outbound import prepare_share
from minimize.governance.sharing.plan import ShareRequest
from minimize.results import Listing, Printable
from minimize.workspace import Workspace


@click.group("recall")
def recall_group() -> None:
    """Recall records that a recipient must delete.

    Records are recalled if a consent, contract or retention period has ended. Withdrawing a consent recalls records at once.
    The end of a contract or retention period adds records to the list. Run `share recall issue` every night to record that
    the recipients are asked to delete them.
    """


@examples("minimize share recall list --overdue")
@verb(
    "list",
    OPTIONS["--recipient"](metavar="R"),
    click.Option(["--all", "with_confirmed"], is_flag=True, help="Also list confirmed recalls."),
    click.Option(
        ["--overdue"],
        is_flag=True,
        help="Only recalls that need action: not requested yet, or not confirmed in time.",
    ),
    "--recipients",
    *WORKSPACE,
    group=recall_group,
    quiet=True,
)
def list_recalls_command(workspace: Workspace, now: datetime, **arguments: Any) -> Printable:
    """List recalls. Exits with 1 if one is not requested yet, or not confirmed in time."""
    return show_recalls(workspace=workspace, now=now, **arguments)


@examples("minimize share recall issue")
@verb(
    "issue",
    OPTIONS["RECIPIENT"](required=False),
    *("--to", "--recipients"),
    *WORKSPACE,
    group=recall_group,
    quiet=True,
)
def issue_recalls_command(workspace: Workspace, now: datetime, **arguments: Any) -> Printable:
    """Ask recipients to delete recalled records.

    Records the request to RECIPIENT, or to every recipient, and prints the list for it. If nothing was ever shared, there are
    no recalls, and no recipients need to be configured.
    """
    return Listing("recalls", request_recalls(workspace=workspace, now=now, **arguments), "no recalls")


@examples("minimize share recall confirm support_desk --tenant contoso")
@verb(
    "confirm",
    "RECIPIENT",
    click.Option(["--disclosure"], metavar="ID", help="Only this disclosure."),
    *("--tenant", "--recipients"),
    *WORKSPACE,
    group=recall_group,
)
def confirm_recalls_command(workspace: Workspace, now: datetime, **arguments: Any) -> Printable:
    """Record that RECIPIENT has deleted the recalled records."""
    return Listing("recalls", confirm_recalls(workspace=workspace, now=now, **arguments), "no recalls")


@click.group(name="share")
def share_group() -> None:
    """Send records to a recipient, and recall them.

    Records are sent only under a recipient's file, a contract and a consent.
    """


share_group.add_command(recall_group)


@examples(
    "minimize share send support_desk case_handover --pipeline pipelines/support_desk_cases --dry-run",
    "minimize share send support_desk case_handover --pipeline pipelines/support_desk_cases --to payload.parquet",
)
@verb(
    "send",
    *("RECIPIENT", "FUNCTION"),
    click.Option(["--policy"], type=PATH, metavar="FILE", help="Policy of the data, if there is no pipeline."),
    click.Option(
        ["--data"], type=PATH, metavar="PATH", help="File or output folder to send. [default: the pipeline's output]"
    ),
    OPTIONS["--to"](help="Write the records to this new .parquet, .ndjson or .csv file."),
    click.Option(
        ["--field", "fields"],
        multiple=True,
        metavar="KEY",
        help="Only this field. Repeatable. [default: all permitted fields]",
    ),
    click.Option(["--purpose"], metavar="WORD", help="Purpose of the transfer. [default: the purpose of the function]"),
    click.Option(
        ["--must-be"],
        type=click.Choice(["identified", "pseudonymized"]),
        help="Highest category that the records may have.",
    ),
    OPTIONS["--settings"](help=SETTINGS_OR_LEDGER_HELP),
    OPTIONS["--at"](
        help=f"{AS_OF_HELP} Without --dry-run, a future time at which the rules must also hold. [default: now]"
    ),
    click.Option(
        ["--dry-run"],
        is_flag=True,
        help="Print what would be sent, and why the rest would not. Nothing is sent.",
    ),
    "--recipients",
    *WORKSPACE,
    group=share_group,
    quiet=True,
)
def send_command(
    workspace: Workspace,
    now: datetime,
    data: str | None,
    output: str | None,
    to: str | None,
    fields: Sequence[str],
    dry_run: bool,
    **terms: Any,
) -> Printable:
    """Send records to RECIPIENT for FUNCTION.

    Writes the permitted records to a new file, and records the disclosure. Exits with 3 if the recipient may receive nothing.
    """
    at: datetime | None = terms["at"]
    if to is None and not dry_run:
        raise click.UsageError("no file to write to. Pass --to FILE or --dry-run.")
    if at is not None and at < now and not dry_run:
        raise click.UsageError("--at is in the past, which only --dry-run allows. Records are sent as of now.")
    if not (data or output or workspace.pipeline):
        raise click.UsageError("no data to send. Pass --data PATH or --pipeline PIPELINE.")
    request = ShareRequest(**terms, fields=fields or None, dry_run=dry_run)
    operation = prepare_share(workspace, request, data or output)
    return operation.preview() if dry_run or to is None else operation.execute(None, Path(to))


@examples("minimize share log --recipient support_desk")
@verb("log", OPTIONS["--recipient"](metavar="R"), "--tenant", *WORKSPACE, group=share_group)
def log_command(workspace: Workspace, **arguments: Any) -> Printable:
    """List disclosures. Exits with 1 if one is not signed by a key of the keyring.

    An account without all tenants sees the rows of tenants in its scope, without the signature of the whole disclosure.
    """
    return show_disclosures(workspace, **arguments)


@examples("minimize share show DISCLOSURE")
@verb("show", click.Argument(["disclosure"]), *WORKSPACE, group=share_group)
def show_command(workspace: Workspace, disclosure: str) -> Printable:
    """Print the signed DISCLOSURE.

    It states what permitted the transfer, the fields and their forms, the tenants and the digest.
    """
    return show_disclosure(workspace, disclosure)


@examples("minimize share explain apple push --tenant contoso")
@verb(
    "explain",
    *("RECIPIENT", "FUNCTION"),
    OPTIONS["--tenant"](help="Check the consent, contract and prerequisites of this tenant, too."),
    "--recipients",
    *WORKSPACE,
    group=share_group,
)
def explain_command(workspace: Workspace, now: datetime, **arguments: Any) -> Printable:
    """Explain whether RECIPIENT may receive records.

    Prints every rule that forbids it for FUNCTION.
    """
    return explain_share(workspace=workspace, now=now, **arguments)
