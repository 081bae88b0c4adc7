"""The bound on disclosure risk: the columns that it reads of a batch, its tally, the decision, and the stages that apply it.

The tally counts the combinations of released quasi-identifiers over all records of a batch date. From it, the decision finds
the combinations whose records are removed, and the coarser values of the others. Two stages look up each record's combination:
one removes records before their values are released and counted, one makes released values coarser.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import decode_dictionary
from minimize.arrow.nested import leaf
from minimize.disclosure_risk.combinations import (
    Classes,
    Codes,
    Combinations,
    CombinationTally,
    classes_as_they_are,
    classes_of,
    grouped,
)
from minimize.disclosure_risk.full_domain import optimal_levels
from minimize.disclosure_risk.hierarchy import Hierarchy
from minimize.disclosure_risk.local_recoding import recoded
from minimize.disclosure_risk.lookup import CombinationIndex
from minimize.disclosure_risk.requirement import Baseline, Requirement, worst_figure
from minimize.errors import RefusedError
from minimize.identifiers import canonical_column
from minimize.plan.model import FieldPlan, Plan, RiskPlan
from minimize.records import Batch, BatchCounts, FieldCounts
from minimize.spill import SpillSpace
from minimize.stages.chains import changed_values
from minimize.stages.deduplicate import encode_values
from minimize.stages.generalize import GeneralizeFields
from minimize.stages.raw_values import filter_records, raw_values
from minimize.techniques import Context
from minimize.techniques.chosen_level import ChosenLevel
from minimize.text import count_noun, format_number

PERSON: Final = ""
"""The name of the column of persons. No field has an empty key."""


def quasi_columns(risk: RiskPlan, batch: Batch) -> pa.RecordBatch:
    """The released quasi-identifiers of a batch, by key."""
    return pa.RecordBatch.from_pydict({key: comparable_values(batch.released[key]) for key in risk.quasi_identifiers})


def risk_columns(risk: RiskPlan, batch: Batch) -> pa.RecordBatch:
    """The released quasi-identifiers and sensitive fields of a batch by key, and the person of each record."""
    columns = {key: comparable_values(batch.released[key]) for key in (*risk.quasi_identifiers, *risk.sensitive)}
    if risk.person is not None:
        columns[PERSON] = canonical_column(leaf(batch.raw, risk.person).values, fold=risk.folds_case)
    return pa.RecordBatch.from_pydict(columns)


def comparable_values(values: pa.Array) -> pa.Array:
    """A struct as the text of its children; other values as they are."""
    if not pa.types.is_struct(values.type):
        return values
    return encode_values(values).cast(pa.large_binary()).dictionary_encode()


@dataclass(slots=True)
class RiskTally:
    """Counts the combinations of the records of one batch date."""

    risk: RiskPlan
    combinations: CombinationTally = field(repr=False)

    @classmethod
    def from_plan(cls, risk: RiskPlan, space: SpillSpace) -> RiskTally:
        """An empty tally. Takes the run's spill space."""
        person = None if risk.person is None else PERSON
        return cls(risk, CombinationTally(risk.quasi_identifiers, risk.sensitive, person, space))

    def observe(self, batch: Batch) -> None:
        """Add the released values of a batch."""
        if batch.raw.num_rows:
            self.combinations.observe(risk_columns(self.risk, batch))

    def merge(self, tally: RiskTally) -> None:
        """Add the combinations of another tally."""
        self.combinations.merge(tally.combinations)

    def settle(self) -> Combinations:
        """The combinations of all observed records."""
        return self.combinations.settle()


@dataclass(frozen=True, kw_only=True)
class RiskFigures:
    """The measured risk of the records of one or more batch dates."""

    measures: Mapping[str, float | int | None]
    """The figure of the worst combination, by measure; None without records."""
    records: int = 0
    """Records that were released, or would have been."""
    suppressed: int = 0
    """Records that were removed."""
    levels: Mapping[str, int] | None = None
    """The chosen level of each field with `auto`; 0 is the finest."""
    loss: float | None = None
    lower_bound: float | None = None
    proven: bool | None = None


