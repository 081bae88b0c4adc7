"""What can be said of a pipeline before it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import minimize
from minimize.drafting.first import init
from minimize.errors import ConfigurationError, KeyringError, PolicyError, SchemaError, SourceError
from minimize.inspection import effective, lint, plan_for, preview_rows
from minimize.plan import bind
from tests.project import AT, BEFORE, DAY, Project, event, events, new_project, table

WHEN = "2026-11-25T00:00:00Z"


@pytest.fixture(name="house")
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A house without neighbours: lint reads the policies beside a pipeline, and beside `tmp_path` lie those of all tests."""
    monkeypatch.delenv("MINIMIZE_KEYS", raising=False)
    folder = tmp_path / "house"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return new_project(folder)


def codes(house: Project) -> list[str]:
    return [finding.code for finding in lint(house.folder)]


def test_a_plan_without_data_is_bound_to_the_declared_types(house: Project) -> None:
    plan = plan_for(house.folder)
    assert plan.source.field("storage").type == pa.int64()
    assert list(plan.outputs) == ["records", "per_model"]


def test_a_plan_over_data_is_bound_to_the_datas_types(house: Project) -> None:
    house.source("parquet")
    data = table(events(3))
    house.columns(data.set_column(data.schema.get_field_index("storage"), "storage", data["storage"].cast("int16")))
    assert plan_for(house.folder).outputs["records"].schema.field("storage").type == pa.int16()


def test_a_plan_over_data_that_does_not_fit_says_so(house: Project) -> None:
    house.source("parquet")
    house.columns(table(events(3)).drop_columns(["storage"]))
    with pytest.raises(SchemaError, match="storage"):
        plan_for(house.folder)


def test_a_plan_is_the_same_for_the_same_files(house: Project) -> None:
    assert plan_for(house.folder).digest == plan_for(house.folder / "pipeline.yaml").digest


def test_another_purpose_is_another_plan(house: Project) -> None:
    before = plan_for(house.folder).digest
    house.pipeline(purpose="customer_support")
    assert plan_for(house.folder).digest != before


def test_a_preview_is_the_head_of_the_run(house: Project) -> None:
    house.records(events(40))
    rows = preview_rows(plan_for(house.folder), 7, at=AT, keys=house.keys)
    house.run()
    ran = minimize.read(house.out).drop_columns(["date"]).slice(0, 7)
    assert rows.to_pylist() == ran.to_pylist()


def test_a_preview_reads_on_in_the_next_date(house: Project) -> None:
    house.records(events(2))
    house.records(events(2), day=BEFORE)
    assert preview_rows(plan_for(house.folder), 3, at=AT, keys=house.keys).num_rows == 3


def test_a_preview_of_nothing_is_empty(house: Project) -> None:
    rows = preview_rows(plan_for(house.folder), 3, at=AT, keys=house.keys)
    assert rows.num_rows == 0
    assert "device_id" in rows.column_names


def test_a_preview_with_a_pseudonym_needs_its_key(house: Project) -> None:
    house.records(events(2))
    with pytest.raises(KeyringError, match="device"):
        preview_rows(plan_for(house.folder), 3, at=AT)


def test_a_plan_without_a_pipeline_has_no_preview_and_no_settings(house: Project) -> None:
    job = minimize.load_pipeline(house.folder)
    plan = bind(job.policy, plan_for(house.folder).source, purpose=None)
    with pytest.raises(ConfigurationError, match="no pipeline"):
        preview_rows(plan, 3)
    with pytest.raises(ConfigurationError, match="no pipeline"):
        effective(plan, "north")


def test_the_effective_plan_drops_what_is_off_and_says_why(house: Project) -> None:
    plan = plan_for(house.folder)
    south = effective(plan, "south", at=WHEN).fields["latitude"]
    assert (south.action, south.technique, south.leaves) == ("drop", ("drop",), None)
    assert south.why == "feature location is off for this tenant at 2026-11-25T00:00:00Z"
    assert effective(plan, "north", at=WHEN).fields["latitude"].action != "drop"


def test_the_effective_plan_knows_levels(house: Project) -> None:
    house.policy({"battery": {"type": "double", "level": "full", "do": "keep"}}, levels=["required", "basic", "full"])
    house.pipeline(aggregates=None)
    row = "north,,level,{},admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
    head = (house.folder / "settings.csv").read_text()
    for said, expected in (("basic", "drop"), ("full", "gate")):
        (house.folder / "settings.csv").write_text(head + row.format(said))
        assert effective(plan_for(house.folder), "north", at=WHEN).fields["battery"].action == expected


def test_an_off_by_anybody_shows_in_the_effective_plan(house: Project) -> None:
    row = "north,,location,off,developer,2026-02-01T00:00:00Z,2026-02-01T00:00:00Z\n"
    (house.folder / "settings.csv").write_text((house.folder / "settings.csv").read_text() + row)
    assert effective(plan_for(house.folder), "north", at=WHEN).fields["latitude"].action == "drop"


