"""Access decisions: reasons, request and decision, and the rules that combine the entitlements of an account.

Audit events contain names, rules and counts, and no values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Final

from minimize.access.entitlements import (
    AccessOperation,
    EffectiveAccess,
    Entitlement,
    Grant,
    Grants,
    coarsest_view,
    find_account_conflict,
    view_steps,
    views_of_column,
)
from minimize.access.model import AccessRules, UserAccount, same_dataset
from minimize.access.permissions import NO_TENANTS, READ, REIDENTIFY, TenantSet, common_tenants, union_of_tenants
from minimize.access.roles import RoleView
from minimize.errors import RefusalReason
from minimize.ledger import Actor, AuditActivity, AuditEvent, PropertyChange, Resource
from minimize.ledger.audit_event import PlainValue, application_name
from minimize.plan.model import Category
from minimize.policy.model import is_refused_purpose
from minimize.results import JsonResult, json_member
from minimize.times import time_text

_REASONS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "nobody": ("U100", "no role of this account allows it"),
        "denied": ("U101", "a role denies it, regardless of other roles"),
        "out_of_scope": ("U102", "it is outside the scope of the roles that allow it"),
        "category": ("U103", "the category of these columns exceeds the permission"),
        "purpose": ("U104", "no purpose was named that both the data and the role permit"),
        "other_purpose": ("U105", "these columns are not for this purpose"),
        "no_grant": ("U106", "there is no grant for this incident, dataset and operation"),
        "not_granted": ("U107", "the request was not approved"),
        "expired": ("U108", "the grant has expired, or the request was not answered in time"),
        "revoked": ("U109", "the grant was revoked"),
        "not_eligible": (
            "U110",
            "the holder may no longer request this grant, or its approver is not a separate person",
        ),
        "outside_grant": ("U111", "the grant does not cover these columns"),
        "no_common_tenant": ("U112", "no tenant in scope permits all of these columns"),
        "views": ("U113", "none of the views on these columns is the coarsest"),
        "not_by_tenant": ("U114", "the output has no tenant column, but the scope is limited to tenants"),
        "no_incident": ("U115", "this requires a grant, and no incident was named"),
        "conflict": ("U116", "the person has roles that conflict"),
        "not_separate": ("U117", "only another person, in other groups than the requester, may do this"),
        "does_not_follow": ("U118", "the current state of the request does not permit this"),
        "too_long": ("U119", "the requested duration exceeds the maximum"),
        "unreviewed": ("U120", "earlier break-glass access was not reviewed in time"),
        "own_request": ("U212", "only another person than the requester may confirm a token"),
        "secret_conflict": (
            "U213",
            "the account has roles that conflict with those of the person who would see its token",
        ),
        "unknown_incident": ("U130", "the ledger has no incident of this name"),
        "closed_incident": ("U131", "the incident is closed"),
        "other_tenant": ("U132", "the incident does not concern all tenants of the request"),
        "role": ("U200", "a role allows it"),
        "grant": ("U201", "a grant allows it"),
        "unconfigured": ("U202", "no access file is configured"),
    }
)

_HINTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "denied": "A role of this account has a `deny` for it; `minimize access show` lists the roles.",
        "other_purpose": "The policy lists the `purposes` of each field. Request other columns, or name another purpose.",
        "expired": "Run `minimize access request` again.",
        "revoked": "Run `minimize access list` for its history. If access is still needed, request it again.",
        "not_eligible": "Request it again, with a role that permits it, and let a person outside your groups approve it.",
        "outside_grant": "Request another grant that names these columns.",
        "views": "Leave these columns out, or have one of the roles with a view removed from this account.",
        "not_by_tenant": "Use an output with tenants, or a role whose scope is `tenants: all`.",
        "conflict": "Have one of the roles removed from this person: until then, none of them applies.",
        "not_separate": "Ask a person who shares no group with the requester.",
        "does_not_follow": "`minimize access list` shows the state of each request.",
    }
)
"""What to do, if the caller of `reason` does not say it."""


def reason(
    rule: str, fields: Collection[str] = (), *, about: str = "", hint: str = "", text: str = ""
) -> RefusalReason:
    """The reason of a rule, for these columns. `about` names the role or grant; `text` replaces the standard text of the rule."""
    code, words = _REASONS[rule]
    words = text or words
    hint = hint or _HINTS.get(rule, "")
    return RefusalReason(rule, code, f"{words}: {about}" if about else words, fields=tuple(fields), hint=hint)


@dataclass(frozen=True, slots=True)
class DatasetColumn:
    """A column of an output: its category, and its purposes (none: all purposes of the policy)."""

    name: str
    category: Category
    purposes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """Data that an account asks to see."""

    dataset: str
    """A pipeline's name for its records, or `pipeline/output`."""
    columns: tuple[DatasetColumn, ...]
    """Requested columns, including those in row filters."""
    purpose: str | None = None
    """A request without a purpose is refused."""
    incident: str | None = None
    """The incident whose grants are used; then no other access counts."""
    operation: AccessOperation = "read"
    whole: bool = False
    """Whether all columns were requested; then columns without permission are left out instead of refused."""
    purposes: tuple[str, ...] = ()
    """The purposes of the data; empty if any purpose is allowed."""
    by_tenant: bool = True
    """Whether a column contains the tenant of each row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessDecision(JsonResult):
    """The decision on an access request, with the reasons."""

    json_names: ClassVar[str] = (
        "allowed account permission dataset purpose incident decided_at reasons tenants columns views withheld roles grants "
        "until break_glass digest"
    )
    allowed: bool
    account: UserAccount = field(metadata=json_member(merge=True))
    permission: str
    dataset: str | None = None
    purpose: str | None = None
    incident: str | None = None
    decided_at: datetime = field(metadata=json_member("at"))
    reasons: tuple[RefusalReason, ...]
    """Every rule that decided, for or against."""
    tenants: TenantSet = field(default=NO_TENANTS, metadata=json_member(convert=str))
    """Tenants whose rows may be read, with all of `columns`."""
    columns: tuple[str, ...] = ()
    """Columns that may be read, in the requested order."""
    views: Mapping[str, RoleView] = field(default_factory=dict, metadata=json_member(convert=view_steps))
    """Techniques applied to released values, by column; row filters see their result."""
    withheld: Mapping[str, str] = field(default_factory=dict)
    """For each withheld column, the rule that withholds it."""
    roles: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    """Grants that were used."""
    until: datetime | None = None
    """The time at which the decision expires; None if it is valid until the access file or a grant changes."""
    break_glass: bool = False
    digest: str = field(default="", metadata=json_member("access"))
    """Digest of the access file."""
    account_permissions: tuple[str, ...] = ()
    """All permissions of the account, for the audit log only."""

    @property
    def grant(self) -> str | None:
        """The first grant that was used."""
        return next(iter(self.grants), None)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of all reasons."""
        return tuple(each.code for each in self.reasons)

    def holds(self, at: datetime) -> bool:
        """Whether the decision has not expired. A grant can be revoked earlier, so callers must decide again regularly."""
        return self.allowed and (self.until is None or at < self.until)

    def has_same_effect(self, decision: AccessDecision) -> bool:
        """Whether another decision permits exactly the same access."""
        permitted = (self.allowed, self.tenants, self.columns, dict(self.views))
        return permitted == (decision.allowed, decision.tenants, decision.columns, dict(decision.views))


