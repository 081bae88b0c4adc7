"""Commands about published runs: `runs` (from the ledger's index; receipts are authoritative) and `quarantine show`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from minimize.cli import options
from minimize.cli.options import DATE
from minimize.cli.printing import line_width
from minimize.cli.tables import print_counts
from minimize.governance.ledger_adoption import adopt_ledger
from minimize.runs.published_runs import list_runs, rebuild_index, run_json, show_run, void_run
from minimize.runs.quarantine_replay import count_groups, quarantined_dates, recheck_quarantine
from minimize.stores import parse_output_location
from minimize.text import count_noun
from minimize.times import utc_now

if TYPE_CHECKING:
    from minimize.ledger.runs import RunRow


@click.group(name="runs", invoke_without_command=True)
@click.option("--rebuild", is_flag=True, help="Rebuild the index from the receipts of the outputs.")
@click.option("--pipeline", metavar="NAME", help="Only runs of this pipeline.")
@options.only_ledger
@click.option(
    "--output",
    "outputs",
    type=click.Path(file_okay=False),
    multiple=True,
    metavar="DIR",
    help="Only runs of this output folder. Repeatable.",
)
@options.keys
@options.as_json
@click.pass_context
def runs_group(
    ctx: click.Context,
    rebuild: bool,
    pipeline: str | None,
    ledger: str | None,
    outputs: tuple[str, ...],
    keys: str | None,
    as_json: bool,
) -> None:
    """List published runs, oldest first.

    --rebuild reads the receipts of the outputs that you name, or else of the outputs on this host that the ledger knows.
    """
    if ctx.invoked_subcommand is not None:
        ctx.obj = (ledger, outputs[0] if outputs else None)
    elif rebuild:
        _rebuild_index(ledger, outputs, keys, as_json)
    else:
        _print_runs(ledger, outputs, pipeline, as_json)


@runs_group.command("show")
@click.argument("run")
@options.ledger
@options.as_json
@click.pass_obj
def show_run_command(
    above: tuple[str | None, str | None], run: str, ledger: str | None, output: str | None, as_json: bool
) -> None:
    """Show a run, with its receipt if it can be read here. The start of the id RUN is enough."""
    row, receipt = show_run(run, ledger or above[0], output=output or above[1])
    head = f"{_run_line(row)}\n  in {row.folder} on {row.host}, receipt {row.sequence} {row.digest}"
    summary = "  the receipt cannot be read here" if receipt is None else receipt.summary(line_width())
    options.print_result(run_json(row, receipt), as_json, f"{head}\n{summary}")


@runs_group.command("adopt-ledger")
@click.argument("output", type=options.DataPathParameter(file_okay=False))
@click.option(
    "--reason", required=True, metavar="TEXT", help="Reason, without personal data. It is stored in the receipt."
)
@click.option("--pipeline", type=click.Path(), metavar="PIPELINE", help=options.MADE_BY_HELP)
@click.option(
    "--allow-lost-erasures",
    is_flag=True,
    help="Continue although the erasure list is lost. Erased records may be published again.",
)
@options.only_ledger
@options.keys
@options.as_json
@click.pass_obj
def adopt_ledger_command(
    above: tuple[str | None, str | None],
    output: str,
    reason: str,
    pipeline: str | None,
    allow_lost_erasures: bool,
    ledger: str | None,
    keys: str | None,
    as_json: bool,
) -> None:
    """Continue OUTPUT with a new ledger.

    Use it if the ledger that the receipts name is lost. A signed receipt records the reason. Erasures that only the lost
    ledger had are lost. Erasures stored with the output still apply.
    """
    receipt = adopt_ledger(
        output,
        reason,
        pipeline=pipeline,
        keys=keys,
        ledger=ledger or above[0],
        allow_lost_erasures=allow_lost_erasures,
    )
    text = (
        "nothing to do: the receipts of this output already name this ledger"
        if receipt is None
        else receipt.summary(line_width())
    )
    options.print_result({"receipt": None if receipt is None else receipt.to_json()}, as_json, text)


@runs_group.command("void")
@click.argument("run")
@click.option(
    "--reason", required=True, metavar="TEXT", help="Reason, without personal data. It is stored in the receipt."
)
@click.option("--pipeline", type=click.Path(), metavar="PIPELINE", help=options.MADE_BY_HELP)
@options.ledger
@options.keys
@options.as_json
@click.pass_obj
def void_run_command(
    above: tuple[str | None, str | None],
    run: str,
    reason: str,
    pipeline: str | None,
    ledger: str | None,
    output: str | None,
    keys: str | None,
    as_json: bool,
) -> None:
    """Declare a run void, for example because the clock was wrong. The start of the id RUN is enough.

    Nothing is deleted: the files stay in force until their dates are run again, for example by `run --pending`. The new run can
    be as of an earlier time.
    """
    places = {"output": output or above[1], "pipeline": pipeline, "ledger": ledger or above[0], "keys": keys}
    receipt = void_run(run, reason, **places)
    dates = ", ".join(receipt.dates) or "all"
    options.print_result(
        receipt.to_json(), as_json, f"{receipt.voids} is void; run these dates again: {dates}  ({receipt.run_id})"
    )


def _print_runs(ledger: str | None, outputs: tuple[str, ...], pipeline: str | None, as_json: bool) -> None:
    each = outputs or (None,)
    rows = [row for output in each for row in list_runs(ledger, output=output, pipeline=pipeline)]
    body = {"runs": [row.to_json() for row in rows]}
    options.print_result(body, as_json, "\n".join(map(_run_line, rows)) or "no runs")


def _rebuild_index(ledger: str | None, outputs: tuple[str, ...], keys: str | None, as_json: bool) -> None:
    done = rebuild_index(outputs, ledger, keys=keys, now=utc_now())
    lines = [
        f"{count_noun(each.runs, 'run')} of {each.folder}; {each.recorded:,} added to the audit log" for each in done
    ]
    body = [{"output": each.folder, "runs": each.runs, "told": each.recorded} for each in done]
    options.print_result({"outputs": body}, as_json, "\n".join(lines))


def _run_line(row: RunRow) -> str:
    dates = ", ".join(row.dates) or "all"
    if len(row.dates) > 3:
        dates = f"{row.dates[0]} … {row.dates[-1]} ({len(row.dates)})"
    counts = f"{row.read:,} read, {row.written:,} written, {row.quarantined:,} quarantined"
    void = "  void" if row.void else ""
    return f"{row.run_id}  {row.pipeline}  {row.kind}  {dates}  {counts}{void}"


@click.group(name="quarantine")
def quarantine_group() -> None:
    """Count quarantined records by code, field and file.

    Quarantined records could not be processed. The quarantine has codes and positions, but no values.
    """


@quarantine_group.command("show")
@click.argument("output", type=click.Path(file_okay=False))
@click.option("--date", type=DATE, metavar="D", help=options.DATE_HELP)
@click.option("--check", is_flag=True, help="Also count the records that would pass now. Reads them from the source.")
@options.receipt_overrides
@options.keys
@options.as_json
def show_quarantine_command(
    output: str,
    date: str | None,
    check: bool,
    pipeline: str | None,
    input_: str | None,
    settings: str | None,
    keys: str | None,
    as_json: bool,
) -> None:
    """Count the quarantined records of OUTPUT by code, field and file."""
    found = quarantined_dates(parse_output_location(output), date)
    groups = count_groups(found)
    if check:
        rechecked = recheck_quarantine(output, date=date, pipeline=pipeline, input=input_, settings=settings, keys=keys)
        passing = Counter(group for each in rechecked for group in each.groups())
        groups = [{**each, "passing": passing[each["code"], each["field"], each["file"]]} for each in groups]
    rows = sum(each.rows for each in found)
    if as_json:
        options.print_json({"rows": rows, "groups": groups})
    elif not groups:
        click.echo("no records are quarantined")
    else:
        _print_quarantine(groups, rows)


def _print_quarantine(groups: list[dict[str, Any]], rows: int) -> None:
    numbers = [name for name in ("rows", "passing") if name in groups[0]]
    print_counts(groups, ("code", "field", "file"), numbers)
    total = f"{count_noun(rows, 'record')} in quarantine"
    passing = f"; {sum(each['passing'] for each in groups):,} would pass now" if "passing" in groups[0] else ""
    click.echo(total + passing)
