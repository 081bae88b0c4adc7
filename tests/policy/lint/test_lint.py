from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest

from minimize.linting import lint
from minimize.policy.load import load_pipeline, load_policy

DATA = Path(__file__).parents[1] / "data" / "device_telemetry"
SHIPPED = sorted((Path(__file__).parents[3] / "pipelines").glob("*/pipeline.yaml"))


def test_a_whole_pipeline_is_judged_by_file_and_line(tmp_path: Path) -> None:
    found = lint(load_pipeline(copytree(DATA, tmp_path / "device_telemetry")))
    assert [(f.code, f.line, f.field) for f in found] == [
        ("L096", 7, None),
        ("L092", 11, "fleet_by_version"),
        ("L030", 14, None),
        ("L004", 27, "phone_number"),
        ("L005", 27, "phone_number"),
        ("L051", 31, "/apps/*/name"),
    ]


def test_a_policy_is_judged_without_a_pipeline() -> None:
    assert [f.code for f in lint(load_policy(DATA))] == ["L030", "L004", "L005", "L051"]


def test_a_protection_that_a_line_turns_off_is_named(tmp_path: Path) -> None:
    (tmp_path / "minimize.yaml").write_text("ledger: ledger.db\naccess: off\napproval: off\n")
    found = lint(load_pipeline(copytree(DATA, tmp_path / "device_telemetry")))
    named = [(each.line, each.message.partition(" is off")[0]) for each in found if each.code == "L085"]
    assert named == [(2, "access control"), (3, "approval of policies")]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_the_shipped_pipelines_have_no_errors(path: Path) -> None:
    assert all(finding.severity != "error" for finding in lint(load_pipeline(path)))
