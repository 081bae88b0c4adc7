"""Acts about incidents: opened, declared, measures taken, exceptions asked for and agreed to, closed; the audit log is told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from minimize.errors import ConfigurationError, RefusedError
from minimize.governance.access.asking import access_of
from minimize.governance.incidents.exposed import Exposure
from minimize.governance.incidents.incident import Class, Incident, Said, body_of, incidents_of, text_of
from minimize.governance.incidents.refusing import refused
from minimize.job.dates import SKEW
from minimize.ledger import Actor, Change, Event, Resource, actor_of
from minimize.receipt import time_text
from minimize.switching import House

if TYPE_CHECKING:
    from minimize.ledger.incidents import Step

COMPONENT: Final = "incidents"
Wants = Callable[[Incident | None], Mapping[str, Any]]
"""From the incident as it stands to what the step says. It may raise."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is said of an incident when it is opened.

    happened  from when, and to when, where that is known
    """

    id: str
    title: str
    happened: tuple[datetime, datetime | None]
    known_at: datetime
    exposed: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """What the ledger keeps of it. Raises ConfigurationError for what cannot be so."""
        since, until = self.happened
        if not self.exposed or not self.id or not self.title:
            raise ConfigurationError("an incident has a name, a title and something that was exposed")
        if (until is not None and until < since) or self.known_at < since:
            hint = "--to and --known are not before --from"
            raise ConfigurationError("an incident does not end, and is not known, before it begins", hint=hint)
        return {
            "title": self.title,
            "happened": [time_text(since), None if until is None else time_text(until)],
            "known_at": time_text(self.known_at),
            "exposed": [str(each) for each in Exposure.of(self.exposed).each],
        }


def open_incident(case: Case, house: House, now: datetime) -> Incident:
    """Opens an incident.

    Raises ConfigurationError where it says too little, or there is one of that name; LedgerError, KeyringError.
    """
    said = case.as_json()
    _check_past(case, now)

    def wants(found: Incident | None) -> Mapping[str, Any]:
        if found is not None:
            raise ConfigurationError("there is an incident of this name", hint="minimize incident list")
        return said

    return step(case.id, "opened", wants, house, now, create=True)


def _check_past(case: Case, now: datetime) -> None:
    """Raises ConfigurationError for an incident that becomes known, or ends, after now, as far as two clocks may differ."""
    if max(case.known_at, case.happened[1] or case.known_at) > now + SKEW:
        hint = "--to and --known are not after now"
        raise ConfigurationError("an incident does not end, and is not known, after now", hint=hint)


def declare(name: str, house: House, now: datetime) -> Incident:
    """Declares an incident: from now on 72 hours are left to give notice. Raises ConfigurationError where that was done."""

    def wants(found: Incident | None) -> Mapping[str, Any]:
        if is_open(found).declared_at is not None:
            raise ConfigurationError("this incident was declared before")
        return {}

    return step(name, "declared", wants, house, now)


def measure(name: str, what: Said, text: str, house: House, now: datetime) -> Incident:
    """Takes down a measure, an action that tenants should take, or a consequence: notices say it."""

    def wants(found: Incident | None) -> Mapping[str, Any]:
        is_open(found)
        return {"what": what, "text": text}

    return step(name, "measured", wants, house, now)


def exempt(name: str, tenant: str, why: str, house: House, now: datetime) -> Incident:
    """Asks that a tenant is not told; it counts once somebody else agreed.

    Raises ConfigurationError for one that is not affected.
    """

    def wants(found: Incident | None) -> Mapping[str, Any]:
        if tenant not in is_open(found).concerned:
            raise ConfigurationError("no notice is needed for this tenant", hint=f"minimize incident show {name}")
        if not why.strip():
            raise ConfigurationError("an exception has a reason")
        return {"tenant_id": tenant, "reason": why}

    return step(name, "exempt_asked", wants, house, now)


def agree(name: str, tenant: str, house: House, now: datetime) -> Incident:
    """Agrees that a tenant is not told.

    Raises RefusedError (K021) for whoever asked for it, ConfigurationError where nobody did.
    """
    mine = same_person(house)

    def wants(found: Incident | None) -> Mapping[str, Any]:
        asked = is_open(found).asked_exempt(tenant)
        if asked is None:
            raise ConfigurationError("nobody asked for an exception for this tenant", hint="minimize incident exempt")
        if asked.by in mine:
            raise refused("same_person", "the exception is refused")
        return {"tenant_id": tenant, "reason": body_of(asked)["reason"], "asked_by": asked.by}

    return step(name, "exempted", wants, house, now)


def close(name: str, as_: Class, why: str, house: House, now: datetime) -> Incident:
    """Closes an incident as what it was.

    Raises RefusedError: who is to be told was not yet (K022); a false positive that was declared is called one by whoever
    declared it (K021). Raises ConfigurationError without a reason, or without a scope where it is reportable.
    """
    mine = same_person(house)

    def wants(found: Incident | None) -> Mapping[str, Any]:
        this = is_open(found)
        if not why.strip():
            raise ConfigurationError("whoever closes an incident says why")
        if as_ == "customer_reportable" and (this.scope is None or this.declared_at is None):
            raise ConfigurationError("a reportable incident is scoped and declared first")
        _check_closing(this, as_, mine)
        return {"class": as_, "reason": why}

    return step(name, "closed", wants, house, now)


def _check_closing(this: Incident, as_: Class, mine: frozenset[str]) -> None:
    declared = next((each.by for each in this.steps if each.step == "declared"), None)
    if as_ == "false_positive":
        if declared in mine:
            raise refused("same_person", "it stays open")
    elif declared is not None and this.pending:
        raise refused("untold", "it stays open", tenants=len(this.pending))


def step(name: str, verb: str, wants: Wants, house: House, now: datetime, *, create: bool = False) -> Incident:
    """Records one step, and tells the audit log of it; of one that is refused, too.

    Raises what `wants` raises, LedgerError, KeyringError.
    """
    from minimize.ledger.audit import append
    from minimize.ledger.incidents import Step, record

    actor, keys = actor_of(), house.keyring()

    def meant(before: Sequence[Step]) -> tuple[Step, Event]:
        said = text_of(wants(incidents_of(before).get(name)))
        return Step(name, verb, actor.user or "", said, now), event_of(name, verb, said, actor, now)

    refusal: RefusedError | None = None
    with house.opened(create=create) as ledger:
        try:
            return incidents_of(record(ledger, meant, keys))[name]
        except RefusedError as error:
            refusal = error
        event = refused_event(name, verb, refusal, actor, now)
        ledger.write(lambda connection: append(connection, event, keys))
    raise refusal


def event_of(name: str, verb: str, said: str, actor: Actor, now: datetime) -> Event:
    """What the audit log is told of a step: which, and the digest of what it says."""
    digest = f"sha256:{hashlib.sha256(said.encode()).hexdigest()}"
    return Event(
        component=COMPONENT,
        category="incidents",
        activity="incident",
        operation=verb,
        actor=actor,
        time=now,
        correlation_id=name,
        resources=(Resource(name, "incident", f"incidents/{name}", (Change("said", None, digest),)),),
    )


def refused_event(name: str, verb: str, refusal: RefusedError, actor: Actor, now: datetime) -> Event:
    """What the audit log is told of a step that was refused: by which rules."""
    rules = ", ".join(each.code for each in refusal.findings)
    told = event_of(name, verb, "", actor, now)
    resource = Resource(name, "incident", f"incidents/{name}", (Change("reasons", None, rules),))
    return replace(told, result="refused", resources=(resource,))


def is_open(found: Incident | None) -> Incident:
    """The incident, if it is there and open. Raises ConfigurationError."""
    if found is None:
        raise ConfigurationError("there is no incident of this name", hint="minimize incident list")
    if found.closed is not None:
        raise ConfigurationError("this incident is closed", hint="open another one that names it")
    return found


def same_person(house: House) -> frozenset[str]:
    """The accounts of whoever acts here."""
    user, access = actor_of().user or "", access_of(house)
    return frozenset({user} if access is None else {user, *access.accounts(user)})


def recorded(house: House) -> dict[str, Incident]:
    """Every incident, in the order in which they were opened. Raises LedgerError."""
    from minimize.ledger.incidents import recorded as steps

    with house.opened() as ledger:
        return incidents_of(steps(ledger))


def named(name: str, house: House) -> Incident:
    """One incident. Raises ConfigurationError, LedgerError."""
    found = recorded(house).get(name)
    if found is None:
        raise ConfigurationError("there is no incident of this name", hint="minimize incident list")
    return found
