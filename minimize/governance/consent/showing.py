"""Consents shown, and why there is one or none: the acts that decide."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from minimize.canonical import canonical_id
from minimize.consent.deciding import Consents, Seen
from minimize.consent.history import NOTHING, History
from minimize.consent.states import REASONS, STATES
from minimize.consent.terms import terms_from
from minimize.errors import PolicyError
from minimize.receipt import time_text
from minimize.recipients import Recipient, find_recipients, load_recipients
from minimize.switching import House

if TYPE_CHECKING:
    from minimize.ledger.consents import Act

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Shown:
    """One act, and what it comes to: of the act that decides whether the consent holds, else nothing."""

    act: Act
    holds: bool | None = None
    why: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The act as `consent show --json` prints it."""
        said = as_json(self.act)
        return said if self.holds is None else {**said, "valid": self.holds, "why": self.why}


@dataclass(frozen=True, slots=True)
class Why:
    """Whether a tenant's consent permits sharing, by stable word where not, and the acts that decide at each time.

    recorded_later  acts that were recorded after the time of sharing, and decide at these times for any later run
    """

    tenant: str
    recipient: str
    function: str
    reason: str | None
    deciding: tuple[tuple[datetime, Act | None], ...]
    recorded_later: tuple[Act, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether it does."""
        return self.reason is None

    @property
    def told(self) -> str:
        """The reason in words."""
        return "there is a consent" if self.reason is None else REASONS[self.reason]

    def as_json(self) -> dict[str, Any]:
        """The answer as `consent why --json` prints it."""
        moments = [
            {"time": time_text(when), "act": None if act is None else as_json(act)} for when, act in self.deciding
        ]
        whose = {"tenant": self.tenant, "recipient": self.recipient, "function": self.function}
        later = {"recorded_later": [as_json(act) for act in self.recorded_later]} if self.recorded_later else {}
        return {**whose, "valid": self.valid, "why": self.reason, "moments": moments, **later}


def shown(
    house: House,
    now: datetime,
    *,
    tenant: str | None = None,
    recipient: str | None = None,
    function: str | None = None,
    history: bool = False,
    recipients: PathLike | None = None,
) -> list[Shown]:
    """The act that decides for each tenant and function, and whether a consent holds now; with `history` every act.

    Of one tenant, recipient or function, where it is named. A recipient whose file is gone or has faults has no consent.
    """
    consents = _consents(house, tenant, recipient, function)
    if history:
        return [Shown(act) for act in consents.acts]
    folder, seen = find_recipients(recipients, start=house.folder), consents.at(now)
    pairs = dict.fromkeys((act.recipient, act.function) for act in consents.acts)
    known = {name: _read(folder, name) for name in dict.fromkeys(name for name, _ in pairs)}
    return [each for name, of in pairs for each in _standing(seen, known[name], name, of)]


def why(
    tenant: str,
    recipient: str,
    function: str,
    house: House,
    *,
    run: datetime,
    event: datetime | None = None,
    recipients: PathLike | None = None,
) -> Why:
    """Why sharing by this function is permitted to a tenant's rows, or not, at a time (and at that of an event).

    Raises PolicyError for a recipient that is not there; a function that it does not have is no error, but no consent.
    """
    found = load_recipients(find_recipients(recipients, start=house.folder)).named(recipient)
    seen = _consents(house, tenant, recipient, function).at(run, event)
    reason = seen.valid(found, function, pa.array([tenant], pa.string())).why[0].as_py()
    return Why(
        tenant,
        recipient,
        function,
        reason,
        tuple((when, _decided(seen, recipient, function, when)) for when in seen.times),
        tuple(_recorded_later(seen, recipient, function)),
    )


def as_json(act: Act) -> dict[str, Any]:
    """An act as JSON, with the vocabulary's word for its state."""
    terms = terms_from(act.terms)
    return {
        "id": act.id,
        "tenant": act.tenant_id,
        "recipient": act.recipient,
        "function": act.function,
        "state": act.state,
        "dpv": STATES[act.state],
        "text_version": terms.text_version,
        "purpose": terms.purpose,
        "fields": sorted(terms.forms),
        "terms": terms.digest,
        "by": act.by,
        "valid_from": time_text(act.valid_from),
        "expires_at": None if act.expires_at is None else time_text(act.expires_at),
        "recorded_at": time_text(act.recorded_at),
    }


def _consents(house: House, tenant: str | None, recipient: str | None, function: str | None) -> Consents:
    from minimize.ledger.consents import recorded

    with house.opened() as ledger:
        return Consents(tuple(recorded(ledger, tenant=canonical_id(tenant), recipient=recipient, function=function)))


def _read(folder: os.PathLike[str], name: str) -> Recipient | None:
    try:
        return load_recipients(folder).named(name)
    except PolicyError:
        return None


def _standing(seen: Seen, recipient: Recipient | None, name: str, function: str) -> list[Shown]:
    """What decides for each tenant; a request where there is nothing else."""
    history = seen.consents.history(name, function)
    tenants = pa.array(history.known, pa.string())
    reasons = (
        ["no_function"] * len(tenants)
        if recipient is None
        else seen.valid(recipient, function, tenants).why.to_pylist()
    )
    found = history.deciding(seen.run, seen.run).tolist()
    asked, ahead = history.requested(seen.run, seen.run).tolist(), history.ahead(seen.run, seen.run).tolist()
    places = [
        next((place for place in each if place != NOTHING), NOTHING) for each in zip(found, ahead, asked, strict=True)
    ]
    return [
        Shown(history.acts[place], reason is None, reason)
        for place, reason in zip(places, reasons, strict=True)
        if place != NOTHING
    ]


def _decided(seen: Seen, recipient: str, function: str, when: datetime) -> Act | None:
    return _deciding(seen.consents.history(recipient, function), when, seen.run)


def _recorded_later(seen: Seen, recipient: str, function: str) -> Iterator[Act]:
    """The acts that decide by all that is recorded today, and were recorded after the time of the run."""
    history = seen.consents.history(recipient, function)
    today = max((act.recorded_at for act in history.acts), default=seen.run)
    acts = [_deciding(history, when, today) for when in seen.times]
    for act in {act.id: act for act in acts if act is not None}.values():
        if act.recorded_at > seen.run:
            yield act


def _deciding(history: History, when: datetime, run: datetime) -> Act | None:
    """The act that decides for the only tenant of a history."""
    found = history.deciding(when, run)
    return None if not len(found) or found[0] == NOTHING else history.acts[int(found[0])]
