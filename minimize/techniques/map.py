"""`map`: a table from values to replacements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import pyarrow as pa
from pydantic import BeforeValidator, Field

from minimize.techniques.base import Context, Family, Residual, Technique, TechniqueResult, apply_per_distinct
from minimize.techniques.parameters import FEWER_TIGHTENS, UNORDERED


def _as_text(value: Any) -> Any:
    """A value of a policy as text. Values that are neither text, integer nor boolean are left to validation."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else value


MapWord = Annotated[str, BeforeValidator(_as_text)]


class Map(Technique):
    """Replacement of values from a table. Other values become `otherwise`.

    Takes text, integer (written in decimal) and boolean (`true`, `false`), gives text. Null stays null. With `otherwise:
    null` a value that is not in the table becomes null by decision, so it does not count as untreated. Leaves the
    distinctions of the table: guessable if few values share a replacement. Source: ISO/IEC 20889:2018, generalization.

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> owners = Map(values={"Corporate": "work", "Personal": "own"}, otherwise="other")
    >>> owners.apply(pa.array(["Personal", "Unknown"]), Context("f", datetime.now(UTC))).values.to_pylist()
    ['own', 'other']
    """

    name: ClassVar[str] = "map"
    takes: ClassVar[tuple[Family, ...]] = ("string", "integer", "boolean")
    result_type: ClassVar[pa.DataType | None] = pa.string()
    residual: ClassVar[Residual] = "guessable"
    source: ClassVar[str] = "ISO/IEC 20889:2018"
    about: ClassVar[str] = "a replacement from a table of values"

    values: Annotated[Mapping[MapWord, MapWord], FEWER_TIGHTENS] = Field(min_length=1)
    otherwise: Annotated[MapWord | None, UNORDERED] = None

    @property
    def possible_values(self) -> frozenset[str | None]:
        """The replacements."""
        return frozenset({*self.values.values(), self.otherwise})

    def phrase(self) -> str:
        """How many replacements there are."""
        replacements = [each for each in {*self.values.values(), self.otherwise} if each is not None]
        return (
            f"only the word “{replacements[0]}”"
            if len(replacements) == 1
            else f"only one of {len(replacements)} categories"
        )

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The replacements."""
        return TechniqueResult(
            apply_per_distinct(
                values, lambda value: self.values.get(_as_text(value), self.otherwise), pa.string()
            ).values
        )
