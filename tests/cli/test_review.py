"""`minimize diff`, `explain`, `test` and `policy approve`: exit codes and printed text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import Command
from tests.project import POLICY, Project, event, events


@pytest.fixture(name="two")
def _two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.chdir(tmp_path)
    paths = tmp_path / "old.yaml", tmp_path / "new.yaml"
    paths[0].write_text(json.dumps(POLICY))
    paths[1].write_text(json.dumps({**POLICY, "retention": "60d", "owner": "a | b <script> @all"}))
    return paths


def test_a_loosening_diff_exits_with_1_and_a_table(two: tuple[Path, Path], command: Command) -> None:
    said = command("diff", *two)
    assert said.code == 1
    assert "J020  loosens" in said.out
    assert said.out.splitlines()[0] == "1 change weakens protection: do not merge without review · 1 neutral"
    assert "retention: kept for 30d → kept for 60d" in said.out
    assert "J020  Data is kept for longer, so a breach exposes more of it." in said.out
    assert said.out.splitlines()[-1] == "1 loosens, 1 neutral"


def test_a_tightening_diff_exits_with_0(two: tuple[Path, Path], command: Command) -> None:
    assert command("diff", two[1], two[0]).code == 0


@pytest.mark.parametrize("code", ["J020", "all"])
def test_an_allowed_diff_exits_with_0(code: str, two: tuple[Path, Path], command: Command) -> None:
    said = command("diff", *two, "--allow", code)
    assert said.code == 0
    assert "loosens (allowed)" in said.out


def test_for_machines_it_prints_every_change(two: tuple[Path, Path], command: Command) -> None:
    said = command("diff", *two, "--json")
    assert said.code == 1
    assert said.json["grade"] == "loosens"
    assert said.json["ok"] is False
    assert said.json["counts"] == {"loosens": 1, "tightens": 0, "neutral": 1}
    first = said.json["changes"][0]
    assert (first["code"], first["grade"], first["line"], first["allowed"]) == ("J020", "loosens", 1, False)


def test_for_a_pull_request_it_prints_markdown_in_which_texts_are_nothing_but_text(
    two: tuple[Path, Path], command: Command
) -> None:
    said = command("diff", *two, "--markdown")
    assert said.out.startswith(
        "### Policy review: 1 change weakens protection: do not merge without review · 1 neutral\n"
    )
    assert "`--allow J020`" in said.out
    assert "a \\| b &lt;script&gt; &#64;all" in said.out
    assert "<script>" not in said.out


def test_changes_are_written_as_a_page(two: tuple[Path, Path], command: Command, tmp_path: Path) -> None:
    said = command("diff", *two, "--html", tmp_path / "diff.html")
    assert (said.code, said.out) == (1, f"wrote {tmp_path / 'diff.html'}\n")
    page = (tmp_path / "diff.html").read_text()
    assert '<p class="status bad">' in page
    assert '1 change weakens protection:</strong> <span class="item">do not merge without review</span>' in page
    assert "<h2>Weakens protection: 1</h2>" in page
    assert f"Old: {two[0]}. New: {two[1]}." in page
    assert "Data is kept for longer, so a breach exposes more of it." in page
    assert "<code>--allow J020</code>" in page
    assert 'data-label="about"' not in page, "a column that is empty in every row is left out"
    assert "`" not in page.split("</style>")[1]


def test_identical_policies_have_no_difference(two: tuple[Path, Path], command: Command) -> None:
    said = command("diff", two[0], two[0])
    assert (said.code, said.out) == (0, "nothing changed\n")


def test_a_missing_file_exits_with_2(two: tuple[Path, Path], command: Command) -> None:
    said = command("diff", two[0], "nothing.yaml", "--json")
    assert said.code == 2
    assert said.error["code"] == "E200"


WHEN = ("--at", "2026-11-25T00:00:00Z")


def test_explain_prints_each_step_of_a_field(project: Project, command: Command) -> None:
    project.records(events(3))
    said = command("explain", project.folder, "latitude", "--tenant", "north", *WHEN)
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0] == "latitude in checkins for tenant north, as of 2026-11-25T00:00:00Z: transformed"
    assert any("✓ gate: collected if feature location is on: yes" in line for line in lines)
    assert "    location on, set by admin for the tenant, from 2026-01-01T00:00:00Z on" in said.out
    assert lines[-1].startswith("result: ")


def test_for_machines_it_prints_the_steps(project: Project, command: Command) -> None:
    project.records(events(3))
    said = command("explain", project.folder, "latitude", "--tenant", "south", *WHEN, "--json").json
    assert said["outcome"] == "dropped"
    assert [step["what"] for step in said["steps"] if step["verdict"] == "stops"] == ["gate"]


def test_explain_record_prints_outcomes_and_no_value(project: Project, command: Command) -> None:
    path = project.records(events(3))
    said = command("explain", project.folder, "battery", "--record", f"{path}:2", *WHEN, "--keys", project.keys)
    assert said.code == 0
    assert said.out.splitlines()[-1] == "result: 1 made coarser"
    assert "7.3" not in said.out


def test_explain_of_an_unknown_field_exits_with_2_and_a_suggestion(project: Project, command: Command) -> None:
    project.records(events(3))
    said = command("explain", project.folder, "batery")
    assert (said.code, said.out) == (2, "")
    assert "Did you mean `battery`?" in said.err


def test_a_record_that_is_not_there_exits_2(project: Project, command: Command) -> None:
    path = project.records(events(3))
    assert (
        command("explain", project.folder, "battery", "--record", f"{path}:9", *WHEN, "--keys", project.keys).code == 2
    )


def test_explain_of_a_tenant_without_settings_ends_with_a_hint(project: Project, command: Command) -> None:
    words = ("explain", project.folder, "latitude", "--tenant")
    said = command(*words, "norht")
    told = f"the tenant norht is not in the settings {project.folder / 'settings.csv'}. Did you mean north?"
    assert (said.code, said.out.splitlines()[-1]) == (0, told)
    assert command(*words, "norht", "--json").json["tenant_known"] is False
    assert command(*words, "north", "--json").json["tenant_known"] is True


ROW = {"tenant_id": "north", "device_id": "d", "event_time": "2026-11-24T22:00:00Z", "model": "other", "latitude": 48.0}


def brings(project: Project, name: str, *records: object) -> Path:
    path = project.folder / "tests" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_matching_fixtures_exit_with_0(project: Project, command: Command) -> None:
    brings(project, "a.pass.ndjson", event(0))
    said = command("test", project.folder)
    assert said.code == 0
    assert said.out == "1 records tested, 0 rows compared, as of 2026-11-24T22:00:00Z: all passed\n"


def test_a_failing_fixture_exits_with_1_and_names_file_and_line(project: Project, command: Command) -> None:
    path = brings(project, "a.fail.ndjson", event(0))
    said = command("test", project.folder)
    assert said.code == 1
    assert f"{path}:1: F002 the record is released" in said.out


def test_values_are_shown_on_demand_alone(project: Project, command: Command) -> None:
    brings(project, "a.pass.ndjson", event(0))
    brings(project, "expect.ndjson", {**ROW, "battery": 70.25})
    without, shown = command("test", project.folder), command("test", project.folder, "--show")
    assert without.code == shown.code == 1
    assert "F006 battery: the released value differs from the expected one" in without.out
    assert "70.25" not in without.out
    assert "(expected 70.25, released 0.0)" in shown.out


def test_for_machines_it_prints_failures(project: Project, command: Command) -> None:
    brings(project, "a.pass.ndjson", event(0, contacts=[]))
    said = command("test", project.folder, "--json").json
    assert said["ok"] is False
    assert [(each["code"], each["line"], each["field"]) for each in said["failures"]] == [("F001", 1, "/contacts")]


def test_without_fixtures_it_exits_2(project: Project, command: Command) -> None:
    assert command("test", project.folder).code == 2


APPROVAL_TIME = "2026-11-25T00:00:00Z"


def test_an_approval_prints_the_approver_and_where_it_was_recorded(project: Project, command: Command) -> None:
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
def test_an_approval_prints_the_source_of_the_approver_s_name(
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
    said = command("run", project.folder, "--at", APPROVAL_TIME, "--output", project.out, "--keys", project.keys)
    assert said.code == 3
    assert "R006" in said.err
    assert "minimize policy approve" in said.err


@pytest.mark.parametrize(("demand", "code", "exits"), [("warn", "L080", 0), ("required", "L081", 1)])
def test_lint_reports_the_same_approval_fault(
    demand: str, code: str, exits: int, project: Project, command: Command
) -> None:
    project.records(events(3))
    (project.folder / "minimize.yaml").write_text(f"approval: {demand}\n")
    said = command("lint", project.folder, "--json", "--keys", project.keys)
    assert code in [finding["code"] for finding in said.json["findings"]]
    assert said.code == exits
