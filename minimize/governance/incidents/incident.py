"""Incident: its state from the recorded steps, refusals, and the steps: open, declare, measure, exempt, close.

Every step is recorded with an audit event, even if it is refused. Two actions require a second person: an exemption, and
closing a declared incident as a false positive.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal

from minimize.errors import ConfigurationError, Finding, RefusedError
from minimize.governance.access.enforcement import configured_access
from minimize.governance.incidents.exposure import Exposure
from minimize.governance.incidents.incident_text import incident_lines, unmatched_lines
from minimize.governance.incidents.notice import NOTICE_DEADLINE
from minimize.governance.workspace import Workspace
from minimize.json_form import json_object
from minimize.ledger import Actor, AuditActivity, AuditEvent, PropertyChange, Resource, current_actor
from minimize.ledger.acts import ActReader, Decision
from minimize.ledger.audit_event import EventResult
from minimize.ledger.incidents import INCIDENT, IncidentStep
from minimize.receipts.canonical import sha256_text
from minimize.results import Listing
from minimize.runs.batch_dates import CLOCK_SKEW
from minimize.text import count_noun
from minimize.times import time_text, time_text_or_none

IncidentState = Literal["open", "scoped", "declared", "closed"]
IncidentClass = Literal["false_positive", "security_incident", "customer_reportable"]
StatementKind = Literal["measure", "action", "consequence"]


@dataclass(frozen=True)
class Incident:
    """An incident, as its recorded steps describe it. The first step opened it."""

    steps: tuple[IncidentStep, ...]

    @property
    def id(self) -> str:
        """The id of the incident."""
        return self.steps[0].incident

    @property
    def opening(self) -> Mapping[str, Any]:
        """The content of the step that opened the incident."""
        return self.steps[0].body

    @property
    def title(self) -> str:
        """The title of the incident."""
        return str(self.opening["title"])

    @property
    def exposure(self) -> Exposure:
        """The exposed items."""
        return Exposure.parse(self.opening["exposed"])

    @property
    def window(self) -> tuple[datetime, datetime]:
        """Start and end of the incident. Without an end, the time when it became known."""
        since, until = self.opening["happened"]
        return datetime.fromisoformat(since), datetime.fromisoformat(until or self.opening["known_at"])

    @property
    def scope(self) -> Mapping[str, Any] | None:
        """The latest scope. None if no scope was determined."""
        found = self._last_step("scoped")
        return None if found is None else found.body["scope"]

    @property
    def declared_at(self) -> datetime | None:
        """Time of the declaration. None if the incident is not declared."""
        found = next(self._steps_of("declared"), None)
        return None if found is None else found.recorded_at

    @property
    def notice_deadline(self) -> datetime | None:
        """Time until which notice must be given. None until the incident is declared."""
        return None if self.declared_at is None else self.declared_at + NOTICE_DEADLINE

    @property
    def closing_step(self) -> IncidentStep | None:
        """The step that closed the incident. None if it is open."""
        return self._last_step("closed")

    @property
    def state(self) -> IncidentState:
        """The stage of the incident."""
        if self.closing_step is not None:
            return "closed"
        return "declared" if self.declared_at is not None else "open" if self.scope is None else "scoped"

    @property
    def affected(self) -> tuple[str, ...]:
        """The tenants of the latest scope."""
        return () if self.scope is None else tuple(each["tenant_id"] for each in self.scope["tenants"])

    @property
    def tenants_to_notify(self) -> tuple[str, ...]:
        """The affected tenants that must be notified."""
        return (
            () if self.scope is None else tuple(each["tenant_id"] for each in self.scope["tenants"] if each["notice"])
        )

    @property
    def exempt(self) -> Mapping[str, IncidentStep]:
        """The tenants with an approved exemption from notice.

        An exemption covers what was known when it was approved. It lapses if a later scope finds more data of the tenant.
        """
        found = {each.body["tenant_id"]: each for each in self._steps_of("exempted")}
        return {tenant: step for tenant, step in found.items() if not self._has_grown(tenant, step)}

    def _has_grown(self, tenant: str, since: IncidentStep) -> bool:
        """Whether the latest scope lists more data of a tenant than the scope that was known at a step."""
        before = [each.body["scope"] for each in self.steps[: self.steps.index(since)] if each.step == "scoped"]
        known, now = (_tenant_entry(scope, tenant) for scope in (before[-1] if before else None, self.scope))
        return any(one not in known[0] for one in now[0]) or now[1] > known[1]

    def exemption_request(self, tenant: str) -> IncidentStep | None:
        """The latest request to exempt a tenant from notice."""
        found = [each for each in self._steps_of("exempt_asked") if each.body["tenant_id"] == tenant]
        return found[-1] if found else None

    def notices(self, tenant: str) -> tuple[Mapping[str, Any], ...]:
        """The notices drafted for a tenant, by version, each with the time when it was sent, if it was."""
        drafts = [each for each in self._steps_of("drafted") if tenant in each.body["tenants"]]
        given = {each.body["tenants"].get(tenant): each for each in self._steps_of("given")}
        return tuple(_notice_entry(each, given.get(each.body["version"]), tenant) for each in drafts)

    @property
    def draft_count(self) -> int:
        """Number of versions of notices drafted so far."""
        return sum(1 for _ in self._steps_of("drafted"))

    def is_notified(self, tenant: str) -> bool:
        """Whether any version of the notice was sent to a tenant."""
        return any(each["given_at"] is not None for each in self.notices(tenant))

    @property
    def pending(self) -> tuple[str, ...]:
        """The tenants that must be notified and have not been notified yet."""
        return tuple(each for each in self.tenants_to_notify if each not in self.exempt and not self.is_notified(each))

    def is_overdue(self, now: datetime) -> bool:
        """Whether the deadline has passed although a tenant is not notified, or no scope was determined."""
        late = self.notice_deadline is not None and self.notice_deadline < now and self.closing_step is None
        return late and (self.scope is None or bool(self.pending))

    def statements(self, what: StatementKind) -> tuple[str, ...]:
        """The recorded measures, actions for tenants, or consequences."""
        return tuple(each.body["text"] for each in self._steps_of("measured") if each.body["what"] == what)

    def to_json(self, now: datetime) -> dict[str, Any]:
        """The output of `incident show --json`."""
        opened, closed = self.opening, self.closing_step
        body = {
            "incident": self.id,
            "title": self.title,
            "state": self.state,
            "opened_at": self.steps[0].recorded_at,
            "opened_by": self.steps[0].by,
            "happened": {"from": opened["happened"][0], "to": opened["happened"][1]},
            "known_at": opened["known_at"],
            "exposed": opened["exposed"],
            "declared_at": self.declared_at,
            "due": self.notice_deadline,
            "overdue": self.is_overdue(now),
            "pending": self.pending,
            "notices": {each: self.notices(each) for each in self.affected},
            "exempt": {tenant: _actor_and_time(step) for tenant, step in self.exempt.items()},
            "measures": self.statements("measure"),
            "actions": self.statements("action"),
            "consequences": self.statements("consequence"),
            "scope": self.scope,
            "closed": None if closed is None else {**closed.body, **_actor_and_time(closed)},
        }
        return json_object(body)

    def summary_line(self, now: datetime) -> str:
        """The title, the state, and the deadline of notices."""
        due = self.notice_deadline
        notice = (
            f", notice by {due:%Y-%m-%dT%H:%MZ}, {count_noun(len(self.pending), 'tenant')} to notify" if due else ""
        )
        late = " OVERDUE" if self.is_overdue(now) else ""
        return f"{self.id}  {self.title}: {self.state}, {count_noun(len(self.affected), 'tenant')}{notice}{late}"

    def lines(self, now: datetime) -> Iterator[str]:
        """The summary and the details."""
        yield self.summary_line(now)
        yield from incident_lines(self.to_json(now))

    def _steps_of(self, step: str) -> Iterator[IncidentStep]:
        return (each for each in self.steps if each.step == step)

    def _last_step(self, step: str) -> IncidentStep | None:
        return next((each for each in reversed(self.steps) if each.step == step), None)


@dataclass(frozen=True, slots=True)
class OpenedIncident:
    """An incident that was opened at a time, and its exposed items that match nothing."""

    incident: Incident
    at: datetime
    nothing_matches: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The incident and the items."""
        return {**self.incident.to_json(self.at), "nothing_matches": list(self.nothing_matches)}

    def lines(self) -> Iterator[str]:
        """The incident, and a line for each item."""
        yield from self.incident.lines(self.at)
        yield from unmatched_lines(self.nothing_matches)


