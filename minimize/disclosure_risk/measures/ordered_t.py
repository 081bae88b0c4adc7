"""`ordered_t`: as `t`, but a value is closer to its neighbours than to others."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Classes, Codes
from minimize.disclosure_risk.measures.base import TOLERANCE, Figures, RiskMeasure, SensitiveView, Threshold


def _interval_area(level: Figures, first: Codes, last: Codes, below: Figures, area: Figures) -> Figures:
    """The sum of |level - cumulative share| over the values from `first` to before `last`."""
    middle = np.clip(np.searchsorted(below[1:], level, side="right"), first, last)
    under = level * (middle - first) - (area[middle] - area[first])
    over = (area[last] - area[middle]) - level * (last - middle)
    return under + over


class OrderedCloseness(RiskMeasure):
    """The earth mover's distance between a class and all records over ordered values, with 1 for the whole range."""

    name: ClassVar[str] = "ordered_t"
    title: ClassVar[str] = "distance from the distribution of all records in order, at most"
    source: ClassVar[str] = "Li et al. 2007, ordered distance"

    @classmethod
    def figures(cls, classes: Classes, view: SensitiveView | None, threshold: Threshold | None = None) -> Figures:
        """The ordered distance of each class.

        Between two values that a class has, its cumulative share is constant, so each interval is one look-up in the sums of the
        baseline.
        """
        if view is None:
            return np.zeros(len(classes))
        size = len(view.baseline)
        if size < 2 or not view.class_count:
            return np.zeros(view.class_count)
        counts = view.counts
        below = np.concatenate([[0.0], np.cumsum(view.baseline)])  # below[v]: share of the values before v
        area = np.concatenate(
            [[0.0], np.cumsum(below[1:])]
        )  # area[v]: sum of the cumulative shares of the values before v
        starts = np.searchsorted(counts.combination, np.arange(view.class_count))
        ends = np.append(starts[1:], len(counts.combination))
        reached = np.cumsum(view.shares)
        before = np.concatenate([[0.0], reached])[starts]
        level = reached - before[counts.combination]
        first, last = counts.value.astype(np.int64), np.empty(len(counts.value), np.int64)
        last[:-1], last[-1:] = first[1:], size
        last[ends[ends > starts] - 1] = size
        distance = view.sum_by_class(_interval_area(level, first, last, below, area))
        occupied = starts < ends
        distance[occupied] += area[first[starts[occupied]]]
        return distance / (size - 1)

    @classmethod
    def holds(cls, figures: Figures, threshold: Threshold) -> npt.NDArray[np.bool_]:
        """At most the threshold."""
        return np.asarray(figures <= threshold + TOLERANCE, np.bool_)
