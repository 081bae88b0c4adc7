"""`entropy_l`: the effective number of sensitive values in a combination."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Classes
from minimize.disclosure_risk.measures.base import TOLERANCE, Figures, RiskMeasure, SensitiveView, Threshold


class EntropyDiversity(RiskMeasure):
    """The exponential of the entropy of the sensitive values of a class: a real number that is never truncated."""

    name: ClassVar[str] = "entropy_l"
    title: ClassVar[str] = "effective number of sensitive values in a combination, at least"
    source: ClassVar[str] = "Machanavajjhala et al. 2007"
    higher_is_safer: ClassVar[bool] = True
    example: ClassVar[str] = "1.5"

    @classmethod
    def figures(cls, classes: Classes, view: SensitiveView | None, threshold: Threshold | None = None) -> Figures:
        """The exponential of the entropy of each class."""
        if view is None:
            return np.zeros(len(classes))
        return np.exp(view.sum_by_class(-view.shares * np.log(view.shares)))

    @classmethod
    def holds(cls, figures: Figures, threshold: Threshold) -> npt.NDArray[np.bool_]:
        """At least the threshold."""
        return np.asarray(figures >= threshold - TOLERANCE, np.bool_)
