"""`minimize run`: exit codes and what it prints."""

from __future__ import annotations

import json

import pytest

from minimize.checkpoints import at_checkpoint
from minimize.keys import new_keyring
from tests.commands import Command, Result
from tests.project import AT, DAY, Project, event, events

WHEN = "2026-11-25T00:00:00Z"


@pytest.fixture(autouse=True)
def _folders(project: Project) -> None:
    """The folders of the sources, without files."""
    for name in ("data", "in"):
        (project.folder / name).mkdir()


def ran(command: Command, project: Project, *more: object) -> Result:
    return command("run", project.folder, "--at", WHEN, "--output", project.out, "--keys", project.keys, *more)


def test_a_finished_run_exits_with_0_and_prints_the_row_counts(project: Project, command: Command) -> None:
    project.records([*events(40), "broken"])
    said = ran(command, project)
    assert said.code == 0
    assert "41 read = 40 written" in said.out
    assert "malformed 1" in said.out
    assert said.err == ""


def test_for_machines_it_prints_the_receipt(project: Project, command: Command) -> None:
    project.records(events(40))
    receipt = ran(command, project, "--json").json
    assert receipt["receipt"] == 1
    assert receipt["kind"] == "run"
    assert receipt["rows"]["read"] == receipt["rows"]["written"] == 40
    assert receipt["at"] == WHEN
    assert receipt["at_given"] is True
    assert receipt["signature"]["algorithm"] == "ed25519"
    assert {"run_id", "sequence", "previous", "inputs", "fields", "outputs", "quarantine", "replaces"} <= set(receipt)


