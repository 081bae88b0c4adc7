from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from minimize.policy.lint import lint
from minimize.policy.pipeline import Pipeline


@pytest.fixture(name="codes")
def _codes(
    pipeline_in: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str], list[str]]:
    """What is said of an output, where nothing names a ledger."""
    monkeypatch.delenv("MINIMIZE_LEDGER", raising=False)
    monkeypatch.chdir(tmp_path)

    def codes(output: str) -> list[str]:
        job = pipeline_in("").model_copy(update={"output": output, "path": tmp_path / "pipeline.yaml"})
        return [finding.code for finding in lint(job) if finding.code == "L071"]

    return codes


def test_an_output_in_a_bucket_wants_a_ledger_elsewhere(
    codes: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert codes("s3://house/out") == ["L071"]
    assert codes("../out") == []
    (tmp_path / "minimize.yaml").write_text("ledger: organization.db\n")
    assert codes("s3://house/out") == []


def test_a_ledger_of_the_environment_will_do(
    codes: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_LEDGER", "/srv/organization.db")
    assert codes("gs://house/out") == []
