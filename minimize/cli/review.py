"""Commands for reviewers: `diff`, `explain`, `test` (fixtures of a pipeline)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from minimize.cli.options import AS_OF_HELP, OPTIONS
from minimize.cli.printing import write_page
from minimize.cli.verb import examples, verb
from minimize.pages import html_page
from minimize.results import AlternativeText, Printable
from minimize.review.changes import changes_document, changes_markdown
from minimize.review.diff import diff
from minimize.review.explain import explain
from minimize.review.fixtures import try_fixtures


@examples(
    "minimize diff main:pipelines/device_telemetry/policy.yaml pipelines/device_telemetry/policy.yaml",
    "minimize diff main HEAD pipelines --markdown",
)
@verb(
    "diff",
    click.Argument(["old"]),
    click.Argument(["new"]),
    click.Argument(["path"], required=False),
    click.Option(
        ["--allow"], multiple=True, metavar="CODE", help="Do not fail for changes with this code, or `all`. Repeatable."
    ),
    click.Option(["--markdown"], is_flag=True, help="Print the changes as Markdown, for a pull request."),
    "--html",
)
def diff_command(markdown: bool, html: str | None, as_json: bool, **arguments: Any) -> Printable:
    """Compare OLD with NEW, and grade each change: tightens, loosens, neutral. Exits with 1 if a change loosens.

    OLD and NEW are policies, pipelines, recipients, access files, or folders of these, on disk or as REVISION:PATH of git.
    `minimize diff main pipelines/` compares a path with its state in a revision. `minimize diff v1 v2 pipelines/` compares two
    revisions.
    """
    if as_json and markdown:
        raise click.UsageError("pass --json or --markdown, not both")
    changes = diff(**arguments)
    if html is not None:
        return write_page(changes, html, html_page(changes_document(changes)))
    return AlternativeText(changes, changes_markdown(changes).split("\n")) if markdown else changes


@examples(
    "minimize explain pipelines/device_support position --tenant contoso --at 2026-11-24T10:00:00Z",
    "minimize explain pipelines/device_telemetry os_version \\\n"
    "      --record sample_data/device_telemetry/2026-11-24/part-00000.ndjson.gz:17",
)
@verb(
    "explain",
    "PIPELINE",
    click.Argument(["field"]),
    OPTIONS["--tenant"](help="Apply the settings of this tenant."),
    "--at",
    click.Option(
        ["--record"],
        metavar="FILE:LINE",
        help="Explain one record: a line of NDJSON, or a row of CSV or Parquet.",
    ),
    *("--settings", "--keys"),
)
def explain_command(**arguments: Any) -> Printable:
    """Explain why PIPELINE releases, changes or drops FIELD, step by step from the rule to the form.

    With --record, the record passes through the stages of a run. The result is printed, but none of its values.
    """
    return explain(**arguments)


@examples("minimize test pipelines/device_telemetry")
@verb(
    "test",
    "PIPELINE",
    OPTIONS["--at"](help=f"{AS_OF_HELP} [default: latest event time of the fixtures]"),
    "--settings",
    click.Option(["--show"], is_flag=True, help="Also print the values that differ."),
)
def try_fixtures_command(now: datetime, **arguments: Any) -> Printable:
    """Test PIPELINE against the fixtures in the folder tests/ next to it. Uses its own keys and writes nothing.

    Every record of NAME.pass.ndjson must be released. No record of NAME.fail.ndjson may be released, and those of
    NAME.REASON.fail.ndjson must fail for that reason. The released rows of NAME.pass.ndjson must equal NAME.expect.ndjson
    (.csv, .parquet), in order; expect.ndjson is for all fixtures together.

    expect.AGGREGATE.ndjson has the rows of an aggregate over all fixtures. Aggregates that wait for late rows (`late`) are
    not tested: their rows depend on batches and earlier receipts, which fixtures do not have. To see them, run `minimize run`
    with another --output.
    """
    return try_fixtures(now=now, **arguments)
