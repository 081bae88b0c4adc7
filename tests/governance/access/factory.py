"""Access files, grants, and what a person asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from minimize.access import AccessDecision, AccessRequest, AccessRules, DatasetColumn, UserAccount, decide_access
from minimize.access.entitlements import Grant, GrantRequest, Grants
from minimize.access.model import access_from_mapping
from minimize.ledger.audit_event import utc_text
from minimize.ledger.kinds import GrantAct
from minimize.plan.model import Category
from tests.world import access_file

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
INCIDENT = "INC-7"
COLUMNS = (
    DatasetColumn("tenant_id", "pseudonymized"),
    DatasetColumn("event_time", "pseudonymized"),
    DatasetColumn("device_id", "pseudonymized"),
    DatasetColumn("phone_number", "identified", ("customer_support",)),
)


def access_of(*assignments: dict[str, Any], **more: Any) -> AccessRules:
    """The access file of the world, or one with these assignments, loaded."""
    return access_from_mapping(access_file(*assignments, **more))


def wanted(
    *names: str, dataset: str = "telemetry", purpose: str | None = "customer_support", **more: Any
) -> AccessRequest:
    """Columns of the dataset that somebody wants; all that there are where none is named."""
    columns = tuple(column for column in COLUMNS if not names or column.name in names)
    return AccessRequest(dataset, columns, purpose, whole=not names, **more)


def asked(**more: Any) -> GrantRequest:
    """What Sam asks for."""
    usual: dict[str, Any] = {
        "incident": INCIDENT,
        "justification": "the device does not check in",
        "dataset": "telemetry",
        "tenants": ("north",),
        "duration": 8 * HOUR,
        "category": "identified",
        "role": "support_engineer",
        "groups": ("support",),
    }
    return GrantRequest(**{**usual, **more})


def act(state: str, by: str, at: datetime, *, grant: str = "g1", **body: Any) -> GrantAct:
    """One act about a grant."""
    said = {name: utc_text(value) if isinstance(value, datetime) else value for name, value in body.items()}
    return GrantAct(grant, state, by, said, at)


def requested(at: datetime = NOW, *, by: str = "sam", grant: str = "g1", **more: Any) -> GrantAct:
    """A request, and until when it may be answered."""
    return act("requested", by, at, grant=grant, asked=asked(**more).to_json(), answer_by=at + timedelta(days=4))


def approved(
    at: datetime = NOW, *, by: str = "pia", hours: float = 8, grant: str = "g1", up_to: Category | None = None
) -> GrantAct:
    """An approval, and until when it holds."""
    return act("approved", by, at, grant=grant, ends_at=at + hours * HOUR, up_to=up_to)


def grants(*acts: GrantAct) -> Grants:
    """All acts of the ledger."""
    return Grants(acts)


def grant(*acts: GrantAct) -> Grant:
    """The acts about one grant."""
    return Grant(acts)


def decided(
    access: AccessRules,
    user: str,
    want: AccessRequest,
    *acts: GrantAct,
    at: datetime = NOW,
    vouched: tuple[str, ...] = (),
) -> AccessDecision:
    """What is decided about somebody."""
    return decide_access(access, Grants(acts), UserAccount(user, frozenset(vouched)), want, at)
