"""`minimize subject`: view, export, delete, restrict and correct the data of a person, device or tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from minimize.cli.options import FILE, ID, OPTIONS, WORKSPACE
from minimize.cli.printing import write_page
from minimize.cli.verb import examples, verb
from minimize.governance.sharing.export_file import EXPORT_OPTIONS
from minimize.governance.subjects import (
    CorrectionBasis,
    CorrectionEvidence,
    DataSubject,
    RequestedSubjects,
    approve_correction,
    confirm_deletion,
    correct_subject,
    delete_subjects,
    export_subjects,
    export_then_delete,
    lift_restriction,
    refuse_request,
    refuse_subjects,
    restrict_subjects,
    show_requests,
    subject_coverage,
    view_subjects,
)
from minimize.governance.subjects.requests import REFUSAL_REASONS
from minimize.governance.subjects.subject_page import view_page
from minimize.governance.subjects.view import SubjectViews
from minimize.results import Listing, Printable, ResultAt
from minimize.runs.execution import ProgressCallback
from minimize.workspace import Workspace

_SUBJECTS: Final = (
    click.Argument(["ids"], nargs=-1, metavar="ID…"),
    "--also",
    click.Option(["--file"], type=FILE, metavar="FILE", help="Also read subjects from this file."),
    click.Option(["--form", "forms"], is_flag=True, help="The IDs are pseudonyms or tokens from an output."),
    click.Option(
        ["--id-field", "field"],
        metavar="NAME",
        help="What the ids identify: user, device, another identity, or a field. [default: all]",
    ),
    OPTIONS["--tenant"](help="Only this tenant. [default: all known tenants]"),
    *WORKSPACE,
)
"""The arguments and options that select subjects and outputs."""
_WHOLE_TENANT: Final = click.Option(
    ["--whole-tenant"],
    is_flag=True,
    help="Select the whole tenant of --tenant, or rows of --file with a tenant alone. Not with an ID.",
)
_RECORDS: Final = click.Option(
    ["--records"],
    type=click.IntRange(0),
    metavar="N",
    help="The number of records that the plan printed. Required for --whole-tenant --yes; another number is refused.",
)
_LINKED: Final = click.Option(
    ["--linked"],
    is_flag=True,
    help="Also include the records of devices that belong to the person of --id-field alone, in files without the person.",
)
_UNSEARCHABLE: Final = click.Option(
    ["--unsearchable", "reasons"],
    multiple=True,
    metavar="OUTPUT=REASON",
    help="Complete the request although this output cannot be searched. The request records the reason. Repeatable.",
)
_ALLOW_UNKNOWN_TENANT: Final = click.Option(
    ["--allow-unknown-tenant", "unseen"],
    is_flag=True,
    help="Continue although the tenant is unknown. Its late records are excluded.",
)
_ALLOW_UNKNOWN_SUBJECT: Final = click.Option(
    ["--allow-unknown-subject", "allow_unknown"],
    is_flag=True,
    help="Also restrict subjects of which no data is held. Their later records are excluded.",
)
_ALLOW_UNREACHED: Final = click.Option(
    ["--allow-unreached"], is_flag=True, help="Treat outputs that cannot be reached as permanently deleted."
)
_TO: Final = OPTIONS["--output"](param_decls=["--to"], required=True, help="Write the export to this new folder.")
_REDACT: Final = click.Option(
    ["--redact"], multiple=True, metavar="FIELD", help="Leave this field out of the export. Repeatable."
)


def _confirmed_records(yes: bool, whole_tenant: bool, records: int | None) -> int | None:
    """The number of records that was confirmed. Raises UsageError without one for a whole tenant."""
    if yes and whole_tenant and records is None:
        raise click.UsageError(
            "--whole-tenant --yes needs --records N, the number that the command prints without --yes"
        )
    return records if yes else None


def _parse_reasons(texts: Sequence[str]) -> dict[str, str]:
    """The reason for each output that cannot be searched."""
    return {name: reason for name, _, reason in (each.partition("=") for each in texts)}


@click.group(name="subject")
def subject_group() -> None:
    """View, export, correct, restrict or delete the data of a person, device or tenant."""


@examples(
    "minimize subject view d-4711 --tenant contoso --pipeline pipelines/device_telemetry",
    "minimize subject view U-12 --id-field user_id",
)
@verb(
    "view",
    *_SUBJECTS,
    click.Option(
        ["--rows"], type=click.IntRange(0), default=3, show_default=True, help="Number of records to show per file."
    ),
    click.Option(["--verbose"], is_flag=True, help="Also print files, the form of each field, and the last records."),
    _LINKED,
    click.Option(
        ["--restricted"],
        is_flag=True,
        help="Also show the sealed records of a restricted subject (`subject/restrict`).",
    ),
    "--html",
    group=subject_group,
)
def view_command(
    workspace: Workspace,
    now: datetime,
    named: Sequence[str],
    rows: int,
    verbose: bool,
    linked: bool,
    restricted: bool,
    html: str | None,
    **selected: Any,
) -> Printable:
    """Show the data held about each ID.

    Prints its location, form, period, retention and recipients, and restrictions.
    """
    whole_tenant = not selected["ids"] and (selected["tenant"] is not None or selected["file"] is not None)
    subject_views = view_subjects(
        RequestedSubjects(**selected, whole_tenant=whole_tenant),
        workspace,
        now,
        named=named,
        linked=linked,
        restricted=restricted,
    )
    views = SubjectViews(subject_views, rows, verbose)
    if html is None:
        return views
    return write_page(views, html, view_page(views.views, rows, processing=workspace.config.processing))


@examples("minimize subject export d-4711 --tenant contoso --to export --redact model")
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
    _UNSEARCHABLE,
    _ALLOW_UNKNOWN_TENANT,
    _WHOLE_TENANT,
    _RECORDS,
    "--yes",
    group=subject_group,
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
    reasons: Sequence[str],
    unseen: bool,
    yes: bool,
    whole_tenant: bool,
    records: int | None,
    **selected: Any,
) -> Printable:
    """Export all data held about each ID.

    Only the owner of the new folder can read it. With `--then-delete`, nothing is deleted if the export fails.

    Exits with 1, and the request stays open, if an output may hold records but cannot be searched for the ID.
    """
    if then_delete:
        confirmed = _confirmed_records(yes, whole_tenant, records)
        return export_then_delete(
            RequestedSubjects(**selected, whole_tenant=whole_tenant),
            Path(to),
            workspace,
            now,
            named=named,
            formats=formats,
            redact=redact,
            linked=linked,
            unsearchable=_parse_reasons(reasons),
            unseen=unseen,
            yes=yes,
            records=confirmed,
        )
    if yes or unseen or records is not None:
        raise click.UsageError("--yes, --records and --allow-unknown-tenant need --then-delete")
    exports = export_subjects(
        RequestedSubjects(**selected, whole_tenant=whole_tenant),
        Path(to),
        workspace,
        now,
        named=named,
        linked=linked,
        formats=formats,
        redact=redact,
        unsearchable=_parse_reasons(reasons),
    )
    is_partial = any(each.unsearched for each in exports)
    return Listing("exports", exports, "no subject", exit_code=int(is_partial))


@examples("minimize subject delete d-4711 --tenant contoso", "minimize subject delete --file requests.csv --yes")
@verb(
    "delete",
    *_SUBJECTS,
    _LINKED,
    _UNSEARCHABLE,
    _ALLOW_UNKNOWN_TENANT,
    _ALLOW_UNREACHED,
    _WHOLE_TENANT,
    _RECORDS,
    "--yes",
    group=subject_group,
)
def delete_command(
    workspace: Workspace,
    now: datetime,
    progress: ProgressCallback,
    named: Sequence[str],
    yes: bool,
    linked: bool,
    reasons: Sequence[str],
    unseen: bool,
    allow_unreached: bool,
    whole_tenant: bool,
    records: int | None,
    **selected: Any,
) -> Printable:
    """Delete all records of each ID permanently.

    Removes them from all outputs, and lists the recipients that must also delete them. Reruns, late files, replays and
    backfills do not bring back records of events up to now. Repeat the command to continue an open request.

    Exits with 1, and the request stays open, if an output may hold records but cannot be searched for the ID.
    """
    return delete_subjects(
        RequestedSubjects(**selected, whole_tenant=whole_tenant),
        workspace,
        now,
        named=named,
        yes=yes,
        records=_confirmed_records(yes, whole_tenant, records),
        linked=linked,
        unsearchable=_parse_reasons(reasons),
        unseen=unseen,
        allow_unreached=allow_unreached,
        progress=progress,
    )


@examples("minimize subject restrict d-4711 --tenant contoso --yes")
@verb(
    "restrict",
    *_SUBJECTS,
    _LINKED,
    _UNSEARCHABLE,
    _ALLOW_UNKNOWN_TENANT,
    _ALLOW_UNKNOWN_SUBJECT,
    _ALLOW_UNREACHED,
    _WHOLE_TENANT,
    _RECORDS,
    "--yes",
    group=subject_group,
)
def restrict_command(
    workspace: Workspace,
    now: datetime,
    named: Sequence[str],
    yes: bool,
    linked: bool,
    reasons: Sequence[str],
    unseen: bool,
    allow_unreached: bool,
    allow_unknown: bool,
    progress: ProgressCallback,
    whole_tenant: bool,
    records: int | None,
    **selected: Any,
) -> Printable:
    """Seal all records of each ID, until `subject lift`.

    Moves them out of the data of all outputs into encrypted files, and lists the recipients that must also restrict them. Runs,
    replays, backfills, shares and services exclude the subject. Published aggregates stay. Repeat the command to continue an open
    request.
    """
    return restrict_subjects(
        RequestedSubjects(**selected, whole_tenant=whole_tenant),
        workspace,
        now,
        named=named,
        yes=yes,
        records=_confirmed_records(yes, whole_tenant, records),
        linked=linked,
        unsearchable=_parse_reasons(reasons),
        unseen=unseen,
        allow_unreached=allow_unreached,
        allow_unknown=allow_unknown,
        progress=progress,
    )


@examples("minimize subject lift d-4711 --tenant contoso --yes")
@verb("lift", *_SUBJECTS, _WHOLE_TENANT, _RECORDS, "--yes", group=subject_group)
def lift_command(
    workspace: Workspace,
    now: datetime,
    named: Sequence[str],
    yes: bool,
    whole_tenant: bool,
    records: int | None,
    **selected: Any,
) -> Printable:
    """Lift the restriction of each ID and publish its records again.

    Records past their retention are removed instead, and so are those of subjects that were deleted in the meantime. Records that
    runs excluded during the restriction do not come back by themselves. To publish them, run their dates again.
    """
    confirmed = _confirmed_records(yes, whole_tenant, records)
    return lift_restriction(
        RequestedSubjects(**selected, whole_tenant=whole_tenant),
        workspace,
        now,
        named=named,
        yes=yes,
        records=confirmed,
    )


_CORRECTION_BASES: Final[Mapping[str, CorrectionBasis]] = {"source": "source_correction", "request": "subject_request"}


@examples(
    "minimize subject correct d-4711 --tenant contoso --set phone_number=+4915112345 \\\n"
    "      --origin request --evidence CASE-12 --yes"
)
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
    click.Option(
        ["--origin"],
        type=click.Choice(list(_CORRECTION_BASES)),
        required=True,
        help="`source`: the source has corrected the value. `request`: the data subject has requested the correction.",
    ),
    click.Option(
        ["--evidence"],
        required=True,
        metavar="REFERENCE",
        help="Reference of the source's correction, or of the data subject's request.",
    ),
    "--also",
    "--yes",
    *WORKSPACE,
    group=subject_group,
)
def correct_command(
    workspace: Workspace,
    now: datetime,
    progress: ProgressCallback,
    id_: str,
    tenant: str,
    values: Sequence[str],
    origin: str,
    evidence: str,
    named: Sequence[str],
    yes: bool,
) -> Printable:
    """Correct values of ID in all outputs.

    Facts about a device are corrected at their source. Pass `--origin source` if the source has corrected the
    value, or `--origin request` if the data subject has requested it. Later runs of records up to now are also corrected.

    If you have an access file, only a privacy officer may do this, and another person must approve it (`subject approve`)
    before any value changes.
    """
    if any("=" not in each for each in values):  # the text may be a value, so it is not named
        raise click.UsageError("`--set` needs a field and its value. Pass FIELD=VALUE, or FIELD= for null.")
    corrected = {name: value or None for name, _, value in (each.partition("=") for each in values)}
    return correct_subject(
        DataSubject(id_, tenant),
        corrected,
        CorrectionEvidence(_CORRECTION_BASES[origin], evidence),
        workspace,
        now,
        named=named,
        yes=yes,
        progress=progress,
    )


@examples("minimize subject approve REQUEST --yes")
@verb(
    "approve",
    click.Argument(["request"]),
    "--also",
    "--yes",
    *WORKSPACE,
    group=subject_group,
)
def approve_command(
    workspace: Workspace,
    now: datetime,
    progress: ProgressCallback,
    request: str,
    named: Sequence[str],
    yes: bool,
) -> Printable:
    """Approve the correction of REQUEST, which another person proposed, and apply it.

    Without --yes, prints the proposed values and what would change.
    """
    return approve_correction(request, workspace, now, named=named, yes=yes, progress=progress)


@examples("minimize subject status")
@verb("status", "--tenant", *WORKSPACE, group=subject_group)
def status_command(workspace: Workspace, now: datetime, tenant: str | None) -> Printable:
    """List requests: kind, state and deadline, and whether a restriction is in force. Exits with 1 if one is overdue."""
    return show_requests(workspace, now, tenant=tenant)


@examples("minimize subject coverage --pipeline pipelines/device_telemetry")
@verb("coverage", "--also", *WORKSPACE, group=subject_group)
def coverage_command(workspace: Workspace, named: Sequence[str]) -> Printable:
    """List the columns that name a subject.

    Prints for each column the rule that finds the subject. Exits with 1 if a column has no rule.
    """
    return subject_coverage(workspace, named=named)


@examples("minimize subject confirm REQUEST support_desk")
@verb(
    "confirm",
    click.Argument(["request"]),
    click.Argument(["recipient"]),
    *WORKSPACE,
    group=subject_group,
)
def confirm_command(workspace: Workspace, now: datetime, request: str, recipient: str) -> Printable:
    """Record that RECIPIENT has deleted the data of REQUEST.

    If REQUEST is a restriction, record that RECIPIENT has restricted its copy.
    """
    return ResultAt(confirm_deletion(request, recipient, workspace, now), now)


@examples(
    "minimize subject refuse REQUEST --reason withheld --evidence CASE-12",
    "minimize subject refuse --kind export --id d-4711 --tenant contoso --reason withheld --evidence CASE-12",
)
@verb(
    "refuse",
    click.Argument(["request"], required=False),
    click.Option(
        ["--reason", "because"],
        required=True,
        type=click.Choice(list(REFUSAL_REASONS)),
        help="Reason of the refusal.",
    ),
    click.Option(["--evidence", "reference"], required=True, metavar="REFERENCE", help="The record of the decision."),
    click.Option(
        ["--kind"],
        type=click.Choice(["export", "delete", "restrict", "correct"]),
        help="Kind of a request that no command has started. With --id and --tenant, instead of REQUEST.",
    ),
    click.Option(["--id", "ids"], type=ID, multiple=True, metavar="ID", help="Subject of such a request. Repeatable."),
    click.Option(
        ["--id-field", "field"],
        metavar="NAME",
        help="What the ids identify: user, device, another identity, or a field. [default: all]",
    ),
    OPTIONS["--tenant"](help="Tenant of these subjects. Without an ID, the whole tenant."),
    *WORKSPACE,
    group=subject_group,
)
def refuse_command(
    workspace: Workspace,
    now: datetime,
    request: str | None,
    because: str,
    reference: str,
    kind: str | None,
    ids: Sequence[str],
    field: str | None,
    tenant: str | None,
) -> Printable:
    """Record that REQUEST was refused, and why.

    A refused request needs no more work. Inform the person of the reason within a month, Art. 12(4).
    """
    if (request is None) == (kind is None):
        raise click.UsageError("pass REQUEST, or --kind with --id and --tenant")
    if request is not None:
        return ResultAt(refuse_request(request, because, reference, workspace, now), now)
    subjects = RequestedSubjects(ids, tenant, field, whole_tenant=not ids)
    refusals = refuse_subjects(str(kind), subjects, because, reference, workspace, now)
    return Listing("requests", [ResultAt(each, now) for each in refusals], "no requests")
