"""Settling what a crash left in a bucket: under the ledger's lease on the output, for nobody can lock a bucket."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from minimize.errors import LedgerError, OutputError
from minimize.io.history import is_unsettled
from minimize.io.identity import identified
from minimize.io.publish import open_output
from minimize.ledger import find_ledger
from minimize.receipt import new_run_id
from minimize.stores import Remote

WAIT_S: Final = 0.25
WAITS: Final = 20
"""How long a publication that is going on is waited for."""


def settle_in_bucket(output: Remote) -> None:
    """Finishes what was decided and not done, once its run is gone; one that goes on is waited for, some seconds.

    The ledger is the one that `MINIMIZE_LEDGER` or `minimize.yaml` names. Raises OutputError where a publication does not end,
    or there is no ledger to finish it under.
    """
    for _ in range(WAITS):
        if not is_unsettled(output):
            return
        if _settled(output):
            return
        time.sleep(WAIT_S)
    raise OutputError("a publication into this output does not end", hint="wait until that run is done")


def _settled(output: Remote) -> bool:
    """Whether it was finished; not where a run holds the output."""
    problem = ""
    try:
        with _held(output) as lease, open_output(output, create=False, lease=lease):
            return True
    except LedgerError as error:
        if error.code == "E207":
            return False
        problem = error.message
    hint = "name the output's ledger (MINIMIZE_LEDGER, minimize.yaml), or wait for the next run of this output"
    raise OutputError(f"a publication was interrupted, and it cannot be finished without a lease: {problem}", hint=hint)


@contextmanager
def _held(output: Remote) -> Iterator[Callable[[], object]]:
    from minimize.ledger.beating import Beating
    from minimize.ledger.leases import Clock, Pace, keep, release, take
    from minimize.ledger.ledger import open_ledger

    clock, pace = Clock(), Pace()
    with open_ledger(find_ledger()) as ledger:
        run_id = new_run_id(clock.now())
        lease = take(ledger, identified(output), run_id, lambda connection, lease: None, pace=pace, clock=clock)
        with Beating(ledger, lease, pace, clock):
            try:
                yield lambda: ledger.write(partial(keep, lease=lease, now=clock.now()))
            finally:
                ledger.write(partial(release, lease=lease))
