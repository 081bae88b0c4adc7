"""`minimize subject`: what is held of a device, a user or a tenant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from minimize.cli import options
from minimize.cli.allowing import may
from minimize.cli.people import gone, held, line
from minimize.counts import counted

if TYPE_CHECKING:
    from minimize.governance.subjects import Subject, View

F = TypeVar("F", bound=Callable[..., Any])


def _whose(command: F) -> F:
    """ID …, and where to look."""
    for option in (
        click.option(
            "--tenant",
            type=options.ID,
            metavar="T",
            help="Of this tenant; alone, the whole tenant. Else every tenant known.",
        ),
        click.option(
            "--as", "field", metavar="FIELD", help="The field that holds such ids (else the policy's subject)."
        ),
        click.option("--form", "forms", is_flag=True, help="IDs are pseudonyms or tokens, as outputs have them."),
        click.option("--file", type=click.Path(dir_okay=False), metavar="FILE", help="CSV or NDJSON of subjects, too."),
        click.option(
            "--in", "named", multiple=True, metavar="OUTPUT", help="Look here, too; the ledger knows the rest."
        ),
        click.argument("ids", nargs=-1, metavar="ID…"),
    ):
        command = option(command)
    return options.house(options.as_json(command))


def _linked(command: F) -> F:
    """Whether to follow to devices."""
    about = "Records of their devices, too, where a file does not tell whose they are."
    return click.option("--linked", is_flag=True, help=about)(command)


def _unseen(command: F) -> F:
    """Whether a tenant that nothing names is meant."""
    about = "Go on though nothing names the tenant: what arrives late is kept out."
    return click.option("--unseen", is_flag=True, help=about)(command)


@click.group(name="subject")
def command() -> None:
    """People, devices and tenants: what is held of them."""


@command.command("view")
@_whose
@click.option("--rows", type=click.IntRange(0), default=3, show_default=True, help="Records to show of each file.")
@_linked
@click.option("--html", "as_page", is_flag=True, help="As a page of HTML.")
def view(rows: int, as_json: bool, as_page: bool, **words: Any) -> None:
    """Show what is held of each ID: where, in which form, since when and until when, and with whom it was shared."""
    from minimize.governance.subjects.page import html

    may("subject/view", words, words["tenant"])
    found = _found(words)
    text = html(found, rows).rstrip("\n") if as_page else "\n\n".join(held(each, rows) for each in found)
    options.show({"subjects": [each.as_json(rows) for each in found]}, as_json, text)


@command.command("export")
@_whose
@click.option("--to", required=True, type=click.Path(file_okay=False), metavar="DIR", help="A new folder.")
@click.option(
    "--format", "formats", multiple=True, type=click.Choice(["json", "csv", "parquet"]), help="All by default."
)
@click.option("--redact", multiple=True, metavar="FIELD", help="Leave this field out, as the organization may.")
@_linked
def export(to: str, formats: tuple[str, ...], redact: tuple[str, ...], as_json: bool, **words: Any) -> None:
    """Write everything that is held of each ID into a new folder that only its owner can look into."""
    from minimize.governance.subjects import export as exported

    may("subject/export", words, words["tenant"])
    house = _house(words)
    made = exported(_found(words), Path(to), house, formats=formats or ("json", "csv", "parquet"), redact=redact)
    lines = [f"{each.folder}: {counted(each.rows, 'record')}, {counted(len(each.files), 'file')}" for each in made]
    options.show({"exports": [each.as_json() for each in made]}, as_json, "\n".join(lines))


@command.command("delete")
@_whose
@_unseen
@click.option("--allow-unreached", is_flag=True, help="Outputs that cannot be reached are gone for good.")
@click.option("--yes", is_flag=True, help="Do it. Without it the plan is shown, and nothing is changed.")
def delete(yes: bool, unseen: bool, allow_unreached: bool, as_json: bool, **words: Any) -> None:
    """Take every record of each ID out of all outputs, for good; recipients that got some are listed, to be told.

    What happened up to now does not come back by a rerun, a late file, a replay or a backfill. An open request is gone on
    with by the same command.
    """
    from minimize.governance.subjects import delete as deleted

    may("subject/delete", words, words["tenant"])
    house, now = _house(words), datetime.now(UTC)
    how = {"yes": yes, "unseen": unseen, "allow_unreached": allow_unreached}
    done = deleted(_subjects(words), house, now, named=words["named"], **how)
    options.show(done.as_json(), as_json, gone(done, yes))


@command.command("restrict")
@_whose
@click.option("--to", required=True, type=click.Path(file_okay=False), metavar="DIR", help="A new folder.")
@click.option("--redact", multiple=True, metavar="FIELD", help="Leave this field out, as the organization may.")
@_unseen
@click.option("--yes", is_flag=True, help="Do it. Without it nothing is exported or deleted.")
def restrict(to: str, redact: tuple[str, ...], yes: bool, unseen: bool, as_json: bool, **words: Any) -> None:
    """Export everything that is held of each ID into a new folder, and delete it then."""
    from minimize.governance.subjects import delete as deleted
    from minimize.governance.subjects import restrict as restricted

    may("subject/restrict", words, words["tenant"])
    subjects, house, now = _subjects(words), _house(words), datetime.now(UTC)
    if yes:
        _, done = restricted(subjects, Path(to), house, now, named=words["named"], redact=redact, unseen=unseen)
    else:
        done = deleted(subjects, house, now, named=words["named"], unseen=unseen)
    options.show({**done.as_json(), "exported_to": to if yes else None}, as_json, gone(done, yes))


@command.command("correct")
@click.argument("id_", type=options.ID, metavar="ID")
@click.option("--tenant", type=options.ID, required=True, metavar="T", help="The tenant that it is of.")
@click.option(
    "--set", "values", multiple=True, required=True, metavar="FIELD=VALUE", help="The right value; empty for none."
)
@click.option("--in", "named", multiple=True, metavar="OUTPUT", help="Correct here, too; the ledger knows the rest.")
@click.option("--yes", is_flag=True, help="Do it. Without it the plan is shown, and nothing is changed.")
@options.house
@options.as_json
def correct(
    id_: str, tenant: str, values: tuple[str, ...], named: tuple[str, ...], yes: bool, as_json: bool, **words: Any
) -> None:
    """Put values of ID right, as the person says: in all outputs, and in whatever is run later of what happened up to now.

    Administrators cannot: whoever has an access file grants `subject/correct` to the person's side.
    """
    from minimize.governance.subjects import Subject
    from minimize.governance.subjects import correct as corrected

    may("subject/correct", words, tenant)
    said = {name: value or None for name, _, value in (each.partition("=") for each in values)}
    done = corrected(Subject(id_, tenant), said, _house(words), datetime.now(UTC), named=named, yes=yes)
    were = "would be" if not yes else "was" if done.values == 1 else "were"
    lines = [f"{counted(done.values, 'value')} {were} corrected"]
    lines += [f"  {name}: {line}" for name, plan in done.plans.items() for line in str(plan).splitlines()]
    lines += [f"  tell {name}: {', '.join(acts)}" for name, acts in done.notices.items()]
    lines += [f"  request {done.request}"] if yes else ["nothing was changed: --yes does it"]
    options.show(done.as_json(), as_json, "\n".join(lines))


@command.command("status")
@click.option("--tenant", type=options.ID, metavar="T", help="Of this tenant alone.")
@options.house
@options.as_json
def status(tenant: str | None, as_json: bool, **places: Any) -> int:
    """List requests: what was asked, how far it is, by when it must be done. Exit 1 where one is overdue."""
    from minimize.governance.subjects import statuses

    now = datetime.now(UTC)
    with _house(places).opened() as ledger:
        found = statuses(ledger, tenant=tenant)
    lines = [line(each, now) for each in found]
    options.show({"requests": [each.as_json(now) for each in found]}, as_json, "\n".join(lines) or "no requests")
    return int(any(each.is_overdue(now) for each in found))


@command.command("coverage")
@click.option("--in", "named", multiple=True, metavar="OUTPUT", help="Look here, too; the ledger knows the rest.")
@options.house
@options.as_json
def coverage(named: tuple[str, ...], as_json: bool, **places: Any) -> int:
    """List the columns of outputs and disclosures that name somebody, and the rule that finds him. Exit 1 where none does."""
    from minimize.governance.subjects import coverage as covered

    may("subject/view", places)
    found = covered(_house(places), named=named)
    lines = [
        f"{each.where}  {each.name}  {each.column}: {each.rule or 'NO RULE, ' + each.why}" for each in found.targets
    ]
    lines += [f"not reached: {each.folder} of {each.pipeline}: {each.why}" for each in found.unreached]
    missed = [{"output": each.folder, "pipeline": each.pipeline, "why": each.why} for each in found.unreached]
    said = {"targets": [each.as_json() for each in found.targets], "not_reached": missed}
    options.show({"ok": not found.uncovered, **said}, as_json, "\n".join(lines) or "nobody is named anywhere")
    return int(bool(found.uncovered))


@command.command("confirm")
@click.argument("request")
@click.argument("recipient")
@options.house
@options.as_json
def confirm(request: str, recipient: str, as_json: bool, **places: Any) -> None:
    """Take down that RECIPIENT has deleted what REQUEST was about."""
    from minimize.governance.subjects import confirm as confirmed

    may("share/recall", places)
    now = datetime.now(UTC)
    found = confirmed(request, recipient, _house(places), now)
    options.show(found.as_json(now), as_json, line(found, now))


def _found(words: dict[str, Any]) -> tuple[View, ...]:
    from minimize.governance.subjects import view as viewed

    house, now = _house(words), datetime.now(UTC)
    return viewed(_subjects(words), house, now, named=words["named"], linked=words["linked"])


def _subjects(words: dict[str, Any]) -> tuple[Subject, ...]:
    from minimize.governance.subjects import subjects_of

    return subjects_of(words["ids"], words["tenant"], words["field"], words["file"], forms=words["forms"])


def _house(words: dict[str, Any]) -> Any:
    from minimize.switching import House

    return House(**{name: words[name] for name in ("ledger", "output", "pipeline", "keys")})
