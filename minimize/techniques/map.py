"""`map`: a table from values to replacements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import pyarrow as pa
from pydantic import BeforeValidator, Field

from minimize.techniques.base import Context, Family, Leaves, Technique, TechniqueResult, apply_per_distinct


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
    leaves: ClassVar[Leaves] = "guessable"
    source: ClassVar[str] = "ISO/IEC 20889:2018"
    about: ClassVar[str] = "a replacement from a table of values"

    values: Mapping[MapWord, MapWord] = Field(min_length=1)
    otherwise: MapWord | None = None

    def output_type(self, type_: pa.DataType) -> pa.DataType:
        """Text. Raises UnsupportedType for other types than text, integer and boolean."""
        super().output_type(type_)
        return pa.string()

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The replacements."""
        return TechniqueResult(
            apply_per_distinct(
                values, lambda value: self.values.get(_as_text(value), self.otherwise), pa.string()
            ).values
        )
