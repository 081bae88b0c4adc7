"""Rules for numbers, positions and times, in exact arithmetic: multiples, edges and bounds; cells; starts of units, ages."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.verification.rules.base import (
    ColumnContext,
    Parameters,
    ValueRule,
    exact_fraction,
    is_multiple,
    numpy_float,
)

_NUMBER: Final = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_CLOSED_LABEL: Final = re.compile(rf"\[({_NUMBER}), ({_NUMBER})\)")
_OPEN_LABEL: Final = re.compile(rf"(<|>=) ({_NUMBER})")


def multiples(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """Whole multiples of `to`, as exactly as the type can represent them, and no negative zero."""
    step = exact_fraction(parameters["to"])
    return lambda value: _is_special(value) or _is_step(value, step, Fraction(0), place.type)


def bounded_values(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """Within the bounds."""
    low, high = parameters.get("min"), parameters.get("max")

    def obeys(value: Any) -> bool:
        if isinstance(value, Decimal) and value.is_nan():
            return True
        return (low is None or value >= _as_decimal(low)) and (high is None or value <= _as_decimal(high))

    return obeys


def bin_values(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """Lower edges, middles or labels of bins."""
    form = parameters.get("as", "lower")
    if "edges" in parameters:
        return _bins_of_edges([exact_fraction(edge) for edge in parameters["edges"]], form, place.type)
    return _bins_of_width(
        exact_fraction(parameters["width"]), exact_fraction(parameters.get("origin", 0)), form, place.type
    )


def _bins_of_width(width: Fraction, origin: Fraction, form: str, type_: pa.DataType) -> ValueRule:
    def lower(value: Any) -> bool:
        return not _is_special(value) and _is_step(value, width, origin, type_)

    def label(value: Any) -> bool:
        ends = _label_bounds(value)
        return ends is not None and is_multiple(ends[0] - origin, width) and ends[1] - ends[0] == width

    def middle(value: Any) -> bool:
        steps = (Fraction(value) - origin) / width - Fraction(1, 2) if not _is_special(value) else Fraction(1, 3)
        return abs(steps - round(steps)) <= abs(Fraction(value)) / width * Fraction(1, 2**51)

    return {"lower": lower, "label": label}.get(form, middle)


def _bins_of_edges(edges: Sequence[Fraction], form: str, type_: pa.DataType) -> ValueRule:
    def lower(value: Any) -> bool:
        return not _is_special(value) and any(_is_held(value, edge, type_) for edge in edges[:-1])

    def label(value: Any) -> bool:
        open_end = _OPEN_LABEL.fullmatch(value)
        if open_end:
            return exact_fraction(Decimal(open_end[2])) == (edges[0] if open_end[1] == "<" else edges[-1])
        return _label_bounds(value) in [*pairwise(edges)]

    def middle(value: Any) -> bool:
        middles = [float((low + high) / 2) for low, high in pairwise(edges)]
        return any(math.isclose(float(value), each, rel_tol=1e-15) for each in middles)

    return {"lower": lower, "label": label}.get(form, middle)


def _is_step(value: Any, step: Fraction, origin: Fraction, type_: pa.DataType) -> bool:
    nearest = round((exact_fraction(value) - origin) / step) * step + origin
    return not _is_negative_zero(value) and _is_held(value, nearest, type_)


def _is_held(value: Any, number: Fraction, type_: pa.DataType) -> bool:
    """Whether a value is the representation of a number in its type: exact, or the nearest double."""
    if not pa.types.is_floating(type_):
        return exact_fraction(value) == number
    narrow = numpy_float(type_)
    return bool(narrow(float(value)) == narrow(float(number)))


def _label_bounds(label: str) -> tuple[Fraction, Fraction] | None:
    match = _CLOSED_LABEL.fullmatch(label)
    return None if match is None else (exact_fraction(Decimal(match[1])), exact_fraction(Decimal(match[2])))


def _as_decimal(number: Any) -> Decimal:
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def _is_special(value: Any) -> bool:
    """Whether a value is NaN or infinite, and so has no digits to hide."""
    return isinstance(value, Decimal) and not value.is_finite()


def _is_negative_zero(value: Any) -> bool:
    return isinstance(value, Decimal) and value.is_zero() and value.is_signed()


_PENTAGONS: Final = frozenset({4, 14, 24, 38, 49, 58, 63, 72, 83, 97, 107, 117})
_RADIUS: Final = 6_371_007.2
"""Radius in metres of the sphere with the Earth's surface area."""
_ROUNDING_DEGREES: Final = 1e-6
"""Precision of centres, in degrees."""
_Doubles = npt.NDArray[np.float64]