@dataclass(frozen=True, slots=True)
class CoarserColumn:
    """The values of a field after the decision: a label for each combination."""

    codes: npt.NDArray[np.int32] = field(repr=False)
    labels: pa.Array = field(repr=False)


@dataclass(frozen=True, slots=True)
class DecidedBound:
    """What is removed and made coarser, by combination."""

    index: CombinationIndex = field(repr=False)
    is_suppressed: npt.NDArray[np.bool_] = field(repr=False)
    columns: Mapping[str, CoarserColumn] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class RiskDecision:
    """The measured risk of the records of a batch date, and what the bound does to them."""

    figures: RiskFigures
    missed: tuple[str, ...] = ()
    """Why the released records miss the bound, in words without values; empty if they meet it."""
    bound: DecidedBound | None = field(default=None, repr=False)
    """None if every record stays as it is."""


@dataclass(frozen=True, slots=True)
class SuppressRecords:
    """The stage that removes the records of suppressed combinations, before values are released and counted."""

    plan: Plan
    risk: RiskPlan
    bound: DecidedBound
    generalize: GeneralizeFields
    """Makes the released form of the quasi-identifiers and nothing else."""

    def __call__(self, batch: Batch) -> Batch:
        """The batch without suppressed records, which are counted."""
        if not batch.raw.num_rows or not self.bound.is_suppressed.any():
            return batch
        places = self.bound.index.places(quasi_columns(self.risk, self.generalize(batch)))
        keep = ~self.bound.is_suppressed[places]
        counts = batch.counts + BatchCounts(suppressed=len(keep) - int(np.count_nonzero(keep)))
        return filter_records(batch.with_(counts=counts), keep, self.plan)


@dataclass(frozen=True, slots=True)
class CoarsenFields:
    """The stage that replaces released values by those of the chosen levels. Null at the root counts as dropped."""

    plan: Plan
    risk: RiskPlan
    bound: DecidedBound

    def __call__(self, batch: Batch) -> Batch:
        """The batch with coarser values."""
        if not batch.raw.num_rows or not self.bound.columns:
            return batch
        places = self.bound.index.places(quasi_columns(self.risk, batch))
        released, fields = dict(batch.released), dict(batch.counts.fields)
        for key, column in self.bound.columns.items():
            finest = batch.released[key]
            released[key] = _labels_at(column, places, finest.type)
            if key in fields:
                raw = decode_dictionary(raw_values(self.plan.fields[key], batch.raw))
                fields[key] = _recounted(fields[key], raw, finest, decode_dictionary(released[key]))
        return batch.with_(released=released, counts=replace(batch.counts, fields=fields))


def _labels_at(column: CoarserColumn, places: Codes, type_: pa.DataType) -> pa.Array:
    codes = pa.array(column.codes[places])
    return (
        pa.DictionaryArray.from_arrays(codes, column.labels)
        if pa.types.is_dictionary(type_)
        else column.labels.take(codes)
    )


def _recounted(counts: FieldCounts, raw: pa.Array, finest: pa.Array, coarser: pa.Array) -> FieldCounts:
    """The counts of a field after its values were made coarser."""
    treated = pc.and_(raw.is_valid(), decode_dictionary(finest).is_valid())
    at_root = pc.and_(treated, coarser.is_null())
    changed = pc.and_not(pc.and_(treated, changed_values(raw, coarser)), at_root)
    return replace(counts, changed=changed.true_count, dropped=counts.dropped + at_root.true_count)


def decide(plan: Plan, risk: RiskPlan, combinations: Combinations, at: datetime) -> RiskDecision:
    """What the bound does to the records of a batch date. Takes the combinations of all of them, and the run's time.

    A removal of records that the bound does not permit is a miss, not an error, so that all dates are checked.
    """
    if not len(combinations):
        return RiskDecision(
            _figures(
                risk.requirement,
                combinations,
                classes_as_they_are(combinations),
                Baseline.of_combinations(combinations),
            )
        )
    match risk.action:
        case "refuse":
            return _decide_refusal(risk, combinations)
        case "suppress":
            return _decide_suppression(risk, combinations)
        case "generalize":
            return _decide_levels(plan, risk, combinations, at)
        case "recode":
            return _decide_recoding(plan, risk, combinations, at)


