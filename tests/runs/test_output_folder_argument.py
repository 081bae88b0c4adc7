"""A folder that is named for a pipeline or a policy, and is an output."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.errors import PolicyError
from minimize.interop.convert import export_document
from minimize.interop.documents import ExportRequest
from minimize.policy.load import load_pipeline, load_policy
from minimize.review.explain import explain
from tests.project import Project, events

HINT = "Pass the pipeline that made it, not its output."


@pytest.fixture(name="out")
def _out(project: Project) -> Path:
    project.records(events(9))
    project.run()
    return project.out


def fault(caught: pytest.ExceptionInfo[PolicyError]) -> tuple[str, str, str]:
    (found,) = caught.value.findings
    return found.code, found.message, found.hint


def test_an_output_given_as_a_pipeline_or_policy_is_named_in_the_error(out: Path) -> None:
    for asks in (load_pipeline, load_policy, lambda path: explain(path, "battery")):
        with pytest.raises(PolicyError) as caught:
            asks(out)
        assert fault(caught) == ("P001", "this is an output of the pipeline checkins", HINT)


@pytest.mark.parametrize("kind", ["odcs", "jsonschema", "fideslang"])
def test_an_export_of_a_pipeline_is_not_of_its_output(out: Path, kind: str) -> None:
    with pytest.raises(PolicyError) as caught:
        export_document(kind, ExportRequest(str(out)))
    assert fault(caught) == ("P001", "this is an output of the pipeline checkins", HINT)


def test_an_output_whose_receipts_cannot_be_read_is_one_all_the_same(out: Path) -> None:
    for file in out.glob("runs/*/receipt.json"):
        file.write_text("no receipt")
    with pytest.raises(PolicyError) as caught:
        load_pipeline(out)
    assert fault(caught) == ("P001", "this is an output", HINT)


@pytest.mark.parametrize("name", ["", "runs"])
def test_any_other_folder_has_no_such_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "x" / name).mkdir(parents=True)
    with pytest.raises(PolicyError) as caught:
        load_pipeline(tmp_path / "x")
    assert fault(caught) == ("P001", "the file does not exist", "")
