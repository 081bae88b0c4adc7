"""`minimize share`: what may be sent to a third party, what was sent, and what it must delete (`share recall`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from minimize.cli import options
from minimize.cli.options import TIME, authorize, command_workspace, list_file_option, quiet
from minimize.cli.printing import print_recalls, single_line
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
from minimize.text import count_noun
from minimize.times import parse_time, seconds_text, utc_now

if TYPE_CHECKING:
    from minimize.ledger.sharing import Disclosure


@click.group("recall")
def recall_group() -> None:
    """What recipients have to delete: consent or contract has ended, or its time there is over.

    Withdrawing a consent asks for it at once. What ends by time alone, a contract or a retention, is in the list from that day
    on; `share recall request`, every night, writes down that the recipients are told.
    """


@recall_group.command("list")
@click.option("--recipient", metavar="R", help="Of this recipient alone.")
@click.option("--all", "all_", is_flag=True, help="What was confirmed, too.")
@click.option("--late", is_flag=True, help="Only what somebody has to act on: not told yet, or not confirmed in time.")
@options.recipients
@options.workspace
@options.as_json
def list_recalls_command(
    recipient: str | None, all_: bool, late: bool, recipients: str | None, as_json: bool, **places: Any
) -> None:
    """List what has to go. Exit 1 where the recipient was not told yet, or has not confirmed in time."""
    house = command_workspace(places)
    found = list_recalls(
        house, load_configured_recipients(recipients, house.folder), utc_now(), recipient=recipient, all_=all_
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
    """Take down that RECIPIENT, or each, is told to delete what is due, and give the list that it is told.

    If nothing was ever shared, nothing is due, and no recipients are needed.
    """
    house = command_workspace(places)
    authorize("share/recall", places)
    needed = recipient is not None or recipients is not None or _has_shared(house)
    with open_recall_list(to, recipient) as hand:
        found = (
            request_recalls(house, load_configured_recipients(recipients, house.folder), utc_now(), recipient=recipient)
            if needed
            else []
        )
        hand(found)
    print_recalls(found, as_json)


@recall_group.command("confirm")
@click.argument("recipient")
@click.option("--disclosure", metavar="ID", help="Of this disclosure alone.")
@click.option("--tenant", type=options.ID, metavar="T", help="Of this tenant alone.")
@options.recipients
@options.workspace
@options.as_json
def confirm_recalls_command(
    recipient: str, disclosure: str | None, tenant: str | None, recipients: str | None, as_json: bool, **places: Any
) -> None:
    """Take down that RECIPIENT has deleted what it was told to."""
    house = command_workspace(places)
    authorize("share/recall", places, tenant)
    known = load_configured_recipients(recipients, house.folder)
    found = confirm_recalls(house, known, utc_now(), recipient=recipient, disclosure=disclosure, tenant=tenant)
    print_recalls(found, as_json)


def _has_shared(workspace: Workspace) -> bool:
    with workspace.open_ledger() as ledger:
        return bool(read_disclosures(ledger))


F = TypeVar("F", bound=Callable[..., Any])


@click.group(name="share")
def share_group() -> None:
    """Share with third parties: nothing leaves without a manifest, a contract and a consent."""


share_group.add_command(recall_group)


@share_group.command("send")
@click.argument("recipient")
@click.argument("function")
@click.option("--policy", type=click.Path(), metavar="FILE", help="The policy of the data, where there is no pipeline.")
@click.option(
    "--data", type=click.Path(), metavar="PATH", help="A file, or an output folder; else the pipeline's output."
)
@click.option("--to", type=click.Path(dir_okay=False), metavar="FILE", help="The new .parquet, .ndjson or .csv file.")
@click.option(
    "--field", "fields", multiple=True, metavar="KEY", help="This field; may be repeated. Else all that may leave."
)
@click.option("--purpose", metavar="WORD", help="What it is for; the function's own purpose where nothing is said.")
@click.option("--must-be", type=click.Choice(["identified", "pseudonymized"]), help="The most that the payload may be.")
@click.option("--settings", type=click.Path(), metavar="PATH", help="Collection settings, CSV or Parquet, or `ledger`.")
@click.option(
    "--at",
    type=TIME,
    metavar="TIME",
    help="As of this time (ISO 8601); without --dry-run a later one, when all must hold, too.",
)
@click.option("--dry-run", is_flag=True, help="Say what would leave, and why the rest would not. Nothing leaves.")
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
    """Send what may go to RECIPIENT for FUNCTION into a new file, and record it. Exit 3 where nothing may."""
    if to is None and not dry_run:
        raise click.UsageError("say --to FILE, or --dry-run")
    if not dry_run and _is_past(arguments.get("at")):
        raise click.UsageError("an --at in the past goes with --dry-run alone: what is sent is sent as of now")
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
        options.print_result(account.as_json(), as_json, str(account))
        raise click.exceptions.Exit(0 if account.permitted else 3)
    done = found.execute(None, Path(to))
    name = "" if done.disclosure is None else done.disclosure.disclosure
    options.print_result(
        {**done.summary.as_json(), "disclosure": name, "file": to}, as_json, f"{done.summary}\n{to}: disclosure {name}"
    )


def _is_past(at: str | None) -> bool:
    moment = parse_time(at)
    return moment is not None and moment < utc_now()


@share_group.command("log")
@click.option("--recipient", metavar="R", help="To this recipient alone.")
@click.option("--tenant", type=options.ID, metavar="T", help="Of this tenant alone.")
@options.workspace
@options.as_json
def log_command(recipient: str | None, tenant: str | None, as_json: bool, **places: Any) -> None:
    """List the disclosures. Exit 1 where one is not signed by a key of the keyring."""
    house = command_workspace(places)
    found = list_disclosures(house, recipient=recipient, tenant=tenant)
    bad = [each.disclosure for each in unsigned_disclosures(house, found)]
    body = {"disclosures": [each.as_json() for each in found], "not_signed": bad}
    lines = [_disclosure_line(each) + (" NOT SIGNED" if each.disclosure in bad else "") for each in found]
    options.print_result(body, as_json, "\n".join(lines) or "nothing was shared")
    raise click.exceptions.Exit(1 if bad else 0)


@share_group.command("show")
@click.argument("disclosure")
@options.workspace
def show_command(disclosure: str, **places: Any) -> None:
    """Print DISCLOSURE as it was signed: what permitted it, which fields left in which form, whose rows, the digest."""
    options.print_json(find_disclosure(command_workspace(places), disclosure).as_json())


@share_group.command("why")
@click.argument("recipient")
@click.argument("function")
@click.option("--tenant", type=options.ID, metavar="T", help="The records of this tenant: its consent is asked.")
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
    """Say whether RECIPIENT may get records for FUNCTION, with every rule against it."""
    house = command_workspace(places)
    found = explain_share(
        recipient,
        function,
        house,
        load_configured_recipients(recipients, house.folder),
        utc_now(),
        tenant=tenant,
        existing=having,
    )
    head = f"{recipient}, {function}: {'may get ' + ', '.join(found.fields) if found.permitted else 'gets nothing'}"
    lines = [head, *(f"  {each.code} {each}" for each in found.reasons)]
    lines += [] if found.unknown_tenant is None else [single_line(f"  {found.unknown_tenant}")]
    options.print_result(
        found.as_json(), as_json, "\n".join([*lines, *([f"  consent {found.consent}"] if found.consent else [])])
    )


def _disclosure_line(each: Disclosure) -> str:
    when = seconds_text(each.recorded_at)
    return f"{when}  {each.recipient}  {each.function}  {count_noun(each.rows, 'row')}  {each.disclosure}"


def _shared_data(data: str | None, output: str | None, pipeline: str | None) -> str:
    """What is sent: what was named, else the records of the output, else those of the pipeline's."""
    if data or output:
        return data or output or ""
    if pipeline is None:
        raise click.UsageError("say --data PATH, or --pipeline")
    job = pipeline_from(pipeline)
    return str(job.folder / job.output)
