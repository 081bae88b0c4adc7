"""Commands about policies: `init`, `lint`, `plan`, `drift`, `schema`, `policy accept`, `policy approve`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from minimize.cli.options import FOLDER, OPTIONS, PATH, DataPathParameter
from minimize.cli.printing import print_result
from minimize.cli.verb import examples, verb
from minimize.results import AlternativeText, JsonText, LintResult, Printable


@examples("minimize init sample_data/device_telemetry/2026-11-24 mine")
@verb(
    "init",
    click.Argument(["data"], type=DataPathParameter(exists=True)),
    click.Argument(["folder"], type=FOLDER, metavar="DIR", required=False),
    click.Option(["--accept", "accepted"], multiple=True),
)
def init_command(data: str, folder: str | None, accepted: tuple[str, ...]) -> Printable:
    """Draft DIR/policy.yaml and DIR/pipeline.yaml for DATA, with every field dropped.

    A comment above each field proposes a treatment. `minimize policy accept` turns proposals into rules.
    """
    from minimize.drafting import init

    if folder is None and not accepted:
        raise click.UsageError("no folder to write to. Pass DATA and DIR: minimize init DATA DIR")
    return init(data, folder, accepted=accepted)


@examples("minimize lint pipelines/device_telemetry", "minimize lint pipelines/recipients --fail-on warning")
@verb(
    "lint",
    OPTIONS["PIPELINE"](required=False),
    "--fail-on",
    click.Option(["--codes"], is_flag=True, help="List all codes with their meanings, and check nothing."),
    "--keys",
)
def lint_command(now: datetime, pipeline: str | None, fail_on: str, codes: bool, keys: str | None) -> Printable:
    """Check the policy of PIPELINE and its risks. Each finding has a stable code.

    If the pipeline has an output, lint also checks that requests find the subjects in it, and shows how many rows its tables of
    aggregates have, and their expected error. PIPELINE can also be a policy, a
    recipient file, a folder of recipients, an access file, or a folder that contains any of them.
    """
    if codes:
        from minimize.codes import CODES

        return AlternativeText(JsonText({"codes": dict(CODES)}), [f"{code}  {about}" for code, about in CODES.items()])
    if pipeline is None:
        ctx = click.get_current_context()
        raise click.MissingParameter(ctx=ctx, param=ctx.command.params[0])
    from minimize.review import lint_path, lint_tables

    findings = lint_path(pipeline, on=now.date(), keys=keys)
    return LintResult(findings, fail_on, lint_tables(pipeline, at=now, keys=keys))


class PreviewParameter(DataPathParameter):
    """A number of rows, or a file or folder of records."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns the number, at least 1, or the path of existing data."""
        if str(value).isdecimal():
            return click.IntRange(min=1).convert(value, param, ctx)
        return super().convert(value, param, ctx)


@examples(
    "minimize plan pipelines/device_telemetry --preview 3",
    "minimize plan pipelines/device_telemetry --preview sample_data/device_telemetry/2026-11-24",
    "minimize plan pipelines/device_telemetry --tenant contoso --at 2026-11-24T10:00:00Z",
)
@verb(
    "plan",
    "PIPELINE",
    click.Option(
        ["--preview"],
        type=PreviewParameter(exists=True),
        metavar="N|FILE",
        help="Show N rows as they would be released; or, for the records of one date in FILE (or a folder), how many rows of "
        "each table of aggregates would be shown, and their expected error.",
    ),
    "--at",
    OPTIONS["--tenant"](metavar="X", help="Apply the settings of this tenant."),
    *("--input", "--settings", "--keys"),
)
def plan_command(
    now: datetime,
    pipeline: str,
    preview: int | str | None,
    at: datetime | None,
    tenant: str | None,
    as_json: bool,
    input: str | None,
    settings: str | None,
    keys: str | None,
) -> Printable:
    """Show what happens to each field of PIPELINE, and why.

    A field is kept, dropped, gated or transformed. The plan also has the category of each output. For the tables of aggregates,
    it shows what to expect of them: from the FILE of a preview, or else from the tables that the output has. With a bound on
    disclosure risk, it shows the figures of the last run of each date.
    """
    from minimize.review import published_risk, published_tables
    from minimize.runs.inspection import inspect_plan, preview_plan
    from minimize.runs.resolve import RunRequest

    if at is not None and tenant is None and not preview:
        raise click.UsageError("--at requires --tenant or --preview")
    request = RunRequest(at=at, input=input, settings=settings)
    examined = inspect_plan(pipeline, request, keys=keys, tenant=tenant, preview=bool(preview))
    if examined.refused and not examined.faults and not as_json:
        print_result(examined.plan, as_json)
    plan = examined.require_allowed()
    tables = () if preview else published_tables(pipeline, at=now, keys=keys)
    risk = {} if preview else published_risk(pipeline, at=now, keys=keys)
    return preview_plan(plan, request, keys=keys, tenant=tenant, preview=preview, tables=tables, risk=risk)


