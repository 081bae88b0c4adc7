"""The bound on disclosure risk of a lifted restriction: which subjects' records must stay sealed.

Published again, a subject's records can be in a combination that misses the bound of their date, because other records of it
were removed in the meantime. Such a subject stays restricted with all of its records: a restriction that is in force seals again
what was published in part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa

from minimize.arrow.dictionaries import Bools, decode_dictionary, value_type
from minimize.arrow.nested import leaf
from minimize.datasets.published_output import OutputFile, PublishedOutput
from minimize.datasets.released_bound import ReleasedBound
from minimize.disclosure_risk.combinations import Combinations, CombinationTally, classes_as_they_are
from minimize.disclosure_risk.lookup import CombinationIndex
from minimize.disclosure_risk.measures import RISK_MEASURES
from minimize.disclosure_risk.requirement import Baseline, Requirement
from minimize.records import RECORDS
from minimize.removal.rare_records import bound_of_files
from minimize.removal.sealing import LiftInstructions, LiftRequest
from minimize.removal.verdict import BatchVerdict
from minimize.stages.raw_values import mask_values
from minimize.stages.risk_bound import PERSON, RiskFigures, comparable_values, figures_of_kept

S = TypeVar("S")


def subjects_below_bound(output: PublishedOutput, requests: Mapping[S, LiftRequest]) -> set[S]:
    """The subjects whose records would miss the bound of their date, or make others miss it. Takes the lift of each subject."""
    missed: set[S] = set()
    for _, lift in _lifts_by_date(output, requests):
        missed |= lift.missed_subjects()
    return missed


def risk_after_lift(output: PublishedOutput, request: LiftRequest) -> dict[str | None, RiskFigures]:
    """The measured risk of the records of each date after a lift, where a bound is measured."""
    lifts = _lifts_by_date(output, {"lifted": request})
    return {on: lift.figures() for on, lift in lifts if lift.bound.counts_as_stated}


def _lifts_by_date(
    output: PublishedOutput, requests: Mapping[S, LiftRequest]
) -> Iterator[tuple[str | None, _LiftOfDate[S]]]:
    """The lift of each date that has sealed records and a bound."""
    sealed_by_date: dict[str | None, list[OutputFile]] = {}
    for file in output.restricted_files():
        if not file.is_shredded:
            sealed_by_date.setdefault(file.date, []).append(file)
    current = list(output.files(RECORDS)) if sealed_by_date else []
    for on, sealed in sealed_by_date.items():
        files = [file for file in current if file.date == on]
        bound = bound_of_files([*files, *sealed])
        if bound is not None:
            yield on, _LiftOfDate(bound, files, sealed, requests)


@dataclass(frozen=True)
class _LiftOfDate(Generic[S]):
    """The records of one date that are in force, and those that leave the seal."""

    bound: ReleasedBound
    current: Sequence[OutputFile]
    sealed: Sequence[OutputFile]
    requests: Mapping[S, LiftRequest] = field(repr=False)
    _types: dict[str, pa.DataType] = field(default_factory=dict, repr=False)
    """The type of each column, by key: that of the first file."""

    def missed_subjects(self) -> set[S]:
        """The subjects whose records have to stay sealed."""
        tally = self._tally_of_current()
        met_before = self._holds_in_unions or not self._rare(tally.settle()).any()
        self._observe_leaving(tally)
        combinations = tally.settle()
        is_rare = self._rare(combinations)
        if not is_rare.any():
            return set()
        index, concerned, missed = CombinationIndex(combinations), set[S](), set[S]()
        for batch, verdict, masks in self._leaving_records():
            for subject, mask in masks.items():
                columns = self._columns(batch, verdict, mask).select(self.bound.model.quasi_identifiers)
                concerned |= {subject} if columns.num_rows else set()
                missed |= {subject} if is_rare[index.places(columns)].any() else set()
        return missed or (concerned if met_before and not self._holds_in_unions else set())

    def figures(self) -> RiskFigures:
        """The measured risk of all records after the lift."""
        tally = self._tally_of_current()
        self._observe_leaving(tally)
        combinations = tally.settle()
        size = len(combinations)
        return figures_of_kept(self._requirement, combinations, np.arange(size), np.zeros(size, np.bool_))

    def _tally_of_current(self) -> CombinationTally:
        tally = self.bound.tally()
        for file in self.current:
            for batch in file.batches(self.bound.column_names):
                tally.observe(self._columns(batch, BatchVerdict(), np.ones(batch.num_rows, np.bool_)))
        return tally

    def _observe_leaving(self, tally: CombinationTally) -> None:
        for batch, verdict, masks in self._leaving_records():
            tally.observe(self._columns(batch, verdict, np.logical_or.reduce(list(masks.values()))))

    @property
    def _requirement(self) -> Requirement:
        return Requirement(dict(self.bound.model.require))

    @property
    def _holds_in_unions(self) -> bool:
        """Whether further records of other combinations cannot make a combination miss the bound."""
        return all(RISK_MEASURES[name].holds_in_unions for name in self.bound.model.require)

    def _rare(self, combinations: Combinations) -> Bools:
        classes = classes_as_they_are(combinations)
        return np.asarray(~self._requirement.holds(classes, Baseline.of_combinations(combinations)), np.bool_)

    def _leaving_records(self) -> Iterator[tuple[pa.RecordBatch, BatchVerdict, Mapping[S, Bools]]]:
        """Batches of sealed files with the records of each subject that would be published again."""
        for file in self.sealed:
            judges = {
                subject: LiftInstructions(
                    *(each.instructions(file) for each in (request.lifted, request.restricted, request.due))
                )
                for subject, request in self.requests.items()
            }
            due = next(iter(judges.values()))
            for batch in file.stored_file.batches():
                verdict = due(batch)
                stays = verdict.remaining_rows(batch.num_rows)
                yield batch, verdict, {subject: stays & each.lifted_records(batch) for subject, each in judges.items()}

    def _columns(self, batch: pa.RecordBatch, verdict: BatchVerdict, keep: Bools) -> pa.RecordBatch:
        """The columns of the bound. A column that an older file lacks, or has in another type, is null."""
        persons = {} if self.bound.person is None else {PERSON: self.bound.person}
        columns = {}
        for key, pointer in {**self.bound.pointers, **persons}.items():
            values = verdict.replacements.get(key)
            if values is None and pointer.top in batch.schema.names:
                values = leaf(batch, pointer).values
            if values is not None and key in verdict.removed_values:
                values = mask_values(values, pa.array(verdict.removed_values[key]))
            if values is not None:
                self._types.setdefault(key, value_type(values.type))
            if values is None or value_type(values.type) != self._types[key]:
                values = pa.nulls(batch.num_rows, self._types.get(key, pa.null()))
            columns[key] = decode_dictionary(values) if key == PERSON else comparable_values(values)
        return pa.RecordBatch.from_pydict(columns).filter(pa.array(keep))
