"""The bound on disclosure risk: the columns that it reads of a batch, its tally, the decision, and the stage that applies it.

The tally counts the combinations of released quasi-identifiers over all records of a batch date. From it, the decision finds
the combinations whose records are removed, and the coarser values of the others. The stage looks up each record's combination.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.arrow.dictionaries import decode_dictionary
from minimize.arrow.nested import leaf
from minimize.disclosure_risk.combinations import Combinations, CombinationTally, grouped
from minimize.disclosure_risk.full_domain import FullDomain, optimal_levels
from minimize.disclosure_risk.hierarchy import Hierarchy
from minimize.disclosure_risk.local_recoding import recoded
from minimize.disclosure_risk.requirement import Baseline
from minimize.errors import RefusedError
from minimize.identifiers import canonical_column
from minimize.plan.model import Plan, RiskPlan
from minimize.records import Batch, BatchCounts
from minimize.results import OMIT_IF_NONE
from minimize.stages.deduplicate import encode_values
from minimize.stages.raw_values import filter_records
from minimize.techniques import Context

PERSON: Final = ""
"""The name of the column of persons. No field has an empty key."""
RISK_CODE: Final = "E310"


def risk_columns(risk: RiskPlan, batch: Batch) -> pa.RecordBatch:
    """The released quasi-identifiers and sensitive fields of a batch by key, and the person of each record."""
    columns = {key: _comparable(batch.released[key]) for key in (*risk.quasi_identifiers, *risk.sensitive)}
    if risk.person is not None:
        columns[PERSON] = canonical_column(leaf(batch.raw, risk.person).values, fold=risk.folds_case)
    return pa.RecordBatch.from_pydict(columns)


def _comparable(values: pa.Array) -> pa.Array:
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
    def from_plan(cls, risk: RiskPlan) -> RiskTally:
        """An empty tally."""
        person = None if risk.person is None else PERSON
        return cls(risk, CombinationTally(risk.quasi_identifiers, risk.sensitive, person))

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
    levels: Mapping[str, int] | None = field(default=None, metadata=OMIT_IF_NONE)
    """The chosen level of each field with `auto`; 0 is the finest."""
    loss: float | None = field(default=None, metadata=OMIT_IF_NONE)
    lower_bound: float | None = field(default=None, metadata=OMIT_IF_NONE)
    proven: bool | None = field(default=None, metadata=OMIT_IF_NONE)


@dataclass(frozen=True, slots=True)
class RiskDecision:
    """What the bound does to the records of a batch date."""

    figures: RiskFigures
    is_met: bool
    """Whether the released records meet the bound."""
    stage: ApplyBound | None = field(default=None, repr=False)
    """The stage that removes and coarsens; None if every record stays as it is."""


@dataclass(frozen=True, slots=True)
class CoarserColumn:
    """The values of a field after the decision: a label for each combination."""

    codes: npt.NDArray[np.int32] = field(repr=False)
    labels: pa.Array = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApplyBound:
    """The stage that removes the records of suppressed combinations and coarsens the values of the others."""

    plan: Plan
    risk: RiskPlan
    index: CombinationIndex = field(repr=False)
    is_suppressed: npt.NDArray[np.bool_] = field(repr=False)
    """By combination."""
    columns: Mapping[str, CoarserColumn] = field(default_factory=dict, repr=False)

    def __call__(self, batch: Batch) -> Batch:
        """The batch without suppressed records, which are counted, and with coarser values."""
        if not batch.raw.num_rows:
            return batch
        places = self.index.places(risk_columns(self.risk, batch))
        keep = ~self.is_suppressed[places]
        coarser = {key: self._coarser(column, places, batch.released[key].type) for key, column in self.columns.items()}
        counts = batch.counts + BatchCounts(suppressed=len(keep) - int(np.count_nonzero(keep)))
        changed = batch.with_(released={**batch.released, **coarser}, counts=counts)
        return filter_records(changed, keep, self.plan)

    def _coarser(self, column: CoarserColumn, places: npt.NDArray[np.int64], type_: pa.DataType) -> pa.Array:
        codes = pa.array(column.codes[places])
        if pa.types.is_dictionary(type_):
            return pa.DictionaryArray.from_arrays(codes, column.labels)
        return column.labels.take(codes)