@examples("minimize drift pipelines/device_telemetry --date 2026-11-24")
@verb(
    "drift",
    "PIPELINE",
    OPTIONS["--date"](help="Batch date, YYYY-MM-DD. [default: the newest date found]"),
    "--input",
    OPTIONS["--output"](help="Compare with the receipts of this output folder."),
    *("--fail-on", "--keys"),
)
def drift_command(**arguments: Any) -> Printable:
    """Compare incoming data of PIPELINE with its policy and its last receipts, by name, type and count.

    Values are not printed. Exits with 1 if a change makes the pipeline refuse or lose data. New fields are dropped, and are a
    warning. If there are receipts, their counts need `run/read`.
    """
    from minimize.review.drift import detect_drift

    return detect_drift(**arguments)


@examples("minimize schema policy > policy.schema.json")
@verb(
    "schema",
    click.Argument(
        ["kind"],
        type=click.Choice(
            [
                "policy",
                "pipeline",
                "backfill",
                "recipient",
                "subprocessors",
                "access",
                "contacts",
                "fixtures",
                "configuration",
            ]
        ),
        required=False,
        metavar="KIND",
    ),
)
def schema_command(kind: str | None) -> Printable:
    """Print the JSON Schema of one kind of file, for editors.

    Without KIND, print the schemas of policies and pipelines as one object.
    """
    from minimize.interop.convert import file_schema

    return JsonText(file_schema(kind) if kind else {each: file_schema(each) for each in ("policy", "pipeline")})


@click.group(name="policy")
def policy_group() -> None:
    """Approve a policy, or accept proposals of its draft."""


@examples("minimize policy accept mine os_version battery_pct", "minimize policy accept mine all")
@verb(
    "accept",
    click.Argument(["folder"], type=click.Path(exists=True, file_okay=False), metavar="DIR"),
    click.Argument(["fields"], nargs=-1, required=True, metavar="FIELD…"),
    group=policy_group,
)
def accept_command(folder: str, fields: tuple[str, ...]) -> Printable:
    """Turn the proposals for each FIELD of the draft in DIR into rules.

    The draft is a policy that `minimize init` or `minimize import` wrote. FIELD can also be `tenant`, `subject`, `time`, `record`
    or `all`.
    """
    from minimize.drafting import init

    return init(folder, None, accepted=fields)


@examples("minimize policy approve pipelines/device_telemetry/policy.yaml --actor privacy-officer@example.com")
@verb(
    "approve",
    click.Argument(["path"], type=PATH, metavar="POLICY"),
    click.Option(
        ["--actor", "by"],
        metavar="NAME",
        help="Name of the approver. [env: MINIMIZE_ACTOR] [default: user of the operating system]",
    ),
    click.Option(["--dry-run"], is_flag=True, help="Show the changes since the last approval, and record nothing."),
    OPTIONS["--allow"](help="Approve although lint finds this error in a pipeline. Repeatable."),
    *("--ledger", "--keys"),
    group=policy_group,
)
def approve_command(**arguments: Any) -> Printable:
    """Approve the current content of POLICY and its pipelines.

    The file records it as `approved: {by, on, digest, pipelines}`. The digest covers the rules, the hierarchies and the
    pipelines, so comments and layout may change afterwards. First prints the graded changes since the last approval. A policy
    in which `minimize lint` finds an error is not approved, and a changed policy or pipeline needs a new version. Prints the
    approver and the source of that name.
    """
    from minimize.review.approval import approve

    return approve(**arguments)
