"""Acts about consents: asked for, given, refused, withdrawn; and marked where they ran out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from minimize.canonical import canonical_text
from minimize.consent.states import ENDING, VALID
from minimize.consent.terms import Terms, terms_from, terms_of
from minimize.errors import PolicyError
from minimize.ledger import Actor, Change, Event, Resource, actor_of
from minimize.receipt import time_text
from minimize.recipients import find_recipients, load_recipients
from minimize.switching import Allowed, House

if TYPE_CHECKING:
    from minimize.ledger.consents import Act, Also

PathLike = str | os.PathLike[str]
Verb = Literal["request", "give", "refuse", "withdraw"]
_STATES: Final = {"request": "requested", "give": "given", "refuse": "refused", "withdraw": "withdrawn"}
_BY_THE_FILE: Final = ("request", "give")
"""What is asked or given is what the recipient's file says now. To refuse or withdraw needs no file: it is always possible."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A consent that is meant: whose, to which function of which recipient.

    text_version  the text that was read; only the one that counts now can be agreed to
    valid_from    now where nothing is said
    expires_at    the first time at which a given consent holds no longer
    """

    tenant: str
    recipient: str
    function: str
    text_version: int | None = None
    valid_from: datetime | None = None
    expires_at: datetime | None = None


def act(
    verb: Verb,
    wish: Wish,
    house: House,
    now: datetime,
    *,
    recipients: PathLike | None = None,
    allowed: Allowed | None = None,
    also: Also | None = None,
) -> Act:
    """Records an act, by whoever acts here (`MINIMIZE_ACTOR`), and tells the audit log of it.

    Takes the folder of recipients where it is not the house's, who decides whether somebody may, and what is written with it.
    Gives the act; a consent that is given once more is `renewed`.
    Raises PolicyError for a recipient, function or text that is not there or times that cannot be, LedgerError, KeyringError,
    and what `allowed` raises.
    """
    from minimize.ledger.consents import record, recorded

    wish = replace(wish, tenant=canonical_text(wish.tenant))
    _check(verb, wish, now)
    keys = house.keyring()
    terms = _terms_now(wish, house, recipients) if verb in _BY_THE_FILE else None
    with house.opened(create=True) as ledger:
        before = recorded(ledger, tenant=wish.tenant, recipient=wish.recipient, function=wish.function)
        found = terms or (terms_from(before[-1].terms) if before else _terms_now(wish, house, recipients))
        actor = actor_of()
        new = _act(verb, wish, found, before, actor, now)
        if allowed is not None:
            allowed(actor, _resource(new, before))
        return record(ledger, [new], [_event(verb, actor, now, _resource(new, before))], keys, also)[0]


def expire(house: House, now: datetime, *, also: Also | None = None) -> list[Act]:
    """Marks as expired what has run out by now and was not followed by anything; it held no longer anyway.

    Takes what is written with it. Gives the acts. Raises LedgerError, KeyringError.
    """
    from minimize.ledger.consents import record, recorded

    keys, actor = house.keyring(), actor_of()
    with house.opened() as ledger:
        over = [last for last in _last_of_each(recorded(ledger)) if _is_over(last, now)]
        new = [_ended(last, actor, now) for last in over]
        events = [_event("expire", actor, now, _resource(each, [last])) for each, last in zip(new, over, strict=True)]
        return record(ledger, new, events, keys, also) if new else []


def _terms_now(wish: Wish, house: House, folder: PathLike | None) -> Terms:
    known = load_recipients(find_recipients(folder, start=house.folder))
    terms = terms_of(known.named(wish.recipient), wish.function)
    if wish.text_version not in (None, terms.text_version):
        hint = "show the tenant the text as it is now"
        message = (
            f"text {wish.text_version} of {wish.function} is not the one that counts: that is {terms.text_version}"
        )
        raise PolicyError(message, hint=hint)
    return terms


def _check(verb: Verb, wish: Wish, now: datetime) -> None:
    if not all((wish.tenant, wish.recipient, wish.function)):
        raise PolicyError("a consent is of a tenant, to a function of a recipient", hint="name all three")
    if wish.expires_at is not None and verb != "give":
        raise PolicyError("only what is given can expire", hint="leave the expiry out")
    if wish.expires_at is not None and wish.expires_at <= (wish.valid_from or now):
        raise PolicyError("it would expire before it begins", hint="name a later time")


def overruled_by(given: Act, house: House) -> Act | None:
    """The refusal, withdrawal or expiry that is valid from a later time than a consent that was just given; None for none."""
    from minimize.ledger.consents import recorded

    if given.state not in VALID:
        return None
    with house.opened() as ledger:
        acts = recorded(ledger, tenant=given.tenant_id, recipient=given.recipient, function=given.function)
    later = [each for each in acts if each.state in ENDING and given.valid_from < each.valid_from]
    return max(later, key=lambda each: each.valid_from, default=None)


def ends_nothing(ending: Act, house: House) -> bool:
    """Whether the ledger has no consent that a refusal or withdrawal could end. A refusal may also answer a request."""
    from minimize.ledger.consents import recorded

    with house.opened() as ledger:
        acts = recorded(ledger, tenant=ending.tenant_id, recipient=ending.recipient, function=ending.function)
    answered = {*VALID, "requested"} if ending.state == "refused" else VALID
    return not any(each.state in answered for each in acts)


def _act(verb: Verb, wish: Wish, terms: Terms, before: Sequence[Act], actor: Actor, now: datetime) -> Act:
    from minimize.ledger.consents import Act

    again = verb == "give" and any(each.state in VALID for each in before)
    state = "renewed" if again else _STATES[verb]
    whose = (wish.tenant, wish.recipient, wish.function)
    return Act(*whose, state, terms.text, actor.user or "", wish.valid_from or now, wish.expires_at, now)


def _last_of_each(acts: Sequence[Act]) -> Sequence[Act]:
    last = {(each.tenant_id, each.recipient, each.function): each for each in acts if each.state != "requested"}
    return list(last.values())


def _is_over(last: Act, now: datetime) -> bool:
    return last.state in VALID and last.expires_at is not None and last.expires_at <= now


def _ended(last: Act, actor: Actor, now: datetime) -> Act:
    ends = last.expires_at or now
    return replace(last, state="expired", by=actor.user or "", valid_from=ends, expires_at=None, recorded_at=now)


def _resource(new: Act, before: Sequence[Act]) -> Resource:
    terms = terms_from(new.terms)
    expires = None if new.expires_at is None else time_text(new.expires_at)
    changes = (
        Change("state", before[-1].state if before else None, new.state),
        Change("text_version", None, terms.text_version),
        Change("terms", None, terms.digest),
        Change("valid_from", None, time_text(new.valid_from)),
        Change("expires_at", None, expires),
    )
    place = f"consents/{new.tenant_id}/{new.recipient}/{new.function}"
    return Resource(new.function, "consent", place, changes)


def _event(verb: str, actor: Actor, now: datetime, resource: Resource) -> Event:
    return Event(
        component="consent",
        category="consent",
        activity="consent",
        operation=verb,
        actor=actor,
        time=now,
        resources=(resource,),
    )
