"""A table has its words at once, and what they mean when it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from minimize.sources import FORMATS
from minimize.techniques import TECHNIQUES
from minimize.text import Registry


def test_a_word_that_is_not_there_is_not_looked_for() -> None:
    table: Registry[object] = Registry("json", {"here": "nowhere.Nothing"})
    assert (list(table), len(table), "here" in table, "there" in table) == (["here"], 1, True, False)
    assert table.get("there") is None
    with pytest.raises(KeyError):
        table["there"]


def test_each_technique_is_registered_under_its_name() -> None:
    assert {word: kind.name for word, kind in TECHNIQUES.items()} == {word: word for word in TECHNIQUES}


@pytest.mark.parametrize(("table", "rows"), [("techniques", "TECHNIQUES"), ("sources", "FORMATS")])
def test_a_table_imports_no_row_before_it_is_asked_for(table: str, rows: str) -> None:
    code = f"import sys; from minimize.{table} import {rows}; list({rows}); print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    lazy = {"techniques": "minimize.techniques.tokenize", "sources": "minimize.sources.ndjson"}
    assert lazy[table] not in found


def test_each_format_reads_a_schema_or_records() -> None:
    assert [(each.read_schema is None) for each in FORMATS.values()] == [
        each.read_records is not None for each in FORMATS.values()
    ]
