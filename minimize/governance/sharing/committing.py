"""An act taken down, while nobody else can write: a consent that ended meanwhile stops it, one that ends later finds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from minimize.consent import load_consents
from minimize.errors import NotPermitted
from minimize.governance.sharing.account import Account
from minimize.governance.sharing.asked import Asked
from minimize.governance.sharing.asking import asking_of
from minimize.governance.sharing.consented import Tenants
from minimize.governance.sharing.payload import Made
from minimize.governance.sharing.planning import Planned
from minimize.governance.sharing.recording import disclosure_of, event_of_refusal, event_of_sharing, tenant_shares
from minimize.job.sender import record_refusal
from minimize.recipients.refusals import differing, reason, refusal

if TYPE_CHECKING:
    from minimize.ledger.disclosures import Disclosure
    from minimize.ledger.ledger import Ledger

Clock = Callable[[], datetime]


def committed(
    ledger: Ledger,
    asked: Asked,
    planned: Planned,
    made: Made,
    tenants: Tenants,
    account: Account,
    file: Mapping[str, Any] | None,
    clock: Clock,
) -> Disclosure:
    """The record of an act, as it stands in the ledger now. Raises NotPermitted where a consent ended meanwhile."""
    from minimize.ledger.disclosures import record

    function, composed = planned.function, planned.composed
    if function is None or composed is None:
        raise differing("it was not planned")
    now, shares = clock(), tenant_shares(made, tenants.verdicts, asked)
    keys = frozenset() if planned.plan is None else planned.plan.keys
    category = account.category or ""
    act = disclosure_of(asked, function, composed, made, shares, category=category, keys=keys, file=file, now=now)
    event = event_of_sharing(act, now)
    try:
        record(ledger, act, shares, event, asked.keys, lambda _: _still(ledger, asked, planned, made, clock()))
    except NotPermitted as error:
        ended = error
    else:
        return act
    raise refused(asked, replace(account, against=ended.reasons), clock())


def refused(asked: Asked, account: Account, now: datetime) -> NotPermitted:
    """The error, once the audit log was told; where it cannot be, the log says so."""
    name, function = asked.recipient.recipient, asked.party.function
    record_refusal(asked.ledger, asked.keys, event_of_refusal(name, function, account.reasons, now))
    return refusal(name, function, account.reasons)


def _still(ledger: Ledger, asked: Asked, planned: Planned, made: Made, now: datetime) -> None:
    """Raises NotPermitted where a tenant whose records are about to leave agrees no longer."""
    asking = replace(asking_of(asked, planned, load_consents(ledger)), whens=(max(now, asked.at),))
    ended = [name for name, verdict in asking(list(made.tenants)).items() if verdict.consent is None]
    if ended:
        rows = sum(made.tenants[name] for name in ended)
        message = "consent ended while the payload was made"
        raise NotPermitted(message, reasons=[reason("consent_ended", message, tenants=len(ended), rows=rows)])
