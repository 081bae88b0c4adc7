"""Records that a removal leaves in combinations that miss the bound on disclosure risk: they are removed with it, and counted.

A removal is never refused because of a bound. The bound is that of the pipeline under which a date was written. Persons are the
subjects as released; if the records do not show them, each record counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import pyarrow as pa

from minimize.arrow.dictionaries import Bools
from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.datasets.published_output import OutputFile, PublishedOutput
from minimize.datasets.released_bound import ReleasedBound
from minimize.disclosure_risk.combinations import classes_as_they_are
from minimize.disclosure_risk.lookup import CombinationIndex
from minimize.disclosure_risk.requirement import Baseline, Requirement
from minimize.records import RECORDS
from minimize.removal.plan import DueFile, counted_file
from minimize.removal.verdict import BatchJudge, BatchVerdict
from minimize.stages.raw_values import mask_values
from minimize.stages.risk_bound import figures_of_kept

RISK_REASON: Final = "risk"
"""The reason for which receipts count these records."""


def with_rare_records(output: PublishedOutput, due: Sequence[DueFile]) -> tuple[DueFile, ...]:
    """The files to change, and what they leave in rare combinations: also in files of the same dates that are not due."""
    due_by_path = {each.file.path: each for each in due if each.name == RECORDS}
    files_by_date: dict[str | None, list[OutputFile]] = {}
    for file in output.files(RECORDS):
        files_by_date.setdefault(file.date, []).append(file)
    changed = dict(due_by_path)
    for on in dict.fromkeys(each.date for each in due_by_path.values()):
        files = files_by_date.get(on, [])
        bound = bound_of_files(files)
        if bound is not None:
            changed |= _files_with_rare_records(bound, files, due_by_path)
    others = [each for each in due if each.file.path not in changed]
    return (*others, *changed.values()) if changed != due_by_path else tuple(due)


@dataclass(frozen=True, slots=True)
class RareRecordsJudge:
    """The verdict of a removal, and after it the removal of records whose combination misses the bound."""

    bound: ReleasedBound
    first: BatchJudge | None
    index: CombinationIndex = field(repr=False)
    is_rare: Bools = field(repr=False)
    """By combination."""
    pointers: Mapping[str, Pointer]

    def __call__(self, batch: pa.RecordBatch) -> BatchVerdict:
        """Both verdicts. A record that the first one removes is counted by it."""
        verdict = BatchVerdict() if self.first is None else self.first(batch)
        stays = verdict.remaining_rows(batch.num_rows)
        columns = _remaining_columns(self.bound, batch, verdict, stays, self.bound.model.quasi_identifiers)
        rare = np.zeros(batch.num_rows, np.bool_)
        rare[stays] = self.is_rare[self.index.places(columns)]
        if not rare.any():
            return verdict
        return replace(verdict, removed_records={**verdict.removed_records, RISK_REASON: rare})


def bound_of_files(files: Sequence[OutputFile]) -> ReleasedBound | None:
    """The bound under which the files of a date were written; None if there is none."""
    newest = max(files, key=lambda file: file.written_by.receipt.sequence, default=None)
    if newest is None or not isinstance(newest.written_by.pipeline.get(RECORDS), Mapping):
        return None
    records = newest.written_by.loaded_pipeline.records
    model = None if records is None else records.risk
    if model is None:
        return None
    return ReleasedBound.of_columns(model, newest.policy, newest.pointers)


def _remaining_columns(
    bound: ReleasedBound, batch: pa.RecordBatch, verdict: BatchVerdict, stays: Bools, keys: Iterable[str]
) -> pa.RecordBatch:
    """The values of the records that stay after a verdict, by key."""
    values = dict(verdict.replacements)
    for key, closed in verdict.removed_values.items():
        if key in bound.pointers:
            values[key] = mask_values(values.get(key, leaf(batch, bound.pointers[key]).values), pa.array(closed))
    return bound.columns(batch, keys, values, stays)


def _files_with_rare_records(
    bound: ReleasedBound, files: Sequence[OutputFile], due: Mapping[str, DueFile]
) -> Iterator[tuple[str, DueFile]]:
    """The files of a date that change, with the figures of the date: also those of which all that is removed is rare."""
    tally = bound.tally()
    for file in files:
        planned = due.get(file.path)
        if planned is None or not planned.is_whole:
            for batch in _batches(bound, file, planned):
                verdict = _verdict(planned, batch)
                stays = verdict.remaining_rows(batch.num_rows)
                tally.observe(_remaining_columns(bound, batch, verdict, stays, bound.pointers))
    combinations = tally.settle()
    requirement = Requirement(dict(bound.model.require))
    classes = classes_as_they_are(combinations)
    is_rare = np.asarray(~requirement.holds(classes, Baseline.of_combinations(combinations)), np.bool_)
    figures = figures_of_kept(requirement, combinations, classes.class_of, is_rare) if bound.counts_as_stated else None
    yield from ((path, replace(due[path], risk=figures)) for path in (file.path for file in files) if path in due)
    if not is_rare.any():
        return
    index = CombinationIndex(combinations)
    for file in files:
        planned = due.get(file.path)
        if planned is not None and planned.is_whole:
            continue
        judge = RareRecordsJudge(
            bound, None if planned is None else planned.rewrite_judge, index, is_rare, file.pointers
        )
        counted = counted_file(file, judge, file.stored_file.batches())
        if not counted.gated.get(RISK_REASON):
            continue
        counted = replace(counted, risk=figures)
        if planned is not None:
            # restricted records are read, so that they are sealed
            is_whole = counted.is_whole and not counted.gated.get("restricted")
            counted = replace(
                counted, judge=planned.judge, retention=planned.retention, within_bound=judge, is_whole=is_whole
            )
        yield file.path, counted


def _batches(bound: ReleasedBound, file: OutputFile, planned: DueFile | None) -> Iterator[pa.RecordBatch]:
    return file.batches(bound.column_names) if planned is None else file.stored_file.batches()


def _verdict(planned: DueFile | None, batch: pa.RecordBatch) -> BatchVerdict:
    judge = None if planned is None else planned.rewrite_judge
    return BatchVerdict() if judge is None else judge(batch)
