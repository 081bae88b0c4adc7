"""The interface of a measure of disclosure risk, and the view of a sensitive attribute that measures compute from.

A new measure is one file in this folder with one class, one row in `RISK_MEASURES` (`__init__.py`), and one test. Nothing else
knows its name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Classes, Codes, SensitiveCounts

Figures = npt.NDArray[np.float64]
Threshold = Any
"""What `read_threshold` of a measure returns: a number, or a frozen dataclass."""
TOLERANCE: Final = 1e-12
"""Figures that differ from a threshold by less are equal to it: they are sums of rounded numbers."""
_SLACK: Final = 1e-9
"""Upper bounds of counts are larger by this share, so that rounding never makes a bound too small."""


@dataclass(frozen=True, eq=False)
class SensitiveView:
    """A sensitive attribute of some classes, next to its distribution over all records."""

    counts: SensitiveCounts
    """By class and value, sparse, sorted."""
    class_count: int
    baseline: npt.NDArray[np.float64]
    """The share of each value among all data subjects, before any record was suppressed."""

    @cached_property
    def sizes(self) -> Codes:
        """The sum of the counts of each class. A data subject with two values counts in both."""
        return np.bincount(self.counts.combination, self.counts.count, self.class_count).astype(np.int64)

    @cached_property
    def shares(self) -> Figures:
        """The share of each listed value within its class."""
        return self.counts.count / self.sizes[self.counts.combination]

    @cached_property
    def baseline_shares(self) -> Figures:
        """The share of each listed value over all records."""
        return self.baseline[self.counts.value]

    def sum_by_class(self, figures: Figures) -> Figures:
        """The sum of figures of listed values, by class."""
        return np.bincount(self.counts.combination, figures, self.class_count).astype(np.float64)

    def max_by_class(self, figures: Figures) -> Figures:
        """The largest figure of listed values, by class; 0 for a class without any."""
        largest = np.zeros(self.class_count)
        np.maximum.at(largest, self.counts.combination, figures)
        return largest

    def most_within(self, limits: Figures, goal: float) -> Figures:
        """The most data subjects of each class that classes made of parts of it can keep, if each class keeps to limits.

        A class keeps to the limits if the shares of its values, each capped at its limit, add up to the goal. So does the union
        of such classes, and it has at most the class's count of each value. The largest size m for which the sum over v of
        min(count of v, limit of v × m) reaches goal × m is the least of a few quotients, because that sum is concave in m.

        Args:
            limits: For each listed value, the share that it may have.
            goal: What the capped shares add up to at least.
        """
        counts = self.counts
        caps = np.divide(counts.count, limits, out=np.full(len(limits), np.inf), where=limits > 0)
        order = np.lexsort((caps, counts.combination))
        classes, sums = counts.combination[order], self.sum_by_class(limits)
        starts = np.searchsorted(classes, np.arange(self.class_count))
        kept = _sums_within(counts.count[order].astype(np.float64), classes, starts)
        open_limits = sums[classes] - _sums_within(limits[order], classes, starts)
        most = np.where(goal - sums > _SLACK, 0.0, self.sizes)
        lack = goal - open_limits
        bounds = np.divide(kept, lack, out=np.full(len(kept), np.inf), where=lack > _SLACK)
        np.minimum.at(most, classes, whole_bound(bounds))
        return most


def whole_bound(bounds: Figures) -> Figures:
    """The whole numbers up to upper bounds that are sums of rounded numbers."""
    return np.asarray(np.floor(bounds * (1 + _SLACK) + _SLACK), np.float64)


def _sums_within(figures: Figures, classes: Codes, starts: Codes) -> Figures:
    """The cumulative sums of figures within each class. Takes the first place of each class."""
    sums = np.concatenate([[0.0], np.cumsum(figures)])
    return np.asarray(sums[1:] - sums[starts[classes]], np.float64)


def baseline_of(counts: SensitiveCounts) -> npt.NDArray[np.float64]:
    """The share of each value of a sensitive attribute. Takes the counts of a single class of all records."""
    totals = counts.totals.astype(np.float64)
    return totals / totals.sum() if totals.sum() else totals


class RiskMeasure(ABC):
    """A figure of each class of records, and when it meets a threshold."""

    name: ClassVar[str]
    """The word in a bound's `require` and in JSON."""
    title: ClassVar[str]
    """What the figure states, for readers who do not know its name."""
    source: ClassVar[str]
    needs_sensitive: ClassVar[bool] = True
    higher_is_safer: ClassVar[bool] = False
    needs_parameters: ClassVar[bool] = False
    """Whether its figures depend on more than the records, so that only a threshold or a caller's statement gives them."""
    holds_in_unions: ClassVar[bool] = False
    """Whether a threshold that two tables meet is met by both together, also if data subjects are in both."""
    example: ClassVar[str] = "0.3"
    """A threshold as a bound may write it."""
    is_closed_under_union: ClassVar[bool] = False
    """Whether the union of classes of one table that meet a threshold meets it, if no data subject is in several of them."""

    @classmethod
    def read_threshold(cls, written: Any) -> Threshold:
        """The threshold of a file. Raises ValueError with words that follow the measure's name."""
        if isinstance(written, bool) or not isinstance(written, int | float) or not 0 <= written < float("inf"):
            raise ValueError("must be a number from 0")
        return written

    @classmethod
    def threshold_schema(cls) -> Mapping[str, Any]:
        """The JSON Schema of a threshold."""
        return {"type": "number", "minimum": 0}

    @classmethod
    @abstractmethod
    def figures(cls, classes: Classes, view: SensitiveView | None, threshold: Threshold | None = None) -> Figures:
        """The figure of each class. Takes the sensitive attribute, if the measure needs one."""

    @classmethod
    @abstractmethod
    def holds(cls, figures: Figures, threshold: Threshold) -> npt.NDArray[np.bool_]:
        """Whether each figure meets a threshold."""

    @classmethod
    def most_kept(cls, view: SensitiveView, threshold: Threshold) -> Figures:
        """The most data subjects of each class that can be kept if it is divided further, by any attributes.

        The search prunes by it. A measure without a bound of its own permits all.
        """
        return view.sizes.astype(np.float64)

    @classmethod
    def is_at_least_as_strict(cls, threshold: Threshold, reference: Threshold) -> bool:
        """Whether a threshold permits nothing that another one forbids."""
        return bool(threshold >= reference if cls.higher_is_safer else threshold <= reference)

    @classmethod
    def worst(cls, figures: Figures) -> float | None:
        """The figure of the class that is worst protected; None without classes."""
        if not len(figures):
            return None
        return float(figures.min() if cls.higher_is_safer else figures.max())
