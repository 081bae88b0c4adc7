"""`round`: the nearest multiple of a step, on decimals."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from minimize.techniques.base import (
    Context,
    Family,
    Leaves,
    Technique,
    Treated,
    TypeRefused,
    each_distinct,
    family,
    mask_of,
)
from minimize.techniques.lattice import Lattice, nearest_double, shortest
from minimize.techniques.numeric import (
    Doubles,
    decimal_of,
    doubles,
    finished,
    finite,
    fits,
    integers,
    nulls,
    raw_doubles,
)
from minimize.words import number_type


class Round(Technique):
    """The nearest multiple of a step; ties go to the even multiple.

    Takes numbers, gives the same type; the step must be a number of that type. Worked on the shortest decimal that reads
    back the same double, so that 48.8566 to 0.1 is 48.9 and a tie is one that a person would call so; -0.0 becomes 0.0.
    Null stays null; NaN, infinities and what would leave the type's range cannot be treated. Leaves nothing finer than the
    step. Source: IEEE 754-2019 §4.3.1 (roundTiesToEven).

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> Round(to=0.1).apply(pa.array([48.8566, 0.25, -0.04]), Context("f", datetime.now(UTC))).values.to_pylist()
    [48.9, 0.2, 0.0]
    """

    name: ClassVar[str] = "round"
    takes: ClassVar[tuple[Family, ...]] = ("integer", "double", "decimal")
    leaves: ClassVar[Leaves] = "nothing"
    source: ClassVar[str] = "IEEE 754-2019, §4.3.1"
    about: ClassVar[str] = "the nearest multiple of a step, ties to even"

    to: Decimal = Field(ge=Decimal("1e-9"), le=Decimal("1e15"))

    @model_validator(mode="after")
    def _of_few_digits(self) -> Self:
        if not self._halves.is_exact:
            raise ValueError("round: `to` has more than 14 digits")
        return self

    @cached_property
    def _halves(self) -> Lattice:
        return Lattice.of(self.to / 2)

    @cached_property
    def _multiples(self) -> Lattice:
        return Lattice.of(self.to)

    def gives(self, type_: pa.DataType) -> pa.DataType:
        """The same type. Raises TypeRefused also where the type cannot hold the step."""
        given = super().gives(type_)
        if not fits(self.to, given):
            raise TypeRefused(tuple(word for word in self.takes if word != family(given)))
        return given

    def apply(self, values: pa.Array, context: Context) -> Treated:
        """The nearest multiples."""
        if pa.types.is_floating(values.type):
            return self._of_doubles(values)
        if pa.types.is_integer(values.type):
            return self._of_integers(values)
        return each_distinct(values, lambda value: decimal_of(self._nearest(Fraction(value)), values.type), values.type)

    def _nearest(self, number: Fraction) -> Fraction:
        step = Fraction(self.to)
        return round(number / step) * step

    def _of_doubles(self, values: pa.Array) -> Treated:
        if not pa.types.is_float64(values.type):
            return self._slowly(values)
        with np.errstate(all="ignore"):
            found, sure = self._multiples.nearest(raw_doubles(values))
        return finished(values, found, sure, self._slowly)

    def _slowly(self, values: pa.Array) -> Treated:
        return finite(values, self._rounded(doubles(values)))

    def _rounded(self, numbers: Doubles) -> Doubles:
        """By halves of the step: an even half lies on a multiple, an odd one goes up unless it is met exactly (a tie)."""
        halves = self._halves
        half = halves.floor(numbers)
        tie = (half % 2 == 1) & (numbers == halves.at(half))
        multiple = np.where(tie, half + (half % 4 == 3) * 2 - 1, half + 1) // 2
        rounded = np.where(np.isfinite(numbers), halves.at(multiple * 2), np.nan) + 0.0
        hard = np.flatnonzero(halves.hard(numbers))
        exact = {number: nearest_double(self._nearest(shortest(number))) for number in set(numbers[hard].tolist())}
        rounded[hard] = [exact[number] for number in numbers[hard].tolist()]
        return rounded

    def _of_integers(self, values: pa.Array) -> Treated:
        numbers, limit = integers(values), np.iinfo(number_type(values.type))
        step = np.asarray(int(self.to), numbers.dtype)
        rest = numbers % step
        up = (rest > step - rest) | ((rest == step - rest) & ((numbers // step) % 2 == 1))
        rounded = np.where(up, numbers + (step - rest), numbers - rest)
        bad = np.where(up, rounded < numbers, rounded > numbers) | (rounded < limit.min) | (rounded > limit.max)
        null = nulls(values)
        given = pa.array(np.where(bad, 0, rounded), mask=bad | null).cast(values.type)
        return Treated(given, mask_of(bad & ~null))
