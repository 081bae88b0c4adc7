"""Commands that run a pipeline and check the result: `run`, `receive`, `backfill`, `replay`, `verify`.

They print receipts or findings and give the exit code.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from minimize.cli import options
from minimize.cli.options import DATE, TIME, quiet
from minimize.cli.printing import finding_lines, line_width, progress_bar
from minimize.cli.startup import SKIPPED_EXIT_CODE
from minimize.text import count_noun

if TYPE_CHECKING:
    from minimize.policy.model import Pipeline
    from minimize.receipts import Receipt
    from minimize.runs.backfill import BackfillResult
    from minimize.runs.quarantine_replay import ReplayResult
    from minimize.runs.runner import RunResult
    from minimize.stores import Location


def print_run_result(
    done: RunResult, job: Pipeline, output: str | None, *, pending: bool, skips: bool = False, as_json: bool = False
) -> int:
    """Prints the result of a run, and returns its exit code."""
    from minimize.runs.guards import exit_code, log_run_faults, unfinished_parts
    from minimize.runs.receipt_builder import UNPUBLISHED_SEQUENCE

    receipt = done.receipt
    if as_json:
        click.echo(json.dumps(done.to_json(), indent=2, ensure_ascii=False))
    elif receipt.sequence == UNPUBLISHED_SEQUENCE:
        left = count_noun(len(done.skipped), "date")
        click.echo(f"nothing was published: {left} skipped" if done.skipped else "nothing to do")
    else:
        click.echo(receipt.summary(line_width()))
        click.echo(_results_text(receipt, job.target(output or None)))
    log_run_faults([(receipt, job)])
    if skips and receipt.sequence == UNPUBLISHED_SEQUENCE and not unfinished_parts(receipt):
        return SKIPPED_EXIT_CODE
    return exit_code(receipt, job, done.skipped, pending=pending)


def _results_text(receipt: Receipt, folder: Location) -> str:
    """Returns a text with the folders of the results."""
    from minimize.stores import ObjectPath

    names = [*receipt.outputs, *(["quarantine"] if receipt.quarantine.files else [])]
    outputs = "\n".join(f"  {name}/" for name in names)
    place = folder if isinstance(folder, ObjectPath) else folder.resolve()
    return f"results in {place}\n{outputs}\n  runs/{receipt.run_id}/receipt.json, columns.md"


@click.command()
@options.pipeline
@click.option("--date", type=DATE, metavar="D", help=options.DATE_HELP)
@click.option("--since", type=DATE, metavar="D", help="Only batch dates from this one on, YYYY-MM-DD.")
@click.option("--until", type=DATE, metavar="D", help="Only batch dates up to and including this one, YYYY-MM-DD.")
@click.option("--pending", is_flag=True, help="Only dates whose files are new or changed since their last receipt.")
@click.option(
    "--at", type=TIME, metavar="TIME", help=f"{options.AS_OF_HELP} A time in the past requires --output. [default: now]"
)
@options.engine
@options.pipeline_overrides
@options.observability
@options.keys
@options.only_ledger
@options.allow_shrink()
@click.option("--skip-exit-code", "skips", is_flag=True, help="Exit with 99, not 0, if there is nothing to do.")
@quiet
@options.as_json
def run_command(
    pipeline: str,
    date: str | None,
    since: str | None,
    until: str | None,
    pending: bool,
    at: str | None,
    engine: str,
    input_: str | None,
    settings: str | None,
    output: str | None,
    lineage: str | None,
    metrics: str | None,
    keys: str | None,
    ledger: str | None,
    allow_shrink: bool,
    skips: bool,
    as_json: bool,
) -> int:
    """Minimize the records of PIPELINE into Parquet, with a signed receipt.

    A date whose files cannot be read is skipped, and the other dates are run. For several dates the exit code is the first of
    2, 3, 1, 4 that applies. Exits with 1 if there are no files for --date; the log on stderr names the date and the pattern.

    Exit codes: 0 done, or nothing to do; 1 a date was skipped or is not complete; 2 wrong usage, configuration or file; 3
    refused; 4 too many rows in quarantine.
    """
    from minimize.policy.load import load_pipeline
    from minimize.runs.batch_dates import DateSelection
    from minimize.runs.runner import RunOverrides, run_dates

    job, selection = load_pipeline(pipeline), DateSelection.from_options(date, since, until, pending=pending)
    overrides = RunOverrides(input_, settings, output, keys, ledger, lineage, metrics)
    with progress_bar() as advanced:
        done = run_dates(job, selection, overrides, at=at, engine=engine, progress=advanced, allow_shrink=allow_shrink)
    return print_run_result(done, job, output, pending=pending, skips=skips, as_json=as_json)


@click.command()
@click.argument("recipient")
@click.argument("function")
@click.option(
    "--pipeline",
    type=click.Path(),
    required=True,
    metavar="PIPELINE",
    help="Pipeline that reads the records of the recipient.",
)
@click.option("--date", type=DATE, metavar="D", help=options.DATE_HELP)
@click.option("--pending", is_flag=True, help="Only dates whose files are new or changed since their last receipt.")
@click.option(
    "--at", type=TIME, metavar="TIME", help=f"{options.AS_OF_HELP} A time in the past requires --output. [default: now]"
)
@options.prerequisites
@options.recipients
@options.engine
@options.pipeline_overrides
@options.observability
@options.keys
@options.only_ledger
@options.allow_shrink()
@quiet
@options.as_json
def receive_command(
    recipient: str,
    function: str,
    pipeline: str,
    date: str | None,
    pending: bool,
    at: str | None,
    having: Sequence[str],
    recipients: str | None,
    engine: str,
    input_: str | None,
    settings: str | None,
    output: str | None,
    lineage: str | None,
    metrics: str | None,
    keys: str | None,
    ledger: str | None,
    allow_shrink: bool,
    as_json: bool,
) -> int:
    """Minimize the records that RECIPIENT sends for FUNCTION into Parquet, with a signed receipt.

    Exits with 3 if the recipient's file does not have the function, the contract is not in force, or a prerequisite is not met.
    Rows of tenants without a consent to the function are left out. The receipt counts them as `consent`.
    """
    from minimize.governance.sharing import receive_dates
    from minimize.policy.load import load_pipeline
    from minimize.runs.batch_dates import DateSelection
    from minimize.runs.runner import RunOverrides

    job, selection = load_pipeline(pipeline), DateSelection.from_options(date, None, None, pending=pending)
    overrides = RunOverrides(input_, settings, output, keys, ledger, lineage, metrics, recipients, tuple(having))
    with progress_bar() as advanced:
        done = receive_dates(
            job,
            recipient,
            function,
            selection,
            overrides,
            at=at,
            engine=engine,
            progress=advanced,
            allow_shrink=allow_shrink,
        )
    return print_run_result(done, job, output, pending=pending, as_json=as_json)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--dry-run", is_flag=True, help="List the dates that are done and due, and run nothing.")
@options.engine
@options.pipeline_overrides
@options.observability
@options.keys
@options.only_ledger
@options.allow_shrink()
@options.as_json
def backfill_command(
    file: str,
    dry_run: bool,
    engine: str,
    input_: str | None,
    settings: str | None,
    output: str | None,
    lineage: str | None,
    metrics: str | None,
    keys: str | None,
    ledger: str | None,
    allow_shrink: bool,
    as_json: bool,
) -> int:
    """Run the dates of the backfill FILE again, one by one.

    Dates that this backfill has already run are skipped. The current settings apply. The policy is the current one, or with
    `policy: then` the policy of each date's last receipt.

    Exit codes: 0 done, or nothing to do; 1 a date was skipped or is not complete; 2 wrong usage, configuration or file; 3
    refused; 4 too many rows in quarantine.
    """
    from minimize.runs.backfill import run_backfill
    from minimize.runs.guards import log_run_faults

    with progress_bar() as advanced:
        done = run_backfill(
            file,
            engine=engine,
            only_look=dry_run,
            progress=advanced,
            allow_shrink=allow_shrink,
            input=input_,
            settings=settings,
            output=output,
            keys=keys,
            ledger=ledger,
            lineage=lineage,
            metrics=metrics,
        )
    options.print_result(done.to_json(), as_json, _backfill_text(done, dry_run))
    return log_run_faults([(receipt, done.pipeline) for receipt in done.receipts], done.failures)


def _backfill_text(done: BackfillResult, dry_run: bool) -> str:
    counts = Counter(done.dates.values())
    ahead = f"{counts['due']} due" if dry_run else f"{len(done.receipts)} run now"
    lines = [
        f"backfill {done.backfill.backfill} of {done.pipeline.pipeline}: "
        f"{ahead}, {counts['done']} already done, {counts['no input']} without input"
    ]
    if dry_run:
        return "\n".join([*lines, *(f"  {day}  {state}" for day, state in done.dates.items())])
    lines += [f"{count_noun(len(done.failures), 'date')} skipped"] if done.failures else []
    if not done.receipts:
        return "\n".join([*lines, *([] if done.failures else ["nothing to do"])])
    rows = [
        f"  {receipt.dates[0]}  {receipt.rows.read:,} read, {receipt.rows.written:,} written  ({receipt.run_id})"
        for receipt in done.receipts
    ]
    return "\n".join([*lines, *rows])


@click.command()
@click.argument("output", type=click.Path(file_okay=False))
@options.receipt_overrides
@click.option(
    "--date", type=DATE, metavar="D", help="Batch date, YYYY-MM-DD. [default: all dates with quarantined records]"
)
@click.option(
    "--at", type=TIME, metavar="TIME", help=f"{options.AS_OF_HELP} Not before the last run of the dates. [default: now]"
)
@options.engine
@options.observability
@options.keys
@options.only_ledger
@options.allow_shrink()
@options.as_json
def replay_command(
    output: str,
    pipeline: str | None,
    input_: str | None,
    settings: str | None,
    date: str | None,
    at: str | None,
    engine: str,
    lineage: str | None,
    metrics: str | None,
    keys: str | None,
    ledger: str | None,
    allow_shrink: bool,
    as_json: bool,
) -> int:
    """Run the quarantined records of OUTPUT again under the current policy and settings.

    Each date with a record that now passes is run again completely. Refuses a source that has changed or is missing.
    """
    from minimize.runs.guards import log_run_faults
    from minimize.runs.quarantine_replay import replay

    with progress_bar() as advanced:
        done = replay(
            output,
            date=date,
            engine=engine,
            progress=advanced,
            allow_shrink=allow_shrink,
            lineage=lineage,
            metrics=metrics,
            pipeline=pipeline,
            at=at,
            input=input_,
            settings=settings,
            keys=keys,
            ledger=ledger,
        )
    options.print_result(done.to_json(), as_json, _replay_text(done))
    return log_run_faults([*zip(done.receipts, done.pipelines, strict=True)], done.failures)


def _replay_text(done: ReplayResult) -> str:
    if not done.rechecked:
        return "nothing to do: no records are quarantined"
    lines = [
        f"{each.quarantined.day or 'all'}: {each.rows:,} of {each.quarantined.rows:,} quarantined records now pass"
        for each in done.rechecked
    ]
    lines += [f"{count_noun(len(done.failures), 'date')} skipped"] if done.failures else []
    if not done.receipts:
        return "\n".join([*lines, *([] if done.failures else ["nothing to do: no quarantined record passes"])])
    return "\n".join([*lines, *(receipt.summary(line_width()) for receipt in done.receipts)])


@click.command()
@click.argument("output", type=click.Path(file_okay=False))
@options.keys
@click.option(
    "--public-key",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Verify with this public key (PEM) instead of a keyring.",
)
@click.option(
    "--from-receipt",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Check only the files of receipt N and later. The finding V070 lists the rest.",
)
@options.only_ledger
@quiet
@options.as_json
def verify_command(
    output: str, keys: str | None, public_key: str | None, from_receipt: int, ledger: str | None, as_json: bool
) -> int:
    """Check the files in force of OUTPUT independently against its receipts and the policies in them.

    If there is a ledger, it determines the last receipt.
    """
    from minimize.runs.verify import check_output, verified_extent  # it imports Arrow, which `--help` does not need

    findings = check_output(output, keys=keys, public_key=public_key, ledger=ledger, from_receipt=from_receipt)
    failed = any(finding.severity == "error" for finding in findings)

    def text() -> str:
        verdict = "not verified" if failed else f"verified: {verified_extent(output, from_receipt)}"
        return "\n".join([*finding_lines(findings), verdict])

    body = {"ok": not failed, "findings": [finding.to_json() for finding in findings]}
    options.print_result(body, as_json, text)
    return 1 if failed else 0
