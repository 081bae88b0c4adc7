"""`h3`, `grid`: cells by their index or centre."""

from __future__ import annotations

import math
import re
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from minimize.verification.rules.base import Given, Obeys, Place

_PENTAGONS: Final = frozenset({4, 14, 24, 38, 49, 58, 63, 72, 83, 97, 107, 117})
_RADIUS: Final = 6_371_007.2
"""Metres, of the sphere with the Earth's surface."""
_ROUNDED: Final = 1e-6
"""Degrees to which centres are rounded."""
_Numbers = npt.NDArray[np.float64]


def h3_cells(given: Given, place: Place) -> Obeys:
    """Cells of this resolution, by the layout of the index: mode, resolution, base cell, digits."""
    resolution = int(given["resolution"])
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


def grid_centres(given: Given, place: Place) -> Obeys:
    """Centres of equal-area cells: of a band of latitude, and of one of the equal pieces that the band is cut into."""
    centres, counts = _bands(float(given.get("metres", 300)))

    def obeys(value: Any) -> bool:
        latitude, longitude = (math.nan if part is None else float(part) for part in value)
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            return False
        band = int(np.abs(centres - latitude).argmin())
        pieces = (longitude + 180) / 360 * float(counts[band]) - 0.5
        slack = float(counts[band]) / 360 * _ROUNDED + 1e-9
        return abs(float(centres[band]) - latitude) <= _ROUNDED and abs(pieces - round(pieces)) <= slack

    return obeys


def _bands(metres: float) -> tuple[_Numbers, _Numbers]:
    """For every band from south to north the latitude of its centre and the number of its cells.

    Cells have one area, so that a band takes its share of the sphere's height in proportion to its cells. The size aimed at
    grows until no cell is lower or narrower than was asked.
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


def _with_caps(centres: _Numbers, counts: _Numbers) -> _Numbers:
    """A single cell around a pole has the pole as its centre."""
    centres = centres.copy()
    for band, pole in ((0, -90.0), (-1, 90.0)):
        if counts[band] == 1:
            centres[band] = pole
    return centres
