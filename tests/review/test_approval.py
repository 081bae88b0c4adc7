"""Approving: what may be approved, by whom, and what a run does with it.
Where an approval is written in the text of a policy, and that nothing else of it moves.
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.errors import AccessDenied, CheckFailed, ConfigurationError, RefusedError
from minimize.forms.yaml_nodes import FaultList, YamlNode, parse_yaml
from minimize.ledger import find_ledger
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter
from minimize.ledger.ledger import open_ledger
from minimize.policy.approval import content_digest
from minimize.policy.load import load_policy
from minimize.policy.model import PolicyApproval
from minimize.report.output_report import create_report
from minimize.review.approval import approve, with_approval
from minimize.runs.inspection import lint
from tests.ledger.ledgers import empty
from tests.project import AGGREGATES, AT, Builds, Project, enter, events, new_project, table, write_yaml
from tests.world import access_file


@pytest.fixture(name="project")
def _project(tmp_path: Path, builds: Builds, monkeypatch: pytest.MonkeyPatch) -> Project:
    enter(tmp_path, monkeypatch)
    project = new_project(tmp_path)
    builds.copy(empty, project.out)
    project.records(events(30))
    return project


def wants(project: Project, **said: str) -> None:
    (project.folder / "minimize.yaml").write_text("".join(f"{key}: {value}\n" for key, value in said.items()))


def told(project: Project) -> list[dict[str, Any]]:
    with open_ledger(find_ledger(project.folder / "ledger.db")) as ledger:
        return [json.loads(entry.event) for entry in find_entries(ledger, EntryFilter(activity="policy"))]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [str(record.code) for record in caplog.records if hasattr(record, "code") and record.code == "W026"]


def test_a_run_under_an_approved_policy_records_approver_and_date(project: Project) -> None:
    approve(project.folder, by="ann", at=AT)
    assert project.run().to_json()["policy"]["approved"] == {"by": "ann", "on": "2026-11-25"}


def test_the_receipt_of_an_unapproved_policy_has_no_approval(project: Project) -> None:
    assert "approved" not in project.run().to_json()["policy"]


def test_such_a_receipt_is_read_again_as_it_was_written(project: Project) -> None:
    approve(project.folder, by="ann", at=AT)
    receipt = project.run()
    minimize.verify(project.out, keys=project.keys)
    assert type(receipt).from_json(receipt.file_text()) == receipt


def test_a_project_without_approvals_gets_no_warning(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    project.run()
    assert warnings(caplog) == []


@pytest.mark.parametrize("demand", [None, "warn"])
def test_a_policy_that_was_changed_since_is_warned_of_once(
    demand: str | None, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    approve(project.folder, by="ann", at=AT)
    path = project.folder / "policy.yaml"
    path.write_text(path.read_text().replace("30d", "29d"))
    if demand:
        wants(project, approval=demand)
    with caplog.at_level(logging.WARNING):
        project.run()
    assert warnings(caplog) == ["W026"]


def test_where_the_configuration_warns_a_policy_without_approval_is_warned_of(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    wants(project, approval="warn")
    project.run()
    assert warnings(caplog) == ["W026"]


def test_where_the_configuration_requires_it_nothing_is_written_without(project: Project) -> None:
    shutil.rmtree(project.out)
    wants(project, approval="required")
    with pytest.raises(RefusedError) as caught:
        project.run()
    assert [finding.code for finding in caught.value.findings] == ["R006"]
    assert not project.out.exists()


def test_where_the_configuration_requires_it_an_approved_policy_runs(project: Project) -> None:
    wants(project, approval="required")
    approve(project.folder, by="ann", at=AT)
    assert project.run().rows.written == 30


def test_unapproved_policies_are_also_refused_in_memory(project: Project) -> None:
    wants(project, approval="required")
    with pytest.raises(RefusedError):
        minimize.apply(project.folder / "policy.yaml", table(events(3)), keys=project.keys)


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ({"type": "string", "role": "free_text", "do": "keep"}, "L002"),
        ({"type": "string", "do": {"bin": {"width": 10}}}, "P101"),
    ],
    ids=str,
)
def test_a_policy_with_errors_is_not_approved(field: dict[str, Any], code: str, project: Project) -> None:
    project.policy({"note": field})
    before = (project.folder / "policy.yaml").read_bytes()
    with pytest.raises(CheckFailed) as caught:
        approve(project.folder, by="ann", at=AT)
    assert code in [finding.code for finding in caught.value.findings]
    assert (project.folder / "policy.yaml").read_bytes() == before


def test_an_approval_is_in_the_audit_log(project: Project) -> None:
    wants(project, ledger="ledger.db")
    done = approve(project.folder, by="ann", at=AT, keys=project.keys)
    (event,) = told(project)
    assert (event["operation"], event["result"], event["correlation_id"]) == (
        "approve",
        "success",
        done.approved.digest,
    )
    assert done.recorded


def test_without_a_keyring_nothing_is_approved(project: Project) -> None:
    wants(project, ledger="ledger.db")
    with pytest.raises(ConfigurationError):
        approve(project.folder, by="ann", at=AT)
    assert load_policy(project.folder).approved is None


def test_approved_twice_by_the_same_nothing_changes(project: Project) -> None:
    approve(project.folder, by="ann", at=AT)
    before = (project.folder / "policy.yaml").read_bytes()
    assert not approve(project.folder, by="ann").changed
    assert (project.folder / "policy.yaml").read_bytes() == before


@pytest.mark.parametrize("name", ["", "  ", "ann\nbob", "a" * 201])
def test_an_invalid_name_cannot_approve(name: str, project: Project) -> None:
    with pytest.raises(ConfigurationError):
        approve(project.folder, by=name, at=AT)


@pytest.mark.parametrize(("actor", "by", "may"), [("pia", "pia", True), ("sam", "sam", False), ("pia", "sam", False)])
def test_where_an_access_file_counts_it_takes_the_permission_and_the_own_name(
    actor: str, by: str, may: bool, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    wants(project, access="access.yaml", ledger="ledger.db")
    write_yaml(project.folder / "access.yaml", access_file())
    monkeypatch.setenv("MINIMIZE_ACTOR", actor)
    if may:
        assert approve(project.folder, by=by, at=AT, keys=project.keys).approved.by == by
        return
    with pytest.raises(AccessDenied):
        approve(project.folder, by=by, at=AT, keys=project.keys)
    assert load_policy(project.folder).approved is None


def test_the_policy_of_a_pipeline_may_be_in_another_folder(project: Project) -> None:
    other = project.folder / "other"
    other.mkdir()
    pipeline = (project.folder / "pipeline.yaml").read_text()
    (other / "pipeline.yaml").write_text(pipeline.replace("policy.yaml", "../policy.yaml"))
    assert approve(other, by="ann", at=AT).approved.by == "ann"
    assert load_policy(project.folder).approved is not None
    assert not approve(other / "pipeline.yaml", by="ann", at=AT).changed


SAID = PolicyApproval(by='Ann O\'Neil: "x" # y', on="2026-11-25", digest="sha256:" + "0" * 64)
TEXTS = {
    "plain": "policy: p\nversion: 1\npurposes: [operations]   # two\n\n# fields\nfields:\n  a: {type: string,    do: keep}\n",
    "no newline at the end": "policy: p\nversion: 1",
    "windows": "policy: p\r\nversion: 1 # one\r\nfields:\r\n  a: {type: string}\r\n",
    "head in blocks": "# first\npolicy: p\npurposes:\n  - operations   # why\n  - sales\n# rest\nfields: {a: {type: string}}\n",
    "fields first": "---\nfields:\n  a: {type: string}\npolicy: p\nversion: 1\n",
    "folded": "policy: p\nowner: >-\n  somebody\n  else\n\nfields: {a: {type: string}}\n",
    "json": '{"policy": "p", "version": 1, "fields": {"a": {"type": "string"}}}\n',
}


def root(text: str) -> YamlNode:
    found = parse_yaml(text, FaultList())
    assert found is not None
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_the_text_gains_the_approval_and_keeps_its_content(name: str) -> None:
    after = root(with_approval(TEXTS[name], SAID))
    assert after.entries["approved"].to_data() == SAID.model_dump(exclude_defaults=True)
    assert content_digest(after) == content_digest(root(TEXTS[name]))


@pytest.mark.parametrize("name", [name for name in TEXTS if name not in ("json", "no newline at the end")])
def test_every_line_that_was_there_stays_as_it_was(name: str) -> None:
    before, after = TEXTS[name].splitlines(keepends=True), with_approval(TEXTS[name], SAID).splitlines(keepends=True)
    assert [line for line in after if not line.startswith("approved:")] == before
    assert len(after) == len(before) + 1


def test_the_approval_is_written_after_the_head() -> None:
    assert with_approval(TEXTS["plain"], SAID).splitlines()[3].startswith("approved: {by: ")


@pytest.mark.parametrize(
    "old", ["approved: {by: x, on: '2026-01-01', digest: y}", "approved:\n  by: x\n  # old\n  digest: y"]
)
def test_another_approval_is_replaced(old: str) -> None:
    text = f"policy: p\n{old}   # see ticket\nfields: {{a: {{type: string}}}}\n"
    again = with_approval(text, SAID)
    assert root(again).entries["approved"].to_data() == SAID.model_dump(exclude_defaults=True)
    assert again.startswith("policy: p\napproved: {by: ")
    assert again.endswith("   # see ticket\nfields: {a: {type: string}}\n")


def test_approving_twice_gives_what_once_gave() -> None:
    once = with_approval(TEXTS["plain"], SAID)
    assert with_approval(once, SAID) == once


def change(project: Project, name: str, old: str, new: str) -> None:
    path = project.folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def approver(project: Project) -> str | None:
    approved = load_policy(project.folder).approved
    return None if approved is None else approved.by


def weaken(project: Project) -> None:
    """Lower the threshold of the pipeline, which leaves the policy as it is."""
    change(project, "pipeline.yaml", '"below": 3', '"below": 2')


def test_a_changed_pipeline_is_not_approved(project: Project) -> None:
    wants(project, approval="required")
    approve(project.folder, by="ann", at=AT)
    project.run()
    weaken(project)
    with pytest.raises(RefusedError) as caught:
        project.run()
    assert [finding.code for finding in caught.value.findings] == ["R006"]
    change(project, "pipeline.yaml", '"below": 2', '"below": 3')
    assert project.run().policy.approved is not None


def test_comments_and_layout_of_a_pipeline_may_change(project: Project) -> None:
    wants(project, approval="required")
    approve(project.folder, by="ann", at=AT)
    path = project.folder / "pipeline.yaml"
    path.write_text(f"# a comment\n{path.read_text()}")
    assert project.run().policy.approved is not None


def test_an_approval_of_the_policy_alone_does_not_cover_a_pipeline(project: Project) -> None:
    wants(project, approval="required")
    hidden = project.folder / "pipeline.yaml"
    text = hidden.read_text()
    hidden.unlink()
    approve(project.folder / "policy.yaml", by="ann", at=AT)
    hidden.write_text(text)
    with pytest.raises(RefusedError):
        project.run()


def test_one_approval_covers_every_pipeline_of_the_policy(project: Project) -> None:
    wants(project, approval="required")
    approve(project.folder, by="ann", at=AT)
    other = project.folder / "other"
    other.mkdir()
    pipeline = (project.folder / "pipeline.yaml").read_text()
    (other / "pipeline.yaml").write_text(pipeline.replace("policy.yaml", "../policy.yaml"))
    assert approve(other, by="ann", at=AT).pipelines == ("pipeline.yaml", "other/pipeline.yaml")
    assert project.run().policy.approved is not None
    weaken(project)
    with pytest.raises(RefusedError):
        project.run()


def test_approving_shows_the_graded_difference_to_what_was_approved_last(project: Project) -> None:
    approve(project.folder, by="ann", at=AT)
    weaken(project)
    change(project, "policy.yaml", '"version": 3', '"version": 4')
    shown = approve(project.folder, by="bob", at=AT, dry_run=True)
    assert (shown.before, shown.changes.grade) == (3, "loosens")
    assert ("J038", "loosens") in [(each.code, each.grade) for each in shown.changes.changes]
    assert approver(project) == "ann"
    recorded = approve(project.folder, by="bob", at=AT)
    assert recorded.changes == shown.changes
    assert approver(project) == "bob"


@pytest.mark.parametrize("name", ["policy.yaml", "pipeline.yaml"])
def test_a_change_needs_a_new_version(name: str, project: Project) -> None:
    approve(project.folder, by="ann", at=AT)
    old, new = ('"30d"', '"29d"') if name == "policy.yaml" else ('"below": 3', '"below": 4')
    change(project, name, old, new)
    before = (project.folder / "policy.yaml").read_bytes()
    with pytest.raises(CheckFailed) as caught:
        approve(project.folder, by="ann", at=AT)
    assert [finding.code for finding in caught.value.findings] == ["R023"]
    assert (project.folder / "policy.yaml").read_bytes() == before
    change(project, "policy.yaml", '"version": 3', '"version": 4')
    assert approve(project.folder, by="ann", at=AT).before == 3


def test_another_approver_of_the_same_content_needs_no_version(project: Project) -> None:
    approve(project.folder, by="ann", at=AT)
    assert approve(project.folder, by="bob", at=AT).approved.by == "bob"


def test_a_pipeline_with_lint_errors_is_not_approved_unless_they_are_allowed(project: Project) -> None:
    project.policy({"storage": {"type": "integer", "do": "keep"}})
    aggregates = {"per_model": AGGREGATES["per_model"] | {"measures": {"highest": {"max": "storage"}}}}
    project.pipeline(aggregates=aggregates)
    with pytest.raises(CheckFailed) as caught:
        approve(project.folder, by="ann", at=AT)
    assert "L062" in [finding.code for finding in caught.value.findings]
    assert approve(project.folder, by="ann", at=AT, allow=["L062"]).changed


def test_every_surface_reports_a_missing_approval(project: Project) -> None:
    wants(project, approval="warn")
    receipt = project.run()
    report = create_report(project.out, at=receipt.at, keys=project.keys)
    (finding,) = [each for each in lint(project.folder) if each.code == "L080"]
    assert report.facts.policies[0].approved == "no"
    assert "not approved" in report.summary()
    assert finding.message.startswith("not approved")
