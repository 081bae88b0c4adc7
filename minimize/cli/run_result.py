"""Prints what a run did: its receipt, and where the results are."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import click

from minimize.cli.quiet import SKIPPED
from minimize.cli.width import width
from minimize.counts import counted

if TYPE_CHECKING:
    from minimize.job.job import RunResult
    from minimize.policy.pipeline import Pipeline
    from minimize.receipt import Receipt
    from minimize.stores import Place

log = logging.getLogger("minimize")


def print_run(
    done: RunResult, job: Pipeline, output: str | None, *, pending: bool, skips: bool = False, as_json: bool = False
) -> int:
    """Prints what a run did, and gives its exit code."""
    from minimize.job.limits import exit_code, quarantine_exceeded, unfinished
    from minimize.job.told import NOTHING

    receipt = done.receipt
    if as_json:
        click.echo(json.dumps(done.as_json(), indent=2, ensure_ascii=False))
    elif receipt.sequence == NOTHING:
        left = counted(len(done.skipped), "date")
        click.echo(f"nothing was published: {left} left alone" if done.skipped else "nothing to do")
    else:
        click.echo(receipt.summary(width()))
        click.echo(_where(receipt, job.target(output or None)))
    exceeded = quarantine_exceeded(receipt, job)
    if exceeded:
        log.error(exceeded, extra={"code": "W012", "run_id": receipt.run_id})
    undone = unfinished(receipt)
    if undone:
        log.error(undone, extra={"code": "W015", "run_id": receipt.run_id})
    if skips and receipt.sequence == NOTHING and not undone:
        return SKIPPED
    return exit_code(receipt, job, done.skipped, pending=pending)


def _where(receipt: Receipt, folder: Place) -> str:
    """Where the results are, and how to look at them."""
    from minimize.stores import Remote

    names = [*receipt.outputs, *(["quarantine"] if receipt.quarantine.files else [])]
    outputs = "\n".join(f"  {name}/" for name in names)
    place = folder if isinstance(folder, Remote) else folder.resolve()
    return f"results in {place}\n{outputs}\n  runs/{receipt.run_id}/receipt.json, columns.md"
