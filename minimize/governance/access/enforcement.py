"""Access enforcement: audit events, the access file in force, and the permission check before a command.

Audit events hold names, rules and counts, and no values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from minimize.errors import AccessDenied, RefusalReason
from minimize.governance.access.decision import AccessDecision, decide_permission
from minimize.governance.access.grants import Grants
from minimize.governance.access.load import find_access_file, load_access, parse_access, required_access_file
from minimize.governance.access.model import AccessRules, UserAccount
from minimize.governance.workspace import Workspace
from minimize.keys import Verifier
from minimize.ledger import Actor, AuditActivity, AuditEvent, PropertyChange, Resource, api, current_actor
from minimize.ledger.audit_event import EventResult, PlainValue

if TYPE_CHECKING:
    from minimize.governance.access.grants import GrantRequest
    from minimize.ledger.ledger import Ledger

_DECISION_ACTIVITY: Final = AuditActivity("decision", component="access", category="access")
_GRANT_ACTIVITY: Final = AuditActivity("grant", component="access", category="access")
LONGEST_NAME: Final = 200
"""So many characters of a name that somebody gave are told."""


def decision_event(
    decision: AccessDecision, *, actor: Actor | None = None, about: str | None = None, rows: int | None = None
) -> AuditEvent:
    """A decision, as the audit log is told of it.

    Takes who acted (else the account), what it was about where that is no dataset, and how many rows were seen.
    """
    who = actor or Actor("user", decision.roles, application="minimize", user=_shorten(decision.account.user))
    name = _shorten(about or decision.dataset or decision.permission)
    kind = "dataset" if decision.dataset else decision.permission.partition("/")[0]
    said: dict[str, PlainValue] = {
        "reasons": _comma_list(dict.fromkeys(decision.codes)),
        "access": decision.digest or None,
        "purpose": decision.purpose,
        "incident": decision.incident,
        "grants": _comma_list(decision.grants),
        "columns": _comma_list(decision.columns),
        "tenants": None if not decision.columns else str(decision.tenants),
        "rows": rows,
        "break_glass": decision.break_glass or None,
    }
    return _DECISION_ACTIVITY.event(
        decision.permission,
        who,
        decision.decided_at,
        Resource(name, kind, f"{kind}/{name}", _property_changes(said)),
        result="success" if decision.allowed else "refused",
        correlation_id=decision.grant or _shorten(decision.incident or "") or None,
    )


def grant_event(
    verb: str,
    actor: Actor,
    at: datetime,
    grant: str,
    request: GrantRequest | None,
    reasons: Sequence[RefusalReason] = (),
) -> AuditEvent:
    """An act about a grant; refused where there are reasons against it. Its justification stays in the grant."""
    said: dict[str, PlainValue] = {"reasons": _comma_list(each.code for each in reasons)}
    if request is not None:
        said |= {
            "incident": request.incident,
            "dataset": request.dataset,
            "operation": request.operation,
            "columns": _comma_list(request.columns or ()),
            "category": request.category,
            "tenants": _comma_list(request.tenants),
            "duration_s": int(request.duration.total_seconds()),
            "role": request.role or None,
        }
    resource = Resource(grant, "grant", f"grants/{grant}", _property_changes(said))
    result: EventResult = "refused" if reasons else "success"
    return _GRANT_ACTIVITY.event(verb, actor, at, resource, result=result, correlation_id=grant)


def _property_changes(document: dict[str, PlainValue]) -> tuple[PropertyChange, ...]:
    cut = {name: _shorten(value) if isinstance(value, str) else value for name, value in document.items()}
    return tuple(PropertyChange(name, None, value) for name, value in cut.items() if value is not None)


def _comma_list(names: Iterable[str]) -> str | None:
    return ", ".join(names) or None


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…"


def configured_access(workspace: Workspace) -> AccessRules | None:
    """What the access file of a house says; None where none is configured. Once one was adopted, the one that was adopted last.

    Raises PolicyError for a file that is not there or has faults; where one was adopted, LedgerError and KeyringError.
    """
    return None if find_access_file(workspace.folder) is None else required_access(workspace)


def required_access(workspace: Workspace) -> AccessRules:
    """The same, where nothing can be done without one. Raises PolicyError."""
    access = load_access(required_access_file(workspace.folder))
    if not workspace.address.exists:
        return access
    with workspace.open_ledger() as ledger:
        return access_in_force(access, ledger, workspace.keyring()) if api.access.count_adoptions(ledger) else access


def access_in_force(access: AccessRules, ledger: Ledger, verifier: Verifier) -> AccessRules:
    """What counts by an open ledger: the file as it is, while nothing was adopted; else what was adopted last.

    Raises LedgerError for an adoption that is not signed by a key that the verifier knows.
    """
    adopted = api.access.last_adoption(ledger, verifier)
    if adopted is None or adopted.digest == access.digest:
        return access
    return parse_access(adopted.content.encode(), access.path or "access.yaml")


def account_of_actor(actor: Actor) -> UserAccount:
    """The account of whoever acts here. Nobody vouches for its groups but the file."""
    return UserAccount(actor.user or "")


def load_grants(ledger: Ledger, verifier: Verifier) -> Grants:
    """The grants of an open ledger. Raises LedgerError, also where an act is not signed by a key that the verifier knows."""
    return Grants(tuple(api.access.read_grant_acts(ledger, verifier)))


def require_permission(
    permission: str,
    workspace: Workspace,
    at: datetime,
    *,
    tenant: str | None = None,
    dataset: str | None = None,
    about: str | None = None,
) -> AccessDecision | None:
    """Lets whoever acts here (`MINIMIZE_ACTOR`) through, or raises; the audit log is told in either case.

    Takes the permission, where the house's things are, the time, and the tenant or dataset that it is about (neither: all of
    them); `about` names it in the log. Gives the decision; None where no access file is configured, and nobody is asked.
    Raises AccessDenied, PolicyError for an access file that is not there or has faults, LedgerError, KeyringError.
    """
    access = configured_access(workspace)
    if access is None:
        return None
    actor = current_actor()
    decision = decide_permission(access, account_of_actor(actor), permission, at, tenant=tenant, dataset=dataset)
    event, keys = decision_event(decision, actor=actor, about=about or tenant), workspace.keyring()
    with workspace.open_ledger(create=True) as ledger:
        api.audit_log.record_audit_event(ledger, event, keys)
    if not decision.allowed:
        hint = f"minimize access why {actor.user} {permission}"
        raise AccessDenied(f"{actor.user} may not do this", reasons=decision.reasons, hint=hint)
    return decision
