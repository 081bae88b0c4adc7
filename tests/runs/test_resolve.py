"""What stands in for a pipeline's source, and how partitions of a source are shown.
Names of input files that may be values are shown as hashes, and recognised by them.
"""

from __future__ import annotations

import re
import shutil
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import minimize
from minimize.errors import ConfigurationError, SchemaError
from minimize.keys import add_key
from minimize.runs.inputs import PathMask
from tests.calls import recheck_quarantine
from tests.project import AT, BEFORE, DAY, NOISY_AGGREGATES, SCHEMA, Project, event, events, new_project, table


@pytest.fixture(name="elsewhere")
def _elsewhere(project: Project) -> Path:
    """Two dates outside the pipeline's source, laid out as it is."""
    project.records(events(5), root="other")
    project.records(events(7, 100), day=BEFORE, root="other")
    return project.folder / "other"


def test_a_folder_with_the_layout_of_the_source_replaces_it(project: Project, elsewhere: Path) -> None:
    receipt = project.run(input=elsewhere)
    assert receipt.dates == (BEFORE, DAY)
    assert receipt.rows.read == 12


def test_of_such_a_folder_one_date_may_be_asked(project: Project, elsewhere: Path) -> None:
    receipt = project.run(input=elsewhere, date=DAY)
    assert receipt.dates == (DAY,)
    assert [each.path for each in receipt.inputs] == [f"{DAY}/a.ndjson.gz"]


def test_a_pattern_with_the_date_replaces_the_source(project: Project, elsewhere: Path) -> None:
    assert project.run(input=f"{elsewhere}/{{date}}/a.*").rows.read == 12


def test_a_file_is_the_batch_of_the_date_that_is_given(project: Project, elsewhere: Path) -> None:
    receipt = project.run(input=elsewhere / DAY / "a.ndjson.gz", date="2026-11-20")
    assert receipt.dates == ("2026-11-20",)
    assert receipt.rows.read == 5


def test_a_flat_folder_is_the_batch_of_the_date_that_is_given(project: Project, elsewhere: Path) -> None:
    receipt = project.run(input=elsewhere / DAY, date=date(2026, 11, 20))
    assert receipt.rows.read == 5


def test_a_file_without_a_date_is_a_mistake(project: Project, elsewhere: Path) -> None:
    with pytest.raises(ConfigurationError, match="Pass --date"):
        project.run(input=elsewhere / DAY / "a.ndjson.gz")


def test_an_input_without_a_name_is_a_mistake(project: Project) -> None:
    with pytest.raises(ConfigurationError, match="is empty"):
        project.run(input="")


def test_a_folder_replaces_a_source_without_dates_by_its_pattern(project: Project) -> None:
    project.pipeline(source={"path": "data/*.ndjson.gz", "format": "ndjson"}, aggregates=NOISY_AGGREGATES)
    project.records(events(5), day=".", root="other")
    (project.folder / "other" / "settings.csv").write_text("no records")
    receipt = project.run(input="other")
    assert (receipt.rows.read, len(receipt.inputs)) == (5, 1)


def test_a_folder_that_is_laid_out_otherwise_is_taken_whole(project: Project) -> None:
    project.pipeline(source={"path": "data/*.ndjson.gz", "format": "ndjson"}, aggregates=NOISY_AGGREGATES)
    project.records(events(5), day="deep", root="other")
    assert project.run(input="other").rows.read == 5


def test_an_input_that_is_not_there_is_a_mistake(project: Project) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        project.run(input="nowhere", date=DAY)


def test_a_pattern_that_matches_nothing_is_nothing_to_do(project: Project) -> None:
    assert project.run(input="nowhere/*.ndjson", date=DAY).sequence == 0


