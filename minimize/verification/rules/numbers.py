"""`round`, `bin`, `clip`: multiples, edges and bounds, in exact arithmetic."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa

from minimize.verification.leaves import narrowed
from minimize.verification.rules.base import Given, Obeys, Place, exact, is_multiple

_NUMBER: Final = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_CLOSED: Final = re.compile(rf"\[({_NUMBER}), ({_NUMBER})\)")
_OPEN: Final = re.compile(rf"(<|>=) ({_NUMBER})")


def rounded(given: Given, place: Place) -> Obeys:
    """Whole multiples of `to`, as closely as the type can hold them, and no negative zero."""
    step = exact(given["to"])
    return lambda value: _is_special(value) or _is_step(value, step, Fraction(0), place.type)


def clipped(given: Given, place: Place) -> Obeys:
    """Within the bounds."""
    low, high = given.get("min"), given.get("max")

    def obeys(value: Any) -> bool:
        if isinstance(value, Decimal) and value.is_nan():
            return True
        return (low is None or value >= _decimal(low)) and (high is None or value <= _decimal(high))

    return obeys


def binned(given: Given, place: Place) -> Obeys:
    """Lower edges, middles or labels of bins."""
    form = given.get("as", "lower")
    if "edges" in given:
        return _of_edges([exact(edge) for edge in given["edges"]], form, place.type)
    return _of_width(exact(given["width"]), exact(given.get("origin", 0)), form, place.type)


def _of_width(width: Fraction, origin: Fraction, form: str, type_: pa.DataType) -> Obeys:
    def lower(value: Any) -> bool:
        return not _is_special(value) and _is_step(value, width, origin, type_)

    def label(value: Any) -> bool:
        ends = _ends(value)
        return ends is not None and is_multiple(ends[0] - origin, width) and ends[1] - ends[0] == width

    def middle(value: Any) -> bool:
        steps = (Fraction(value) - origin) / width - Fraction(1, 2) if not _is_special(value) else Fraction(1, 3)
        return abs(steps - round(steps)) <= abs(Fraction(value)) / width * Fraction(1, 2**51)

    return {"lower": lower, "label": label}.get(form, middle)


def _of_edges(edges: Sequence[Fraction], form: str, type_: pa.DataType) -> Obeys:
    def lower(value: Any) -> bool:
        return not _is_special(value) and any(_is_held(value, edge, type_) for edge in edges[:-1])

    def label(value: Any) -> bool:
        open_end = _OPEN.fullmatch(value)
        if open_end:
            return exact(Decimal(open_end[2])) == (edges[0] if open_end[1] == "<" else edges[-1])
        return _ends(value) in [*pairwise(edges)]

    def middle(value: Any) -> bool:
        middles = [float((low + high) / 2) for low, high in pairwise(edges)]
        return any(math.isclose(float(value), each, rel_tol=1e-15) for each in middles)

    return {"lower": lower, "label": label}.get(form, middle)


def _is_step(value: Any, step: Fraction, origin: Fraction, type_: pa.DataType) -> bool:
    nearest = round((exact(value) - origin) / step) * step + origin
    return not _is_negative_zero(value) and _is_held(value, nearest, type_)


def _is_held(value: Any, number: Fraction, type_: pa.DataType) -> bool:
    """Whether a value is how its type holds a number: exactly, or as the nearest double."""
    if not pa.types.is_floating(type_):
        return exact(value) == number
    narrow = narrowed(type_)
    return bool(narrow(float(value)) == narrow(float(number)))


def _ends(label: str) -> tuple[Fraction, Fraction] | None:
    found = _CLOSED.fullmatch(label)
    return None if found is None else (exact(Decimal(found[1])), exact(Decimal(found[2])))


def _decimal(number: Any) -> Decimal:
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def _is_special(value: Any) -> bool:
    """Whether it is NaN or an infinity: no digits to hide."""
    return isinstance(value, Decimal) and not value.is_finite()


def _is_negative_zero(value: Any) -> bool:
    return isinstance(value, Decimal) and value.is_zero() and value.is_signed()
