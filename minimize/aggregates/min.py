"""`min`: the smallest value of a field."""

from __future__ import annotations

from typing import ClassVar

from minimize.aggregates.extremes import ExtremeMeasure


class Min(ExtremeMeasure):
    """The smallest value, as released.

    Takes numbers, timestamps and dates, and gives the same type. Null if fewer than `below` subjects contribute a value.
    """

    name: ClassVar[str] = "min"
    about: ClassVar[str] = "the smallest released value"
