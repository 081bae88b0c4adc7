"""The batch that passes through the stages, the Stage and Tally protocols, and counts of what the stages did.

A batch contains the raw columns, the masks and the columns released so far. The masks are computed once, before any other
stage, from the raw columns. Only the released part can reach a sink.

A field's *leaf* is the flat array of its values: one per record for a plain or struct-nested field, one per innermost
element for a field below lists or maps. `nested` takes leaves out of a batch and puts them back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, TypeVar

import pyarrow as pa

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class FieldCounts:
    """Counts of what happened to the values of one field: non-null values as read, in the records that were kept."""

    values: int = 0
    changed: int = 0
    gated: int = 0
    unparsable: int = 0
    dropped: int = 0

    def __add__(self, other: FieldCounts) -> FieldCounts:
        return FieldCounts(
            self.values + other.values,
            self.changed + other.changed,
            self.gated + other.gated,
            self.unparsable + other.unparsable,
            self.dropped + other.dropped,
        )


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """Counts of what the stages did. They can be added over batches in any order.

    `gated` counts whole records by reason: `setting`, `condition`, `retention`, `erased`, `consent`.
    """

    gated: Mapping[str, int] = field(default_factory=dict)
    deduplicated: int = 0
    fields: Mapping[str, FieldCounts] = field(default_factory=dict)

    def __add__(self, other: BatchCounts) -> BatchCounts:
        gated = {key: self.gated.get(key, 0) + other.gated.get(key, 0) for key in {**self.gated, **other.gated}}
        none = FieldCounts()
        fields = {
            key: self.fields.get(key, none) + other.fields.get(key, none) for key in {**self.fields, **other.fields}
        }
        return BatchCounts(gated, self.deduplicated + other.deduplicated, fields)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records on their way through the stages. Its repr shows counts and no values.

    raw       the declared columns as read from the source, without the records that were gated
    closed    per field key: a boolean leaf array, true where the value must not pass (gate, level, condition, retention);
                        a key that is absent has nothing closed
    cases     per key of a field with `cases`: an int8 leaf array, the index of the case that decides, -1 for `otherwise`
    gated_lists    per pointer text of a list or map whose elements are gated: a boolean array per slot of that list, true if
              no element could have been collected, so that even an empty list must not be visible
    released  per field key: the leaf array that may be released (can be dictionary-encoded)
    measured  per field key with `in_aggregates`: the leaf array that aggregates read instead
    ranks     per field key with open bins and a quantile: the released number, or -inf, +inf in an open bin
    counts    what the stages did to these records
    source    the name of the file that the records were read from; None for other sources
    """

    raw: pa.RecordBatch = field(repr=False)
    closed: Mapping[str, pa.BooleanArray] = field(default_factory=dict, repr=False)
    cases: Mapping[str, pa.Int8Array] = field(default_factory=dict, repr=False)
    gated_lists: Mapping[str, pa.BooleanArray] = field(default_factory=dict, repr=False)
    released: Mapping[str, pa.Array] = field(default_factory=dict, repr=False)
    measured: Mapping[str, pa.Array] = field(default_factory=dict, repr=False)
    ranks: Mapping[str, pa.Array] = field(default_factory=dict, repr=False)
    counts: BatchCounts = field(default_factory=BatchCounts)
    source: str | None = None

    def with_(self, **changes: Any) -> Batch:
        """The batch with some of its parts replaced."""
        return replace(self, **changes)


class Stage(Protocol):
    """A function from a batch to a batch."""

    def __call__(self, batch: Batch) -> Batch:
        """Process a batch and return the result."""
        ...


class Tally(Protocol[T_co]):
    """A computation that needs all rows before it has a result. Observe, merge and settle are associative and commutative."""

    def observe(self, batch: Batch) -> None:
        """Add one batch."""
        ...

    def merge(self, other: Self) -> None:
        """Add the rows that another tally of the same kind has observed."""
        ...

    def settle(self) -> T_co:
        """Return the result as a Stage, a step of a chain, or a table."""
        ...
