"""Access enforcement: audit events, the access file in force, the permission check before a command, and its tenants.

Audit events contain names, rules and counts, and no values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

from minimize.access.decision import AccessDecision, decide_permission
from minimize.access.entitlements import EffectiveAccess
from minimize.access.model import AccessRules, UserAccount
from minimize.access.permissions import (
    ALL_TENANTS,
    PERMISSIONS,
    RULES_REQUIRED,
    TenantSet,
    common_tenants,
    is_ledger_wide,
)
from minimize.config import load_config
from minimize.errors import AccessDenied, LedgerError, MinimizeError, RefusalReason, RefusedError
from minimize.governance.access.grants import Grants
from minimize.governance.access.load import find_access_file, load_access, parse_adopted, required_access_file
from minimize.keys import Verifier
from minimize.ledger import Actor, AuditActivity, AuditEvent, PropertyChange, Resource, current_actor
from minimize.ledger.access import ACCESS_ADOPTION, GRANT, AccessAdoption
from minimize.ledger.acts import ActReader, UntrustedActError
from minimize.ledger.audit_event import EntryFilter, EventResult, PlainValue, application_name, use_permissions
from minimize.plan.model import Category
from minimize.times import utc_now
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.governance.access.grants import GrantRequest
    from minimize.ledger.ledger import Ledger

T = TypeVar("T")
_DECISION_ACTIVITY: Final = AuditActivity("decision", component="access", category="access")
_GRANT_ACTIVITY: Final = AuditActivity("grant", component="access", category="access")
LONGEST_NAME: Final = 200
"""Maximum length of a caller's name in an audit event, in characters."""


def decision_event(
    decision: AccessDecision,
    *,
    actor: Actor | None = None,
    about: str | None = None,
    rows: int | None = None,
    tenant: str | None = None,
) -> AuditEvent:
    """The audit event of a decision.

    Takes the actor (else the account), the resource if it is not a dataset, the number of rows read, and the tenant if the
    decision concerns one alone (else that of the rows).
    """
    who = actor or Actor("user", decision.account_permissions, application_name(), shorten_name(decision.account.user))
    name = shorten_name(about or decision.dataset or decision.permission)
    kind = "dataset" if decision.dataset else decision.permission.partition("/")[0]
    properties: dict[str, PlainValue] = {
        "reasons": comma_list(dict.fromkeys(decision.codes)),
        "access": decision.digest or None,
        "purpose": decision.purpose,
        "incident": decision.incident,
        "grants": comma_list(decision.grants),
        "columns": comma_list(decision.columns),
        "tenants": None if not decision.columns else str(decision.tenants),
        "rows": rows,
        "break_glass": decision.break_glass or None,
    }
    return _DECISION_ACTIVITY.event(
        decision.permission,
        who,
        decision.decided_at,
        Resource(name, kind, f"{kind}/{name}", property_changes(properties)),
        result="success" if decision.allowed else "refused",
        correlation_id=decision.grant or shorten_name(decision.incident or "") or None,
        tenant=tenant or (decision.tenants.only_name if decision.columns else None),
    )


