"""Rules for whole columns where arithmetic tells at once. They say yes only where the rule for single values would."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.verification.policy import StepView
from minimize.verification.rules.base import exact

Whole = Callable[[pa.Array], bool]
"""Whether a whole column certainly obeys; False says only that its values are to be looked at."""
_UNITS: Final[Mapping[str, int]] = MappingProxyType({"minute": 60, "hour": 3_600, "day": 86_400})
_TICKS: Final[Mapping[str, int]] = MappingProxyType({"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9})
_LETTERS: Final = (np.uint8(ord("a")), np.uint8(26), np.uint8(ord("2")), np.uint8(6))
LEAST: Final = 26
"""Characters of a pseudonym."""
_EXACT: Final = 2**53


def whole_rule(chain: Sequence[StepView], type_: pa.DataType) -> Whole | None:
    """The rule for whole columns of a chain's values; None where single values are looked at."""
    last = chain[-1]
    if last.word == "pseudonymize" and pa.types.is_string(type_):
        return _pseudonyms
    if last.word == "truncate_time" and last.given.get("zone", "UTC") == "UTC":
        return _starts(str(last.given["to"]), type_)
    if last.word == "round":
        return _steps(exact(last.given["to"]), Fraction(0), type_)
    if last.word == "bin" and "edges" not in last.given and last.given.get("as", "lower") == "lower":
        return _steps(exact(last.given["width"]), exact(last.given.get("origin", 0)), type_)
    return None


def _pseudonyms(column: pa.Array) -> bool:
    """Equally long texts of lower-case base32; nothing may stand under nulls."""
    if column.null_count or not len(column):
        return not len(column)
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    lengths = np.diff(offsets)
    if lengths[0] < LEAST or (lengths != lengths[0]).any():
        return False
    data = np.frombuffer(column.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    first, count, digit, digits = _LETTERS
    letters = data - first
    return bool(((letters < count) | (data - digit < digits)).all())


def _starts(unit: str, type_: pa.DataType) -> Whole | None:
    seconds = _UNITS.get(unit)
    if seconds is None or not pa.types.is_timestamp(type_):
        return None
    ticks = seconds * _TICKS[type_.unit]
    return lambda column: not (_there(column.cast(pa.int64())) % ticks).any()


def _steps(step: Fraction, origin: Fraction, type_: pa.DataType) -> Whole | None:
    """Multiples of a step that is a whole number, or one part of a whole number: both are exact in doubles."""
    if origin != 0 or step <= 0 or 1 not in (step.numerator, step.denominator):
        return None
    if pa.types.is_integer(type_) and step.denominator == 1:
        return lambda column: not (_there(column) % step.numerator).any()
    if type_ != pa.float64():
        return None
    up, down = float(step.numerator), float(step.denominator)
    return lambda column: _are_multiples(_there(column), up, down)


def _are_multiples(values: npt.NDArray[Any], up: float, down: float) -> bool:
    """Whether each is the double nearest to a multiple: of a whole number, or of one part of a whole number."""
    number = np.rint(values * down / up)
    if not (np.abs(number) * up < _EXACT).all() or (np.signbit(values) & (values == 0)).any():
        return False
    return bool((number * up / down == values).all())


def _there(column: pa.Array) -> npt.NDArray[Any]:
    """The values that are there, as numbers."""
    found: npt.NDArray[Any] = (column.drop_null() if column.null_count else column).to_numpy(zero_copy_only=False)
    return found
