"""Enforcement: the access rules in force, and the check of a permission by them, which is recorded in the audit log.

The rules are those of a configuration and its ledger. `Workspace.require` finds out which configurations and ledgers decide.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from minimize.access.decision import AccessDecision, decide_permission, decision_event
from minimize.access.entitlements import EffectiveAccess
from minimize.access.model import (
    AccessRules,
    UserAccount,
    account_of_actor,
    find_access_file,
    load_access,
    parse_adopted,
    required_access_file,
)
from minimize.access.permissions import PERMISSIONS, RULES_REQUIRED
from minimize.config import Config
from minimize.errors import AccessDenied, LedgerError, MinimizeError, RefusedError
from minimize.keys import Keyring
from minimize.ledger import Address, current_actor
from minimize.ledger.acts import ActReader, UntrustedActError
from minimize.ledger.audit_event import PermissionLookup
from minimize.ledger.kinds import ACCESS_ADOPTION, AccessAdoption
from minimize.ledger.ledger import Ledger, OpenLedgers
from minimize.plan.model import Category


class Authority(Protocol):
    """A configuration with its ledger and keyring, whose access rules decide: a workspace."""

    @property
    def config(self) -> Config:
        """The configuration."""

    @property
    def address(self) -> Address:
        """The address of the ledger. Raises LedgerError if none is configured."""

    @property
    def ledgers(self) -> OpenLedgers:
        """The ledgers that the command has open."""

    def keyring(self) -> Keyring:
        """The keyring. Raises KeyringError."""

    def open_ledger(self, *, create: bool = False) -> AbstractContextManager[Ledger]:
        """The ledger, open. Raises LedgerError."""


@dataclass(frozen=True, slots=True)
class PermissionRequest:
    """A permission that the current actor needs at a time."""

    permission: str
    at: datetime
    tenant: str | None = None
    """The tenant to which the permission is limited; None for all tenants."""
    dataset: str | None = None
    """The dataset to which the permission is limited; None for all datasets."""
    category: Category | None = None
    """The category to which the permission is limited; None for all categories."""
    about: str | None = None
    """The resource, for the audit log."""
    any_tenant: bool = False
    """Whether one tenant in scope is enough; the decision then has the tenants in scope."""
    changed_ledger: bool = False
    """Whether the configured access file decides if the acts cannot be proven."""

    def decide(self, access: AccessRules, account: UserAccount) -> AccessDecision:
        """The decision of these rules."""
        return decide_permission(
            access,
            account,
            self.permission,
            self.at,
            tenant=self.tenant,
            dataset=self.dataset,
            category=self.category,
            any_tenant=self.any_tenant,
        )


def rules_in_force(authority: Authority) -> AccessRules | None:
    """The access rules in force: those of the configured file or, after an adoption, the latest adopted version.

    None if no file is configured and the ledger has no adoption. Raises PolicyError for a missing or faulty file; LedgerError and
    KeyringError after an adoption.
    """
    return _adopted_access(authority) if find_access_file(authority.config) is None else required_rules(authority)


def _adopted_access(authority: Authority) -> AccessRules | None:
    """The access rules that were adopted in the ledger. None without a ledger or an adoption.

    They are in force for a configuration without access file, too. Otherwise `access: off`, or another folder, would end them.
    """
    try:
        is_there = authority.address.exists
    except LedgerError:  # no ledger is configured
        is_there = False
    if not is_there:
        return None
    with authority.open_ledger() as ledger:
        if not ledger.last_id(ACCESS_ADOPTION):
            return None
        authority.keyring()  # an adoption counts only if it can be verified
        adopted = last_adoption(ledger)
    return None if adopted is None else parse_adopted(adopted.content.encode(), "access.yaml")


def required_rules(authority: Authority) -> AccessRules:
    """The access rules in force. Raises PolicyError if no access file is configured."""
    access = load_access(required_access_file(authority.config))
    if not authority.address.exists:
        return access
    with authority.open_ledger() as ledger:
        if not ledger.last_id(ACCESS_ADOPTION):
            return access
        authority.keyring()  # an adoption counts only if it can be verified
        return access_in_force(access, ledger)


def access_in_force(access: AccessRules, ledger: Ledger, *, to_replace: bool = False) -> AccessRules:
    """The access rules in force: the current file before the first adoption, then the latest adopted version.

    `to_replace` is for the decision who may adopt another one. Raises LedgerError for an adoption without a valid signature by a
    known key, and PolicyError for one with faults.
    """
    adopted = last_adoption(ledger)
    if adopted is None or adopted.digest == access.digest:
        return access
    return parse_adopted(adopted.content.encode(), access.path or "access.yaml", to_replace=to_replace)


def last_adoption(acts: ActReader) -> AccessAdoption | None:
    """The adoption in force, or None. Raises LedgerError if an adoption is not signed by a known key."""
    adoptions = acts.find(ACCESS_ADOPTION)
    return adoptions[-1] if adoptions else None


def recorded_permissions(authority: Authority, clock: Callable[[], datetime]) -> PermissionLookup:
    """The permissions that audit events record if no permission is asked for. The rules are read once, for the first event.

    A command that asks for no permission works without an access file that can be read: its events then record none.
    """
    rules: list[AccessRules | None] = []

    def permissions_of(user: str) -> tuple[str, ...]:
        if not rules:
            access: AccessRules | None = None
            with suppress(MinimizeError):
                access = rules_in_force(authority)
            rules.append(access)
        return () if rules[0] is None else EffectiveAccess(rules[0], UserAccount(user), clock()).permissions

    return permissions_of


def check_permission(request: PermissionRequest, authority: Authority) -> AccessDecision | None:
    """Checks that the current actor (`MINIMIZE_ACTOR`) has a permission, and records the decision in the audit log.

    Returns the decision, or None if no access file is configured or adopted. Everything is then allowed, except operations that
    require access rules: they need `access: off` in the configuration.
    Raises AccessDenied, RefusedError (R010), PolicyError for a missing or faulty access file, LedgerError, KeyringError.
    """
    is_proven = True
    try:
        access = rules_in_force(authority)
    except UntrustedActError:
        if not request.changed_ledger:
            raise
        file, is_proven = find_access_file(authority.config), False
        access = None if file is None else load_access(file)
    if access is None:
        _require_stated_absence(request.permission, authority.config)
        authority.ledgers.permissions_of = lambda _: ()
        return None
    authority.ledgers.permissions_of = lambda user: EffectiveAccess(access, UserAccount(user), request.at).permissions
    actor = current_actor()
    decision = request.decide(access, account_of_actor(actor))
    event = decision_event(decision, actor=actor, about=request.about or request.tenant, tenant=request.tenant)
    keyring = authority.keyring()
    if is_proven:
        with authority.open_ledger(create=True) as ledger:
            try:
                ledger.record_event(event, keyring)
            except UntrustedActError:
                if not request.changed_ledger:
                    raise
    if not decision.allowed:
        roles = _roles_hint(access, decision, request.permission)
        hint = f"{roles}`minimize access why {actor.user} {request.permission}` explains the decision."
        message, reasons = f"{actor.user} may not use the permission `{request.permission}`", decision.reasons
        if [each.code for each in reasons] == ["U100"]:
            message = f"{actor.user} lacks the permission `{request.permission}`"
            reasons = (replace(reasons[0], message=message),)
        raise AccessDenied(message, reasons=reasons, hint=hint)
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
        return "No assigned role has it. "
    noun, verb = ("The role", "has") if len(roles) == 1 else ("The roles", "have")
    return f"{noun} {', '.join(sorted(roles))} {verb} it. An account with it sets MINIMIZE_ACTOR=ACCOUNT. "


def _require_stated_absence(permission: str, config: Config) -> None:
    """Raises RefusedError (R010) if an operation requires access rules, and the configuration does not state `access: off`."""
    if permission not in RULES_REQUIRED or "access" in config.turned_off:
        return
    hint = (
        "Run `minimize access new access.yaml` and write `access: access.yaml` in minimize.yaml; or write `access: off` to let "
        "every account do this."
    )
    raise RefusedError(f"no access rules decide who may {PERMISSIONS[permission]}", code="R010", hint=hint)
