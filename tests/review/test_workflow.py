"""The workflow for pull requests that the documentation has: its command, on a real repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.project import POLICY, SETTINGS
from tests.review.repository import ENV, Repository, repository

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "workflows" / "policy-review.yaml"


def steps() -> dict[str, str]:
    said = YAML(typ="safe", pure=True).load(FILE.read_text())
    return {step["name"]: step["run"] for step in said["jobs"]["review"]["steps"] if "name" in step}


def ran(repo: Repository, step: str, **more: str) -> tuple[int, str]:
    """The exit code of a step, and what it printed."""
    tools = repo.root.parent / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "minimize").write_text(f'#!/bin/sh\nexec {sys.executable} -m minimize "$@"\n')
    (tools / "minimize").chmod(0o755)
    env = {**ENV, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT), **more}
    words = ["bash", "-e", "-c", steps()[step]]
    done = subprocess.run(words, cwd=repo.root, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def review(repo: Repository, labels: str = "") -> tuple[int, str, str]:
    """Its exit code, what it printed, and the summary that the pull request shows."""
    summary, base = repo.root.parent / "summary.md", repo.git("rev-parse", "main").strip()
    given = {"BASE": base, "LABELS": labels, "GITHUB_STEP_SUMMARY": str(summary)}
    return *ran(repo, "What changed, and whether it loosens", **given), summary.read_text()


def fixtures(repo: Repository) -> tuple[int, str]:
    return ran(repo, "Fixtures")


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


def test_a_label_of_a_reviewer_lets_the_change_pass(repo: Repository) -> None:
    repo.writes("pipelines/p/policy.yaml", {**POLICY, "retention": "60d"})
    repo.commits("two")
    assert review(repo, "bug allow:J020")[0] == 0


def test_changes_of_main_are_not_part_of_the_request(repo: Repository) -> None:
    repo.writes("pipelines/p/policy.yaml", {**POLICY, "retention": "7d"})
    repo.commits("two")
    repo.git("switch", "-q", "main")
    repo.writes("pipelines/p/pipeline.yaml", "not: a pipeline\n")
    repo.commits("three")
    repo.git("switch", "-q", "change")
    code, out, _ = review(repo)
    assert (code, out.splitlines()[0]) == (0, "### Policy review: No change weakens protection: 1 tightens")


def test_its_fixtures_are_tried(repo: Repository) -> None:
    repo.writes("pipelines/p/tests/settings.csv", SETTINGS)
    repo.writes("pipelines/p/tests/all.pass.ndjson", "no json\n")
    code, out = fixtures(repo)
    assert code == 1
    assert "F001 the record is not released: malformed" in out