def grant_event(
    verb: str,
    actor: Actor,
    at: datetime,
    grant: str,
    request: GrantRequest | None,
    reasons: Sequence[RefusalReason] = (),
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
    resource = Resource(grant, "grant", f"grants/{grant}", property_changes(properties))
    result: EventResult = "refused" if reasons else "success"
    tenant = request.tenants[0] if request is not None and len(request.tenants) == 1 else None
    return _GRANT_ACTIVITY.event(verb, actor, at, resource, result=result, correlation_id=grant, tenant=tenant)


def property_changes(document: dict[str, PlainValue]) -> tuple[PropertyChange, ...]:
    cut = {name: shorten_name(value) if isinstance(value, str) else value for name, value in document.items()}
    return tuple(PropertyChange(name, None, value) for name, value in cut.items() if value is not None)


def comma_list(names: Iterable[str]) -> str | None:
    return ", ".join(names) or None


def shorten_name(text: str) -> str:
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…"


def configured_access(workspace: Workspace) -> AccessRules | None:
    """The access rules in force: those of the configured file or, after an adoption, the latest adopted version.

    None if no file is configured and the ledger has no adoption. Raises PolicyError for a missing or faulty file; LedgerError and
    KeyringError after an adoption.
    """
    return _adopted_access(workspace) if find_access_file(workspace.folder) is None else required_access(workspace)


def _adopted_access(workspace: Workspace) -> AccessRules | None:
    """The access rules that were adopted in the ledger of the workspace. None without a ledger or an adoption.

    They are in force for a configuration without access file, too. Otherwise `access: off`, or another folder, would end them.
    """
    try:
        is_there = workspace.address.exists
    except LedgerError:  # no ledger is configured
        is_there = False
    if not is_there:
        return None
    with workspace.open_ledger() as ledger:
        if not ledger.last_id(ACCESS_ADOPTION):
            return None
        adopted = last_adoption(ledger, workspace.keyring())
    return None if adopted is None else parse_adopted(adopted.content.encode(), "access.yaml")


def required_access(workspace: Workspace) -> AccessRules:
    """The configured access rules. Raises PolicyError if no access file is configured."""
    access = load_access(required_access_file(workspace.folder))
    if not workspace.address.exists:
        return access
    with workspace.open_ledger() as ledger:
        return access_in_force(access, ledger, workspace.keyring()) if ledger.last_id(ACCESS_ADOPTION) else access


def access_in_force(
    access: AccessRules, ledger: Ledger, verifier: Verifier, *, to_replace: bool = False
) -> AccessRules:
    """The access rules in force: the current file before the first adoption, then the latest adopted version.

    `to_replace` is for the decision who may adopt another one. Raises LedgerError for an adoption without a valid signature by a
    known key, and PolicyError for one with faults.
    """
    adopted = last_adoption(ledger, verifier)
    if adopted is None or adopted.digest == access.digest:
        return access
    return parse_adopted(adopted.content.encode(), access.path or "access.yaml", to_replace=to_replace)


def last_adoption(acts: ActReader, verifier: Verifier) -> AccessAdoption | None:
    """The adoption in force, or None. Raises LedgerError if an adoption is not signed by a known key."""
    found = acts.find(ACCESS_ADOPTION, verifier=verifier)
    return found[-1] if found else None


def account_of_actor(actor: Actor) -> UserAccount:
    """The account of an actor. Its groups come from the access file only."""
    return UserAccount(actor.user or "")


def load_grants(acts: ActReader, verifier: Verifier) -> Grants:
    """Reads the grants of a ledger. Raises LedgerError, also if an entry has no valid signature by a known key."""
    return Grants(tuple(acts.find(GRANT, verifier=verifier)))


def require_permission(
    permission: str,
    workspace: Workspace,
    at: datetime,
    *,
    tenant: str | None = None,
    dataset: str | None = None,
    category: Category | None = None,
    about: str | None = None,
    any_ledger: bool = False,
    changed_ledger: bool = False,
) -> AccessDecision | None:
    """Checks that the current actor (`MINIMIZE_ACTOR`) has a permission, and records the decision in the audit log.

    `tenant`, `dataset` and its `category` limit the check; without them, it concerns all of them. `about` names the resource in
    the log. The rules of each shown output of the workspace decide, and the log of its ledger has the decision. `any_ledger`
    accepts another ledger than that of a shown output. `changed_ledger` is for a command that checks the ledger: the configured
    access file decides if the acts cannot be proven. The decision is then not recorded, because nothing is recorded in such a
    ledger.
    Returns the decision, or None if no access file is configured or adopted. Everything is then allowed, except operations that
    require access rules: they need `access: off` in the configuration.
    Raises AccessDenied, RefusedError (R010; E303 for another ledger than that of a shown output), PolicyError for a missing or
    faulty access file, LedgerError, KeyringError.
    """
    decisions = [
        _require(
            permission,
            each,
            at,
            tenant=tenant,
            dataset=dataset,
            category=category,
            about=about,
            changed_ledger=changed_ledger,
        )
        for each in workspace.authorities(any_ledger=any_ledger, decides=is_ledger_wide(permission))
    ]
    return decisions[0]


def is_permitted(permission: str, workspace: Workspace, at: datetime, *, dataset: str, category: Category) -> bool:
    """Whether the current actor has a permission for all tenants of a dataset of this category. Nothing is recorded.

    For a part of a result that is left out without it. False if the rules in force cannot be determined.
    """
    try:
        rules = [configured_access(each) for each in workspace.authorities()]
    except MinimizeError:
        return False
    account = account_of_actor(current_actor())
    decisions = (
        decide_permission(each, account, permission, at, dataset=dataset, category=category)
        for each in rules
        if each is not None
    )
    return all(decision.allowed for decision in decisions)


def readable_tenants(
    permission: str, workspace: Workspace, at: datetime, *, tenant: str | None = None, about: str | None = None
) -> TenantSet:
    """The tenants whose entries the current actor may read, by a permission to read. The decision is recorded.

    All tenants if no access file is configured or adopted and the permission does not require one. With `tenant`, this tenant
    must be among them. Raises like `require_permission`, also for an account that may read the entries of no tenant.
    """
    decisions = [
        _require(permission, each, at, tenant=tenant, about=about, any_tenant=True)
        for each in workspace.authorities(decides=is_ledger_wide(permission))
    ]
    return common_tenants(ALL_TENANTS if each is None else each.tenants for each in decisions)


def entries_in_scope(
    entries: Iterable[T], tenants: TenantSet, tenants_of_entry: Callable[[T], Collection[str]]
) -> list[T]:
    """The entries that an account may see whose scope has these tenants.

    An account without all tenants sees entries that concern exactly one tenant, if this tenant is in scope.
    """
    if tenants.is_all:
        return list(entries)
    named = ((entry, tenants_of_entry(entry)) for entry in entries)
    return [entry for entry, names in named if len(names) == 1 and next(iter(names)) in tenants]


def audit_entries_in_scope(entry_filter: EntryFilter, tenants: TenantSet) -> EntryFilter:
    """The filter of audit entries, limited to the entries that an account may see whose scope has these tenants."""
    if tenants.is_all:
        return entry_filter
    if tenants.complement:
        return replace(entry_filter, other_tenants=tenants.names)
    return replace(entry_filter, tenants=tenants.names)


def record_permissions(workspace: Workspace) -> None:
    """Lets later audit events record the permissions of their actor. The access file is read when one is recorded.

    A command that asks for no permission works without an access file that can be read: its events then record none.
    """
    known: list[AccessRules | None] = []

    def permissions_of(user: str) -> tuple[str, ...]:
        if not known:
            access: AccessRules | None = None
            with suppress(MinimizeError):
                access = configured_access(workspace)
            known.append(access)
        return () if known[0] is None else EffectiveAccess(known[0], UserAccount(user), utc_now()).permissions

    use_permissions(permissions_of)


def _require(
    permission: str,
    workspace: Workspace,
    at: datetime,
    *,
    tenant: str | None = None,
    dataset: str | None = None,
    category: Category | None = None,
    about: str | None = None,
    any_tenant: bool = False,
    changed_ledger: bool = False,
) -> AccessDecision | None:
    is_proven = True
    try:
        access = configured_access(workspace)
    except UntrustedActError:
        if not changed_ledger:
            raise
        file, is_proven = find_access_file(workspace.folder), False
        access = None if file is None else load_access(file)
    if access is None:
        _require_stated_absence(permission, workspace)
        return None
    use_permissions(lambda user: EffectiveAccess(access, UserAccount(user), at).permissions)
    actor = current_actor()
    decision = decide_permission(
        access,
        account_of_actor(actor),
        permission,
        at,
        tenant=tenant,
        dataset=dataset,
        category=category,
        any_tenant=any_tenant,
    )
    event, keys = decision_event(decision, actor=actor, about=about or tenant, tenant=tenant), workspace.keyring()
    if is_proven:
        with workspace.open_ledger(create=True) as ledger:
            try:
                ledger.record_event(event, keys)
            except UntrustedActError:
                if not changed_ledger:
                    raise
    if not decision.allowed:
        hint = f"Run `minimize access why {actor.user} {permission}`.{_roles_hint(access, decision, permission)}"
        raise AccessDenied(f"{actor.user} may not do this", reasons=decision.reasons, hint=hint)
    return decision


def _roles_hint(access: AccessRules, decision: AccessDecision, permission: str) -> str:
    """The assigned roles that allow a permission which no role of the account allows, and how to act as an account with one."""
    if all(each.rule != "nobody" for each in decision.reasons):
        return ""
    assigned = {each.role for each in access.assignments}
    roles = [
        name
        for name, role in access.roles.items()
        if name in assigned and any(each.allows(permission, None) for each in role.allow)
    ]
    if not roles:
        return " No assigned role allows it."
    noun = "The role" if len(roles) == 1 else "One of the roles"
    return f" {noun} {', '.join(sorted(roles))} allows it. An account with it sets MINIMIZE_ACTOR=ACCOUNT."


def _require_stated_absence(permission: str, workspace: Workspace) -> None:
    """Raises RefusedError (R010) if an operation requires access rules, and the configuration does not state `access: off`."""
    if permission not in RULES_REQUIRED or "access" in load_config(workspace.folder).turned_off:
        return
    hint = (
        "Run `minimize access new access.yaml` and write `access: access.yaml` in minimize.yaml; or write `access: off` to let "
        "every account do this."
    )
    raise RefusedError(f"no access rules decide who may {PERMISSIONS[permission]}", code="R010", hint=hint)
