"""Authorization of a request: audit events, the decision by the rules and grants in force, repeated checks during a read.

The access file is loaded again when it changes. Audit events hold no values.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal

from minimize.access import AccessDecision, AccessRequest, AccessRules, UserAccount, decide_access
from minimize.access.decision import decision_event
from minimize.access.enforcement import access_in_force
from minimize.access.entitlements import EffectiveAccess, Grants
from minimize.access.model import load_access
from minimize.datasets.reader import DATE_COLUMN
from minimize.errors import LedgerError, PolicyError, RefusedError
from minimize.ledger import Actor, AuditActivity, AuditEvent, PropertyChange, Resource
from minimize.ledger.audit_event import SERVER_PRODUCT, EventResult, PlainValue, application_name
from minimize.ledger.kinds import ACCESS_ADOPTION, GRANT, GrantAct
from minimize.server.request import AUTHORIZATION_ENDED, FilterCondition, column_error, error_for
from minimize.server.snapshot import OutputSnapshot
from minimize.times import Clock

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

SERVER_COMPONENT = "door"


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller: account, name of the token and network address, which are None within the process."""

    user: str
    token: str | None = None
    address: str | None = None

    def actor(self, permissions: tuple[str, ...]) -> Actor:
        """The caller as an actor of the audit log, with the permissions of the account."""
        application = application_name() if self.address is None else application_name(SERVER_PRODUCT)
        return Actor("user", permissions, application=application, user=self.user, ip=self.address, id=self.token)


def read_event(
    caller: Caller,
    decision: AccessDecision,
    where: Sequence[FilterCondition],
    now: datetime,
    *,
    rows: PlainValue = None,
    ended: str | None = None,
) -> AuditEvent:
    """The event of a read: the decision, the filtered columns, the number of rows sent, and the reason of an early end."""
    event = decision_event(decision, actor=caller.actor(decision.account_permissions))
    more = {"where": ", ".join(each.audit_text for each in where) or None, "rows": rows, "ended": ended}
    result: EventResult = "failure" if ended else event.result
    return replace(_with_changes(event, more), component=SERVER_COMPONENT, time=now, result=result)


def reidentify_event(
    caller: Caller,
    decision: AccessDecision,
    now: datetime,
    count: int,
    values: Sequence[str],
    *,
    ended: str | None = None,
) -> AuditEvent:
    """The event of reversed tokens: the number requested, and a keyed digest of each value that was returned."""
    event = decision_event(decision, actor=caller.actor(decision.account_permissions))
    counted = _with_changes(event, {"tokens": count, "values": len(values), "ended": ended})
    resources = tuple(Resource(name, "value", f"values/{name}") for name in values)
    result: EventResult = "failure" if ended else event.result
    return replace(
        counted, component=SERVER_COMPONENT, time=now, result=result, resources=(*counted.resources, *resources)
    )


def refused_event(
    caller: Caller, permissions: tuple[str, ...], what: str, now: datetime, code: str, operation: str
) -> AuditEvent:
    """The event of a request that reached no decision. It contains the dataset name of the request, if that is valid."""
    changes = (PropertyChange("ended", None, code),)
    activity = AuditActivity("decision", component=SERVER_COMPONENT, category="access")
    resource = Resource(what, "dataset", f"dataset/{what}", changes)
    return activity.event(operation, caller.actor(permissions), now, resource, result="refused")


def _with_changes(event: AuditEvent, more: dict[str, PlainValue]) -> AuditEvent:
    """The event with more properties of its first resource."""
    first = event.resources[0]
    changes = tuple(PropertyChange(name, None, value) for name, value in more.items() if value is not None)
    return replace(event, resources=(replace(first, changed_properties=(*first.changed_properties, *changes)),))


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """The subject of a decision: account, dataset, columns (None: all), purpose and incident."""

    account: UserAccount
    dataset: str
    columns: tuple[str, ...] | None
    purpose: str | None
    incident: str | None
    operation: Literal["read", "reidentify"] = "read"


