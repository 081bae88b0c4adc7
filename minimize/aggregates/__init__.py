"""Measures as tallies, one a file, and the suppression of small groups. The table of measures is here."""

from __future__ import annotations

from minimize.aggregates.base import Measure, MeasureTally

__all__ = ["MEASURES", "Measure", "MeasureTally"]

MEASURES: dict[str, type[Measure]] = {}
