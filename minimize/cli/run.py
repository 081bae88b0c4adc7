"""Commands that run a pipeline and check the result: `run`, `receive`, `backfill`, `replay`, `verify`."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import click

from minimize.cli.options import (
    AS_OF_HELP,
    DATE,
    FILE,
    OBSERVABILITY,
    OPTIONS,
    PIPELINE_OVERRIDES,
    RECEIPT_OVERRIDES,
)
from minimize.cli.startup import SKIPPED_EXIT_CODE
from minimize.cli.verb import examples, verb

if TYPE_CHECKING:
    from minimize.results import Printable
    from minimize.runs.batch_dates import DateSelection
    from minimize.runs.resolve import RunRequest
    from minimize.runs.runner import Execution, RegionalRuns, RunResult
    from minimize.workspace import Workspace

_EXECUTION: Final = (*OBSERVABILITY, "--keys", "--ledger", "--allow-shrink", "--allow")
_AT: Final = OPTIONS["--at"](help=f"{AS_OF_HELP} A time in the past requires --output. [default: now]")
_SKIP_EXIT_CODE: Final = click.Option(
    ["--skip-exit-code", "skips"], is_flag=True, help="Exit with 99, not 0, if there is nothing to do."
)


@examples(
    "minimize run pipelines/device_telemetry --date 2026-11-24",
    "minimize run pipelines/device_telemetry --pending",
    "minimize run pipelines/device_telemetry --at 2026-11-25T00:00:00Z --output out/as_of_then",
)
@verb(
    "run",
    *("PIPELINE", "--date"),
    OPTIONS["--since"](type=DATE, metavar="D", help="Only batch dates from this one on, YYYY-MM-DD."),
    OPTIONS["--until"](type=DATE, metavar="D", help="Only batch dates up to and including this one, YYYY-MM-DD."),
    "--pending",
    _AT,
    "--engine",
    *PIPELINE_OVERRIDES,
    *_EXECUTION,
    _SKIP_EXIT_CODE,
    quiet=True,
)
def run_command(
    workspace: Workspace,
    date: date | None,
    since: date | None,
    until: date | None,
    pending: bool,
    skips: bool,
    **options: Any,
) -> Printable:
    """Minimize the records of PIPELINE into Parquet, with a signed receipt.

    If regions are configured and --region is missing, each region is run in turn, with an output and a receipt of its own. An
    error in one region does not stop the others.

    A date whose files cannot be read is skipped, and the other dates are run. For several dates the exit code is the first of
    2, 3, 1, 4 that applies. Exits with 1 if there are no files for --date; the log on stderr names the date and the pattern.

    Exit codes: 0 done, or nothing to do; 1 a date was skipped or is not complete; 2 wrong usage, configuration or file; 3
    refused; 4 too many rows in quarantine.
    """
    from minimize.runs.batch_dates import DateSelection
    from minimize.runs.runner import permitted_regions, run_dates, run_regions

    request, execution = _request_and_execution(
        DateSelection.from_options(date, since, until, pending=pending), **options
    )
    regions = permitted_regions(workspace, request)
    result: RunResult | RegionalRuns = (
        run_regions(workspace, regions, request, execution) if regions else run_dates(workspace, request, execution)
    )
    return replace(result, idle_exit_code=SKIPPED_EXIT_CODE if skips else 0)


def _request_and_execution(selection: DateSelection | None = None, **options: Any) -> tuple[RunRequest, Execution]:
    """What a run is asked to do, and how it is executed, from the options of a command."""
    from minimize.runs.batch_dates import DateSelection
    from minimize.runs.resolve import RunRequest
    from minimize.runs.runner import Execution

    of_request = {each.name: options[each.name] for each in fields(RunRequest) if each.name in options}
    of_execution = {each.name: options[each.name] for each in fields(Execution) if each.name in options}
    return RunRequest(selection or DateSelection(), **of_request), Execution(**of_execution)


@examples(
    "minimize receive jamf compliance --pipeline pipelines/jamf_compliance --date 2026-11-24",
    "minimize receive jamf compliance --pipeline pipelines/jamf_compliance --pending",
)
@verb(
    "receive",
    *("RECIPIENT", "FUNCTION"),
    OPTIONS["--pipeline"](required=True, help="Pipeline that reads the records of the recipient."),
    *("--date", "--pending"),
    _AT,
    *("--recipients", "--engine"),
    *PIPELINE_OVERRIDES,
    *_EXECUTION,
    quiet=True,
)
def receive_command(
    workspace: Workspace, recipient: str, function: str, date: date | None, pending: bool, **options: Any
) -> Printable:
    """Minimize the records that RECIPIENT sends for FUNCTION into Parquet, with a signed receipt.

    Exits with 3 if the recipient's file does not have the function. Rows of tenants without a consent to the function, without a
    contract with an independent controller, or without a confirmed prerequisite are left out. The receipt counts them as
    `consent`.
    """
    from minimize.governance.sharing import receive_dates
    from minimize.runs.batch_dates import DateSelection

    request_and_execution = _request_and_execution(DateSelection.from_options(date, pending=pending), **options)
    return receive_dates(workspace, recipient, function, *request_and_execution)


@examples("minimize backfill backfills/coarser_storage.yaml --dry-run")
@verb(
    "backfill",
    click.Argument(["file"], type=FILE),
    click.Option(["--dry-run"], is_flag=True, help="List the dates that are done and due, and run nothing."),
    "--engine",
    *PIPELINE_OVERRIDES,
    *_EXECUTION,
    quiet=True,
)
def backfill_command(workspace: Workspace, file: str, dry_run: bool, **options: Any) -> Printable:
    """Run the dates of the backfill FILE again, one by one.

    Dates that this backfill has already run are skipped. The current settings apply. The policy is the current one, or with
    `policy: then` the policy of each date's last receipt.

    Exit codes: 0 done, or nothing to do; 1 a date was skipped or is not complete; 2 wrong usage, configuration or file; 3
    refused; 4 too many rows in quarantine.
    """
    from minimize.runs.backfill import load_backfill, run_backfill

    plan, (request, execution) = load_backfill(file), _request_and_execution(**options)
    named = replace(workspace, pipeline=plan.pipeline_path)
    return run_backfill(named, plan, request, execution, dry_run=dry_run)


@examples("minimize replay out/device_telemetry --date 2026-11-24")
@verb(
    "replay",
    "OUTPUT",
    *RECEIPT_OVERRIDES,
    OPTIONS["--date"](help="Batch date, YYYY-MM-DD. [default: all dates with quarantined records]"),
    OPTIONS["--at"](help=f"{AS_OF_HELP} Not before the last run of the dates. [default: now]"),
    "--engine",
    *_EXECUTION,
    quiet=True,
)
def replay_command(workspace: Workspace, date: date | None, **options: Any) -> Printable:
    """Run the quarantined records of OUTPUT again under the current policy and settings.

    Each date with a record that now passes is run again completely. Refuses a source that has changed or is missing.
    """
    from minimize.runs.quarantine_replay import replay

    request, execution = _request_and_execution(**options)
    return replay(workspace, date=date, request=request, execution=execution)


@examples(
    "minimize verify out/device_telemetry --keys demo.keys",
    "minimize verify out/device_telemetry --public-key public.json",
)
@verb(
    "verify",
    *("OUTPUT", "--keys", "--public-key"),
    click.Option(
        ["--from-receipt"],
        type=click.IntRange(min=1),
        default=1,
        metavar="N",
        help="Check only the files of receipt N and later. The finding V070 lists the rest.",
    ),
    "--ledger",
    quiet=True,
)
def verify_command(**arguments: Any) -> Printable:
    """Check the files in force of OUTPUT independently against its receipts and the policies in them.

    If there is a ledger, it determines the last receipt.
    """
    from minimize.runs.verify import verify_output  # it imports Arrow, which `--help` does not need

    return verify_output(**arguments)
