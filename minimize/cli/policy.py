"""Commands about policies: `init`, `lint`, `plan`, `drift`, `schema`, `policy approve`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from minimize.cli import options
from minimize.cli.options import DATE, TIME
from minimize.cli.printing import SEVERITY_COLORS, print_lint_findings
from minimize.results import FAILING_SEVERITIES
from minimize.text import count_noun, single_line
from minimize.times import utc_now

if TYPE_CHECKING:
    from minimize.plan import Plan
    from minimize.review.approval import ApprovalResult
    from minimize.review.drift import DriftChange, DriftReport
    from minimize.settings.unknown_tenant import UnknownTenant


@click.command()
@click.argument("data", type=options.DataPathParameter(exists=True))
@click.argument("folder", type=click.Path(file_okay=False), metavar="[DIR]", required=False)
@click.option(
    "--accept",
    "accepted",
    multiple=True,
    metavar="FIELD",
    help="Accept the proposal for FIELD, or for `tenant`, `subject`, `time`, `record` or `all`. Repeatable.",
)
@options.as_json
def init_command(data: str, folder: str | None, accepted: tuple[str, ...], as_json: bool) -> None:
    """Draft DIR/policy.yaml and DIR/pipeline.yaml for DATA, with every field dropped.

    A comment above each field proposes a treatment. If DIR is left out, DATA is the folder of a draft, and --accept turns
    proposals of its policy into rules.
    """
    from minimize.policy.draft import accept_proposals, init_pipeline

    if folder is None and not accepted:
        raise click.UsageError("no folder to write to. Pass DATA and DIR: minimize init DATA DIR")
    files = [] if folder is None else [str(path) for path in init_pipeline(data, folder)]
    target = data if folder is None else folder
    taken = accept_proposals(Path(target), accepted) if accepted else []
    lines = [
        *(f"wrote {path}" for path in files),
        *([f"accepted {', '.join(taken)}"] if taken else []),
        _next_step(target, taken),
    ]
    options.print_result({"files": files, "accepted": taken}, as_json, "\n".join(lines))


def _next_step(target: str, taken: list[str]) -> str:
    if taken:
        return f"next: `minimize lint {target}`, `minimize plan {target} --preview 3`"
    return (
        f"next: review {target}/policy.yaml, run `minimize init {target} --accept FIELD`, then `minimize lint {target}`"
    )


@click.command()
@click.argument("pipeline", type=click.Path(), required=False)
@options.fail_on
@click.option("--codes", is_flag=True, help="List all codes with their meanings, and check nothing.")
@options.keys
@options.as_json
@click.pass_context
def lint_command(
    ctx: click.Context, pipeline: str | None, fail_on: str, codes: bool, keys: str | None, as_json: bool
) -> int:
    """Check the policy of PIPELINE and its risks. Each finding has a stable code.

    If the pipeline has an output, lint also checks that requests find the subjects in it. PIPELINE can also be a policy, a
    recipient file, a folder of recipients, an access file, or a folder that contains any of them.
    """
    if codes:
        return _print_codes(as_json)
    if pipeline is None:
        (param,) = (each for each in ctx.command.params if each.name == "pipeline")
        raise click.MissingParameter(ctx=ctx, param=param)
    from minimize.review.lint import lint_path

    return print_lint_findings(lint_path(pipeline, on=utc_now().date(), keys=keys), fail_on, as_json)


def _print_codes(as_json: bool) -> int:
    from minimize.codes import CODES

    options.print_result(
        {"codes": dict(CODES)}, as_json, "\n".join(f"{code}  {about}" for code, about in CODES.items())
    )
    return 0


@click.command()
@options.pipeline
@click.option("--preview", type=click.IntRange(min=1), metavar="N", help="Show N rows as they would be released.")
@click.option("--at", type=TIME, metavar="TIME", help=options.AT_HELP)
@click.option("--tenant", type=options.ID, metavar="X", help="Apply the settings of this tenant.")
@click.option("--input", "input_", metavar="PATH", help=options.INPUT_HELP)
@click.option("--settings", type=click.Path(), metavar="PATH", help=options.SETTINGS_HELP)
@options.keys
@options.as_json
def plan_command(
    pipeline: str,
    preview: int | None,
    at: str | None,
    tenant: str | None,
    input_: str | None,
    settings: str | None,
    keys: str | None,
    as_json: bool,
) -> None:
    """Show what happens to each field of PIPELINE, and why.

    A field is kept, dropped, gated or generalized. The plan also has the category of each output.
    """
    from minimize.cli.tables import print_plan, print_rows
    from minimize.runs.inspection import examine_plan, preview_rows
    from minimize.settings import unknown_tenant

    if at is not None and tenant is None and not preview:
        raise click.UsageError("--at requires --tenant or --preview")
    examined = examine_plan(pipeline, input=input_)
    if examined.refused and not examined.faults and not as_json:
        print_plan(examined.plan)
    plan = examined.require_allowed()
    plan, unknown = (plan, None) if tenant is None else _plan_for_tenant(tenant, plan, at, settings, keys)
    rows = preview_rows(plan, preview, at=at, input=input_, settings=settings, keys=keys) if preview else None
    if as_json:
        body = plan.to_json()
        body |= {} if tenant is None else {"tenant": tenant, "at": at, **unknown_tenant.unknown_tenant_json(unknown)}
        body |= {} if rows is None else {"preview": rows.to_pylist()}
        options.print_json(body)
        return
    print_plan(plan)
    if unknown is not None:
        click.echo(single_line(str(unknown)))
    if rows is not None:
        print_rows(rows)


def _plan_for_tenant(
    tenant: str, plan: Plan, at: str | None, settings: str | None, keys: str | None
) -> tuple[Plan, UnknownTenant | None]:
    """Returns the plan for a tenant, and the tenant if the settings do not name it."""
    from minimize.runs.inspection import effective_plan, plan_settings
    from minimize.settings.unknown_tenant import find_unknown_tenant

    rows = plan_settings(plan, settings, keys=keys)
    folder = None if plan.pipeline is None else plan.pipeline.folder
    return effective_plan(plan, tenant, at=at, settings=rows), find_unknown_tenant(tenant, rows, folder)


_CHANGE_SIGNS = {"new": "+", "renamed": ">", "retyped": "~", "nested": "~", "unlisted": "?", "gone": "-"}


@click.command()
@options.pipeline
@click.option("--date", type=DATE, metavar="D", help="Batch date, YYYY-MM-DD. [default: the newest date found]")
@click.option("--input", "input_", metavar="PATH", help=options.INPUT_HELP)
@click.option(
    "--output", type=click.Path(file_okay=False), metavar="DIR", help="Compare with the receipts of this output folder."
)
@options.fail_on
@options.keys
@options.as_json
def drift_command(
    pipeline: str,
    date: str | None,
    input_: str | None,
    output: str | None,
    fail_on: str,
    keys: str | None,
    as_json: bool,
) -> int:
    """Compare incoming data of PIPELINE with its policy and its last receipts, by name, type and count.

    Values are not printed. Exits with 1 if a change makes the pipeline refuse or lose data. New fields are dropped, and are a
    warning.
    """
    from minimize.review.drift import detect_drift

    report = detect_drift(pipeline, date=date, input=input_, output=output, keys=keys)
    options.print_result(report.to_json(), as_json, "\n".join(_report_lines(report)))
    severities = {change.severity for change in report.changes}
    return 1 if severities & FAILING_SEVERITIES[fail_on] else 0


def _report_lines(report: DriftReport) -> Iterator[str]:
    dates = f" of {', '.join(report.dates)}" if report.dates else ""
    yield f"{report.policy} version {report.version}, {count_noun(report.records, 'record')}{dates}"
    yield from map(_change_line, report.changes) if report.changes else ("no drift",)
    if report.edit:
        yield f"\nproposed policy rules:\n{report.edit.rstrip()}"
    for path, seen in report.unknown.items():
        counts = ", ".join(f"{each['records']:,} ({' '.join(each['dates']) or 'all'})" for each in seen)
        yield f"{'' if path != next(iter(report.unknown)) else chr(10)}undeclared in earlier runs: {path} {counts}"


def _change_line(change: DriftChange) -> str:
    sign = click.style(_CHANGE_SIGNS[change.kind], fg=SEVERITY_COLORS[change.severity])
    name = str(change.path) if change.before is None else f"{change.before} → {change.path}"
    types = (
        "" if change.is_ is None else change.is_ if change.was in (None, change.is_) else f"{change.was} → {change.is_}"
    )
    return f"{sign} {change.code} {name}{f' ({types})' if types else ''}: {change.message}"


@click.command()
@click.argument(
    "kind",
    type=click.Choice(
        ["policy", "pipeline", "backfill", "recipient", "subprocessors", "access", "contacts", "configuration"]
    ),
    required=False,
)
@options.as_json
def schema_command(kind: str | None, as_json: bool) -> None:
    """Print the JSON Schema of one kind of file, for editors.

    Without KIND, print the schemas of policies and pipelines as one object.
    """
    from minimize.interop.file_schemas import file_schema

    body = file_schema(kind) if kind else {each: file_schema(each) for each in ("policy", "pipeline")}
    options.print_json(body)


@click.group(name="policy")
def policy_group() -> None:
    """Approve a policy."""


@policy_group.command("approve")
@click.argument("policy", type=click.Path())
@click.option(
    "--by", metavar="NAME", help="Name of the approver. [env: MINIMIZE_ACTOR] [default: user of the operating system]"
)
@options.only_ledger
@options.keys
@options.as_json
def approve_command(policy: str, by: str | None, ledger: str | None, keys: str | None, as_json: bool) -> None:
    """Approve the current content of POLICY.

    The file records it as `approved: {by, on, digest}`. The digest covers the rules and the hierarchies, so comments and
    layout may change afterwards. A policy in which `minimize lint` finds an error is not approved. Prints the approver and
    the source of that name.
    """
    from minimize.review.approval import approve

    done = approve(policy, by=by, ledger=ledger, keys=keys)
    options.print_result(done.to_json(), as_json, _approval_text(done))


def _approval_text(done: ApprovalResult) -> str:
    name, source = f"{done.policy} version {done.version}", f"approver taken from {_NAME_SOURCES[done.named]}"
    if not done.changed:
        unchanged = f"{name} was already approved by {done.approved.by} on {done.approved.on}; nothing was changed"
        return f"{unchanged}\n{source}"
    log = (
        "recorded in the audit log"
        if done.recorded
        else "not recorded in the audit log, because no ledger is configured"
    )
    return f"{name} approved by {done.approved.by} on {done.approved.on}, in {done.file}; {log}\n{source}"


_NAME_SOURCES: Final = {
    "--by": "--by",
    "MINIMIZE_ACTOR": "MINIMIZE_ACTOR",
    "system": "the user of the operating system: neither --by nor MINIMIZE_ACTOR is set",
}
