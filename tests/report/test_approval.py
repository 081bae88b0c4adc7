from __future__ import annotations

from minimize.policy.approval import approval_digest
from minimize.policy.load import load_policy
from minimize.report.facts import ApprovalAnswer
from tests.project import Project, events
from tests.report.telling import facts


def said(project: Project, digest: str | None) -> ApprovalAnswer:
    project.records(events(20))
    if digest is not None:
        project.policy(approved={"by": "ann", "on": "2026-11-20", "digest": digest})
    project.run()
    (policy,) = facts(project).policies
    return policy.approved


def test_a_policy_that_was_approved_as_it_ran_says_yes(project: Project) -> None:
    assert said(project, approval_digest(load_policy(project.folder / "policy.yaml"))) == "yes"


def test_one_that_was_changed_since_says_no(project: Project) -> None:
    assert said(project, "sha256:" + "0" * 64) == "no"


def test_one_of_which_nobody_says_anything_is_unknown(project: Project) -> None:
    assert said(project, None) == "unknown"
