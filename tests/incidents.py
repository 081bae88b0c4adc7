"""Support incidents for tests."""

from __future__ import annotations

from datetime import datetime

import pytest

from minimize.governance.incidents import Incident, NewIncident, open_incident
from minimize.workspace import Workspace


def open_support(workspace: Workspace, incident: str, at: datetime, *tenants: str) -> Incident:
    """Opens a support incident of these tenants, as an account that may do so under the rules of the tests."""
    new = NewIncident(
        incident, "A device does not check in", (at, None), at, kind="support", tenants=tenants, reference="TICKET-1"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMIZE_ACTOR", "pia")
        return open_incident(new, workspace, at)
