"""`top`: the most frequent values by number of subjects; all others become `other`.

The most frequent values are known only after all rows were seen, so the step itself treats nothing. Its tally (`top_tally.py`)
observes the values after the earlier steps, and settles into `TopValues`, the technique that applies the result.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from minimize.techniques.base import Context, Family, Leaves, Technique, TechniqueResult, TechniqueStep
from minimize.techniques.parameters import HIGHER_TIGHTENS, LOWER_TIGHTENS, NEUTRAL

FEW_SUBJECTS = 10
"""A value with fewer subjects than this represents few subjects."""


class Top(TechniqueStep):
    """The `keep` most frequent values by distinct subjects; the rest becomes `other`.

    Takes strings and gives strings; null stays null. Values of fewer than `at_least` subjects go to `other`, and if `other`
    itself has fewer, the least frequent kept values join it. Leaves nothing but frequent values.
    """

    name: ClassVar[str] = "top"
    takes: ClassVar[tuple[Family, ...]] = ("string",)
    result_type: ClassVar[pa.DataType | None] = pa.string()
    leaves: ClassVar[Leaves] = "nothing"
    singles_out: ClassVar[bool] = False
    source: ClassVar[str] = "top-n tabulation with a threshold; Hundepool et al., Statistical Disclosure Control (2012)"
    about: ClassVar[str] = "the most frequent values by number of subjects; all others become `other`"

    needs_all_rows: ClassVar[bool] = True

    keep: Annotated[int, Field(ge=1), LOWER_TIGHTENS]
    other: Annotated[str, NEUTRAL]
    at_least: Annotated[int, Field(ge=1), HIGHER_TIGHTENS] = 10

    def remaining_form(self, *, identifier: bool) -> Leaves:
        """An identifier that few subjects share can still be guessed."""
        return "guessable" if identifier and self.at_least < FEW_SUBJECTS else self.leaves

    def phrase(self) -> str:
        """How many values stay."""
        return f"only if it is one of the {self.keep} most frequent values; all others are combined"


class TopValues(Technique):
    """Values that are kept as they are; every other value becomes `other`. Null stays null.

    >>> from datetime import datetime, UTC
    >>> technique = TopValues(values=("a", "b"), other="other")
    >>> technique.apply(pa.array(["a", "c", None]), Context("model", datetime.now(UTC))).values.to_pylist()
    ['a', 'other', None]
    """

    name: ClassVar[str] = "top"
    takes: ClassVar[tuple[Family, ...]] = Top.takes
    result_type: ClassVar[pa.DataType | None] = pa.string()
    leaves: ClassVar[Leaves] = Top.leaves
    source: ClassVar[str] = Top.source
    about: ClassVar[str] = Top.about
    values: tuple[str, ...] = Field(repr=False)
    other: str

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The kept values, and `other`."""
        text = values.cast(pa.string())
        place = pc.index_in(text, value_set=pa.array(self.values, pa.string()), skip_nulls=True)
        place = pc.if_else(text.is_null(), pa.nulls(len(text), pa.int32()), pc.fill_null(place, len(self.values)))
        return TechniqueResult(pa.array([*self.values, self.other], pa.string()).take(place))
