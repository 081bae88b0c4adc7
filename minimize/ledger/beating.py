"""The heart of a run: a thread that says now and then that the holder of a lease lives."""

from __future__ import annotations

import contextlib
import threading
from functools import partial
from types import TracebackType
from typing import Self

from minimize.errors import LedgerError
from minimize.ledger.leases import Clock, Lease, Pace, beats, heart_name
from minimize.ledger.ledger import Ledger


class Beating:
    """Beats while the block lasts. A ledger that is out of reach is asked again; a lease that was lost ends it."""

    def __init__(self, ledger: Ledger, lease: Lease, pace: Pace, clock: Clock) -> None:
        self._ledger, self._lease, self._pace, self._clock = ledger, lease, pace, clock
        self._over = threading.Event()
        name = heart_name(lease.output, lease.token)
        self._thread = threading.Thread(target=self._beat, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(self._pace.beat.total_seconds()):
            with contextlib.suppress(LedgerError):
                if not self._ledger.write(partial(beats, lease=self._lease, now=self._clock.now())):
                    return
