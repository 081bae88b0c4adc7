"""The workflow for pull requests that the documentation has: its command, on a real repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.job.house import POLICY
from tests.review.repository import ENV, Repository, repository

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "workflows" / "policy-review.yaml"


def steps() -> dict[str, str]:
    said = YAML(typ="safe", pure=True).load(FILE.read_text())
    return {step["name"]: step["run"] for step in said["jobs"]["review"]["steps"] if "name" in step}


def review(repo: Repository, labels: str = "") -> tuple[int, str, str]:
    """Its exit code, what it printed, and the summary that the pull request shows."""
    tools = repo.root.parent / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "minimize").write_text(f'#!/bin/sh\nexec {sys.executable} -m minimize "$@"\n')
    (tools / "minimize").chmod(0o755)
    summary = repo.root.parent / "summary.md"
    env = {
        **ENV,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "BASE": repo.git("rev-parse", "main").strip(),
        "LABELS": labels,
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    script = steps()["What changed, and whether it loosens"]
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=repo.root, env=env, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, summary.read_text()


@pytest.fixture(name="repo")
def _repo(tmp_path: Path) -> Repository:
    repo = repository(tmp_path / "repo")
    repo.git("switch", "-q", "-c", "change")
    return repo


def test_a_request_that_loosens_fails_and_shows_what_does(repo: Repository) -> None:
    repo.writes("pipelines/p/policy.yaml", {**POLICY, "retention": "60d"})
    repo.commits("two")
    code, out, summary = review(repo)
    assert code == 1
    assert "J020" in out
    assert summary == out


@pytest.mark.parametrize("label", ["allow:J020", "bug allow:all"])
def test_a_label_of_somebody_who_looked_at_it_lets_it_pass(label: str, repo: Repository) -> None:
    repo.writes("pipelines/p/policy.yaml", {**POLICY, "retention": "60d"})
    repo.commits("two")
    assert review(repo, label)[0] == 0


def test_what_came_to_main_meanwhile_is_not_the_request_s(repo: Repository) -> None:
    repo.writes("pipelines/p/policy.yaml", {**POLICY, "retention": "7d"})
    repo.commits("two")
    repo.git("switch", "-q", "main")
    repo.writes("pipelines/p/pipeline.yaml", "not: a pipeline\n")
    repo.commits("three")
    repo.git("switch", "-q", "change")
    code, out, _ = review(repo)
    assert (code, out.splitlines()[0]) == (0, "### Policy review: 1 tightens")
