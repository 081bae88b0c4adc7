"""Access model: permissions, sets of tenants, accounts, roles, scopes, assignments, and the limits of grants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import reduce
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc

from minimize.identifiers import canonical_text
from minimize.output.folder import RECORDS
from minimize.plan.category import CATEGORY_ORDER
from minimize.plan.model import Category
from minimize.policy.model import FrozenModel
from minimize.techniques import Technique

READ: Final = "dataset/read"
REIDENTIFY: Final = "dataset/reidentify"
REQUEST: Final = "grant/request"
APPROVE: Final = "grant/approve"
BREAK_GLASS: Final = "grant/break_glass"
ASSIGN: Final = "roles/assign"
APPROVE_POLICY: Final = "policy/approve"

PERMISSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        READ: "read a dataset up to a category",
        REIDENTIFY: "reverse tokens under a grant for an incident",
        "subject/view": "view all data held about a subject",
        "subject/export": "export all data held about a subject",
        "subject/correct": "correct data held about a subject",
        "subject/delete": "delete all data held about a subject",
        "subject/restrict": "restrict the use of a subject's data",
        "settings/read": "view collection settings",
        "settings/set": "change collection settings",
        "remote_tasks/locate": "start and end locating a lost device",
        "consent/read": "view consents",
        "consent/request": "ask a tenant for a consent",
        "consent/give": "record that a tenant gave consent",
        "consent/refuse": "record that a tenant refused consent",
        "consent/withdraw": "record that a tenant withdrew consent",
        "consent/expire": "mark consents as expired",
        "share/send": "send data to a third party",
        "share/receive": "receive data from a third party",
        "share/read": "view disclosures",
        "share/recall": "request deletion from third parties and record their confirmations",
        REQUEST: "request access for an incident up to a category",
        APPROVE: "approve or deny requests of others up to a category",
        "grant/revoke": "end the access of others",
        BREAK_GLASS: "use break-glass access without approval, with later review",
        "grant/review": "review break-glass access",
        "grant/read": "view requests and grants",
        "audit/read": "view and check the audit log",
        "audit/export": "export entries of the audit log",
        "audit/truncate": "remove entries of the audit log that are older than a year",
        "incident/read": "view incidents",
        "incident/open": "open an incident",
        "incident/assess": "assess an incident and its scope",
        "incident/declare": "declare an incident",
        "incident/notice": "draft and record notices of an incident",
        "incident/close": "close an incident",
        "event/record": "record or revoke lifecycle events of tenants and subjects",
        "output/expire": "remove data past its retention period from an output",
        "output/retract": "apply the current policy to published output",
        "output/adopt": "attach an output to another ledger",
        "keys/add": "add a key or a key version to a keyring",
        "keys/rotate": "rotate a key: add a version for new files",
        "keys/shred": "destroy a key version",
        "roles/read": "view roles and assignments",
        ASSIGN: "assign roles",
        APPROVE_POLICY: "approve the content of a policy",
        "token/make": "issue an API token for the server",
        "token/revoke": "revoke an API token for the server",
    }
)
"""All permissions, each with its description."""
CATEGORY_PERMISSIONS: Final = frozenset({READ, REQUEST, APPROVE, BREAK_GLASS})
"""Permissions that are limited to a category."""
READ_ONLY_PERMISSIONS: Final = frozenset({READ, "subject/view", "subject/export", "audit/export"}) | frozenset(
    name for name in PERMISSIONS if name.endswith("/read")
)
"""Operations that only read. All others write."""


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission of a role, limited to a category if it concerns data.

    A denial of a category also denies all categories above it. A denial without a category denies all of them.
    """

    name: str
    category: Category | None = None

    def allows(self, name: str, category: Category | None = None) -> bool:
        """Whether the permission allows an operation on data of this category.

        >>> Permission(READ, "pseudonymized").allows(READ, "identified")
        False
        """
        return self.name == name and (
            self.category is None or category is None or _category_rank(category) <= _category_rank(self.category)
        )

    def denies(self, name: str, category: Category | None = None) -> bool:
        """Whether a denial of this permission denies an operation. Without `category`, only a denial of all categories does.

        >>> Permission(READ, "pseudonymized").denies(READ, "identified")
        True
        """
        if self.name != name or self.category is None:
            return self.name == name
        return category is not None and _category_rank(category) >= _category_rank(self.category)

    @property
    def writes(self) -> bool:
        """Whether the operation changes anything."""
        return self.name not in READ_ONLY_PERMISSIONS

    def __str__(self) -> str:
        return self.name if self.category is None else f"{self.name}:{self.category}"


