"""What can be said of a pipeline before it runs."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import minimize
from minimize.drafting import init_pipeline
from minimize.errors import ConfigurationError, KeyringError, PolicyError, SchemaError, SourceError
from minimize.governance.events import NewEvent, add_event
from minimize.plan import bind
from minimize.runs.inspection import effective_plan, lint, plan_for
from minimize.workspace import Workspace as Places
from tests.calls import preview_rows
from tests.project import AT, BEFORE, DAY, Project, event, events, new_project, table

WHEN = "2026-11-25T00:00:00Z"


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project in a folder of its own: lint also reads the policies next to it, and `tmp_path` is next to those of all tests."""
    monkeypatch.delenv("MINIMIZE_KEYS", raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return new_project(folder)


def codes(project: Project) -> list[str]:
    return [finding.code for finding in lint(project.folder)]


def test_a_plan_without_data_is_bound_to_the_declared_types(project: Project) -> None:
    plan = plan_for(project.folder)
    assert plan.source.field("storage").type == pa.int64()
    assert list(plan.outputs) == ["records", "per_model"]


def test_a_plan_over_data_is_bound_to_the_datas_types(project: Project) -> None:
    project.source("parquet")
    data = table(events(3))
    project.columns(data.set_column(data.schema.get_field_index("storage"), "storage", data["storage"].cast("int16")))
    assert plan_for(project.folder).outputs["records"].schema.field("storage").type == pa.int16()


def test_a_plan_over_data_that_does_not_fit_is_refused(project: Project) -> None:
    project.source("parquet")
    project.columns(table(events(3)).drop_columns(["storage"]))
    with pytest.raises(SchemaError, match="storage"):
        plan_for(project.folder)


def test_a_plan_is_the_same_for_the_same_files(project: Project) -> None:
    assert plan_for(project.folder).digest == plan_for(project.folder / "pipeline.yaml").digest


def test_another_purpose_is_another_plan(project: Project) -> None:
    before = plan_for(project.folder).digest
    project.pipeline(purpose="customer_support")
    assert plan_for(project.folder).digest != before


def test_a_preview_is_the_head_of_the_run(project: Project) -> None:
    project.records(events(40))
    rows = preview_rows(plan_for(project.folder), 7, at=AT, keys=project.keys)
    project.run()
    ran = minimize.read(project.out).drop_columns(["date"]).slice(0, 7)
    assert rows.to_pylist() == ran.to_pylist()


def test_a_preview_shows_no_erased_subject(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIMIZE_LEDGER", raising=False)
    project.records([event(number, tenant_id="north", device_id=f"d{number % 2}") for number in range(6)])
    project.run()
    soon = AT - timedelta(minutes=1)
    add_event(NewEvent("north", "erasure", "d1", soon), Places(project.out / "ledger.db", keys=project.keys), soon)
    assert preview_rows(plan_for(project.folder), 6, at=AT, keys=project.keys).num_rows == 3


def test_a_preview_reads_on_in_the_next_date(project: Project) -> None:
    project.records(events(2))
    project.records(events(2), day=BEFORE)
    assert preview_rows(plan_for(project.folder), 3, at=AT, keys=project.keys).num_rows == 3


def test_a_preview_of_nothing_is_empty(project: Project) -> None:
    rows = preview_rows(plan_for(project.folder), 3, at=AT, keys=project.keys)
    assert rows.num_rows == 0
    assert "device_id" in rows.column_names


def test_a_preview_with_a_pseudonym_needs_its_key(project: Project) -> None:
    project.records(events(2))
    with pytest.raises(KeyringError, match="device"):
        preview_rows(plan_for(project.folder), 3, at=AT)


def test_a_plan_without_a_pipeline_has_no_preview_and_no_settings(project: Project) -> None:
    job = minimize.load_pipeline(project.folder)
    plan = bind(job.policy, plan_for(project.folder).source, purpose=None)
    with pytest.raises(ConfigurationError, match="no pipeline"):
        preview_rows(plan, 3)
    with pytest.raises(ConfigurationError, match="no pipeline"):
        effective_plan(plan, "north")


def test_the_effective_plan_drops_a_switched_off_field_with_the_reason(project: Project) -> None:
    plan = plan_for(project.folder)
    south = effective_plan(plan, "south", at=WHEN).fields["latitude"]
    assert (south.action, south.technique, south.residual) == ("drop", ("drop",), None)
    assert south.why == "feature location is off for this tenant at 2026-11-25T00:00:00Z"
    assert effective_plan(plan, "north", at=WHEN).fields["latitude"].action != "drop"


def test_the_effective_plan_knows_levels(project: Project) -> None:
    project.policy({"battery": {"type": "double", "level": "full", "do": "keep"}}, levels=["required", "basic", "full"])
    project.pipeline(aggregates=None)
    row = "north,,level,{},admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
    head = (project.folder / "settings.csv").read_text()
    for said, expected in (("basic", "drop"), ("full", "gate")):
        (project.folder / "settings.csv").write_text(head + row.format(said))
        assert effective_plan(plan_for(project.folder), "north", at=WHEN).fields["battery"].action == expected


def test_an_opt_out_of_any_holder_is_in_the_effective_plan(project: Project) -> None:
    row = "north,,location,off,developer,2026-02-01T00:00:00Z,2026-02-01T00:00:00Z\n"
    (project.folder / "settings.csv").write_text((project.folder / "settings.csv").read_text() + row)
    assert effective_plan(plan_for(project.folder), "north", at=WHEN).fields["latitude"].action == "drop"


def test_lint_reports_what_the_plan_would_refuse(project: Project) -> None:
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "keep"}})
    assert "error" in {finding.severity for finding in lint(project.folder)}


