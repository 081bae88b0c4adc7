"""`mask`: a fixed mark and the last (or first) characters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from minimize.techniques.base import Context, Family, Residual, Technique, TechniqueResult
from minimize.techniques.parameters import LOWER_TIGHTENS
from minimize.text import count_noun

MARK = "****"
MAX_CHARACTERS = 1_000_000
"""The most characters that can be kept."""


class Mask(Technique):
    """A fixed mark and the last (or first) characters, so that the length does not show.

    Takes text, gives text. Null stays null; a value no longer than the kept characters (code points) is the mark alone, and so
    is the mark itself. A result that is made from a finer one therefore never shows more than one made from the value.
    The residual is guessable: an attacker who knows the candidates finds those with the same ending.
    Source: the last-digits practice of payment receipts (PCI DSS v4.0, requirement 3.4).

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> Mask(keep_last=4).apply(pa.array(["+33612345678", "12"]), Context("f", datetime.now(UTC))).values.to_pylist()
    ['****5678', '****']
    """

    name: ClassVar[str] = "mask"
    takes: ClassVar[tuple[Family, ...]] = ("string",)
    result_type: ClassVar[pa.DataType | None] = pa.string()
    residual: ClassVar[Residual] = "guessable"
    source: ClassVar[str] = "PCI DSS v4.0, 3.4"
    about: ClassVar[str] = "a fixed mark and the last (or first) characters"
    coarsens_itself: ClassVar[bool] = True
    proposed_for: ClassVar[Mapping[str, str]] = {"postal_code": "{keep_first: 2}"}

    keep_last: Annotated[int | None, LOWER_TIGHTENS] = Field(None, ge=1, le=MAX_CHARACTERS)
    keep_first: Annotated[int | None, LOWER_TIGHTENS] = Field(None, ge=1, le=MAX_CHARACTERS)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.keep_last is None) == (self.keep_first is None):
            raise ValueError("mask requires either keep_last or keep_first")
        return self

    def phrase(self) -> str:
        """The characters that stay."""
        place, count = ("first", self.keep_first) if self.keep_last is None else ("last", self.keep_last)
        return f"only the {place} {count_noun(count or 0, 'character')}"

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The mark and the kept characters."""
        text = values.cast(pa.string())
        shows = pc.and_(pc.greater(pc.utf8_length(text), self.keep_last or self.keep_first), pc.not_equal(text, MARK))
        return TechniqueResult(pc.if_else(shows, self._masked(text), MARK))

    def _masked(self, text: pa.Array) -> pa.Array:
        if self.keep_last is not None:
            return pc.binary_join_element_wise(MARK, pc.utf8_slice_codeunits(text, -self.keep_last), "")
        return pc.binary_join_element_wise(pc.utf8_slice_codeunits(text, 0, self.keep_first), MARK, "")