def test_lint_tells_what_the_plan_would_refuse(house: Project) -> None:
    house.policy({"device_id": {"type": "string", "role": "identifier", "do": "keep"}})
    assert "error" in {finding.severity for finding in lint(house.folder)}


def test_lint_tells_a_technique_that_does_not_fit_its_type(house: Project) -> None:
    house.policy({"storage": {"type": "integer", "do": {"truncate_ip": {"v4": 24}}}})
    (fault,) = [finding for finding in lint(house.folder) if finding.severity == "error"]
    assert fault.field == "storage"
    assert fault.line is not None


def test_lint_needs_neither_settings_nor_data(house: Project) -> None:
    (house.folder / "settings.csv").unlink()
    assert "error" not in {finding.severity for finding in lint(house.folder)}


def test_lint_sees_a_setting_that_nobody_asks_for(house: Project) -> None:
    row = "north,,telemetry,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
    (house.folder / "settings.csv").write_text((house.folder / "settings.csv").read_text() + row)
    assert "L035" in codes(house)


def test_lint_sees_a_path_that_the_source_does_not_have(house: Project) -> None:
    house.policy({"colour": {"type": "string", "do": "keep"}})
    house.records(events(3))
    assert "L020" in codes(house)


def test_a_partition_of_the_source_is_a_column_to_lint(house: Project) -> None:
    house.pipeline(source={"path": "data/{date}/**/*.parquet", "format": "parquet"})
    house.columns(table(events(3)).drop_columns(["model"]), name="model=A/a")
    assert not {"L020", "L021"} & set(codes(house))


def test_lint_does_not_look_at_files_whose_format_nothing_tells(house: Project) -> None:
    house.pipeline(source={"path": "data/{date}/*.log", "format": "ndjson"})
    path = house.folder / "data" / DAY / "a.log"
    path.parent.mkdir(parents=True)
    path.write_text("{}\n")
    assert not {"L020", "L021"} & set(codes(house))


def test_lint_raises_only_where_a_file_cannot_be_read(house: Project) -> None:
    (house.folder / "policy.yaml").write_text("policy: [")
    assert codes(house) == ["P001"]
    (house.folder / "policy.yaml").unlink()
    with pytest.raises(PolicyError):
        lint(house.folder)


def test_a_first_policy_of_a_folder_reads_its_files_by_date(house: Project) -> None:
    house.records(events(3))
    (house.folder / "data" / "settings.csv").write_text("tenant_id\nnorth\n")
    init("data", "first")
    job = minimize.load_pipeline("first")
    assert job.source.path == f"{house.folder}/data/{{date}}/**/*.ndjson.gz"
    assert job.source.format == "ndjson"
    assert "latitude" in job.policy.fields


def test_a_first_policy_of_hive_dates_reads_them_too(house: Project) -> None:
    house.source("parquet")
    house.columns(table(events(3)), day=f"region=eu/date={DAY}/part=1")
    init("data", "first")
    assert minimize.load_pipeline("first").source.path == f"{house.folder}/data/*/date={{date}}/**/*.parquet"


def test_a_first_policy_of_a_folder_without_dates_reads_all_of_it(house: Project) -> None:
    house.records([event(1)], day="inner")
    init("data", "first")
    assert minimize.load_pipeline("first").source.path == f"{house.folder}/data/**/*.ndjson.gz"


@pytest.mark.parametrize("name", ['it\'s "quoted"', "a: b", "ünï"])
def test_a_first_policy_of_a_strangely_named_file_loads(house: Project, name: str) -> None:
    path = house.folder / f"{name}.ndjson"
    path.write_text('{"a": 1}\n')
    init(path, house.folder / name)
    assert minimize.load_pipeline(house.folder / name).source.path == str(path)


def test_a_first_policy_of_nothing_is_no_policy(house: Project) -> None:
    (house.folder / "empty").mkdir()
    with pytest.raises(SourceError):
        init("empty", "first")
    assert not (house.folder / "first").exists()


def test_a_policy_of_every_finding_is_given_once(house: Project) -> None:
    house.policy({"note": {"type": "string", "role": "free_text", "do": "keep"}})
    found: list[Any] = lint(house.folder)
    assert len(found) == len(set(found))


def test_values_that_identify_under_a_plain_name_are_reported_by_lint_and_init(tmp_path: Path) -> None:
    rows = [{"tag": f"5e9d8f9e-fd59-4b29-aee5-5c6f46{number:06x}", "theme": "dark"} for number in range(200)]
    (tmp_path / "data.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    policy, _ = init(tmp_path / "data.ndjson", tmp_path / "p")
    text = policy.read_text()
    assert (
        "proposed: {role: identifier, do: drop}\n  # because: it points at one record; all values look like UUIDs"
        in text
    )
    policy.write_text(text.replace("{type: string, do: drop}", "{type: string, do: keep}"))
    assert [(each.code, each.field) for each in lint(tmp_path / "p") if each.code == "L008"] == [("L008", "tag")]