@dataclass(frozen=True, slots=True)
class IncidentSummary:
    """An incident in the list, at a time."""

    incident: Incident
    at: datetime

    def to_json(self) -> dict[str, Any]:
        """The incident."""
        return self.incident.to_json(self.at)

    def lines(self) -> Iterator[str]:
        """The summary without the details."""
        yield self.incident.summary_line(self.at)


def group_steps(steps: Iterable[IncidentStep]) -> dict[str, Incident]:
    """Groups steps by incident, in the order in which the incidents were opened."""
    found: dict[str, list[IncidentStep]] = {}
    for step in steps:
        found.setdefault(step.incident, []).append(step)
    return {name: Incident(tuple(each)) for name, each in found.items()}


def body_text(body: Mapping[str, Any]) -> str:
    """The content of a step as the ledger stores it."""
    return json.dumps(body, sort_keys=True, ensure_ascii=False)


def _tenant_entry(scope: Mapping[str, Any] | None, tenant: str) -> tuple[list[tuple[str, str]], int]:
    """The columns of a tenant with their forms, and the number of persons, as listed in a scope."""
    found = next((each for each in (scope or {"tenants": ()})["tenants"] if each["tenant_id"] == tenant), None)
    if found is None:
        return [], 0
    many = found.get("subjects") or {"count": 0}
    return [(each["column"], each["form"]) for each in found.get("kinds", ())], many["count"]


