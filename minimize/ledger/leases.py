"""Leases: one run at a time writes to an output; heartbeats, takeover from a dead run, and the session of a run.

The holder of a lease sends heartbeats. On the same machine, it counts as dead as soon as its process has
ended. Otherwise it counts as dead if its last heartbeat is older than the expiry *and* none arrives while it is watched. The
watch uses a monotonic clock. Clocks that differ or
jump can therefore delay a takeover, but never take a lease from a holder that sends heartbeats. Each lease has a token, the
next higher number: a holder that was wrongly taken for dead loses its lease, notices that before it publishes, and stops.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from minimize.checkpoints import checkpoint
from minimize.errors import LedgerError
from minimize.keys.cryptography import Signer
from minimize.ledger.audit_event import (
    PUBLISH,
    RECOVER,
    Actor,
    AuditEvent,
    EventResult,
    PropertyChange,
    Resource,
    run_activity,
)
from minimize.ledger.audit_log import append_event, log_head
from minimize.ledger.database import Connection, Row
from minimize.ledger.ledger import Ledger
from minimize.ledger.runs import LogAgreement, compare_receipts, index_receipts, record_location, record_publication
from minimize.ledger.schema import ledger_identity
from minimize.receipts import AuditHead, Receipt, ReceiptKind
from minimize.stores.durable_files import ProcessIdentity
from minimize.times import Clock, time_text, utc_now

LEASE_HELD: Final = "E207"
ORPHAN_GRACE_S: Final = 1.0
"""Time that a run of this process may take from its lease to its first thread."""


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """Interval of heartbeats, time without one until the holder is watched, and duration of the watch."""

    beat: timedelta = timedelta(seconds=10)
    expiry: timedelta = timedelta(seconds=60)
    watch: timedelta = timedelta(seconds=25)


@dataclass(frozen=True, slots=True)
class LeaseClock:
    """The time of day, a monotonic time, and sleep."""

    now: Clock = utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that this run holds. `before` is the dead run that held it before."""

    output: str
    token: int
    run_id: str
    before: str | None = None


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Holder of a lease."""

    token: int
    run_id: str
    process: ProcessIdentity
    since: datetime
    beat: int
    beat_at: datetime


_HOLDER_COLUMNS: Final = ("run_id", "host", "machine", "pid", "born", "since", "beat_at")
LeaseTaken = Callable[[Connection, Lease], None]
"""Work in the transaction that takes a lease."""


def take_lease(
    ledger: Ledger, output: str, run_id: str, begun: LeaseTaken, *, pace: LeaseTiming, clock: LeaseClock
) -> Lease:
    """Takes the lease on an output. Raises LedgerError (E207) if another run holds it."""
    attempt = partial(_try_take, output=output, run_id=run_id, begun=begun, clock=clock)
    doubted: LeaseHolder | None = None
    while True:
        lease = ledger.write(partial(attempt, doubted=doubted))
        if isinstance(lease, Lease):
            return lease
        if doubted is not None or not _is_holder_dead(ledger, output, lease, pace, clock):
            raise lease_held_error(lease)
        doubted = lease


def lease_holder(connection: Connection, output: str) -> LeaseHolder | None:
    """The holder of the lease on an output, or None."""
    return _holder_from_row(_lease_row(connection, output))


def renew_lease(connection: Connection, lease: Lease, now: datetime) -> None:
    """Sends one heartbeat. Raises LedgerError (E207) if the lease was lost."""
    if not record_heartbeat(connection, lease, now):
        holder = lease_holder(connection, lease.output)
        who = "" if holder is None else f" to the run {holder.run_id} on {holder.process.host}"
        message = (
            f"the lease on the output was lost{who} because this run sent no heartbeat for more than "
            f"{LeaseTiming().expiry.seconds} seconds; nothing was published"
        )
        raise LedgerError(message, code=LEASE_HELD, hint="Run again.")


def record_heartbeat(connection: Connection, lease: Lease, now: datetime) -> bool:
    """Records a heartbeat. Returns whether this run still holds the lease."""
    return _update_lease(connection, lease, "beat = beat + 1, beat_at = :now", now=now) == 1


def release_lease(connection: Connection, lease: Lease) -> None:
    """Releases the lease. Does nothing if it was lost."""
    unheld = ", ".join(f"{name} = NULL" for name in _HOLDER_COLUMNS)
    _update_lease(connection, lease, unheld)


def heartbeat_thread_name(output: str, token: int) -> str:
    """Name of the thread that sends heartbeats for a lease."""
    return f"minimize-lease-{output}-{token}"


def lease_held_error(holder: LeaseHolder) -> LedgerError:
    """The error for a run that finds the lease taken."""
    process = holder.process
    message = (
        f"another run is writing to this output: {holder.run_id} on {process.host} (process {process.pid}), "
        f"since {time_text(holder.since.replace(microsecond=0))}"
    )
    hint = (
        "Wait until it has finished. "
        f"If it has crashed, its lease expires {LeaseTiming().expiry.seconds} seconds after its last heartbeat: then run again."
    )
    return LedgerError(message, code=LEASE_HELD, hint=hint)


def _try_take(
    connection: Connection,
    *,
    output: str,
    run_id: str,
    begun: LeaseTaken,
    clock: LeaseClock,
    doubted: LeaseHolder | None,
) -> Lease | LeaseHolder:
    connection.lock()
    row = _lease_row(connection, output)
    holder = _holder_from_row(row)
    if holder is not None and holder != doubted and not holder.process.is_dead():
        return holder
    lease = Lease(output, 1 if row is None else row["token"] + 1, run_id, None if holder is None else holder.run_id)
    connection.execute("DELETE FROM leases WHERE output = :output", output=output)
    connection.insert("leases", {"output": output, "token": lease.token, **_claim_values(run_id, clock.now())})
    checkpoint("lease.taken")
    begun(connection, lease)
    return lease


def _is_holder_dead(ledger: Ledger, output: str, holder: LeaseHolder, pace: LeaseTiming, clock: LeaseClock) -> bool:
    """Whether a holder can be taken for dead, although its process is not known to have ended."""
    if holder.process == ProcessIdentity.current():
        return _has_no_heartbeat_thread(output, holder, clock)
    return not _is_heartbeat_recent(holder, pace, clock) and _is_silent_while_watched(
        ledger, output, holder, pace, clock
    )


def _has_no_heartbeat_thread(output: str, holder: LeaseHolder, clock: LeaseClock) -> bool:
    """Whether a lease of this process belongs to no run any more, because its run could not release it at its end."""
    for pause in (ORPHAN_GRACE_S, 0.0):
        if heartbeat_thread_name(output, holder.token) in {thread.name for thread in threading.enumerate()}:
            return False
        clock.sleep(pause)
    return True


def _is_heartbeat_recent(holder: LeaseHolder, pace: LeaseTiming, clock: LeaseClock) -> bool:
    """Whether the last heartbeat is recent. A heartbeat from the future proves nothing: a clock was set back."""
    return timedelta(0) <= clock.now() - holder.beat_at <= pace.expiry


def _is_silent_while_watched(
    ledger: Ledger, output: str, holder: LeaseHolder, pace: LeaseTiming, clock: LeaseClock
) -> bool:
    """Whether the holder sends no heartbeat while it is watched."""
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


def _lease_row(connection: Connection, output: str) -> Row | None:
    return connection.row("SELECT * FROM leases WHERE output = :output", output=output)


def _update_lease(connection: Connection, lease: Lease, changes: str, **values: Any) -> int:
    """Changes the lease unless it was lost. Returns the number of changed rows."""
    statement = f"UPDATE leases SET {changes} WHERE output = :output AND token = :token AND run_id IS NOT NULL"  # noqa: S608
    return connection.execute(statement, output=lease.output, token=lease.token, **values)


def _holder_from_row(row: Row | None) -> LeaseHolder | None:
    """The holder of a lease; None if no run holds it."""
    if row is None or row["run_id"] is None:
        return None
    process = ProcessIdentity(row["host"], row["machine"], row["pid"], row["born"])
    return LeaseHolder(process=process, **{name: row[name] for name in ("token", "run_id", "since", "beat", "beat_at")})


class Heartbeat:
    """Sends heartbeats during the block. It retries if the ledger cannot be reached, and ends if the lease was lost."""

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
    """A run as the ledger records it. The output is named by its identity and location."""

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
        """Keeps the lease during the block."""
        return Heartbeat(self.ledger, self.lease, self.pace, self.clock)

    def catch_up(self, chain: Sequence[Receipt]) -> LogAgreement:
        """Records published receipts that are missing in the log because their run was interrupted, and any disagreement.

        Takes the receipts of the output, by sequence. Returns how they agreed with the log before.
        """
        agreement = self.ledger.read(
            partial(compare_receipts, output=self.run.output, chain=chain, verifier=self.signer)
        )
        if agreement.unrecorded or agreement.disagrees:
            self.ledger.write(partial(self._caught_up, agreement=agreement))
        return agreement

    def head(self) -> AuditHead:
        """The head of the log, for the receipt. Raises LedgerError (E207) if the lease was lost."""
        return self.ledger.write(self._log_head)

    def record_published(self, receipt: Receipt) -> None:
        """Records and indexes the receipt, and releases the lease."""
        self.ledger.write(partial(self._record_published, receipt=receipt))

    def record_failed(self, result: EventResult, code: str) -> None:
        """Records that nothing was published, and releases the lease."""
        self.ledger.write(partial(self._failed, result=result, code=code))

    def release(self) -> None:
        """Releases the lease."""
        self.ledger.write(partial(release_lease, lease=self.lease))

    def _caught_up(self, connection: Connection, agreement: LogAgreement) -> None:
        connection.lock()
        index_receipts(connection, self.run.output, agreement.unrecorded)
        if agreement.disagrees:
            state = PropertyChange("state", None, agreement.state)
            append_event(connection, _run_event(self.run, self.clock, "disagree", state, result="failure"), self.signer)
        for receipt in agreement.unrecorded:
            self._append_events(connection, RECOVER, receipt)

    def _log_head(self, connection: Connection) -> AuditHead:
        renew_lease(connection, self.lease, self.clock.now())
        head = log_head(connection)
        return AuditHead(head.sequence, str(head.digest), ledger_identity(connection))

    def _record_published(self, connection: Connection, receipt: Receipt) -> None:
        connection.lock()
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
        actor, now = self.run.actor, self.clock.now()
        record_publication(connection, operation, self.run.output, receipt, actor=actor, now=now, signer=self.signer)


def start_session(
    ledger: Ledger, run: SessionRun, signer: Signer, *, pace: LeaseTiming, clock: LeaseClock
) -> RunSession:
    """Takes the lease and records the start of the run in one transaction. Raises LedgerError (E207) if another run holds it."""

    def begun(connection: Connection, lease: Lease) -> None:
        record_location(connection, run.output, run.pipeline, run.folder)
        if lease.before is not None:
            dead = replace(run, run_id=lease.before)
            append_event(connection, _run_event(dead, clock, "abandon", result="failure"), signer)
        append_event(connection, _run_event(run, clock, "start"), signer)

    return RunSession(
        ledger=ledger,
        run=run,
        lease=take_lease(ledger, run.output, run.run_id, begun, pace=pace, clock=clock),
        signer=signer,
        pace=pace,
        clock=clock,
    )


def _run_event(
    run: SessionRun, clock: LeaseClock, operation: str, *changes: PropertyChange, result: EventResult = "success"
) -> AuditEvent:
    resource = Resource(run.pipeline, "output", run.output, changes)
    return run_activity(run.kind).event(
        operation, run.actor, clock.now(), resource, result=result, correlation_id=run.run_id
    )
