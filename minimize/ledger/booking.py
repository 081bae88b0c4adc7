"""One run in the ledger: its lease, what the audit log tells of it, and its row in the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from minimize.ledger.anchor import PUBLISH, RECOVER, Standing, standing, told_events
from minimize.ledger.audit import Signer, append, head
from minimize.ledger.beating import Beating
from minimize.ledger.engine import exclusive
from minimize.ledger.event import Actor, Change, Event, Resource, Result
from minimize.ledger.identity import identity
from minimize.ledger.leases import Clock, Lease, Pace, keep, release, take
from minimize.ledger.ledger import Ledger
from minimize.ledger.runs import index, place_output
from minimize.receipt import AuditHead, Kind, Receipt


@dataclass(frozen=True, slots=True)
class Run:
    """A run, as far as the ledger wants to know: the output by its identity, and where that lies."""

    run_id: str
    kind: Kind
    pipeline: str
    output: str
    folder: str
    actor: Actor


@dataclass(frozen=True, slots=True)
class Booking:
    """A run that holds the lease on its output."""

    ledger: Ledger
    run: Run
    lease: Lease
    signer: Signer
    pace: Pace
    clock: Clock

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.run_id

    def beating(self) -> Beating:
        """Keeps the lease while its block lasts."""
        return Beating(self.ledger, self.lease, self.pace, self.clock)

    def catch_up(self, chain: Sequence[Receipt]) -> Standing:
        """Tells what was published and not told of, because its run was stopped in between; and that receipts and log disagree.

        Takes the output's receipts, by sequence. Gives how they stood to the log.
        """
        found = self.ledger.read(partial(standing, output=self.run.output, chain=chain))
        if found.untold or found.disagrees:
            self.ledger.write(partial(self._caught_up, found=found))
        return found

    def head(self) -> AuditHead:
        """The log's head, for the receipt. Raises LedgerError (E207) where the lease was lost meanwhile."""
        return self.ledger.write(self._kept)

    def published(self, receipt: Receipt) -> None:
        """Tells of the receipt, indexes it, and lets the lease go."""
        self.ledger.write(partial(self._published, receipt=receipt))

    def failed(self, result: Result, code: str) -> None:
        """Tells that nothing was published, and lets the lease go."""
        self.ledger.write(partial(self._failed, result=result, code=code))

    def released(self) -> None:
        """Lets the lease go."""
        self.ledger.write(partial(release, lease=self.lease))

    def _caught_up(self, connection: Connection, found: Standing) -> None:
        exclusive(connection)
        index(connection, self.run.output, found.untold)
        if found.disagrees:
            state = Change("state", None, found.state)
            append(connection, _event(self.run, self.clock, "disagree", state, result="failure"), self.signer)
        for receipt in found.untold:
            self._tell(connection, RECOVER, receipt)

    def _kept(self, connection: Connection) -> AuditHead:
        keep(connection, self.lease, self.clock.now())
        found = head(connection)
        return AuditHead(found.sequence, str(found.digest), identity(connection))

    def _published(self, connection: Connection, receipt: Receipt) -> None:
        exclusive(connection)
        index(connection, self.run.output, [receipt])
        release(connection, self.lease)
        self._tell(connection, PUBLISH, receipt)

    def _failed(self, connection: Connection, result: Result, code: str) -> None:
        release(connection, self.lease)
        append(
            connection, _event(self.run, self.clock, "fail", Change("error", None, code), result=result), self.signer
        )

    def _tell(self, connection: Connection, operation: str, receipt: Receipt) -> None:
        for event in told_events(operation, self.run.output, receipt, actor=self.run.actor, now=self.clock.now()):
            append(connection, event, self.signer)


def book(ledger: Ledger, run: Run, signer: Signer, *, pace: Pace, clock: Clock) -> Booking:
    """Takes the lease and tells that the run begins, in one transaction. Raises LedgerError (E207) where another run holds it."""

    def begun(connection: Connection, lease: Lease) -> None:
        place_output(connection, run.output, run.pipeline, run.folder)
        if lease.before is not None:
            dead = replace(run, run_id=lease.before)
            append(connection, _event(dead, clock, "abandon", result="failure"), signer)
        append(connection, _event(run, clock, "start"), signer)

    return Booking(
        ledger, run, take(ledger, run.output, run.run_id, begun, pace=pace, clock=clock), signer, pace, clock
    )


def _event(run: Run, clock: Clock, operation: str, *changes: Change, result: Result = "success") -> Event:
    return Event(
        component="job",
        category="run",
        activity=run.kind,
        operation=operation,
        result=result,
        actor=run.actor,
        time=clock.now(),
        correlation_id=run.run_id,
        resources=(Resource(run.pipeline, "output", run.output, changes),),
    )
