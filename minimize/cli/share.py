"""`minimize share`: what may go to a third party, what went, and what it has to delete."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from minimize.cli import options, recall
from minimize.cli.lines import on_one_line
from minimize.cli.when import TIME
from minimize.counts import counted

if TYPE_CHECKING:
    from minimize.ledger.disclosures import Disclosure
    from minimize.recipients import Recipients
    from minimize.switching import House

F = TypeVar("F", bound=Callable[..., Any])


@click.group(name="share")
def command() -> None:
    """Share with third parties: nothing leaves without a manifest, a contract and a consent."""


command.add_command(recall.command)


@command.command("send")
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
@options.having
@options.recipients
@options.house
@options.as_json
def send(
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
    **asked: Any,
) -> None:
    """Send what may go to RECIPIENT for FUNCTION into a new file, and record it. Exit 3 where nothing may."""
    from minimize.governance.sharing.asked import Places
    from minimize.governance.sharing.handing import acting

    if to is None and not dry_run:
        raise click.UsageError("say --to FILE, or --dry-run")
    if not dry_run and _is_past(asked.get("at")):
        raise click.UsageError("an --at in the past goes with --dry-run alone: what is sent is sent as of now")
    places = Places(policy, pipeline, settings, keys, ledger, recipients)
    wanted = fields or None
    found = acting(
        _data(data, output, pipeline), recipient, function, places, dry=dry_run, fields=wanted, existing=having, **asked
    )
    if dry_run or to is None:
        account = found.dry()
        options.show(account.as_json(), as_json, str(account))
        raise click.exceptions.Exit(0 if account.permitted else 3)
    done = found.wet(None, Path(to))
    name = "" if done.disclosure is None else done.disclosure.disclosure
    options.show(
        {**done.account.as_json(), "disclosure": name, "file": to}, as_json, f"{done.account}\n{to}: disclosure {name}"
    )


def _is_past(at: str | None) -> bool:
    from minimize.times import moment

    asked = moment(at)
    return asked is not None and asked < datetime.now(UTC)


@command.command("log")
@click.option("--recipient", metavar="R", help="To this recipient alone.")
@click.option("--tenant", type=options.ID, metavar="T", help="Of this tenant alone.")
@options.house
@options.as_json
def log(recipient: str | None, tenant: str | None, as_json: bool, **places: Any) -> None:
    """List the disclosures. Exit 1 where one is not signed by a key of the keyring."""
    from minimize.governance.sharing import logged, unsigned

    house = _house(places)
    found = logged(house, recipient=recipient, tenant=tenant)
    bad = [each.disclosure for each in unsigned(house, found)]
    body = {"disclosures": [each.as_json() for each in found], "not_signed": bad}
    lines = [_line(each) + (" NOT SIGNED" if each.disclosure in bad else "") for each in found]
    options.show(body, as_json, "\n".join(lines) or "nothing was shared")
    raise click.exceptions.Exit(1 if bad else 0)


@command.command("show")
@click.argument("disclosure")
@options.house
def show(disclosure: str, **places: Any) -> None:
    """Print DISCLOSURE as it was signed: what permitted it, which fields left in which form, whose rows, the digest."""
    from minimize.governance.sharing import disclosure as found

    click.echo(json.dumps(found(_house(places), disclosure).as_json(), indent=2))


@command.command("why")
@click.argument("recipient")
@click.argument("function")
@click.option("--tenant", type=options.ID, metavar="T", help="The records of this tenant: its consent is asked.")
@options.having
@options.recipients
@options.house
@options.as_json
def why(
    recipient: str,
    function: str,
    tenant: str | None,
    having: Sequence[str],
    recipients: str | None,
    as_json: bool,
    **places: Any,
) -> None:
    """Say whether RECIPIENT may get records for FUNCTION, with every rule against it."""
    from minimize.governance.sharing import why as asked

    house = _house(places)
    found = asked(recipient, function, house, _known(recipients, house), _now(), tenant=tenant, existing=having)
    head = f"{recipient}, {function}: {'may get ' + ', '.join(found.fields) if found.permitted else 'gets nothing'}"
    lines = [head, *(f"  {each.code} {each}" for each in found.reasons)]
    lines += [] if found.stranger is None else [on_one_line(f"  {found.stranger}")]
    options.show(
        found.as_json(), as_json, "\n".join([*lines, *([f"  consent {found.consent}"] if found.consent else [])])
    )


def _line(each: Disclosure) -> str:
    when = f"{each.recorded_at:%Y-%m-%dT%H:%M:%SZ}"
    return f"{when}  {each.recipient}  {each.function}  {counted(each.rows, 'row')}  {each.disclosure}"


def _data(data: str | None, output: str | None, pipeline: str | None) -> str:
    """What is sent: what was named, else the records of the output, else those of the pipeline's."""
    if data or output:
        return data or output or ""
    if pipeline is None:
        raise click.UsageError("say --data PATH, or --pipeline")
    from minimize.job.given import as_pipeline

    job = as_pipeline(pipeline)
    return str(job.folder / job.output)


def _house(places: dict[str, Any]) -> House:
    from minimize.switching import House

    return House(**places)


def _known(recipients: str | None, house: House) -> Recipients:
    from minimize.recipients import find_recipients, load_recipients

    return load_recipients(find_recipients(recipients, start=house.folder))


def _now() -> datetime:
    return datetime.now(UTC)
