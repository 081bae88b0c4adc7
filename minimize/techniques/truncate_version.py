"""`truncate_version`: the leading parts of a version number."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, ClassVar

import pyarrow as pa
from pydantic import Field

from minimize.techniques.base import (
    Context,
    Family,
    Residual,
    Technique,
    TechniqueResult,
    TechniqueStep,
    apply_per_distinct,
)
from minimize.techniques.chosen_level import Auto, ChosenLevel
from minimize.techniques.parameters import LOWER_TIGHTENS


class ChosenVersionParts(ChosenLevel):
    """The leading parts of a version number, at a level that a search chooses: three, two or one."""

    name: ClassVar[str] = "truncate_version"
    takes: ClassVar[tuple[Family, ...]] = ("string",)
    result_type: ClassVar[pa.DataType | None] = pa.string()
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = False
    source: ClassVar[str] = "SemVer 2.0.0"
    about: ClassVar[str] = "the leading parts of a version number, as few as a bound on disclosure risk needs"

    parts: Auto

    def levels(self) -> Sequence[Technique]:
        """Ever fewer parts."""
        return [TruncateVersion(parts=parts) for parts in (3, 2, 1)]


class TruncateVersion(Technique):
    """The leading parts of a version number.

    Takes text, gives text. Only the leading digits and dots are read; fewer parts stay as they are. Null stays null; a value
    without a leading digit cannot be treated. The residual is coarse, without the build, which can be rare enough to
    identify a device.
    Source: Semantic Versioning 2.0.0, items 2 and 11.

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> versions = pa.array(["10.0.19045.3803", "17", "beta"])
    >>> TruncateVersion(parts=2).apply(versions, Context("f", datetime.now(UTC))).values.to_pylist()
    ['10.0', '17', None]
    """

    name: ClassVar[str] = "truncate_version"
    takes: ClassVar[tuple[Family, ...]] = ("string",)
    result_type: ClassVar[pa.DataType | None] = pa.string()
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = False
    source: ClassVar[str] = "SemVer 2.0.0"
    about: ClassVar[str] = "the leading parts of a version number"
    coarsens_itself: ClassVar[bool] = True
    chosen_form: ClassVar[type[TechniqueStep] | None] = ChosenVersionParts
    proposed_for: ClassVar[Mapping[str, str]] = {"version": "{parts: 2}"}

    parts: Annotated[int, LOWER_TIGHTENS] = Field(ge=1, le=16)

    def phrase(self) -> str:
        """The parts that stay."""
        return "only the first part" if self.parts == 1 else f"only the first {self.parts} parts"

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The leading parts."""
        return apply_per_distinct(values, self._truncated, pa.string(), context.results_of(self))

    def _truncated(self, version: str) -> str | None:
        match = self._leading.match(version)
        return match.group() if match else None

    @cached_property
    def _leading(self) -> re.Pattern[str]:
        return re.compile(rf"[0-9]+(?:\.[0-9]+){{0,{self.parts - 1}}}")
