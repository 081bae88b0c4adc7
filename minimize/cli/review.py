"""Commands for reviewers: `diff`, `explain`, `test` (fixtures of a pipeline)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from minimize.cli import options
from minimize.cli.options import TIME
from minimize.cli.printing import write_page
from minimize.cli.tables import print_matrix
from minimize.pages import html_page
from minimize.review.changes import changes_document, changes_markdown, headline
from minimize.review.diff import diff
from minimize.review.explain import explain
from minimize.review.fixtures import try_fixtures
from minimize.text import count_noun, place_text, single_line
from minimize.times import seconds_text, utc_now

if TYPE_CHECKING:
    from minimize.review.changes import ChangeReport
    from minimize.review.explain import FieldExplanation
    from minimize.review.fixtures import FixtureFailure, FixtureResults


@click.command()
@click.argument("old")
@click.argument("new")
@click.argument("path", required=False)
@click.option(
    "--allow", multiple=True, metavar="CODE", help="Do not fail for changes with this code, or `all`. Repeatable."
)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the changes as Markdown, for a pull request.")
@click.option("--html", type=click.Path(dir_okay=False), metavar="FILE", help=options.HTML_HELP)
@options.as_json
def diff_command(
    old: str, new: str, path: str | None, allow: tuple[str, ...], as_markdown: bool, html: str | None, as_json: bool
) -> int:
    """Compare OLD with NEW, and grade each change: tightens, loosens, neutral. Exits with 1 if a change loosens.

    OLD and NEW are policies, pipelines, recipients, access files, or folders of these, on disk or as REVISION:PATH of git.
    `minimize diff main pipelines/` compares a path with its state in a revision. `minimize diff v1 v2 pipelines/` compares two
    revisions.
    """
    if as_json and as_markdown:
        raise click.UsageError("pass --json or --markdown, not both")
    changes = diff(old, new, path, allow=allow)
    if html is not None:
        options.print_result(changes.to_json(), as_json, write_page(html, html_page(changes_document(changes))))
    elif as_json or as_markdown:
        options.print_result(changes.to_json(), as_json, lambda: changes_markdown(changes))
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
@click.option("--tenant", type=options.ID, metavar="T", help="Apply the settings of this tenant.")
@click.option("--at", type=TIME, metavar="TIME", help=options.AT_HELP)
@click.option("--record", metavar="FILE:LINE", help="Explain one record: a line of NDJSON, or a row of CSV or Parquet.")
@click.option("--settings", type=click.Path(), metavar="PATH", help=options.SETTINGS_HELP)
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
    """Explain why PIPELINE releases, changes or drops FIELD, step by step from the rule to the form.

    With --record, the record passes through the stages of a run. The result is printed, but none of its values.
    """
    found = explain(pipeline, field, tenant=tenant, at=at, record=record, settings=settings, keys=keys)
    options.print_result(found.to_json(), as_json, _explanation_text(found))


def _explanation_text(found: FieldExplanation) -> str:
    whom = f" for tenant {found.tenant}" if found.tenant else f" in {found.record}" if found.record else ""
    when = f", as of {seconds_text(found.at)}" if found.at else ""
    lines = [f"{found.field} in {found.pipeline}{whom}{when}: {found.outcome}"]
    lines += [f"{number:>2} {line}" for number, step in enumerate(found.steps, 1) for line in [_step_text(str(step))]]
    unknown = [] if found.unknown_tenant is None else [single_line(str(found.unknown_tenant))]
    return "\n".join([*lines, f"result: {single_line(found.why)}", *unknown])


def _step_text(text: str) -> str:
    return "\n".join(map(single_line, text.split("\n")))


@click.command()
@options.pipeline
@click.option(
    "--at",
    type=TIME,
    metavar="TIME",
    help="Evaluate as of TIME (ISO 8601). [default: latest event time of the fixtures]",
)
@click.option("--settings", type=click.Path(), metavar="PATH", help=options.SETTINGS_HELP)
@click.option("--show", is_flag=True, help="Also print the values that differ.")
@options.as_json
def try_fixtures_command(pipeline: str, at: str | None, settings: str | None, show: bool, as_json: bool) -> int:
    """Test PIPELINE against the fixtures in the folder tests/ next to it. Uses its own keys and writes nothing.

    Every record of NAME.pass.ndjson must be released. No record of NAME.fail.ndjson may be released, and those of
    NAME.REASON.fail.ndjson must fail for that reason. The released rows of NAME.pass.ndjson must equal NAME.expect.ndjson
    (.csv, .parquet), in order; expect.ndjson is for all fixtures together.

    expect.AGGREGATE.ndjson has the rows of an aggregate over all fixtures. Aggregates that wait for late rows (`late`) are
    not tested: their rows depend on batches and earlier receipts, which fixtures do not have. To see them, run `minimize run`
    with another --output.
    """
    done = try_fixtures(pipeline, now=utc_now(), at=at, settings=settings)
    options.print_result(done.to_json(show), as_json, _fixtures_text(done, show))
    return 1 if done.failures else 0


def _fixtures_text(done: FixtureResults, show: bool) -> str:
    lines = [_failure_line(each, show) for each in done.failures]
    head = f"{done.records:,} records tested, {done.rows:,} rows compared, as of {seconds_text(done.at)}"
    return "\n".join(
        [*lines, f"{head}: {count_noun(len(done.failures), 'failure')}" if lines else f"{head}: all passed"]
    )


def _failure_line(each: FixtureFailure, show: bool) -> str:
    field = f" {single_line(each.field)}:" if each.field else ""
    values = f" (expected {each.expected!r}, released {each.found!r})" if show and each.code == "F006" else ""
    return f"{place_text(each.file, each.line)}: {each.code}{field} {each.message}{single_line(values)}"
