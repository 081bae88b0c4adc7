"""`t`: distance of the sensitive values of a combination from those of all records, all values equally different."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Classes
from minimize.disclosure_risk.measures.base import TOLERANCE, Figures, RiskMeasure, SensitiveView, Threshold


class EqualCloseness(RiskMeasure):
    """The share of a class that would have to change its sensitive value to be distributed as all records are."""

    name: ClassVar[str] = "t"
    title: ClassVar[str] = "distance from the distribution of all records, at most"
    source: ClassVar[str] = "Li et al. 2007, equal distance"
    is_closed_under_union: ClassVar[bool] = True

    @classmethod
    def figures(cls, classes: Classes, view: SensitiveView | None, threshold: Threshold | None = None) -> Figures:
        """The sum of the positive differences of shares, for each class."""
        if view is None:
            return np.zeros(len(classes))
        return view.sum_by_class(np.maximum(view.shares - view.baseline_shares, 0.0))

    @classmethod
    def most_kept(cls, view: SensitiveView, threshold: Threshold) -> Figures:
        """Shares capped at those of all records add up to at least 1 - t."""
        return view.most_within(view.baseline_shares, 1.0 - threshold)

    @classmethod
    def holds(cls, figures: Figures, threshold: Threshold) -> npt.NDArray[np.bool_]:
        """At most the threshold."""
        return np.asarray(figures <= threshold + TOLERANCE, np.bool_)