def test_an_input_is_relative_to_the_working_directory(
    project: Project, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(elsewhere)
    assert project.run(input=f"{DAY}/a.ndjson.gz", date=DAY).rows.read == 5


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_columnar_sources_run_end_to_end(project: Project, kind: str) -> None:
    project.records(events(40))
    project.run()
    expected, aggregate = project.rows(), project.rows("per_model")
    shutil.rmtree(project.folder / "data")
    project.source(kind)
    project.columns(table(events(40)), kind=kind)
    other = project.folder / "other"
    receipt = project.run(output=other)
    assert receipt.rows.written == 40
    assert project.rows(output=other) == expected
    assert project.rows("per_model", output=other) == aggregate


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.usefixtures("no_output")
def test_a_missing_column_stops_the_run_with_the_whole_diff(project: Project, kind: str) -> None:
    project.source(kind)
    project.columns(table(events(4)).drop_columns(["battery", "model"]), kind=kind)
    with pytest.raises(SchemaError) as error:
        project.run()
    assert {finding.field for finding in error.value.findings} == {"battery", "model"}
    assert error.value.exit_code == 2
    assert not project.out.exists()


@pytest.mark.usefixtures("no_output")
def test_a_column_of_another_type_stops_the_run(project: Project) -> None:
    project.source("parquet")
    data = table(events(4))
    strings = pa.array([str(value) for value in data["storage"].to_pylist()])
    project.columns(data.set_column(SCHEMA.get_field_index("storage"), "storage", strings))
    with pytest.raises(SchemaError, match="storage"):
        project.run()
    assert not project.out.exists()


def test_an_undeclared_column_is_dropped_and_counted(project: Project) -> None:
    project.source("parquet")
    data = table(events(40))
    project.columns(data.append_column("secret_plan", pa.array(["x"] * 40)))
    receipt = project.run()
    assert receipt.undeclared == {"/secret_plan": 40}
    assert all("secret_plan" not in row for row in project.rows())


def test_a_column_of_the_wrong_type_in_csv_quarantines_its_rows(project: Project) -> None:
    project.source("csv")
    path = project.columns(table(events(4)), kind="csv")
    lines = path.read_text().splitlines()
    lines[1] = lines[1].rsplit(",", 2)[0] + ",many,48.1"
    path.write_text("\n".join(lines) + "\n")
    receipt = project.run()
    assert receipt.quarantine.by_code == {"wrong_type": 1}
    assert receipt.rows.written == 3


def test_two_dates_may_not_disagree_about_a_type(project: Project) -> None:
    project.source("parquet")
    project.columns(table(events(4)))
    data = table(events(4))
    index = SCHEMA.get_field_index("storage")
    project.columns(data.set_column(index, "storage", data["storage"].cast(pa.int32())), day=BEFORE)
    with pytest.raises(SchemaError, match="storage"):
        project.run()


def test_a_damaged_parquet_file_publishes_nothing(project: Project) -> None:
    project.source("parquet")
    path = project.columns(table(events(400)))
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(len(content) // 2) + content[4 + len(content) // 2 :])
    with pytest.raises(ConfigurationError) as error:
        project.run()
    assert error.value.exit_code == 2
    assert project.files() == set()


def test_records_may_be_partitioned_by_a_plain_field(project: Project) -> None:
    project.pipeline(records={"partition_by": ["tenant_id"]})
    project.records(events(30))
    project.run()
    assert {file.rsplit("/", 1)[0] for file in project.files() if file.startswith("records")} == {
        f"records/date={DAY}/tenant_id=north",
        f"records/date={DAY}/tenant_id=south",
    }
    assert {row["tenant_id"] for row in project.rows()} == {"north", "south"}
    assert len(project.rows()) == 30


def test_a_second_run_replaces_partitions_that_are_gone(project: Project) -> None:
    project.pipeline(records={"partition_by": ["tenant_id"]})
    project.records(events(30))
    project.run()
    project.records([event(2)])
    project.run(allow_shrink=True)
    assert {row["tenant_id"] for row in project.rows()} == {"north"}
    assert not any("south" in file for file in project.files())


def test_hive_values_of_a_source_that_are_not_plain_are_shown_as_a_hash(project: Project) -> None:
    project.policy({"model": {"type": "string", "role": "quasi", "do": "drop"}})
    project.pipeline(source={"path": "data/{date}/**/*.parquet", "format": "parquet"}, aggregates=None)
    project.columns(table(events(4)).drop_columns(["model", "tenant_id"]), name="model=Rare/tenant_id=north/a")
    (only,) = project.run().inputs
    assert "Rare" not in only.path
    assert "model=#" in only.path
    assert "tenant_id=north" in only.path


def test_a_run_takes_settings_as_a_frame(project: Project) -> None:
    project.records(events(5))
    project.run(output=project.folder / "by path")
    frame = pd.read_csv(project.folder / "settings.csv", dtype=str, keep_default_na=False)
    project.run(settings=frame)
    assert project.rows() == project.rows(output=project.folder / "by path")


def test_data_in_memory_is_refused_as_a_path_and_not_shown(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"device_id": ["CANARY-1"]})
    with pytest.raises(ConfigurationError, match="not a path") as raised:
        project.run(input=frame)
    assert "CANARY" not in f"{raised.value} {caplog.text}"


LATER = AT + timedelta(hours=1)
recorded = PathMask(b"key", frozenset({"region"}))


@pytest.mark.parametrize(
    "name",
    [
        "2026-11-24/part-00000.ndjson.gz",
        "events_2026-11-24.csv",
        "2026/11/24/0930.json",
        "20261124T093000Z.parquet",
        "region=north/a.parquet",
        "10.0.3/Part-7.NDJSON",
    ],
)
def test_a_name_of_dates_numbers_and_words_of_programs_is_recorded_unchanged(name: str) -> None:
    assert recorded(name) == name


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("B-007.ndjson.gz", ".ndjson.gz"),
        ("ann.csv", ".csv"),
        ("9901234567.parquet", ".parquet"),
        ("part-B-007.ndjson", ".ndjson"),
        ("events.B-007", ""),
        ("12-3456-7890.json", ".json"),
    ],
)
def test_any_other_name_is_recorded_as_a_hash_with_its_ending(name: str, ending: str) -> None:
    assert re.fullmatch(rf"2026-11-24/#[0-9a-f]{{16}}{re.escape(ending)}", recorded(f"2026-11-24/{name}"))
    days = ("2026-11-23", "2026-11-24")
    assert len({recorded(f"{day}/{name}") for day in days}) == 2
    assert recorded(name) != PathMask(b"other key")(name)