def test_lint_reports_a_technique_that_does_not_fit_the_type(project: Project) -> None:
    project.policy({"storage": {"type": "integer", "do": {"truncate_ip": {"v4": 24}}}})
    (fault,) = [finding for finding in lint(project.folder) if finding.severity == "error"]
    assert fault.field == "storage"
    assert fault.line is not None


def test_lint_needs_neither_settings_nor_data(project: Project) -> None:
    (project.folder / "settings.csv").unlink()
    assert "error" not in {finding.severity for finding in lint(project.folder)}


def test_lint_reports_a_setting_that_no_field_uses(project: Project) -> None:
    row = "north,,telemetry,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
    (project.folder / "settings.csv").write_text((project.folder / "settings.csv").read_text() + row)
    assert "L035" in codes(project)


def test_lint_sees_a_path_that_the_source_does_not_have(project: Project) -> None:
    project.policy({"colour": {"type": "string", "do": "keep"}})
    project.records(events(3))
    assert "L020" in codes(project)


def test_a_partition_of_the_source_is_a_column_to_lint(project: Project) -> None:
    project.pipeline(source={"path": "data/{date}/**/*.parquet", "format": "parquet"})
    project.columns(table(events(3)).drop_columns(["model"]), name="model=A/a")
    assert not {"L020", "L021"} & set(codes(project))


def test_lint_does_not_read_files_of_an_unknown_suffix(project: Project) -> None:
    project.pipeline(source={"path": "data/{date}/*.log", "format": "ndjson"})
    path = project.folder / "data" / DAY / "a.log"
    path.parent.mkdir(parents=True)
    path.write_text("{}\n")
    assert not {"L020", "L021"} & set(codes(project))


def test_lint_raises_only_where_a_file_cannot_be_read(project: Project) -> None:
    (project.folder / "policy.yaml").write_text("policy: [")
    assert codes(project) == ["P001"]
    (project.folder / "policy.yaml").unlink()
    with pytest.raises(PolicyError):
        lint(project.folder)


def test_a_first_policy_of_a_folder_reads_its_files_by_date(project: Project) -> None:
    project.records(events(3))
    (project.folder / "data" / "settings.csv").write_text("tenant_id\nnorth\n")
    init_pipeline("data", "first")
    job = minimize.load_pipeline("first")
    assert job.source.path == f"{project.folder}/data/{{date}}/**/*.ndjson.gz"
    assert job.source.format == "ndjson"
    assert "latitude" in job.policy.fields


def test_a_first_policy_of_hive_dates_reads_them_too(project: Project) -> None:
    project.source("parquet")
    project.columns(table(events(3)), day=f"region=eu/date={DAY}/part=1")
    init_pipeline("data", "first")
    assert minimize.load_pipeline("first").source.path == f"{project.folder}/data/*/date={{date}}/**/*.parquet"


def test_a_first_policy_of_a_folder_without_dates_reads_all_of_it(project: Project) -> None:
    project.records([event(1)], day="inner")
    init_pipeline("data", "first")
    assert minimize.load_pipeline("first").source.path == f"{project.folder}/data/**/*.ndjson.gz"


@pytest.mark.parametrize("name", ['it\'s "quoted"', "a: b", "ünï"])
def test_a_first_policy_of_a_strangely_named_file_loads(project: Project, name: str) -> None:
    path = project.folder / f"{name}.ndjson"
    path.write_text('{"a": 1}\n')
    init_pipeline(path, project.folder / name)
    assert minimize.load_pipeline(project.folder / name).source.path == str(path)


def test_a_first_policy_of_nothing_is_no_policy(project: Project) -> None:
    (project.folder / "empty").mkdir()
    with pytest.raises(SourceError):
        init_pipeline("empty", "first")
    assert not (project.folder / "first").exists()


def test_a_policy_of_every_finding_is_given_once(project: Project) -> None:
    project.policy({"note": {"type": "string", "role": "free_text", "do": "keep"}})
    found: list[Any] = lint(project.folder)
    assert len(found) == len(set(found))


def test_values_that_identify_under_a_plain_name_are_reported_by_lint_and_init(tmp_path: Path) -> None:
    rows = [{"tag": f"5e9d8f9e-fd59-4b29-aee5-5c6f46{number:06x}", "theme": "dark"} for number in range(200)]
    (tmp_path / "data.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    policy, _ = init_pipeline(tmp_path / "data.ndjson", tmp_path / "p")
    text = policy.read_text()
    assert (
        "proposed: {role: identifier, do: drop}\n  # because: it identifies one record; all values look like UUIDs"
        in text
    )
    policy.write_text(text.replace("{type: string, do: drop}", "{type: string, do: keep}"))
    assert [(each.code, each.field) for each in lint(tmp_path / "p") if each.code == "L008"] == [("L008", "tag")]


def test_e_mail_addresses_below_the_level_full_are_reported_by_their_values(project: Project) -> None:
    project.policy({"reply_to": {"type": "string", "role": "quasi", "do": "keep"}}, levels=["required", "full"])
    project.records([event(number, reply_to=f"ann{number}@mail.example") for number in range(30)])
    assert [(each.code, each.field) for each in lint(project.folder) if each.code == "L009"] == [("L009", "reply_to")]
