"""What `lint` and `plan` say of published tables: rows and errors from published figures, for actors who may read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.linting import ALLOWABLE_CODES
from minimize.review import lint_path, lint_tables, published_tables
from tests.commands import command
from tests.project import AGGREGATES, AT, DAY, Project, event, new_project, without_none, write_yaml
from tests.world import access_file, assignment

NOISY = without_none({**AGGREGATES["per_model"], "exact": None, "per_subject": {"rows": 2}})


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("MINIMIZE_KEYS", raising=False)
    monkeypatch.delenv("MINIMIZE_LEDGER", raising=False)
    (tmp_path / "project").mkdir()
    project = new_project(tmp_path / "project")
    project.pipeline(aggregates={"per_model": NOISY})
    sizes = {"A": 60, "B": 45, "C": 2}
    project.records(
        [event(at, device_id=f"d{model}{at}", model=model) for model, size in sizes.items() for at in range(size)]
    )
    return project


def said(project: Project) -> list[dict[str, Any]]:
    return [table.to_json() for table in published_tables(project.folder, at=AT, keys=project.keys)]


def test_before_the_first_run_there_is_no_finding(project: Project) -> None:
    assert said(project) == []


def test_the_rows_and_their_error_are_those_that_were_published(project: Project) -> None:
    project.run()
    devices = minimize.read(project.out, "per_model")["devices"].to_pylist()
    (table,) = said(project)
    assert (table["name"], table["rows"], table["date"]) == ("per_model", len(devices), DAY)
    assert 0.02 < table["count_error"] < 0.07
    assert table["deviations"]["events"] == pytest.approx(2 * 2.828)
    assert table.keys().isdisjoint({"subjects", "most_rows"})


def test_the_newest_date_counts(project: Project) -> None:
    later = "2026-11-25"
    project.records([event(at, device_id=f"d{at}", model="A") for at in range(70)], day=later)
    project.run()
    (table,) = said(project)
    assert (table["date"], table["rows"]) == (later, 1)


def test_a_damaged_table_leaves_the_error_out(project: Project) -> None:
    project.run()
    (file,) = minimize.files(project.out, "per_model")
    Path(file).write_bytes(b"no parquet")
    (table,) = said(project)
    assert table["rows"] == 2
    assert "count_error" not in table


@pytest.mark.parametrize(
    ("role", "scope", "count"),
    [
        ("reader", {}, 1),
        ("reader", {"tenants": ["north"]}, 0),
        ("reader", {"datasets": ["checkins/records"]}, 0),
        ("scheduler", {}, 0),
        ("barred", {}, 0),
    ],
)
def test_access_rules_decide_who_sees_it(
    project: Project, monkeypatch: pytest.MonkeyPatch, role: str, scope: dict[str, Any], count: int
) -> None:
    project.run()
    roles = {
        "reader": {"copy": "analyst"},
        "barred": {"copy": "analyst", "deny": ["dataset/read:aggregated"]},
    }
    write_yaml(project.folder / "access.yaml", access_file(assignment(role, "ann@example.com", **scope), roles=roles))
    (project.folder / "minimize.yaml").write_text("access: access.yaml\nencrypt: off\n")
    monkeypatch.setenv("MINIMIZE_ACTOR", "ann@example.com")
    assert len(said(project)) == count


def test_lint_prints_a_line_for_each_table(project: Project) -> None:
    project.run()
    asked = ("lint", project.folder, "--keys", project.keys, "--fail-on", "never")
    printed = command(*asked).out
    assert "\nper_model: 2 rows were shown on 2026-11-24; a number of subjects is off by" in printed
    assert [table["name"] for table in command(*asked, "--json").json["tables"]] == ["per_model"]


def test_plan_prints_it_unless_there_is_a_preview(project: Project) -> None:
    project.run()
    assert "per_model: 2 rows were shown on" in command("plan", project.folder, "--keys", project.keys).out
    rows = command("plan", project.folder, "--preview", 2, "--at", "2026-11-25T00:00:00Z", "--keys", project.keys)
    assert "were shown" not in rows.out


def test_a_folder_of_pipelines_names_them(project: Project) -> None:
    project.run()
    (table,) = lint_tables(project.folder.parent, at=AT, keys=project.keys)
    assert table.name == "project/per_model"
    assert lint_tables(project.folder / "policy.yaml", at=AT) == ()


def test_a_table_is_no_finding(project: Project) -> None:
    before = lint_path(project.folder, on=AT.date(), keys=project.keys)
    project.run()
    assert {each.code for each in lint_path(project.folder, on=AT.date(), keys=project.keys)} == {
        each.code for each in before
    }


def test_commands_name_a_table_that_is_older_than_its_records(project: Project) -> None:
    exact = {**without_none({**NOISY, "per_subject": None}), "exact": {"because": "a test"}}
    project.pipeline(aggregates={"per_model": exact})
    project.run()
    at, keys = ("--at", f"{AT:%Y-%m-%dT%H:%M:%SZ}"), ("--keys", project.keys)
    commands = [("lint", project.folder, *keys), ("plan", project.folder, *keys), ("report", project.out, *keys, *at)]
    for each in commands:
        text = " ".join(command(*each).out.split())
        assert "per_model" in text, each
        assert "data that came later" not in text, each
    project.records([event(1, device_id="another", model="A")], name="b")
    allowed = [part for code in ALLOWABLE_CODES for part in ("--allow", code)]
    said = command("run", project.folder, "--date", DAY, "--output", project.out, *keys, *at, *allowed)
    assert f"per_model of {DAY}: exact statistics were published once, and newer data are not in them" in said.err
    assert "records are removed" not in said.out
    for each in commands:
        text = " ".join(command(*each).out.split())
        assert f"data that came later are not in the statistics of {DAY}" in text, each


def test_late_rows_and_rows_from_before_late_are_named(project: Project) -> None:
    by_day = {**NOISY, "group_by": {"day": {"event_time": "day"}, "model": "model"}}
    keys = ("--keys", project.keys)

    def lint() -> list[str]:
        found = command("lint", project.folder, *keys, "--fail-on", "never", "--json").json["findings"]
        return [each["code"] for each in found if each["code"] in ("L093", "L094")]

    project.pipeline(aggregates={"per_model": {**by_day, "group_by": {"model": "model"}}})
    assert lint() == [], "a table of batches has no days"
    project.pipeline(aggregates={"per_model": by_day})
    assert lint() == ["L093"]
    project.run()
    project.pipeline(aggregates={"per_model": {**by_day, "late": "1d"}})
    assert lint() == ["L094"]
    later = "2026-11-25"
    project.records([event(at, device_id=f"d{at}", model="A") for at in range(70)], day=later)
    allowed = [part for code in ALLOWABLE_CODES for part in ("--allow", code)]
    words = ("--date", later, "--at", f"{AT:%Y-%m-%dT%H:%M:%SZ}", "--output", project.out, *keys, *allowed)
    assert (
        f"per_model: the rows of {DAY} were published without `late` and stay"
        in command("run", project.folder, *words).err
    )


def test_figures_that_noise_hides_are_named(project: Project) -> None:
    keys, data = ("--keys", project.keys), project.folder / "data" / DAY / "a.ndjson.gz"
    for rows, hidden in ((2, False), (24, True)):
        project.pipeline(aggregates={"per_model": {**NOISY, "per_subject": {"rows": rows}}})
        project.run(output=project.folder / f"out{rows}")
        project.pipeline(aggregates={"per_model": {**NOISY, "per_subject": {"rows": rows}}}, output=f"out{rows}")
        preview = command("plan", project.folder, "--preview", data, *keys, "--at", f"{AT:%Y-%m-%dT%H:%M:%SZ}").out
        for text in (preview, command("lint", project.folder, *keys, "--fail-on", "never").out):
            words = " ".join(text.split())
            assert ("WARNING: noise hides most of events, battery, drained: " in words) == hidden, words
            assert "noise without a standard deviation: storage" in words
