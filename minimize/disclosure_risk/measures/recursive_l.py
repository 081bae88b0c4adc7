"""`recursive_l`: the most frequent sensitive value is not too frequent next to the rarer ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Classes
from minimize.disclosure_risk.measures.base import Figures, RiskMeasure, SensitiveView, Threshold


@dataclass(frozen=True, slots=True)
class RecursiveThreshold:
    """The parameters of recursive (c,l)-diversity."""

    c: float
    l: int  # noqa: E741 - the established name

    def __str__(self) -> str:
        return f"(c {self.c:g}, l {self.l})"


class RecursiveDiversity(RiskMeasure):
    """The count of the most frequent value of a class, divided by the counts from the l-th on; infinite if there are none."""

    name: ClassVar[str] = "recursive_l"
    title: ClassVar[str] = "ratio of the most frequent value to the values from the l-th on, below c"
    source: ClassVar[str] = "Machanavajjhala et al. 2007, recursive (c,l)-diversity"
    is_closed_under_union: ClassVar[bool] = True
    example: ClassVar[str] = "{c: 3, l: 2}"

    @classmethod
    def read_threshold(cls, written: Any) -> RecursiveThreshold:
        """A mapping with a positive `c` and a whole number `l` from 2."""
        if not isinstance(written, Mapping) or set(written) != {"c", "l"}:
            raise ValueError("must have `c` and `l`, such as {c: 3, l: 2}")
        c, rank = written["c"], written["l"]
        if isinstance(c, bool) or not isinstance(c, int | float) or not 0 < c < float("inf"):
            raise ValueError("must have a positive number `c`")
        if isinstance(rank, bool) or not isinstance(rank, int) or rank < 2:
            raise ValueError("must have a whole number `l` from 2")
        return RecursiveThreshold(float(c), rank)

    @classmethod
    def threshold_schema(cls) -> Mapping[str, Any]:
        """The JSON Schema of a threshold."""
        return {
            "type": "object",
            "properties": {"c": {"type": "number", "exclusiveMinimum": 0}, "l": {"type": "integer", "minimum": 2}},
            "required": ["c", "l"],
            "additionalProperties": False,
        }

    @classmethod
    def figures(cls, classes: Classes, view: SensitiveView | None, threshold: Threshold | None = None) -> Figures:
        """The ratio of each class. Without a threshold, l is 2."""
        if view is None:
            return np.zeros(len(classes))
        rank = threshold.l if isinstance(threshold, RecursiveThreshold) else 2
        counts = view.counts
        order = np.lexsort((-counts.count, counts.combination))
        starts = np.searchsorted(counts.combination, np.arange(view.class_count))
        ranks = np.arange(len(order)) - starts[counts.combination]
        ordered = counts.count[order].astype(np.float64)
        tail = np.bincount(counts.combination[ranks >= rank - 1], ordered[ranks >= rank - 1], view.class_count)
        largest = np.bincount(counts.combination[ranks == 0], ordered[ranks == 0], view.class_count)
        ratios: Figures = np.divide(largest, tail, out=np.full(view.class_count, np.inf), where=tail > 0)
        return ratios

    @classmethod
    def is_at_least_as_strict(cls, threshold: Threshold, reference: Threshold) -> bool:
        """Whether both `c` and `l` are at least as strict."""
        return bool(threshold.c <= reference.c and threshold.l >= reference.l)

    @classmethod
    def most_kept(cls, view: SensitiveView, threshold: Threshold) -> Figures:
        """The most frequent value has less than c times the count of all others."""
        has_tail = np.bincount(view.counts.combination, minlength=view.class_count) >= threshold.l
        most = view.most_within(np.full(len(view.counts.count), threshold.c / (1.0 + threshold.c)), 1.0)
        return np.where(has_tail, most, 0.0)

    @classmethod
    def holds(cls, figures: Figures, threshold: Threshold) -> npt.NDArray[np.bool_]:
        """Below c."""
        return np.asarray(figures < threshold.c, np.bool_)
