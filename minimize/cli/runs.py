"""`minimize runs`: what was published, from the ledger's index; receipts are the truth behind it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from minimize.cli import options
from minimize.cli.width import width
from minimize.counts import counted

if TYPE_CHECKING:
    from minimize.ledger.runs import RunRow


@click.group(name="runs", invoke_without_command=True)
@click.option("--rebuild", is_flag=True, help="Make the index anew from the receipts of the outputs.")
@click.option("--pipeline", metavar="NAME", help="Of this pipeline only.")
@options.only_ledger
@click.option(
    "--output", "outputs", type=click.Path(file_okay=False), multiple=True, metavar="DIR", help="Of this output."
)
@options.keys
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    rebuild: bool,
    pipeline: str | None,
    ledger: str | None,
    outputs: tuple[str, ...],
    keys: str | None,
    as_json: bool,
) -> None:
    """List the runs that were published, oldest first.

    --rebuild takes them from the receipts of the outputs that are named, else of those that the ledger knows on this host.
    """
    if ctx.invoked_subcommand is not None:
        ctx.obj = (ledger, outputs[0] if outputs else None)
    elif rebuild:
        _rebuild(ledger, outputs, keys, as_json)
    else:
        _list(ledger, outputs, pipeline, as_json)


@command.command("show")
@click.argument("run")
@options.ledger
@options.as_json
@click.pass_obj
def show(above: tuple[str | None, str | None], run: str, ledger: str | None, output: str | None, as_json: bool) -> None:
    """Show the run whose id is (or begins with) RUN, with its receipt where that is here."""
    from minimize.indexing import as_json as of_run
    from minimize.indexing import show_run

    row, receipt = show_run(run, ledger or above[0], output=output or above[1])
    if as_json:
        click.echo(json.dumps(of_run(row, receipt), indent=2))
        return
    click.echo(f"{_line(row)}\n  in {row.folder} on {row.host}, receipt {row.sequence} {row.digest}")
    click.echo("  its receipt cannot be read here" if receipt is None else receipt.summary(width()))


@command.command("adopt-ledger")
@click.argument("output", type=options.Data(file_okay=False))
@click.option("--reason", required=True, metavar="TEXT", help="Why another ledger takes the place of the one before.")
@click.option(
    "--pipeline", type=click.Path(), metavar="PIPELINE", help="The pipeline that made it (else as its receipts say)."
)
@click.option(
    "--allow-lost-erasures",
    is_flag=True,
    help="Go on though the list of erasures is gone: erased records may come back.",
)
@options.only_ledger
@options.keys
@options.as_json
@click.pass_obj
def adopt(
    above: tuple[str | None, str | None],
    output: str,
    reason: str,
    pipeline: str | None,
    allow_lost_erasures: bool,
    ledger: str | None,
    keys: str | None,
    as_json: bool,
) -> None:
    """Continue OUTPUT with another ledger than its receipts name, if that one is lost.

    A signed receipt records the reason. Erasures that only the lost ledger knew are not known to the new one; those that were
    stored with the output still count.
    """
    from minimize.governance.retention.adopting import adopt_ledger

    receipt = adopt_ledger(
        output,
        reason,
        pipeline=pipeline,
        keys=keys,
        ledger=ledger or above[0],
        allow_lost_erasures=allow_lost_erasures,
    )
    text = (
        "nothing to do: the receipts of this output name this ledger" if receipt is None else receipt.summary(width())
    )
    options.show({"receipt": None if receipt is None else receipt.as_json()}, as_json, text)


@command.command("void")
@click.argument("run")
@click.option("--reason", required=True, metavar="TEXT", help="Why; without personal data. It is kept in the receipt.")
@click.option(
    "--pipeline", type=click.Path(), metavar="PIPELINE", help="The pipeline that made it (else as receipts say)."
)
@options.ledger
@options.keys
@options.as_json
@click.pass_obj
def void(
    above: tuple[str | None, str | None],
    run: str,
    reason: str,
    pipeline: str | None,
    ledger: str | None,
    output: str | None,
    keys: str | None,
    as_json: bool,
) -> None:
    """Record that the run whose id is (or begins with) RUN does not count, for example because the clock was wrong.

    Nothing is deleted: its files stay in force until its dates are run again, which `run --pending` does. They may then be run as
    of an earlier time.
    """
    from minimize.job.void import void_run

    places = {"output": output or above[1], "pipeline": pipeline, "ledger": ledger or above[0], "keys": keys}
    receipt = void_run(run, reason, **places)
    dates = ", ".join(receipt.dates) or "all"
    options.show(receipt.as_json(), as_json, f"{receipt.voids} is void; run again: {dates}  ({receipt.run_id})")


def _list(ledger: str | None, outputs: tuple[str, ...], pipeline: str | None, as_json: bool) -> None:
    from minimize.indexing import list_runs

    each = outputs or (None,)
    rows = [row for output in each for row in list_runs(ledger, output=output, pipeline=pipeline)]
    body = {"runs": [row.as_json() for row in rows]}
    options.show(body, as_json, "\n".join(map(_line, rows)) or "no runs")


def _rebuild(ledger: str | None, outputs: tuple[str, ...], keys: str | None, as_json: bool) -> None:
    from minimize.indexing import rebuild

    done = rebuild(outputs, ledger, keys=keys, now=datetime.now(UTC))
    lines = [f"{counted(each.runs, 'run')} of {each.folder}; the audit log was told of {each.told:,}" for each in done]
    body = [{"output": each.folder, "runs": each.runs, "told": each.told} for each in done]
    options.show({"outputs": body}, as_json, "\n".join(lines))


def _line(row: RunRow) -> str:
    dates = ", ".join(row.dates) or "all"
    if len(row.dates) > 3:
        dates = f"{row.dates[0]} … {row.dates[-1]} ({len(row.dates)})"
    counts = f"{row.read:,} read, {row.written:,} written, {row.quarantined:,} quarantined"
    void = "  void" if row.void else ""
    return f"{row.run_id}  {row.pipeline}  {row.kind}  {dates}  {counts}{void}"
