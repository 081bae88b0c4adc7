"""`minimize share`: sends records to recipients, lists disclosures, and recalls records (`share recall`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from minimize.cli import options
from minimize.cli.options import TIME, authorize, command_workspace, list_file_option, quiet
from minimize.cli.printing import print_recalls
from minimize.governance.sharing import (
    confirm_recalls,
    explain_share,
    find_disclosure,
    list_disclosures,
    list_recalls,
    request_recalls,
    unsigned_disclosures,
)
from minimize.governance.sharing.outbound import prepare_share
from minimize.governance.sharing.plan import ShareArguments
from minimize.governance.sharing.recalls import open_recall_list
from minimize.governance.workspace import Workspace
from minimize.ledger.sharing import read_disclosures
from minimize.recipients import load_configured_recipients
from minimize.runs.inputs import pipeline_from
from minimize.text import count_noun, single_line
from minimize.times import parse_time, seconds_text, utc_now

if TYPE_CHECKING:
    from minimize.ledger.sharing import Disclosure


@click.group("recall")
def recall_group() -> None:
    """Recall records that a recipient must delete.

    Records are recalled if a consent, contract or retention period has ended. Withdrawing a consent recalls records at once.
    The end of a contract or retention period adds records to the list. Run `share recall request` every night to record that
    the recipients are asked to delete them.
    """


@recall_group.command("list")
@click.option("--recipient", metavar="R", help="Only this recipient.")
@click.option("--all", "all_", is_flag=True, help="Also list confirmed recalls.")
@click.option(
    "--overdue",
    "late",
    is_flag=True,
    help="Only recalls that need action: not requested yet, or not confirmed in time.",
)
@options.recipients
@options.workspace
@options.as_json
def list_recalls_command(
    recipient: str | None, all_: bool, late: bool, recipients: str | None, as_json: bool, **places: Any
) -> None:
    """List recalls. Exits with 1 if one is not requested yet, or not confirmed in time."""
    workspace = command_workspace(places)
    found = list_recalls(
        workspace, load_configured_recipients(recipients, workspace.folder), utc_now(), recipient=recipient, all_=all_
    )
    print_recalls([each for each in found if each.is_late or not late], as_json)
    raise click.exceptions.Exit(1 if any(each.is_late for each in found) else 0)


@recall_group.command("request")
@click.argument("recipient", required=False)
@list_file_option
@options.recipients
@options.workspace
@quiet
@options.as_json
def request_recalls_command(
    recipient: str | None, to: str | None, recipients: str | None, as_json: bool, **places: Any
) -> None:
    """Ask recipients to delete recalled records.

    Records the request to RECIPIENT, or to every recipient, and prints the list for it. If nothing was ever shared, there are
    no recalls, and no recipients need to be configured.
    """
    workspace = command_workspace(places)
    authorize("share/recall", places)
    needed = recipient is not None or recipients is not None or _has_shared(workspace)
    with open_recall_list(to, recipient) as save_list:
        found = (
            request_recalls(
                workspace, load_configured_recipients(recipients, workspace.folder), utc_now(), recipient=recipient
            )
            if needed
            else []
        )
        save_list(found)
    print_recalls(found, as_json)


@recall_group.command("confirm")
@click.argument("recipient")
@click.option("--disclosure", metavar="ID", help="Only this disclosure.")
@click.option("--tenant", type=options.ID, metavar="T", help=options.TENANT_FILTER_HELP)
@options.recipients
@options.workspace
@options.as_json
def confirm_recalls_command(
    recipient: str, disclosure: str | None, tenant: str | None, recipients: str | None, as_json: bool, **places: Any
) -> None:
    """Record that RECIPIENT has deleted the recalled records."""
    workspace = command_workspace(places)
    authorize("share/recall", places, tenant)
    known = load_configured_recipients(recipients, workspace.folder)
    found = confirm_recalls(workspace, known, utc_now(), recipient=recipient, disclosure=disclosure, tenant=tenant)
    print_recalls(found, as_json)


def _has_shared(workspace: Workspace) -> bool:
    with workspace.open_ledger() as ledger:
        return bool(read_disclosures(ledger))


F = TypeVar("F", bound=Callable[..., Any])


@click.group(name="share")
def share_group() -> None:
    """Send records to a recipient, and recall them.

    Records are sent only under a recipient's file, a contract and a consent.
    """


share_group.add_command(recall_group)


@share_group.command("send")
@click.argument("recipient")
@click.argument("function")
@click.option("--policy", type=click.Path(), metavar="FILE", help="Policy of the data, if there is no pipeline.")
@click.option(
    "--data", type=click.Path(), metavar="PATH", help="File or output folder to send. [default: the pipeline's output]"
)
@click.option(
    "--to",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write the records to this new .parquet, .ndjson or .csv file.",
)
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="KEY",
    help="Only this field. Repeatable. [default: all permitted fields]",
)
@click.option("--purpose", metavar="WORD", help="Purpose of the transfer. [default: the purpose of the function]")
@click.option(
    "--must-be", type=click.Choice(["identified", "pseudonymized"]), help="Highest category that the records may have."
)
@click.option("--settings", type=click.Path(), metavar="PATH", help=options.SETTINGS_OR_LEDGER_HELP)
@click.option(
    "--at",
    type=TIME,
    metavar="TIME",
    help=f"{options.AS_OF_HELP} Without --dry-run, a future time at which the rules must also hold. [default: now]",
)
@click.option("--dry-run", is_flag=True, help="Print what would be sent, and why the rest would not. Nothing is sent.")
@options.prerequisites
@options.recipients
@options.workspace
@options.as_json
def send_command(
    recipient: str,
    function: str,
    policy: str | None,
    data: str | None,
    to: str | None,
    fields: Sequence[str],
    having: Sequence[str],
    as_json: bool,
    dry_run: bool,
    pipeline: str | None,
    output: str | None,
    keys: str | None,
    ledger: str | None,
    recipients: str | None,
    settings: str | None,
    **arguments: Any,
) -> None:
    """Send records to RECIPIENT for FUNCTION.

    Writes the permitted records to a new file, and records the disclosure. Exits with 3 if the recipient may receive nothing.
    """
    if to is None and not dry_run:
        raise click.UsageError("no file to write to. Pass --to FILE or --dry-run.")
    if not dry_run and _is_past(arguments.get("at")):
        raise click.UsageError("--at is in the past, which only --dry-run allows. Records are sent as of now.")
    places = ShareArguments(policy, pipeline, settings, keys, ledger, recipients)
    wanted = fields or None
    found = prepare_share(
        _shared_data(data, output, pipeline),
        recipient,
        function,
        places,
        dry=dry_run,
        fields=wanted,
        existing=having,
        **arguments,
    )
    if dry_run or to is None:
        account = found.preview()
        options.print_result(account.to_json(), as_json, str(account))
        raise click.exceptions.Exit(0 if account.permitted else 3)
    done = found.execute(None, Path(to))
    name = "" if done.disclosure is None else done.disclosure.disclosure
    options.print_result(
        {**done.summary.to_json(), "disclosure": name, "file": to}, as_json, f"{done.summary}\n{to}: disclosure {name}"
    )


def _is_past(at: str | None) -> bool:
    moment = parse_time(at)
    return moment is not None and moment < utc_now()


@share_group.command("log")
@click.option("--recipient", metavar="R", help="Only this recipient.")
@click.option("--tenant", type=options.ID, metavar="T", help=options.TENANT_FILTER_HELP)
@options.workspace
@options.as_json
def log_command(recipient: str | None, tenant: str | None, as_json: bool, **places: Any) -> None:
    """List disclosures. Exits with 1 if one is not signed by a key of the keyring."""
    workspace = command_workspace(places)
    found = list_disclosures(workspace, recipient=recipient, tenant=tenant)
    bad = [each.disclosure for each in unsigned_disclosures(workspace, found)]
    body = {"disclosures": [each.to_json() for each in found], "not_signed": bad}
    lines = [_disclosure_line(each) + (" NOT SIGNED" if each.disclosure in bad else "") for each in found]
    options.print_result(body, as_json, "\n".join(lines) or "nothing was shared")
    raise click.exceptions.Exit(1 if bad else 0)


@share_group.command("show")
@click.argument("disclosure")
@options.workspace
def show_command(disclosure: str, **places: Any) -> None:
    """Print the signed DISCLOSURE.

    It states what permitted the transfer, the fields and their forms, the tenants and the digest.
    """
    options.print_json(find_disclosure(command_workspace(places), disclosure).to_json())


@share_group.command("why")
@click.argument("recipient")
@click.argument("function")
@click.option("--tenant", type=options.ID, metavar="T", help="Check the consent of this tenant, too.")
@options.prerequisites
@options.recipients
@options.workspace
@options.as_json
def why_command(
    recipient: str,
    function: str,
    tenant: str | None,
    having: Sequence[str],
    recipients: str | None,
    as_json: bool,
    **places: Any,
) -> None:
    """Explain whether RECIPIENT may receive records.

    Prints every rule that forbids it for FUNCTION.
    """
    workspace = command_workspace(places)
    found = explain_share(
        recipient,
        function,
        workspace,
        load_configured_recipients(recipients, workspace.folder),
        utc_now(),
        tenant=tenant,
        existing=having,
    )
    head = f"{recipient}, {function}: {'may receive ' + ', '.join(found.fields) if found.permitted else 'may receive nothing'}"
    lines = [head, *(f"  {each.code} {each}" for each in found.reasons)]
    lines += [] if found.unknown_tenant is None else [single_line(f"  {found.unknown_tenant}")]
    options.print_result(
        found.to_json(), as_json, "\n".join([*lines, *([f"  consent {found.consent}"] if found.consent else [])])
    )


def _disclosure_line(each: Disclosure) -> str:
    when = seconds_text(each.recorded_at)
    return f"{when}  {each.recipient}  {each.function}  {count_noun(each.rows, 'row')}  {each.disclosure}"


def _shared_data(data: str | None, output: str | None, pipeline: str | None) -> str:
    """Returns the path of the data to send: --data, else --output, else the pipeline's output."""
    if data or output:
        return data or output or ""
    if pipeline is None:
        raise click.UsageError("no data to send. Pass --data PATH or --pipeline PIPELINE.")
    job = pipeline_from(pipeline)
    return str(job.folder / job.output)
