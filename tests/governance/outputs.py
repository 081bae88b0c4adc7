"""An output of a project, published by the system's clock, and how far an incident reaches in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from minimize.governance.incidents import Exposure, IncidentScope, exposure_scope
from minimize.workspace import Workspace as Places
from tests.project import BEFORE, Project, events

RECORDS = events(120)
PER_TENANT: dict[str, Any] = {
    "per_tenant": {
        "group_by": {"day": {"event_time": "day"}, "tenant_id": "tenant_id"},
        "measures": {"events": "count"},
        "suppress": {"below": 2, "counting": "device_id"},
        "exact": {"because": "a test"},
    }
}


def published(project: Project) -> None:
    """Publishes 60 records; the ledger is that of the output."""
    project.pipeline(aggregates=None)
    project.records(events(60))
    project.run(at=None, output=None)


def run(project: Project, **options: Any) -> Any:
    """A run with the ledger of the organization."""
    return project.run(**{"ledger": project.folder / "organization.db", "at": None, "output": None, **options})


def two_days(project: Project, records: Sequence[dict[str, Any]] = RECORDS) -> None:
    """Publishes the same records on two days, with the ledger of the organization."""
    project.pipeline(aggregates=None)
    project.records(records)
    project.records(records, BEFORE)
    run(project)


def places(project: Project) -> Places:
    """Where the ledger of the organization and the keys are."""
    return Places(project.folder / "organization.db", keys=project.keys)


def scoped(
    project: Project,
    *texts: str,
    window: tuple[datetime, datetime] | None = None,
    hours: int = 1,
    at: Places | None = None,
) -> IncidentScope:
    """How far an incident of a window (the last hours by default) reaches in the output, or in those of a ledger."""
    now = datetime.now(UTC)
    at = at or Places(output=project.out, keys=project.keys)
    return exposure_scope(Exposure.parse(texts), window or (now - timedelta(hours=hours), now), at, now)


def tenants(found: IncidentScope) -> dict[str, Any]:
    """The tenants that a scope names."""
    return {each["tenant_id"]: each for each in found.to_json()["tenants"]}
