"""The reference page of the measures has each measure of the table, with what its class states."""

from __future__ import annotations

import importlib
import inspect

import pytest

from minimize.aggregates import MEASURES
from tests.docs.pages import ROOT


@pytest.fixture(name="page")
def _page(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return str(importlib.import_module("reference").measures())


@pytest.mark.parametrize("word", MEASURES)
def test_a_measure_is_described_as_its_class_does(word: str, page: str) -> None:
    kind = MEASURES[word]
    (row,) = [line for line in page.splitlines() if line.startswith(f"| [`{word}`]")]
    assert kind.about in row
    assert kind.takes is None or kind.takes.names in row
    assert f"## `{word}`\n\n{inspect.getdoc(kind)}" in page


def test_an_added_measure_appears(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "## `median`" not in page
    monkeypatch.setitem(MEASURES, "median", type("Median", (MEASURES["quantile"],), {"__doc__": "The middle value."}))
    assert "## `median`\n\nThe middle value." in importlib.import_module("reference").measures()
