"""An organization that knows only the commands: a pipeline, its keyring, a ledger, and nights of data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import Command, command
from tests.project import Project, new_project


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Settings in the ledger; one aggregate that waits two days for late rows."""
    for name in ("MINIMIZE_ACTOR", "MINIMIZE_LINEAGE", "MINIMIZE_METRICS"):
        monkeypatch.delenv(name, raising=False)
    project = new_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINIMIZE_LEDGER", str(tmp_path / "ledger.db"))
    monkeypatch.setenv("MINIMIZE_KEYS", str(project.keys))
    monkeypatch.setenv("MINIMIZE_METRICS", str(tmp_path / "metrics"))
    by_day = {"event_time": {"type": "timestamp", "role": "quasi", "do": {"truncate_time": {"to": "day"}}}}
    project.policy(by_day, retention="3650d", features={"location": {"about": "position of a lost device"}})
    project.pipeline(
        settings="ledger",
        aggregates={
            "per_day": {
                "group_by": {"day": {"event_time": "day"}, "tenant_id": "tenant_id"},
                "measures": {"events": "count", "devices": {"count_distinct": "device_id"}},
                "suppress": {"below": 3, "counting": "device_id"},
                "late": "2d",
                "exact": {"because": "tests compare figures"},
            }
        },
        quarantine={"fail_above": 0.2, "stop_above": 0.5},
    )
    return project


@pytest.fixture(name="command")
def _command() -> Command:
    return command
