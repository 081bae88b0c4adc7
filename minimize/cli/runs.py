"""Commands about published runs: `runs` (from the ledger's index; receipts are authoritative) and `quarantine`."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final

import click

from minimize.cli.options import (
    LEDGER,
    MADE_BY_HELP,
    OPTIONS,
    RECEIPT_OVERRIDES,
    SHOWN,
    DataPathParameter,
    Places,
)
from minimize.cli.verb import examples, verb
from minimize.governance.ledger_adoption import adopt_ledger
from minimize.governance.republication import republish_run
from minimize.results import Listing, Printable
from minimize.runs.published_runs import rebuild_index, show_run, show_runs, void_run
from minimize.runs.quarantine_replay import show_quarantine
from minimize.runs.resolve import RunRequest
from minimize.workspace import Workspace

_RUN: Final = click.Argument(["run"])
_REASON: Final = click.Option(
    ["--reason"], required=True, metavar="TEXT", help="Reason, without personal data. It is stored in the receipt."
)
_MADE_BY: Final = OPTIONS["--pipeline"](help=MADE_BY_HELP)


@examples("minimize runs", "minimize runs --rebuild")
@verb(
    "runs",
    click.Option(["--rebuild"], is_flag=True, help="Rebuild the index from the receipts of the outputs."),
    click.Option(["--pipeline"], metavar="NAME", help="Only runs of this pipeline."),
    "--ledger",
    OPTIONS["--output"](
        param_decls=["--output", "outputs"], multiple=True, help="Only runs of this output folder. Repeatable."
    ),
    "--keys",
    kind=click.Group,
    invoke_without_command=True,
)
def runs_group(
    now: datetime,
    rebuild: bool,
    pipeline: str | None,
    ledger: str | None,
    outputs: tuple[str, ...],
    keys: str | None,
) -> Printable:
    """List published runs, oldest first.

    --rebuild reads the receipts of the outputs that you name, or else of the outputs on this host that the ledger knows.

    A run concerns all tenants of its input. An account without all tenants sees no runs.
    """
    if rebuild:
        named = Places({"ledger": ledger, "keys": keys, SHOWN: outputs}).workspace
        return Listing("outputs", rebuild_index(named, now), "")
    places = [Places({"ledger": ledger, "output": output, "keys": keys}) for output in outputs or (None,)]
    return show_runs([each.workspace for each in places], pipeline=pipeline)


def _above(name: str) -> Any:
    """The value, or the first value, of an option of `runs` that stands before the name of its command."""
    above = click.get_current_context().parent
    value = None if above is None else above.params[name]
    return next(iter(value), None) if isinstance(value, tuple) else value


def _of_group(workspace: Workspace) -> Workspace:
    """The workspace, with the ledger and output that stand before the name of the command if it names none."""
    return replace(workspace, ledger=workspace.ledger or _above("ledger"), output=workspace.output or _above("outputs"))


@examples("minimize runs show 20261125T022300Z-3b01b7134733")
@verb("show", _RUN, *LEDGER, group=runs_group)
def show_run_command(workspace: Workspace, run: str) -> Printable:
    """Show a run, with its receipt if it can be read here. The start of the id RUN is enough."""
    return show_run(_of_group(workspace), run)


@examples(
    "minimize runs adopt-ledger out/device_telemetry --ledger ledger.db --reason 'the disk failed without a backup'"
)
@verb(
    "adopt-ledger",
    click.Argument(["output"], type=DataPathParameter(file_okay=False)),
    _REASON,
    _MADE_BY,
    click.Option(
        ["--allow-lost-erasures"],
        is_flag=True,
        help="Continue although the erasure list is lost. Erased records may be published again.",
    ),
    *("--ledger", "--keys"),
    group=runs_group,
)
def adopt_ledger_command(workspace: Workspace, reason: str, allow_lost_erasures: bool) -> Printable:
    """Continue OUTPUT with a new ledger.

    Use it if the ledger that the receipts name is lost. A signed receipt records the reason. Erasures that only the lost
    ledger had are lost. Erasures stored with the output still apply.
    """
    named = replace(workspace, ledger=workspace.ledger or _above("ledger"))
    return adopt_ledger(named, reason, allow_lost_erasures=allow_lost_erasures)


@examples('minimize runs void 20261125T022300Z-3b01b7134733 --reason "the clock was ahead"')
@verb(
    "void",
    _RUN,
    _REASON,
    click.Option(
        ["--republish"],
        is_flag=True,
        help="Permit one more release of the exact figures of the run's dates. Takes effect when a second person runs the same"
        " command.",
    ),
    _MADE_BY,
    *LEDGER,
    "--keys",
    group=runs_group,
)
def void_run_command(workspace: Workspace, now: datetime, run: str, reason: str, republish: bool) -> Printable:
    """Declare a run void, for example because the clock was wrong. The start of the id RUN is enough.

    Nothing is deleted: the files stay in force until their dates are run again, for example by `run --pending`. The new run can
    be as of an earlier time.

    Exact figures are published once for each date, also if a run is void. --republish permits one more release. The difference
    of both versions can show single people, so a second person must run the same command.
    """
    named = _of_group(workspace)
    return republish_run(named, run, reason, now) if republish else void_run(named, run, reason)


@examples("minimize quarantine out/device_telemetry --check")
@verb(
    "quarantine",
    "OUTPUT",
    "--date",
    click.Option(
        ["--check"], is_flag=True, help="Also count the records that would pass now. Reads them from the source."
    ),
    *RECEIPT_OVERRIDES,
    "--keys",
)
def quarantine_command(
    workspace: Workspace, date: date | None, check: bool, input: str | None, settings: str | None
) -> Printable:
    """Count the quarantined records of OUTPUT by code, field and file.

    Quarantined records could not be processed. The quarantine has codes and positions, but no values.
    """
    return show_quarantine(workspace, date=date, check=check, request=RunRequest(input=input, settings=settings))