def test_pending_knows_the_files_again_after_a_new_version_of_the_subject_key(project: Project) -> None:
    project.records(events(30), name="B-007")
    (before,) = project.run().inputs
    add_key(project.keys, "subject", now=LATER)
    assert "B-007" not in before.path
    assert project.run(pending=True, at=LATER).sequence == 0


def test_one_file_that_a_receipt_does_not_name_is_no_recorded_input(project: Project) -> None:
    inputs = [project.lines(f"{name}.ndjson", events(30)) for name in ("B-007", "2026-11-24")]
    origins = [project.run(DAY, input=path).origin for path in inputs]
    assert [None if each is None else each.input for each in origins] == [None, "../2026-11-24.ndjson"]


@pytest.mark.parametrize(("name", "pattern"), [("ann@example.com.ndjson", "email"), ("device-203.0.113.77.csv", "ip")])
def test_a_name_that_a_pattern_hits_is_recorded_as_the_pattern_and_a_hash(name: str, pattern: str) -> None:
    assert recorded(f"2026-11-24/{name}").startswith(f"2026-11-24/[{pattern}]#")
    assert len({recorded(f"{day}/{name}") for day in ("2026-11-23", "2026-11-24")}) == 2
    assert PathMask(b"")(name) == f"[{pattern}]#?"


def test_a_folder_that_a_pattern_hits_is_recorded_so_too() -> None:
    assert recorded("ann@example.com/a.ndjson").endswith("/a.ndjson")
    assert "ann" not in recorded("ann@example.com/a.ndjson")


def test_a_partition_is_recorded_if_its_field_is_plain_and_no_pattern_hits_its_value() -> None:
    assert recorded("region=north/a.parquet") == "region=north/a.parquet"
    assert recorded("region=ann%40example.com/a.parquet").startswith("region=#")
    assert recorded("user=7/a.parquet").startswith("user=#")


def test_a_name_that_an_earlier_version_recorded_has_the_form_of_today() -> None:
    for name in (
        "2026-11-24/ann@example.com.ndjson",
        "user=7/a.parquet",
        "2026-11-24/a.ndjson",
        "2026-11-24/B-007.ndjson.gz",
        "ann/B-007/ben",
    ):
        assert recorded.mask_recorded(name) == recorded(name)
        assert recorded.mask_recorded(recorded(name)) == recorded(name)


def test_a_name_below_a_folder_that_an_earlier_version_hashed_is_recorded_as_today() -> None:
    folder = recorded("ann@example.com/x").partition("/")[0]
    assert recorded.mask_recorded(f"{folder}/B-007.ndjson") == recorded("ann@example.com/B-007.ndjson")


@pytest.fixture
def masked_project(tmp_path: Path) -> Project:
    one = new_project(tmp_path)
    one.policy({"storage": {"type": "integer", "do": "drop"}})
    one.pipeline(aggregates=None)
    one.records([event(number) for number in range(30)], name="ann@example.com")
    one.records([event(number, storage="x") for number in range(30, 35)], name="bob@example.com")
    return one


def test_receipts_and_quarantine_name_the_pattern_and_not_the_file(masked_project: Project) -> None:
    receipt = masked_project.run()
    assert all(each.path.startswith(f"{DAY}/[email]#") for each in receipt.inputs)
    assert len({each.path for each in receipt.inputs}) == 2
    written = [path.read_bytes() for path in masked_project.out.rglob("*") if path.is_file()]
    assert not any(b"ann@example" in each or b"bob@example" in each for each in written)


def test_pending_knows_the_files_again_by_the_hash(masked_project: Project) -> None:
    masked_project.run()
    assert masked_project.run(pending=True, at=LATER).sequence == 0


def test_replay_finds_the_quarantined_records_by_the_hash(masked_project: Project) -> None:
    assert masked_project.run().rows.quarantined == 5
    masked_project.policy({"storage": {"type": "string", "do": "drop"}})
    (found,) = recheck_quarantine(masked_project.out, at=LATER, keys=masked_project.keys)
    assert found.rows == 5


def test_a_receipt_of_an_earlier_version_with_the_names_on_disk_is_recognized(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.records([*events(30), "broken"], name="B-007")
    with monkeypatch.context() as earlier:
        earlier.setattr("minimize.runs.inputs._identifies_nobody", lambda stem: True)
        assert [each.path for each in project.run().inputs] == [f"{DAY}/B-007.ndjson.gz"]
    assert project.run(pending=True, at=LATER).sequence == 0
    (found,) = recheck_quarantine(project.out, at=LATER, keys=project.keys)
    assert found.rows == 0
    minimize.verify(project.out, keys=project.keys)
