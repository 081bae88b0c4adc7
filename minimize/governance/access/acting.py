"""Acts about grants: asked for, approved, denied, revoked, reviewed; taken without approval; and marked where they ran out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import uuid4

from minimize.errors import AccessDenied, PolicyError, Reason
from minimize.governance.access.asking import account_of, load_grants, required_access
from minimize.governance.access.asks import Wish, as_asked, asked_by, check_wish, marked
from minimize.governance.access.conflicts import clash_of
from minimize.governance.access.grants import Asked, Grant, Grants
from minimize.governance.access.holding import Holding
from minimize.governance.access.model import Access
from minimize.governance.access.permissions import APPROVE
from minimize.governance.access.reasons import reason
from minimize.governance.access.telling import grant_event
from minimize.ledger import Actor, actor_of
from minimize.ledger.event import moment_text
from minimize.switching import House

if TYPE_CHECKING:
    from minimize.ledger.grants import GrantAct

Verb = Literal["approve", "deny", "revoke", "review"]
_STATES: Final = {"approve": "approved", "deny": "denied", "revoke": "revoked", "review": "reviewed"}


def request(wish: Wish, house: House, at: datetime, *, break_glass: bool = False) -> Grant:
    """Asks for access for an incident, by whoever acts here (`MINIMIZE_ACTOR`); with `break_glass` takes it at once.

    Gives the grant. Raises PolicyError for a wish that says too little, AccessDenied for one that the account may not have,
    LedgerError, KeyringError. The audit log is told in either case.
    """
    access, actor = required_access(house), actor_of()
    check_wish(wish)
    name, mine = str(uuid4()), access.accounts(actor.user or "")

    def meant(grants: Grants) -> tuple[GrantAct, Asked]:
        if break_glass and any(each.review(at) == "overdue" for each in grants.every if each.requester in mine):
            raise AccessDenied("the request is refused", reasons=[reason("unreviewed", hint="minimize access review")])
        asked = asked_by(Holding(access, account_of(actor), at), wish, break_glass=break_glass)
        state = "broke_glass" if break_glass else "requested"
        return _act(name, state, actor, at, {"asked": asked.as_json(), **_times(access, asked, at, break_glass)}), asked

    verb = "break_glass" if break_glass else "request"
    return _done(verb, name, meant, house, actor, at, as_asked(wish, access.grants.default))


def answer(verb: Verb, grant: str, house: House, at: datetime, *, note: str = "") -> Grant:
    """Approves, denies, revokes or reviews a grant, by whoever acts here.

    Takes the grant's name, or the start of it, and a note that goes with the act. To revoke one's own grant needs no permission.
    Gives the grant. Raises PolicyError for a grant that is not there, AccessDenied where the account may not or where it does not
    follow from how the grant stands, LedgerError, KeyringError. The audit log is told in either case.
    """
    access, actor = required_access(house), actor_of()
    holding = Holding(access, account_of(actor), at)

    def meant(grants: Grants) -> tuple[GrantAct, Asked]:
        found = grants.named(grant)
        if found is None:
            raise PolicyError(f"there is no grant `{grant}`", hint="minimize access list")
        against = _against(verb, found, holding)
        if against is not None:
            raise _Refused(found, against)
        said: dict[str, str | None] = {"note": marked(note)} if note else {}
        if verb == "deny":
            said |= {"role": _role(found, holding)}
        if verb == "approve":
            ends = at + found.asked.duration
            said |= {
                "ends_at": moment_text(ends),
                "up_to": holding.up_to(APPROVE, found.asked.dataset, found.tenants),
                "access": access.digest,
            }
        return _act(found.id, _STATES[verb], actor, at, said), found.asked

    return _done(verb, grant, meant, house, actor, at)


def expire(house: House, at: datetime) -> list[Grant]:
    """Marks what has run out by now: requests that nobody answered, and access that is over. It opened nothing any more anyway.

    Gives the grants. Raises LedgerError, KeyringError.
    """
    from minimize.ledger.grants import record

    keys, actor = house.keyring(), actor_of()
    over: list[Grant] = []

    def meant(acts: Sequence[GrantAct]) -> Any:
        over[:] = [each for each in Grants(tuple(acts)).every if each.state(at) == "expired" and not _is_marked(each)]
        new = [_act(each.id, "expired", actor, at, {}) for each in over]
        return new, [grant_event("expire", actor, at, each.id, each.asked) for each in over]

    with house.opened() as ledger:
        record(ledger, meant, keys, keys)
    return over


@dataclass(frozen=True, eq=False)
class _Refused(Exception):
    """What was meant is refused."""

    grant: Grant
    reason: Reason


Meaning = Callable[[Grants], tuple["GrantAct", Asked]]


def _done(
    verb: str, name: str, meant: Meaning, house: House, actor: Actor, at: datetime, wished: Asked | None = None
) -> Grant:
    """The act recorded; or, where it is refused, the refusal told to the audit log, and raised."""
    from minimize.ledger.audit import append
    from minimize.ledger.grants import record

    def acts(before: Sequence[GrantAct]) -> Any:
        new, asked = meant(Grants(tuple(before)))
        return [new], [grant_event(verb, actor, at, new.grant, asked)]

    keys = house.keyring()
    with house.opened(create=True) as ledger:
        grant, asked = name, wished
        reasons: tuple[Reason, ...] = ()
        try:
            (done,) = record(ledger, acts, keys, keys)
        except _Refused as refused:
            grant, asked, reasons = refused.grant.id, refused.grant.asked, (refused.reason,)
        except AccessDenied as error:
            reasons = error.reasons
        if not reasons:
            return next(each for each in load_grants(ledger, keys).every if each.id == done.grant)
        event = grant_event(verb, actor, at, grant, asked, reasons)
        ledger.write(lambda connection: append(connection, event, keys))
    raise AccessDenied(f"{actor.user} may not {verb.replace('_', ' ')} this", reasons=reasons)


def _act(grant: str, state: str, actor: Actor, at: datetime, body: dict[str, Any]) -> GrantAct:
    from minimize.ledger.grants import GrantAct

    return GrantAct(grant, state, actor.user or "", json.dumps(body), at)


def _times(access: Access, asked: Asked, at: datetime, break_glass: bool) -> dict[str, str]:
    """Until when it may be answered; or, where nobody is asked, how long it opens and until when it must be reviewed."""
    rules = access.grants
    if not break_glass:
        return {"answer_by": moment_text(at + rules.unanswered), "access": access.digest}
    times = {"ends_at": at + asked.duration, "review_by": at + rules.break_glass.review_within}
    return {**{name: moment_text(time) for name, time in times.items()}, "access": access.digest}


def _against(verb: Verb, grant: Grant, holding: Holding) -> Reason | None:
    """What keeps somebody from an act about a grant."""
    if clash_of(holding.access, holding.account) is not None:
        return reason("conflict")
    own = holding.account.user == grant.requester
    if not (verb == "revoke" and own):
        permission = APPROVE if verb in ("approve", "deny") else f"grant/{verb}"
        allowed = holding.may(permission, grant.asked.dataset, grant.asked.category)
        reaches = permission != APPROVE or holding.up_to(APPROVE, grant.asked.dataset, grant.tenants) is not None
        if not (grant.tenants <= allowed and reaches):
            return reason("nobody" if allowed.is_empty else "out_of_scope")
        if verb != "revoke" and not holding.access.separate(holding.account.user, grant.requester):
            return reason("not_separate")
    return None if _follows(verb, grant, holding.at) else reason("does_not_follow", about=grant.state(holding.at) or "")


def _role(grant: Grant, holding: Holding) -> str | None:
    """The role by which somebody may answer a request."""
    allowing = holding.allowing(APPROVE, grant.asked.dataset, category=grant.asked.category)
    return next((role.name for _, role, _ in allowing), None)


def _follows(verb: Verb, grant: Grant, at: datetime) -> bool:
    if verb == "review":
        return grant.review(at) in ("due", "overdue")
    return grant.state(at) in (("requested", "active") if verb == "revoke" else ("requested",))


def _is_marked(grant: Grant) -> bool:
    return any(act.state == "expired" for act in grant.acts)
