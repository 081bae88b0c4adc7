"""`round`: the nearest multiple of a step, on decimals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from minimize.arrow.hashing import null_mask, number_buffer, numpy_type
from minimize.techniques.base import (
    Context,
    Family,
    Residual,
    Technique,
    TechniqueResult,
    TechniqueStep,
    UnsupportedType,
    ValueRange,
    apply_per_distinct,
    failure_mask,
    type_family,
)
from minimize.techniques.chosen_level import Auto, ChosenLevel, check_steps
from minimize.techniques.numeric import (
    COARSE_DEGREES,
    DecimalGrid,
    Doubles,
    as_decimal,
    as_doubles,
    as_integers,
    can_hold,
    exact_decimal,
    finite_result,
    nearest_double,
    number_text,
    result_from_doubles,
    shortest_decimal,
)
from minimize.techniques.parameters import HIGHER_TIGHTENS, UNORDERED


class ChosenRounding(ChosenLevel):
    """Rounding to one of several steps, which a search chooses. A coarser step rounds the result of the finer one."""

    name: ClassVar[str] = "round"
    takes: ClassVar[tuple[Family, ...]] = ("integer", "double", "decimal")
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = True
    source: ClassVar[str] = "IEEE 754-2019, §4.3.1"
    about: ClassVar[str] = "the nearest multiple of a step, as coarse as a bound on disclosure risk needs it"

    to: Auto
    steps: Annotated[tuple[Decimal, ...], UNORDERED] = Field(min_length=1)

    @model_validator(mode="after")
    def _nested_steps(self) -> Self:
        check_steps(self.steps)
        _ = self.finest
        return self

    def levels(self) -> Sequence[Technique]:
        """Rounding to each step."""
        return [Round(to=step) for step in self.steps]

    def pinned(self, level: int) -> Sequence[Mapping[str, Any] | str]:
        """Each step up to the level: a value that is rounded at once can differ from one that is rounded step by step."""
        return [{self.name: {"to": float(step)}} for step in self.steps[: level + 1]]


class Round(Technique):
    """The nearest multiple of a step; ties go to the even multiple.

    Takes numbers, gives the same type; the step must be a number of that type. It uses the shortest decimal that reads
    back the same double, so that 48.8566 to 0.1 is 48.9 and ties are decimal ties; -0.0 becomes 0.0. Null stays null. NaN,
    infinities and results outside the range of the type cannot be treated. The residual is coarse: nothing finer
    than the step. Source: IEEE 754-2019 §4.3.1 (roundTiesToEven).

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> Round(to=0.1).apply(pa.array([48.8566, 0.25, -0.04]), Context("f", datetime.now(UTC))).values.to_pylist()
    [48.9, 0.2, 0.0]
    """

    name: ClassVar[str] = "round"
    takes: ClassVar[tuple[Family, ...]] = ("integer", "double", "decimal")
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = True
    source: ClassVar[str] = "IEEE 754-2019, §4.3.1"
    about: ClassVar[str] = "the nearest multiple of a step, ties to even"
    chosen_form: ClassVar[type[TechniqueStep] | None] = ChosenRounding
    proposed_for: ClassVar[Mapping[str, str]] = {"coordinate": "{to: 0.1}"}

    to: Annotated[Decimal, HIGHER_TIGHTENS] = Field(ge=Decimal("1e-9"), le=Decimal("1e15"))

    @model_validator(mode="after")
    def _of_few_digits(self) -> Self:
        if not self._halves.is_exact:
            raise ValueError("round: `to` must have at most 14 digits")
        return self

    @cached_property
    def _halves(self) -> DecimalGrid:
        return DecimalGrid.from_decimals(self.to / 2)

    @cached_property
    def _multiples(self) -> DecimalGrid:
        return DecimalGrid.from_decimals(self.to)

    def output_type(self, type_: pa.DataType) -> pa.DataType:
        """The same type. Raises UnsupportedType also if the type cannot hold the step."""
        output = super().output_type(type_)
        if not can_hold(self.to, output):
            raise UnsupportedType(tuple(word for word in self.takes if word != type_family(output)))
        return output

    def phrase(self) -> str:
        """The step."""
        return f"rounded to the nearest multiple of {number_text(self.to)}"

    def result_range(self, values: ValueRange) -> ValueRange:
        """The rounded ends."""
        return values.convert(lambda end: exact_decimal(self._nearest(Fraction(end))))

    def locates_finely(self, *, coordinate: bool) -> bool:
        """Whether a coordinate is rounded to less than a tenth of a degree."""
        return coordinate and self.to < COARSE_DEGREES

    def is_lossless(self, type_: str) -> bool:
        """Whether every number of the type is a multiple of the step."""
        scale = re.fullmatch(r"decimal\(\d+,(\d+)\)", type_)
        if type_ != "integer" and scale is None:
            return False
        unit = Fraction(1) if scale is None else Fraction(1, 10 ** int(scale[1]))
        return unit % Fraction(self.to) == 0

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The nearest multiples."""
        if pa.types.is_floating(values.type):
            return self._of_doubles(values)
        if pa.types.is_integer(values.type):
            return self._of_integers(values)
        return apply_per_distinct(
            values, lambda value: as_decimal(self._nearest(Fraction(value)), values.type), values.type
        )

    def _nearest(self, number: Fraction) -> Fraction:
        step = Fraction(self.to)
        return round(number / step) * step

    def _of_doubles(self, values: pa.Array) -> TechniqueResult:
        if not pa.types.is_float64(values.type):
            return self._exact_result(values)
        with np.errstate(all="ignore"):
            multiples, sure = self._multiples.nearest(number_buffer(values, np.float64))
        return result_from_doubles(values, multiples, sure, self._exact_result)

    def _exact_result(self, values: pa.Array) -> TechniqueResult:
        return finite_result(values, self._rounded(as_doubles(values)))

    def _rounded(self, numbers: Doubles) -> Doubles:
        """Rounds by halves of the step: an even half is a multiple; an odd one is rounded up unless it is met exactly (a tie)."""
        halves = self._halves
        half = halves.floor(numbers)
        tie = (half % 2 == 1) & (numbers == halves.points(half))
        multiple = np.where(tie, half + (half % 4 == 3) * 2 - 1, half + 1) // 2
        rounded = np.where(np.isfinite(numbers), halves.points(multiple * 2), np.nan) + 0.0
        hard = np.flatnonzero(halves.hard(numbers))
        exact = {
            number: nearest_double(self._nearest(shortest_decimal(number))) for number in set(numbers[hard].tolist())
        }
        rounded[hard] = [exact[number] for number in numbers[hard].tolist()]
        return rounded

    def _of_integers(self, values: pa.Array) -> TechniqueResult:
        numbers, limit = as_integers(values), np.iinfo(numpy_type(values.type))
        step = np.asarray(int(self.to), numbers.dtype)
        remainders = numbers % step
        up = (remainders > step - remainders) | ((remainders == step - remainders) & ((numbers // step) % 2 == 1))
        rounded = np.where(up, numbers + (step - remainders), numbers - remainders)
        bad = np.where(up, rounded < numbers, rounded > numbers) | (rounded < limit.min) | (rounded > limit.max)
        null = null_mask(values)
        results = pa.array(np.where(bad, 0, rounded), mask=bad | null).cast(values.type)
        return TechniqueResult(results, failure_mask(bad & ~null))
