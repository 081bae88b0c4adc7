"""Access decisions: reasons, request and decision, and the rules that combine the entitlements of an account."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from minimize.errors import RefusalReason
from minimize.governance.access.grants import AccessOperation, Grant, Grants
from minimize.governance.access.model import (
    NO_TENANTS,
    READ,
    REIDENTIFY,
    AccessRules,
    TenantSet,
    UserAccount,
    common_tenants,
    same_dataset,
    union_of_tenants,
)
from minimize.governance.access.roles import (
    EffectiveAccess,
    Entitlement,
    RoleView,
    coarsest_view,
    find_account_conflict,
    views_of_column,
)
from minimize.plan.model import Category
from minimize.policy.purposes import is_refused_purpose
from minimize.times import time_text, time_text_or_none

_REASONS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "nobody": ("U100", "no role of this account allows it"),
        "denied": ("U101", "a role denies it, whatever others allow"),
        "out_of_scope": ("U102", "it is outside the scope of the roles that would allow it"),
        "category": ("U103", "these columns are of a category above what is allowed"),
        "purpose": ("U104", "a purpose that this data, or the role, is for must be named"),
        "other_purpose": ("U105", "these columns are not for this purpose"),
        "no_grant": ("U106", "there is no grant for this incident, dataset and operation"),
        "not_granted": ("U107", "the request was not approved"),
        "expired": ("U108", "the grant has expired, or the request was not answered in time"),
        "revoked": ("U109", "the grant was revoked"),
        "not_eligible": (
            "U110",
            "who holds the grant may not ask for it any more, or did not get it from somebody else",
        ),
        "outside_grant": ("U111", "the grant does not cover these columns"),
        "no_common_tenant": ("U112", "no tenant in scope has all of these columns open"),
        "views": ("U113", "of several views on these columns none shows least"),
        "not_by_tenant": ("U114", "the output does not tell tenants apart, and the scope does"),
        "no_incident": ("U115", "this is done under a grant alone: an incident must be named"),
        "conflict": ("U116", "roles conflict that one person cannot have together"),
        "not_separate": ("U117", "it wants another person, in other groups, than the one who asked"),
        "does_not_follow": ("U118", "it does not follow from where the request stands"),
        "too_long": ("U119", "it is longer than access may last"),
        "unreviewed": ("U120", "access that nobody approved waits for its review, and the time for that is over"),
        "role": ("U200", "a role allows it"),
        "grant": ("U201", "a grant allows it"),
        "unconfigured": ("U202", "no access file is configured"),
    }
)


def reason(
    rule: str, fields: Collection[str] = (), *, about: str = "", hint: str = "", text: str = ""
) -> RefusalReason:
    """The reason of a rule, for these columns; `about` is the role or grant, `text` what is known beyond the rule's words."""
    code, words = _REASONS[rule]
    words = text or words
    return RefusalReason(rule, code, f"{words}: {about}" if about else words, fields=tuple(fields), hint=hint)


@dataclass(frozen=True, slots=True)
class DatasetColumn:
    """One column of an output: its category, and which purposes it is for (none: all that its policy lists)."""

    name: str
    category: Category
    purposes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """Data that somebody wants to see.

    dataset    a pipeline's name, which stands for its records, or `pipeline/output`
    columns    those that are wanted, in what is shown or in what rows are chosen by
    whole      whether they are simply all that there are: then what is not open is left out, and nothing is refused for it
    purpose    what it is for; it must be said
    incident   reading under its grants, and in no other way
    purposes   what the data is for (none: anything that its readers name)
    by_tenant  whether a column says whose each row is
    """

    dataset: str
    columns: tuple[DatasetColumn, ...]
    purpose: str | None = None
    incident: str | None = None
    operation: AccessOperation = "read"
    whole: bool = False
    purposes: tuple[str, ...] = ()
    by_tenant: bool = True


