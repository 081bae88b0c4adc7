"""Tables of a pipeline as they were published last: how many rows were shown, and how far their figures are off.

Only published figures are used. A table that the current actor may not read is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from minimize.access.permissions import READ
from minimize.aggregates.definition import AggregateDefinition
from minimize.aggregates.table_utility import TableUtility
from minimize.arrow.dictionaries import Codes
from minimize.datasets.pipelines import pipeline_from
from minimize.errors import MinimizeError
from minimize.keys import Kms, find_kms
from minimize.output.folder import batch_date_of, has_runs
from minimize.output.reader import load_receipts, read_output
from minimize.plan.category import category_named
from minimize.policy.pipeline import Pipeline
from minimize.receipts import files_in_force
from minimize.runs.inspection import declared_plan
from minimize.runs.releases import older_tables, older_text
from minimize.stores import Location, PathText, local_path
from minimize.workspace import Workspace


def published_tables(pipeline: Pipeline | PathText, *, at: datetime, keys: Any = None) -> tuple[TableUtility, ...]:
    """What each aggregate of a pipeline shows on the newest date of its output. Empty before the first run, or if the pipeline
    or its output cannot be read, of which other findings tell."""
    with suppress(MinimizeError, OSError):
        job = pipeline_from(pipeline)
        target = job.target()
        if has_runs(target):
            return tuple(_tables(job, target, at, keys))
    return ()


def _tables(job: Pipeline, target: Location, at: datetime, keys: Any) -> Iterator[TableUtility]:
    chain, kms = load_receipts(target), find_kms(keys, local_path(target))
    workspace = Workspace(pipeline=job, keys=keys, shown=(target,), clock=lambda: at)
    definitions = {name: each.definition for name, each in declared_plan(job).plan.aggregates.items()}
    last = {name: written for receipt in chain for name, written in receipt.outputs.items()}
    older = older_tables(chain)
    for name, files in files_in_force(chain).items():
        if name not in definitions or not files:
            continue
        dataset, category = f"{job.pipeline}/{name}", category_named(last[name].category)
        if not workspace.permits(READ, dataset=dataset, category=category):
            continue
        newest = max(batch_date_of(file.path) or "" for file in files) or None
        rows = sum(file.rows for file in files if batch_date_of(file.path) == newest)
        noise = last[name].noise
        definition = definitions[name].with_noise(None if noise is None else noise.sd)
        utility = TableUtility.of_published(definition, rows, _subject_counts(definition, target, newest, kms), newest)
        yield replace(utility, older=older_text(older[name])) if name in older else utility


def _subject_counts(definition: AggregateDefinition, target: Location, date: str | None, kms: Kms) -> Codes | None:
    """The published number of subjects of each row; None if the table has none, or cannot be read."""
    label = definition.subject_count
    if label is None:
        return None
    with suppress(MinimizeError):
        table = read_output(target, definition.name, date, kms=kms)
        if label in table.column_names:
            return np.asarray(table[label].to_numpy(), np.int64)
    return None
