"""One act of sharing, from what was asked to what is handed over; nothing is handed over that was not recorded before."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minimize.consent import Consents, load_consents
from minimize.errors import LedgerError, Reason
from minimize.frames import way_back
from minimize.governance.sharing.account import Account
from minimize.governance.sharing.accounting import account, held_back, told
from minimize.governance.sharing.asked import Asked
from minimize.governance.sharing.asking import asking_of
from minimize.governance.sharing.committing import Clock, committed, refused
from minimize.governance.sharing.connecting import hand_on
from minimize.governance.sharing.consented import AgreedSource, Tenants
from minimize.governance.sharing.files import Aside
from minimize.governance.sharing.making import Making, making
from minimize.governance.sharing.passed_on import Sent, agreed_to_receive, senders
from minimize.governance.sharing.payload import InMemory, Made, Nothing, Taker, make
from minimize.governance.sharing.planning import Planned, planned, tenants_alone
from minimize.minimizer import tell
from minimize.plan import Plan
from minimize.pointer import Pointer
from minimize.recipients.refusals import differing
from minimize.settings.erased import ErasedRows

if TYPE_CHECKING:
    from minimize.ledger.disclosures import Disclosure
    from minimize.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an act: the payload or its file, the account, and the record."""

    given: Any = field(repr=False)
    account: Account
    disclosure: Disclosure | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """One act, planned.

    clock  tells the time: consents are looked at again before the payload is handed over
    sent   the third parties that sent the data to us, where it is an output that says so
    """

    asked: Asked
    planned: Planned
    clock: Clock
    sent: frozenset[Sent] = frozenset()

    def dry(self) -> Account:
        """What would leave, and why the rest would not."""
        plan = self._plan()
        if plan is None:
            return account(self.asked, self.planned, held=self._unasked())
        with self._ledger() as ledger:
            tenants = self._tenants(load_consents(ledger))
            made = make(self._making(ledger, plan, tenants), Nothing())
            return told(self.asked, self.planned, made, tenants)

    def wet(self, original: Any, to: Path | None) -> Done:
        """The payload, recorded and handed over. Raises NotPermitted with every reason at once."""
        plan = self._plan()
        if plan is None:
            raise self._refused(account(self.asked, self.planned, held=self._unasked()))
        with self._ledger() as ledger:
            tenants = self._tenants(load_consents(ledger))
            way = self._making(ledger, plan, tenants)
            if to is None:
                kept = InMemory()
                done = self._made(ledger, tenants, way, kept)
                return replace(done, given=way_back(original)(way.schema, kept.all()))
            file = Aside(to, way.schema)
            try:
                done = self._made(ledger, tenants, way, file)
                return replace(done, given=file.publish())
            finally:
                file.abandon()

    def _making(self, ledger: Ledger, plan: Plan, tenants: Tenants) -> Making:
        gone, agreed = ErasedRows.of_ledger(ledger, self.asked.keys), agreed_to_receive(self.asked, self.sent, ledger)
        return making(self.asked, self.planned, plan, tenants, gone, agreed)

    def _plan(self) -> Plan | None:
        """The plan; None where something stands against all of it."""
        return None if self.planned.against else self.planned.plan

    def _made(self, ledger: Ledger, tenants: Tenants, way: Making, taker: Taker) -> Done:
        made = make(way, taker)
        tell(made.rejected)
        found = told(self.asked, self.planned, made, tenants)
        if not found.permitted:
            raise self._refused(found)
        file = _finished(taker, made) if isinstance(taker, Aside) else None
        _check_declared(made, tenants)
        record = committed(ledger, self.asked, self.planned, made, tenants, found, file, self.clock)
        if way.passing is not None and self.asked.connector is not None:
            hand_on(self.asked.connector, way.passing.handed())
        return Done(None, found, record)

    def _unasked(self) -> tuple[Reason, ...]:
        """What tenants would say of an act that is refused anyway, as far as they can be asked."""
        if self.planned.composed is None or not self.planned.composed.sent:
            return ()
        with suppress(LedgerError), self._ledger() as ledger:
            tenants = self._tenants(load_consents(ledger))
            for part in AgreedSource(tenants_alone(self.planned), tenants).parts:
                for _ in part.read():
                    pass
            return tuple(held_back(self.asked, tenants))
        return ()

    def _tenants(self, consents: Consents) -> Tenants:
        return Tenants(asking_of(self.asked, self.planned, consents), Pointer.parse(self.planned.own.tenant or ""))

    def _refused(self, found: Account) -> Exception:
        return refused(self.asked, found, self.clock())

    def _ledger(self) -> Ledger:
        from minimize.ledger.ledger import open_ledger

        return open_ledger(self.asked.ledger)


def act(asked: Asked, given: Any, clock: Clock) -> Act:
    """An act, planned. Raises faults of configuration; refusals come later, all at once."""
    return Act(asked, planned(asked, given), clock, senders(given))


def _finished(file: Aside, made: Made) -> Mapping[str, Any]:
    digest, rows = file.finish()
    if rows != made.rows:
        raise differing("its file does not hold the rows that were made")
    return {"name": file.path.name, "format": file.format, "digest": digest}


def _check_declared(made: Made, tenants: Tenants) -> None:
    """Raises NotPermitted where what was made is not what was declared."""
    if made.tenants.total() != made.rows:
        raise differing("some of its records have no tenant")
    if any(tenants.verdicts[name].consent is None for name in made.tenants):
        raise differing("it holds records of tenants that did not agree")
