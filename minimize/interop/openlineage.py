"""OpenLineage events from receipts: the events that a run sent at its start and end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from minimize.datasets.pipelines import find_pipeline, origin_place
from minimize.datasets.writing_run import WritingRun
from minimize.errors import ConfigurationError
from minimize.interop.documents import ExportRequest
from minimize.observability.openlineage import RunDescription, complete_event, start_event
from minimize.output.folder import has_runs, read_receipts
from minimize.plan import request
from minimize.plan.bind import examine
from minimize.receipts import Receipt
from minimize.sources import declared_schema
from minimize.stores import Location, parse_location
from minimize.stores.path_patterns import split_pattern

_RUN_KINDS: Final = ("run", "replay")


def write_openlineage(request: ExportRequest) -> str:
    """The events of all runs of an output, one per line. Raises ConfigurationError, OutputError."""
    output = parse_location(request.path)
    if not has_runs(output):
        raise ConfigurationError(
            "the path is not an output folder",
            hint="Pass the output folder of a run: lineage is made from its receipts.",
        )
    runs = [WritingRun(output, receipt) for receipt in read_receipts(output) if reads_source(receipt)]
    events = [event for run in runs for event in run_events(run, request.pipeline)]
    return "".join(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n" for event in events)


def reads_source(receipt: Receipt) -> bool:
    """Whether the receipt's files were made from a source. Expiries, deletions and others change published files."""
    return receipt.kind in _RUN_KINDS or (receipt.kind == "retract" and receipt.from_ == "source")


def run_events(run: WritingRun, pipeline: str | None = None) -> Iterator[dict[str, Any]]:
    """START and COMPLETE of one run, as the run sent them, under the policy stored with its receipt.

    Takes the path of its pipeline, if the output does not record it.
    """
    about = _event_context(run, _input_root(run, pipeline))
    yield start_event(about, run.receipt.started)
    yield complete_event(about, run.receipt)


def _event_context(run: WritingRun, input_root: Location) -> RunDescription:
    job, receipt = run.loaded_pipeline, run.receipt
    source = declared_schema(request(job.policy, job.purpose, job))
    plan = examine(job.policy, source, purpose=job.purpose, pipeline=job).plan
    namespace = os.environ.get("OPENLINEAGE_NAMESPACE") or "minimize"
    return RunDescription(
        run_id=receipt.run_id,
        kind=receipt.kind,
        engine=receipt.engine,
        job=job,
        output=run.output,
        namespace=namespace,
        plan=plan,
        dates=receipt.dates,
        source=input_root,
    )


def _input_root(run: WritingRun, pipeline: str | None) -> Location:
    """The folder of the input. Raises ConfigurationError if it is not known."""
    origin = run.receipt.origin
    known_place = origin_place(run.output, None if origin is None else origin.input)
    if known_place is not None:
        return split_pattern(str(known_place), Path.cwd())[0]
    today = find_pipeline(run.output, run.receipt, pipeline)
    return split_pattern(today.source.path, today.folder)[0]