def _decide_refusal(risk: RiskPlan, combinations: Combinations) -> RiskDecision:
    classes, baseline = classes_as_they_are(combinations), Baseline.of_combinations(combinations)
    missed = risk.requirement.missed(classes, baseline)
    reason = (f"{', '.join(missed)} of some combinations",) if missed else ()
    return RiskDecision(_figures(risk.requirement, combinations, classes, baseline), reason)


def _decide_suppression(risk: RiskPlan, combinations: Combinations) -> RiskDecision:
    classes, baseline = classes_as_they_are(combinations), Baseline.of_combinations(combinations)
    is_suppressed = ~risk.requirement.holds(classes, baseline)
    return _decide_removal(risk, combinations, classes.class_of, is_suppressed, {})


def _decide_levels(plan: Plan, risk: RiskPlan, combinations: Combinations, at: datetime) -> RiskDecision:
    hierarchies = hierarchies_of(plan, risk, combinations, at)
    failure, choice = "", None
    for limit in (risk.suppress_at_most, *([Fraction(1)] if risk.is_removal else [])):
        try:
            choice = choice or optimal_levels(combinations, hierarchies, risk.requirement, suppress_at_most=limit)
        except RefusedError as error:
            failure = error.message
    if choice is None:
        return _unreachable(risk, combinations, failure)
    columns = {
        hierarchy.name: CoarserColumn(hierarchy.levels[level][combinations.codes[:, place]], hierarchy.labels[level])
        for place, (hierarchy, level) in enumerate(zip(hierarchies, choice.levels, strict=True))
        if hierarchy.name in risk.levelled and level
    }
    maps = [hierarchy.levels[level] for hierarchy, level in zip(hierarchies, choice.levels, strict=True)]
    class_of = grouped(combinations, maps).class_of
    levels = {
        hierarchy.name: level
        for hierarchy, level in zip(hierarchies, choice.levels, strict=True)
        if hierarchy.name in risk.levelled
    }
    decision = _decide_removal(risk, combinations, class_of, choice.is_suppressed, columns)
    figures = replace(
        decision.figures, levels=levels, loss=choice.loss, lower_bound=choice.lower_bound, proven=choice.proven
    )
    return replace(decision, figures=figures)


def _decide_recoding(plan: Plan, risk: RiskPlan, combinations: Combinations, at: datetime) -> RiskDecision:
    hierarchies = hierarchies_of(plan, risk, combinations, at)
    failure, choice = "", None
    try:
        choice = recoded(combinations, hierarchies, risk.requirement)
    except RefusedError as error:
        failure = error.message
    if choice is None:
        return _decide_suppression(risk, combinations) if risk.is_removal else _unreachable(risk, combinations, failure)
    columns = {}
    for place, hierarchy in enumerate(hierarchies):
        if hierarchy.name in risk.levelled:
            columns[hierarchy.name] = _mixed_levels(hierarchy, choice.level_of[:, place], combinations.codes[:, place])
    decision = _decide_removal(risk, combinations, choice.class_of, choice.is_suppressed, columns)
    return replace(decision, figures=replace(decision.figures, loss=choice.loss))


def _mixed_levels(hierarchy: Hierarchy, level_of: npt.NDArray[np.int8], codes: npt.NDArray[np.int32]) -> CoarserColumn:
    """The label of each combination at its own level."""
    starts = np.cumsum([0, *(len(labels) for labels in hierarchy.labels)])
    mixed = np.empty(len(codes), np.int32)
    for level, level_codes in enumerate(hierarchy.levels):
        rows = level_of == level
        mixed[rows] = level_codes[codes[rows]] + starts[level]
    return CoarserColumn(
        mixed, pa.concat_arrays([labels.cast(hierarchy.labels[0].type) for labels in hierarchy.labels])
    )