def parse_permission(text: str) -> Permission | None:
    """Parses a permission. None if it is unknown.

    >>> parse_permission("dataset/read:identified"), parse_permission("dataset/fly")
    (Permission(name='dataset/read', category='identified'), None)
    """
    name, colon, word = text.partition(":")
    category = next((each for each in CATEGORY_ORDER if each == word), None)
    if name not in PERMISSIONS or (colon and (category is None or name not in CATEGORY_PERMISSIONS)):
        return None
    return Permission(name, category)


def parse_permissions(*texts: str) -> tuple[Permission, ...]:
    """Parses several permissions. Raises ValueError for an unknown one."""
    found = [parse_permission(text) for text in texts]
    if None in found:
        raise ValueError("unknown permission")
    return tuple(each for each in found if each is not None)


def highest_or_none(categories: Iterable[Category]) -> Category | None:
    """The highest of several categories. None if there are none."""
    return max(categories, key=_category_rank, default=None)


def _category_rank(category: Category) -> int:
    return CATEGORY_ORDER.index(category)


_TENANT_TYPE: Final = pa.string()


@dataclass(frozen=True, slots=True)
class TenantSet:
    """A set of tenants: the named ones, or (`complement`) all except the named ones."""

    names: frozenset[str] = frozenset()
    complement: bool = False

    @classmethod
    def from_names(cls, *names: str) -> Self:
        """The set of these tenants."""
        return cls(frozenset(map(canonical_text, names)))

    @property
    def is_empty(self) -> bool:
        """Whether the set is empty."""
        return not self.names and not self.complement

    @property
    def is_all(self) -> bool:
        """Whether the set contains all tenants."""
        return self.complement and not self.names

    def __contains__(self, tenant: object) -> bool:
        return (canonical_text(str(tenant)) in self.names) != self.complement

    def __or__(self, other: TenantSet) -> TenantSet:
        return ~(~self & ~other)

    def __and__(self, other: TenantSet) -> TenantSet:
        if self.complement and other.complement:
            return TenantSet(self.names | other.names, complement=True)
        if self.complement or other.complement:
            some, all_but = (other, self) if self.complement else (self, other)
            return TenantSet(some.names - all_but.names)
        return TenantSet(self.names & other.names)

    def __invert__(self) -> TenantSet:
        return TenantSet(self.names, not self.complement)

    def __sub__(self, other: TenantSet) -> TenantSet:
        return self & ~other

    def __le__(self, other: TenantSet) -> bool:
        return (self - other).is_empty

    def filter(self, column: str, type_: pa.DataType = _TENANT_TYPE) -> Any:
        """An Arrow dataset filter for the tenant column. None if the set contains all tenants.

        `type_` is the type of the column, if it is another string type.
        Nulls: a row without a tenant belongs only to the set of all tenants.
        """
        if self.is_all:
            return None
        named = pc.field(column).isin(pa.array(sorted(self.names), type_))
        return pc.field(column).is_valid() & (~named if self.complement else named)

    def __str__(self) -> str:
        if self.is_all or self.is_empty:
            return "all" if self.complement else "none"
        return ("all but " if self.complement else "") + ", ".join(sorted(self.names))


ALL_TENANTS: Final = TenantSet(complement=True)
NO_TENANTS: Final = TenantSet()


def union_of_tenants(sets: Iterable[TenantSet]) -> TenantSet:
    """The union of several sets.

    >>> str(union_of_tenants([TenantSet.from_names("a"), ~TenantSet.from_names("a", "b")]))
    'all but b'
    """
    return reduce(TenantSet.__or__, sets, NO_TENANTS)


def common_tenants(sets: Iterable[TenantSet]) -> TenantSet:
    """The intersection of several sets."""
    return reduce(TenantSet.__and__, sets, ALL_TENANTS)


EXTERNAL: Literal["external"] = "external"


@dataclass(frozen=True, slots=True)
class UserAccount:
    """An account: its user name, and the groups that the authentication service confirmed."""

    user: str
    groups: frozenset[str] = field(default_factory=frozenset)


class AccessRole(FrozenModel):
    """A role: a named set of permissions.

    base     the built-in role that it is or copies
    deny     permissions that are denied, regardless of other roles
    views    techniques that are applied to released values before they are shown, by dataset and column
    """

    name: str
    base: str
    about: str = ""
    allow: tuple[Permission, ...] = ()
    deny: tuple[Permission, ...] = ()
    views: Mapping[str, Mapping[str, tuple[Technique, ...]]] = {}
    line: int | None = None

    @property
    def is_builtin(self) -> bool:
        """Whether the role is built in. A file cannot change built-in roles."""
        return self.name == self.base

    def has(self, name: str) -> bool:
        """Whether the role allows an operation, for any category."""
        return any(each.name == name for each in self.allow)


