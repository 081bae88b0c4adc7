"""An exchange format that the package does not know: a reader, a writer and one row in the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.arrow.pointers import Pointer
from minimize.interop import FORMATS, ExchangeFormat, formats_table
from minimize.interop.documents import (
    DescribedColumn,
    DescribedDataset,
    ExportRequest,
    as_mapping,
    document_text,
    requested_plan,
)
from minimize.policy.fields import is_dropped
from minimize.policy.load import load_policy
from tests.commands import Result, command
from tests.project import Project, events

COLUMNS = {"tenant_id": "string", "event_time": "timestamp", "battery": "double"}


def read_columns(document: Any, choice: str | None = None) -> DescribedDataset:
    columns = as_mapping(document["columns"]).items()
    return DescribedDataset(
        choice or document["dataset"], tuple(DescribedColumn(Pointer((name,)), type_) for name, type_ in columns)
    )


def write_columns(request: ExportRequest) -> str:
    output = requested_plan(request).outputs[request.name or "records"]
    return document_text({"columns": {field.name: str(field.type) for field in output.schema}}, request.as_json)


@pytest.fixture(autouse=True)
def _table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The format `columns` in both directions, and one format for each direction alone."""
    reads, writes = f"{__name__}.read_columns", f"{__name__}.write_columns"
    rows = {
        "columns": ExchangeFormat("lists of columns", reads, writes, "the list of a dataset", "the list of an output"),
        "columns-in": ExchangeFormat("lists to import", reads=reads, imported="the list"),
        "columns-out": ExchangeFormat("lists to export", writes=writes, exported="the list"),
    }
    for name, row in rows.items():
        monkeypatch.setitem(FORMATS, name, row)


@pytest.fixture(name="document")
def _document(tmp_path: Path) -> Path:
    path = tmp_path / "columns.json"
    path.write_text(json.dumps({"dataset": "check_ins", "columns": COLUMNS}))
    return path


def printed_without_error(*arguments: object) -> Result:
    result = command(*arguments)
    assert (result.code, result.err) == (0, "")
    return result


def test_a_policy_is_imported_from_it_with_its_name_in_the_head(document: Path, tmp_path: Path) -> None:
    printed_without_error("import", "columns", document, tmp_path / "mine")
    policy = load_policy(tmp_path / "mine")
    assert {key: (field.type, is_dropped(field)) for key, field in policy.fields.items()} == {
        key: (type_, True) for key, type_ in COLUMNS.items()
    }
    assert "# Drafted from lists of columns." in (tmp_path / "mine" / "policy.yaml").read_text()


def test_an_imported_policy_is_accepted_linted_run_and_verified(project: Project, document: Path) -> None:
    data = project.records(events(20))
    printed_without_error("import", "columns", document, "mine", "--data", data)
    printed_without_error("policy", "accept", "mine", "tenant_id", "battery")
    assert [each for each in minimize.lint("mine", keys=project.keys) if each.severity == "error"] == []
    receipt = minimize.run("mine", keys=project.keys, output="checked")
    assert receipt.rows.written == 20
    minimize.verify("checked", keys=project.keys)


def test_a_pipeline_is_exported_in_it(project: Project) -> None:
    project.policy()
    project.pipeline()
    body = printed_without_error("export", "columns", project.folder, "--json").json
    assert body["columns"].keys() == set(minimize.make_plan(project.folder).outputs["records"].schema.names)
    said = printed_without_error("export", "columns", project.folder, "--to", "columns.yaml")
    assert said.out == "wrote columns.yaml\n"


@pytest.mark.parametrize(("verb", "other"), [("import", "columns-out"), ("export", "columns-in")])
def test_a_format_of_one_direction_is_refused_in_the_other(verb: str, other: str, document: Path) -> None:
    assert command(verb, other, document).code == 2


@pytest.mark.parametrize(("verb", "known"), [("import", "columns-in"), ("export", "columns-out")])
def test_the_help_names_it(verb: str, known: str) -> None:
    usage = "".join(printed_without_error(verb, "--help").out.split("Options:")[0].split())
    assert f"|columns|{known}}}" in usage


def test_the_reference_page_describes_it() -> None:
    assert "| `columns` | lists of columns | the list of a dataset | the list of an output |" in formats_table()
    assert "| `columns-in` | lists to import | the list | – |" in formats_table()
