"""A batch on its way through the stages, the Stage and Tally protocols, and counts of what the stages did.

A batch holds the raw columns, the masks (computed once, first, on the raw columns), and what has been released so far.
Only the released part can reach a sink.

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
    """What happened to one field's values: counts of non-null values as they came in, in records that were kept."""

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
    """What the stages did, as numbers that add up over batches in any order.

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
    """Some records on their way through the stages; printed, it shows its counts and no value.

    raw       the declared columns as the source gave them, whole records that were gated already filtered out
    closed    per field key: a boolean leaf array, true where the value must not pass (gate, level, condition, retention);
              a key that is not there has nothing closed
    cases     per key of a field with `cases`: an int8 leaf array, the index of the case that decides, -1 for `otherwise`
    gated_lists    per pointer text of a list or map whose elements are gated: a boolean array per slot of that list, true where
              no element could have been collected, so that even an empty list must not show
    released  per field key: the leaf array that may leave (dictionary-encoded arrays welcome)
    measured  per field key with `in_aggregates`: the leaf array that aggregates see instead
    ranks     per field key whose bins are open and whose quantile is wanted: the released number, or -inf, +inf in an open bin
    counts    what the stages did to these records
    source    the name of the file that the records were read from; None for others
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
    """Takes a batch to a batch."""

    def __call__(self, batch: Batch) -> Batch:
        """The batch, further on its way."""
        ...


class Tally(Protocol[T_co]):
    """What must see everything before it can say anything. Observe, merge and settle are associative and commutative."""

    def observe(self, batch: Batch) -> None:
        """Takes one batch in."""
        ...

    def merge(self, other: Self) -> None:
        """Takes in what another tally of the same kind has seen."""
        ...

    def settle(self) -> T_co:
        """What was seen, as a Stage, a step of a chain, or a table."""
        ...
