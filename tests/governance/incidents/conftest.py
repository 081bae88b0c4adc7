"""A published output, and an incident that exposed it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from minimize.governance.incidents import Incident, NewIncident, open_incident, scope_incident
from minimize.workspace import Workspace
from tests.governance.outputs import published
from tests.project import Builds, Project

NOW = datetime.now(UTC)
Acts = Callable[[str], None]


@pytest.fixture(name="places")
def _places(builds: Builds, project: Project) -> Workspace:
    """The workspace of the output."""
    builds.fill(project, published)
    return Workspace(output=project.out, keys=project.keys)


@pytest.fixture(name="scoped")
def _scoped(project: Project, places: Workspace) -> Incident:
    """An incident of two tenants, north and south."""
    now = datetime.now(UTC)
    case = NewIncident("INC-1", "A lost disk", (NOW - timedelta(days=1), None), now, [f"output:{project.out}"])
    open_incident(case, places, now)
    return scope_incident("INC-1", places, NOW)


@pytest.fixture(name="acts")
def _acts(monkeypatch: pytest.MonkeyPatch) -> Acts:
    """Sets the acting account."""
    return lambda user: monkeypatch.setenv("MINIMIZE_ACTOR", user)
