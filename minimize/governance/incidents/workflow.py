"""Steps of the response to an incident: open, declare, classify, measure, exempt, close.

Every step is recorded with an audit event, even if it is refused. Three actions require a second person: an exemption, closing
a declared incident as a false positive, and a change of class after which no notice is due.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from minimize.errors import ConfigurationError, Finding, RefusedError
from minimize.governance.grants import end_incident_grants
from minimize.governance.incident_steps import IncidentKind
from minimize.governance.incidents.exposure import Exposure
from minimize.governance.incidents.incident import (
    DeclaredClass,
    Incident,
    IncidentClass,
    StatementKind,
    class_of_step,
    group_steps,
    require_open,
    require_open_privacy,
)
from minimize.identifiers import canonical_account, canonical_text
from minimize.ledger import current_actor
from minimize.ledger.acts import ActReader, Decision
from minimize.ledger.clock import CLOCK_SKEW
from minimize.ledger.kinds import INCIDENT, IncidentStep
from minimize.times import time_text, time_text_or_none
from minimize.workspace import Workspace

_REFUSALS: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "same_person": ("K021", "a second person is required", "Ask another person to run this command."),
        "untold": (
            "K022",
            "tenants that must be notified have not been notified",
            "Run `minimize incident notice` and `minimize incident send`, or `minimize incident exempt`.",
        ),
        "other_class": (
            "K023",
            "the incident was declared with another class",
            "Run `minimize incident reclassify` first.",
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


StepBody = Callable[[Incident | None], Mapping[str, Any]]
"""Builds the content of a step from the current state of the incident. May raise."""


@dataclass(frozen=True, slots=True)
class NewIncident:
    """The description of an incident when it is opened."""

    id: str
    title: str
    period: tuple[datetime, datetime | None]
    """Start, and end if it is known."""
    known_at: datetime
    exposed: Sequence[str] = ()
    """Exposed items of a privacy incident."""
    kind: IncidentKind = "privacy"
    tenants: Sequence[str] = ()
    """Tenants that the incident concerns; a support incident needs one at least."""
    reference: str | None = None
    """The ticket of a support incident."""

    def to_json(self) -> dict[str, Any]:
        """The content that the ledger stores. Raises ConfigurationError if it is incomplete or its times are out of order."""
        since, until = self.period
        if not self.id or not self.title:
            raise ConfigurationError("an incident needs a name and a title")
        if self.kind == "privacy" and not self.exposed:
            hint = "Pass --exposed WHAT. If no data was exposed, pass --kind support."
            raise ConfigurationError("a privacy incident needs at least one exposed item", hint=hint)
        if self.kind == "support" and self.exposed:
            hint = "Leave out --exposed, or pass --kind privacy."
            raise ConfigurationError("a support incident has no exposed items", hint=hint)
        if self.kind == "support" and not (self._tenant_names and (self.reference or "").strip()):
            hint = "Pass --tenant TENANT and --evidence TICKET."
            raise ConfigurationError("a support incident needs its tenant and the reference of its ticket", hint=hint)
        if (until is not None and until < since) or self.known_at < since:
            hint = "Pass --until and --known-at times that are not before --since."
            raise ConfigurationError("the incident ends or becomes known before it begins", hint=hint)
        return {
            "kind": self.kind,
            "title": self.title,
            "tenants": self._tenant_names,
            "reference": self.reference,
            "happened": [time_text(since), time_text_or_none(until)],
            "known_at": time_text(self.known_at),
            "exposed": [str(each) for each in Exposure.parse(self.exposed).items],
        }

    @property
    def _tenant_names(self) -> list[str]:
        return [*dict.fromkeys(name for each in self.tenants if (name := canonical_text(each)))]


def open_incident(case: NewIncident, workspace: Workspace, now: datetime) -> Incident:
    """Opens an incident.

    Raises ConfigurationError if the description is incomplete or the name is taken; LedgerError, KeyringError.
    """
    for tenant in case.tenants or (None,):
        workspace.require("incident/open", tenant=tenant)
    opening = case.to_json()
    _check_not_future(case, now)

    def body_of(incident: Incident | None) -> Mapping[str, Any]:
        if incident is not None:
            raise ConfigurationError("an incident of this name exists already", hint="Run `minimize incident list`.")
        return opening

    return record_step(case.id, "opened", body_of, workspace, now, create=True)


def _check_not_future(case: NewIncident, now: datetime) -> None:
    """Raises ConfigurationError if the incident ends or becomes known after now, with tolerance for clock skew."""
    if max(case.known_at, case.period[1] or case.known_at) > now + CLOCK_SKEW:
        hint = "Pass --until and --known-at times that are not in the future."
        raise ConfigurationError("the incident ends or becomes known in the future", hint=hint)


def declare_incident(
    name: str, workspace: Workspace, now: datetime, *, as_: DeclaredClass = "customer_reportable"
) -> Incident:
    """Declares an incident, with its class. For a customer-reportable incident the internal deadline of 72 hours starts.

    Raises ConfigurationError if the incident is declared already.
    """
    workspace.require("incident/declare")

    def body_of(incident: Incident | None) -> Mapping[str, Any]:
        if require_open_privacy(incident).declared_at is not None:
            raise ConfigurationError(
                "this incident is declared already",
                hint=f"Run `minimize incident reclassify {name}` for another class.",
            )
        return {"class": as_}

    return record_step(name, "declared", body_of, workspace, now)


def reclassify_incident(name: str, as_: DeclaredClass, reason: str, workspace: Workspace, now: datetime) -> Incident:
    """Changes the class of a declared incident, with a reason.

    If the incident becomes customer-reportable, the deadline counts from now; if it was so before, from the first time.
    Raises RefusedError (K021) if no notice would be due any more, for an account that declared the incident or made it
    reportable. Raises ConfigurationError without a reason, before the declaration, or for the present class.
    """
    workspace.require("incident/declare")
    accounts = acting_accounts(workspace)

    def body_of(incident: Incident | None) -> Mapping[str, Any]:
        this = require_open_privacy(incident)
        if not reason.strip():
            raise ConfigurationError("a change of class requires a reason", hint="Pass --reason TEXT.")
        if this.incident_class is None:
            hint = f"Run `minimize incident declare {name}`."
            raise ConfigurationError("this incident is not declared yet", hint=hint)
        if this.incident_class == as_:
            raise ConfigurationError(
                f"this incident already has the class {as_}", hint=f"Run `minimize incident show {name}`."
            )
        if as_ == "security_incident" and _reporting_accounts(this) & accounts:
            raise step_refusal("same_person", "the class is not changed")
        return {"class": as_, "reason": reason}

    return record_step(name, "reclassified", body_of, workspace, now)


def _reporting_accounts(incident: Incident) -> set[str]:
    """The accounts that declared the incident or made it customer-reportable. They cannot revoke this alone."""
    return {
        each.by
        for each in incident.classifications
        if each.step == "declared" or class_of_step(each) == "customer_reportable"
    }


def record_measure(name: str, what: StatementKind, text: str, workspace: Workspace, now: datetime) -> Incident:
    """Records a measure, a recommended action for tenants, or a consequence. Notices contain it."""
    workspace.require("incident/assess")

    def body_of(incident: Incident | None) -> Mapping[str, Any]:
        require_open_privacy(incident)
        return {"what": what, "text": text}

    return record_step(name, "measured", body_of, workspace, now)


def request_exemption(name: str, tenant: str, reason: str, workspace: Workspace, now: datetime) -> Incident:
    """Requests that a tenant is exempt from notice. The exemption takes effect when a second person approves it.

    Raises ConfigurationError if no notice to the tenant is open.
    """
    workspace.require("incident/notice", tenant=tenant)

    def body_of(incident: Incident | None) -> Mapping[str, Any]:
        if tenant not in require_open_privacy(incident).tenants_to_notify:
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
    workspace.require("incident/notice", tenant=tenant)
    accounts = acting_accounts(workspace)

    def body_of(incident: Incident | None) -> Mapping[str, Any]:
        request = require_open_privacy(incident).exemption_request(tenant)
        if request is None:
            raise ConfigurationError(
                "no exemption was requested for this tenant", hint="Run `minimize incident exempt` with --reason."
            )
        if canonical_account(request.by) in accounts:
            raise step_refusal("same_person", "the exemption is refused")
        return {"tenant_id": tenant, "reason": request.body["reason"], "asked_by": request.by}

    return record_step(name, "exempted", body_of, workspace, now)


def close_incident(name: str, as_: IncidentClass | None, reason: str, workspace: Workspace, now: datetime) -> Incident:
    """Closes an incident. This ends the grants for it, in the same decision.

    as_  the class; None for that of the declaration, and for a support incident, which has none

    Raises RefusedError if a tenant was not notified yet (K022), if the incident was declared with another class (K023), or if an
    account that declared the incident or made it reportable closes it as a false positive (K021). Raises ConfigurationError
    without a reason or class, or if a reportable incident has no scope.
    """
    workspace.require("incident/close")
    accounts = acting_accounts(workspace)

    def body_of(incident: Incident | None) -> Mapping[str, Any]:
        this = require_open(incident)
        if not reason.strip():
            raise ConfigurationError("closing an incident requires a reason", hint="Pass --reason TEXT.")
        class_ = _class_at_closing(this, as_)
        if class_ == "customer_reportable" and (this.scope is None or this.declared_at is None):
            raise ConfigurationError(
                "a reportable incident must be scoped and declared first",
                hint=f"Run `minimize incident scope {name}` and `minimize incident declare {name}`.",
            )
        _check_closing(this, class_, accounts)
        return {"class": class_, "reason": reason}

    return record_step(name, "closed", body_of, workspace, now, ends_grants=True)


def _class_at_closing(incident: Incident, as_: IncidentClass | None) -> IncidentClass | None:
    """The class with which an incident is closed. Raises ConfigurationError if it is missing, or a support incident has one."""
    if incident.kind == "support":
        if as_ is not None:
            raise ConfigurationError("a support incident has no class", hint="Leave out --class.")
        return None
    closing_class = as_ or incident.incident_class
    if closing_class is None:
        raise ConfigurationError("an incident that is not declared is closed with a class", hint="Pass --class CLASS.")
    return closing_class


def _check_closing(incident: Incident, as_: IncidentClass | None, accounts: frozenset[str]) -> None:
    declared = incident.incident_class
    if declared is None:
        return
    if as_ == "false_positive":
        if _reporting_accounts(incident) & accounts:
            raise step_refusal("same_person", "the incident stays open")
    elif incident.pending:
        raise step_refusal("untold", "the incident stays open", tenants=len(incident.pending))
    elif as_ != declared:
        raise step_refusal("other_class", "the incident stays open")


def record_step(
    name: str,
    verb: str,
    step_body_of: StepBody,
    workspace: Workspace,
    now: datetime,
    *,
    create: bool = False,
    tenant: str | None = None,
    ends_grants: bool = False,
) -> Incident:
    """Records one step with an audit event. A refused step is recorded in the audit log only.

    tenant       the tenant, if the step concerns one
    ends_grants  whether the step also ends the grants for the incident

    Raises the exceptions of `step_body_of`, LedgerError, KeyringError.
    """
    without_body = IncidentStep(name, verb, current_actor().user or "", {}, now)

    def decide(acts: ActReader) -> Decision[Incident]:
        before = acts.find(INCIDENT, key=name)
        step = replace(without_body, body=step_body_of(group_steps(before).get(name)), tenant_id=tenant)
        step = replace(step, body=json.loads(step.body_text))
        ended, events = end_incident_grants(acts, name, now) if ends_grants else ([], [])
        return Decision(Incident((*before, step)), [INCIDENT.act(step), *ended], [INCIDENT.event(verb, step), *events])

    refusal: RefusedError | None = None
    with workspace.open_ledger(create=create, signs=True) as ledger:
        try:
            return ledger.record(decide)
        except RefusedError as error:
            refusal = error
        rules = ", ".join(each.code for each in refusal.findings)
        ledger.record_event(INCIDENT.refusal(verb, without_body, rules))
    raise refusal


def acting_accounts(workspace: Workspace) -> frozenset[str]:
    """The accounts of the current actor."""
    user, access = current_actor().user or "", workspace.access
    return frozenset({user} if access is None else {user, *access.accounts(user)})
