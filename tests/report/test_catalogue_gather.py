""""""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.errors import ConfigurationError, PolicyError
from minimize.report.catalogue import pipelines_in, recipients_of, stated_processing, subprocessors_of
from tests.cli.conftest import _project
from tests.project import AT, Project, events

__all__ = ["_project"]

DAY = AT.date()
PIPELINES = Path(__file__).parents[2] / "pipelines"


def test_a_file_its_folder_and_the_folder_above_name_the_same_pipeline_once() -> None:
    one = PIPELINES / "usage_events"
    known = pipelines_in([str(one), str(one / "pipeline.yaml"), str(one)], DAY)
    assert [each.pipeline.pipeline for each in known] == ["usage_events"]
    every = [each.pipeline.pipeline for each in pipelines_in([str(PIPELINES)], DAY)]
    assert every == sorted(path.parent.name for path in PIPELINES.glob("*/pipeline.yaml"))


def test_no_data_is_needed(project: Project) -> None:
    assert pipelines_in([str(project.folder)], DAY)[0].plan.outputs


def test_receipts_of_the_output_go_along(project: Project) -> None:
    project.records(events(20))
    project.run(at=AT)
    assert [each.kind for each in pipelines_in([str(project.folder)], DAY)[0].receipts] == ["run"]


def test_where_no_pipeline_stands_or_it_has_faults_that_is_said(project: Project, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="no pipeline"):
        pipelines_in([str(tmp_path / "empty")], DAY)
    (project.folder / "policy.yaml").write_text("policy: [")
    with pytest.raises(PolicyError):
        pipelines_in([str(project.folder)], DAY)


def test_recipients_are_those_of_the_project_and_none_where_it_has_none(project: Project) -> None:
    found = recipients_of(pipelines_in([str(PIPELINES / "usage_events")], DAY))
    assert [each.recipient for each in found] == [
        "apple",
        "configmgr",
        "google",
        "jamf",
        "support_desk",
        "threat_defense",
    ]
    (project.folder / "minimize.yaml").write_text("recipients: nowhere\n")
    known = pipelines_in([str(project.folder)], DAY)
    assert (recipients_of(known), subprocessors_of(known)) == ((), ())


def test_subprocessors_are_those_of_the_list_next_to_the_recipients() -> None:
    known = pipelines_in([str(PIPELINES / "usage_events"), str(PIPELINES / "device_telemetry")], DAY)
    assert [each.name for each in subprocessors_of(known)] == ["Example Support Desk"]


def test_what_the_project_states_is_in_the_order_of_the_law(project: Project) -> None:
    known = pipelines_in([str(project.folder)], DAY)
    (project.folder / "minimize.yaml").write_text("processing: {transfers: none, controller: Contoso}\n")
    assert list(stated_processing(known).items()) == [("controller", "Contoso"), ("transfers", "none")]


@pytest.mark.parametrize("said", ["Contoso", "[Contoso]", "{controller: [Contoso]}", "{nonsense: Contoso}"])
def test_what_cannot_be_read_of_it_is_a_fault(project: Project, said: str) -> None:
    known = pipelines_in([str(project.folder)], DAY)
    (project.folder / "minimize.yaml").write_text(f"processing: {said}\n")
    with pytest.raises(PolicyError, match="processing"):
        stated_processing(known)
