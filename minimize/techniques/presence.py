"""`presence`: true if there is a value."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from minimize.techniques.base import ALL_FAMILIES, Context, Family, Residual, Technique, TechniqueResult


class Presence(Technique):
    """True if there is a value, else null, so that a gated and an absent value look the same.

    Takes any type, gives boolean; NaN, an empty text and an empty list are values. The residual is coarse:
    whether there is a value.
    Source: GDPR Art. 5(1)(c), data minimisation.

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> Presence().apply(pa.array(["a", None]), Context("f", datetime.now(UTC))).values.to_pylist()
    [True, None]
    """

    name: ClassVar[str] = "presence"
    takes: ClassVar[tuple[Family, ...]] = ALL_FAMILIES
    result_type: ClassVar[pa.DataType | None] = pa.bool_()
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = False
    source: ClassVar[str] = "GDPR Art. 5(1)(c)"
    about: ClassVar[str] = "true if there is a value, else null"
    summarizes: ClassVar[bool] = True
    shows_presence_only: ClassVar[bool] = True

    def phrase(self) -> str:
        """What stays."""
        return "only whether there is a value"

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """True or null."""
        return TechniqueResult(pc.if_else(pc.is_valid(values), True, pa.scalar(None, pa.bool_())))
