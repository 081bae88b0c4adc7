"""Review of policies, pipelines, recipients and access files: approval, explanations, graded changes, fixtures.

`approval` records the approval of a policy, `explain` shows the decision about a field step by step, `diff` grades every
change, `fixtures` runs a pipeline over its fixtures. `lint_path` lints a pipeline, a policy alone, recipients, an access file,
or a folder of these.

The tables of a pipeline as they were published last show how many rows were shown, and how far their figures are off. Only
published figures are used. A table that the current actor may not read is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from minimize import linting as rules
from minimize.access.permissions import READ
from minimize.aggregates.definition import AggregateDefinition
from minimize.aggregates.table_utility import TableUtility
from minimize.arrow.dictionaries import Codes
from minimize.datasets.pipelines import pipeline_from
from minimize.datasets.reader import load_receipts, read_output
from minimize.errors import Finding, MinimizeError, redact_errors
from minimize.forms.yaml_nodes import FaultList, parse_yaml
from minimize.governance.access_file import is_access_file, lint_access
from minimize.governance.subjects import find_coverage
from minimize.keys import Kms, find_kms
from minimize.output.folder import batch_date_of, has_runs
from minimize.plan.model import category_named
from minimize.policy.load import examine_policy, load_pipeline
from minimize.policy.pipeline import Pipeline
from minimize.receipts import files_in_force
from minimize.receipts.chain import risk_by_date
from minimize.receipts.parts import RiskEntry
from minimize.recipients.inbound import is_recipient_path, lint_recipients
from minimize.records import PIPELINE_FILE
from minimize.runs.inspection import declared_plan
from minimize.runs.inspection import lint as of_pipeline
from minimize.runs.releases import dates_before_late, older_tables, older_text
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


def published_risk(pipeline: Pipeline | PathText, *, at: datetime, keys: Any = None) -> dict[str, RiskEntry]:
    """By batch date, the disclosure risk that the last run states. Empty before the first run, for a pipeline without a bound, if
    the pipeline or its receipts cannot be read, and if the current actor may not read runs."""
    with suppress(MinimizeError, OSError):
        job = pipeline_from(pipeline)
        target = job.target()
        workspace = Workspace(pipeline=job, keys=keys, shown=(target,), clock=lambda: at)
        if has_runs(target) and workspace.permits("run/read"):
            return risk_by_date(load_receipts(target))
    return {}


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


_FIELDS: Final = re.compile(rb"^[\"']?fields[\"']?\s*:", re.MULTILINE)
"""The key of a policy in a file that is not valid YAML, whose faults are to be reported as those of a policy."""


@redact_errors
def lint_path(path: PathText, *, on: date, keys: Any = None) -> list[Finding]:
    """All faults and risky choices at a path. For a folder without a pipeline: of every file below it.

    Takes the day on which contracts must be in force, and a keyring or its path. Raises PolicyError if a file cannot be read.
    """
    place = Path(path)
    if is_recipient_path(place):
        return lint_recipients(place, on)
    if is_access_file(place):
        return lint_access(place, Workspace())
    if is_policy_file(place):
        return lint_policy_file(place)
    if place.is_dir() and not (place / PIPELINE_FILE).exists() and (below := list(_files_below(place))):
        return list(dict.fromkeys(finding for path in below for finding in lint_path(path, on=on, keys=keys)))
    return [*of_pipeline(place, keys=keys), *_lint_output(place, keys)]


def lint_tables(path: PathText, *, at: datetime, keys: Any = None) -> tuple[TableUtility, ...]:
    """What the published tables of a pipeline show, for people who judge its thresholds. Of a folder without a pipeline: those of
    the pipelines below it, named with the folder of each."""
    place = Path(path)
    if is_recipient_path(place) or is_access_file(place) or is_policy_file(place):
        return ()
    if place.is_dir() and not (place / PIPELINE_FILE).exists():
        folders = [each for each in _files_below(place) if each.is_dir() and (each / PIPELINE_FILE).exists()]
        return tuple(
            replace(table, name=f"{folder.name}/{table.name}")
            for folder in folders
            for table in published_tables(folder, at=at, keys=keys)
        )
    return published_tables(place, at=at, keys=keys)


def is_policy_file(path: Path) -> bool:
    """Whether a path is a policy file: it has the key `fields:`, in YAML or JSON."""
    if not path.is_file() or path.suffix not in (".yaml", ".yml", ".json"):
        return False
    content = path.read_bytes()
    if b"fields" not in content:
        return False
    root = parse_yaml(content.decode("utf-8-sig", "replace"), FaultList())
    return bool(_FIELDS.search(content)) if root is None else "fields" in root.entries


def lint_policy_file(path: Path) -> list[Finding]:
    """Findings of a policy without a pipeline. Findings that need a purpose or a source are left out."""
    policy, faults = examine_policy(path)
    judged = [] if policy is None else rules.lint(policy)
    return [*faults, *(rules.independent_of_faults(faults, judged) if faults else judged)]


def _files_below(folder: Path) -> Iterator[Path]:
    """Files of a folder to check, ordered by name. Hidden folders, links and outputs are left out."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if is_recipient_path(path) or is_access_file(path) or (path / PIPELINE_FILE).exists():
            yield path
        elif path.is_dir() and not path.is_symlink() and not has_runs(path):
            yield from _files_below(path)


def _lint_output(pipeline: Path, keys: Any) -> list[Finding]:
    """Findings about the pipeline's published output; empty before the first run."""
    try:
        job = load_pipeline(pipeline)
        target = job.target()
        output_folders = [target] if has_runs(target) else []
        coverage = (
            find_coverage(Workspace(pipeline=job, keys=keys), named=output_folders, pipeline=job.pipeline)
            if output_folders
            else None
        )
    except (MinimizeError, OSError):
        return []  # faults of files are already reported; `verify` reports an unreadable output
    uncovered = [] if coverage is None else [each.finding for each in coverage.uncovered]
    return [*uncovered, *(_rows_before_late(job, target) if output_folders else ())]


def _rows_before_late(job: Pipeline, target: Location) -> Iterator[Finding]:
    """Tables that wait for late rows, with rows that were published before they did."""
    with suppress(MinimizeError, OSError):
        chain = load_receipts(target)
        for name, table in job.tables.items():
            dates = dates_before_late(chain, name) if table.late is not None else ()
            if dates:
                yield rules.rows_before_late(job, name, dates)
