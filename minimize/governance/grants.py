"""Access workflow: request, answer, review and expire grants, take break-glass access, adopt a changed access file.

The audit log records every operation and every refusal. After the first adoption, a change of the access file takes
effect when a person who may assign roles adopts it.

Access enforcement: audit events, the access file in force, the permission check before a command, and its tenants.

Audit events contain names, rules and counts, and no values.

Incidents of grants: the incident that a grant needs, the one that break-glass access opens, and grants that end with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain, count
from typing import Any, Final, Literal
from uuid import uuid4

from minimize.access.decision import comma_list, decide_permission, decision_event, property_changes, reason
from minimize.access.enforcement import access_in_force, last_adoption
from minimize.access.entitlements import (
    AccessOperation,
    EffectiveAccess,
    Grant,
    GrantRequest,
    find_account_conflict,
    load_grants,
)
from minimize.access.model import (
    AccessRules,
    RoleAssignment,
    UserAccount,
    account_of_actor,
    find_access_file,
    load_access,
    parse_access,
    required_access_file,
)
from minimize.access.permissions import APPROVE, ASSIGN, BREAK_GLASS, REIDENTIFY, REQUEST, TenantSet
from minimize.access.roles import AccessRole
from minimize.errors import AccessDenied, LedgerError, PolicyError, RefusalReason, RefusedError
from minimize.governance.access_explain import assignment_lines, role_lines, unknown_columns
from minimize.governance.incident_steps import IncidentStatus
from minimize.identifiers import canonical_text
from minimize.ledger import Actor, AuditEvent, current_actor
from minimize.ledger.acts import ActReader, Decision, NewAct
from minimize.ledger.audit_event import PlainValue, utc_text
from minimize.ledger.kinds import ACCESS_ADOPTION, GRANT, INCIDENT, AccessAdoption, GrantAct, IncidentStep
from minimize.plan.model import Category
from minimize.results import UNCHANGED, JsonResult, json_member
from minimize.techniques.redact import Redact
from minimize.text import count_noun
from minimize.times import time_text
from minimize.workspace import Workspace


def grant_event(
    verb: str, act: GrantAct, request: GrantRequest | None, reasons: Sequence[RefusalReason] = ()
) -> AuditEvent:
    """The audit event of an operation on a grant, refused if reasons are given. Only the grant stores the justification."""
    properties: dict[str, PlainValue] = {"reasons": comma_list(each.code for each in reasons)}
    if request is not None:
        properties |= {
            "incident": request.incident,
            "dataset": request.dataset,
            "operation": request.operation,
            "columns": comma_list(request.columns or ()),
            "category": request.category,
            "tenants": comma_list(request.tenants),
            "duration_s": int(request.duration.total_seconds()),
            "role": request.role or None,
        }
    return GRANT.event(
        verb,
        act,
        result="refused" if reasons else "success",
        properties={each.name: each.new for each in property_changes(properties)},
        tenants=() if request is None else request.tenants,
    )


def reason_against_incident(acts: ActReader, request: GrantRequest) -> RefusalReason | None:
    """The reason why the incident of a request permits no grant. None if it is open and concerns all tenants of the request.

    Raises LedgerError for an incident that no known key signed.
    """
    incident = IncidentStatus.find(acts, request.incident)
    if incident is None:
        hint = "Open it with `minimize incident open ID --kind support`, or run `minimize incident list`."
        return reason("unknown_incident", about=request.incident, hint=hint)
    if not incident.is_open:
        return reason("closed_incident", about=request.incident, hint="Open a new incident for the new ticket.")
    if not set(request.tenants) <= incident.tenants:
        hint = "Name an incident of this tenant. A privacy incident concerns the tenants of its latest scope."
        return reason("other_tenant", about=request.incident, hint=hint)
    return None


def break_glass_incident(acts: ActReader, grant: str, request: GrantRequest, at: datetime) -> IncidentStep:
    """The step that opens the support incident of break-glass access. It names the grant that must be reviewed.

    The incident has the name in the request. If that is empty or exists already, the incident is numbered, and the name in the
    request becomes its reference.
    """
    requested_name = request.incident.strip()
    names = chain([requested_name] if requested_name else [], (f"break-glass-{number}" for number in count(1)))
    name = next(each for each in names if IncidentStatus.find(acts, each) is None)
    body = {
        "kind": "support",
        "title": f"Break-glass access to {request.dataset}",
        "tenants": list(request.tenants),
        "reference": f"grant {grant}" if requested_name in ("", name) else requested_name,
        "break_glass_grant": grant,
        "happened": [time_text(at), None],
        "known_at": time_text(at),
        "exposed": [],
    }
    return IncidentStep(name, "opened", current_actor().user or "", body, at)


def reviewed_incident(acts: ActReader, grant: Grant, at: datetime) -> list[IncidentStep]:
    """The step that records the review of a grant with the incident that it opened. Empty if it opened none."""
    incident = IncidentStatus.find(acts, grant.request.incident)
    if incident is None or incident.break_glass_grant != grant.id:
        return []
    return [IncidentStep(grant.request.incident, "reviewed", current_actor().user or "", {"grant": grant.id}, at)]


def end_incident_grants(acts: ActReader, incident: str, at: datetime) -> tuple[list[NewAct], list[AuditEvent]]:
    """The acts and audit events that end all requests and grants of an incident, which is closed in the same decision."""
    ended = [
        each
        for each in load_grants(acts).all_grants
        if each.request.incident == incident and each.state(max(at, each.requested_at)) in ("requested", "active")
    ]
    actor, body = current_actor(), {"note": "the incident was closed"}
    revocations = [_grant_act(each.id, "revoked", actor, at, body) for each in ended]
    events = [grant_event("revoke", act, each.request) for act, each in zip(revocations, ended, strict=True)]
    return GRANT.acts(revocations), events


log = logging.getLogger("minimize")
_SECOND: Final = timedelta(seconds=1)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class NewGrant:
    """A new request: incident, justification, dataset, tenants, columns and duration."""

    incident: str
    """The incident in the ledger. Break-glass access opens a new incident with this name, which may be empty."""
    justification: str
    dataset: str
    tenants: tuple[str, ...]
    columns: tuple[str, ...] | None = None
    """Requested columns; None to request all columns up to `category`."""
    category: Category | None = None
    duration: timedelta | None = None
    """None for the default of the access file."""
    operation: AccessOperation = "read"


def check_new_grant(grant: NewGrant, *, break_glass: bool) -> None:
    """Raises PolicyError for a request that is incomplete or too broad."""
    faults = {
        "--incident INCIDENT": not break_glass and not grant.incident.strip(),
        "a reason": not grant.justification.strip(),
        "the dataset": not grant.dataset.strip("/ "),
        "--tenant TENANT, by name": not all(map(canonical_text, grant.tenants))
        or not grant.tenants
        or "all" in grant.tenants,
        "either --field FIELD or --category CATEGORY": (not grant.columns) == (grant.category is None),
        "--for with a duration in whole seconds": grant.duration is not None
        and (grant.duration < _SECOND or grant.duration % _SECOND != timedelta(0)),
    }
    missing = [what for what, is_so in faults.items() if is_so]
    if missing:
        hint = f"Pass {', and '.join(missing)}. Request only access that the incident needs."
        raise PolicyError("the request is incomplete or too broad", hint=hint)


def resolve_grant_request(holding: EffectiveAccess, grant: NewGrant, *, break_glass: bool) -> GrantRequest:
    """Resolves a request by a role that permits it. Raises AccessDenied if no role does, or if the duration is too long."""
    rules = holding.access.grants
    longest = rules.break_glass.maximum if break_glass else rules.maximum
    duration = grant.duration or min(rules.default, longest)
    if duration > longest:
        raise _request_denied("too_long", hint=f"Request at most {longest / _HOUR:g}h.")
    if find_account_conflict(holding.access, holding.account) is not None:
        raise _request_denied("conflict")
    name = BREAK_GLASS if break_glass else REQUEST
    eligible = next(_eligible_assignments(holding, grant, name), None)
    if eligible is None:
        has_role = any(role.has(name) for _, role in holding.access.assignments_of(holding.account))
        raise _request_denied("out_of_scope" if has_role else "nobody")
    assignment, role = eligible
    groups = set() if holding.account.user in assignment.members.users else holding.access.groups_of(holding.account)
    return grant_request_from(grant, duration, role.name, tuple(sorted(groups & set(assignment.members.groups))))


def grant_request_from(
    grant: NewGrant, duration: timedelta, role: str = "", groups: tuple[str, ...] = ()
) -> GrantRequest:
    """The request as the ledger stores it: without duplicate names, and with personal data in the justification redacted."""
    return GrantRequest(
        incident=grant.incident,
        justification=redact_text(grant.justification),
        dataset=grant.dataset,
        tenants=tuple(dict.fromkeys(map(canonical_text, grant.tenants))),
        duration=grant.duration or duration,
        columns=None if grant.columns is None else tuple(dict.fromkeys(grant.columns)),
        category=grant.category,
        operation=grant.operation,
        role=role,
        groups=groups,
    )


def redact_text(text: str) -> str:
    """Replaces addresses, numbers and similar data in a text by placeholders. Does not detect names of people.

    >>> redact_text("ann@example.com called from 203.0.113.7")
    '[email] called from [ip]'
    """
    return Redact().redact_text(text)


def _eligible_assignments(
    holding: EffectiveAccess, grant: NewGrant, name: str
) -> Iterator[tuple[RoleAssignment, AccessRole]]:
    """The assignments that permit the whole request."""
    tenants = TenantSet.from_names(*grant.tenants)
    refused = holding.denied_tenants(name, grant.dataset, None, grant.category)
    reversing = grant.operation == "read" or tenants <= holding.allowed_tenants(REIDENTIFY, grant.dataset)
    for assignment, role, _ in holding.allowing_assignments(name, grant.dataset, None, grant.category):
        if reversing and tenants <= assignment.scope.tenants - refused:
            yield assignment, role


def _request_denied(rule: str, hint: str = "") -> AccessDenied:
    return AccessDenied("the request is refused", reasons=[reason(rule, hint=hint)])


GrantVerb = Literal["approve", "deny", "revoke", "review"]
_STATE_BY_VERB: Final = {"approve": "approved", "deny": "denied", "revoke": "revoked", "review": "reviewed"}


def request_grant(grant: NewGrant, workspace: Workspace, at: datetime, *, break_glass: bool = False) -> Grant:
    """Requests access for an open incident, as the current actor (`MINIMIZE_ACTOR`).

    With `break_glass`, opens the access at once, together with a support incident of its own, which must be reviewed.
    Returns the grant. Raises PolicyError for an incomplete request; AccessDenied for a request that no role permits, or whose
    incident is unknown, closed or does not concern its tenants; LedgerError, KeyringError. Records the request or its refusal in
    the audit log. Warns of columns that the dataset lacks.
    """
    access, actor = workspace.required_access, current_actor()
    name, accounts = str(uuid4()), access.accounts(actor.user or "")
    check_new_grant(grant, break_glass=break_glass)

    def decide(acts: ActReader) -> Decision[GrantAct]:
        if break_glass and any(
            each.review(at) == "overdue" for each in load_grants(acts).all_grants if each.requester in accounts
        ):
            hint = "Ask a reviewer to run `minimize access review`."
            raise AccessDenied("the request is refused", reasons=[reason("unreviewed", hint=hint)])
        request = resolve_grant_request(
            EffectiveAccess(access, account_of_actor(actor), at), grant, break_glass=break_glass
        )
        steps = list[IncidentStep]()
        if break_glass:
            steps = [break_glass_incident(acts, name, request, at)]
            request = replace(request, incident=steps[0].incident)
        elif (objection := reason_against_incident(acts, request)) is not None:
            raise AccessDenied("the request is refused", reasons=[objection])
        state = "broke_glass" if break_glass else "requested"
        body = {"asked": request.to_json(), **_grant_deadlines(access, request, at, break_glass)}
        return _grant_decision(verb, _grant_act(name, state, actor, at, body), request, steps)

    verb = "break_glass" if break_glass else "request"
    recorded = _record_decision(
        verb, name, decide, workspace, actor, at, grant_request_from(grant, access.grants.default)
    )
    for column, hint in unknown_columns(grant.dataset, grant.columns or (), workspace).items():
        log.warning("`%s` has no column `%s` (%s)", grant.dataset, column, hint, extra={"code": "W027"})
    return recorded


def answer_grant(verb: GrantVerb, grant: str, workspace: Workspace, at: datetime, *, note: str = "") -> Grant:
    """Approves, denies, revokes or reviews a grant, as the current actor.

    Takes the id of the grant or its unique beginning, and a note to record. Revoking one's own grant requires no permission.
    Returns the grant. Raises PolicyError for an unknown grant, AccessDenied if the account lacks the permission, the operation
    does not apply to the grant's state, or the incident of a grant to approve is not open; LedgerError, KeyringError. Records
    the operation or its refusal in the audit log.
    """
    access, actor = workspace.required_access, current_actor()
    holding = EffectiveAccess(access, account_of_actor(actor), at)

    def decide(acts: ActReader) -> Decision[GrantAct]:
        named_grant = load_grants(acts).find(grant)
        if named_grant is None:
            raise PolicyError(f"there is no grant `{grant}`", hint="Run `minimize access list`.")
        objection = _reason_against_act(verb, named_grant, holding)
        if objection is None and verb == "approve":
            objection = reason_against_incident(acts, named_grant.request)
        if objection is not None:
            raise _GrantActRefused(named_grant, objection)
        body: dict[str, str | None] = {"note": redact_text(note)} if note else {}
        if verb == "deny":
            body |= {"role": _approving_role(named_grant, holding)}
        if verb == "approve":
            ends = at + named_grant.request.duration
            body |= {
                "ends_at": utc_text(ends),
                "up_to": holding.highest_category(APPROVE, named_grant.request.dataset, named_grant.tenants),
                "access": access.digest,
            }
        steps = reviewed_incident(acts, named_grant, at) if verb == "review" else []
        return _grant_decision(
            verb, _grant_act(named_grant.id, _STATE_BY_VERB[verb], actor, at, body), named_grant.request, steps
        )

    return _record_decision(verb, grant, decide, workspace, actor, at)


@dataclass(frozen=True, slots=True)
class ExpiredGrants:
    """The grants that were marked as expired, and the time."""

    grants: tuple[Grant, ...]
    at: datetime

    def to_json(self) -> dict[str, Any]:
        """The grants, with their state at the time."""
        return {"expired": [each.to_json(self.at) for each in self.grants]}

    def lines(self) -> Iterator[str]:
        """The number of grants."""
        yield f"{count_noun(len(self.grants), 'grant')} marked as expired"


def expire_grants(workspace: Workspace, at: datetime) -> ExpiredGrants:
    """Marks unanswered requests and expired access in the ledger. They are already unusable before they are marked.

    Raises LedgerError, KeyringError.
    """
    actor = current_actor()

    def decide(acts: ActReader) -> Decision[tuple[Grant, ...]]:
        grants = load_grants(acts).all_grants
        over = [each for each in grants if each.state(at) == "expired" and not _is_marked_expired(each)]
        new = [_grant_act(each.id, "expired", actor, at, {}) for each in over]
        events = [grant_event("expire", act, each.request) for act, each in zip(new, over, strict=True)]
        return Decision(tuple(over), GRANT.acts(new), events)

    with workspace.open_ledger(signs=True) as ledger:
        return ExpiredGrants(ledger.record(decide), at)


@dataclass(eq=False)
class _GrantActRefused(Exception):
    """A refused operation on a grant, inside the ledger transaction."""

    grant: Grant
    reason: RefusalReason


def _grant_decision(
    verb: str, act: GrantAct, request: GrantRequest, steps: Sequence[IncidentStep]
) -> Decision[GrantAct]:
    """A decision that records an operation on a grant, and steps of its incident."""
    acts = [*map(INCIDENT.act, steps), GRANT.act(act)]
    events = [*(INCIDENT.event(step.step, step) for step in steps), grant_event(verb, act, request)]
    return Decision(act, acts, events)


def _record_decision(
    verb: str,
    name: str,
    decide: Callable[[ActReader], Decision[GrantAct]],
    workspace: Workspace,
    actor: Actor,
    at: datetime,
    wished: GrantRequest | None = None,
) -> Grant:
    """Records an operation on a grant. If it is refused, records the refusal in the audit log and raises it."""
    with workspace.open_ledger(create=True, signs=True) as ledger:
        grant, request = name, wished
        reasons: tuple[RefusalReason, ...] = ()
        try:
            recorded = ledger.record(decide)
        except _GrantActRefused as refused:
            grant, request, reasons = refused.grant.id, refused.grant.request, (refused.reason,)
        except AccessDenied as error:
            reasons = error.reasons
        if not reasons:
            return next(each for each in load_grants(ledger).all_grants if each.id == recorded.grant)
        event = grant_event(verb, _grant_act(grant, verb, actor, at, {}), request, reasons)
        ledger.record_event(event)
    raise AccessDenied(f"{actor.user} may not {verb.replace('_', ' ')} this", reasons=reasons)


def _grant_act(grant: str, state: str, actor: Actor, at: datetime, body: dict[str, Any]) -> GrantAct:
    return GrantAct(grant, state, actor.user or "", body, at)


def _grant_deadlines(access: AccessRules, request: GrantRequest, at: datetime, break_glass: bool) -> dict[str, str]:
    """The deadline for an answer; for break-glass access, its end and the deadline of its review."""
    rules = access.grants
    if not break_glass:
        return {"answer_by": utc_text(at + rules.unanswered), "access": access.digest}
    times = {"ends_at": at + request.duration, "review_by": at + rules.break_glass.review_within}
    return {**{name: utc_text(time) for name, time in times.items()}, "access": access.digest}


def _reason_against_act(verb: GrantVerb, grant: Grant, holding: EffectiveAccess) -> RefusalReason | None:
    """The reason against an operation on a grant. None if it is allowed."""
    if find_account_conflict(holding.access, holding.account) is not None:
        return reason("conflict")
    is_requester = holding.account.user == grant.requester
    if not (verb == "revoke" and is_requester):
        permission = APPROVE if verb in ("approve", "deny") else f"grant/{verb}"
        allowed = holding.allowed_tenants(permission, grant.request.dataset, grant.request.category)
        reaches = (
            permission != APPROVE or holding.highest_category(APPROVE, grant.request.dataset, grant.tenants) is not None
        )
        if not (grant.tenants <= allowed and reaches):
            return reason("nobody" if allowed.is_empty else "out_of_scope")
        if verb != "revoke" and not holding.access.are_separate(holding.account.user, grant.requester):
            return reason("not_separate")
    return (
        None
        if _is_allowed_in_state(verb, grant, holding.time)
        else reason("does_not_follow", about=grant.state(holding.time) or "")
    )


def _approving_role(grant: Grant, holding: EffectiveAccess) -> str | None:
    """The role that permits an account to answer a request."""
    allowing = holding.allowing_assignments(APPROVE, grant.request.dataset, category=grant.request.category)
    return next((role.name for _, role, _ in allowing), None)


def _is_allowed_in_state(verb: GrantVerb, grant: Grant, at: datetime) -> bool:
    if verb == "review":
        return grant.review(at) in ("due", "overdue")
    return grant.state(at) in (("requested", "active") if verb == "revoke" else ("requested",))


def _is_marked_expired(grant: Grant) -> bool:
    return any(act.state == "expired" for act in grant.acts)


@dataclass(frozen=True, slots=True)
class AccessChange(JsonResult):
    """The effect of adopting an access file: added and removed roles and assignments. Empty if the file is in force already.

    `adopted` is whether the file is in force now.
    """

    digest: str
    before: str | None
    added: tuple[str, ...] = field(default=(), metadata=json_member(earlier="comes"))
    removed: tuple[str, ...] = field(default=(), metadata=json_member(earlier="goes"))
    adopted: bool = False

    @property
    def is_needed(self) -> bool:
        """Whether the file is not in force yet."""
        return self.digest != self.before

    def lines(self) -> Iterator[str]:
        """The changes, and whether they were adopted."""
        yield from (f"+ {line}" for line in self.added)
        yield from (f"- {line}" for line in self.removed)
        if not self.is_needed:
            yield "nothing to do: the access file is already adopted"
        else:
            yield "adopted" if self.adopted else UNCHANGED


def adopt_access(workspace: Workspace, at: datetime, *, yes: bool = False) -> AccessChange:
    """Adopts the current access file, as the current actor. Without `yes`, only returns the changes.

    The actor must be permitted to assign roles by the file in force (at the first adoption: by the new file), and must not gain
    roles or lose restrictions. Raises AccessDenied, PolicyError for a file with faults, LedgerError, KeyringError. Records the
    adoption or its refusal in the audit log.
    """
    file, actor = required_access_file(workspace.folder), current_actor()
    content = file.read_bytes()
    new = parse_access(content, file)
    with workspace.open_ledger(create=True, signs=True) as ledger:
        in_force, known = access_in_force(new, ledger, to_replace=True), last_adoption(ledger)
        change = _access_change(None if known is None else in_force, new, None if known is None else known.digest)
        if not yes or not change.is_needed:
            return change
        if known is None:
            _check_first_adoption(workspace, new)
        decision = decide_permission(in_force, account_of_actor(actor), ASSIGN, at)
        event = decision_event(decision, actor=actor, about=new.digest)
        objections = _reasons_against_adoption(
            decision.reasons if not decision.allowed else (), in_force, new, account_of_actor(actor)
        )
        if not objections:
            adoption = AccessAdoption(content.decode(), actor.user or "", at)

            def decide(acts: ActReader) -> Decision[AccessChange]:
                last = last_adoption(acts)
                if (None if last is None else last.digest) != change.before:
                    message = "another file was adopted in the meantime"
                    raise LedgerError(message, hint="Review the changes and adopt again.")
                return Decision(replace(change, adopted=True), [ACCESS_ADOPTION.act(adoption)], [event])

            return ledger.record(decide)
        ledger.record_event(replace(event, result="refused"))
    raise AccessDenied(
        f"{actor.user} may not adopt this file",
        reasons=objections,
        hint=f"Ask a person with the permission `{ASSIGN}`.",
    )


def _check_first_adoption(workspace: Workspace, new: AccessRules) -> None:
    """Raises RefusedError for a file that is not that of every output of the ledger: adopted, it would decide for them all."""
    for authority in workspace.authorities(decides=True):
        file = find_access_file(authority.folder)
        if file is None or load_access(file).digest != new.digest:
            raise RefusedError(
                f"an output of the ledger has other access rules, found from {authority.folder}; nothing was adopted",
                code="E302",
                hint="Adopt the access file of that configuration, from its folder.",
            )


def _access_change(before: AccessRules | None, new: AccessRules, digest: str | None) -> AccessChange:
    old = set() if before is None else {*role_lines(before), *assignment_lines(before)}
    now = {*role_lines(new), *assignment_lines(new)}
    return AccessChange(new.digest, digest, tuple(sorted(now - old)), tuple(sorted(old - now)), new.digest == digest)


def _reasons_against_adoption(
    reasons: Sequence[RefusalReason], before: AccessRules, new: AccessRules, account: UserAccount
) -> tuple[RefusalReason, ...]:
    """The reasons against adopting a file: a denial, or that the actor would gain roles or lose restrictions."""
    gains = _roles_of_person(new, account) - _roles_of_person(before, account)
    losses = _roles_of_person(before, account, restricting=True) - _roles_of_person(new, account, restricting=True)
    about = "the file gives a role to the person who adopts it, or ends a denial or view of theirs"
    return (*reasons, *((reason("not_separate", about=about),) if gains or losses else ()))


def _roles_of_person(access: AccessRules, account: UserAccount, *, restricting: bool = False) -> set[str]:
    """The roles of a person, each with its content and scope; with `restricting`, those that have a denial or a view."""
    return {
        f"{role.model_dump(exclude={'line'})!r} {each.scope!r}"
        for each, role in access.assignments_of_person(account)
        if not restricting or role.deny or any(one.views for one in role.lineage)
    }