class Authorizer:
    """The access file and the grants. Threads share it."""

    def __init__(self, access: Path, ledger: Ledger, clock: Clock) -> None:
        self._clock = clock
        self._path, self._ledger, self._lock = access, ledger, Lock()
        self._access: tuple[tuple[int, ...], AccessRules] | None = None
        self._grants = 0, Grants()

    def access(self) -> AccessRules:
        """The current access rules: those adopted last, else those of the file.

        Raises PolicyError if the file has faults or is missing, LedgerError. No access is then permitted.
        """
        stamp = (*_file_stamp(self._path), self._ledger.last_id(ACCESS_ADOPTION))
        with self._lock:
            if self._access is None or self._access[0] != stamp:
                self._access = (stamp, access_in_force(load_access(self._path), self._ledger))
            return self._access[1]

    def permissions_of(self, user: str) -> tuple[str, ...]:
        """The permissions of an account, for the audit log. None if the access file has faults or is missing."""
        with suppress(PolicyError, LedgerError):
            return EffectiveAccess(self.access(), UserAccount(user), self._clock()).permissions
        return ()

    def grants(self) -> Grants:
        """The current grants of the ledger. Only new acts are read and verified. Raises LedgerError."""
        with self._lock:
            (known, grants), newest = self._grants, self._ledger.last_id(GRANT)
            if newest != known:
                last = grants.acts[-1:]
                new = self._grant_acts(max(known - 1, 0), newest)
                if new[: len(last)] != last:  # the ledger was replaced by another copy
                    grants, last, new = Grants(), (), self._grant_acts(0, newest)
                self._grants = newest, grants.followed_by(new[len(last) :], self._clock())
            return self._grants[1]

    def _grant_acts(self, after: int, until: int) -> tuple[GrantAct, ...]:
        return tuple(self._ledger.find(GRANT, after=after, until=until))

    def decide(self, request: AuthorizationRequest, facts: OutputSnapshot, now: datetime) -> AccessDecision:
        """The decision. Raises RefusedError (B004) if a column does not exist."""
        named = _decided_columns(request, facts)
        access_request = AccessRequest(
            request.dataset,
            facts.columns(named),
            request.purpose,
            request.incident,
            request.operation,
            whole=request.columns is None,
            purposes=facts.output_purposes,
            by_tenant=facts.tenant is not None,
        )
        return decide_access(self.access(), self.grants(), request.account, access_request, now)


def _decided_columns(request: AuthorizationRequest, facts: OutputSnapshot) -> list[str]:
    """The columns that need a decision. The batch date needs none: it is part of a folder name."""
    if request.columns is None:
        return list(facts.schema.names)
    named = [name for name in request.columns if name != DATE_COLUMN or not facts.by_date]
    if not {*named} <= {*facts.schema.names}:
        raise column_error("a column does not exist or is not accessible to you")
    return named


def _file_stamp(path: Path) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


RECHECK_INTERVAL: Final = timedelta(milliseconds=500)
"""An older decision is repeated before another batch is sent."""


class Reauthorization:
    """The decision of one read, and its repetition."""

    def __init__(
        self, first: AccessDecision, decide_again: Callable[[datetime], AccessDecision | None], clock: Clock
    ) -> None:
        self._first, self._decide, self._clock = first, decide_again, clock
        self._checked_at = first.decided_at

    def check(self) -> None:
        """Raises RefusedError (B007) if the decision has expired, or would be different now."""
        now = self._clock()
        if not self._first.holds(now):
            raise error_for(AUTHORIZATION_ENDED)
        if now - self._checked_at < RECHECK_INTERVAL:
            return
        self._checked_at, decision = now, self._current_decision(now)
        if decision is None or not decision.allowed or not self._first.has_same_effect(decision):
            raise error_for(AUTHORIZATION_ENDED)

    def _current_decision(self, now: datetime) -> AccessDecision | None:
        """The current decision; None if it is refused because the token has ended or a column was removed."""
        try:
            return self._decide(now)
        except RefusedError:
            return None
