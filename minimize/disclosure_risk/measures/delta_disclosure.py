"""`delta`: how much more or less frequent a sensitive value is in a combination, in bits."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Classes
from minimize.disclosure_risk.measures.base import Figures, RiskMeasure, SensitiveView, Threshold

_MAX_BITS: Final = 64.0
"""A value is never more frequent by more bits than that, so larger thresholds permit all."""


class DeltaDisclosure(RiskMeasure):
    """The largest absolute base-2 logarithm of the ratio between the share of a value in a class and in all records."""

    name: ClassVar[str] = "delta"
    title: ClassVar[str] = "bits by which a value is more or less frequent than in all records, below"
    source: ClassVar[str] = "Brickell and Shmatikov 2008"
    """A value can be absent from one class, which is no miss, and therefore too rare in the union."""
    example: ClassVar[str] = "1.5"

    @classmethod
    def figures(cls, classes: Classes, view: SensitiveView | None, threshold: Threshold | None = None) -> Figures:
        """The largest absolute logarithm of each class, over the values that it has."""
        if view is None:
            return np.zeros(len(classes))
        return view.max_by_class(np.abs(np.log2(view.shares / view.baseline_shares)))

    @classmethod
    def most_kept(cls, view: SensitiveView, threshold: Threshold) -> Figures:
        """No share is larger than the share in all records times 2 to the power of the threshold."""
        return view.most_within(view.baseline_shares * 2.0 ** min(threshold, _MAX_BITS), 1.0)

    @classmethod
    def holds(cls, figures: Figures, threshold: Threshold) -> npt.NDArray[np.bool_]:
        """Below the threshold."""
        return np.asarray(figures < threshold, np.bool_)