def _actor_and_time(step: IncidentStep) -> dict[str, str]:
    return {"by": step.by, "at": time_text(step.recorded_at)}


def _notice_entry(draft: IncidentStep, step: IncidentStep | None, tenant: str) -> dict[str, Any]:
    body = draft.body
    return {
        "version": body["version"],
        "drafted_at": time_text(draft.recorded_at),
        "digest": body["tenants"][tenant]["digest"],
        "to": body["tenants"][tenant]["to"],
        "given_at": None if step is None else time_text(step.recorded_at),
    }


_REFUSALS: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "same_person": ("K021", "a second person is required", "Ask another person to run this command."),
        "untold": (
            "K022",
            "tenants that must be notified have not been notified",
            "Run `minimize incident notice`, or `minimize incident exempt`.",
        ),
    }
)


def step_refusal(rule: str, message: str, *, tenants: int | None = None) -> RefusedError:
    """Builds the refusal for a rule.

    >>> step_refusal("same_person", "the exemption is refused").findings[0].code
    'K021'
    """
    code, why, hint = _REFUSALS[rule]
    counted = why if tenants is None else f"{why}: {tenants:,}"
    return RefusedError(message, findings=[Finding(code, counted, hint=hint)])


_INCIDENT_ACTIVITY: Final = AuditActivity("incident", component="incidents", category="incidents")
StepBody = Callable[[Incident | None], Mapping[str, Any]]
"""Builds the content of a step from the current state of the incident. May raise."""


@dataclass(frozen=True, slots=True)
class NewIncident:
    """The description of an incident when it is opened.

    period  start, and end if it is known
    """

    id: str
    title: str
    period: tuple[datetime, datetime | None]
    known_at: datetime
    exposed: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """The content that the ledger stores. Raises ConfigurationError if it is incomplete or its times are out of order."""
        since, until = self.period
        if not self.exposed or not self.id or not self.title:
            raise ConfigurationError("an incident needs a name, a title and at least one exposed item")
        if (until is not None and until < since) or self.known_at < since:
            hint = "Pass --until and --known-at times that are not before --since."
            raise ConfigurationError("the incident ends or becomes known before it begins", hint=hint)
        return {
            "title": self.title,
            "happened": [time_text(since), time_text_or_none(until)],
            "known_at": time_text(self.known_at),
            "exposed": [str(each) for each in Exposure.parse(self.exposed).items],
        }


