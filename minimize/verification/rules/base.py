"""Rule: takes the parameters of a technique and the column, and returns a check of single values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from minimize import stores

Parameters = Mapping[str, Any]
ValueRule = Callable[[Any], bool]
"""Takes one non-null value in the form of `comparable_values`. A check may depend on earlier values."""


@dataclass(frozen=True, slots=True)
class StepView:
    """One technique of a chain, with its parameters."""

    technique: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ColumnContext:
    """The column of the values: its type, and the folder of the run that wrote it."""

    type: pa.DataType
    folder: stores.Location


RuleFactory = Callable[[Parameters, ColumnContext], ValueRule]


@dataclass(frozen=True, slots=True)
class TechniqueRule:
    """The rule of one technique, written from its definition."""

    values: RuleFactory
    """Makes the check of values."""
    family: str = ""
    """Type family of the results; empty if it is that of the values."""
    lone: str = "value"
    """Parameter that a single value sets."""
    identifies: bool = True
    """Whether an identifier can be recognized or guessed from its result."""
    locates: Callable[[Parameters], bool] | None = None
    """Whether its result is a position finer than 10 km; None if it is one only if it shows a coordinate's value."""
    blurs: Callable[[Parameters], bool] | None = None
    """Whether its result is a coordinate in steps of a tenth of a degree or more."""
    keyed: bool = False
    """Whether it uses a key."""
    may_lose: bool = False
    """Whether it may return null for a value."""


class RuleUnavailable(Exception):
    """A technique has no rule, or its rule lacks a file that it needs (a hierarchy). The message names it."""


def numpy_float(type_: pa.DataType) -> type[np.floating[Any]]:
    """The numpy type of a floating type's values."""
    if type_.bit_width == 64:
        return np.float64
    return np.float32 if type_.bit_width == 32 else np.float16


def exact_fraction(number: Any) -> Fraction:
    """A number of a policy (possibly written as text) or of a column, as the exact value of its shortest decimal.

    >>> exact_fraction(0.1) == exact_fraction("0.1") == Fraction(1, 10)
    True
    """
    return Fraction(number if isinstance(number, int | Decimal) else Decimal(str(number)))


def is_multiple(value: Fraction, step: Fraction) -> bool:
    """Whether a number is a whole number of steps."""
    return (value / step).denominator == 1
