"""What a bound requires of each class of records, and whether it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Classes, Combinations, classes_of
from minimize.disclosure_risk.measures import RISK_MEASURES
from minimize.disclosure_risk.measures.base import Figures, SensitiveView, Threshold, baseline_of


@dataclass(frozen=True, eq=False)
class Baseline:
    """The distribution of each sensitive attribute over all records, before any was suppressed."""

    shares: tuple[npt.NDArray[np.float64], ...]

    @classmethod
    def of_combinations(cls, combinations: Combinations) -> Baseline:
        """The distributions over a table."""
        everything = classes_of(combinations, np.zeros(len(combinations), np.int64), min(1, len(combinations)))
        return cls(tuple(map(baseline_of, everything.sensitive)))

    def views(self, classes: Classes) -> list[SensitiveView]:
        """The sensitive attributes of some classes, next to these distributions."""
        return [
            SensitiveView(counts, len(classes), shares)
            for counts, shares in zip(classes.sensitive, self.shares, strict=True)
        ]


@dataclass(frozen=True)
class Requirement:
    """The threshold of each measure that every class must meet, for each sensitive attribute."""

    thresholds: Mapping[str, Threshold]

    @cached_property
    def k(self) -> int:
        """The required number of data subjects; 1 if none is required."""
        return int(self.thresholds.get("k", 1))

    def holds(self, classes: Classes, baseline: Baseline) -> npt.NDArray[np.bool_]:
        """Whether each class meets all thresholds."""
        fulfilled = np.ones(len(classes), np.bool_)
        for name, threshold in self.thresholds.items():
            for figures in measure_classes(name, classes, baseline, threshold):
                fulfilled &= RISK_MEASURES[name].holds(figures, threshold)
        return fulfilled

    def missed(self, classes: Classes, baseline: Baseline) -> list[str]:
        """The names of the measures that some class misses, in the order of the thresholds."""
        return [
            name
            for name, threshold in self.thresholds.items()
            if not all(
                RISK_MEASURES[name].holds(figures, threshold).all()
                for figures in measure_classes(name, classes, baseline, threshold)
            )
        ]


def measure_classes(
    name: str, classes: Classes, baseline: Baseline, threshold: Threshold | None = None
) -> list[Figures]:
    """The figures of each class by a measure: for each sensitive attribute, or once if the measure needs none."""
    kind = RISK_MEASURES[name]
    if not kind.needs_sensitive:
        return [kind.figures(classes, None, threshold)]
    return [kind.figures(classes, view, threshold) for view in baseline.views(classes)]


def worst_figure(name: str, classes: Classes, baseline: Baseline, threshold: Threshold | None = None) -> float | None:
    """The figure of the class and sensitive attribute that are worst protected; None without any."""
    kind = RISK_MEASURES[name]
    worst = [kind.worst(figures) for figures in measure_classes(name, classes, baseline, threshold)]
    known = [figure for figure in worst if figure is not None]
    if not known:
        return None
    return min(known) if kind.higher_is_safer else max(known)
