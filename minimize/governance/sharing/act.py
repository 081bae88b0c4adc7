"""One act of sharing, from what was asked to what is handed over; nothing is handed over that was not recorded before."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minimize.engines.base import Job, row_key
from minimize.engines.passes import deduplicates
from minimize.errors import LedgerError, NotPermitted, Reason
from minimize.frames import way_back
from minimize.governance.consent import Consents, load_consents
from minimize.governance.sharing.account import Account
from minimize.governance.sharing.asked import Asked
from minimize.governance.sharing.asking import Asking
from minimize.governance.sharing.consented import AgreedSource, Tenants
from minimize.governance.sharing.files import Aside
from minimize.governance.sharing.keyed import RecipientKeys
from minimize.governance.sharing.payload import InMemory, Made, Nothing, Taker, differing, make
from minimize.governance.sharing.planning import Planned, planned, tenants_alone
from minimize.governance.sharing.reasons import of_tenants, reason, refusal
from minimize.governance.sharing.recording import disclosure_of, event_of_refusal, event_of_sharing, tenant_shares
from minimize.minimizer import Prepared, tell
from minimize.plan import Plan
from minimize.pointer import Pointer
from minimize.spill import Aside as Spill
from minimize.spill import find_budget
from minimize.stages.generalize import memos_of

if TYPE_CHECKING:
    from minimize.ledger.disclosures import Disclosure
    from minimize.ledger.ledger import Ledger

log = logging.getLogger("minimize")
Clock = Callable[[], datetime]


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
    """

    asked: Asked
    planned: Planned
    clock: Clock

    def dry(self) -> Account:
        """What would leave, and why the rest would not."""
        if self.planned.against or self.planned.plan is None:
            return self._account(held=self._unasked())
        with self._ledger() as ledger:
            tenants = self._tenants(load_consents(ledger))
            return self._told(make(*self._job(self.planned.plan, tenants), Nothing()), tenants)

    def wet(self, original: Any, to: Path | None) -> Done:
        """The payload, recorded and handed over. Raises NotPermitted with every reason at once."""
        plan = self.planned.plan
        if self.planned.against or plan is None:
            raise self._refused(self._account(held=self._unasked()))
        with self._ledger() as ledger:
            tenants = self._tenants(load_consents(ledger))
            job, source, bound = self._job(plan, tenants)
            if to is None:
                kept = InMemory()
                done = self._made(ledger, tenants, (job, source, bound, kept))
                return replace(done, given=way_back(original)(bound.schema, kept.all()))
            file = Aside(to, bound.schema)
            try:
                done = self._made(ledger, tenants, (job, source, bound, file))
                return replace(done, given=file.publish())
            finally:
                file.abandon()

    def _made(self, ledger: Ledger, tenants: Tenants, way: tuple[Job, AgreedSource, Prepared, Taker]) -> Done:
        made = make(*way)
        tell(made.rejected)
        account = self._told(made, tenants)
        if not account.permitted:
            raise self._refused(account)
        taker = way[-1]
        file = self._finished(taker, made) if isinstance(taker, Aside) else None
        _check_declared(made, tenants)
        return Done(None, account, self._recorded(ledger, tenants, made, account, file))

    def _recorded(
        self, ledger: Ledger, tenants: Tenants, made: Made, account: Account, file: Mapping[str, Any] | None
    ) -> Disclosure:
        from minimize.ledger.disclosures import record

        function, composed = self.planned.function, self.planned.composed
        if function is None or composed is None:
            raise differing("it was not planned")
        now, shares = self.clock(), tenant_shares(made, tenants.verdicts, self.asked)
        act = disclosure_of(
            self.asked, function, composed, made, shares, category=account.category or "", file=file, now=now
        )
        try:
            record(
                ledger, act, shares, event_of_sharing(act, now), self.asked.keys, lambda _: self._still(ledger, made)
            )
        except NotPermitted as error:
            ended = error
        else:
            return act
        raise self._refused(replace(account, against=ended.reasons))

    def _still(self, ledger: Ledger, made: Made) -> None:
        """Raises NotPermitted where a tenant whose records are about to leave agrees no longer."""
        now = self.clock()
        asking = replace(self._asking(load_consents(ledger)), whens=(max(now, self.asked.at),))
        ended = [name for name, verdict in asking(list(made.tenants)).items() if verdict.consent is None]
        if ended:
            rows = sum(made.tenants[name] for name in ended)
            message = "consent ended while the payload was made"
            raise NotPermitted(message, reasons=[reason("consent_ended", message, tenants=len(ended), rows=rows)])

    def _finished(self, file: Aside, made: Made) -> dict[str, Any]:
        digest, rows = file.finish()
        if rows != made.rows:
            raise differing("its file does not hold the rows that were made")
        return {"name": file.path.name, "format": file.format, "digest": digest}

    def _job(self, plan: Plan, tenants: Tenants) -> tuple[Job, AgreedSource, Prepared]:
        keys, at = RecipientKeys(self.asked.keys), self.asked.at
        settings = None if self.asked.rows is None else self.asked.rows.at(at)
        bound = Prepared.of(plan, keys)
        job = Job(
            plan,
            at,
            keys,
            settings,
            row_key(self.asked.keys),
            memos_of(plan),
            aside=Spill(find_budget(self.asked.folder)),
            bound=None if deduplicates(plan) else bound.stages,
        )
        if self.planned.source is None:
            raise differing("it was not planned")
        return job, AgreedSource(self.planned.source, tenants), bound

    def _asking(self, consents: Consents) -> Asking:
        sent = () if self.planned.composed is None else self.planned.composed.sent
        return Asking(self.asked.recipient, self.asked.party.function, sent, consents, self.asked.whens)

    def _tenants(self, consents: Consents) -> Tenants:
        return Tenants(self._asking(consents), Pointer.parse(self.planned.own.tenant or ""))

    def _unasked(self) -> tuple[Reason, ...]:
        """What tenants would say of an act that is refused anyway, as far as they can be asked."""
        if self.planned.composed is None or not self.planned.composed.sent:
            return ()
        with suppress(LedgerError), self._ledger() as ledger:
            tenants = self._tenants(load_consents(ledger))
            for part in AgreedSource(tenants_alone(self.planned), tenants).parts:
                for _ in part.read():
                    pass
            return tuple(self._held(tenants))
        return ()

    def _held(self, tenants: Tenants) -> Iterator[Reason]:
        independent = self.asked.recipient.standing == "independent"
        for word, (count, rows) in tenants.held_back().items():
            yield of_tenants(word, count, rows, independent=independent)

    def _told(self, made: Made, tenants: Tenants) -> Account:
        held = [*self._held(tenants), *_of_records(made, tenants)]
        if made.rows or not held:
            return self._account(made, held=tuple(held))
        return self._account(made, against=(*held, reason("nothing_left", "nothing is left to send")))

    def _account(
        self, made: Made | None = None, *, against: tuple[Reason, ...] = (), held: tuple[Reason, ...] = ()
    ) -> Account:
        plan, function, composed = self.planned.plan, self.planned.function, self.planned.composed
        return Account(
            recipient=self.asked.recipient.recipient,
            function=self.asked.party.function,
            purpose=None if function is None else function.purpose,
            category=None if plan is None else plan.outputs["records"].category,
            rows=0 if made is None else made.rows,
            tenants={} if made is None else dict(sorted(made.tenants.items())),
            fields={} if composed is None else composed.fates,
            gated={} if made is None else dict(made.closed),
            against=(*self.planned.against, *against),
            held=held,
        )

    def _refused(self, account: Account) -> NotPermitted:
        """The error, once the audit log was told; where it cannot be, the log says so."""
        name, function = self.asked.recipient.recipient, self.asked.party.function
        event = event_of_refusal(name, function, account.reasons, self.clock())
        try:
            self._tell(event)
        except LedgerError:
            log.warning("the ledger could not be told of a refusal", extra={"code": "W015"})
        return refusal(name, function, account.reasons)

    def _tell(self, event: Any) -> None:
        from minimize.ledger.audit import append

        with self._ledger() as ledger:
            ledger.write(lambda connection: append(connection, event, self.asked.keys))

    def _ledger(self) -> Ledger:
        from minimize.ledger.ledger import open_ledger

        return open_ledger(self.asked.ledger)


def act(asked: Asked, given: Any, clock: Clock) -> Act:
    """An act, planned. Raises faults of configuration; refusals come later, all at once."""
    return Act(asked, planned(asked, given), clock)


def _of_records(made: Made, tenants: Tenants) -> Iterator[Reason]:
    """What holds records back beside the consent of their tenants."""
    closed = made.gated.total() + made.emptied
    if closed:
        agreed = [name for name in tenants.total() if tenants.verdicts[name].consent is not None]
        whole = sum(1 for name in agreed if not made.tenants[name])
        message = "collection settings, conditions or retention hold them back"
        yield reason("collection_off", message, tenants=whole, rows=closed)
    if made.rejected:
        message = "they lack what the policy requires, or hold what it forbids"
        yield reason("incomplete", message, rows=made.rejected.total())


def _check_declared(made: Made, tenants: Tenants) -> None:
    """Raises NotPermitted where what was made is not what was declared."""
    if made.tenants.total() != made.rows:
        raise differing("some of its records have no tenant")
    if any(tenants.verdicts[name].consent is None for name in made.tenants):
        raise differing("it holds records of tenants that did not agree")
