"""What lint calls an error of a pipeline stops a run, unless the code is allowed and recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest

import minimize
from minimize.errors import ConfigurationError, PolicyError, RefusedError
from minimize.ledger import find_ledger
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter
from minimize.ledger.ledger import open_ledger
from minimize.linting import ALLOWABLE_CODES, LINT_RULES
from minimize.report.output_report import create_report
from minimize.runs.inspection import lint
from tests.calls import replay, run_backfill
from tests.commands import command
from tests.project import AGGREGATES, DAY, Project, events

KEPT = {"storage": {"type": "integer", "do": "keep"}}
HIGHEST: dict[str, Any] = {"highest": {"max": "storage"}, "middle": {"mean": "storage"}}
ERRORS = ["L060", "L062"]


@pytest.fixture(name="project")
def _project(project: Project) -> Project:
    project.records(events(60))
    return project


def write_errors(project: Project) -> None:
    """A pipeline that publishes the highest of values that are kept."""
    project.policy(KEPT)
    project.pipeline(aggregates={"highest": AGGREGATES["per_model"] | {"measures": HIGHEST}})


def test_a_run_names_all_errors_and_publishes_nothing(project: Project) -> None:
    write_errors(project)
    with pytest.raises(RefusedError) as caught:
        project.run(
            allow=(),
        )
    assert (caught.value.code, sorted(each.code for each in caught.value.findings)) == ("R022", ERRORS)
    assert sorted({each.code for each in lint(project.folder) if each.severity == "error"}) == ERRORS
    assert not (project.out / "highest").exists()


def test_the_command_exits_with_3(project: Project) -> None:
    write_errors(project)
    words = ["run", str(project.folder), "--keys", str(project.keys)]
    assert command(*words).code == 3


def test_without_errors_it_runs_and_names_none(project: Project) -> None:
    assert "allowed" not in project.run().to_json()


def test_one_allowed_code_does_not_allow_another(project: Project) -> None:
    write_errors(project)
    with pytest.raises(RefusedError) as caught:
        project.run(allow=["L060"])
    assert [each.code for each in caught.value.findings] == ["L062"]


def test_receipt_report_and_audit_log_name_what_was_allowed(project: Project) -> None:
    write_errors(project)
    receipt = project.run(allow=[*ERRORS, "L073"])
    assert receipt.to_json()["allowed"] == ERRORS
    assert "L060, L062" in receipt.summary()
    report = create_report(project.out, at=receipt.at, keys=project.keys)
    assert "L060 allowed in 1 run, L062 allowed in 1 run" in report.summary()
    assert "lint errors allowed: L060, L062" in report.html()
    with open_ledger(find_ledger(start=project.folder, output=project.out)) as ledger:
        entries = find_entries(ledger, EntryFilter(correlation=receipt.run_id, activity="run"))
    resources = [each for entry in entries for each in json.loads(entry.event)["resources"]]
    changes = [change for each in resources for change in each.get("changed_properties", ())]
    assert {"name": "allowed", "old": None, "new": "L060, L062"} in changes
    minimize.verify(project.out, keys=project.keys)


@pytest.mark.parametrize("code", ["all", "L001", "L081", "P101", "R006", "l062", "X"])
def test_a_code_that_is_no_such_error_is_a_usage_error(code: str, project: Project) -> None:
    with pytest.raises(ConfigurationError):
        project.run(allow=[code])
    assert command("run", str(project.folder), "--keys", str(project.keys), "--allow", code).code == 2


def test_every_error_of_lint_but_the_missing_approval_can_be_allowed() -> None:
    errors = {code for code, rule in LINT_RULES.items() if rule.severity == "error"}
    assert set(ALLOWABLE_CODES) == errors - {"L081"}


def test_a_fault_is_never_allowed(project: Project) -> None:
    project.policy({"storage": {"type": "string", "do": {"bin": {"width": 10}}}})
    with pytest.raises(PolicyError):
        project.run(allow=ERRORS)


def test_a_backfill_follows_the_same_lint_rules(project: Project) -> None:
    write_errors(project)
    file = project.folder / "again.yaml"
    file.write_text(f"backfill: again\npipeline: pipeline.yaml\nreason: x\ndates: [{DAY}]\n")
    given: dict[str, Any] = {"output": project.out, "keys": project.keys}
    with pytest.raises(RefusedError):
        run_backfill(file, **given)
    (receipt,) = run_backfill(file, allow=ERRORS, **given).receipts
    assert receipt.allowed == tuple(ERRORS)


def test_a_replay_follows_the_same_lint_rules(project: Project) -> None:
    project.policy({"storage": {"type": "integer", "required": True, "do": "drop"}})
    project.pipeline(aggregates=None)
    project.records([*events(60), {key: value for key, value in events(1, 90)[0].items() if key != "storage"}])
    project.run()
    write_errors(project)
    given: dict[str, Any] = {"keys": project.keys, "at": "2026-11-25T00:00:00Z"}
    with pytest.raises(RefusedError) as caught:
        replay(project.out, **given)
    assert caught.value.code == "R022"
    assert replay(project.out, allow=ERRORS, **given).receipts[0].allowed == tuple(ERRORS)
