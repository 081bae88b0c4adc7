"""Just-in-time grants: requests, and the state of each grant at any time, from the entries in the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal

from minimize.access.permissions import Permission, TenantSet
from minimize.identifiers import canonical_account
from minimize.json_form import JsonResult, json_member, json_object
from minimize.ledger.access import GrantAct
from minimize.ledger.clock import known_times
from minimize.plan.model import Category
from minimize.times import seconds_text, time_text, utc_now

AccessOperation = Literal["read", "reidentify"]
GrantState = Literal["requested", "active", "denied", "revoked", "expired"]
ReviewState = Literal["due", "overdue", "reviewed"]


@dataclass(frozen=True, slots=True)
class GrantRequest(JsonResult):
    """A request for access for an incident.

    columns   requested columns; None for all columns up to `category`
    role      the role that permits the request
    groups    the groups through which the account has the role; empty if it is assigned directly
    """

    incident: str
    justification: str
    dataset: str
    tenants: tuple[str, ...]
    duration: timedelta = field(metadata=json_member("duration_s"))
    columns: tuple[str, ...] | None = None
    category: Category | None = None
    operation: AccessOperation = "read"
    role: str = ""
    groups: tuple[str, ...] = ()

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
    """One request and all entries that followed, in the order of the ledger."""

    acts: tuple[GrantAct, ...]

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
        found = self._first(("approved", "denied"), at)
        late = found is not None and self.answer_by is not None and found.recorded_at >= self.answer_by
        return None if late else found

    def denial_text(self, at: datetime) -> str:
        """A message with the role and time of the denial. Empty if the request was not denied at that time."""
        act = self.answer(at)
        if act is None or act.state != "denied":
            return ""
        role = act.body.get("role")
        by = f" by the role {role}" if role else ""
        return f"the request was denied{by} at {time_text(act.recorded_at)}"

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
        found: Category | None = None if act is None else act.body.get("up_to")
        return found

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
        known = known_times([act.recorded_at for act in self.acts], utc_now())
        seen = (
            replace(act, recorded_at=time) if act.state in ("revoked", "denied") else act
            for act, time in zip(self.acts[1:], known[1:], strict=True)
        )
        return next((act for act in seen if act.state in states and act.recorded_at <= at), None)


@dataclass(frozen=True)
class Grants:
    """All grants of a ledger, in the order of their requests.

    acts     the acts, in the order of the ledger
    earlier  the acts before them, by grant
    """

    acts: tuple[GrantAct, ...] = ()
    earlier: Mapping[str, Grant] = field(default_factory=dict, repr=False)

    def followed_by(self, acts: Iterable[GrantAct]) -> Grants:
        """These grants and later acts. A grant without later acts is the same object."""
        return Grants(tuple(acts), self._by_id)

    @cached_property
    def all_grants(self) -> tuple[Grant, ...]:
        """All grants, in order."""
        return tuple(each for each in self._by_id.values() if each.acts[0].state in ("requested", "broke_glass"))

    def find(self, grant: str) -> Grant | None:
        """The grant with this id, or with this unique beginning of an id."""
        found = [each for each in self.all_grants if each.id.startswith(grant)]
        return found[0] if len(found) == 1 and grant else None

    def for_incident(self, user: str, incident: str) -> Iterable[Grant]:
        """The grants of an account for an incident."""
        return (
            each for each in self._by_requester.get(canonical_account(user), ()) if each.request.incident == incident
        )

    @cached_property
    def _by_id(self) -> dict[str, Grant]:
        found = dict(self.earlier)
        for act in self.acts:
            known = found.get(act.grant)
            found[act.grant] = Grant((act,) if known is None else (*known.acts, act))
        return found

    @cached_property
    def _by_requester(self) -> dict[str, list[Grant]]:
        found: dict[str, list[Grant]] = {}
        for each in self.all_grants:
            found.setdefault(each.requester, []).append(each)
        return found


def permission_of_request(grant: Grant) -> Permission:
    """The permission that the holder of a grant needs."""
    return Permission("grant/break_glass" if grant.is_break_glass else "grant/request", grant.request.category)


def _act_time(act: GrantAct, name: str) -> datetime | None:
    text = act.body.get(name)
    return None if text is None else datetime.fromisoformat(text)
