from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.catalog.markdown import catalogue_page, record_page, shown
from minimize.catalog.model import Activity, Dataset, FieldEntry, OutputEntry, Ran, RecipientEntry, Record
from minimize.recipients import Subprocessor

HOSTILE = "a|b\n# head\r\n<script>alert(1)</script> [x](javascript:y) `c` *d* _e_ \x1b[31m ~~f~~ \u2028 &lt;"


def dataset(text: str) -> Dataset:
    many = (text,)
    field = FieldEntry(text, text, text, text, text, text, text, text, many, text, text, many, many)
    output = OutputEntry(text, text, many, text, text)
    return Dataset(text, text, 1, text, text, text, text, many, many, (field,), (output,))


def whole(text: str) -> Record:
    ran = Ran(1, (text,), text, text, text, text, as_today=False)
    one = Activity(text, text, (text,), text, (text,), (text,), (text,), (text,), ran)
    third = RecipientEntry(text, text, text, (text,), (text,), text)
    agent = Subprocessor(name=text, from_=date(2026, 1, 1), about=text)
    return Record((("controller", text),), (one,), (third,), (agent,), (text,))


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
    found = shown(text)
    assert len(found.splitlines()) <= 1
    assert not re.search(r"(?<!\\)[|`*\[\]<>#]", found.replace("\\\\", ""))


def test_names_of_fields_stay_readable() -> None:
    assert shown("device_id") == "device_id"


def test_what_is_missing_stands_at_the_top_and_nothing_stands_there_otherwise() -> None:
    assert "## Not stated yet" in record_page(whole("x"))
    full = Record((), (), (), (), ())
    assert "Not stated" not in record_page(full)