def h3_cells(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """H3 cells of this resolution, checked by the layout of the index: mode, resolution, base cell, digits."""
    resolution = int(parameters["resolution"])
    form = re.compile(r"[1-9a-f][0-9a-f]{14}")
    return lambda value: form.fullmatch(value) is not None and _is_cell(int(value, 16), resolution)


def _is_cell(index: int, resolution: int) -> bool:
    head = (index >> 59, (index >> 56) & 7, (index >> 52) & 15)
    base = (index >> 45) & 127
    digits = [(index >> (45 - 3 * (place + 1))) & 7 for place in range(15)]
    if head != (1, 0, resolution) or base > 121:
        return False
    leading = next((digit for digit in digits[:resolution] if digit), 0)
    if base in _PENTAGONS and leading == 1:
        return False
    return all(digit < 7 for digit in digits[:resolution]) and all(digit == 7 for digit in digits[resolution:])


def grid_centres(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """Centres of equal-area cells: of a band of latitude, and of one of the equal parts of that band."""
    centres, counts = _bands(float(parameters.get("metres", 300)))

    def obeys(value: Any) -> bool:
        latitude, longitude = (math.nan if part is None else float(part) for part in value)
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            return False
        band = int(np.abs(centres - latitude).argmin())
        pieces = (longitude + 180) / 360 * float(counts[band]) - 0.5
        slack = float(counts[band]) / 360 * _ROUNDING_DEGREES + 1e-9
        return abs(float(centres[band]) - latitude) <= _ROUNDING_DEGREES and abs(pieces - round(pieces)) <= slack

    return obeys


def _bands(metres: float) -> tuple[_Doubles, _Doubles]:
    """The latitude of the centre and the number of cells of every band, from south to north.

    All cells have the same area, so the height of a band is proportional to its number of cells. The target size grows until
    no cell is lower or narrower than required.
    """
    aim = metres
    while True:
        number = max(int(math.pi * _RADIUS / aim), 2)
        nominal = np.radians((np.arange(number) + 0.5) * 180 / number - 90)
        counts = np.maximum(np.floor(2 * math.pi * _RADIUS * np.cos(nominal) / aim), 1.0)
        heights = np.concatenate([[-1.0], 2 * np.cumsum(counts) / np.sum(counts) - 1])
        borders = np.arcsin(np.clip(heights, -1.0, 1.0))
        middles = (borders[:-1] + borders[1:]) / 2
        lowest = _RADIUS * float(np.min(borders[1:] - borders[:-1]))
        widths = 2 * math.pi * _RADIUS * np.cos(middles) / counts
        smallest = min(lowest, float(np.min(widths[counts > 1], initial=np.inf)))
        if smallest >= metres:
            return _with_caps(np.degrees(middles), counts), counts
        aim *= max(metres / smallest, 1.0005)


def _with_caps(centres: _Doubles, counts: _Doubles) -> _Doubles:
    """A single cell around a pole has the pole as its centre."""
    centres = centres.copy()
    for band, pole in ((0, -90.0), (-1, 90.0)):
        if counts[band] == 1:
            centres[band] = pole
    return centres


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS_PER_YEAR: Final = {"days": 365.2425, "months": 12, "years": 1}
_MAX_YEARS_UNTIL_RUN, _MAX_YEARS_BETWEEN = 2_100, 9_999
"""Upper bounds of an age in years: from year 1 until a run, and between any two days of the calendar."""


def time_starts(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """Times at which a unit begins: the previous moment belongs to another unit. Dates have no zone."""
    zone: tzinfo = UTC if pa.types.is_date(place.type) else ZoneInfo(str(parameters.get("zone", "UTC")))
    return unit_starts(str(parameters["to"]), zone)


def unit_starts(unit: str, zone: tzinfo) -> ValueRule:
    """The check of times (nanoseconds since 1970) that begin a unit in a zone."""
    naming = _UNIT_NAMES[unit]

    def obeys(value: Any) -> bool:
        seconds, remainder = divmod(value, 10**9)
        if remainder:
            return False
        try:
            at_start = (_EPOCH + timedelta(seconds=seconds)).astimezone(zone)
            just_before = (_EPOCH + timedelta(seconds=seconds, microseconds=-1)).astimezone(zone)
        except OverflowError:
            return bool(seconds % 60 == 0)
        return bool(naming(at_start) != naming(just_before))

    return obeys


def ages(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """Completed units: not below zero, and not above the maximum of the calendar."""
    years = _MAX_YEARS_UNTIL_RUN if parameters.get("at", "run") == "run" else _MAX_YEARS_BETWEEN
    oldest = years * _UNITS_PER_YEAR[str(parameters["unit"])]
    return lambda value: 0 <= value <= oldest


_UNIT_NAMES: Final[dict[str, Callable[[datetime], object]]] = {
    "minute": lambda time: (time.utcoffset(), time.date(), time.hour, time.minute),
    "hour": lambda time: (time.utcoffset(), time.date(), time.hour),
    "day": lambda time: time.date(),
    "week": lambda time: time.isocalendar()[:2],
    "month": lambda time: (time.year, time.month),
    "quarter": lambda time: (time.year, (time.month + 2) // 3),
    "year": lambda time: time.year,
}
