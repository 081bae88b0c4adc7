"""What is told of a file that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.errors import PolicyError
from minimize.policy.load import load_pipeline
from minimize.policy.yaml_nodes import similar_files_hint


@pytest.fixture(name="tree")
def _tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("telemetry", "support"):
        (tmp_path / "pipelines" / name).mkdir(parents=True)
        (tmp_path / "pipelines" / name / "pipeline.yaml").touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("pipelines/telemtry", "did you mean `pipelines/telemetry`?"),
        ("pipeline/telemetry/pipeline.yaml", "did you mean `pipelines`?"),
        ("pipelines/telemetry/pipeline.yml", "did you mean `pipelines/telemetry/pipeline.yaml`?"),
        ("pipelines/pipeline.yaml", "did you mean `pipelines/support` or `pipelines/telemetry`?"),
        ("pipelines/access.yaml", ""),
        ("empty/pipeline.yaml", ""),
        ("elsewhere", ""),
    ],
)
def test_what_is_there_and_is_called_so_is_named(tree: Path, asked: str, told: str) -> None:
    assert similar_files_hint(Path(asked)) == told


def test_many_pipelines_are_not_listed(tree: Path) -> None:
    for number in range(9):
        (tree / "pipelines" / f"p{number}").mkdir()
        (tree / "pipelines" / f"p{number}" / "pipeline.yaml").touch()
    assert similar_files_hint(Path("pipelines/pipeline.yaml")) == ""


def test_a_name_that_may_be_a_value_is_not_told(tree: Path) -> None:
    (tree / "sam@example.com").mkdir()
    assert similar_files_hint(Path("sam@example.co")) == ""


@pytest.mark.parametrize("text", ["a" * 9999, "a\0b", ""])
def test_what_cannot_be_a_path_has_no_neighbours(tree: Path, text: str) -> None:
    assert similar_files_hint(Path(text)) == ""


def test_the_fault_has_the_hint(tree: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        load_pipeline("pipelines/telemtry")
    (found,) = caught.value.findings
    assert (found.code, found.hint) == ("P001", "did you mean `pipelines/telemetry`?")
