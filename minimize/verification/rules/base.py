"""Rule: takes a technique's parameters and the column, gives a judge of single values."""

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
"""Takes one value that is there, in the form of `leaves.judged`. A judge may remember what it saw before."""


@dataclass(frozen=True, slots=True)
class ColumnContext:
    """Where values stand: the type of their column, and the folder of the run that wrote them."""

    type: pa.DataType
    folder: stores.Location


RuleFactory = Callable[[Parameters, ColumnContext], ValueRule]


class RuleUnavailable(Exception):
    """A rule lacks what it needs (a hierarchy), and says what."""


def exact_fraction(number: Any) -> Fraction:
    """A number of a policy, which may be written as text there, or of a column: exactly its shortest decimal.

    >>> exact_fraction(0.1) == exact_fraction("0.1") == Fraction(1, 10)
    True
    """
    return Fraction(number if isinstance(number, int | Decimal) else Decimal(str(number)))


def is_multiple(value: Fraction, step: Fraction) -> bool:
    """Whether a number is a whole number of steps."""
    return (value / step).denominator == 1
