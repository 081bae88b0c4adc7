"""`clip`: top and bottom coding."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from minimize.techniques.base import (
    Context,
    Family,
    Residual,
    Technique,
    TechniqueResult,
    UnsupportedType,
    ValueRange,
    apply_per_distinct,
    type_family,
)
from minimize.techniques.numeric import Number, as_doubles, can_hold, finite_result, number_text
from minimize.techniques.parameters import HIGHER_TIGHTENS, LOWER_TIGHTENS


class Clip(Technique):
    """Values beyond a limit become the limit (top and bottom coding).

    Takes numbers, gives the same type; a bound must be a number of that type. Null stays null; NaN, and an infinity without
    a bound on its side, cannot be treated. The residual is guessable: values inside stay as they are, and a
    top code hides the maximum.
    Source: Hundepool et al., Statistical Disclosure Control (2012), top and bottom coding.

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> Clip(min=0, max=100).apply(pa.array([-3, 7, 120]), Context("f", datetime.now(UTC))).values.to_pylist()
    [0, 7, 100]
    """

    name: ClassVar[str] = "clip"
    takes: ClassVar[tuple[Family, ...]] = ("integer", "double", "decimal")
    residual: ClassVar[Residual] = "guessable"
    source: ClassVar[str] = "Hundepool et al. 2012"
    about: ClassVar[str] = "values beyond a limit become the limit"

    min: Annotated[Number | None, HIGHER_TIGHTENS] = Field(None)
    max: Annotated[Number | None, LOWER_TIGHTENS] = Field(None)

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("clip requires min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("clip: min must not be above max")
        return self

    def output_type(self, type_: pa.DataType) -> pa.DataType:
        """The same type. Raises UnsupportedType also if the type cannot hold a bound."""
        output = super().output_type(type_)
        if not all(can_hold(bound, output) for bound in (self.min, self.max) if bound is not None):
            raise UnsupportedType(tuple(word for word in self.takes if word != type_family(output)))
        return output

    def result_range(self, values: ValueRange) -> ValueRange:
        """The limits, or narrower ends of the values."""
        within = values.convert(self._clipped)
        return ValueRange(
            self.min if within.low is None else within.low, self.max if within.high is None else within.high
        )

    def phrase(self) -> str:
        """The bounds."""
        low = [] if self.min is None else [f"below {number_text(self.min)}"]
        high = [] if self.max is None else [f"above {number_text(self.max)}"]
        return f"values {' or '.join([*low, *high])} are replaced by this limit"

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The values, or the limits."""
        if pa.types.is_decimal(values.type):
            return apply_per_distinct(values, self._clipped, values.type)
        if pa.types.is_floating(values.type):
            return self._of_doubles(values)
        bounds = [pa.scalar(int(bound), values.type) if bound is not None else None for bound in (self.min, self.max)]
        low = values if bounds[0] is None else pc.max_element_wise(values, bounds[0], skip_nulls=False)
        return TechniqueResult(low if bounds[1] is None else pc.min_element_wise(low, bounds[1], skip_nulls=False))

    def _clipped(self, value: Decimal) -> Decimal:
        low = value if self.min is None else max(value, self.min)
        return low if self.max is None else min(low, self.max)

    def _of_doubles(self, values: pa.Array) -> TechniqueResult:
        low, high = (None if bound is None else float(bound) for bound in (self.min, self.max))
        return finite_result(values, np.clip(as_doubles(values), low, high))
