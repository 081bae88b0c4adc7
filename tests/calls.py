"""Operations on outputs, called with a folder and keyword arguments in place of a workspace and a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from minimize.governance import audit, ledger_adoption, republication
from minimize.ledger.audit_check import AuditCheckResult
from minimize.ledger.audit_event import EntryFilter
from minimize.ledger.runs import RunRow
from minimize.removal import expire as expiry
from minimize.removal.expiry_plan import ResolvedExpiry
from minimize.runs import backfill as backfills
from minimize.runs import inspection, published_runs, quarantine_replay
from minimize.runs.batch_dates import DateSelection, error_for
from minimize.runs.resolve import ResolvedRun, RunRequest, resolve_run
from minimize.runs.runner import Execution, RunResult, run_dates
from minimize.settings import SettingsRows
from minimize.workspace import Workspace

_PLACES = ("ledger", "output", "pipeline", "keys", "region")


def asked(given: dict[str, Any]) -> tuple[Workspace, RunRequest, Execution]:
    """Takes workspace, request and execution out of keyword arguments."""
    workspace = Workspace(**{name: given.pop(name) for name in _PLACES if name in given})
    request = RunRequest(**{each.name: given.pop(each.name) for each in fields(RunRequest) if each.name in given})
    execution = Execution(**{each.name: given.pop(each.name) for each in fields(Execution) if each.name in given})
    return workspace, request, execution


def replay(output: Any, **given: Any) -> quarantine_replay.ReplayResult:
    """`replay`."""
    workspace, request, execution = asked({"output": output, **given})
    return quarantine_replay.replay(workspace, date=given.get("date"), request=request, execution=execution)


def recheck_quarantine(output: Any, **given: Any) -> list[quarantine_replay.RecheckedDate]:
    """`recheck_quarantine`."""
    workspace, request, _ = asked({"output": output, **given})
    return quarantine_replay.recheck_quarantine(workspace, date=given.get("date"), request=request)


def show_quarantine(output: Any, **given: Any) -> quarantine_replay.QuarantineCounts:
    """`show_quarantine`."""
    workspace, request, _ = asked({"output": output, **given})
    more = {name: given[name] for name in ("date", "check") if name in given}
    return quarantine_replay.show_quarantine(workspace, request=request, **more)


def run_backfill(file: Path | str, *, dry_run: bool = False, **given: Any) -> backfills.BackfillResult:
    """`run_backfill`."""
    plan = backfills.load_backfill(file)
    workspace, request, execution = asked({"pipeline": plan.pipeline_path, **given})
    return backfills.run_backfill(workspace, plan, request, execution, dry_run=dry_run)


def backfill(file: Path | str, **given: Any) -> backfills.BackfillResult:
    """`run_backfill`; raises the error of a date that failed."""
    result = run_backfill(file, **given)
    if result.failures:
        raise error_for(result.failures, "the backfill is not complete")
    return result


def resolved(pipeline: Any, **given: Any) -> ResolvedRun:
    """`resolve_run`."""
    workspace, request, _ = asked({"pipeline": pipeline, **given})
    return resolve_run(workspace, request)


def run_selected(pipeline: Any, selection: DateSelection, **given: Any) -> RunResult:
    """`run_dates`."""
    return run_dates(*asked({"pipeline": pipeline, "selection": selection, **given}))


def resolve_expiry(output: Any, **given: Any) -> ResolvedExpiry:
    """`resolve_expiry`."""
    more = {name: given.pop(name) for name in ("at", "events") if name in given}
    return expiry.resolve_expiry(Workspace(output=output, **given), **more)


def open_items(output: Any, **given: Any) -> Sequence[Any]:
    """`open_items`."""
    more = {name: given.pop(name) for name in ("at", "events") if name in given}
    return expiry.open_items(Workspace(output=output, **given), **more)


def void_run(run: str, reason: str, **places: Any) -> Any:
    """`void_run`."""
    return published_runs.void_run(Workspace(**places), run, reason)


def republish_run(run: str, reason: str, now: Any, **places: Any) -> Any:
    """`republish_run`."""
    return republication.republish_run(Workspace(**places), run, reason, now)


def adopt_ledger(output: Any, reason: str, *, allow_lost_erasures: bool = False, **places: Any) -> Any:
    """`adopt_ledger`."""
    workspace = Workspace(output=output, **places)
    return ledger_adoption.adopt_ledger(workspace, reason, allow_lost_erasures=allow_lost_erasures)


def load_pipeline_settings(
    settings: Any, job: Any, keys: Any = None, output: Any = None, ledger: Any = None
) -> SettingsRows | None:
    """The settings in effect for a pipeline."""
    return Workspace(ledger, output, job, keys).load_settings(settings)


def list_runs(ledger: Any = None, *, output: Any = None, pipeline: str | None = None) -> list[RunRow]:
    """`list_runs`."""
    return published_runs.list_runs(Workspace(ledger, output), pipeline=pipeline)


def show_run(run_id: str, ledger: Any = None, *, output: Any = None) -> published_runs.PublishedRun:
    """`show_run`."""
    return published_runs.show_run(Workspace(ledger, output), run_id)


def rebuild_index(outputs: Sequence[Any] = (), ledger: Any = None, *, keys: Any = None, now: datetime) -> Any:
    """`rebuild_index`."""
    return published_runs.index_outputs(Workspace(ledger, keys=keys, shown=tuple(outputs)), now)


def log_entries(ledger: Any, entry_filter: EntryFilter, *, output: Any = None, last: int | None = None) -> Any:
    """`log_entries`."""
    return audit.log_entries(Workspace(ledger, output), entry_filter, last=last)


def verify_audit(ledger: Any = None, *, output: Any = None, keys: Any = None, **given: Any) -> AuditCheckResult:
    """`verify_audit`."""
    return audit.verify_audit(Workspace(ledger, output, keys=keys), **given)


def export_audit(ledger: Any, file: Any, entry_filter: EntryFilter, *, output: Any = None, **given: Any) -> Any:
    """`export_audit`."""
    return audit.export_audit(Workspace(ledger, output), file, entry_filter, **given)


def truncate_audit(ledger: Any, at: datetime, *, output: Any = None, keys: Any = None, **given: Any) -> Any:
    """`truncate_audit`."""
    return audit.truncate_audit(Workspace(ledger, output, keys=keys), at, **given)


def preview_rows(plan: Any, rows: int, *, keys: Any = None, **given: Any) -> pa.Table:
    """`preview_rows`."""
    return inspection.preview_rows(plan, rows, RunRequest(**given), keys=keys)


def preview_tables(plan: Any, data: Any, *, keys: Any = None, **given: Any) -> Any:
    """`preview_tables`."""
    return inspection.preview_tables(plan, data, RunRequest(**given), keys=keys)