def column_names(columns: Collection[DatasetColumn]) -> tuple[str, ...]:
    """The names of the columns."""
    return tuple(column.name for column in columns)


def decide_access(
    access: AccessRules, grants: Grants, account: UserAccount, request: AccessRequest, at: datetime
) -> AccessDecision:
    """Decides whether an account may read data, and which part of it.

    A denial is returned as a decision with its reasons, and not raised. Callers may read only the columns of the decision, each
    through its view, and only rows of its tenants. The request must also list the columns in row filters.
    """
    return _AccessEvaluation(EffectiveAccess(access, account, at), grants, request).decision()


def decide_permission(
    access: AccessRules,
    account: UserAccount,
    permission: str,
    at: datetime,
    *,
    tenant: str | None = None,
    dataset: str | None = None,
    category: Category | None = None,
    any_tenant: bool = False,
) -> AccessDecision:
    """Decides whether an account may perform an operation on no column in particular, such as changing a setting, or reading a
    dataset of a category as a whole.

    Without a tenant, the operation concerns all tenants and requires a scope of all tenants. With `any_tenant` it is limited to
    the tenants of the decision, and requires at least one.
    """
    holding = EffectiveAccess(access, account, at)
    conflict = find_account_conflict(access, account)
    allowing = list(holding.allowing_assignments(permission, dataset, category=category))
    opened = union_of_tenants(assignment.scope.tenants for assignment, _, _ in allowing)
    tenants = NO_TENANTS if conflict else opened - holding.denied_tenants(permission, dataset, category=category)
    allowed = tenant in tenants if tenant is not None else not tenants.is_empty if any_tenant else tenants.is_all
    has_role = any(role.has(permission) for _, role in holding.assignments)
    in_scope = tenant in opened if tenant is not None else not opened.is_empty if any_tenant else opened.is_all
    rule = "conflict" if conflict else "nobody" if not has_role else "denied" if in_scope else "out_of_scope"
    roles = tuple(dict.fromkeys(role.name for _, role, _ in allowing))
    reasons = (reason("role", about=", ".join(roles)),) if allowed else (reason(rule, about=_role_pair_text(conflict)),)
    return AccessDecision(
        allowed=allowed,
        account=account,
        permission=permission,
        decided_at=at,
        reasons=reasons,
        dataset=dataset,
        tenants=tenants,
        roles=roles,
        digest=access.digest,
        account_permissions=holding.permissions,
    )


