"""Measures as tallies, one per file, and the suppression of small groups. This file has the table of measures."""

from __future__ import annotations

from typing import Any

from minimize.aggregates.base import Measure, MeasureRefused, MeasureTally, MeasureTerms
from minimize.aggregates.count import Count
from minimize.aggregates.count_distinct import CountDistinct
from minimize.aggregates.histogram import Histogram
from minimize.aggregates.max import Max
from minimize.aggregates.mean import Mean
from minimize.aggregates.min import Min
from minimize.aggregates.quantile import Quantile
from minimize.aggregates.share import Share
from minimize.aggregates.sum import Sum

__all__ = ["MEASURES", "Measure", "MeasureRefused", "MeasureTally", "MeasureTerms", "measure_from"]

MEASURES: dict[str, type[Measure]] = {
    kind.name: kind for kind in (Count, CountDistinct, Sum, Mean, Min, Max, Quantile, Share, Histogram)
}


def measure_from(word: str, argument: Any = None) -> Measure:
    """The measure of a keyword in a pipeline and its argument: None, the key of a field, or parameters.

    Raises KeyError for an unknown keyword, and ValidationError of pydantic for invalid parameters.

    >>> measure_from("count_distinct", "device_id")
    CountDistinct(of='device_id')
    >>> measure_from("quantile", {"of": "free_storage_bytes", "q": 0.5})
    Quantile(of='free_storage_bytes', q=0.5)
    """
    kind = MEASURES[word]
    if argument is None:
        return kind.model_validate({})
    return kind.model_validate(argument if isinstance(argument, dict) else {"of": argument})
