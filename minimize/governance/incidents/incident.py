"""An incident as it stands: its steps in the order of the ledger, and what follows from them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from minimize.governance.incidents.exposed import Exposure
from minimize.receipt import time_text

if TYPE_CHECKING:
    from minimize.ledger.incidents import Step

WITHIN: Final = timedelta(hours=72)
"""After it was declared, by when notice must have been given."""
State = Literal["open", "scoped", "declared", "closed"]
Class = Literal["false_positive", "security_incident", "customer_reportable"]
Said = Literal["measure", "action", "consequence"]


@dataclass(frozen=True)
class Incident:
    """All steps of one incident; the first opened it."""

    steps: tuple[Step, ...]

    @property
    def id(self) -> str:
        """What names it."""
        return self.steps[0].incident

    @property
    def opened(self) -> Mapping[str, Any]:
        """What was said when it was opened."""
        return body_of(self.steps[0])

    @property
    def title(self) -> str:
        """What it is about."""
        return str(self.opened["title"])

    @property
    def exposure(self) -> Exposure:
        """What was exposed."""
        return Exposure.of(self.opened["exposed"])

    @property
    def window(self) -> tuple[datetime, datetime]:
        """From when to when it happened; where no end is said, until it was known."""
        since, until = self.opened["happened"]
        return datetime.fromisoformat(since), datetime.fromisoformat(until or self.opened["known_at"])

    @property
    def scope(self) -> Mapping[str, Any] | None:
        """The last scope; None where none was worked out."""
        found = self._last("scoped")
        return None if found is None else body_of(found)["scope"]

    @property
    def declared_at(self) -> datetime | None:
        """When it was declared."""
        found = next(self._of("declared"), None)
        return None if found is None else found.recorded_at

    @property
    def due(self) -> datetime | None:
        """By when notice must have been given; None as long as it is not declared."""
        return None if self.declared_at is None else self.declared_at + WITHIN

    @property
    def closed(self) -> Step | None:
        """The step that closed it."""
        return self._last("closed")

    @property
    def state(self) -> State:
        """How far it is."""
        if self.closed is not None:
            return "closed"
        return "declared" if self.declared_at is not None else "open" if self.scope is None else "scoped"

    @property
    def affected(self) -> tuple[str, ...]:
        """The tenants of the last scope."""
        return () if self.scope is None else tuple(each["tenant_id"] for each in self.scope["tenants"])

    @property
    def concerned(self) -> tuple[str, ...]:
        """Those of them that have to be told."""
        return (
            () if self.scope is None else tuple(each["tenant_id"] for each in self.scope["tenants"] if each["notice"])
        )

    @property
    def exempt(self) -> Mapping[str, Step]:
        """The tenants of which somebody asked, and somebody else agreed, that they are not told.

        What they agreed to is what was known then: where a later scope found more of a tenant, it counts no longer.
        """
        found = {body_of(each)["tenant_id"]: each for each in self._of("exempted")}
        return {tenant: step for tenant, step in found.items() if not self._has_grown(tenant, step)}

    def _has_grown(self, tenant: str, since: Step) -> bool:
        """Whether the last scope says more of a tenant than the one that was known at a step."""
        before = [body_of(each)["scope"] for each in self.steps[: self.steps.index(since)] if each.step == "scoped"]
        known, now = (_entry(scope, tenant) for scope in (before[-1] if before else None, self.scope))
        return any(one not in known[0] for one in now[0]) or now[1] > known[1]

    def asked_exempt(self, tenant: str) -> Step | None:
        """Who asked last that a tenant is not told."""
        found = [each for each in self._of("exempt_asked") if body_of(each)["tenant_id"] == tenant]
        return found[-1] if found else None

    def notices(self, tenant: str) -> tuple[Mapping[str, Any], ...]:
        """The notices that were drafted for a tenant, by version, each with when it was given, if it was."""
        drafts = [each for each in self._of("drafted") if tenant in body_of(each)["tenants"]]
        given = {body_of(each)["tenants"].get(tenant): each for each in self._of("given")}
        return tuple(_notice(each, given.get(body_of(each)["version"]), tenant) for each in drafts)

    @property
    def versions(self) -> int:
        """How many times notices were drafted."""
        return sum(1 for _ in self._of("drafted"))

    def given(self, tenant: str) -> bool:
        """Whether a tenant was told, of any version."""
        return any(each["given_at"] is not None for each in self.notices(tenant))

    @property
    def pending(self) -> tuple[str, ...]:
        """The tenants that are to be told, and were not yet."""
        return tuple(each for each in self.concerned if each not in self.exempt and not self.given(each))

    def is_overdue(self, now: datetime) -> bool:
        """Whether somebody should have been told by now, or it is not even known who."""
        late = self.due is not None and self.due < now and self.closed is None
        return late and (self.scope is None or bool(self.pending))

    def said(self, what: Said) -> tuple[str, ...]:
        """The measures, the actions for tenants, or the consequences that were taken down."""
        return tuple(body_of(each)["text"] for each in self._of("measured") if body_of(each)["what"] == what)

    def as_json(self, now: datetime) -> dict[str, Any]:
        """The incident as `incident show --json` prints it."""
        opened, closed = self.opened, self.closed
        return {
            "incident": self.id,
            "title": self.title,
            "state": self.state,
            "opened_at": time_text(self.steps[0].recorded_at),
            "opened_by": self.steps[0].by,
            "happened": {"from": opened["happened"][0], "to": opened["happened"][1]},
            "known_at": opened["known_at"],
            "exposed": list(opened["exposed"]),
            "declared_at": None if self.declared_at is None else time_text(self.declared_at),
            "due": None if self.due is None else time_text(self.due),
            "overdue": self.is_overdue(now),
            "pending": list(self.pending),
            "notices": {each: [dict(one) for one in self.notices(each)] for each in self.affected},
            "exempt": {tenant: _by(step) for tenant, step in self.exempt.items()},
            "measures": list(self.said("measure")),
            "actions": list(self.said("action")),
            "consequences": list(self.said("consequence")),
            "scope": self.scope,
            "closed": None if closed is None else {**body_of(closed), **_by(closed)},
        }

    def _of(self, step: str) -> Iterator[Step]:
        return (each for each in self.steps if each.step == step)

    def _last(self, step: str) -> Step | None:
        return next((each for each in reversed(self.steps) if each.step == step), None)


def incidents_of(steps: Iterable[Step]) -> dict[str, Incident]:
    """The incidents that steps make up, in the order in which they were opened."""
    found: dict[str, list[Step]] = {}
    for step in steps:
        found.setdefault(step.incident, []).append(step)
    return {name: Incident(tuple(each)) for name, each in found.items()}


def body_of(step: Step) -> dict[str, Any]:
    """What a step says."""
    body: dict[str, Any] = json.loads(step.body)
    return body


def text_of(body: Mapping[str, Any]) -> str:
    """The same as the ledger keeps it."""
    return json.dumps(body, sort_keys=True, ensure_ascii=False)


def _entry(scope: Mapping[str, Any] | None, tenant: str) -> tuple[list[tuple[str, str]], int]:
    """The columns of a tenant with their forms, and how many persons, as a scope has them."""
    found = next((each for each in (scope or {"tenants": ()})["tenants"] if each["tenant_id"] == tenant), None)
    if found is None:
        return [], 0
    many = found.get("subjects") or {"count": 0}
    return [(each["column"], each["form"]) for each in found.get("kinds", ())], many["count"]


def _by(step: Step) -> dict[str, str]:
    return {"by": step.by, "at": time_text(step.recorded_at)}


def _notice(draft: Step, given: Step | None, tenant: str) -> dict[str, Any]:
    body = body_of(draft)
    return {
        "version": body["version"],
        "drafted_at": time_text(draft.recorded_at),
        "digest": body["tenants"][tenant]["digest"],
        "to": body["tenants"][tenant]["to"],
        "given_at": None if given is None else time_text(given.recorded_at),
    }
