from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.recipients import Subprocessor
from minimize.report.catalogue import (
    ActivityEntry,
    DatasetEntry,
    FieldEntry,
    OutputEntry,
    ProcessingRecord,
    PublicationEntry,
    RecipientEntry,
)
from minimize.report.documentation import catalogue_page, escape_markdown, record_page

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
    for page, plain in (
        (catalogue_page((dataset(text),)), catalogue_page((dataset("x"),))),
        (record_page(whole(text)), record_page(whole("x"))),
    ):
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


def test_what_is_missing_stands_at_the_top_and_nothing_stands_there_otherwise() -> None:
    assert "## Not stated yet" in record_page(whole("x"))
    full = ProcessingRecord((), (), (), (), ())
    assert "Not stated" not in record_page(full)
