"""`alpha`: share of the most frequent sensitive value in a combination."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Classes
from minimize.disclosure_risk.measures.base import TOLERANCE, Figures, RiskMeasure, SensitiveView, Threshold


class AlphaAnonymity(RiskMeasure):
    """The share of the most frequent sensitive value of a class."""

    name: ClassVar[str] = "alpha"
    title: ClassVar[str] = "share of the most frequent value in a combination, at most"
    source: ClassVar[str] = "Wong et al. 2006"
    is_closed_under_union: ClassVar[bool] = True
    example: ClassVar[str] = "0.8"

    @classmethod
    def figures(cls, classes: Classes, view: SensitiveView | None, threshold: Threshold | None = None) -> Figures:
        """The share of the most frequent value of each class."""
        if view is None:
            return np.zeros(len(classes))
        return view.max_by_class(view.shares)

    @classmethod
    def most_kept(cls, view: SensitiveView, threshold: Threshold) -> Figures:
        """No share is larger than the threshold."""
        return view.most_within(np.full(len(view.counts.count), float(threshold)), 1.0)

    @classmethod
    def holds(cls, figures: Figures, threshold: Threshold) -> npt.NDArray[np.bool_]:
        """At most the threshold."""
        return np.asarray(figures <= threshold + TOLERANCE, np.bool_)