def open_incident(case: NewIncident, workspace: Workspace, now: datetime) -> Incident:
    """Opens an incident.

    Raises ConfigurationError if the description is incomplete or the name is taken; LedgerError, KeyringError.
    """
    opening = case.to_json()
    _check_not_future(case, now)

    def body_of(found: Incident | None) -> Mapping[str, Any]:
        if found is not None:
            raise ConfigurationError("an incident of this name exists already", hint="Run `minimize incident list`.")
        return opening

    return record_step(case.id, "opened", body_of, workspace, now, create=True)


def _check_not_future(case: NewIncident, now: datetime) -> None:
    """Raises ConfigurationError if the incident ends or becomes known after now, with tolerance for clock skew."""
    if max(case.known_at, case.period[1] or case.known_at) > now + CLOCK_SKEW:
        hint = "Pass --until and --known-at times that are not in the future."
        raise ConfigurationError("the incident ends or becomes known in the future", hint=hint)


def declare_incident(name: str, workspace: Workspace, now: datetime) -> Incident:
    """Declares an incident. The internal deadline of 72 hours starts.

    Raises ConfigurationError if the incident is declared already.
    """

    def body_of(found: Incident | None) -> Mapping[str, Any]:
        if require_open(found).declared_at is not None:
            raise ConfigurationError("this incident is declared already")
        return {}

    return record_step(name, "declared", body_of, workspace, now)


def record_measure(name: str, what: StatementKind, text: str, workspace: Workspace, now: datetime) -> Incident:
    """Records a measure, a recommended action for tenants, or a consequence. Notices contain it."""

    def body_of(found: Incident | None) -> Mapping[str, Any]:
        require_open(found)
        return {"what": what, "text": text}

    return record_step(name, "measured", body_of, workspace, now)


def request_exemption(name: str, tenant: str, reason: str, workspace: Workspace, now: datetime) -> Incident:
    """Requests that a tenant is exempt from notice. The exemption takes effect when a second person approves it.

    Raises ConfigurationError if no notice to the tenant is open.
    """

    def body_of(found: Incident | None) -> Mapping[str, Any]:
        if tenant not in require_open(found).tenants_to_notify:
            raise ConfigurationError(
                "no notice is needed for this tenant", hint=f"Run `minimize incident show {name}`."
            )
        if not reason.strip():
            raise ConfigurationError("an exemption requires a reason", hint="Pass --reason TEXT.")
        return {"tenant_id": tenant, "reason": reason}

    return record_step(name, "exempt_asked", body_of, workspace, now)


def approve_exemption(name: str, tenant: str, workspace: Workspace, now: datetime) -> Incident:
    """Approves that a tenant is exempt from notice.

    Raises RefusedError (K021) for the account that requested it, ConfigurationError if there is no request.
    """
    accounts = acting_accounts(workspace)

    def body_of(found: Incident | None) -> Mapping[str, Any]:
        request = require_open(found).exemption_request(tenant)
        if request is None:
            raise ConfigurationError(
                "no exemption was requested for this tenant", hint="Run `minimize incident exempt` with --reason."
            )
        if request.by in accounts:
            raise step_refusal("same_person", "the exemption is refused")
        return {"tenant_id": tenant, "reason": request.body["reason"], "asked_by": request.by}

    return record_step(name, "exempted", body_of, workspace, now)


def close_incident(name: str, as_: IncidentClass, reason: str, workspace: Workspace, now: datetime) -> Incident:
    """Closes an incident with its classification.

    Raises RefusedError if a tenant was not notified yet (K022), or if the account that declared the incident closes it as a
    false positive (K021). Raises ConfigurationError without a reason, or if a reportable incident has no scope.
    """
    accounts = acting_accounts(workspace)

    def body_of(found: Incident | None) -> Mapping[str, Any]:
        this = require_open(found)
        if not reason.strip():
            raise ConfigurationError("closing an incident requires a reason", hint="Pass --reason TEXT.")
        if as_ == "customer_reportable" and (this.scope is None or this.declared_at is None):
            raise ConfigurationError(
                "a reportable incident must be scoped and declared first",
                hint=f"Run `minimize incident scope {name}` and `minimize incident declare {name}`.",
            )
        _check_closing(this, as_, accounts)
        return {"class": as_, "reason": reason}

    return record_step(name, "closed", body_of, workspace, now)