def test_a_run_without_work_exits_with_0_and_prints_nothing_to_do(project: Project, command: Command) -> None:
    said = ran(command, project)
    assert (said.code, said.out) == (0, "nothing to do\n")
    assert said.err == "WARNING no file matches data/{date}/*.ndjson.gz\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "no file matches data/{date}/*.ndjson.gz"),
        (("--since", DAY), f"no file from {DAY} on matches data/{{date}}/*.ndjson.gz"),
        (("--until", DAY), f"no file up to {DAY} matches data/{{date}}/*.ndjson.gz"),
        (
            ("--since", "2026-11-20", "--until", DAY),
            f"no file from 2026-11-20 to {DAY} matches data/{{date}}/*.ndjson.gz",
        ),
        (("--pending",), "no new files since the last run in data/{date}/*.ndjson.gz"),
        (("--pending", "--until", DAY), f"no new files since the last run in data/{{date}}/*.ndjson.gz, up to {DAY}"),
    ],
)
def test_a_run_without_work_names_dates_and_pattern_without_files_once(
    project: Project, command: Command, words: tuple[str, ...], told: str
) -> None:
    said = ran(command, project, *words)
    assert (said.code, said.out, said.err) == (0, "nothing to do\n", f"WARNING {told}\n")


@pytest.mark.parametrize(("words", "path"), [((), "data/{date}/*.ndjson.gz"), (("--input", "in/*.gz"), "in/*.gz")])
def test_a_date_without_files_exits_1_and_the_log_names_date_and_pattern(
    project: Project, command: Command, words: tuple[str, ...], path: str
) -> None:
    said = ran(command, project, "--date", DAY, "--skip-exit-code", *words)
    assert (said.code, said.out) == (1, "nothing was published: 1 date skipped\n")
    assert f"WARNING skipped {DAY}: no file of {DAY} matches {path}" in said.err


@pytest.mark.parametrize("code", [0, 1])
def test_a_line_of_lineage_that_was_torn_is_removed_in_a_night_with_nothing_to_do(
    project: Project, command: Command, code: int
) -> None:
    path = project.records(events(9))
    lineage = project.folder / "lineage.ndjson"
    assert ran(command, project, "--lineage", lineage).code == 0
    whole = lineage.read_bytes()
    lineage.write_bytes(whole + b'{"eventType": "STA')
    if code:
        path.unlink()
    said = ran(command, project, "--pending", "--lineage", lineage)
    assert (said.code, lineage.read_bytes()) == (code, whole)
    assert "the last line of lineage.ndjson was incomplete: the line was removed" in said.err


def test_a_run_without_work_exits_with_the_skip_code_if_requested(project: Project, command: Command) -> None:
    assert ran(command, project, "--skip-exit-code").code == 99
    project.records(events(9))
    assert ran(command, project, "--pending", "--skip-exit-code").code == 0
    assert ran(command, project, "--pending", "--skip-exit-code", "--json").code == 99


def test_a_date_that_needs_a_person_is_no_skip(project: Project, command: Command) -> None:
    project.records(events(9))
    lost = project.records(events(3, 50), name="b")
    ran(command, project)
    lost.unlink()
    assert ran(command, project, "--pending", "--skip-exit-code").code == 1


def test_with_nothing_to_do_machines_get_a_receipt_of_nothing(project: Project, command: Command) -> None:
    said = ran(command, project, "--json")
    assert said.code == 0
    assert said.json["sequence"] == 0


def test_above_its_limit_of_quarantine_it_exits_4_with_the_output_published(project: Project, command: Command) -> None:
    project.pipeline(quarantine={"warn_above": 0.01})
    project.records([*events(9), "broken"])
    said = ran(command, project)
    assert said.code == 4
    assert "1 of 10 rows are in quarantine" in said.err
    assert len(project.rows()) == 9


@pytest.mark.parametrize(("former", "current"), [("fail_above", "warn_above"), ("stop_above", "abort_above")])
def test_a_former_key_has_its_effect_and_one_line_names_the_current_one(
    project: Project, command: Command, former: str, current: str
) -> None:
    results = {}
    for key in (former, current):
        project.pipeline(quarantine={key: 0.5})
        said = command("plan", project.folder / "pipeline.yaml", "--json")
        results[key] = said.code, said.out
        notices = [line for line in said.err.splitlines() if f"is now `{current}`" in line]
        assert len(notices) == (key == former)
    assert results[former] == results[current]


def test_above_abort_above_it_exits_4_with_nothing_published(project: Project, command: Command) -> None:
    project.pipeline(quarantine={"abort_above": 0.01})
    project.records([*events(9), "broken"])
    said = ran(command, project, "--json")
    assert said.code == 4
    assert said.out == ""
    assert said.error["code"] == "E400"
    assert project.files() == set()


def test_an_earlier_time_without_a_folder_is_refused_with_3(project: Project, command: Command) -> None:
    project.records(events(9))
    said = command("run", project.folder, "--at", WHEN, "--keys", project.keys)
    assert said.code == 3
    assert "--output" in said.err


def test_a_category_above_the_promise_is_refused_with_3(project: Project, command: Command) -> None:
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "keep"}})
    project.records(events(9))
    said = ran(command, project, "--json")
    assert said.code == 3
    assert said.error["faults"]


def test_faults_of_configuration_come_before_refusals(project: Project, command: Command) -> None:
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "keep"}, "battery": {"type": "strnig"}})
    project.records(events(9))
    assert ran(command, project).code == 2


def test_without_a_keyring_a_run_exits_with_2_and_names_the_command_that_creates_one(
    project: Project, command: Command
) -> None:
    project.records(events(9))
    said = command("run", project.folder, "--at", WHEN, "--output", project.out)
    assert said.code == 2
    assert "minimize keys new" in said.err


def test_a_missing_key_is_named(project: Project, command: Command) -> None:
    project.records(events(9))
    new_keyring(project.folder / "poor.keys", (), now=AT)
    said = command("run", project.folder, "--at", WHEN, "--output", project.out, "--keys", "poor.keys")
    assert said.code == 2
    assert "device" in said.err


def test_the_keyring_of_the_environment_is_used(
    project: Project, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_KEYS", str(project.keys))
    project.records(events(9))
    assert command("run", project.folder, "--at", WHEN, "--output", project.out).code == 0


def test_a_damaged_file_exits_2_and_is_named(project: Project, command: Command) -> None:
    path = project.records(events(900))
    path.write_bytes(path.read_bytes()[:-500])
    said = ran(command, project)
    assert said.code == 2
    assert "a.ndjson.gz" in said.err
    assert project.files() == set()


def test_a_mistake_names_file_line_field_and_what_was_meant(project: Project, command: Command) -> None:
    project.policy({"battery": {"type": "double", "do": {"bni": {"width": 10}}}})
    said = ran(command, project)
    assert said.code == 2
    lines = (project.folder / "policy.yaml").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if '"bni"' in text)
    assert f"policy.yaml:{line}" in said.err
    assert "[battery]" in said.err
    assert "Did you mean `bin`" in said.err


def test_run_json_lists_all_faults_together(project: Project, command: Command) -> None:
    project.policy({"battery": {"type": "strnig"}, "storage": {"type": "integer", "rol": "quasi", "do": "keep"}})
    project.pipeline(purpose="fun")
    said = ran(command, project, "--json")
    assert said.code == 2
    assert {fault["field"] for fault in said.error["faults"]} >= {"battery", "storage"}
    assert {"code", "severity", "file", "line", "field", "message", "hint"} <= set(said.error["faults"][0])
    assert len(said.error["faults"]) >= 3


@pytest.mark.parametrize(
    "wrong", [["--date", "24.11.2026"], ["--at", "yesterday"], ["--at", "2026-11-25T00:00:00"], ["--engine", "abacus"]]
)
def test_an_invalid_argument_exits_with_2(project: Project, command: Command, wrong: list[str]) -> None:
    project.records(events(3))
    said = ran(command, project, *wrong)
    assert said.code == 2
    assert said.err


def test_settings_that_are_not_there_are_a_mistake(project: Project, command: Command) -> None:
    project.records(events(3))
    said = ran(command, project, "--settings", "nowhere.csv")
    assert said.code == 2
    assert "nowhere.csv" in said.err


def test_an_unexpected_error_reports_its_place_and_no_value(project: Project, command: Command) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("CANARY")

    project.records(events(3))
    with at_checkpoint("run.opened", broken):
        said = ran(command, project, "--json")
    assert said.code == 2
    assert said.error["code"] == "E900"
    assert "KeyError" in said.error["message"]
    assert "CANARY" not in said.err


def test_no_value_of_a_record_is_printed(project: Project, command: Command) -> None:
    project.records([event(1, device_id="CANARY-1", note="CANARY-2", event_time="CANARY-3"), '{"CANARY-4": ', event(3)])
    said = ran(command, project, "--json")
    assert "CANARY" not in said.out + said.err


def test_a_log_of_lines_of_json_can_be_asked_for(project: Project, command: Command) -> None:
    project.records(events(3))
    said = command(
        "--log-format", "json", "run", project.folder, "--at", WHEN, "--output", project.out, "--keys", project.keys
    )
    (line,) = map(json.loads, said.err.splitlines())
    assert set(line) == {"ts", "level", "code", "run_id", "msg", "data"}
    assert (line["level"], line["code"], line["msg"]) == ("info", "I001", "published 3 rows")
    assert line["ts"].endswith("Z")
    assert line["run_id"] in said.out


def test_the_log_format_may_be_given_after_the_verb(project: Project, command: Command) -> None:
    project.records(events(3))
    said = command("run", project.folder, "--keys", project.keys, "--log-format", "json")
    lines = [json.loads(line) for line in said.err.splitlines()]
    assert {line["code"] for line in lines} == {"I001"}
    assert all(set(line) == {"ts", "level", "code", "run_id", "msg", "data"} for line in lines)


def test_a_missing_keyring_is_reported_before_a_refused_time(project: Project, command: Command) -> None:
    project.records(events(3))
    earlier = ("run", project.folder, "--at", WHEN)
    assert command(*earlier).code == 2
    assert command(*earlier, "--keys", project.keys).code == 3


def test_a_pending_date_that_lost_files_is_left_alone_and_it_exits_1(project: Project, command: Command) -> None:
    project.records(events(9))
    lost = project.records(events(3, 50), name="b")
    assert ran(command, project, "--pending").code == 0
    lost.unlink()
    said = ran(command, project, "--pending")
    assert (said.code, said.out) == (1, "nothing was published: 1 date skipped\n")
    assert "Restore the files" in said.err


def test_pending_and_one_date_contradict_each_other(project: Project, command: Command) -> None:
    assert ran(command, project, "--pending", "--date", DAY).code == 2


def test_a_span_of_dates_runs_those_dates(project: Project, command: Command) -> None:
    for number in (22, 23, 24):
        project.records(events(2, number), day=f"2026-11-{number}")
    assert ran(command, project, "--since", "2026-11-23", "--until", DAY, "--json").json["dates"] == ["2026-11-23", DAY]
