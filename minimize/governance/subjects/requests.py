"""Requests as records: what was asked, by when it must be done, how far it is, and what recipients were told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from minimize.canonical import canonical_id
from minimize.errors import ConfigurationError
from minimize.governance.subjects.asked import Subject
from minimize.keys import Keyring
from minimize.ledger import Change, Event, Resource, actor_of
from minimize.ledger.tokens import known_token, secrets_of, versions_in
from minimize.receipt import time_text
from minimize.switching import House

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger
    from minimize.ledger.requests import Request, State

WITHIN: Final = timedelta(days=30)
"""By when what a person asks must be done."""
OF_A_TENANT: Final = timedelta(days=180)
"""By when the data of a tenant that closed must be gone."""
SHORT: Final = 12
"""Letters of a request's name that are shown."""


@dataclass(frozen=True, slots=True)
class Status:
    """A request as it stands.

    told       per recipient that got records of the subject, the disclosures, and whether it confirmed that they are gone
    """

    last: Request
    told: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether something is left to do here, or somebody has not confirmed yet."""
        return self.last.state in ("open", "failed") or any(not each["confirmed"] for each in self.told.values())

    def is_overdue(self, now: datetime) -> bool:
        """Whether it should have been done by now."""
        return self.is_open and self.last.due < now

    def as_json(self, now: datetime) -> dict[str, Any]:
        """The request as `subject status --json` prints it."""
        return {
            "request": self.last.id[:SHORT],
            "kind": self.last.kind,
            "tenant_id": self.last.tenant_id,
            "subject": self.last.subject,
            "asked_at": time_text(self.last.asked_at),
            "due": time_text(self.last.due),
            "state": self.last.state,
            "overdue": self.is_overdue(now),
            "recipients": self.told,
            **json.loads(self.last.body),
        }


def due_of(tenant_wide: bool, asked_at: datetime) -> datetime:
    """By when a request must be done."""
    return asked_at + (OF_A_TENANT if tenant_wide else WITHIN)


def statuses(ledger: Ledger, *, tenant: str | None = None) -> list[Status]:
    """Every request, in the order in which they came; of one tenant where it is named."""
    from minimize.ledger.requests import recorded

    last: dict[str, Request] = {}
    told: dict[str, dict[str, dict[str, Any]]] = {}
    for step in recorded(ledger):
        body = json.loads(step.body)
        mine = told.setdefault(step.id, {})
        if step.state == "confirmed":
            mine.setdefault(body["recipient"], {"disclosures": [], "confirmed": None})["confirmed"] = time_text(
                step.recorded_at
            )
        else:
            last[step.id] = step
            for recipient, disclosures in body.get("recalls", {}).items():
                known = mine.setdefault(recipient, {"disclosures": [], "confirmed": None})
                known["disclosures"] = disclosures
    found, wanted = [Status(step, told[name]) for name, step in last.items()], canonical_id(tenant)
    return [each for each in found if wanted in (None, each.last.tenant_id)]


def begun(ledger: Ledger, keys: Keyring, kind: str, whose: Iterable[Subject]) -> dict[Subject, Request]:
    """The requests of these subjects that are open or failed, so that they are gone on with."""
    open_ = [each.last for each in statuses(ledger) if each.last.state in ("open", "failed") and each.last.kind == kind]
    known = {(each.tenant_id, each.subject): each for each in open_}
    found = ((each, known.get((str(each.tenant), _token(each, keys, open_)))) for each in whose if open_)
    return {each: request for each, request in found if request is not None}


def _token(subject: Subject, keys: Keyring, among: Iterable[Request]) -> str | None:
    """The token that one of these requests has of a subject."""
    tenant = str(subject.tenant)
    tokens = {each.subject for each in among if each.tenant_id == tenant and each.subject is not None}
    if subject.id is None:
        return None
    return known_token(secrets_of(keys, versions_in(tokens), subject.field), tenant, subject.id, tokens) or ""


def step_of(step: Request, state: State, now: datetime, **body: Any) -> Request:
    """The next step of a request."""
    return replace(
        step, state=state, body=json.dumps(body, sort_keys=True), recorded_at=now, actor=actor_of().user or ""
    )


def taken_down(ledger: Ledger, house: House, steps: Sequence[Request], now: datetime) -> None:
    """Records steps of requests, all of one kind, and tells the audit log of them."""
    from minimize.ledger.requests import record

    if not steps:
        return
    state = steps[0].state
    resources = tuple(
        Resource(each.kind, "request", f"requests/{each.id[:SHORT]}", (Change("state", None, each.state),))
        for each in steps
    )
    event = Event(
        component="subjects",
        category="subjects",
        activity="subject",
        operation=f"{steps[0].kind} {state}",
        result="failure" if state == "failed" else "success",
        actor=actor_of(),
        time=now,
        resources=resources,
    )
    record(ledger, steps, event, house.keyring())


def confirm(name: str, recipient: str, house: House, now: datetime) -> Status:
    """Takes down that a recipient has deleted what a request was about. Raises ConfigurationError where it was not told."""
    with house.opened() as ledger:
        named = [each for each in statuses(ledger) if len(name) >= SHORT and each.last.id.startswith(name)]
        if len(named) != 1:
            raise ConfigurationError("no request has that name", hint="`minimize subject status` shows them")
        if recipient not in named[0].told:
            raise ConfigurationError(f"{recipient} was told nothing by this request", hint="minimize subject status")
        taken_down(ledger, house, [step_of(named[0].last, "confirmed", now, recipient=recipient)], now)
        return next(each for each in statuses(ledger) if each.last.id == named[0].last.id)
