"""`entropy_l`: the effective number of sensitive values in a combination."""

from __future__ import annotations

from math import log
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Classes
from minimize.disclosure_risk.measures.base import TOLERANCE, Figures, RiskMeasure, SensitiveView, Threshold

_HALVINGS: Final = 40
"""Halvings of an interval that find a share to a millionth of a millionth."""


def _largest_share(value_count: int, threshold: float) -> float:
    """The largest share that one of so many values can have, rounded up; 0 if the threshold is out of reach."""
    if value_count < threshold - TOLERANCE:
        return 0.0
    if value_count < 2 or threshold <= 1:
        return 1.0
    low, high = 1.0 / value_count, 1.0
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        entropy = -share * log(share) - (1 - share) * log((1 - share) / (value_count - 1))
        low, high = (share, high) if entropy >= log(threshold) else (low, share)
    return high + TOLERANCE


class EntropyDiversity(RiskMeasure):
    """The exponential of the entropy of the sensitive values of a class: a real number that is never truncated."""

    name: ClassVar[str] = "entropy_l"
    title: ClassVar[str] = "effective number of sensitive values in a combination, at least"
    source: ClassVar[str] = "Machanavajjhala et al. 2007"
    is_closed_under_union: ClassVar[bool] = True
    higher_is_safer: ClassVar[bool] = True
    example: ClassVar[str] = "1.5"

    @classmethod
    def figures(cls, classes: Classes, view: SensitiveView | None, threshold: Threshold | None = None) -> Figures:
        """The exponential of the entropy of each class."""
        if view is None:
            return np.zeros(len(classes))
        return np.exp(view.sum_by_class(-view.shares * np.log(view.shares)))

    @classmethod
    def most_kept(cls, view: SensitiveView, threshold: Threshold) -> Figures:
        """No share is so large that the entropy is too small even if all other values of the class are equally frequent."""
        value_counts = np.bincount(view.counts.combination, minlength=view.class_count)
        limits = np.zeros(int(value_counts.max(initial=0)) + 1)
        for value_count in np.unique(value_counts).tolist():
            limits[value_count] = _largest_share(value_count, threshold)
        return view.most_within(limits[value_counts[view.counts.combination]], 1.0)

    @classmethod
    def holds(cls, figures: Figures, threshold: Threshold) -> npt.NDArray[np.bool_]:
        """At least the threshold."""
        return np.asarray(figures >= threshold - TOLERANCE, np.bool_)