@dataclass(frozen=True, slots=True)
class AccessDecision:
    """What may be seen or done, and why.

    reasons   every rule that decided, for and against
    tenants   whose rows; every column below is open for each of them
    columns   those that may be seen, in the order in which they were wanted
    views     by column what its released values go through first; rows are chosen by what comes out of it
    withheld  by column the rule that keeps it
    grants    the grants that were used
    until     the first time at which it holds no longer; None where it holds as long as the file and the grants stand
    """

    allowed: bool
    account: UserAccount
    permission: str
    decided_at: datetime
    reasons: tuple[RefusalReason, ...]
    dataset: str | None = None
    purpose: str | None = None
    incident: str | None = None
    tenants: TenantSet = NO_TENANTS
    columns: tuple[str, ...] = ()
    views: Mapping[str, RoleView] = field(default_factory=dict)
    withheld: Mapping[str, str] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    until: datetime | None = None
    break_glass: bool = False
    digest: str = ""
    """Of the access file."""

    @property
    def grant(self) -> str | None:
        """The first grant that was used."""
        return next(iter(self.grants), None)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of all reasons."""
        return tuple(each.code for each in self.reasons)

    def holds(self, at: datetime) -> bool:
        """Whether it may still be gone by, as far as time goes. A grant may be revoked before: decide again."""
        return self.allowed and (self.until is None or at < self.until)

    def has_same_effect(self, other: AccessDecision) -> bool:
        """Whether another decision opens neither more nor less."""
        mine, theirs = ((each.allowed, each.tenants, each.columns, dict(each.views)) for each in (self, other))
        return mine == theirs

    def as_json(self) -> dict[str, Any]:
        """The decision as `access why --json` prints it."""
        return {
            "allowed": self.allowed,
            "user": self.account.user,
            "groups": sorted(self.account.groups),
            "permission": self.permission,
            "dataset": self.dataset,
            "purpose": self.purpose,
            "incident": self.incident,
            "at": time_text(self.decided_at),
            "reasons": [each.as_json() for each in self.reasons],
            "tenants": str(self.tenants),
            "columns": list(self.columns),
            "views": {name: [step.name for step in view] for name, view in self.views.items()},
            "withheld": dict(self.withheld),
            "roles": list(self.roles),
            "grants": list(self.grants),
            "until": time_text_or_none(self.until),
            "break_glass": self.break_glass,
            "access": self.digest,
        }


def column_names(columns: Collection[DatasetColumn]) -> tuple[str, ...]:
    """Their names."""
    return tuple(column.name for column in columns)


def decide_access(
    access: AccessRules, grants: Grants, account: UserAccount, request: AccessRequest, at: datetime
) -> AccessDecision:
    """Whether an account may see data, and what of it.

    Takes the access file, what the ledger has of grants, the account, what it wants, and the time. Gives the decision; what is
    not allowed is no error, but says why. Only the columns of the decision may be read, each through its view, and only rows of
    its tenants; columns by which rows are chosen are wanted, too.
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
) -> AccessDecision:
    """Whether an account may do something that shows no data, such as to change a setting.

    Takes the tenant that it is about; what is about no tenant concerns all of them, and wants a scope of all.
    """
    holding = EffectiveAccess(access, account, at)
    clashing = find_account_conflict(access, account)
    allowing = list(holding.allowing_assignments(permission, dataset))
    opened = union_of_tenants(each.scope.tenants for each, _, _ in allowing)
    tenants = NO_TENANTS if clashing else opened - holding.denied_tenants(permission, dataset)
    allowed = tenants.is_all if tenant is None else tenant in tenants
    held = any(role.has(permission) for _, role in holding.assignments)
    inside = opened.is_all if tenant is None else tenant in opened
    rule = "conflict" if clashing else "nobody" if not held else "denied" if inside else "out_of_scope"
    roles = tuple(dict.fromkeys(role.name for _, role, _ in allowing))
    reasons = (reason("role", about=", ".join(roles)),) if allowed else (reason(rule, about=_role_pair_text(clashing)),)
    return AccessDecision(
        allowed, account, permission, at, reasons, dataset, tenants=tenants, roles=roles, digest=access.digest
    )


