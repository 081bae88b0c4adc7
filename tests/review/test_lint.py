"""Lint takes what a person has at hand: a policy alone, a folder with everything, whatever else is there."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import pytest

from minimize.errors import PolicyError
from minimize.review import lint_path

ROOT = Path(__file__).parents[2]
ON = date(2026, 11, 25)


def codes(path: Path) -> set[str]:
    return {finding.code for finding in lint_path(path, on=ON)}


def test_a_policy_alone_is_judged_as_such() -> None:
    found = lint_path(ROOT / "pipelines/device_telemetry/policy.yaml", on=ON)
    assert {finding.code for finding in found} >= {"L003", "L004"}
    assert {finding.file for finding in found} == {str(ROOT / "pipelines/device_telemetry/policy.yaml")}


@pytest.mark.parametrize("indent", [None, 2])
def test_a_policy_written_as_json_is_judged_as_a_policy(tmp_path: Path, indent: int | None) -> None:
    file = tmp_path / "policy.yaml"
    fields = {"email": {"type": "string", "do": "keep"}}
    policy = {"policy": "p", "version": 1, "purposes": ["operations"], "fields": fields}
    file.write_text(json.dumps(policy, indent=indent))
    assert "P005" not in codes(file)
    assert any(finding.field == "email" for finding in lint_path(file, on=ON))


def test_a_pipeline_written_as_json_with_fields_below_another_key_is_judged_as_a_pipeline(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(json.dumps({"pipeline": "p", "policy": "absent.yaml", "records": {"fields": ["a"]}}))
    with pytest.raises(PolicyError) as caught:
        lint_path(file, on=ON)
    missing = [finding.message for finding in caught.value.findings if finding.file == str(file)]
    assert any("in a pipeline" in message for message in missing)
    assert not any("in a policy" in message for message in missing)


def test_faults_of_a_policy_are_reported(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("policy: p\nversion: 1\npurposes: [operations]\nfields:\n  a: {type: strin, do: keep}\n")
    assert [(finding.code, finding.line) for finding in lint_path(file, on=ON)] == [("P007", 5)]


def test_a_folder_is_judged_with_everything_below_it(tmp_path: Path) -> None:
    folder = shutil.copytree(ROOT / "pipelines", tmp_path / "organization")
    parts = (
        folder / "device_telemetry",
        folder / "recipients",
        folder / "access.yaml",
        folder / "usage_events",
    )
    assert codes(folder) >= set().union(*map(codes, parts))
    assert {Path(finding.file or "").parent.name for finding in lint_path(folder, on=ON)} >= {"device_telemetry"}


def test_a_folder_in_which_there_is_nothing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="does not exist"):
        lint_path(tmp_path, on=ON)


def test_links_are_not_followed_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "away").symlink_to(ROOT / "pipelines")
    with pytest.raises(PolicyError, match="does not exist"):
        lint_path(tmp_path, on=ON)
