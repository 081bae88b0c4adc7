"""Rule: takes the parameters of a technique and the column, and returns a check of single values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa

from minimize import stores

Parameters = Mapping[str, Any]
ValueRule = Callable[[Any], bool]
"""Takes one non-null value in the form of `comparable_values`. A check may depend on earlier values."""


@dataclass(frozen=True, slots=True)
class ColumnContext:
    """The column of the values: its type, and the folder of the run that wrote it."""

    type: pa.DataType
    folder: stores.Location


RuleFactory = Callable[[Parameters, ColumnContext], ValueRule]


class RuleUnavailable(Exception):
    """A rule lacks a file that it needs (a hierarchy). The message names it."""


def exact_fraction(number: Any) -> Fraction:
    """A number of a policy (possibly written as text) or of a column, as the exact value of its shortest decimal.

    >>> exact_fraction(0.1) == exact_fraction("0.1") == Fraction(1, 10)
    True
    """
    return Fraction(number if isinstance(number, int | Decimal) else Decimal(str(number)))


def is_multiple(value: Fraction, step: Fraction) -> bool:
    """Whether a number is a whole number of steps."""
    return (value / step).denominator == 1
