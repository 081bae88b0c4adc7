"""What an account holds at a time: what its roles open and deny, and which grants open more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from minimize.governance.access.grants import Grant, asks_for
from minimize.governance.access.model import Access, Account, Assignment, Role
from minimize.governance.access.permissions import READ, REIDENTIFY, Permission, highest
from minimize.governance.access.tenants import Tenants, united
from minimize.plan.category import ORDER
from minimize.plan.model import Category


@dataclass(frozen=True, slots=True)
class Opening:
    """Something that opens data: for some tenants, by a permission or for columns by name; through a role, or a grant.

    limits  permissions that the category of each column must be within
    """

    tenants: Tenants
    limits: tuple[Permission, ...]
    columns: frozenset[str] | None = None
    role: str | None = None
    grant: Grant | None = None

    def has(self, column: str, category: Category) -> bool:
        """Whether it opens a column, as far as names and categories go."""
        named = self.columns is None or column in self.columns
        return named and all(limit.allows(limit.name, category) for limit in self.limits)


@dataclass(frozen=True)
class Holding:
    """An account at a time, under one access file."""

    access: Access
    account: Account
    at: datetime

    @cached_property
    def held(self) -> tuple[tuple[Assignment, Role], ...]:
        """The assignments of the account, each with its role."""
        return tuple(self.access.held(self.account))

    @cached_property
    def held_by_person(self) -> tuple[tuple[Assignment, Role], ...]:
        """Those of all accounts of the person."""
        return tuple(self.access.held_by_person(self.account))

    def allowing(
        self, name: str, dataset: str | None = None, purpose: str | None = None, category: Category | None = None
    ) -> Iterator[tuple[Assignment, Role, Permission]]:
        """The assignments of the account that allow an operation where it is wanted, each with the permission."""
        for assignment, role in self.held:
            if assignment.scope.has_dataset(dataset) and assignment.scope.has_purpose(purpose):
                yield from (
                    (assignment, role, permission) for permission in role.allow if permission.allows(name, category)
                )

    def denied(
        self, name: str, dataset: str | None = None, purpose: str | None = None, category: Category | None = None
    ) -> Tenants:
        """For which tenants a role of the person denies an operation."""
        return united(
            assignment.scope.tenants
            for assignment, role in self.held_by_person
            if assignment.scope.has_dataset(dataset) and assignment.scope.has_purpose(purpose)
            if any(permission.denies(name, category) for permission in role.deny)
        )

    def may(
        self,
        name: str,
        dataset: str | None = None,
        category: Category | None = None,
        *,
        purpose: str | None = None,
        by: str | None = None,
    ) -> Tenants:
        """For which tenants it may do something; by one role, where that is named."""
        allowing = self.allowing(name, dataset, purpose, category)
        allowed = united(each.scope.tenants for each, role, _ in allowing if by in (None, role.name))
        return allowed - self.denied(name, dataset, purpose, category)

    def up_to(
        self, name: str, dataset: str, tenants: Tenants, *, purpose: str | None = None, by: str | None = None
    ) -> Category | None:
        """The highest category up to which it may do something for all of some tenants; None where that is none."""
        within = (each for each in ORDER if tenants <= self.may(name, dataset, each, purpose=purpose, by=by))
        return highest(within)

    def standing(self, dataset: str, purpose: str | None) -> list[Opening]:
        """What roles open to read, without any grant."""
        return [
            Opening(assignment.scope.tenants, (permission,), role=role.name)
            for assignment, role, permission in self.allowing(READ, dataset, purpose)
        ]

    def granted(self, grant: Grant, purpose: str | None) -> Opening:
        """What a grant opens, within what its holder may ask for and its approver could approve."""
        asked, name = grant.asked, asks_for(grant).name
        reach = self.up_to(name, asked.dataset, grant.tenants, purpose=purpose, by=asked.role)
        bounds = (reach, asked.category, grant.limit(self.at))
        limits = tuple(Permission(READ, each) for each in bounds if each is not None)
        named = None if asked.columns is None else frozenset(asked.columns)
        return Opening(grant.tenants, limits, frozenset() if reach is None else named, grant=grant)

    def trouble(self, grant: Grant, purpose: str | None) -> str | None:
        """The rule by which a grant opens nothing now; None where it does."""
        state = grant.state(self.at)
        if state != "active":
            return {"expired": "expired", "revoked": "revoked"}.get(state or "", "not_granted")
        approver, asked = grant.approver(self.at), grant.asked
        alone = approver is not None and not self.access.separate(approver, grant.requester)
        unapproved = approver is None and not grant.is_break_glass
        name = asks_for(grant).name
        still = grant.tenants <= self.may(name, asked.dataset, asked.category, purpose=purpose, by=asked.role)
        reversing = asked.operation != "reidentify" or grant.tenants <= self.may(REIDENTIFY, asked.dataset)
        groups = frozenset(asked.groups) <= self.access.groups_of(self.account)
        return None if still and reversing and groups and not alone and not unapproved else "not_eligible"
