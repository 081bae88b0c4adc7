"""What a rule is: parameters in, a judge of single values out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa

from minimize import stores

Given = Mapping[str, Any]
Obeys = Callable[[Any], bool]
"""Takes one value that is there, in the form of `leaves.judged`. A judge may remember what it saw before."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where values stand: the type of their column, and the folder of the run that wrote them."""

    type: pa.DataType
    folder: stores.Place


Rule = Callable[[Given, Place], Obeys]


class Unchecked(Exception):
    """A rule lacks what it needs (a hierarchy), and says what."""


def exact(number: Any) -> Fraction:
    """A number of a policy, which may be written as text there, or of a column: exactly its shortest decimal.

    >>> exact(0.1) == exact("0.1") == Fraction(1, 10)
    True
    """
    return Fraction(number if isinstance(number, int | Decimal) else Decimal(str(number)))


def is_multiple(value: Fraction, step: Fraction) -> bool:
    """Whether a number is a whole number of steps."""
    return (value / step).denominator == 1
