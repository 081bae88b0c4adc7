"""`k`: data subjects who share a combination."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Classes
from minimize.disclosure_risk.measures.base import Figures, RiskMeasure, SensitiveView, Threshold


class KAnonymity(RiskMeasure):
    """The number of data subjects whose quasi-identifiers are equal."""

    name: ClassVar[str] = "k"
    title: ClassVar[str] = "persons who share the rarest combination"
    source: ClassVar[str] = "Samarati and Sweeney 1998"
    is_closed_under_union: ClassVar[bool] = True
    needs_sensitive: ClassVar[bool] = False
    higher_is_safer: ClassVar[bool] = True
    holds_in_unions: ClassVar[bool] = True
    example: ClassVar[str] = "10"

    @classmethod
    def read_threshold(cls, written: Any) -> int:
        """A whole number from 1."""
        if isinstance(written, bool) or not isinstance(written, int) or not 1 <= written < 2**31:
            raise ValueError("must be a whole number from 1")
        return written

    @classmethod
    def threshold_schema(cls) -> Mapping[str, Any]:
        """The JSON Schema of a threshold."""
        return {"type": "integer", "minimum": 1}

    @classmethod
    def figures(cls, classes: Classes, view: SensitiveView | None, threshold: Threshold | None = None) -> Figures:
        """The number of data subjects of each class."""
        return classes.person_counts.astype(np.float64)

    @classmethod
    def holds(cls, figures: Figures, threshold: Threshold) -> npt.NDArray[np.bool_]:
        """At least the threshold."""
        return np.asarray(figures >= threshold, np.bool_)