@dataclass(frozen=True)
class _AccessEvaluation:
    """Evaluation of one access request."""

    holding: EffectiveAccess
    grants: Grants
    request: AccessRequest

    def decision(self) -> AccessDecision:
        request = self.request
        shut = self.reason_against_all()
        if shut is not None:
            return self.deny([shut], dict.fromkeys(column_names(request.columns), shut.rule))
        used, troubles = self.usable_grants()
        if troubles:
            return self.deny(troubles, dict.fromkeys(column_names(request.columns), troubles[0].rule))
        openings = self.entitlements(used)
        withheld = {
            column.name: rule for column in request.columns if (rule := self.withholding_rule(column, openings))
        }
        opened = {
            column.name: self.tenants_of_column(column, openings)
            for column in request.columns
            if column.name not in withheld
        }
        return self.combine(openings, opened, withheld)

    def reason_against_all(self) -> RefusalReason | None:
        """The reason that denies the whole request, regardless of columns."""
        holding, request = self.holding, self.request
        conflict = find_account_conflict(holding.access, holding.account)
        if conflict is not None:
            return reason("conflict", about=_role_pair_text(conflict))
        if (
            not request.purpose
            or is_refused_purpose(request.purpose)
            or request.purpose not in (request.purposes or [request.purpose])
        ):
            return reason("purpose", hint=f"Name one of: {', '.join(request.purposes)}." if request.purposes else "")
        if request.operation == "reidentify" and request.incident is None:
            return reason("no_incident", hint="Name the incident of a grant.")
        return None

    def usable_grants(self) -> tuple[list[Grant], list[RefusalReason]]:
        """The grants for the incident that are usable now, and the reasons why others are not."""
        holding, request = self.holding, self.request
        if request.incident is None:
            return [], []
        grants = [
            each
            for each in self.grants.for_incident(holding.account.user, request.incident)
            if self.is_grant_for_request(each)
        ]
        troubles = {each.id: holding.rule_against_grant(each, request.purpose) for each in grants}
        reasons = [
            reason(rule, about=each.id, text=_grant_text(each, rule, holding.time))
            for each in grants
            if (rule := troubles[each.id]) is not None
        ]
        good = [each for each in grants if troubles[each.id] is None]
        return good, [] if good else reasons or [reason("no_grant", hint="Run `minimize access request`.")]

    def is_grant_for_request(self, grant: Grant) -> bool:
        """Whether a grant matches the request and existed at that time. A grant to reverse tokens includes reading them."""
        grant_request, request = grant.request, self.request
        fits = grant_request.operation == request.operation or (grant_request.operation, request.operation) == (
            "reidentify",
            "read",
        )
        known = grant.state(self.holding.time) is not None
        return fits and known and same_dataset(grant_request.dataset, request.dataset)

    def entitlements(self, used: Sequence[Grant]) -> list[Entitlement]:
        """The entitlements of the account: its roles. For an incident: its grants, and roles for their tenants."""
        holding, request = self.holding, self.request
        granted = [holding.grant_entitlement(each, request.purpose) for each in used]
        if request.operation == "reidentify":
            return granted
        from_roles = holding.role_entitlements(request.dataset, request.purpose)
        if request.incident is None:
            return from_roles
        granted_tenants = union_of_tenants(each.tenants for each in granted)
        return [
            *granted,
            *(Entitlement(each.tenants & granted_tenants, each.limits, role=each.role) for each in from_roles),
        ]

    def tenants_of_column(self, column: DatasetColumn, openings: Iterable[Entitlement]) -> TenantSet:
        """The tenants for which a column may be read."""
        opened = union_of_tenants(each.tenants for each in openings if each.covers(column.name, column.category))
        return opened - self.denied_tenants(column)

    def denied_tenants(self, column: DatasetColumn) -> TenantSet:
        """The tenants for which a role denies a column. A denial to read also denies to reverse tokens."""
        holding, request = self.holding, self.request
        names = (READ,) if request.operation == "read" else (READ, REIDENTIFY)
        return union_of_tenants(
            holding.denied_tenants(name, request.dataset, request.purpose, column.category) for name in names
        )

    def withholding_rule(self, column: DatasetColumn, openings: Sequence[Entitlement]) -> str | None:
        """The rule that withholds a column. None if it may be read for a tenant."""
        if column.purposes and self.request.purpose not in column.purposes:
            return "other_purpose"
        covering = [each for each in openings if each.covers(column.name, column.category)]
        opened = self.tenants_of_column(column, openings)
        if not self.request.by_tenant and not opened.is_empty and not opened.is_all:
            return "not_by_tenant"
        if not opened.is_empty:
            view = self.view_of_column(column.name, opened)
            return "views" if view is None or (view and self.request.operation == "reidentify") else None
        if covering:
            return "denied"
        if self.request.incident is not None:
            return "outside_grant"
        return "category" if openings else self.rule_without_entitlement()

    def rule_without_entitlement(self) -> str:
        """The rule that explains why no role applies."""
        holding = self.holding
        has_role = any(role.has(READ) for _, role in holding.assignments)
        return "out_of_scope" if has_role else "nobody"

    def view_of_column(self, column: str, tenants: TenantSet) -> RoleView | None:
        """The view of a column: the coarsest of the views of all roles of the person that apply to these tenants."""
        request = self.request
        return coarsest_view(
            view
            for assignment, role in self.holding.assignments_of_person
            if assignment.scope.has_dataset(request.dataset) and assignment.scope.has_purpose(request.purpose)
            if not (assignment.scope.tenants & tenants).is_empty
            for view in views_of_column(role, request.dataset, column)
        )

    def combine(
        self,
        openings: Sequence[Entitlement],
        opened: Mapping[str, TenantSet],
        withheld: Mapping[str, str],
    ) -> AccessDecision:
        """Combines columns and tenants, so that every column may be read for every tenant."""
        refusals = _withheld_reasons(withheld)
        if not opened or (withheld and not self.request.whole):
            return self.deny(refusals, withheld)
        tenants = (union_of_tenants if self.request.whole else common_tenants)(opened.values())
        elsewhere = {
            name: "no_common_tenant" for name, tenants_of_column in opened.items() if not tenants <= tenants_of_column
        }
        columns = [name for name in opened if name not in elsewhere]
        if tenants.is_empty or not columns:
            names = tuple(opened)
            hint = "Request columns that the same tenants permit."
            kept = {**withheld, **dict.fromkeys(names, "no_common_tenant")}
            return self.deny([*refusals, reason("no_common_tenant", names, hint=hint)], kept)
        refusals += _withheld_reasons(elsewhere)
        views = {name: view for name in columns if (view := self.view_of_column(name, opened[name]))}
        return self.allow(openings, views, columns, tenants, {**withheld, **elsewhere}, refusals)

    def allow(
        self,
        openings: Sequence[Entitlement],
        views: Mapping[str, RoleView],
        columns: Sequence[str],
        tenants: TenantSet,
        withheld: Mapping[str, str],
        refusals: Sequence[RefusalReason],
    ) -> AccessDecision:
        """Builds the decision that allows access, with the roles and grants that permit it."""
        kinds = {column.name: column.category for column in self.request.columns}
        useful = [
            each
            for each in openings
            if not (each.tenants & tenants).is_empty and any(each.covers(name, kinds[name]) for name in columns)
        ]
        grants = {each.grant.id: each.grant for each in useful if each.grant is not None}
        roles = tuple(dict.fromkeys(each.role for each in useful if each.role is not None))
        ends = [ends for each in grants.values() if (ends := each.ends_at(self.holding.time)) is not None]
        reasons = [
            *(reason("role", about=role) for role in roles),
            *(reason("grant", about=grant) for grant in grants),
            *refusals,
        ]
        return AccessDecision(
            allowed=True,
            account=self.holding.account,
            permission=f"dataset/{self.request.operation}",
            decided_at=self.holding.time,
            reasons=tuple(reasons),
            dataset=self.request.dataset,
            purpose=self.request.purpose,
            incident=self.request.incident,
            tenants=tenants,
            columns=tuple(columns),
            views=views,
            withheld=withheld,
            roles=roles,
            grants=tuple(grants),
            until=min(ends, default=None),
            break_glass=any(each.is_break_glass for each in grants.values()),
            digest=self.holding.access.digest,
            account_permissions=self.holding.permissions,
        )

    def deny(self, reasons: Sequence[RefusalReason], withheld: Mapping[str, str]) -> AccessDecision:
        """Builds the decision that denies access."""
        request = self.request
        return AccessDecision(
            allowed=False,
            account=self.holding.account,
            permission=f"dataset/{request.operation}",
            decided_at=self.holding.time,
            reasons=tuple(reasons) or (reason("nobody"),),
            dataset=request.dataset,
            purpose=request.purpose,
            incident=request.incident,
            withheld=withheld,
            digest=self.holding.access.digest,
            account_permissions=self.holding.permissions,
        )


