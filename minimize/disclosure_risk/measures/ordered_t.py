"""`ordered_t`: as `t`, but a value is closer to its neighbours than to others."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Classes, Codes
from minimize.disclosure_risk.measures.base import (
    TOLERANCE,
    Figures,
    RiskMeasure,
    SensitiveView,
    Threshold,
    whole_bound,
)


def _interval_area(level: Figures, first: Codes, last: Codes, below: Figures, area: Figures) -> Figures:
    """The sum of |level - cumulative share| over the values from `first` to before `last`."""
    middle = np.clip(np.searchsorted(below[1:], level, side="right"), first, last)
    under = level * (middle - first) - (area[middle] - area[first])
    over = (area[last] - area[middle]) - level * (last - middle)
    return under + over


def _sums_before(figures: Figures, classes: Codes) -> Figures:
    """The sum of the figures before each place within its class. Takes classes whose places are together."""
    sums = np.concatenate([[0.0], np.cumsum(figures)])[:-1]
    is_first = np.concatenate([[True], classes[1:] != classes[:-1]])[: len(classes)]
    first = np.maximum.accumulate(np.where(is_first, np.arange(len(classes)), 0))
    return np.asarray(sums - sums[first], np.float64)


class OrderedCloseness(RiskMeasure):
    """The earth mover's distance between a class and all records over ordered values, with 1 for the whole range."""

    name: ClassVar[str] = "ordered_t"
    title: ClassVar[str] = "distance from the distribution of all records in order, at most"
    source: ClassVar[str] = "Li et al. 2007, ordered distance"
    is_closed_under_union: ClassVar[bool] = True

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
    def most_kept(cls, view: SensitiveView, threshold: Threshold) -> Figures:
        """The mean rank of the values differs from that of all records by at most t times the largest difference of ranks.

        So the values of low rank can be kept until their mean is too high, and those of high rank until it is too low.
        """
        last = len(view.baseline) - 1
        counts, ranks = view.counts.count.astype(np.float64), view.counts.value.astype(np.float64)
        mean = float(view.baseline @ np.arange(last + 1))
        most = view.sizes.astype(np.float64)
        for direction in (slice(None), slice(None, None, -1)):
            # From the lowest to the highest rank, then from the highest to the lowest with ranks and mean mirrored.
            classes = view.counts.combination[direction]
            before = _sums_before(counts[direction], classes)
            excess = ranks[direction] - mean - threshold * last
            bounds = ranks[direction] * before - _sums_before((counts * ranks)[direction], classes)
            quotients = np.divide(bounds, excess, out=np.full(len(bounds), np.inf), where=excess > TOLERANCE)
            np.minimum.at(most, classes, whole_bound(quotients))
            ranks, mean = last - ranks, last - mean
        return most

    @classmethod
    def holds(cls, figures: Figures, threshold: Threshold) -> npt.NDArray[np.bool_]:
        """At most the threshold."""
        return np.asarray(figures <= threshold + TOLERANCE, np.bool_)
