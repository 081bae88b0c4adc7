"""`replay`: quarantined records under the policy of today, read from the source by their position."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

import minimize
from minimize.errors import ConfigurationError, RefusedError
from minimize.runs.quarantine_replay import ReplayResult, count_groups, quarantined_dates
from minimize.stores.durable_files import file_digest
from tests.calls import recheck_quarantine, replay
from tests.project import AT, BEFORE, DAY, NOISY_AGGREGATES, Project, event, events, table


def test_quarantine_is_grouped_by_code_field_and_file_the_most_first(project: Project) -> None:
    project.records([*events(9), "broken", event(9, battery="full"), event(10, battery="low")])
    project.records([*events(9), "broken"], day=BEFORE)
    project.run()
    assert [tuple(group.values()) for group in count_groups(quarantined_dates(project.out))] == [
        ("wrong_type", "/battery", f"{DAY}/a.ndjson.gz", 2),
        ("malformed", None, f"{BEFORE}/a.ndjson.gz", 1),
        ("malformed", None, f"{DAY}/a.ndjson.gz", 1),
    ]


def test_one_date_can_be_asked_for(project: Project) -> None:
    project.records([*events(9), "broken"])
    project.records([*events(9), "broken", "too"], day=BEFORE)
    project.run()
    assert [each.rows for each in quarantined_dates(project.out, BEFORE)] == [2]
    assert quarantined_dates(project.out, "2026-11-01") == []


def test_a_replaced_run_has_no_quarantined_dates(project: Project) -> None:
    project.records([*events(9), "broken"])
    project.run()
    project.records(events(9))
    project.run()
    assert quarantined_dates(project.out) == []


LATER = AT + timedelta(hours=1)
LEVEL = {"type": "string", "do": "keep"}
MISTYPED = [event(40, storage="much"), event(41, storage="little")]
NO_RULES = {"aggregates": None}


def again(project: Project, **asked: Any) -> ReplayResult:
    given: dict[str, Any] = {"at": LATER, "keys": project.keys} | asked
    return replay(project.out, **given)


def lenient(project: Project) -> None:
    """The policy of today does not know the field that was mistyped."""
    project.policy({"storage": None})
    project.pipeline(**NO_RULES)


def strict_project(project: Project) -> None:
    project.pipeline(**NO_RULES)


def test_a_date_with_a_record_that_passes_now_is_run_again_whole(project: Project) -> None:
    strict_project(project)
    project.records([*events(30), "broken", *MISTYPED])
    before = project.run()
    lenient(project)
    done = again(project)
    assert [receipt.kind for receipt in done.receipts] == ["replay"]
    receipt = done.receipts[0]
    assert (receipt.sequence, receipt.previous, receipt.dates) == (2, before.digest, (DAY,))
    assert (receipt.rows.read, receipt.rows.written, receipt.rows.quarantined) == (33, 32, 1)
    assert len(project.rows()) == 32
    minimize.verify(project.out, keys=project.keys)


def test_a_replay_gives_what_a_run_of_today_would_give(project: Project) -> None:
    strict_project(project)
    project.records([*events(30), *MISTYPED])
    project.run()
    lenient(project)
    again(project)
    project.run(at=LATER, output=project.folder / "other")
    assert project.rows() == project.rows(output=project.folder / "other")


def test_a_date_of_which_nothing_passes_is_left_alone(project: Project) -> None:
    strict_project(project)
    project.records([*events(30), *MISTYPED])
    project.records([*events(30, 100), "broken"], day=BEFORE)
    project.run()
    kept = {file for file in project.files() if BEFORE in file}
    lenient(project)
    done = again(project)
    assert [(each.quarantined.day, each.rows, each.quarantined.rows) for each in done.rechecked] == [
        (BEFORE, 0, 1),
        (DAY, 2, 2),
    ]
    assert [receipt.dates for receipt in done.receipts] == [(DAY,)]
    assert kept <= project.files()


def test_nothing_in_quarantine_is_nothing_to_do(project: Project) -> None:
    project.records(events(30))
    project.run()
    assert again(project) == ReplayResult([], [])


def test_where_nothing_passes_nothing_is_published(project: Project) -> None:
    project.records([*events(30), "broken"])
    project.run()
    stood = project.files()
    assert again(project).receipts == []
    assert project.files() == stood


def test_a_second_replay_has_nothing_left_to_do(project: Project) -> None:
    strict_project(project)
    project.records([*events(30), "broken", *MISTYPED])
    project.run()
    lenient(project)
    again(project)
    assert again(project, at=LATER + timedelta(hours=1)).receipts == []


def test_one_date_alone_can_be_asked_for(project: Project) -> None:
    strict_project(project)
    for day in (DAY, BEFORE):
        project.records([*events(30), *MISTYPED], day=day)
    project.run()
    lenient(project)
    assert [receipt.dates for receipt in again(project, date=BEFORE).receipts] == [(BEFORE,)]


def test_a_source_that_changed_is_refused_with_both_digests(project: Project) -> None:
    path = project.records([*events(30), "broken"])
    before = file_digest(path)
    project.run()
    project.records([*events(30), "mended"])
    with pytest.raises(RefusedError) as caught:
        again(project)
    (finding,) = caught.value.findings
    assert (finding.code, finding.file) == ("R011", f"{DAY}/a.ndjson.gz")
    assert before in finding.message
    assert file_digest(path) in finding.message


def test_a_source_that_vanished_is_refused(project: Project) -> None:
    path = project.records([*events(30), "broken"])
    before = file_digest(path)
    project.run()
    path.unlink()
    with pytest.raises(RefusedError) as caught:
        again(project)
    assert [(each.code, before in each.message) for each in caught.value.findings] == [("R012", True)]


@pytest.mark.parametrize("gone", [True, False])
def test_another_input_of_the_date_that_changed_or_vanished_is_refused_too(project: Project, gone: bool) -> None:
    strict_project(project)
    project.records([*events(30), *MISTYPED])
    other = project.records(events(5, 200), name="b")
    project.run()
    lenient(project)
    if gone:
        other.unlink()
    else:
        project.records(events(6, 200), name="b")
    with pytest.raises(RefusedError):
        again(project)
    assert len(project.rows()) == 35


def test_a_lost_source_of_another_date_does_not_stop_the_replay(project: Project) -> None:
    strict_project(project)
    project.records([*events(30), *MISTYPED])
    other = project.records(events(5, 200), day=BEFORE)
    project.run()
    other.unlink()
    lenient(project)
    assert [receipt.dates for receipt in again(project).receipts] == [(DAY,)]


def test_all_changed_files_are_reported_together_and_nothing_is_replayed(project: Project) -> None:
    strict_project(project)
    for day in (DAY, BEFORE):
        project.records([*events(30), *MISTYPED], day=day)
        project.records([*events(30), "broken"], day=day, name="b")
    project.run()
    lenient(project)
    for day in (DAY, BEFORE):
        project.records(["other"], day=day, name="b")
    with pytest.raises(RefusedError) as caught:
        again(project)
    assert [each.file for each in caught.value.findings] == [f"{day}/b.ndjson.gz" for day in (BEFORE, DAY)]
    assert len(minimize.read(project.out)) == 120


def test_a_late_file_of_the_date_is_read_with_the_rest(project: Project) -> None:
    strict_project(project)
    project.records([*events(30), *MISTYPED])
    project.run()
    lenient(project)
    project.records(events(5, 200), name="late")
    assert again(project).receipts[0].rows.written == 37


def test_settings_are_those_of_today(project: Project) -> None:
    strict_project(project)
    project.records([*events(30), *MISTYPED])
    project.run()
    lenient(project)
    settings = project.folder / "settings.csv"
    settings.write_text(settings.read_text().replace(",on,", ",off,"))
    again(project)
    assert {row["latitude"] for row in project.rows()} == {None}


def test_input_and_settings_that_a_run_was_given_are_found_again(project: Project) -> None:
    strict_project(project)
    project.records([*events(30), *MISTYPED], root="elsewhere")
    off = project.folder / "off.csv"
    off.write_text((project.folder / "settings.csv").read_text().replace(",on,", ",off,"))
    receipt = project.run(input=project.folder / "elsewhere/{date}/*.ndjson.gz", settings=off)
    assert receipt.origin is not None
    assert receipt.origin.input == "../elsewhere/{date}/*.ndjson.gz"
    lenient(project)
    assert again(project).receipts[0].rows.written == 32
    assert {row["latitude"] for row in project.rows()} == {None}


def test_an_input_that_a_run_was_given_and_that_is_gone_is_refused(project: Project) -> None:
    project.records([*events(30), "broken"], root="elsewhere")
    project.run(input=project.folder / "elsewhere/{date}/*.ndjson.gz")
    (project.folder / "elsewhere").rename(project.folder / "moved")
    with pytest.raises(RefusedError):
        again(project)
    assert again(project, input=project.folder / "moved/{date}/*.ndjson.gz").rechecked[0].quarantined.rows == 1


def test_an_output_in_another_place_knows_its_pipeline(project: Project, tmp_path_factory: Any) -> None:
    far = tmp_path_factory.mktemp("far") / "out"
    project.records([*events(30), "broken"])
    receipt = project.run(output=far)
    assert receipt.origin is not None
    assert (receipt.origin.input, receipt.origin.settings) == (None, None)
    assert [each.quarantined.rows for each in replay(far, at=LATER, keys=project.keys).rechecked] == [1]


def test_a_pipeline_near_its_output_is_not_written_down(project: Project) -> None:
    project.records(events(30))
    assert project.run().origin is None


def test_a_pipeline_that_moved_is_named(project: Project) -> None:
    project.records([*events(30), "broken"])
    project.run()
    (project.folder / "moved").mkdir()
    for name in ("pipeline.yaml", "policy.yaml", "settings.csv"):
        (project.folder / name).rename(project.folder / "moved" / name)
    with pytest.raises(ConfigurationError, match="not known"):
        again(project)
    (project.folder / "data").rename(project.folder / "moved/data")
    assert again(project, pipeline=project.folder / "moved").receipts == []


def test_another_pipeline_is_refused(project: Project) -> None:
    project.records([*events(30), "broken"])
    project.run()
    project.pipeline(pipeline="other")
    with pytest.raises(ConfigurationError, match="not to other"):
        again(project, pipeline=project.folder)


def test_a_source_without_dates_is_run_again_whole(project: Project) -> None:
    project.pipeline(source={"path": f"data/{DAY}/*.ndjson.gz", "format": "ndjson"}, **NO_RULES)
    project.records([*events(30), *MISTYPED])
    project.run()
    project.policy({"storage": None})
    receipt = again(project).receipts[0]
    assert (receipt.dates, receipt.rows.written) == ((), 32)


@pytest.mark.parametrize("kind", ["ndjson", "csv", "parquet"])
def test_every_format_is_read_by_position(project: Project, kind: str) -> None:
    rows = table([*events(30), event(40, device_id=None)])
    if kind == "ndjson":
        project.source("ndjson", **NO_RULES)
        path = project.folder / "data" / DAY / "a.ndjson"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(map(json.dumps, [*events(30), event(40, device_id=None)])))
    else:
        project.source(kind, **NO_RULES)
        options: dict[str, Any] = {"row_group_size": 7} if kind == "parquet" else {}
        project.columns(rows, kind=kind, **options)
    project.run()
    assert [each.rows for each in recheck_quarantine(project.out, at=LATER, keys=project.keys)] == [0]
    project.policy({"device_id": None, "model": LEVEL}, subject="tenant_id")
    assert next(each.passing for each in recheck_quarantine(project.out, at=LATER, keys=project.keys)).keys() == {
        f"{DAY}/a.{kind}"
    }
    assert again(project).receipts[0].rows.written == 31


def test_aggregates_follow(project: Project) -> None:
    table = {**NOISY_AGGREGATES["per_model"], "per_subject": {"rows": 1}}
    project.pipeline(quarantine={}, aggregates={"per_model": table})
    complete = [event(number, device_id=f"d{number}") for number in range(300)]
    forbidden = [event(number, device_id=f"d{number}", contacts=["x"]) for number in range(300, 600)]
    project.records([*complete, *forbidden])
    project.run()
    before = [row["events"] for row in project.rows("per_model")]
    project.policy(never=None)
    again(project)
    after = [row["events"] for row in project.rows("per_model")]
    assert len(before) == len(after) == 3
    assert abs(sum(before) - 300) <= 3 * 24
    assert abs(sum(after) - 600) <= 3 * 24
    minimize.verify(project.out, keys=project.keys)


def test_a_path_that_may_hold_a_value_is_not_written_down(project: Project) -> None:
    project.records(events(30), root="tenant_id=north")
    project.records(events(30), root="ann@example.com")
    for root in ("tenant_id=north", "ann@example.com"):
        receipt = project.run(
            input=project.folder / root / "{date}/*.ndjson.gz", output=project.folder / f"{root[:3]}-out"
        )
        assert receipt.origin is None


def test_the_places_that_a_receipt_names_do_not_depend_on_the_current_folder(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.records([*events(30), "broken"])
    project.run()
    monkeypatch.chdir("/")
    assert [each.quarantined.rows for each in again(project).rechecked] == [1]


def test_an_encrypted_output_is_replayed_and_stays_encrypted(project: Project) -> None:
    project.pipeline(**NO_RULES, records={"encrypt": "by_category"})
    project.records([*events(30), *MISTYPED])
    project.run()
    project.policy({"storage": None})
    [receipt] = again(project).receipts
    assert (receipt.kind, receipt.rows.written) == ("replay", 32)
    assert receipt.outputs["records"].files[0].keys == ("encrypt.footer/1", "encrypt.pseudonymized/1")
    assert len(project.rows(keys=project.keys)) == 32
    minimize.verify(project.out, keys=project.keys)
