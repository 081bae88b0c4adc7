"""What a measure is: a tally per group that is exact, mergeable, and settles with every small part hidden.

A new measure is one file beside this one with one class and its tally, one row in `MEASURES` (`__init__.py`), one test file.
"""

from __future__ import annotations

from typing import ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

Codes = npt.NDArray[np.int64]


class MeasureTally(Protocol):
    """One measure of all groups. Groups and subjects are dense codes that the aggregate hands out and keeps over batches."""

    def observe(self, groups: Codes, values: pa.Array | None, subjects: Codes) -> None:
        """Takes equally long columns in: the group, the value (None for a measure over rows), the subject of each row."""
        ...

    def merge(self, other: Self, groups: Codes, subjects: Codes) -> None:
        """Takes another tally in; `groups[i]` and `subjects[i]` are our codes for its code i."""
        ...

    def settle(self, groups: int) -> pa.Array:
        """One value per group code below `groups`; null where fewer than `below` subjects stand behind it."""
        ...


class Measure(BaseModel):
    """A word of `measures:` with its parameters. `of` is the key of the field that it is over."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    about: ClassVar[str]
    of: str | None = None

    def gives(self, type_: pa.DataType | None) -> pa.DataType:
        """The type of its column, for the type of the field it is over. Raises TypeRefused."""
        raise TypeError(f"{type(self).__name__} has no gives")

    def start(self, type_: pa.DataType | None, below: int, counts_to: int | None) -> MeasureTally:
        """An empty tally for values of this type."""
        raise TypeError(f"{type(self).__name__} has no start")
