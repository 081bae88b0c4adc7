"""Messages of third parties: what they say, with the tenant, a name and the time of arrival, which the transport adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

import pyarrow as pa

from minimize.samples import values
from minimize.samples.base import DAY, Dataset, Records, Rows, Slice
from minimize.samples.faults import Faults
from minimize.samples.values import Random, only
from minimize.samples.world import Population

P = TypeVar("P", bound=Population)


class Received(Dataset[P]):
    """Messages about the members of a population; a collection setting does not decide about them, but the tenant's consent.

    constant  fields that have the same value in every message
    """

    settings_by = ()
    constant: ClassVar[tuple[tuple[str, Any], ...]] = ()

    @property
    def faults(self) -> Faults:
        """What may befall any record; the time is that of arrival."""
        return replace(super().faults, time="received_at")

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The columns that are the same in all messages about a member."""
        same = {name: pa.array([value] * self.members.count) for name, value in self.constant}
        return super().fixed_columns() | same

    def records(self, part: Slice, random: Random) -> Records:
        """The messages of a slice."""
        rows = self.rows(part, random)
        ids = {"message_id": rows.guids(), "received_at": values.instants(rows.times)}
        return Records(ids, self.fixed, self.columns(rows), self._json, pa.array(rows.members))


def earlier(rows: Rows, days: Sequence[float], weights: Sequence[float]) -> pa.TimestampArray:
    """A time before each message arrived: up to so many days, by weight."""
    longest = (pa.array(days, pa.float64()).to_numpy() * DAY)[values.weighted(rows.random, len(rows), weights)]
    return values.instants(rows.times - (longest * rows.random.random(len(rows))).astype("int64"))


def sometimes(rows: Rows, pool: Sequence[str], share: float) -> pa.Array:
    """A value of a pool in about this share of the messages; null in the others."""
    return only(rows.pick(pool), rows.chance(share))
