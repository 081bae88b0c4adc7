"""Events in the ledger: recorded by whoever knows the subject, taken back where they were not so, and listed."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from minimize.canonical import canonical_id, canonical_text
from minimize.errors import SYSTEM, ConfigurationError, MinimizeError, PolicyError
from minimize.governance.retention.events import WITHIN, wrong
from minimize.governance.retention.kept import Forms, forms_in
from minimize.governance.retention.known import Told, forms_told
from minimize.io.history import has_runs
from minimize.job.erasure_list import store
from minimize.keys import Keyring
from minimize.ledger import Actor, Change, Event, Resource, actor_of
from minimize.ledger.tokens import known_token, secrets_of, subject_token, versions_in
from minimize.receipt import time_text
from minimize.stores import Place, output_at, written
from minimize.switching import Allowed, House

if TYPE_CHECKING:
    from minimize.ledger.happened import Happened
    from minimize.ledger.ledger import Ledger

log = logging.getLogger("minimize")
SHORT: Final = 8
"""Letters of an event's name that are enough to say which is meant."""
DEVICES: Final = "a device becomes personal, and it is named by the policy's subject"


@dataclass(frozen=True, slots=True)
class Wish:
    """An event that somebody tells of: whose, what, when it happened (now where nothing is said).

    named_by  the field that has such ids; None for the policy's subject
    """

    tenant: str
    kind: str
    subject: str | None = None
    at: datetime | None = None
    named_by: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """An event of the ledger, and whether that was news; `missed` are outputs in whose forms its subject is not known."""

    row: Happened
    new: bool = True
    missed: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The event as `events --json` prints it."""
        row = self.row
        whose = {"tenant_id": row.tenant_id, "subject": row.subject, **({"field": row.field} if row.field else {})}
        times = {
            "at": time_text(row.at),
            "by": time_text(row.at + _within(row)),
            "recorded_at": time_text(row.recorded_at),
        }
        return {"event": row.id, **whose, "what": row.kind, **times, "state": row.state, "actor": row.actor}

    def __str__(self) -> str:
        row = self.row
        whose = "" if row.subject is None else "a subject of "
        by = "" if row.state == "withdrawn" else f", by {time_text(row.at + _within(row))}"
        return f"{row.id[:SHORT]}  {row.kind} of {whose}{row.tenant_id} at {time_text(row.at)}: {row.state}{by}"


def add_event(wish: Wish, house: House, now: datetime, *, allowed: Allowed | None = None) -> Kept:
    """Records an event, and tells the audit log of it; one that is there already is recorded again where more is known now.

    Its subject stands there as a token, beside tokens of the forms in which it stands in the outputs that the ledger knows (and
    that of the house's pipeline). Raises PolicyError, LedgerError, KeyringError, and what `allowed` raises.
    """
    return add_events([wish], house, now, allowed=allowed)[0]


def add_events(
    wishes: Sequence[Wish], house: House, now: datetime, *, allowed: Allowed | None = None
) -> tuple[Kept, ...]:
    """The same of several events, all or none: outputs are looked at once for all of them."""
    from minimize.ledger.happened import recorded

    wishes = [replace(wish, tenant=canonical_text(wish.tenant), subject=canonical_id(wish.subject)) for wish in wishes]
    for wish in wishes:
        _check(wish)
    keys, actor = house.keyring(), actor_of()
    with house.opened(create=True) as ledger:
        before = recorded(ledger)
        told = _told(wishes, now, seen_outputs(ledger, house), keys)
        rows = [_row(wish, each, before, keys, now, actor) for wish, each in zip(wishes, told, strict=True)]
        new = _recorded(ledger, rows, before, keys, actor, allowed)
        _store_lists(ledger, seen_outputs(ledger, house)(), keys)
    return tuple(Kept(row, fresh, each.missed) for row, fresh, each in zip(rows, new, told, strict=True))


def _store_lists(ledger: Ledger, outputs: Iterable[Place], keys: Keyring) -> None:
    """Stores the erasures of the ledger with every output that is known here. The next run of one that cannot be written does."""
    from minimize.ledger.happened import recorded

    rows = recorded(ledger)
    for output in outputs:
        try:
            if has_runs(output):
                store(output, rows, keys)
        except (MinimizeError, OSError) as error:
            code = error.code if isinstance(error, MinimizeError) else SYSTEM
            message = "the list of erasures could not be stored with %s (%s); its next run stores it"
            log.warning(message, written(output), code, extra={"code": "W030"})


def _check(wish: Wish) -> None:
    faults = [message for _, message in wrong(wish.tenant or None, wish.subject, wish.kind)]
    if wish.named_by is not None and (wish.subject is None or wish.kind == "became_personal"):
        faults.append("a field says who is meant, and this event is about no one" if wish.subject is None else DEVICES)
    if faults:
        hint = "of one subject: --subject S; of a whole tenant: without it"
        raise PolicyError(f"no event: {'; '.join(faults)}", hint=hint)


def _row(wish: Wish, told: Told, before: Sequence[Happened], keys: Keyring, now: datetime, actor: Actor) -> Happened:
    from minimize.ledger.happened import Happened

    token = None if wish.subject is None else _token(before, keys, wish.tenant, wish.subject, wish.named_by)
    at, who = wish.at or now, actor.user or ""
    row = Happened(wish.tenant, token, wish.kind, at, "recorded", "{}", now, who, field=wish.named_by)
    return replace(row, forms=json.dumps({**_forms(before, row.id), **told.forms}, sort_keys=True))


def withdraw_event(name: str, house: House, now: datetime, *, allowed: Allowed | None = None) -> Kept:
    """Takes an event back, named by the beginning of its id: it was recorded wrongly, or is no longer so.

    What it took from outputs is gone. Raises ConfigurationError where no event, or more than one, has that name, and what
    `add_event` raises.
    """
    from minimize.ledger.happened import recorded, standing

    keys, actor = house.keyring(), actor_of()
    with house.opened() as ledger:
        rows = recorded(ledger)
        named = [row for row in standing(rows) if len(name) >= SHORT and row.id.startswith(name)]
        if len(named) != 1:
            message = "no event has that name" if not named else "more than one event has that name"
            raise ConfigurationError(message, hint=f"`minimize events list` shows them; {SHORT} letters or more")
        row = replace(named[0], state="withdrawn", forms="{}", recorded_at=now, actor=actor.user or "")
        kept = Kept(row, _recorded(ledger, [row], rows, keys, actor, allowed)[0])
        _store_lists(ledger, seen_outputs(ledger, house)(), keys)
        return kept


def listed(house: House, *, tenant: str | None = None, history: bool = False) -> list[Kept]:
    """The events of the ledger that count, or every row; of one tenant where it is named. Raises LedgerError."""
    from minimize.ledger.happened import recorded, standing

    tenant = canonical_id(tenant)
    with house.opened() as ledger:
        rows = recorded(ledger)
    chosen = rows if history else [row for row in standing(rows) if row.state == "recorded"]
    return [Kept(row) for row in chosen if tenant in (None, row.tenant_id)]


def _told(wishes: Sequence[Wish], now: datetime, outputs: Callable[[], Iterable[Place]], keys: Keyring) -> list[Told]:
    at = max((wish.at or now for wish in wishes), default=now)
    told: dict[int, Told] = {}
    for by in dict.fromkeys(wish.named_by for wish in wishes if wish.subject is not None):
        mine = [
            (place, (wish.subject, wish.tenant))
            for place, wish in enumerate(wishes)
            if wish.subject is not None and wish.named_by == by
        ]
        found = forms_told([pair for _, pair in mine], outputs(), at, keys, by)
        told.update(zip((place for place, _ in mine), found, strict=True))
    return [told.get(place, Told({})) for place in range(len(wishes))]


def seen_outputs(ledger: Ledger, house: House) -> Callable[[], Iterable[Place]]:
    """The outputs that the ledger has seen from this machine, and that of the pipeline."""
    from minimize.ledger.runs import places

    def found() -> Iterable[Place]:
        seen = [each.folder for each in ledger.read(places) if each.is_here or "://" in each.folder]
        job = house.job
        own = [] if house.output is None and job is None else [house.output or (None if job is None else job.target())]
        every = {str(place): place for place in map(output_at, (each for each in (*seen, *own) if each is not None))}
        return every.values()

    return found


def _token(rows: Iterable[Happened], keys: Keyring, tenant: str, subject: str, by: str | None) -> str:
    """The token that the ledger has of a subject, else a new one."""
    known = {row.subject for row in rows if (row.tenant_id, row.field) == (tenant, by) and row.subject}
    found = known_token(secrets_of(keys, versions_in(known), by), tenant, subject, known)
    return subject_token(keys, tenant, subject, field=by) if found is None else found


def _forms(rows: Iterable[Happened], event: str) -> Forms:
    """What was told of an event's forms before."""
    return {name: tokens for row in rows if row.id == event for name, tokens in forms_in(row).items()}


def _recorded(
    ledger: Ledger,
    rows: Sequence[Happened],
    before: Iterable[Happened],
    keys: Keyring,
    actor: Actor,
    allowed: Allowed | None,
) -> list[bool]:
    from minimize.ledger.happened import record_all

    states: dict[str, str] = {each.id: each.state for each in before}
    resources = [_resource(row, states.get(row.id)) for row in rows]
    if allowed is not None:
        for resource in resources:
            allowed(actor, resource)
    return record_all(ledger, rows, _event(rows[0], actor, tuple(resources)), keys) if rows else []


def _resource(row: Happened, before: str | None) -> Resource:
    whose = f"{row.tenant_id}/{row.subject}" if row.subject else row.tenant_id
    changes = (Change("state", before, row.state), Change("at", None, time_text(row.at)))
    return Resource(row.kind, "event", f"events/{whose}/{row.kind}", changes)


def _event(row: Happened, actor: Actor, resources: tuple[Resource, ...]) -> Event:
    """What the audit log is told of rows that were recorded together."""
    return Event(
        component="retention",
        category="deletion",
        activity="events",
        operation="add" if row.state == "recorded" else "withdraw",
        actor=actor,
        time=row.recorded_at,
        resources=resources,
    )


def _within(row: Happened) -> Any:
    return {str(kind): within for kind, within in WITHIN.items()}[row.kind]
