"""`l`: distinct sensitive values in a combination."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Classes
from minimize.disclosure_risk.measures.base import TOLERANCE, Figures, RiskMeasure, SensitiveView, Threshold


class DistinctDiversity(RiskMeasure):
    """The number of different sensitive values among the data subjects of a class."""

    name: ClassVar[str] = "l"
    title: ClassVar[str] = "different sensitive values in a combination, at least"
    source: ClassVar[str] = "Machanavajjhala et al. 2007"
    is_closed_under_union: ClassVar[bool] = True
    higher_is_safer: ClassVar[bool] = True
    holds_in_unions: ClassVar[bool] = True
    example: ClassVar[str] = "2"

    @classmethod
    def figures(cls, classes: Classes, view: SensitiveView | None, threshold: Threshold | None = None) -> Figures:
        """The number of distinct values of each class."""
        if view is None:
            return np.zeros(len(classes))
        return cls._value_counts(view)

    @staticmethod
    def _value_counts(view: SensitiveView) -> Figures:
        return np.bincount(view.counts.combination, minlength=view.class_count).astype(np.float64)

    @classmethod
    def most_kept(cls, view: SensitiveView, threshold: Threshold) -> Figures:
        """A class with too few values has no part with more."""
        return np.where(cls.holds(cls._value_counts(view), threshold), view.sizes, 0.0)

    @classmethod
    def holds(cls, figures: Figures, threshold: Threshold) -> npt.NDArray[np.bool_]:
        """At least the threshold."""
        return np.asarray(figures >= threshold - TOLERANCE, np.bool_)
