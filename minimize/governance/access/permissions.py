"""What anybody may be allowed: a resource and an operation, and of data up to which category."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from minimize.plan.category import ORDER
from minimize.plan.model import Category

READ: Final = "dataset/read"
REIDENTIFY: Final = "dataset/reidentify"
REQUEST: Final = "grant/request"
APPROVE: Final = "grant/approve"
BREAK_GLASS: Final = "grant/break_glass"
ASSIGN: Final = "roles/assign"
APPROVE_POLICY: Final = "policy/approve"

PERMISSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        READ: "read a dataset, up to a category",
        REIDENTIFY: "reverse tokens, under a grant that names an incident, and never without",
        "subject/view": "see what is held of a subject",
        "subject/export": "take out what is held of a subject",
        "subject/correct": "correct what is held of a subject",
        "subject/delete": "delete what is held of a subject",
        "subject/restrict": "keep what is held of a subject from being used",
        "settings/read": "see collection settings",
        "settings/set": "change collection settings",
        "remote_tasks/locate": "locate a lost device, and end it",
        "consent/read": "see consents",
        "consent/request": "ask a tenant for a consent",
        "consent/give": "record that a tenant agreed",
        "consent/refuse": "record that a tenant refused",
        "consent/withdraw": "record that a tenant withdrew",
        "consent/expire": "mark consents that have run out",
        "share/send": "send to a third party",
        "share/receive": "receive from a third party",
        "share/read": "see what was shared",
        "share/recall": "tell third parties to delete, and take down that they did",
        REQUEST: "ask for access for an incident, up to a category",
        APPROVE: "approve or deny what others ask for, up to a category",
        "grant/revoke": "end the access of others",
        BREAK_GLASS: "take access that nobody approved, flagged and reviewed",
        "grant/review": "review access that nobody approved",
        "grant/read": "see requests and grants",
        "audit/read": "see the audit log, and check it",
        "audit/export": "take entries of the audit log out",
        "audit/truncate": "let go of entries of the audit log that are past their year",
        "incident/read": "see incidents",
        "incident/open": "open an incident",
        "incident/assess": "say what an incident is, and how far it reaches",
        "incident/declare": "declare an incident reportable",
        "incident/notice": "give notice of an incident",
        "incident/close": "close an incident",
        "event/record": "record what happened to tenants and subjects, or take it back",
        "output/expire": "take out of an output what is past its time",
        "output/retract": "take out of an output what would not be collected today",
        "output/adopt": "continue an output with another ledger",
        "keys/add": "add a key to a keyring, or a version of one",
        "keys/rotate": "make a new version of a key for new files",
        "keys/shred": "destroy a version of a key",
        "roles/read": "see who may do what",
        ASSIGN: "change who has which role",
        APPROVE_POLICY: "approve a policy as it is",
        "token/make": "make a token for the door",
        "token/revoke": "end a token for the door",
    }
)
"""By name, with what each is for."""
GRADED: Final = frozenset({READ, REQUEST, APPROVE, BREAK_GLASS})
"""These are up to a category."""
SEEING: Final = frozenset({READ, "subject/view", "subject/export", "audit/export"}) | frozenset(
    name for name in PERMISSIONS if name.endswith("/read")
)
"""These change nothing; all others write."""


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission, as a role has it: up to a category where it is one of data.

    A denial of a category denies it and all above it; without a category everything is meant.
    """

    name: str
    category: Category | None = None

    def allows(self, name: str, category: Category | None = None) -> bool:
        """Whether it allows an operation, on data of this category.

        >>> Permission(READ, "pseudonymized").allows(READ, "identified")
        False
        """
        return self.name == name and (
            self.category is None or category is None or _rank(category) <= _rank(self.category)
        )

    def denies(self, name: str, category: Category | None = None) -> bool:
        """Whether its denial denies an operation; one that is about no category is denied by a whole denial alone.

        >>> Permission(READ, "pseudonymized").denies(READ, "identified")
        True
        """
        if self.name != name or self.category is None:
            return self.name == name
        return category is not None and _rank(category) >= _rank(self.category)

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.name not in SEEING

    def __str__(self) -> str:
        return self.name if self.category is None else f"{self.name}:{self.category}"


def permission(text: str) -> Permission | None:
    """The permission of a text; None for what is none.

    >>> permission("dataset/read:identified"), permission("dataset/fly")
    (Permission(name='dataset/read', category='identified'), None)
    """
    name, colon, word = text.partition(":")
    category = next((each for each in ORDER if each == word), None)
    if name not in PERMISSIONS or (colon and (category is None or name not in GRADED)):
        return None
    return Permission(name, category)


def permissions(*texts: str) -> tuple[Permission, ...]:
    """Several of them. Raises ValueError for what is none."""
    found = [permission(text) for text in texts]
    if None in found:
        raise ValueError("that is no permission")
    return tuple(each for each in found if each is not None)


def highest(categories: Iterable[Category]) -> Category | None:
    """The highest category of some; None where there are none."""
    return max(categories, key=_rank, default=None)


def _rank(category: Category) -> int:
    return ORDER.index(category)
