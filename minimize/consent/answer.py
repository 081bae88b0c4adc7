"""The answer about a column of tenants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.canonical import canonical

Decision = tuple[str | None, str | None]
"""Of one tenant: the id of the consent, or why there is none."""
NOBODY: Decision = (None, "none")


@dataclass(frozen=True)
class Answer:
    """Whether each row's tenant agreed: decided once a tenant, spread over the rows.

    known      the tenants that were decided about, with a last decision for all others (null, too)
    places     of each row the place of its tenant's decision
    """

    known: tuple[str, ...]
    decisions: tuple[Decision, ...]
    places: pa.Array

    @cached_property
    def valid(self) -> pa.BooleanArray:
        """Of each row whether its tenant agreed; never null."""
        return pa.array([reason is None for _, reason in self.decisions], pa.bool_()).take(self.places)

    @cached_property
    def ids(self) -> pa.StringArray:
        """Of each row the consent that permits it; null where none does."""
        return pa.array([consent for consent, _ in self.decisions], pa.string()).take(self.places)

    @cached_property
    def why(self) -> pa.StringArray:
        """Of each row why there is no consent, by stable word; null where there is one."""
        return pa.array([reason for _, reason in self.decisions], pa.string()).take(self.places)

    @property
    def consents(self) -> tuple[str, ...]:
        """The consents that permit some row, sorted."""
        seen = np.flatnonzero(self._rows)
        return tuple(sorted(consent for place in seen if (consent := self.decisions[place][0]) is not None))

    @property
    def tenants(self) -> Mapping[str | None, int]:
        """How many tenants among the rows have a consent (None), or lack one for this reason."""
        counts: dict[str | None, int] = {}
        for place in np.flatnonzero(self._rows[:-1]):
            reason = self.decisions[place][1]
            counts[reason] = counts.get(reason, 0) + 1
        return counts

    @cached_property
    def _rows(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """How many rows each decision stands for."""
        return np.bincount(self.places.to_numpy(zero_copy_only=False), minlength=len(self.decisions))


def answered(known: Sequence[str], decisions: Sequence[Decision], others: Decision, tenants: pa.Array) -> Answer:
    """The answer for a column of tenants, from the decisions about those that are known."""
    asked = canonical(tenants.combine_chunks() if isinstance(tenants, pa.ChunkedArray) else tenants)
    if pa.types.is_dictionary(asked.type):
        words = _places(known, asked.dictionary)
        places = pc.fill_null(words.take(asked.indices), len(known))
    else:
        places = _places(known, asked)
    return Answer(tuple(known), (*decisions, others), places)


def _places(known: Sequence[str], asked: pa.Array) -> pa.Array:
    texts = asked if pa.types.is_string(asked.type) else asked.cast(pa.string())
    return pc.fill_null(pc.index_in(texts, pa.array(known, pa.string())), len(known))