class AccessScope(FrozenModel):
    """The scope of an assignment. None for datasets or purposes means all of them."""

    tenants: TenantSet = ALL_TENANTS
    datasets: tuple[str, ...] | None = None
    purposes: tuple[str, ...] | None = None

    def has_dataset(self, dataset: str | None) -> bool:
        """Whether a dataset is in scope. An operation without a dataset is in every scope."""
        return dataset is None or self.datasets is None or any(covers(each, dataset) for each in self.datasets)

    def has_purpose(self, purpose: str | None) -> bool:
        """Whether a purpose is in scope."""
        return purpose is None or self.purposes is None or purpose in self.purposes


class RoleAssignment(FrozenModel):
    """Assigns a role to members (users and groups) within a scope."""

    role: str
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    scope: AccessScope
    line: int | None = None


class BreakGlassRules(FrozenModel):
    """Limits of break-glass access: maximum duration, and the deadline of its review."""

    maximum: timedelta = timedelta(hours=1)
    review_within: timedelta = timedelta(hours=24)


class GrantRules(FrozenModel):
    """Limits of just-in-time access.

    default     duration if a request does not state one
    maximum     maximum duration of a request
    unanswered  time after which an unanswered request expires
    """

    default: timedelta = timedelta(hours=8)
    maximum: timedelta = timedelta(hours=24)
    unanswered: timedelta = timedelta(days=4)
    break_glass: BreakGlassRules = BreakGlassRules()


class AccessRules(FrozenModel):
    """The content of an access file.

    people   accounts by person; an account that is not listed counts as a separate person
    groups   users by group; None if the authentication service confirms the members
    """

    version: int
    people: Mapping[str, tuple[str, ...]] = {}
    groups: Mapping[str, tuple[str, ...] | None] = {}
    roles: Mapping[str, AccessRole]
    assignments: tuple[RoleAssignment, ...] = ()
    conflicts: tuple[tuple[str, str], ...] = ()
    grants: GrantRules = GrantRules()
    path: Path | None = None
    digest: str = ""
    """`sha256:` and the digest of the file's bytes. Empty if not loaded from a file."""

    def person(self, user: str) -> str:
        """The person who owns an account."""
        return next((name for name, accounts in self.people.items() if user in accounts), user)

    def accounts(self, user: str) -> frozenset[str]:
        """All accounts of the person who owns this account."""
        return frozenset((user, *self.people.get(self.person(user), ())))

    def groups_of(self, account: UserAccount) -> frozenset[str]:
        """The groups of an account: those listed in the file, and external groups that the authentication service confirmed."""
        listed = {name for name, users in self.groups.items() if users is not None and account.user in users}
        return frozenset(listed | {name for name in account.groups if self.groups.get(name, ()) is None})

    def assignments_of(self, account: UserAccount) -> Iterator[tuple[RoleAssignment, AccessRole]]:
        """The assignments of an account, each with its role."""
        groups = self.groups_of(account)
        for each in self.assignments:
            if account.user in each.users or groups.intersection(each.groups):
                yield each, self.roles[each.role]

    def assignments_of_person(self, account: UserAccount) -> Iterator[tuple[RoleAssignment, AccessRole]]:
        """The assignments of all accounts of the person. A restriction of one account applies to all of them."""
        yield from self.assignments_of(account)
        for user in sorted(self.accounts(account.user) - {account.user}):
            yield from self.assignments_of(UserAccount(user))

    def are_separate(self, one: str, other: str) -> bool:
        """Whether two accounts belong to two persons who share no group listed in the file."""
        mine, theirs = (frozenset().union(*map(self._groups_of_user, self.accounts(user))) for user in (one, other))
        return other not in self.accounts(one) and not mine & theirs

    def _groups_of_user(self, user: str) -> frozenset[str]:
        return self.groups_of(UserAccount(user))


def covers(name: str, dataset: str) -> bool:
    """Whether a name in a scope covers a dataset. The name of a pipeline covers all of its outputs.

    >>> covers("telemetry", "telemetry/by_version"), covers("telemetry/records", "telemetry"), covers("tele", "telemetry")
    (True, True, False)
    """
    pipeline, _, output = name.partition("/")
    of, _, wanted = dataset.partition("/")
    return pipeline == of and output in ("", wanted or RECORDS)


def same_dataset(one: str, other: str) -> bool:
    """Whether two names denote the same dataset. The name of a pipeline denotes its records."""
    return _pipeline_and_output(one) == _pipeline_and_output(other)


def _pipeline_and_output(name: str) -> tuple[str, str]:
    pipeline, _, output = name.partition("/")
    return pipeline, output or RECORDS