def _grant_text(grant: Grant, rule: str, at: datetime) -> str:
    """What ended a grant, or why it never began. Empty for the standard text of the rule."""
    if rule == "expired":
        ends = grant.ends_at(at)
        return "the request was not answered in time" if ends is None else f"the grant expired at {time_text(ends)}"
    return grant.denial_text(at) if rule == "not_granted" else ""


def _withheld_reasons(withheld: Mapping[str, str]) -> list[RefusalReason]:
    """One reason per rule, with the columns that it withholds."""
    rules = dict.fromkeys(withheld.values())
    return [reason(rule, [name for name, kept in withheld.items() if kept == rule]) for rule in rules]


def _role_pair_text(clashing: tuple[str, str] | None) -> str:
    return "" if clashing is None else " and ".join(dict.fromkeys(clashing))


_DECISION_ACTIVITY: Final = AuditActivity("decision", component="access", category="access")
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


def property_changes(document: dict[str, PlainValue]) -> tuple[PropertyChange, ...]:
    """The properties of an audit event, without empty ones; long texts are shortened."""
    cut = {name: shorten_name(value) if isinstance(value, str) else value for name, value in document.items()}
    return tuple(PropertyChange(name, None, value) for name, value in cut.items() if value is not None)


def comma_list(names: Iterable[str]) -> str | None:
    """Names with commas; None if there are none."""
    return ", ".join(names) or None


def shorten_name(text: str) -> str:
    """A name that an audit event can hold."""
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…"
