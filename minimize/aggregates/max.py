"""`max`: the largest value of a field."""

from __future__ import annotations

from typing import ClassVar

from minimize.aggregates.extremes import ExtremeMeasure


class Max(ExtremeMeasure):
    """The largest value, as released.

    Takes numbers, timestamps and dates, and gives the same type. Null if fewer than `below` subjects contribute a value.
    """

    name: ClassVar[str] = "max"
    about: ClassVar[str] = "the largest released value"
