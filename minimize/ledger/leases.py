"""A lease: one run at a time writes to an output, on whatever host, and a run that died is not waited for forever.

Whoever holds it beats while he lives. He is dead where his process is seen to be gone (on the same machine, at once), or
where his last beat is older than the expiry *and* no beat comes while he is watched, by a clock that cannot go back. Clocks
that differ or jump can therefore delay a takeover, and never take a lease from somebody who beats. Every taking has a token
of its own, the next higher: who was thought dead, and was not, finds it gone before he publishes, and stops.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from minimize.errors import LedgerError
from minimize.failpoints import fail_point
from minimize.ledger.engine import exclusive
from minimize.ledger.ledger import Ledger
from minimize.ledger.process import Process
from minimize.ledger.tables.leases import LEASES
from minimize.receipt import time_text

HELD: Final = "E207"
ORPHAN_S: Final = 1.0
"""How long a run of this process may take from its lease to its first thread."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a holder beats, after how long without a beat he is doubted, and how long he is watched then."""

    beat: timedelta = timedelta(seconds=10)
    expiry: timedelta = timedelta(seconds=60)
    watch: timedelta = timedelta(seconds=25)


@dataclass(frozen=True, slots=True)
class Clock:
    """The time, and a way to let some of it pass."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was taken; `before` is the run that held it and died."""

    output: str
    token: int
    run_id: str
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease."""

    token: int
    run_id: str
    process: Process
    since: datetime
    beat: int
    beat_at: datetime


Begun = Callable[[Connection, Lease], None]
"""What is done in the transaction in which a lease is taken."""


def take(ledger: Ledger, output: str, run_id: str, begun: Begun, *, pace: Pace, clock: Clock) -> Lease:
    """Takes the lease on an output. Raises LedgerError (E207) where another run holds it."""
    attempt = partial(_taken, output=output, run_id=run_id, begun=begun, clock=clock)
    doubted: Holder | None = None
    while True:
        found = ledger.write(partial(attempt, doubted=doubted))
        if isinstance(found, Lease):
            return found
        if doubted is not None or not _is_gone(ledger, output, found, pace, clock):
            raise held_by(found)
        doubted = found


def holder_of(connection: Connection, output: str) -> Holder | None:
    """Who holds the lease on an output."""
    row = connection.execute(select(LEASES).where(LEASES.c.output == output)).one_or_none()
    return None if row is None or row.run_id is None else _holder(row)


def keep(connection: Connection, lease: Lease, now: datetime) -> None:
    """Beats, once. Raises LedgerError (E207) where the lease was lost."""
    if not beats(connection, lease, now):
        other = holder_of(connection, lease.output)
        who = "" if other is None else f" to the run {other.run_id} on {other.process.host}"
        message = f"the lease on the output was lost{who}: this run did not beat for too long; nothing was published"
        raise LedgerError(message, code=HELD, hint="run again")


def beats(connection: Connection, lease: Lease, now: datetime) -> bool:
    """Says that the holder lives; gives whether he still holds it."""
    said = update(LEASES).where(_is(lease)).values(beat=LEASES.c.beat + 1, beat_at=now)
    return connection.execute(said).rowcount == 1


def release(connection: Connection, lease: Lease) -> None:
    """Lets the lease go; does nothing where it was lost."""
    nobody = dict.fromkeys(("run_id", "host", "machine", "pid", "born", "since", "beat_at"))
    connection.execute(update(LEASES).where(_is(lease)).values(**nobody))


def heart_name(output: str, token: int) -> str:
    """The name of the thread that beats for a lease."""
    return f"minimize-lease-{output}-{token}"


def held_by(holder: Holder) -> LedgerError:
    """The error of who comes second."""
    process = holder.process
    message = (
        f"another run holds this output: {holder.run_id} on {process.host} (process {process.pid}), "
        f"since {time_text(holder.since.replace(microsecond=0))}"
    )
    return LedgerError(message, code=HELD, hint="wait until it is done; where it died, its lease ends by itself")


def _taken(
    connection: Connection, *, output: str, run_id: str, begun: Begun, clock: Clock, doubted: Holder | None
) -> Lease | Holder:
    exclusive(connection)
    row = connection.execute(select(LEASES).where(LEASES.c.output == output)).one_or_none()
    holder = None if row is None or row.run_id is None else _holder(row)
    if holder is not None and holder != doubted and not holder.process.is_dead():
        return holder
    lease = Lease(output, 1 if row is None else row.token + 1, run_id, None if holder is None else holder.run_id)
    said = {"token": lease.token, **_claim(run_id, clock.now())}
    if row is None:
        connection.execute(insert(LEASES).values(output=output, **said))
    else:
        connection.execute(update(LEASES).where(LEASES.c.output == output).values(**said))
    fail_point("lease.taken")
    begun(connection, lease)
    return lease


def _is_gone(ledger: Ledger, output: str, holder: Holder, pace: Pace, clock: Clock) -> bool:
    """Whether a holder that is not known to be dead may be taken for it."""
    if holder.process == Process.ours():
        return _has_no_heart(output, holder, clock)
    return not _is_fresh(holder, pace, clock) and _is_silent(ledger, output, holder, pace, clock)


def _has_no_heart(output: str, holder: Holder, clock: Clock) -> bool:
    """Whether a lease of this very process belongs to no run any more: it could not be let go when the run ended."""
    for pause in (ORPHAN_S, 0.0):
        if heart_name(output, holder.token) in {thread.name for thread in threading.enumerate()}:
            return False
        clock.sleep(pause)
    return True


def _is_fresh(holder: Holder, pace: Pace, clock: Clock) -> bool:
    """Whether the last beat is recent. One from the future says nothing: a clock went back."""
    return timedelta(0) <= clock.now() - holder.beat_at <= pace.expiry


def _is_silent(ledger: Ledger, output: str, holder: Holder, pace: Pace, clock: Clock) -> bool:
    """Whether the holder does not beat while he is watched."""
    until = clock.monotonic() + pace.watch.total_seconds()
    while clock.monotonic() < until:
        clock.sleep(min(1.0, pace.beat.total_seconds() / 4))
        if ledger.read(partial(holder_of, output=output)) not in (holder, None):
            return False
    return True


def _claim(run_id: str, now: datetime) -> dict[str, Any]:
    us = Process.ours()
    process = {"host": us.host, "machine": us.machine, "pid": us.pid, "born": us.born}
    return {"run_id": run_id, "since": now, "beat": 0, "beat_at": now, **process}


def _is(lease: Lease) -> Any:
    return (LEASES.c.output == lease.output) & (LEASES.c.token == lease.token) & LEASES.c.run_id.is_not(None)


def _holder(row: Row[Any]) -> Holder:
    process = Process(row.host, row.machine, row.pid, row.born)
    return Holder(row.token, row.run_id, process, row.since, row.beat, row.beat_at)
