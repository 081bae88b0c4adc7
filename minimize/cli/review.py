"""Commands for reviewers: `diff`, `explain`, `test` (fixtures of a pipeline)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from minimize.cli import options
from minimize.cli.options import TIME
from minimize.cli.printing import single_line
from minimize.cli.tables import print_matrix
from minimize.review.changes import changes_markdown, headline
from minimize.review.diff import diff
from minimize.review.explain import explain
from minimize.review.fixtures import try_fixtures
from minimize.text import place_text
from minimize.times import seconds_text, utc_now

if TYPE_CHECKING:
    from minimize.review.changes import ChangeReport
    from minimize.review.explain import FieldExplanation
    from minimize.review.fixtures import FixtureFailure, FixtureResults


@click.command()
@click.argument("old")
@click.argument("new")
@click.argument("path", required=False)
@click.option("--allow", multiple=True, metavar="CODE", help="A code that may loosen, or `all`; as often as needed.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the changes as Markdown, for a pull request.")
@options.as_json
def diff_command(old: str, new: str, path: str | None, allow: tuple[str, ...], as_markdown: bool, as_json: bool) -> int:
    """What changed from OLD to NEW, graded: tightens, loosens, neutral. Exits with 1 where something loosens.

    OLD and NEW are policies, pipelines, recipients, access files, or folders of these; each may be REVISION:PATH of git.
    `minimize diff main pipelines/` compares with what a path was in a revision, `minimize diff v1 v2 pipelines/` two revisions.
    """
    if as_json and as_markdown:
        raise click.UsageError("--json or --markdown, not both")
    changes = diff(old, new, path, allow=allow)
    if as_json or as_markdown:
        options.print_result(changes.as_json(), as_json, lambda: changes_markdown(changes))
    else:
        print_changes(changes)
    return 1 if changes.not_allowed else 0


def print_changes(changes: ChangeReport) -> None:
    """Prints the changes as a table."""
    if changes.changes:
        rows = [
            (
                change.code,
                (
                    f"{change.grade} (allowed)" if changes.is_allowed(change) else change.grade,
                    single_line(change.about or ""),
                    single_line(change.message),
                    single_line(change.place),
                ),
            )
            for change in changes.changes
        ]
        print_matrix("code", ("grade", "about", "change", "where"), rows)
    click.echo(headline(changes))


@click.command()
@options.pipeline
@click.argument("field")
@click.option("--tenant", type=options.ID, metavar="T", help="For one tenant, whose settings decide.")
@click.option("--at", type=TIME, metavar="TIME", help="As of this time (ISO 8601), not now.")
@click.option("--record", metavar="FILE:LINE", help="For one record (a line of NDJSON, a row of CSV or Parquet).")
@click.option("--settings", type=click.Path(), metavar="PATH", help="Collection settings, CSV or Parquet.")
@options.keys
@options.as_json
def explain_command(
    pipeline: str,
    field: str,
    tenant: str | None,
    at: str | None,
    record: str | None,
    settings: str | None,
    keys: str | None,
    as_json: bool,
) -> None:
    """Why FIELD leaves PIPELINE as it does, or does not: step by step, from the rule to the form.

    With --record the record goes through the stages of a run; what becomes of it is told, and none of its values.
    """
    found = explain(pipeline, field, tenant=tenant, at=at, record=record, settings=settings, keys=keys)
    options.print_result(found.as_json(), as_json, _explanation_text(found))


def _explanation_text(found: FieldExplanation) -> str:
    whom = f" for tenant {found.tenant}" if found.tenant else f" in {found.record}" if found.record else ""
    when = f", as of {seconds_text(found.at)}" if found.at else ""
    lines = [f"{found.field} in {found.pipeline}{whom}{when}: {found.outcome}"]
    lines += [f"{number:>2} {line}" for number, step in enumerate(found.steps, 1) for line in [_step_text(str(step))]]
    unknown = [] if found.unknown_tenant is None else [single_line(str(found.unknown_tenant))]
    return "\n".join([*lines, f"so: {single_line(found.why)}", *unknown])


def _step_text(text: str) -> str:
    return "\n".join(map(single_line, text.split("\n")))


@click.command()
@options.pipeline
@click.option(
    "--at", type=TIME, metavar="TIME", help="As of this time (ISO 8601), not the latest event time of the fixtures."
)
@click.option("--settings", type=click.Path(), metavar="PATH", help="Collection settings, CSV or Parquet.")
@click.option("--show", is_flag=True, help="Print the values that differ, too.")
@options.as_json
def try_fixtures_command(pipeline: str, at: str | None, settings: str | None, show: bool, as_json: bool) -> int:
    """Try the fixtures in the folder tests/ beside PIPELINE, with keys of their own; nothing is written.

    Every record of NAME.pass.ndjson must leave, none of NAME.fail.ndjson may (of NAME.REASON.fail.ndjson: for that reason), and
    the rows of NAME.pass.ndjson must be those of NAME.expect.ndjson (.csv, .parquet), in order; expect.ndjson is of all of them.

    expect.AGGREGATE.ndjson is of an aggregate over all of them. Aggregates that wait for late rows (`late`) are not tried: what
    they publish depends on batches and earlier receipts, and fixtures have neither. `minimize run` into another --output shows
    them.
    """
    done = try_fixtures(pipeline, now=utc_now(), at=at, settings=settings)
    options.print_result(done.as_json(show), as_json, _fixtures_text(done, show))
    return 1 if done.failures else 0


def _fixtures_text(done: FixtureResults, show: bool) -> str:
    lines = [_failure_line(each, show) for each in done.failures]
    head = f"{done.records:,} records tried, {done.rows:,} rows compared, as of {seconds_text(done.at)}"
    return "\n".join(
        [*lines, f"{head}: {len(done.failures)} not as the fixtures say" if lines else f"{head}: all as they say"]
    )


def _failure_line(each: FixtureFailure, show: bool) -> str:
    field = f" {single_line(each.field)}:" if each.field else ""
    values = f" ({each.expected!r} was expected, {each.found!r} leaves)" if show and each.code == "F006" else ""
    return f"{place_text(each.file, each.line)}: {each.code}{field} {each.message}{single_line(values)}"
