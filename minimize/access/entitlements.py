"""Entitlements of an account at a time: the permissions of its roles and grants, and the views of its roles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from minimize.access.model import AccessRules, RoleAssignment, UserAccount, covers
from minimize.access.permissions import READ, REIDENTIFY, Permission, TenantSet, highest_or_none, union_of_tenants
from minimize.access.roles import AccessRole, RolePair, RoleView, find_conflict
from minimize.governance.access.grants import Grant, permission_of_request
from minimize.plan.category import CATEGORY_ORDER
from minimize.plan.model import Category
from minimize.policy.fields import compare_coarseness
from minimize.techniques import TechniqueStep


def find_account_conflict(access: AccessRules, account: UserAccount) -> RolePair | None:
    """Finds two conflicting roles of the person who owns an account."""
    return find_conflict((role for _, role in access.assignments_of_person(account)), access.conflicts)


def view_steps(views: Mapping[str, RoleView]) -> dict[str, list[str]]:
    """The names of the techniques of each view."""
    return {name: [step.name for step in view] for name, view in views.items()}


def views_of_column(role: AccessRole, dataset: str, column: str) -> list[RoleView]:
    """The views that a role, or a role that it copies, sets on a column of a dataset."""
    found = [
        columns[column]
        for each in role.lineage
        for name, columns in each.views.items()
        if covers(name, dataset) and column in columns
    ]
    return _distinct_views(found)


def coarsest_view(views: Iterable[RoleView]) -> RoleView | None:
    """The coarsest of several views. None if none is the coarsest. Empty without views.

    Permissions of roles add up, but views restrict: an account with several views gets the coarsest.
    """
    every = _distinct_views([*views])
    return next((view for view in every if all(_is_coarser(other, view) for other in every)), None) if every else ()


def shows_less(view: RoleView, form: Sequence[TechniqueStep]) -> bool:
    """Whether a view can show less than the released form. False if it provably shows the same."""
    if len(view) == len(form) == 1 and view[0].name == form[0].name:
        return compare_coarseness(form[0], view[0]) == "coarser" and view[0] != form[0]
    return bool(view)


def _is_coarser(one: RoleView, other: RoleView) -> bool:
    """Whether the second of two views shows at most as much as the first."""
    if one == other or other[-1].shows_presence_only:
        return True
    return len(one) == len(other) == 1 and compare_coarseness(one[0], other[0]) == "coarser"


def _distinct_views(views: Sequence[RoleView]) -> list[RoleView]:
    """Removes duplicates by comparison, because some techniques cannot be hashed."""
    return [view for at, view in enumerate(views) if view not in views[:at]]


@dataclass(frozen=True, slots=True)
class Entitlement:
    """A permission to read data of some tenants, by category or for named columns, through a role or a grant.

    limits  permissions that must all allow the category of a column
    """

    tenants: TenantSet
    limits: tuple[Permission, ...]
    columns: frozenset[str] | None = None
    role: str | None = None
    grant: Grant | None = None

    def covers(self, column: str, category: Category) -> bool:
        """Whether the entitlement covers a column, by name and category."""
        named = self.columns is None or column in self.columns
        return named and all(limit.allows(limit.name, category) for limit in self.limits)


@dataclass(frozen=True)
class EffectiveAccess:
    """The effective access of an account at a time, under one access file."""

    access: AccessRules
    account: UserAccount
    time: datetime

    @cached_property
    def assignments(self) -> tuple[tuple[RoleAssignment, AccessRole], ...]:
        """The assignments of the account, each with its role."""
        return tuple(self.access.assignments_of(self.account))

    @cached_property
    def assignments_of_person(self) -> tuple[tuple[RoleAssignment, AccessRole], ...]:
        """The assignments of all accounts of the person."""
        return tuple(self.access.assignments_of_person(self.account))

    @cached_property
    def permissions(self) -> tuple[str, ...]:
        """The permissions of the account in any scope, without those that a role of the person denies entirely."""
        if find_account_conflict(self.access, self.account) is not None:
            return ()
        allowed = {permission for _, role in self.assignments for permission in role.allow}
        denied = [permission for _, role in self.assignments_of_person for permission in role.deny]
        return tuple(sorted(str(each) for each in allowed if not any(deny.denies(each.name) for deny in denied)))

    def allowing_assignments(
        self, name: str, dataset: str | None = None, purpose: str | None = None, category: Category | None = None
    ) -> Iterator[tuple[RoleAssignment, AccessRole, Permission]]:
        """The assignments of the account that allow an operation in the given scope, each with the permission."""
        for assignment, role in self.assignments:
            if assignment.scope.has_dataset(dataset) and assignment.scope.has_purpose(purpose):
                yield from (
                    (assignment, role, permission) for permission in role.allow if permission.allows(name, category)
                )

    def denied_tenants(
        self, name: str, dataset: str | None = None, purpose: str | None = None, category: Category | None = None
    ) -> TenantSet:
        """The tenants for which a role of the person denies an operation."""
        return union_of_tenants(
            assignment.scope.tenants
            for assignment, role in self.assignments_of_person
            if assignment.scope.has_dataset(dataset) and assignment.scope.has_purpose(purpose)
            if any(permission.denies(name, category) for permission in role.deny)
        )

    def allowed_tenants(
        self,
        name: str,
        dataset: str | None = None,
        category: Category | None = None,
        *,
        purpose: str | None = None,
        by: str | None = None,
    ) -> TenantSet:
        """The tenants for which the account may perform an operation, optionally by one named role."""
        allowing = self.allowing_assignments(name, dataset, purpose, category)
        allowed = union_of_tenants(each.scope.tenants for each, role, _ in allowing if by in (None, role.name))
        return allowed - self.denied_tenants(name, dataset, purpose, category)

    def highest_category(
        self, name: str, dataset: str, tenants: TenantSet, *, purpose: str | None = None, by: str | None = None
    ) -> Category | None:
        """The highest category for which the account may perform an operation for all given tenants. None if there is none."""
        within = (
            each
            for each in CATEGORY_ORDER
            if tenants <= self.allowed_tenants(name, dataset, each, purpose=purpose, by=by)
        )
        return highest_or_none(within)

    def role_entitlements(self, dataset: str, purpose: str | None) -> list[Entitlement]:
        """The entitlements to read through roles, without a grant."""
        return [
            Entitlement(assignment.scope.tenants, (permission,), role=role.name)
            for assignment, role, permission in self.allowing_assignments(READ, dataset, purpose)
        ]

    def grant_entitlement(self, grant: Grant, purpose: str | None) -> Entitlement:
        """The entitlement of a grant, limited to what its holder may request and its approver could approve."""
        request, name = grant.request, permission_of_request(grant).name
        highest = self.highest_category(name, request.dataset, grant.tenants, purpose=purpose, by=request.role)
        bounds = (highest, request.category, grant.category_limit(self.time))
        limits = tuple(Permission(READ, each) for each in bounds if each is not None)
        named = None if request.columns is None else frozenset(request.columns)
        return Entitlement(grant.tenants, limits, frozenset() if highest is None else named, grant=grant)

    def rule_against_grant(self, grant: Grant, purpose: str | None) -> str | None:
        """The rule by which a grant is not usable now. None if it is usable."""
        state = grant.state(self.time)
        if state != "active":
            return {"expired": "expired", "revoked": "revoked"}.get(state or "", "not_granted")
        approver, request = grant.approver(self.time), grant.request
        alone = approver is not None and not self.access.are_separate(approver, grant.requester)
        unapproved = approver is None and not grant.is_break_glass
        name = permission_of_request(grant).name
        still = grant.tenants <= self.allowed_tenants(
            name, request.dataset, request.category, purpose=purpose, by=request.role
        )
        reversing = request.operation != "reidentify" or grant.tenants <= self.allowed_tenants(
            REIDENTIFY, request.dataset
        )
        groups = frozenset(request.groups) <= self.access.groups_of(self.account)
        return None if still and reversing and groups and not alone and not unapproved else "not_eligible"
