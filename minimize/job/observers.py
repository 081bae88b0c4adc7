"""What is told of a run beside its receipt: who watches it, and its figures for the log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from minimize.errors import MinimizeError
from minimize.job.given import Given, text_of
from minimize.job.told import How
from minimize.observability import Observer
from minimize.observability.events import About
from minimize.observability.metrics import FATES
from minimize.observability.places import beside
from minimize.policy.pipeline import Pipeline
from minimize.receipt import Receipt, new_run_id
from minimize.stores import Place


def observer_of(given: Given, how: How, run_id: str) -> Observer:
    """Who watches a run that was resolved."""
    dates = tuple(text for day in given.sources if (text := text_of(day)) is not None)
    about = _about(given.pipeline, given.output, how, run_id)
    return Observer(replace(about, plan=given.plan, dates=dates, source=given.root), how.places)


@contextmanager
def told_if_refused(job: Pipeline, output: Place, how: How) -> Iterator[None]:
    """A run that is not resolved yet: where that is refused, it is told as a run that failed.

    Where there is no output yet, nothing is put beside it.
    """
    try:
        yield
    except MinimizeError as error:
        early = isinstance(output, Path) and how.places.lineage == beside(output) and not output.is_dir()
        places = replace(how.places, lineage=None) if early else how.places
        observer = Observer(_about(job, output, how, new_run_id(how.started)), places)
        observer.began(how.started)
        observer.failed(datetime.now(UTC), error)
        raise


def figures(receipt: Receipt) -> dict[str, Any]:
    """A run's figures for the log: counts, dates, seconds."""
    rows = receipt.rows
    return {
        "kind": receipt.kind,
        "pipeline": receipt.pipeline,
        "dates": list(receipt.dates),
        "seconds": round((receipt.finished - receipt.started).total_seconds(), 3),
        "rows": {fate: getattr(rows, fate) for fate in FATES},
        "quarantine_share": round(rows.quarantined / rows.read, 6) if rows.read else 0.0,
        "quarantined": dict(receipt.quarantine.by_code),
        "outputs": {name: output.rows for name, output in receipt.outputs.items()},
        "undeclared": sum(receipt.undeclared.values()),
    }


def _about(job: Pipeline, output: Place, how: How, run_id: str) -> About:
    namespace = os.environ.get("OPENLINEAGE_NAMESPACE") or "minimize"
    return About(run_id, how.kind, how.engine, job, output, namespace)
