"""The acts about one function of one recipient, as columns, and which of them decides for each tenant at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from minimize.canonical import canonical_text
from minimize.consent.states import ENDING

if TYPE_CHECKING:
    from minimize.ledger.consents import Act

Times = npt.NDArray[np.int64]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)
NEVER: Final = np.iinfo(np.int64).max
NOTHING: Final = -1


@dataclass(frozen=True)
class History:
    """Acts as columns, in the order of recording; times in microseconds since 1970 (UTC), `tenants` as places in `known`."""

    acts: tuple[Act, ...]
    known: tuple[str, ...]
    tenants: npt.NDArray[np.int64]
    valid_from: Times
    recorded_at: Times
    expires_at: Times
    ends: npt.NDArray[np.bool_]
    asks: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, acts: Sequence[Act], *, fold: bool = False) -> History:
        """The history that these acts make. With `fold`, tenants that differ in case alone are one tenant."""
        tenants = [canonical_text(act.tenant_id, fold=fold) for act in acts]
        known = {tenant: place for place, tenant in enumerate(dict.fromkeys(tenants))}
        return cls(
            tuple(acts),
            tuple(known),
            np.array([known[tenant] for tenant in tenants], np.int64),
            np.array([ticks(act.valid_from) for act in acts], np.int64),
            np.array([ticks(act.recorded_at) for act in acts], np.int64),
            np.array([NEVER if act.expires_at is None else ticks(act.expires_at) for act in acts], np.int64),
            np.array([act.state in ENDING for act in acts], np.bool_),
            np.array([act.state == "requested" for act in acts], np.bool_),
        )

    def deciding(self, when: datetime | Times, run: datetime) -> npt.NDArray[np.int64]:
        """Of each known tenant the act that decides at a time, as it was known at the run's; `NOTHING` where none does.

        Takes one time, or one for each known tenant in microseconds since 1970.

        The latest that is valid by then decides, among equals the one that was recorded last. But whatever refuses, withdraws
        or ends also ends all that was recorded before it, even what was to be valid from a later time. What was recorded before
        is told by the ledger's order and by no clock.
        """
        began = self._seen(run) & (self.valid_from <= self._own(when))
        latest = self._last(began & ~self.asks, self.valid_from)
        ending = self._last(began & self.ends)
        return np.maximum(latest, ending)

    def requested(self, when: datetime | Times, run: datetime) -> npt.NDArray[np.int64]:
        """Of each known tenant the latest request."""
        return self._last(self._seen(run) & self.asks & (self.valid_from <= self._own(when)), self.valid_from)

    def ahead(self, when: datetime | Times, run: datetime) -> npt.NDArray[np.int64]:
        """Of each known tenant a consent that is known of, and valid from a later time only."""
        later = self._seen(run) & ~self.asks & ~self.ends & (self.valid_from > self._own(when))
        return self._last(later, self.valid_from)

    def changes(self, run: datetime) -> Times:
        """Of each known tenant the instants at which what decides may change, ascending, a row each; `NEVER` fills the rest."""
        seen = self._seen(run) & ~self.asks
        tenants = np.concatenate([self.tenants[seen], self.tenants[seen]])
        instants = np.concatenate([self.valid_from[seen], self.expires_at[seen]])
        pairs = np.unique(np.stack([tenants, instants])[:, instants != NEVER], axis=1)
        counts = np.bincount(pairs[0], minlength=len(self.known))
        found = np.full((len(self.known), max(counts.max(initial=0), 1)), NEVER, np.int64)
        found[pairs[0], np.arange(pairs.shape[1]) - (np.cumsum(counts) - counts)[pairs[0]]] = pairs[1]
        return found

    def _own(self, when: datetime | Times) -> Times | int:
        """The time of each act's tenant."""
        return ticks(when) if isinstance(when, datetime) else when[self.tenants]

    def _seen(self, run: datetime) -> npt.NDArray[np.bool_]:
        return self.recorded_at <= ticks(run)

    def _last(self, among: npt.NDArray[np.bool_], times: Times | None = None) -> npt.NDArray[np.int64]:
        """Of each known tenant the last of some acts: by these times, among equals (or without) as they were recorded."""
        order = np.flatnonzero(among)
        order = order if times is None else order[np.argsort(times[order], kind="stable")]
        last = np.full(len(self.known), NOTHING, np.int64)
        last[self.tenants[order]] = order  # of several, the last one stays
        return last


def ticks(time: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (time - _EPOCH) // _TICK
