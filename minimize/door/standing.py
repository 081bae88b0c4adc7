"""Whether what let a read through still holds: asked between batches, for grants and tokens end while somebody reads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from minimize.door.deciding import Clock
from minimize.door.refusing import ENDED, said
from minimize.errors import RefusedError
from minimize.governance.access import Decision

AGAIN: Final = timedelta(milliseconds=500)
"""A decision that is older is made anew before another batch leaves."""


class Standing:
    """One read's decision, and how it is made again."""

    def __init__(self, first: Decision, again: Callable[[datetime], Decision | None], clock: Clock) -> None:
        self._first, self._again, self._clock = first, again, clock
        self._looked = first.at

    def check(self) -> None:
        """Raises RefusedError (B007) where it holds no longer, or would be another now."""
        now = self._clock()
        if not self._first.holds(now):
            raise said(ENDED)
        if now - self._looked < AGAIN:
            return
        self._looked, decision = now, self._decided(now)
        if decision is None or not decision.allowed or not self._first.gives_the_same(decision):
            raise said(ENDED)

    def _decided(self, now: datetime) -> Decision | None:
        """The decision of now; None where it is refused to be made: the token ended, or a column is gone."""
        try:
            return self._again(now)
        except RefusedError:
            return None