@dataclass(frozen=True)
class _AccessEvaluation:
    """One decision about data."""

    holding: EffectiveAccess
    grants: Grants
    request: AccessRequest

    def decision(self) -> AccessDecision:
        wanted = self.request
        shut = self.reason_against_all()
        if shut is not None:
            return self.deny([shut], dict.fromkeys(column_names(wanted.columns), shut.rule))
        used, troubles = self.usable_grants()
        if troubles:
            return self.deny(troubles, dict.fromkeys(column_names(wanted.columns), troubles[0].rule))
        openings = self.entitlements(used)
        withheld = {column.name: rule for column in wanted.columns if (rule := self.withholding_rule(column, openings))}
        opened = {
            column.name: self.tenants_of_column(column, openings)
            for column in wanted.columns
            if column.name not in withheld
        }
        return self.combine(openings, opened, withheld)

    def reason_against_all(self) -> RefusalReason | None:
        """What keeps everything shut, whichever columns are wanted."""
        holding, wanted = self.holding, self.request
        clashing = find_account_conflict(holding.access, holding.account)
        if clashing is not None:
            return reason("conflict", about=_role_pair_text(clashing))
        if (
            not wanted.purpose
            or is_refused_purpose(wanted.purpose)
            or wanted.purpose not in (wanted.purposes or [wanted.purpose])
        ):
            return reason("purpose", hint=", ".join(wanted.purposes))
        if wanted.operation == "reidentify" and wanted.incident is None:
            return reason("no_incident", hint="name the incident of a grant")
        return None

    def usable_grants(self) -> tuple[list[Grant], list[RefusalReason]]:
        """The grants for the incident that open something now, and why others do not."""
        holding, wanted = self.holding, self.request
        if wanted.incident is None:
            return [], []
        found = [
            each
            for each in self.grants.for_incident(holding.account.user, wanted.incident)
            if self.is_grant_for_request(each)
        ]
        troubles = {each.id: holding.rule_against_grant(each, wanted.purpose) for each in found}
        reasons = [
            reason(rule, about=each.id, text=each.denial_text(holding.time) if rule == "not_granted" else "")
            for each in found
            if (rule := troubles[each.id]) is not None
        ]
        good = [each for each in found if troubles[each.id] is None]
        return good, [] if good else reasons or [reason("no_grant", hint="minimize access request")]

    def is_grant_for_request(self, grant: Grant) -> bool:
        """Whether a grant is for what is wanted, and was asked for by then. Who may reverse tokens may read them."""
        asked, wanted = grant.request, self.request
        fits = asked.operation == wanted.operation or (asked.operation, wanted.operation) == ("reidentify", "read")
        known = grant.state(self.holding.time) is not None
        return fits and known and same_dataset(asked.dataset, wanted.dataset)

    def entitlements(self, used: Sequence[Grant]) -> list[Entitlement]:
        """What opens columns: without an incident the roles; with one its grants, and roles for the tenants of those."""
        holding, wanted = self.holding, self.request
        granted = [holding.grant_entitlement(each, wanted.purpose) for each in used]
        if wanted.operation == "reidentify":
            return granted
        standing = holding.role_entitlements(wanted.dataset, wanted.purpose)
        if wanted.incident is None:
            return standing
        mine = union_of_tenants(each.tenants for each in granted)
        return [
            *granted,
            *(Entitlement(each.tenants & mine, each.limits, role=each.role) for each in standing),
        ]

    def tenants_of_column(self, column: DatasetColumn, openings: Iterable[Entitlement]) -> TenantSet:
        """For whom a column is open."""
        opened = union_of_tenants(each.tenants for each in openings if each.covers(column.name, column.category))
        return opened - self.denied_tenants(column)

    def denied_tenants(self, column: DatasetColumn) -> TenantSet:
        """For whom a role denies it. Whoever may not read may not reverse, either."""
        holding, wanted = self.holding, self.request
        names = (READ,) if wanted.operation == "read" else (READ, REIDENTIFY)
        return union_of_tenants(
            holding.denied_tenants(name, wanted.dataset, wanted.purpose, column.category) for name in names
        )

    def withholding_rule(self, column: DatasetColumn, openings: Sequence[Entitlement]) -> str | None:
        """The rule that keeps a column; None where it is open for somebody."""
        if column.purposes and self.request.purpose not in column.purposes:
            return "other_purpose"
        found = [each for each in openings if each.covers(column.name, column.category)]
        opened = self.tenants_of_column(column, openings)
        if not self.request.by_tenant and not opened.is_empty and not opened.is_all:
            return "not_by_tenant"
        if not opened.is_empty:
            view = self.view_of_column(column.name, opened)
            return "views" if view is None or (view and self.request.operation == "reidentify") else None
        if found:
            return "denied"
        if self.request.incident is not None:
            return "outside_grant"
        return "category" if openings else self.rule_without_entitlement()

    def rule_without_entitlement(self) -> str:
        """Why no role opens anything here."""
        holding = self.holding
        held = any(role.has(READ) for _, role in holding.assignments)
        return "out_of_scope" if held else "nobody"

    def view_of_column(self, column: str, tenants: TenantSet) -> RoleView | None:
        """The form in which a column is shown: of the views of all roles of the person that hold for these tenants."""
        wanted = self.request
        return coarsest_view(
            view
            for assignment, role in self.holding.assignments_of_person
            if assignment.scope.has_dataset(wanted.dataset) and assignment.scope.has_purpose(wanted.purpose)
            if not (assignment.scope.tenants & tenants).is_empty
            for view in views_of_column(role, wanted.dataset, column)
        )

    def combine(
        self,
        openings: Sequence[Entitlement],
        opened: Mapping[str, TenantSet],
        withheld: Mapping[str, str],
    ) -> AccessDecision:
        """The columns and tenants of which every column is open for every tenant."""
        against = _withheld_reasons(withheld)
        if not opened or (withheld and not self.request.whole):
            return self.deny(against, withheld)
        tenants = (union_of_tenants if self.request.whole else common_tenants)(opened.values())
        elsewhere = {name: "no_common_tenant" for name, each in opened.items() if not tenants <= each}
        columns = [name for name in opened if name not in elsewhere]
        if tenants.is_empty or not columns:
            names = tuple(opened)
            hint = "name columns that are open for the same tenants"
            kept = {**withheld, **dict.fromkeys(names, "no_common_tenant")}
            return self.deny([*against, reason("no_common_tenant", names, hint=hint)], kept)
        against += _withheld_reasons(elsewhere)
        views = {name: view for name in columns if (view := self.view_of_column(name, opened[name]))}
        return self.allow(openings, views, columns, tenants, {**withheld, **elsewhere}, against)

    def allow(
        self,
        openings: Sequence[Entitlement],
        views: Mapping[str, RoleView],
        columns: Sequence[str],
        tenants: TenantSet,
        withheld: Mapping[str, str],
        against: Sequence[RefusalReason],
    ) -> AccessDecision:
        """What may be seen, by the roles and grants that open some of it."""
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
            *against,
        ]
        return AccessDecision(
            True,
            self.holding.account,
            f"dataset/{self.request.operation}",
            self.holding.time,
            tuple(reasons),
            self.request.dataset,
            self.request.purpose,
            self.request.incident,
            tenants,
            tuple(columns),
            views,
            withheld,
            roles,
            tuple(grants),
            min(ends, default=None),
            any(each.is_break_glass for each in grants.values()),
            self.holding.access.digest,
        )

    def deny(self, reasons: Sequence[RefusalReason], withheld: Mapping[str, str]) -> AccessDecision:
        """Nothing may be seen."""
        wanted = self.request
        return AccessDecision(
            False,
            self.holding.account,
            f"dataset/{wanted.operation}",
            self.holding.time,
            tuple(reasons) or (reason("nobody"),),
            wanted.dataset,
            wanted.purpose,
            wanted.incident,
            withheld=withheld,
            digest=self.holding.access.digest,
        )


def _withheld_reasons(withheld: Mapping[str, str]) -> list[RefusalReason]:
    """One reason a rule, with the columns that it keeps."""
    rules = dict.fromkeys(withheld.values())
    return [reason(rule, [name for name, kept in withheld.items() if kept == rule]) for rule in rules]


def _role_pair_text(clashing: tuple[str, str] | None) -> str:
    return "" if clashing is None else " and ".join(dict.fromkeys(clashing))
