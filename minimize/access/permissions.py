"""Permissions by name and category, and sets of tenants."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from types import MappingProxyType
from typing import Any, Final, Self, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from minimize.identifiers import canonical_text
from minimize.ledger.audit_event import EntryFilter
from minimize.plan.model import CATEGORY_ORDER, Category
from minimize.results import Printable, ScopedResult

READ: Final = "dataset/read"
REIDENTIFY: Final = "dataset/reidentify"
REQUEST: Final = "grant/request"
APPROVE: Final = "grant/approve"
BREAK_GLASS: Final = "grant/break_glass"
ASSIGN: Final = "roles/assign"
CONFIRM: Final = "consent/confirm"
CORRECT: Final = "subject/correct"
APPROVE_POLICY: Final = "policy/approve"

PERMISSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        READ: "read a dataset up to a category",
        REIDENTIFY: "reverse tokens under a grant for an incident",
        "subject/view": "view all data held about a subject",
        "subject/export": "export all data held about a subject",
        CORRECT: "correct data held about a subject",
        "subject/delete": "delete all data held about a subject",
        "subject/restrict": "restrict the use of a subject's data",
        "subject_request/read": "view requests about data subjects, their states and deadlines",
        "subject/refuse": "record the refusal of a data subject's request",
        "settings/read": "view collection settings",
        "settings/set": "change collection settings of any holder",
        "settings/set_admin": "change collection settings of the holder admin",
        "remote_tasks/locate": "start and end locating a lost device",
        "consent/read": "view consents",
        "consent/request": "ask a tenant for a consent",
        "consent/give": "record that a tenant gave consent",
        CONFIRM: "confirm a consent that another person recorded with its document",
        "consent/refuse": "record that a tenant refused consent",
        "consent/withdraw": "record that a tenant withdrew consent",
        "consent/expire": "mark consents as expired",
        "contract/read": "view contracts of tenants with third parties",
        "contract/record": "record or end contracts of tenants with third parties",
        "function/read": "view which functions of third parties a tenant uses",
        "function/enable": "ask a tenant to turn on a function, and confirm its prerequisites",
        "share/send": "send data to a third party",
        "share/receive": "receive data from a third party",
        "share/read": "view disclosures",
        "share/recall": "request deletion from third parties and record their confirmations",
        "share/recall_request": "request deletion from third parties",
        REQUEST: "request access for an incident up to a category",
        APPROVE: "approve or deny requests of others up to a category",
        "grant/revoke": "end the access of others",
        BREAK_GLASS: "use break-glass access without approval, with later review",
        "grant/review": "review break-glass access",
        "grant/read": "view requests and grants",
        "tenant/report": "report about a tenant for its auditor",
        "audit/read": "view and check the audit log",
        "audit/export": "export entries of the audit log",
        "audit/truncate": "remove entries of the audit log that are older than a year",
        "incident/read": "view incidents",
        "incident/open": "open an incident",
        "incident/assess": "assess an incident and its scope",
        "incident/declare": "declare an incident",
        "incident/notice": "draft and record notices of an incident",
        "incident/close": "close an incident",
        "event/read": "view lifecycle events of tenants and subjects",
        "event/record": "record or revoke lifecycle events of tenants and subjects",
        "event/import": "record the users of a directory's feed as deleted",
        "run/read": "view published runs and counts of quarantined records",
        "run/void": "declare a published run void",
        "run/override": "replace the input, the settings or the output of a pipeline",
        "run/override_elsewhere": "replace them for an output that is not the pipeline's own",
        "output/expire": "remove data past its retention period from an output",
        "output/retract": "apply the current policy to published output",
        "output/retract_received": "remove received data that consents and contracts no longer cover",
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
INCLUDING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "settings/set_admin": "settings/set",
        "event/import": "event/record",
        "share/recall_request": "share/recall",
        "output/retract_received": "output/retract",
        "run/override_elsewhere": "run/override",
    }
)
"""Permissions that are part of another one: a role that allows or denies the other also allows or denies this one."""
CATEGORY_PERMISSIONS: Final = frozenset({READ, REQUEST, APPROVE, BREAK_GLASS})
"""Permissions that are limited to a category."""
READ_ONLY_PERMISSIONS: Final = frozenset(
    {READ, "subject/view", "subject/export", "tenant/report", "audit/export"}
) | frozenset(name for name in PERMISSIONS if name.endswith("/read"))
"""Operations that only read. All others write."""

_LEDGER_WIDE: Final = frozenset(
    [
        "audit",
        "consent",
        "contract",
        "event",
        "function",
        "grant",
        "incident",
        "remote_tasks",
        "roles",
        "settings",
        "token",
    ]
)


def is_ledger_wide(permission: str) -> bool:
    """Whether an operation records or shows acts, which count for every output of the ledger.

    >>> is_ledger_wide("settings/set"), is_ledger_wide("run/void")
    (True, False)
    """
    return permission.partition("/")[0] in _LEDGER_WIDE or permission in {"subject/refuse", "share/recall"}


RULES_REQUIRED: Final = frozenset({"subject/view", "subject/export", "settings/set", "settings/set_admin"}) | frozenset(
    name for name in PERMISSIONS if name.startswith(("consent/", "contract/", "function/"))
)
"""Operations that show the data of a person or decide for a tenant. Without access rules they are refused, unless the
configuration states `access: off`."""


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
        return self._covers(name) and (
            self.category is None or category is None or _category_rank(category) <= _category_rank(self.category)
        )

    def denies(self, name: str, category: Category | None = None) -> bool:
        """Whether a denial of this permission denies an operation. Without `category`, only a denial of all categories does.

        >>> Permission(READ, "pseudonymized").denies(READ, "identified")
        True
        """
        if not self._covers(name) or self.category is None:
            return self._covers(name)
        return category is not None and _category_rank(category) >= _category_rank(self.category)

    def _covers(self, name: str) -> bool:
        return self.name in (name, INCLUDING.get(name))

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
    permissions = [parse_permission(text) for text in texts]
    if None in permissions:
        raise ValueError("unknown permission")
    return tuple(each for each in permissions if each is not None)


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

    @property
    def only_name(self) -> str | None:
        """The name of the only tenant of the set. None if it contains no tenant, or several."""
        return next(iter(self.names)) if len(self.names) == 1 and not self.complement else None

    def __contains__(self, tenant: object) -> bool:
        return (canonical_text(str(tenant)) in self.names) != self.complement

    def __or__(self, tenants: TenantSet) -> TenantSet:
        return ~(~self & ~tenants)

    def __and__(self, tenants: TenantSet) -> TenantSet:
        if self.complement and tenants.complement:
            return TenantSet(self.names | tenants.names, complement=True)
        if self.complement or tenants.complement:
            some, all_but = (tenants, self) if self.complement else (self, tenants)
            return TenantSet(some.names - all_but.names)
        return TenantSet(self.names & tenants.names)

    def __invert__(self) -> TenantSet:
        return TenantSet(self.names, not self.complement)

    def __sub__(self, tenants: TenantSet) -> TenantSet:
        return self & ~tenants

    def __le__(self, tenants: TenantSet) -> bool:
        return (self - tenants).is_empty

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


T = TypeVar("T")


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


def limited_result(result: Printable, tenants: TenantSet) -> Printable:
    """The result of an account whose scope has these tenants. It says that it is limited if they are not all."""
    return result if tenants.is_all else ScopedResult(result)
