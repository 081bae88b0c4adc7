"""Leases: one run at a time writes to an output; heartbeats, takeover from a dead run, and the session of a run.

The holder of a lease sends heartbeats. It counts as dead if its process has ended (on the same machine, at once), or if its
last heartbeat is older than the expiry *and* none arrives while it is watched, by a monotonic clock. Clocks that differ or
jump can therefore delay a takeover, but never take a lease from a holder that sends heartbeats. Each lease has a token, the
next higher number: a holder that was wrongly taken for dead finds its lease gone before it publishes, and stops.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from sqlalchemy import Connection, Row, insert, select, update

from minimize.errors import LedgerError
from minimize.failpoints import fail_point
from minimize.keys.cryptography import Signer
from minimize.ledger.audit_event import Actor, AuditEvent, EventResult, PropertyChange, Resource, run_activity
from minimize.ledger.audit_log import append_event, log_head
from minimize.ledger.database import lock_ledger
from minimize.ledger.ledger import Ledger
from minimize.ledger.migrations import ledger_identity
from minimize.ledger.process import ProcessIdentity
from minimize.ledger.runs import (
    PUBLISH,
    RECOVER,
    LogAgreement,
    compare_receipts,
    index_receipts,
    publication_events,
    record_location,
)
from minimize.ledger.tables import LEASES
from minimize.receipts import AuditHead, Receipt, ReceiptKind
from minimize.times import time_text

LEASE_HELD: Final = "E207"
ORPHAN_GRACE_S: Final = 1.0
"""How long a run of this process may take from its lease to its first thread."""


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """How often a holder beats, after how long without a beat he is doubted, and how long he is watched then."""

    beat: timedelta = timedelta(seconds=10)
    expiry: timedelta = timedelta(seconds=60)
    watch: timedelta = timedelta(seconds=25)


@dataclass(frozen=True, slots=True)
class LeaseClock:
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
class LeaseHolder:
    """Who holds a lease."""

    token: int
    run_id: str
    process: ProcessIdentity
    since: datetime
    beat: int
    beat_at: datetime


LeaseTaken = Callable[[Connection, Lease], None]
"""What is done in the transaction in which a lease is taken."""


def take_lease(
    ledger: Ledger, output: str, run_id: str, begun: LeaseTaken, *, pace: LeaseTiming, clock: LeaseClock
) -> Lease:
    """Takes the lease on an output. Raises LedgerError (E207) where another run holds it."""
    attempt = partial(_try_take, output=output, run_id=run_id, begun=begun, clock=clock)
    doubted: LeaseHolder | None = None
    while True:
        found = ledger.write(partial(attempt, doubted=doubted))
        if isinstance(found, Lease):
            return found
        if doubted is not None or not _is_holder_dead(ledger, output, found, pace, clock):
            raise lease_held_error(found)
        doubted = found


def lease_holder(connection: Connection, output: str) -> LeaseHolder | None:
    """Who holds the lease on an output."""
    row = connection.execute(select(LEASES).where(LEASES.c.output == output)).one_or_none()
    return None if row is None or row.run_id is None else _holder_from_row(row)


def renew_lease(connection: Connection, lease: Lease, now: datetime) -> None:
    """Beats, once. Raises LedgerError (E207) where the lease was lost."""
    if not record_heartbeat(connection, lease, now):
        other = lease_holder(connection, lease.output)
        who = "" if other is None else f" to the run {other.run_id} on {other.process.host}"
        message = f"the lease on the output was lost{who} because this run sent no heartbeat for too long; nothing was published"
        raise LedgerError(message, code=LEASE_HELD, hint="Run again.")


def record_heartbeat(connection: Connection, lease: Lease, now: datetime) -> bool:
    """Says that the holder lives; gives whether he still holds it."""
    said = update(LEASES).where(_matches_lease(lease)).values(beat=LEASES.c.beat + 1, beat_at=now)
    return connection.execute(said).rowcount == 1


def release_lease(connection: Connection, lease: Lease) -> None:
    """Lets the lease go; does nothing where it was lost."""
    nobody = dict.fromkeys(("run_id", "host", "machine", "pid", "born", "since", "beat_at"))
    connection.execute(update(LEASES).where(_matches_lease(lease)).values(**nobody))


def heartbeat_thread_name(output: str, token: int) -> str:
    """The name of the thread that beats for a lease."""
    return f"minimize-lease-{output}-{token}"


def lease_held_error(holder: LeaseHolder) -> LedgerError:
    """The error of who comes second."""
    process = holder.process
    message = (
        f"another run is writing to this output: {holder.run_id} on {process.host} (process {process.pid}), "
        f"since {time_text(holder.since.replace(microsecond=0))}"
    )
    return LedgerError(
        message, code=LEASE_HELD, hint="Wait until it has finished. If it has crashed, its lease expires by itself."
    )


def _try_take(
    connection: Connection,
    *,
    output: str,
    run_id: str,
    begun: LeaseTaken,
    clock: LeaseClock,
    doubted: LeaseHolder | None,
) -> Lease | LeaseHolder:
    lock_ledger(connection)
    row = connection.execute(select(LEASES).where(LEASES.c.output == output)).one_or_none()
    holder = None if row is None or row.run_id is None else _holder_from_row(row)
    if holder is not None and holder != doubted and not holder.process.is_dead():
        return holder
    lease = Lease(output, 1 if row is None else row.token + 1, run_id, None if holder is None else holder.run_id)
    said = {"token": lease.token, **_claim_values(run_id, clock.now())}
    if row is None:
        connection.execute(insert(LEASES).values(output=output, **said))
    else:
        connection.execute(update(LEASES).where(LEASES.c.output == output).values(**said))
    fail_point("lease.taken")
    begun(connection, lease)
    return lease


def _is_holder_dead(ledger: Ledger, output: str, holder: LeaseHolder, pace: LeaseTiming, clock: LeaseClock) -> bool:
    """Whether a holder that is not known to be dead may be taken for it."""
    if holder.process == ProcessIdentity.current():
        return _has_no_heartbeat_thread(output, holder, clock)
    return not _is_heartbeat_recent(holder, pace, clock) and _is_silent_while_watched(
        ledger, output, holder, pace, clock
    )


def _has_no_heartbeat_thread(output: str, holder: LeaseHolder, clock: LeaseClock) -> bool:
    """Whether a lease of this very process belongs to no run any more: it could not be let go when the run ended."""
    for pause in (ORPHAN_GRACE_S, 0.0):
        if heartbeat_thread_name(output, holder.token) in {thread.name for thread in threading.enumerate()}:
            return False
        clock.sleep(pause)
    return True


def _is_heartbeat_recent(holder: LeaseHolder, pace: LeaseTiming, clock: LeaseClock) -> bool:
    """Whether the last beat is recent. One from the future says nothing: a clock went back."""
    return timedelta(0) <= clock.now() - holder.beat_at <= pace.expiry


def _is_silent_while_watched(
    ledger: Ledger, output: str, holder: LeaseHolder, pace: LeaseTiming, clock: LeaseClock
) -> bool:
    """Whether the holder does not beat while he is watched."""
    until = clock.monotonic() + pace.watch.total_seconds()
    while clock.monotonic() < until:
        clock.sleep(min(1.0, pace.beat.total_seconds() / 4))
        if ledger.read(partial(lease_holder, output=output)) not in (holder, None):
            return False
    return True


def _claim_values(run_id: str, now: datetime) -> dict[str, Any]:
    us = ProcessIdentity.current()
    process = {"host": us.host, "machine": us.machine, "pid": us.pid, "born": us.born}
    return {"run_id": run_id, "since": now, "beat": 0, "beat_at": now, **process}


def _matches_lease(lease: Lease) -> Any:
    return (LEASES.c.output == lease.output) & (LEASES.c.token == lease.token) & LEASES.c.run_id.is_not(None)


def _holder_from_row(row: Row[Any]) -> LeaseHolder:
    process = ProcessIdentity(row.host, row.machine, row.pid, row.born)
    return LeaseHolder(row.token, row.run_id, process, row.since, row.beat, row.beat_at)


class Heartbeat:
    """Beats while the block lasts. A ledger that is out of reach is asked again; a lease that was lost ends it."""

    def __init__(self, ledger: Ledger, lease: Lease, pace: LeaseTiming, clock: LeaseClock) -> None:
        self._ledger, self._lease, self._pace, self._clock = ledger, lease, pace, clock
        self._over = threading.Event()
        name = heartbeat_thread_name(lease.output, lease.token)
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
                if not self._ledger.write(partial(record_heartbeat, lease=self._lease, now=self._clock.now())):
                    return


@dataclass(frozen=True, slots=True)
class SessionRun:
    """A run, as far as the ledger wants to know: the output by its identity, and where that lies."""

    run_id: str
    kind: ReceiptKind
    pipeline: str
    output: str
    folder: str
    actor: Actor


@dataclass(frozen=True, slots=True)
class RunSession:
    """A run that holds the lease on its output."""

    ledger: Ledger
    run: SessionRun
    lease: Lease
    signer: Signer
    pace: LeaseTiming
    clock: LeaseClock

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.run_id

    def heartbeat(self) -> Heartbeat:
        """Keeps the lease while its block lasts."""
        return Heartbeat(self.ledger, self.lease, self.pace, self.clock)

    def catch_up(self, chain: Sequence[Receipt]) -> LogAgreement:
        """Tells what was published and not told of, because its run was stopped in between; and that receipts and log disagree.

        Takes the output's receipts, by sequence. Gives how they stood to the log.
        """
        found = self.ledger.read(partial(compare_receipts, output=self.run.output, chain=chain))
        if found.unrecorded or found.disagrees:
            self.ledger.write(partial(self._caught_up, found=found))
        return found

    def head(self) -> AuditHead:
        """The log's head, for the receipt. Raises LedgerError (E207) where the lease was lost meanwhile."""
        return self.ledger.write(self._log_head)

    def record_published(self, receipt: Receipt) -> None:
        """Tells of the receipt, indexes it, and lets the lease go."""
        self.ledger.write(partial(self._record_published, receipt=receipt))

    def record_failed(self, result: EventResult, code: str) -> None:
        """Tells that nothing was published, and lets the lease go."""
        self.ledger.write(partial(self._failed, result=result, code=code))

    def release(self) -> None:
        """Lets the lease go."""
        self.ledger.write(partial(release_lease, lease=self.lease))

    def _caught_up(self, connection: Connection, found: LogAgreement) -> None:
        lock_ledger(connection)
        index_receipts(connection, self.run.output, found.unrecorded)
        if found.disagrees:
            state = PropertyChange("state", None, found.state)
            append_event(connection, _run_event(self.run, self.clock, "disagree", state, result="failure"), self.signer)
        for receipt in found.unrecorded:
            self._append_events(connection, RECOVER, receipt)

    def _log_head(self, connection: Connection) -> AuditHead:
        renew_lease(connection, self.lease, self.clock.now())
        found = log_head(connection)
        return AuditHead(found.sequence, str(found.digest), ledger_identity(connection))

    def _record_published(self, connection: Connection, receipt: Receipt) -> None:
        lock_ledger(connection)
        index_receipts(connection, self.run.output, [receipt])
        release_lease(connection, self.lease)
        self._append_events(connection, PUBLISH, receipt)

    def _failed(self, connection: Connection, result: EventResult, code: str) -> None:
        release_lease(connection, self.lease)
        append_event(
            connection,
            _run_event(self.run, self.clock, "fail", PropertyChange("error", None, code), result=result),
            self.signer,
        )

    def _append_events(self, connection: Connection, operation: str, receipt: Receipt) -> None:
        for event in publication_events(
            operation, self.run.output, receipt, actor=self.run.actor, now=self.clock.now()
        ):
            append_event(connection, event, self.signer)


def start_session(
    ledger: Ledger, run: SessionRun, signer: Signer, *, pace: LeaseTiming, clock: LeaseClock
) -> RunSession:
    """Takes the lease and tells that the run begins, in one transaction. Raises LedgerError (E207) where another run holds it."""

    def begun(connection: Connection, lease: Lease) -> None:
        record_location(connection, run.output, run.pipeline, run.folder)
        if lease.before is not None:
            dead = replace(run, run_id=lease.before)
            append_event(connection, _run_event(dead, clock, "abandon", result="failure"), signer)
        append_event(connection, _run_event(run, clock, "start"), signer)

    return RunSession(
        ledger, run, take_lease(ledger, run.output, run.run_id, begun, pace=pace, clock=clock), signer, pace, clock
    )


def _run_event(
    run: SessionRun, clock: LeaseClock, operation: str, *changes: PropertyChange, result: EventResult = "success"
) -> AuditEvent:
    resource = Resource(run.pipeline, "output", run.output, changes)
    return run_activity(run.kind).event(
        operation, run.actor, clock.now(), resource, result=result, correlation_id=run.run_id
    )
