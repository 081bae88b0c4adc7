"""Entitlements of an account at a time: the permissions of its roles and grants, and the views of its roles.

Just-in-time grants: requests, and the state of each grant at any time, from the entries in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal

from minimize.access.model import AccessRules, RoleAssignment, UserAccount, covers
from minimize.access.permissions import READ, REIDENTIFY, Permission, TenantSet, highest_or_none, union_of_tenants
from minimize.access.roles import AccessRole, RolePair, RoleView, find_conflict
from minimize.identifiers import canonical_account
from minimize.ledger.acts import ActReader
from minimize.ledger.clock import known_times
from minimize.ledger.kinds import GRANT, GrantAct
from minimize.plan.model import CATEGORY_ORDER, Category
from minimize.policy.fields import compare_coarseness
from minimize.results import JsonResult, json_member, json_object
from minimize.techniques import TechniqueStep
from minimize.times import seconds_text, time_text, utc_now

AccessOperation = Literal["read", "reidentify"]
GrantState = Literal["requested", "active", "denied", "revoked", "expired"]
ReviewState = Literal["due", "overdue", "reviewed"]


@dataclass(frozen=True, slots=True)
class GrantRequest(JsonResult):
    """A request for access for an incident."""

    incident: str
    justification: str
    dataset: str
    tenants: tuple[str, ...]
    duration: timedelta = field(metadata=json_member("duration_s"))
    columns: tuple[str, ...] | None = None
    """Requested columns; None for all columns up to `category`."""
    category: Category | None = None
    operation: AccessOperation = "read"
    role: str = ""
    """The role that permits the request."""
    groups: tuple[str, ...] = ()
    """The groups through which the account has the role; empty if the role is assigned directly."""

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> GrantRequest:
        """Reads a request from its stored form."""
        return cls(
            incident=document["incident"],
            justification=document["justification"],
            dataset=document["dataset"],
            tenants=tuple(document["tenants"]),
            duration=timedelta(seconds=document["duration_s"]),
            columns=None if document["columns"] is None else tuple(document["columns"]),
            category=document["category"],
            operation=document["operation"],
            role=document["role"],
            groups=tuple(document["groups"]),
        )


@dataclass(frozen=True)
class Grant:
    """One request and all entries that followed, in the order of the ledger, and the time at which they were read."""

    acts: tuple[GrantAct, ...]
    read_at: datetime = field(default_factory=utc_now, compare=False, repr=False)

    @property
    def id(self) -> str:
        """The id of the grant."""
        return self.acts[0].grant

    @property
    def requester(self) -> str:
        """The account that requested access."""
        return canonical_account(self.acts[0].by)

    @property
    def requested_at(self) -> datetime:
        """The time of the request."""
        return self.acts[0].recorded_at

    @cached_property
    def request(self) -> GrantRequest:
        """The requested access."""
        return GrantRequest.from_json(self.acts[0].body["asked"])

    @property
    def tenants(self) -> TenantSet:
        """The tenants whose rows the grant permits to read."""
        return TenantSet.from_names(*self.request.tenants)

    @property
    def is_break_glass(self) -> bool:
        """Whether the grant is break-glass access, without approval."""
        return self.acts[0].state == "broke_glass"

    @property
    def answer_by(self) -> datetime | None:
        """The deadline for an answer. An answer at this time is too late."""
        return _act_time(self.acts[0], "answer_by")

    @property
    def review_by(self) -> datetime | None:
        """The time from which a review is overdue. None if no review is needed."""
        return _act_time(self.acts[0], "review_by")

    def answer(self, at: datetime) -> GrantAct | None:
        """The first answer known at a time. None if there was none, or it came too late."""
        answer = self._first(("approved", "denied"), at)
        late = answer is not None and self.answer_by is not None and answer.recorded_at >= self.answer_by
        return None if late else answer

    def denial_text(self, at: datetime) -> str:
        """A message with the role and time of the denial. Empty if the request was not denied at that time."""
        act = self.answer(at)
        if act is None or act.state != "denied":
            return ""
        role = act.body.get("role")
        approver = f" by the role {role}" if role else ""
        return f"the request was denied{approver} at {time_text(act.recorded_at)}"

    def opening(self, at: datetime) -> GrantAct | None:
        """The entry that opened access, as known at a time."""
        if self.is_break_glass:
            return self.acts[0] if self.requested_at <= at else None
        answer = self.answer(at)
        return answer if answer is not None and answer.state == "approved" else None

    def ends_at(self, at: datetime) -> datetime | None:
        """The time from which the grant is no longer usable. None if it was never opened."""
        act = self.opening(at)
        return None if act is None else _act_time(act, "ends_at")

    def category_limit(self, at: datetime) -> Category | None:
        """The highest category that the approver could approve. None without a limit."""
        act = self.opening(at)
        limit: Category | None = None if act is None else act.body.get("up_to")
        return limit

    def approver(self, at: datetime) -> str | None:
        """The account that approved the grant."""
        act = self.opening(at)
        return None if act is None or self.is_break_glass else act.by

    def state(self, at: datetime) -> GrantState | None:
        """The state at a time, as known then. None before the request. Periods include their start and exclude their end."""
        if at < self.requested_at:
            return None
        ends, answer = self.ends_at(at), self.answer(at)
        until = ends or self.answer_by
        revoked = self._first(("revoked",), at)
        if revoked is not None and (until is None or revoked.recorded_at < until):
            return "revoked"
        if answer is not None and answer.state == "denied":
            return "denied"
        if until is not None and until <= at:
            return "expired"
        return "requested" if ends is None else "active"

    def review(self, at: datetime) -> ReviewState | None:
        """The state of the review. None if no review is needed."""
        due = self.review_by
        if due is None:
            return None
        if self._first(("reviewed",), at) is not None:
            return "reviewed"
        return "due" if at < due else "overdue"

    def to_json(self, at: datetime) -> dict[str, Any]:
        """The output of `access list --json` for the grant."""
        body = {"grant": self.id, "state": self.state(at), "requester": self.requester, **self.request.to_json()}
        body |= {"break_glass": self.is_break_glass, "requested_at": self.requested_at, "answer_by": self.answer_by}
        body |= {"approver": self.approver(at), "ends_at": self.ends_at(at), "review_by": self.review_by}
        return json_object({**body, "review": self.review(at)})

    def lines(self, at: datetime) -> Iterator[str]:
        """The state, its deadline, and the requested access."""
        request, ends = self.request, self.ends_at(at)
        times = f", until {seconds_text(ends)}" if ends else ""
        if ends is None and self.answer_by is not None and self.state(at) == "requested":
            times = f", answer by {seconds_text(self.answer_by)}"
        dataset = f"{request.dataset}{' (reidentify)' if request.operation == 'reidentify' else ''}"
        access = (
            f"{dataset}: {', '.join(request.columns or (f'up to {request.category}',))} of {', '.join(request.tenants)}"
        )
        reason = f"  because: {request.justification}" if self.state(at) == "requested" else ""
        glass = f"  BREAK-GLASS, review {self.review(at)}" if self.is_break_glass else ""
        yield f"{self.id}  {self.state(at)}{times}  {self.requester}  {request.incident}  {access}{glass}{reason}"

    def _first(self, states: tuple[str, ...], at: datetime) -> GrantAct | None:
        known = known_times([act.recorded_at for act in self.acts], self.read_at)
        acts = (
            replace(act, recorded_at=time) if act.state in ("revoked", "denied") else act
            for act, time in zip(self.acts[1:], known[1:], strict=True)
        )
        return next((act for act in acts if act.state in states and act.recorded_at <= at), None)


@dataclass(frozen=True)
class Grants:
    """All grants of a ledger, in the order of their requests."""

    acts: tuple[GrantAct, ...] = ()
    """The acts, in the order of the ledger."""
    earlier: Mapping[str, Grant] = field(default_factory=dict, repr=False)
    """The grants before the acts, by id."""
    read_at: datetime = field(default_factory=utc_now, compare=False, repr=False)
    """The time at which the acts were read."""

    def followed_by(self, acts: Iterable[GrantAct], read_at: datetime) -> Grants:
        """These grants and later acts. A grant without later acts is the same object."""
        return Grants(tuple(acts), self._by_id, read_at)

    @cached_property
    def all_grants(self) -> tuple[Grant, ...]:
        """All grants, in order."""
        return tuple(each for each in self._by_id.values() if each.acts[0].state in ("requested", "broke_glass"))

    def find(self, grant: str) -> Grant | None:
        """The grant with this id, or with this unique beginning of an id."""
        grants = [each for each in self.all_grants if each.id.startswith(grant)]
        return grants[0] if len(grants) == 1 and grant else None

    def for_incident(self, user: str, incident: str) -> Iterable[Grant]:
        """The grants of an account for an incident."""
        return (
            each for each in self._by_requester.get(canonical_account(user), ()) if each.request.incident == incident
        )

    @cached_property
    def _by_id(self) -> dict[str, Grant]:
        grants = dict(self.earlier)
        for act in self.acts:
            known = grants.get(act.grant)
            grants[act.grant] = Grant((act,) if known is None else (*known.acts, act), self.read_at)
        return grants

    @cached_property
    def _by_requester(self) -> dict[str, list[Grant]]:
        grants: dict[str, list[Grant]] = {}
        for grant in self.all_grants:
            grants.setdefault(grant.requester, []).append(grant)
        return grants


def permission_of_request(grant: Grant) -> Permission:
    """The permission that the holder of a grant needs."""
    return Permission("grant/break_glass" if grant.is_break_glass else "grant/request", grant.request.category)


def _act_time(act: GrantAct, name: str) -> datetime | None:
    text = act.body.get(name)
    return None if text is None else datetime.fromisoformat(text)


def find_account_conflict(access: AccessRules, account: UserAccount) -> RolePair | None:
    """Finds two conflicting roles of the person who owns an account."""
    return find_conflict((role for _, role in access.assignments_of_person(account)), access.conflicts)


def view_steps(views: Mapping[str, RoleView]) -> dict[str, list[str]]:
    """The names of the techniques of each view."""
    return {name: [step.name for step in view] for name, view in views.items()}


def views_of_column(role: AccessRole, dataset: str, column: str) -> list[RoleView]:
    """The views that a role, or a role that it copies, sets on a column of a dataset."""
    views = [
        columns[column]
        for ancestor in role.lineage
        for name, columns in ancestor.views.items()
        if covers(name, dataset) and column in columns
    ]
    return _distinct_views(views)


def coarsest_view(views: Iterable[RoleView]) -> RoleView | None:
    """The coarsest of several views. None if none is the coarsest. Empty without views.

    Permissions of roles add up, but views restrict: an account with several views gets the coarsest.
    """
    distinct_views = _distinct_views([*views])
    return (
        next((view for view in distinct_views if all(_is_coarser(second, view) for second in distinct_views)), None)
        if distinct_views
        else ()
    )


def shows_less(view: RoleView, form: Sequence[TechniqueStep]) -> bool:
    """Whether a view can show less than the released form. False if it provably shows the same."""
    if len(view) == len(form) == 1 and view[0].name == form[0].name:
        return compare_coarseness(form[0], view[0]) == "coarser" and view[0] != form[0]
    return bool(view)


def _is_coarser(first: RoleView, second: RoleView) -> bool:
    """Whether the second of two views shows at most as much as the first."""
    if first == second or second[-1].shows_presence_only:
        return True
    return len(first) == len(second) == 1 and compare_coarseness(first[0], second[0]) == "coarser"


def _distinct_views(views: Sequence[RoleView]) -> list[RoleView]:
    """Removes duplicates by comparison, because some techniques cannot be hashed."""
    return [view for at, view in enumerate(views) if view not in views[:at]]


@dataclass(frozen=True, slots=True)
class Entitlement:
    """A permission to read data of some tenants, by category or for named columns, through a role or a grant."""

    tenants: TenantSet
    limits: tuple[Permission, ...]
    """Permissions that must all allow the category of a column."""
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
        role_name: str | None = None,
    ) -> TenantSet:
        """The tenants for which the account may perform an operation, optionally by one named role."""
        allowing = self.allowing_assignments(name, dataset, purpose, category)
        allowed = union_of_tenants(
            assignment.scope.tenants for assignment, role, _ in allowing if role_name in (None, role.name)
        )
        return allowed - self.denied_tenants(name, dataset, purpose, category)

    def highest_category(
        self, name: str, dataset: str, tenants: TenantSet, *, purpose: str | None = None, role_name: str | None = None
    ) -> Category | None:
        """The highest category for which the account may perform an operation for all given tenants. None if there is none."""
        within = (
            each
            for each in CATEGORY_ORDER
            if tenants <= self.allowed_tenants(name, dataset, each, purpose=purpose, role_name=role_name)
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
        highest = self.highest_category(name, request.dataset, grant.tenants, purpose=purpose, role_name=request.role)
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
            name, request.dataset, request.category, purpose=purpose, role_name=request.role
        )
        reversing = request.operation != "reidentify" or grant.tenants <= self.allowed_tenants(
            REIDENTIFY, request.dataset
        )
        groups = frozenset(request.groups) <= self.access.groups_of(self.account)
        return None if still and reversing and groups and not alone and not unapproved else "not_eligible"


def load_grants(acts: ActReader) -> Grants:
    """Reads the grants of a ledger. Raises LedgerError, also if an entry has no valid signature by a known key."""
    return Grants(tuple(acts.find(GRANT)), read_at=acts.now)
