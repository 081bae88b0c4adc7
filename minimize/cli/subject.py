"""`minimize subject`: view, export, delete, restrict and correct the data of a person, device or tenant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from minimize.cli import options
from minimize.cli.options import authorize, command_workspace
from minimize.cli.printing import UNCHANGED_HINT, write_page
from minimize.governance.sharing.export_file import EXPORT_OPTIONS
from minimize.governance.subjects import (
    DataSubject,
    collect_subjects,
    confirm_deletion,
    correct_subject,
    delete_subjects,
    export_subjects,
    request_statuses,
    restrict_subjects,
    subject_coverage,
    view_subjects,
)
from minimize.governance.subjects.view import form_text, view_page
from minimize.receipts.receipt import FIGURES_UNCHANGED
from minimize.text import count_noun
from minimize.times import utc_now

if TYPE_CHECKING:
    from minimize.governance.subjects import Deletion, RequestStatus, SubjectView


def deletion_text(done: Deletion, yes: bool) -> str:
    """Returns the text of a deletion: removed records, and the remaining tasks."""
    lines = [f"{count_noun(done.rows, 'record')} of {_deleted_text(done)} {'removed' if yes else 'would be removed'}"]
    if not done.rows and done.resumed:
        lines += [f"  an earlier deletion of {count_noun(done.resumed, 'subject')} was interrupted; it is now complete"]
    elif not done.rows:
        lines += ["  no data is held of these subjects. Check the spelling of the ids."]
        lines += ["  their late records are excluded from later runs"] if yes else []
    plans = {name: plan.outcome_text() if yes else str(plan) for name, plan in done.plans.items()}
    lines += [f"  {name}: {each}" for name, plan in plans.items() for each in plan.splitlines()]
    body = done.to_json()
    lines += [f"  {name} must also delete: {', '.join(acts)}" for name, acts in body["recalls"].items()]
    lines += [
        f"  {name} of {pipeline} keeps figures for {', '.join(dates) or 'all'}: {FIGURES_UNCHANGED}"
        for pipeline, stays in body["stays"].items()
        for name, dates in stays.items()
    ]
    lines += [f"  not searched: {each['file']}: {each['why']}" for each in body["not_searched"]]
    lines += [f"  not reached: {each['output']}: {each['why']}" for each in body["not_reached"]]
    lines += [f"  request {name}" for name in body["requests"]]
    return "\n".join(lines if yes else [*lines, UNCHANGED_HINT])


def request_line(found: RequestStatus, now: datetime) -> str:
    """Returns a request and its state as one line."""
    body = found.to_json(now)
    waiting = [name for name, each in found.recipients.items() if not each["confirmed"]]
    rest = f", waiting for {', '.join(waiting)}" if waiting else ""
    late = " OVERDUE" if body["overdue"] else ""
    whose = f"tenant {body['tenant_id']}" if body["subject"] is None else f"a subject of {body['tenant_id']}"
    request = f"{body['request']}  {body['kind']} of {whose}, requested {body['asked_at']}"
    return f"{request}: {body['state']}{rest}, by {body['due']}{late}"


def subject_text(found: SubjectView, rows: int) -> str:
    """Returns the text of a subject view, file by file."""
    body = found.to_json(rows)
    lines = [
        f"{_subject_name(found.subject)}: {count_noun(found.rows, 'record')} in {count_noun(len(found.records), 'file')}"
    ]
    lines += [f"  {found.read:,} of {count_noun(found.groups, 'row group')} read"] if found.groups else []
    lines += (
        ["  unknown tenant: neither an output nor the ledger names it. Check the spelling."] if found.is_unseen else []
    )
    lines += [
        f"  deletion {each['request']}, requested {each['asked_at']}, is {each['state']}: {count_noun(each['rows'], 'record')} "
        "still to remove. Run `minimize subject delete` again."
        for each in body.get("to_be_deleted", ())
    ]
    for each in body["held"]:
        kept = f", kept until {each['until']}" if each["until"] else ""
        lines += [
            f"  {each['pipeline']}  {each['date'] or ''}  {count_noun(each['rows'], 'record')}, {each['category']}, "
            f"for {each['purpose']}: {each['since'] or '?'} to {each['to'] or '?'}{kept}",
            f"    in {each['output']}/{each['file']}, found by {each['found_by']}",
            "    " + ", ".join(f"{name} ({form_text(form)})" for name, form in each["fields"].items()),
            *(f"    also: {count_noun(count, 'form')} of {name}" for name, count in each["beside"].items()),
            *(f"    {_row_text(row)}" for row in each["records"]),
        ]
    lines += [
        f"  shared with {each['recipient']} ({each['function']}, {each['purpose']}) at {each['at']}: "
        f"{', '.join(each['fields'])}" + (f", kept there until {each['until']}" if each["until"] else "")
        for each in body["shared"]
    ]
    lines += [f"  not searched: {each['output']}/{each['file']}: {each['why']}" for each in body["not_searched"]]
    lines += [f"  not reached: {each['output']} of {each['pipeline']}: {each['why']}" for each in body["not_reached"]]
    return "\n".join(lines)


def _subject_name(subject: DataSubject) -> str:
    if subject.id is None:
        return f"tenant {subject.tenant}"
    return subject.id if subject.tenant is None else f"{subject.id} of {subject.tenant}"


def _deleted_text(done: Deletion) -> str:
    tenants = sum(each.is_tenant for each in done.subjects)
    subjects = len(done.subjects) - tenants
    counts = [count_noun(count, word) for count, word in ((subjects, "subject"), (tenants, "tenant")) if count]
    return " and ".join(counts) or "no subject"


def _row_text(row: dict[str, Any]) -> str:
    return "  ".join(f"{name}={value}" for name, value in row.items() if value is not None)


F = TypeVar("F", bound=Callable[..., Any])


def _subject_arguments(command: F) -> F:
    """Adds the argument ID…, and the options that select subjects and outputs."""
    for option in (
        click.option(
            "--tenant",
            type=options.ID,
            metavar="T",
            help="Only this tenant. Without an ID, the whole tenant. [default: all known tenants]",
        ),
        click.option(
            "--as", "field", metavar="FIELD", help="Field that contains the ids. [default: the subject of the policy]"
        ),
        click.option("--form", "forms", is_flag=True, help="The IDs are pseudonyms or tokens from an output."),
        click.option(
            "--file",
            type=click.Path(dir_okay=False),
            metavar="FILE",
            help="Also read subjects from this CSV or NDJSON file.",
        ),
        click.option("--in", "named", multiple=True, metavar="OUTPUT", help=options.SEARCH_HELP),
        click.argument("ids", nargs=-1, metavar="ID…"),
    ):
        command = option(command)
    return options.workspace(options.as_json(command))


def _linked_option(command: F) -> F:
    """`--linked`: includes linked devices."""
    about = "Also include records of the subject's devices in files without the subject."
    return click.option("--linked", is_flag=True, help=about)(command)


def _unseen_option(command: F) -> F:
    """`--allow-unknown-tenant`: accepts an unknown tenant."""
    about = "Continue although the tenant is unknown. Its late records are excluded."
    return click.option("--allow-unknown-tenant", "unseen", is_flag=True, help=about)(command)


@click.group(name="subject")
def subject_group() -> None:
    """View, export, correct, restrict or delete the data of a person, device or tenant."""


@subject_group.command("view")
@_subject_arguments
@click.option(
    "--rows", type=click.IntRange(0), default=3, show_default=True, help="Number of records to show per file."
)
@_linked_option
@click.option("--html", type=click.Path(dir_okay=False), metavar="FILE", help=options.HTML_HELP)
def view_command(rows: int, as_json: bool, html: str | None, **words: Any) -> None:
    """Show the data held about each ID.

    Prints its location, form, period, retention and recipients.
    """
    authorize("subject/view", words, words["tenant"])
    found = _view_subjects(words)
    shown = [subject_text(each, rows) for each in found]
    text = "\n\n".join(shown) if html is None else write_page(html, view_page(found, rows))
    options.print_result({"subjects": [each.to_json(rows) for each in found]}, as_json, text)


@subject_group.command("export")
@_subject_arguments
@click.option(
    "--to", required=True, type=click.Path(file_okay=False), metavar="DIR", help="Write the export to this new folder."
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(list(EXPORT_OPTIONS)),
    help="Format of the files. Repeatable. [default: all]",
)
@click.option("--redact", multiple=True, metavar="FIELD", help="Leave this field out of the export. Repeatable.")
@_linked_option
def export_command(to: str, formats: tuple[str, ...], redact: tuple[str, ...], as_json: bool, **words: Any) -> None:
    """Export all data held about each ID.

    Only the owner of the new folder can read it.
    """
    authorize("subject/export", words, words["tenant"])
    workspace = command_workspace(words)
    made = export_subjects(_view_subjects(words), Path(to), workspace, formats=formats, redact=redact)
    lines = [
        f"{each.folder}: {count_noun(each.rows, 'record')}, {count_noun(len(each.files), 'file')}" for each in made
    ]
    options.print_result({"exports": [each.to_json() for each in made]}, as_json, "\n".join(lines))


@subject_group.command("delete")
@_subject_arguments
@_unseen_option
@click.option("--allow-unreached", is_flag=True, help="Treat outputs that cannot be reached as permanently deleted.")
@click.option("--yes", is_flag=True, help=options.APPLY_HELP)
def delete_command(yes: bool, unseen: bool, allow_unreached: bool, as_json: bool, **words: Any) -> None:
    """Delete all records of each ID permanently.

    Removes them from all outputs, and lists the recipients that must also delete them. Reruns, late files, replays and
    backfills do not bring back records of events up to now. Repeat the command to continue an open request.
    """
    authorize("subject/delete", words, words["tenant"])
    workspace, now = command_workspace(words), utc_now()
    how = {"yes": yes, "unseen": unseen, "allow_unreached": allow_unreached}
    done = delete_subjects(_parse_subjects(words), workspace, now, named=words["named"], **how)
    options.print_result(done.to_json(), as_json, deletion_text(done, yes))


@subject_group.command("restrict")
@_subject_arguments
@click.option(
    "--to", required=True, type=click.Path(file_okay=False), metavar="DIR", help="Write the export to this new folder."
)
@click.option("--redact", multiple=True, metavar="FIELD", help="Leave this field out of the export. Repeatable.")
@_unseen_option
@click.option("--yes", is_flag=True, help=options.APPLY_HELP)
def restrict_command(to: str, redact: tuple[str, ...], yes: bool, unseen: bool, as_json: bool, **words: Any) -> None:
    """Export all data held about each ID, then delete it."""
    authorize("subject/restrict", words, words["tenant"])
    subjects, workspace, now = _parse_subjects(words), command_workspace(words), utc_now()
    if yes:
        _, done = restrict_subjects(
            subjects, Path(to), workspace, now, named=words["named"], redact=redact, unseen=unseen
        )
    else:
        done = delete_subjects(subjects, workspace, now, named=words["named"], unseen=unseen)
    options.print_result({**done.to_json(), "exported_to": to if yes else None}, as_json, deletion_text(done, yes))


@subject_group.command("correct")
@click.argument("id_", type=options.ID, metavar="ID")
@click.option("--tenant", type=options.ID, required=True, metavar="T", help="Tenant of the subject.")
@click.option(
    "--set",
    "values",
    multiple=True,
    required=True,
    metavar="FIELD=VALUE",
    help="Corrected value; empty for null. Repeatable.",
)
@click.option("--in", "named", multiple=True, metavar="OUTPUT", help=options.SEARCH_HELP)
@click.option("--yes", is_flag=True, help=options.APPLY_HELP)
@options.workspace
@options.as_json
def correct_command(
    id_: str, tenant: str, values: tuple[str, ...], named: tuple[str, ...], yes: bool, as_json: bool, **words: Any
) -> None:
    """Correct values of ID in all outputs.

    Later runs of records up to now are also corrected. Administrators cannot correct values. If you have an access file,
    grant `subject/correct` to a role that acts for the data subject.
    """
    authorize("subject/correct", words, tenant)
    corrected = {name: value or None for name, _, value in (each.partition("=") for each in values)}
    done = correct_subject(
        DataSubject(id_, tenant), corrected, command_workspace(words), utc_now(), named=named, yes=yes
    )
    were = "would be" if not yes else "was" if done.values == 1 else "were"
    lines = [f"{count_noun(done.values, 'value')} {were} corrected"]
    lines += [f"  {name}: {line}" for name, plan in done.plans.items() for line in str(plan).splitlines()]
    lines += [f"  notify {name}: {', '.join(acts)}" for name, acts in done.notices.items()]
    lines += [f"  request {done.request}"] if yes else [UNCHANGED_HINT]
    options.print_result(done.to_json(), as_json, "\n".join(lines))


@subject_group.command("status")
@click.option("--tenant", type=options.ID, metavar="T", help=options.TENANT_FILTER_HELP)
@options.workspace
@options.as_json
def status_command(tenant: str | None, as_json: bool, **places: Any) -> int:
    """List requests: kind, state and deadline. Exits with 1 if one is overdue."""
    now = utc_now()
    with command_workspace(places).open_ledger() as ledger:
        found = request_statuses(ledger, tenant=tenant)
    lines = [request_line(each, now) for each in found]
    options.print_result(
        {"requests": [each.to_json(now) for each in found]}, as_json, "\n".join(lines) or "no requests"
    )
    return int(any(each.is_overdue(now) for each in found))


@subject_group.command("coverage")
@click.option("--in", "named", multiple=True, metavar="OUTPUT", help=options.SEARCH_HELP)
@options.workspace
@options.as_json
def coverage_command(named: tuple[str, ...], as_json: bool, **places: Any) -> int:
    """List the columns that name a subject.

    Prints for each column the rule that finds the subject. Exits with 1 if a column has no rule.
    """
    authorize("subject/view", places)
    found = subject_coverage(command_workspace(places), named=named)
    lines = [
        f"{each.location}  {each.name}  {each.column}: {each.rule or 'NO RULE, ' + each.reason}"
        for each in found.targets
    ]
    lines += [f"not reached: {each.folder} of {each.pipeline}: {each.reason}" for each in found.unreached]
    missed = [{"output": each.folder, "pipeline": each.pipeline, "why": each.reason} for each in found.unreached]
    body = {"targets": [each.to_json() for each in found.targets], "not_reached": missed}
    options.print_result({"ok": not found.uncovered, **body}, as_json, "\n".join(lines) or "no column names a subject")
    return int(bool(found.uncovered))


@subject_group.command("confirm")
@click.argument("request")
@click.argument("recipient")
@options.workspace
@options.as_json
def confirm_command(request: str, recipient: str, as_json: bool, **places: Any) -> None:
    """Record that RECIPIENT has deleted the data of REQUEST."""
    authorize("share/recall", places)
    now = utc_now()
    found = confirm_deletion(request, recipient, command_workspace(places), now)
    options.print_result(found.to_json(now), as_json, request_line(found, now))


def _view_subjects(words: dict[str, Any]) -> tuple[SubjectView, ...]:
    workspace, now = command_workspace(words), utc_now()
    return view_subjects(_parse_subjects(words), workspace, now, named=words["named"], linked=words["linked"])


def _parse_subjects(words: dict[str, Any]) -> tuple[DataSubject, ...]:
    return collect_subjects(words["ids"], words["tenant"], words["field"], words["file"], forms=words["forms"])