def _decide_removal(
    risk: RiskPlan,
    combinations: Combinations,
    class_of: Codes,
    is_suppressed: npt.NDArray[np.bool_],
    columns: Mapping[str, CoarserColumn],
) -> RiskDecision:
    """The decision to remove some combinations. Takes the class of each combination after it was made coarser."""
    total, suppressed = int(combinations.records.sum()), int(combinations.records[is_suppressed].sum())
    limit = total if risk.is_removal else int(risk.suppress_at_most * total)
    figures = figures_of_kept(risk.requirement, combinations, class_of, is_suppressed)
    if suppressed == total and not risk.is_removal:
        return RiskDecision(figures, ("every record would be removed",))
    if suppressed > limit:
        reason = f"{count_noun(suppressed, 'record')} would be removed, and at most {format_number(limit)} may be"
        return RiskDecision(figures, (reason,))
    if not suppressed and not columns:
        return RiskDecision(figures)
    return RiskDecision(figures, (), DecidedBound(CombinationIndex(combinations), is_suppressed, columns))


def figures_of_kept(
    requirement: Requirement, combinations: Combinations, class_of: Codes, is_suppressed: npt.NDArray[np.bool_]
) -> RiskFigures:
    """The figures of the classes that are not suppressed. Distances are those to all records."""
    kept, count = _without_gaps(class_of, is_suppressed)
    classes = _first_classes(classes_of(combinations, kept, count + 1), count)
    suppressed = int(combinations.records[is_suppressed].sum())
    return _figures(requirement, combinations, classes, Baseline.of_combinations(combinations), suppressed)


def _without_gaps(class_of: Codes, is_suppressed: npt.NDArray[np.bool_]) -> tuple[Codes, int]:
    """The classes of kept combinations, numbered from 0; all suppressed ones are the class after the last."""
    used = np.unique(class_of[~is_suppressed])
    places = np.full(int(class_of.max(initial=0)) + 1, len(used), np.int64)
    places[used] = np.arange(len(used))
    return np.where(is_suppressed, len(used), places[class_of]), len(used)


def _first_classes(classes: Classes, count: int) -> Classes:
    """The first classes, without the others."""
    sensitive = tuple(
        replace(
            counts,
            combination=counts.combination[counts.combination < count],
            value=counts.value[counts.combination < count],
            count=counts.count[counts.combination < count],
        )
        for counts in classes.sensitive
    )
    return Classes(classes.class_of, classes.records[:count], classes.person_counts[:count], sensitive)


def _unreachable(risk: RiskPlan, combinations: Combinations, reason: str) -> RiskDecision:
    classes = classes_as_they_are(combinations)
    return RiskDecision(
        _figures(risk.requirement, combinations, classes, Baseline.of_combinations(combinations)), (reason,)
    )


def hierarchies_of(plan: Plan, risk: RiskPlan, combinations: Combinations, at: datetime) -> list[Hierarchy]:
    """The levels of each quasi-identifier: those of its technique, or only the released value."""
    hierarchies = []
    for key, dictionary in zip(combinations.names, combinations.dictionaries, strict=True):
        hierarchies.append(_hierarchy_of(key, plan.fields[key], dictionary, at))
    return hierarchies


def _hierarchy_of(key: str, field_plan: FieldPlan, dictionary: pa.Array, at: datetime) -> Hierarchy:
    if not field_plan.coarser_forms:
        return Hierarchy.fixed(key, dictionary)
    chosen = field_plan.steps[-1]
    if isinstance(chosen, ChosenLevel) and chosen.leaf_rows is not None:
        return Hierarchy.of_table(key, dictionary, chosen.leaf_rows)
    forms, values = [], dictionary
    for technique in field_plan.coarser_forms:
        values = decode_dictionary(technique.apply(values, Context(key, at)).values)
        forms.append(values)
    return Hierarchy.of_forms(key, dictionary, forms)


def _figures(
    requirement: Requirement, combinations: Combinations, classes: Classes, baseline: Baseline, suppressed: int = 0
) -> RiskFigures:
    """The figures of the worst class: of the required measures, and of k, l and t."""
    names = ["k", *(["l", "t"] if combinations.sensitive else [])]
    thresholds = dict.fromkeys(names) | dict(requirement.thresholds)
    measures = {name: worst_figure(name, classes, baseline, threshold) for name, threshold in thresholds.items()}
    return RiskFigures(measures=measures, records=int(combinations.records.sum()), suppressed=suppressed)
