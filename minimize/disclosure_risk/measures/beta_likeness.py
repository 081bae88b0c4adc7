"""`beta`: relative gain in the belief that a data subject has a sensitive value."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Classes
from minimize.disclosure_risk.measures.base import TOLERANCE, Figures, RiskMeasure, SensitiveView, Threshold


class BetaLikeness(RiskMeasure):
    """The largest relative difference between the share of a value in a class and in all records."""

    name: ClassVar[str] = "beta"
    title: ClassVar[str] = "relative gain in the probability of a value, at most"
    source: ClassVar[str] = "Cao and Karras 2012, basic beta-likeness"
    is_closed_under_union: ClassVar[bool] = True
    example: ClassVar[str] = "1.0"

    @classmethod
    def figures(cls, classes: Classes, view: SensitiveView | None, threshold: Threshold | None = None) -> Figures:
        """The largest relative gain of each class."""
        if view is None:
            return np.zeros(len(classes))
        return view.max_by_class(view.shares / view.baseline_shares - 1.0)

    @classmethod
    def most_kept(cls, view: SensitiveView, threshold: Threshold) -> Figures:
        """No share is larger than the share in all records times 1 + beta."""
        return view.most_within(view.baseline_shares * (1.0 + threshold), 1.0)

    @classmethod
    def holds(cls, figures: Figures, threshold: Threshold) -> npt.NDArray[np.bool_]:
        """At most the threshold."""
        return np.asarray(figures <= threshold + TOLERANCE, np.bool_)
