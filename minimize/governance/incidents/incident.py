"""Incident: its state from the recorded steps, refusals, and the steps: open, declare, measure, exempt, close.

Every step is recorded with an audit event, a refused one too. An exemption, and closing a declared incident as a false positive,
take a second person.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal

from minimize.errors import ConfigurationError, Finding, RefusedError
from minimize.governance.access.enforcement import configured_access
from minimize.governance.incidents.exposure import Exposure
from minimize.governance.workspace import Workspace
from minimize.ledger import Actor, AuditActivity, AuditEvent, PropertyChange, Resource, current_actor
from minimize.ledger.audit_event import EventResult
from minimize.ledger.audit_log import record_audit_event
from minimize.ledger.incidents import IncidentStep, read_incident_steps, record_incident_step
from minimize.runs.batch_dates import CLOCK_SKEW
from minimize.times import time_text, time_text_or_none

NOTICE_DEADLINE: Final = timedelta(hours=72)
"""After it was declared, by when notice must have been given."""
IncidentState = Literal["open", "scoped", "declared", "closed"]
IncidentClass = Literal["false_positive", "security_incident", "customer_reportable"]
StatementKind = Literal["measure", "action", "consequence"]


@dataclass(frozen=True)
class Incident:
    """All steps of one incident; the first opened it."""

    steps: tuple[IncidentStep, ...]

    @property
    def id(self) -> str:
        """What names it."""
        return self.steps[0].incident

    @property
    def opening(self) -> Mapping[str, Any]:
        """What was said when it was opened."""
        return step_body(self.steps[0])

    @property
    def title(self) -> str:
        """What it is about."""
        return str(self.opening["title"])

    @property
    def exposure(self) -> Exposure:
        """What was exposed."""
        return Exposure.parse(self.opening["exposed"])

    @property
    def window(self) -> tuple[datetime, datetime]:
        """From when to when it happened; where no end is said, until it was known."""
        since, until = self.opening["happened"]
        return datetime.fromisoformat(since), datetime.fromisoformat(until or self.opening["known_at"])

    @property
    def scope(self) -> Mapping[str, Any] | None:
        """The last scope; None where none was worked out."""
        found = self._last_step("scoped")
        return None if found is None else step_body(found)["scope"]

    @property
    def declared_at(self) -> datetime | None:
        """When it was declared."""
        found = next(self._steps_of("declared"), None)
        return None if found is None else found.recorded_at

    @property
    def notice_deadline(self) -> datetime | None:
        """By when notice must have been given; None as long as it is not declared."""
        return None if self.declared_at is None else self.declared_at + NOTICE_DEADLINE

    @property
    def closing_step(self) -> IncidentStep | None:
        """The step that closed it."""
        return self._last_step("closed")

    @property
    def state(self) -> IncidentState:
        """How far it is."""
        if self.closing_step is not None:
            return "closed"
        return "declared" if self.declared_at is not None else "open" if self.scope is None else "scoped"

    @property
    def affected(self) -> tuple[str, ...]:
        """The tenants of the last scope."""
        return () if self.scope is None else tuple(each["tenant_id"] for each in self.scope["tenants"])

    @property
    def tenants_to_notify(self) -> tuple[str, ...]:
        """Those of them that have to be told."""
        return (
            () if self.scope is None else tuple(each["tenant_id"] for each in self.scope["tenants"] if each["notice"])
        )

    @property
    def exempt(self) -> Mapping[str, IncidentStep]:
        """The tenants of which somebody asked, and somebody else agreed, that they are not told.

        What they agreed to is what was known then: where a later scope found more of a tenant, it counts no longer.
        """
        found = {step_body(each)["tenant_id"]: each for each in self._steps_of("exempted")}
        return {tenant: step for tenant, step in found.items() if not self._has_grown(tenant, step)}

    def _has_grown(self, tenant: str, since: IncidentStep) -> bool:
        """Whether the last scope says more of a tenant than the one that was known at a step."""
        before = [step_body(each)["scope"] for each in self.steps[: self.steps.index(since)] if each.step == "scoped"]
        known, now = (_tenant_entry(scope, tenant) for scope in (before[-1] if before else None, self.scope))
        return any(one not in known[0] for one in now[0]) or now[1] > known[1]

    def exemption_request(self, tenant: str) -> IncidentStep | None:
        """Who asked last that a tenant is not told."""
        found = [each for each in self._steps_of("exempt_asked") if step_body(each)["tenant_id"] == tenant]
        return found[-1] if found else None

    def notices(self, tenant: str) -> tuple[Mapping[str, Any], ...]:
        """The notices that were drafted for a tenant, by version, each with when it was given, if it was."""
        drafts = [each for each in self._steps_of("drafted") if tenant in step_body(each)["tenants"]]
        given = {step_body(each)["tenants"].get(tenant): each for each in self._steps_of("given")}
        return tuple(_notice_entry(each, given.get(step_body(each)["version"]), tenant) for each in drafts)

    @property
    def draft_count(self) -> int:
        """How many times notices were drafted."""
        return sum(1 for _ in self._steps_of("drafted"))

    def is_notified(self, tenant: str) -> bool:
        """Whether a tenant was told, of any version."""
        return any(each["given_at"] is not None for each in self.notices(tenant))

    @property
    def pending(self) -> tuple[str, ...]:
        """The tenants that are to be told, and were not yet."""
        return tuple(each for each in self.tenants_to_notify if each not in self.exempt and not self.is_notified(each))

    def is_overdue(self, now: datetime) -> bool:
        """Whether somebody should have been told by now, or it is not even known who."""
        late = self.notice_deadline is not None and self.notice_deadline < now and self.closing_step is None
        return late and (self.scope is None or bool(self.pending))

    def statements(self, what: StatementKind) -> tuple[str, ...]:
        """The measures, the actions for tenants, or the consequences that were taken down."""
        return tuple(step_body(each)["text"] for each in self._steps_of("measured") if step_body(each)["what"] == what)

    def as_json(self, now: datetime) -> dict[str, Any]:
        """The incident as `incident show --json` prints it."""
        opened, closed = self.opening, self.closing_step
        return {
            "incident": self.id,
            "title": self.title,
            "state": self.state,
            "opened_at": time_text(self.steps[0].recorded_at),
            "opened_by": self.steps[0].by,
            "happened": {"from": opened["happened"][0], "to": opened["happened"][1]},
            "known_at": opened["known_at"],
            "exposed": list(opened["exposed"]),
            "declared_at": time_text_or_none(self.declared_at),
            "due": time_text_or_none(self.notice_deadline),
            "overdue": self.is_overdue(now),
            "pending": list(self.pending),
            "notices": {each: [dict(one) for one in self.notices(each)] for each in self.affected},
            "exempt": {tenant: _actor_and_time(step) for tenant, step in self.exempt.items()},
            "measures": list(self.statements("measure")),
            "actions": list(self.statements("action")),
            "consequences": list(self.statements("consequence")),
            "scope": self.scope,
            "closed": None if closed is None else {**step_body(closed), **_actor_and_time(closed)},
        }

    def _steps_of(self, step: str) -> Iterator[IncidentStep]:
        return (each for each in self.steps if each.step == step)

    def _last_step(self, step: str) -> IncidentStep | None:
        return next((each for each in reversed(self.steps) if each.step == step), None)


def group_steps(steps: Iterable[IncidentStep]) -> dict[str, Incident]:
    """The incidents that steps make up, in the order in which they were opened."""
    found: dict[str, list[IncidentStep]] = {}
    for step in steps:
        found.setdefault(step.incident, []).append(step)
    return {name: Incident(tuple(each)) for name, each in found.items()}


def step_body(step: IncidentStep) -> dict[str, Any]:
    """What a step says."""
    body: dict[str, Any] = json.loads(step.body)
    return body


def body_text(body: Mapping[str, Any]) -> str:
    """The same as the ledger keeps it."""
    return json.dumps(body, sort_keys=True, ensure_ascii=False)


def _tenant_entry(scope: Mapping[str, Any] | None, tenant: str) -> tuple[list[tuple[str, str]], int]:
    """The columns of a tenant with their forms, and how many persons, as a scope has them."""
    found = next((each for each in (scope or {"tenants": ()})["tenants"] if each["tenant_id"] == tenant), None)
    if found is None:
        return [], 0
    many = found.get("subjects") or {"count": 0}
    return [(each["column"], each["form"]) for each in found.get("kinds", ())], many["count"]


def _actor_and_time(step: IncidentStep) -> dict[str, str]:
    return {"by": step.by, "at": time_text(step.recorded_at)}


def _notice_entry(draft: IncidentStep, step: IncidentStep | None, tenant: str) -> dict[str, Any]:
    body = step_body(draft)
    return {
        "version": body["version"],
        "drafted_at": time_text(draft.recorded_at),
        "digest": body["tenants"][tenant]["digest"],
        "to": body["tenants"][tenant]["to"],
        "given_at": None if step is None else time_text(step.recorded_at),
    }


_REFUSALS: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "same_person": ("K021", "it takes a second person", "somebody else has to do it"),
        "untold": ("K022", "tenants that are to be told were not yet", "minimize incident notice, or exempt"),
    }
)


def step_refusal(rule: str, message: str, *, tenants: int | None = None) -> RefusedError:
    """The refusal by a rule.

    >>> step_refusal("same_person", "the exception is step_refusal").findings[0].code
    'K021'
    """
    code, why, hint = _REFUSALS[rule]
    counted = why if tenants is None else f"{why}: {tenants:,}"
    return RefusedError(message, findings=[Finding(code, counted, hint=hint)])


_INCIDENT_ACTIVITY: Final = AuditActivity("incident", component="incidents", category="incidents")
StepBody = Callable[[Incident | None], Mapping[str, Any]]
"""From the incident as it stands to what the step says. It may raise."""


@dataclass(frozen=True, slots=True)
class NewIncident:
    """What is said of an incident when it is opened.

    period  from when, and to when, where that is known
    """

    id: str
    title: str
    period: tuple[datetime, datetime | None]
    known_at: datetime
    exposed: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """What the ledger keeps of it. Raises ConfigurationError for what cannot be so."""
        since, until = self.period
        if not self.exposed or not self.id or not self.title:
            raise ConfigurationError("an incident has a name, a title and something that was exposed")
        if (until is not None and until < since) or self.known_at < since:
            hint = "--until and --known-at are not before --since"
            raise ConfigurationError("an incident does not end, and is not known, before it begins", hint=hint)
        return {
            "title": self.title,
            "happened": [time_text(since), time_text_or_none(until)],
            "known_at": time_text(self.known_at),
            "exposed": [str(each) for each in Exposure.parse(self.exposed).items],
        }


def open_incident(case: NewIncident, workspace: Workspace, now: datetime) -> Incident:
    """Opens an incident.

    Raises ConfigurationError where it says too little, or there is one of that name; LedgerError, KeyringError.
    """
    said = case.as_json()
    _check_not_future(case, now)

    def body_of(found: Incident | None) -> Mapping[str, Any]:
        if found is not None:
            raise ConfigurationError("there is an incident of this name", hint="minimize incident list")
        return said

    return record_step(case.id, "opened", body_of, workspace, now, create=True)


def _check_not_future(case: NewIncident, now: datetime) -> None:
    """Raises ConfigurationError for an incident that becomes known, or ends, after now, as far as two clocks may differ."""
    if max(case.known_at, case.period[1] or case.known_at) > now + CLOCK_SKEW:
        hint = "--until and --known-at are not after now"
        raise ConfigurationError("an incident does not end, and is not known, after now", hint=hint)


def declare_incident(name: str, workspace: Workspace, now: datetime) -> Incident:
    """Declares an incident: from now on 72 hours are left to give notice. Raises ConfigurationError where that was done."""

    def body_of(found: Incident | None) -> Mapping[str, Any]:
        if require_open(found).declared_at is not None:
            raise ConfigurationError("this incident was declared before")
        return {}

    return record_step(name, "declared", body_of, workspace, now)


def record_measure(name: str, what: StatementKind, text: str, workspace: Workspace, now: datetime) -> Incident:
    """Takes down a measure, an action that tenants should take, or a consequence: notices say it."""

    def body_of(found: Incident | None) -> Mapping[str, Any]:
        require_open(found)
        return {"what": what, "text": text}

    return record_step(name, "measured", body_of, workspace, now)


def request_exemption(name: str, tenant: str, reason: str, workspace: Workspace, now: datetime) -> Incident:
    """Asks that a tenant is not told; it counts once somebody else agreed.

    Raises ConfigurationError for one that is not affected.
    """

    def body_of(found: Incident | None) -> Mapping[str, Any]:
        if tenant not in require_open(found).tenants_to_notify:
            raise ConfigurationError("no notice is needed for this tenant", hint=f"minimize incident show {name}")
        if not reason.strip():
            raise ConfigurationError("an exception has a reason")
        return {"tenant_id": tenant, "reason": reason}

    return record_step(name, "exempt_asked", body_of, workspace, now)


def approve_exemption(name: str, tenant: str, workspace: Workspace, now: datetime) -> Incident:
    """Agrees that a tenant is not told.

    Raises RefusedError (K021) for whoever asked for it, ConfigurationError where nobody did.
    """
    mine = acting_accounts(workspace)

    def body_of(found: Incident | None) -> Mapping[str, Any]:
        asked = require_open(found).exemption_request(tenant)
        if asked is None:
            raise ConfigurationError("nobody asked for an exception for this tenant", hint="minimize incident exempt")
        if asked.by in mine:
            raise step_refusal("same_person", "the exception is refused")
        return {"tenant_id": tenant, "reason": step_body(asked)["reason"], "asked_by": asked.by}

    return record_step(name, "exempted", body_of, workspace, now)


def close_incident(name: str, as_: IncidentClass, reason: str, workspace: Workspace, now: datetime) -> Incident:
    """Closes an incident as what it was.

    Raises RefusedError: who is to be told was not yet (K022); a false positive that was declared is called one by whoever
    declared it (K021). Raises ConfigurationError without a reason, or without a scope where it is reportable.
    """
    mine = acting_accounts(workspace)

    def body_of(found: Incident | None) -> Mapping[str, Any]:
        this = require_open(found)
        if not reason.strip():
            raise ConfigurationError("whoever closes an incident says why")
        if as_ == "customer_reportable" and (this.scope is None or this.declared_at is None):
            raise ConfigurationError("a reportable incident is scoped and declared first")
        _check_closing(this, as_, mine)
        return {"class": as_, "reason": reason}

    return record_step(name, "closed", body_of, workspace, now)


def _check_closing(incident: Incident, as_: IncidentClass, mine: frozenset[str]) -> None:
    declared = next((each.by for each in incident.steps if each.step == "declared"), None)
    if as_ == "false_positive":
        if declared in mine:
            raise step_refusal("same_person", "it stays open")
    elif declared is not None and incident.pending:
        raise step_refusal("untold", "it stays open", tenants=len(incident.pending))


def record_step(
    name: str, verb: str, step_body_of: StepBody, workspace: Workspace, now: datetime, *, create: bool = False
) -> Incident:
    """Records one step, and tells the audit log of it; of one that is refused, too.

    Raises what `step_body_of` raises, LedgerError, KeyringError.
    """
    actor, keys = current_actor(), workspace.keyring()

    def build_step(before: Sequence[IncidentStep]) -> tuple[IncidentStep, AuditEvent]:
        said = body_text(step_body_of(group_steps(before).get(name)))
        return IncidentStep(name, verb, actor.user or "", said, now), step_event(name, verb, said, actor, now)

    refusal: RefusedError | None = None
    with workspace.open_ledger(create=create) as ledger:
        try:
            return group_steps(record_incident_step(ledger, build_step, keys))[name]
        except RefusedError as error:
            refusal = error
        event = refusal_event(name, verb, refusal, actor, now)
        record_audit_event(ledger, event, keys)
    raise refusal


def step_event(name: str, verb: str, text: str, actor: Actor, now: datetime) -> AuditEvent:
    """What the audit log is told of a step: which, and the digest of what it says."""
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return _incident_event(name, verb, PropertyChange("said", None, digest), actor, now)


def refusal_event(name: str, verb: str, refusal: RefusedError, actor: Actor, now: datetime) -> AuditEvent:
    """What the audit log is told of a step that was refused: by which rules."""
    rules = ", ".join(each.code for each in refusal.findings)
    return _incident_event(name, verb, PropertyChange("reasons", None, rules), actor, now, "refused")


def _incident_event(
    name: str, verb: str, change: PropertyChange, actor: Actor, now: datetime, result: EventResult = "success"
) -> AuditEvent:
    resource = Resource(name, "incident", f"incidents/{name}", (change,))
    return _INCIDENT_ACTIVITY.event(verb, actor, now, resource, result=result, correlation_id=name)


def require_open(found: Incident | None) -> Incident:
    """The incident, if it is there and open. Raises ConfigurationError."""
    if found is None:
        raise ConfigurationError("there is no incident of this name", hint="minimize incident list")
    if found.closing_step is not None:
        raise ConfigurationError("this incident is closed", hint="open another one that names it")
    return found


def acting_accounts(workspace: Workspace) -> frozenset[str]:
    """The accounts of whoever acts here."""
    user, access = current_actor().user or "", configured_access(workspace)
    return frozenset({user} if access is None else {user, *access.accounts(user)})


def load_incidents(workspace: Workspace) -> dict[str, Incident]:
    """Every incident, in the order in which they were opened. Raises LedgerError."""
    with workspace.open_ledger() as ledger:
        return group_steps(read_incident_steps(ledger))


def load_incident(name: str, workspace: Workspace) -> Incident:
    """One incident. Raises ConfigurationError, LedgerError."""
    found = load_incidents(workspace).get(name)
    if found is None:
        raise ConfigurationError("there is no incident of this name", hint="minimize incident list")
    return found
