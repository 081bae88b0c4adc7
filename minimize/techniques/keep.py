"""`keep`: the unchanged value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa

from minimize.techniques.base import ALL_FAMILIES, Context, Family, Residual, Technique, TechniqueResult, TimeForm


class Keep(Technique):
    """The unchanged value.

    Takes any type and gives it unchanged; null stays null. The residual is the original.

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> Keep().apply(pa.array(["a", None]), Context("f", datetime.now(UTC))).values.to_pylist()
    ['a', None]
    """

    name: ClassVar[str] = "keep"
    takes: ClassVar[tuple[Family, ...]] = ALL_FAMILIES
    residual: ClassVar[Residual] = "original"
    source: ClassVar[str] = "—"
    about: ClassVar[str] = "the unchanged value"
    changes_nothing: ClassVar[bool] = True
    proposed_for: ClassVar[Mapping[str, str]] = {"tenant": "", "flag": "", "group": ""}

    @property
    def time_form(self) -> TimeForm:
        """The time itself."""
        return TimeForm()

    def phrase(self) -> str:
        """Nothing happens to the value."""
        return "unchanged"

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The same array."""
        return TechniqueResult(values)

    def apply_encoded(self, values: pa.DictionaryArray, context: Context) -> TechniqueResult:
        """The same array."""
        return TechniqueResult(values)