def _check_closing(incident: Incident, as_: IncidentClass, mine: frozenset[str]) -> None:
    declared = next((each.by for each in incident.steps if each.step == "declared"), None)
    if as_ == "false_positive":
        if declared in mine:
            raise step_refusal("same_person", "the incident stays open")
    elif declared is not None and incident.pending:
        raise step_refusal("untold", "the incident stays open", tenants=len(incident.pending))


def record_step(
    name: str, verb: str, step_body_of: StepBody, workspace: Workspace, now: datetime, *, create: bool = False
) -> Incident:
    """Records one step with an audit event. A refused step is recorded in the audit log only.

    Raises the exceptions of `step_body_of`, LedgerError, KeyringError.
    """
    actor, keys = current_actor(), workspace.keyring()

    def decide(acts: ActReader) -> Decision[Incident]:
        before = acts.find(INCIDENT, key=name)
        text = body_text(step_body_of(group_steps(before).get(name)))
        step = IncidentStep(name, verb, actor.user or "", json.loads(text), now)
        return Decision(Incident((*before, step)), [INCIDENT.act(step)], [step_event(name, verb, text, actor, now)])

    refusal: RefusedError | None = None
    with workspace.open_ledger(create=create) as ledger:
        try:
            return ledger.record(decide, keys)
        except RefusedError as error:
            refusal = error
        event = refusal_event(name, verb, refusal, actor, now)
        ledger.record_event(event, keys)
    raise refusal


def step_event(name: str, verb: str, text: str, actor: Actor, now: datetime) -> AuditEvent:
    """The audit event of a step: its verb, and the digest of its content."""
    digest = sha256_text(text.encode())
    return _incident_event(name, verb, PropertyChange("said", None, digest), actor, now)


def refusal_event(name: str, verb: str, refusal: RefusedError, actor: Actor, now: datetime) -> AuditEvent:
    """The audit event of a refused step, with the rules that refused it."""
    rules = ", ".join(each.code for each in refusal.findings)
    return _incident_event(name, verb, PropertyChange("reasons", None, rules), actor, now, "refused")


def _incident_event(
    name: str, verb: str, change: PropertyChange, actor: Actor, now: datetime, result: EventResult = "success"
) -> AuditEvent:
    resource = Resource(name, "incident", f"incidents/{name}", (change,))
    return _INCIDENT_ACTIVITY.event(verb, actor, now, resource, result=result, correlation_id=name)


def require_open(found: Incident | None) -> Incident:
    """Returns the incident. Raises ConfigurationError if it does not exist or is closed."""
    if found is None:
        raise ConfigurationError("there is no incident of this name", hint="Run `minimize incident list`.")
    if found.closing_step is not None:
        raise ConfigurationError(
            "this incident is closed", hint="Open a new incident and refer to this one in its title."
        )
    return found


def acting_accounts(workspace: Workspace) -> frozenset[str]:
    """The accounts of the current actor."""
    user, access = current_actor().user or "", configured_access(workspace)
    return frozenset({user} if access is None else {user, *access.accounts(user)})


def load_incidents(workspace: Workspace) -> dict[str, Incident]:
    """Reads all incidents, in the order in which they were opened. Raises LedgerError."""
    with workspace.open_ledger() as ledger:
        return group_steps(ledger.find(INCIDENT))


def list_incidents(workspace: Workspace, now: datetime) -> Listing:
    """Reads all incidents and their deadlines; the exit code is 1 if a notice is overdue. Raises LedgerError."""
    found = load_incidents(workspace).values()
    overdue = any(each.is_overdue(now) for each in found)
    return Listing("incidents", [IncidentSummary(each, now) for each in found], "no incidents", int(overdue))


def load_incident(name: str, workspace: Workspace) -> Incident:
    """Reads one incident. Raises ConfigurationError if it does not exist, LedgerError."""
    found = load_incidents(workspace).get(name)
    if found is None:
        raise ConfigurationError("there is no incident of this name", hint="Run `minimize incident list`.")
    return found
