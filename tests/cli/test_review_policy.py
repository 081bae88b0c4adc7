"""`minimize policy approve`, and what `run` and `lint` say of a policy that nobody approved as it is."""

from __future__ import annotations

import pytest

from tests.commands import Command
from tests.project import Project, events

WHEN = "2026-11-25T00:00:00Z"


def test_approved_it_says_by_whom_and_where(project: Project, command: Command) -> None:
    said = command("policy", "approve", project.folder, "--by", "ann")
    assert said.code == 0
    assert "checkins version 3 approved by ann on " in said.out
    assert "not recorded in the audit log, because no ledger is configured" in said.out


@pytest.mark.parametrize(
    ("acts", "words", "named", "told"),
    [
        ("bob", ("--by", "ann"), "--by", "--by"),
        ("bob", (), "MINIMIZE_ACTOR", "MINIMIZE_ACTOR"),
        ("", (), "system", "the user of the operating system: neither --by nor MINIMIZE_ACTOR is set"),
    ],
)
def test_it_says_where_the_approver_s_name_comes_from(
    acts: str,
    words: tuple[str, ...],
    named: str,
    told: str,
    project: Project,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", acts)
    first = command("policy", "approve", project.folder, *words)
    again = command("policy", "approve", project.folder, *words)
    assert [said.out.splitlines()[-1] for said in (first, again)] == [f"approver taken from {told}"] * 2
    assert "was already approved" in again.out
    assert command("policy", "approve", project.folder, *words, "--json").json["name_from"] == named


def test_for_machines_it_prints_the_approval(project: Project, command: Command) -> None:
    said = command("policy", "approve", project.folder, "--by", "ann", "--json").json
    assert said["approved"]["by"] == "ann"
    assert said["approved"]["digest"].startswith("sha256:")
    assert (said["changed"], said["recorded"]) == (True, False)


def test_a_policy_with_errors_exits_1_with_the_findings(project: Project, command: Command) -> None:
    project.policy({"note": {"type": "string", "role": "free_text", "do": "keep"}})
    said = command("policy", "approve", project.folder, "--by", "ann", "--json")
    assert said.code == 1
    assert [fault["code"] for fault in said.error["faults"]] == ["L002"]


def test_where_approval_is_required_a_run_without_exits_3(project: Project, command: Command) -> None:
    project.records(events(3))
    (project.folder / "minimize.yaml").write_text("approval: required\n")
    said = command("run", project.folder, "--at", WHEN, "--output", project.out, "--keys", project.keys)
    assert said.code == 3
    assert "R006" in said.err
    assert "minimize policy approve" in said.err


@pytest.mark.parametrize(("demand", "code", "exits"), [("warn", "L080", 0), ("required", "L081", 1)])
def test_lint_says_so_too(demand: str, code: str, exits: int, project: Project, command: Command) -> None:
    project.records(events(3))
    (project.folder / "minimize.yaml").write_text(f"approval: {demand}\n")
    said = command("lint", project.folder, "--json", "--keys", project.keys)
    assert code in [finding["code"] for finding in said.json["findings"]]
    assert said.code == exits
