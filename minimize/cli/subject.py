"""`minimize subject`: view, export, delete, restrict and correct the data of a person, device or tenant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from minimize.cli.options import FILE, ID, OPTIONS, WORKSPACE
from minimize.cli.printing import write_page
from minimize.cli.verb import verb
from minimize.governance.access import TenantSet
from minimize.governance.access.enforcement import require_permission
from minimize.governance.sharing.export_file import EXPORT_OPTIONS
from minimize.governance.subjects import (
    DataSubject,
    collect_subjects,
    confirm_deletion,
    correct_subject,
    delete_subjects,
    export_subjects,
    export_then_delete,
    lift_restriction,
    request_statuses,
    restrict_subjects,
    subject_coverage,
    view_subjects,
)
from minimize.governance.subjects.view import SubjectViews, view_page
from minimize.governance.workspace import Workspace
from minimize.results import Listing, Printable, ResultAt
from minimize.runs.execution import ProgressCallback

_SUBJECTS: Final = (
    click.Argument(["ids"], nargs=-1, metavar="ID…"),
    "--in",
    click.Option(["--file"], type=FILE, metavar="FILE", help="Also read subjects from this file."),
    click.Option(["--form", "forms"], is_flag=True, help="The IDs are pseudonyms or tokens from an output."),
    click.Option(
        ["--as", "field"], metavar="FIELD", help="Field that contains the ids. [default: the subject of the policy]"
    ),
    OPTIONS["--tenant"](help="Only this tenant. Without an ID, the whole tenant. [default: all known tenants]"),
    *WORKSPACE,
)
"""The arguments and options that select subjects and outputs."""
_LINKED: Final = click.Option(
    ["--linked"], is_flag=True, help="Also include records of the subject's devices in files without the subject."
)
_ALLOW_UNKNOWN_TENANT: Final = click.Option(
    ["--allow-unknown-tenant", "unseen"],
    is_flag=True,
    help="Continue although the tenant is unknown. Its late records are excluded.",
)
_ALLOW_UNREACHED: Final = click.Option(
    ["--allow-unreached"], is_flag=True, help="Treat outputs that cannot be reached as permanently deleted."
)
_TO: Final = OPTIONS["--output"](param_decls=["--to"], required=True, help="Write the export to this new folder.")
_REDACT: Final = click.Option(
    ["--redact"], multiple=True, metavar="FIELD", help="Leave this field out of the export. Repeatable."
)


@click.group(name="subject")
def subject_group() -> None:
    """View, export, correct, restrict or delete the data of a person, device or tenant."""


@verb(
    "view",
    *_SUBJECTS,
    click.Option(
        ["--rows"], type=click.IntRange(0), default=3, show_default=True, help="Number of records to show per file."
    ),
    _LINKED,
    click.Option(
        ["--restricted"],
        is_flag=True,
        help="Also show the sealed records of a restricted subject (`subject/restrict`).",
    ),
    "--html",
    group=subject_group,
    permission="subject/view",
)
def view_command(
    workspace: Workspace,
    now: datetime,
    named: Sequence[str],
    rows: int,
    linked: bool,
    restricted: bool,
    html: str | None,
    **selected: Any,
) -> Printable:
    """Show the data held about each ID.

    Prints its location, form, period, retention and recipients, and restrictions.
    """
    if restricted:
        require_permission("subject/restrict", workspace, now, tenant=selected["tenant"])
    found = view_subjects(
        collect_subjects(**selected), workspace, now, named=named, linked=linked, restricted=restricted
    )
    views = SubjectViews(found, rows)
    if html is None:
        return views
    return write_page(views, html, view_page(views.views, rows))


@verb(
    "export",
    *_SUBJECTS,
    _TO,
    click.Option(
        ["--format", "formats"],
        multiple=True,
        type=click.Choice(list(EXPORT_OPTIONS)),
        help="Format of the files. Repeatable. [default: all]",
    ),
    _REDACT,
    _LINKED,
    click.Option(
        ["--then-delete"],
        is_flag=True,
        help="Then delete the data as `subject delete` does. Without --yes, only show what would be deleted.",
    ),
    _ALLOW_UNKNOWN_TENANT,
    "--yes",
    group=subject_group,
    permission="subject/export",
)
def export_command(
    workspace: Workspace,
    now: datetime,
    named: Sequence[str],
    to: str,
    formats: Sequence[str],
    redact: Sequence[str],
    linked: bool,
    then_delete: bool,
    unseen: bool,
    yes: bool,
    **selected: Any,
) -> Printable:
    """Export all data held about each ID.

    Only the owner of the new folder can read it. With `--then-delete`, nothing is deleted if the export fails.
    """
    if then_delete:
        require_permission("subject/delete", workspace, now, tenant=selected["tenant"])
        return export_then_delete(
            collect_subjects(**selected),
            Path(to),
            workspace,
            now,
            named=named,
            formats=formats,
            redact=redact,
            linked=linked,
            unseen=unseen,
            yes=yes,
        )
    if yes or unseen:
        raise click.UsageError("--yes and --allow-unknown-tenant need --then-delete")
    found = view_subjects(collect_subjects(**selected), workspace, now, named=named, linked=linked)
    made = export_subjects(found, Path(to), workspace, formats=formats, redact=redact)
    return Listing("exports", made, "no subject")


@verb(
    "delete",
    *_SUBJECTS,
    _ALLOW_UNKNOWN_TENANT,
    _ALLOW_UNREACHED,
    "--yes",
    group=subject_group,
    permission="subject/delete",
)
def delete_command(
    workspace: Workspace,
    now: datetime,
    progress: ProgressCallback,
    named: Sequence[str],
    yes: bool,
    unseen: bool,
    allow_unreached: bool,
    **selected: Any,
) -> Printable:
    """Delete all records of each ID permanently.

    Removes them from all outputs, and lists the recipients that must also delete them. Reruns, late files, replays and
    backfills do not bring back records of events up to now. Repeat the command to continue an open request.
    """
    return delete_subjects(
        collect_subjects(**selected),
        workspace,
        now,
        named=named,
        yes=yes,
        unseen=unseen,
        allow_unreached=allow_unreached,
        progress=progress,
    )


@verb(
    "restrict",
    *_SUBJECTS,
    _ALLOW_UNKNOWN_TENANT,
    _ALLOW_UNREACHED,
    "--yes",
    group=subject_group,
    permission="subject/restrict",
)
def restrict_command(
    workspace: Workspace,
    now: datetime,
    named: Sequence[str],
    yes: bool,
    unseen: bool,
    allow_unreached: bool,
    progress: ProgressCallback,
    **selected: Any,
) -> Printable:
    """Seal all records of each ID, until `subject lift`.

    Moves them out of the data of all outputs into encrypted files, and lists the recipients that must also restrict them. Runs,
    replays, backfills, shares and services exclude the subject. Published aggregates stay. Repeat the command to continue an open
    request.
    """
    return restrict_subjects(
        collect_subjects(**selected),
        workspace,
        now,
        named=named,
        yes=yes,
        unseen=unseen,
        allow_unreached=allow_unreached,
        progress=progress,
    )


@verb("lift", *_SUBJECTS, "--yes", group=subject_group, permission="subject/restrict")
def lift_command(
    workspace: Workspace,
    now: datetime,
    named: Sequence[str],
    yes: bool,
    **selected: Any,
) -> Printable:
    """Lift the restriction of each ID and publish its records again.

    Records past their retention are removed instead, and so are those of subjects that were deleted in the meantime. Records that
    runs excluded during the restriction do not come back by themselves. To publish them, run their dates again.
    """
    return lift_restriction(collect_subjects(**selected), workspace, now, named=named, yes=yes)


@verb(
    "correct",
    click.Argument(["id_"], type=ID, metavar="ID"),
    OPTIONS["--tenant"](required=True, help="Tenant of the subject."),
    click.Option(
        ["--set", "values"],
        multiple=True,
        required=True,
        metavar="FIELD=VALUE",
        help="Corrected value; empty for null. Repeatable.",
    ),
    "--in",
    "--yes",
    *WORKSPACE,
    group=subject_group,
    permission="subject/correct",
)
def correct_command(
    workspace: Workspace,
    now: datetime,
    progress: ProgressCallback,
    id_: str,
    tenant: str,
    values: Sequence[str],
    named: Sequence[str],
    yes: bool,
) -> Printable:
    """Correct values of ID in all outputs.

    Later runs of records up to now are also corrected. Administrators cannot correct values. If you have an access file,
    grant `subject/correct` to a role that acts for the data subject.
    """
    corrected = {name: value or None for name, _, value in (each.partition("=") for each in values)}
    subject = DataSubject(id_, tenant)
    return correct_subject(subject, corrected, workspace, now, named=named, yes=yes, progress=progress)


@verb("status", "--tenant", *WORKSPACE, group=subject_group, reads="subject_request/read")
def status_command(workspace: Workspace, now: datetime, tenant: str | None, tenants: TenantSet) -> Printable:
    """List requests: kind, state and deadline. Exits with 1 if one is overdue."""
    with workspace.open_ledger() as ledger:
        found = request_statuses(ledger, tenant=tenant, tenants=tenants)
    overdue = any(each.is_overdue(now) for each in found)
    return Listing("requests", [ResultAt(each, now) for each in found], "no requests", exit_code=int(overdue))


@verb("coverage", "--in", *WORKSPACE, group=subject_group, permission="subject/view")
def coverage_command(workspace: Workspace, named: Sequence[str]) -> Printable:
    """List the columns that name a subject.

    Prints for each column the rule that finds the subject. Exits with 1 if a column has no rule.
    """
    return subject_coverage(workspace, named=named)


@verb(
    "confirm",
    click.Argument(["request"]),
    click.Argument(["recipient"]),
    *WORKSPACE,
    group=subject_group,
    permission="share/recall",
)
def confirm_command(workspace: Workspace, now: datetime, request: str, recipient: str) -> Printable:
    """Record that RECIPIENT has deleted the data of REQUEST."""
    return ResultAt(confirm_deletion(request, recipient, workspace, now), now)
