"""`generalize`: a coarser level of a hierarchy that a file spells out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import pyarrow as pa
from pydantic import Field, PrivateAttr, ValidationInfo, model_validator

from minimize.techniques.base import Context, Family, Leaves, Technique, Treated, each_distinct
from minimize.techniques.hierarchy import Hierarchy


class Generalize(Technique):
    """A coarser label for each value, from a hierarchy file: a CSV with the value first and coarser labels after it.

    Takes text and integer (written in decimal), gives text. The file is checked when the policy is read: levels nest, there
    is one root, an interval contains its values, `level` is one of its columns (0 is the value itself and no level here). A
    value that the file does not list becomes the root. Null stays null. Leaves nothing finer than the level.
    Raises (ValidationError) for a file that cannot be read or does not hold together.
    Source: Sweeney, IJUFKS 10 (2002), generalization hierarchies.

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "models.csv").write_text("Nexus 5X;Nexus;*\\nPixel 2;Pixel;*\\n")
    ...     models = Generalize.model_validate({"hierarchy": "models.csv", "level": 1}, context={"folder": folder})
    >>> models.apply(pa.array(["Nexus 5X", "iPhone"]), Context("f", datetime.now(UTC))).values.to_pylist()
    ['Nexus', '*']
    """

    name: ClassVar[str] = "generalize"
    takes: ClassVar[tuple[Family, ...]] = ("string", "integer")
    leaves: ClassVar[Leaves] = "nothing"
    source: ClassVar[str] = "Sweeney 2002"
    about: ClassVar[str] = "a coarser label from a hierarchy file; an unseen value becomes the root"

    hierarchy: str = Field(min_length=1)
    level: int = Field(ge=1)
    _file: Path = PrivateAttr()
    _read: Hierarchy = PrivateAttr()
    _words: Mapping[str, str] = PrivateAttr()

    @model_validator(mode="after")
    def _load(self, info: ValidationInfo) -> Self:
        folder = Path((info.context or {}).get("folder") or ".")
        self._file = folder / self.hierarchy
        self._read = Hierarchy.load(self._file, self.hierarchy)
        if self.level >= self._read.levels:
            raise ValueError(
                f"level {self.level} is beyond the last level of {self.hierarchy}, {self._read.levels - 1}"
            )
        self._words = self._read.words(self.level)
        return self

    @property
    def file(self) -> Path:
        """Where the hierarchy was read from."""
        return self._file

    @property
    def digest(self) -> str:
        """`sha256:` of the file's bytes."""
        return self._read.digest

    @property
    def content(self) -> bytes:
        """The file's bytes, as they were checked."""
        return self._read.content

    def labels(self, level: int | None = None) -> frozenset[str]:
        """The labels of a level (of its own where none is given), and the root: what a released column may hold."""
        return self._read.labels(self.level if level is None else level)

    def gives(self, type_: pa.DataType) -> pa.DataType:
        """Text. Raises TypeRefused for other types than text and integer."""
        super().gives(type_)
        return pa.string()

    def apply(self, values: pa.Array, context: Context) -> Treated:
        """The labels."""
        return each_distinct(values, self._label, pa.string(), context.recall(self))

    def _label(self, value: Any) -> str:
        return self._words.get(str(value), self._read.root)
