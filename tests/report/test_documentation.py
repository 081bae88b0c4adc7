from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.pages import html_page, markdown_page
from minimize.recipients import Subprocessor
from minimize.report.catalogue import DatasetEntry, FieldEntry, OutputEntry, catalogue_document
from minimize.report.documentation import (
    ActivityEntry,
    ProcessingRecord,
    PublicationEntry,
    RecipientEntry,
    collect_documentation,
    record_document,
)
from minimize.report.written_documentation import write_documentation
from minimize.text import escape_markdown
from tests.cli.conftest import _command, _project
from tests.commands import Command
from tests.project import AT, Project, event, events

__all__ = ["_command", "_project"]

HOSTILE = "a|b\n# head\r\n<script>alert(1)</script> [x](javascript:y) `c` *d* _e_ \x1b[31m ~~f~~ \u2028 &lt;"


def dataset(text: str) -> DatasetEntry:
    many = (text,)
    field = FieldEntry(text, text, text, text, text, text, text, text, many, text, text, many, many)
    output = OutputEntry(text, text, many, text, text)
    return DatasetEntry(text, text, 1, text, text, text, text, many, many, (field,), (output,))


def whole(text: str) -> ProcessingRecord:
    ran = PublicationEntry(1, (text,), text, text, text, text, as_today=False)
    one = ActivityEntry(text, text, (text,), text, (text,), (text,), (text,), (text,), ran)
    third = RecipientEntry(text, text, text, (text,), (text,), text)
    agent = Subprocessor(name=text, from_=date(2026, 1, 1), about=text)
    return ProcessingRecord((("controller", text),), (one,), (third,), (agent,), (text,))


@pytest.mark.parametrize("text", [HOSTILE, "|", "\n", "\\|", "| a |\n|---|"])
def test_a_hostile_name_adds_no_cell_no_line_and_no_markup(text: str) -> None:
    for document, plain_document in (
        (catalogue_document((dataset(text),)), catalogue_document((dataset("x"),))),
        (record_document(whole(text)), record_document(whole("x"))),
    ):
        page, plain = markdown_page(document), markdown_page(plain_document)
        assert "<script>" not in html_page(document)
        assert len(page.splitlines()) == len(plain.splitlines())
        bars = [len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in page.splitlines()]
        assert bars == [line.count("|") for line in plain.splitlines()]
        assert "<script>" not in page
        assert not re.search(r"(?<!\\)\]\(", page)
        assert "\x1b" not in page


@given(st.text(max_size=40))
def test_shown_text_is_one_line_in_which_every_mark_is_escaped(text: str) -> None:
    found = escape_markdown(text)
    assert len(found.splitlines()) <= 1
    assert not re.search(r"(?<!\\)[|`*\[\]<>#]", found.replace("\\\\", ""))


def test_names_of_fields_stay_readable() -> None:
    assert escape_markdown("device_id") == "device_id"


def test_missing_statements_are_at_the_top_and_only_if_there_are_any() -> None:
    assert "## Missing statements" in markdown_page(record_document(whole("x")))
    full = ProcessingRecord((), (), (), (), ())
    assert "Not stated" not in markdown_page(record_document(full))


DAY = AT.date()
PIPELINES = str(Path(__file__).parents[2] / "pipelines")


def test_both_documents_are_written_as_markdown_html_and_json(tmp_path: Path) -> None:
    files = write_documentation([PIPELINES], tmp_path / "out", DAY).documents
    forms = ("md", "html", "json")
    assert [path.name for path in files] == [f"{name}.{form}" for name in ("catalogue", "processing") for form in forms]
    found = collect_documentation([PIPELINES], DAY)
    assert files[0].read_text() == markdown_page(catalogue_document(found.catalogue))
    assert json.loads(files[2].read_text()) == json.loads(json.dumps(found.to_json()["catalogue"]))
    assert json.loads(files[5].read_text())["activities"][0]["name"] == found.record.activities[0].name


def test_the_record_has_the_list_of_subprocessors(tmp_path: Path) -> None:
    files = write_documentation([PIPELINES], tmp_path / "out", DAY).documents
    (agent,) = json.loads(files[5].read_text())["subprocessors"]
    assert (agent["name"], agent["from"], agent["until"]) == ("Example Support Desk", "2026-01-01", None)
    assert f"| Example Support Desk | 2026-01-01 |  | {agent['about']} |" in files[3].read_text()


def test_documentation_is_identical_for_any_order_of_paths(tmp_path: Path) -> None:
    names = [f"{PIPELINES}/{name}" for name in ("usage_events", "device_telemetry")]
    first, second = (
        [path.read_bytes() for path in (*written.documents, *written.site)]
        for n, order in enumerate((names, names[::-1]))
        for written in [write_documentation(order, tmp_path / str(n), DAY)]
    )
    assert first == second


def test_no_value_of_a_record_is_in_them(project: Project, tmp_path: Path) -> None:
    project.records([*events(30), event(31, model="canary-4711", device_id="canary-0815")])
    project.run(at=AT)
    written = write_documentation([str(project.folder)], tmp_path / "out", DAY)
    texts = [path.read_text() for path in (*written.documents, *written.site)]
    assert not any("canary" in text for text in texts)


def test_the_command_writes_or_prints_them(project: Project, command: Command) -> None:
    said = command("docs", project.folder, "--to", "told")
    assert said.code == 0, said.err
    assert said.out.splitlines()[0] == "wrote told/catalogue.md"
    printed = command("docs", project.folder)
    assert printed.out.startswith("# Data catalogue")
    assert "# Record of processing activities" in printed.out
    assert set(command("docs", project.folder, "--json").json) == {"catalogue", "processing"}
    assert command("docs", project.folder / "data").code == 2
