from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from minimize.errors import PolicyError
from minimize.governance.access_file import lint_access
from minimize.workspace import Workspace
from tests.project import write_yaml
from tests.world import access_file, assignment

PIPELINE = Path(__file__).parents[3] / "pipelines" / "device_telemetry"


def codes(*assignments: dict[str, Any], pipeline: Path | None = None, **more: Any) -> list[str]:
    write_yaml(Path("access.yaml"), access_file(*assignments, **more))
    return [each.code for each in lint_access("access.yaml", Workspace(pipeline=pipeline))]


def test_a_file_with_nothing_amiss_is_passed(home: Workspace) -> None:
    assert codes() == []
    assert lint_access(None, home) == []


def test_roles_that_others_depend_on_must_be_assigned(home: Workspace) -> None:
    assert codes(assignment("support_engineer", "sam"), assignment("role_administrator", "rob")) == ["U025", "U025"]
    assert codes(assignment("analyst", "ann")) == ["U026"]


def test_a_role_with_permanent_access_to_identified_data_is_reported(home: Workspace) -> None:
    assert codes(roles={"reader": {"copy": "analyst", "allow": ["dataset/read:identified"]}}) == ["U024"]


def test_views_and_scopes_are_held_against_the_plan(home: Workspace) -> None:
    views = {
        "device_telemetry": {
            "event_time": {"truncate_time": {"to": "day"}},
            "os_version": {"truncate_version": {"parts": 2}},
            "nowhere": "presence",
            "model": {"round": {"to": 10}},
        },
        "device_telemetry/gone": {"model": "presence"},
        "usage": {"model": "presence"},
    }
    roles = {"mine": {"copy": "analyst", "views": views}}
    usual = access_file()["assignments"]
    scoped = assignment("analyst", "bea", datasets=["device_telemetry/lost", "elsewhere"])
    assert sorted(codes(*usual, scoped, pipeline=PIPELINE, roles=roles)) == ["U020", "U020", "U021", "U021", "U022"]


def test_a_faulty_file_is_judged_as_far_as_it_can_be_read(home: Workspace) -> None:
    assert codes(assignment("analist", "ann"), assignment("analyst", "ann")) == ["U003", "U026"]


def test_there_must_be_a_file(home: Workspace) -> None:
    Path("minimize.yaml").write_text("ledger: ledger.db\n")
    with pytest.raises(PolicyError, match="no access file"):
        lint_access(None, home)
