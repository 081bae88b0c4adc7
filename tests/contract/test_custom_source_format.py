"""A source format that the package does not know: one object and one row in the table, and every command reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.arrow.pointers import Pointer
from minimize.arrow.types import arrow_type, parse_texts
from minimize.datasets.lifecycle_events import load_events
from minimize.errors import PolicyError
from minimize.interop.convert import file_schema
from minimize.policy.load import load_pipeline
from minimize.records import Chunk
from minimize.sources import FORMATS, FileRows, SourceFormat, declared_schema
from minimize.sources.base import SourcePart, SourceRequest
from minimize.sources.files import FileBackedPart, FilePart, FileSource, open_stream
from minimize.sources.record_checks import FaultMask
from minimize.sources.schema_check import BoundRequest, bind_request
from tests.commands import command
from tests.project import AT, DAY, FIELDS, Project, event, events


@dataclass(frozen=True, slots=True)
class TabPart(FileBackedPart):
    """A file of cells between tabs, bound to a request."""

    bound: BoundRequest

    def pieces(self) -> Sequence[SourcePart]:
        """The part itself."""
        return (self,)

    def read(self) -> Iterator[Chunk]:
        """All records as one chunk."""
        names, *rows = read_lines(self.file)
        words = {field.pointer.top: field.type for field in self.bound.request.fields}
        columns: dict[str, pa.Array] = {}
        faults: list[FaultMask] = []
        for number, name in enumerate(names):
            texts = pa.array([row[number] or None for row in rows], pa.string())
            columns[name], bad = parse_texts(texts, words.get(name, "string"))
            faults += [FaultMask("wrong_type", str(Pointer((name,))), bad)] if bad.any() else []
        yield self.bound.chunk(pa.record_batch(columns), np.arange(len(rows)), faults)


def read_lines(part: FilePart) -> list[list[str]]:
    with open_stream(part) as stream:
        content = b"".join(iter(lambda: stream.read(1 << 20), b""))
    return [line.split("\t") for line in content.decode().splitlines()]


def read_schema(part: FilePart) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in read_lines(part)[0]])


def read_rows(path: Path) -> FileRows:
    names, *rows = [line.split("\t") for line in path.read_text().splitlines()]
    return names, [(number, dict(zip(names, row, strict=True))) for number, row in enumerate(rows, 2)]


def bind(parts: Sequence[FilePart], request: SourceRequest) -> FileSource:
    schema = declared_schema(request)
    words = {field.pointer.top: field.type for field in request.fields}
    typed = [
        pa.schema([(name, arrow_type(words.get(name, "string"))) for name in read_lines(part)[0]]) for part in parts
    ]
    bound = [
        replace(bind_request(each, request, part.name), schema=schema) for each, part in zip(typed, parts, strict=True)
    ]
    return FileSource(schema, [TabPart(part, each) for part, each in zip(parts, bound, strict=True)])


TABS = SourceFormat(
    suffixes=(".tab",),
    bind=bind,
    read_rows=read_rows,
    read_schema=read_schema,
    has_types=False,
    text_types=("integer", "double", "date", "timestamp"),
)


@pytest.fixture(autouse=True)
def _table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "tabs", TABS)


def write_tabs(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    names = list(rows[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    path.write_text("".join("\t".join(line) + "\n" for line in lines))
    return path


@pytest.fixture
def tabbed(project: Project) -> Project:
    project.policy()
    project.pipeline(source={"path": "data/{date}/*.tab", "format": "tabs"})
    write_tabs(project.folder / "data" / DAY / "a.tab", events(60))
    return project


def test_a_pipeline_names_it_and_an_unknown_one_is_a_fault_with_a_hint(tabbed: Project) -> None:
    assert load_pipeline(tabbed.folder).source.format == "tabs"
    tabbed.pipeline(source={"path": "data/{date}/*.tab", "format": "tab"})
    with pytest.raises(PolicyError) as caught:
        load_pipeline(tabbed.folder)
    (finding,) = caught.value.findings
    assert (finding.code, finding.hint) == ("P007", "Did you mean `tabs`?")


def test_editors_accept_it(tabbed: Project) -> None:
    body = json.loads((tabbed.folder / "pipeline.yaml").read_text())
    jsonschema.validate(body, file_schema("pipeline"))


def test_it_is_planned_linted_run_and_verified(tabbed: Project) -> None:
    assert [finding for finding in minimize.lint(tabbed.folder) if finding.severity == "error"] == []
    assert minimize.make_plan(tabbed.folder).outputs["records"].category == "pseudonymized"
    receipt = tabbed.run()
    assert (receipt.rows.read, receipt.rows.quarantined) == (60, 0)
    minimize.verify(tabbed.out, keys=tabbed.keys)


def test_it_gives_what_the_same_records_give_in_another_format(tabbed: Project) -> None:
    tabbed.run()
    found = pq.read_table(tabbed.out / "records").drop_columns(["date"])
    tabbed.pipeline()
    tabbed.records(events(60))
    tabbed.run(output=tabbed.folder / "lines")
    assert pq.read_table(tabbed.folder / "lines" / "records").drop_columns(["date"]).equals(found)


def test_an_unreadable_row_is_quarantined_by_its_number_and_replayed(tabbed: Project) -> None:
    write_tabs(tabbed.folder / "data" / DAY / "a.tab", [event(0), event(1, storage="x"), event(2)])
    tabbed.pipeline(
        source={"path": "data/{date}/*.tab", "format": "tabs"}, aggregates=None, quarantine={"fail_above": 1}
    )
    assert tabbed.run().rows.quarantined == 1
    (row,) = pq.read_table(tabbed.out / "quarantine").to_pylist()
    assert (row["position"], row["unit"], row["code"], row["field"]) == (1, "row", "wrong_type", "/storage")
    tabbed.policy({"storage": {"type": "string", "do": "drop"}})
    said = command(
        "replay", tabbed.out, "--pipeline", tabbed.folder, "--at", AT.isoformat(), "--keys", tabbed.keys, "--json"
    )
    assert [receipt["rows"]["written"] for receipt in said.json["receipts"]] == [3]


def test_drift_finds_its_columns_and_that_it_has_no_types(tabbed: Project) -> None:
    rows = [{**event(number), "theme": "dark"} for number in range(20)]
    write_tabs(
        tabbed.folder / "data" / DAY / "a.tab", [{k: v for k, v in row.items() if k != "latitude"} for row in rows]
    )
    said = command("drift", tabbed.folder, "--json", "--keys", tabbed.keys).json["drift"]
    assert [(each["kind"], each["field"]) for each in said] == [("gone", "/latitude"), ("new", "/theme")]
    assert "is" not in said[1]


def test_a_record_of_it_is_explained(tabbed: Project) -> None:
    file = tabbed.folder / "data" / DAY / "a.tab"
    said = command("explain", tabbed.folder, "battery", "--record", f"{file}:3", "--at", "2026-11-25T00:00:00Z")
    assert (said.code, said.err) == (0, "")


def test_an_output_of_it_is_reported(tabbed: Project) -> None:
    tabbed.run()
    said = command(
        "report", tabbed.out, "--at", AT.isoformat(), "--keys", tabbed.keys, "--html", tabbed.folder / "report.html"
    )
    assert (said.code, said.err) == (0, "")


def test_a_policy_is_drafted_from_it_with_types_that_its_texts_can_be_read_as(tmp_path: Path) -> None:
    write_tabs(tmp_path / "data" / DAY / "a.tab", events(200))
    assert command("init", tmp_path / "data", tmp_path / "first").code == 0
    assert command("policy", "accept", tmp_path / "first", "all").code == 0
    job = load_pipeline(tmp_path / "first")
    assert (job.source.format, job.source.path.endswith("{date}/**/*.tab")) == ("tabs", True)
    assert {key: each.type for key, each in job.policy.fields.items()} == {key: FIELDS[key]["type"] for key in FIELDS}


def test_events_can_be_read_from_it(tmp_path: Path) -> None:
    row = {"tenant_id": "north", "subject": "d1", "event": "subject_left", "at": "2026-11-24T00:00:00Z"}
    assert [each.kind for each in load_events(write_tabs(tmp_path / "events.tab", [row]))] == ["subject_left"]
