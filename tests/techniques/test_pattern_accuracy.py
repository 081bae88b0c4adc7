"""Recall and precision of the `redact` patterns on labelled texts; the guide shows these figures."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from minimize.techniques.redact import ALL_PATTERNS, Redact, find_spans

DATA = Path(__file__).parent / "data"
LABEL = re.compile(r"<<(\w+):(.*?)>>", re.DOTALL)
GUIDE = Path(__file__).parents[2] / "docs/guide/free-text.md"
ROW = re.compile(r"^\| `(\w+)` \|.*\| (\d+) of (\d+) \| (\d+) of (\d+) \|$", re.MULTILINE)


class Labelled(NamedTuple):
    """A text and the values in it: pattern, start, end."""

    text: str
    values: list[tuple[str, int, int]]


def texts(half: str) -> Iterator[Labelled]:
    """The texts of a half. `¦` keeps invented keys from being taken for real ones and is removed."""
    for line in (DATA / f"redact_{half}.jsonl").read_text("utf-8").splitlines():
        written = json.loads(line)["text"].replace("¦", "")
        text, values, last = "", [], 0
        for label in LABEL.finditer(written):
            text += written[last : label.start()]
            values.append((label[1], len(text), len(text) + len(label[2])))
            text += label[2]
            last = label.end()
        yield Labelled(text + written[last:], values)


def measured(half: str) -> dict[str, tuple[int, int, int, int]]:
    """Per pattern: values of which nothing is left, values, marks on a value of that kind, marks."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in ALL_PATTERNS}
    for text, values in texts(half):
        hits = find_spans(text)
        covered = {place for _, start, end in hits for place in range(start, end)}
        for name, start, end in values:
            counts[name]["values"] += 1
            counts[name]["gone"] += covered.issuperset(range(start, end))
        for name, start, end in hits:
            counts[name]["marks"] += 1
            counts[name]["right"] += any(name == n and start < e and s < end for n, s, e in values)
    return {name: (c["gone"], c["values"], c["right"], c["marks"]) for name, c in counts.items()}


DEVELOPMENT, HELD_OUT = measured("development"), measured("held_out")
DOCUMENTED = {row[1]: tuple(map(int, row.groups()[1:])) for row in ROW.finditer(GUIDE.read_text("utf-8"))}


def test_the_guide_shows_each_pattern() -> None:
    assert set(DOCUMENTED) == set(ALL_PATTERNS)


@pytest.mark.parametrize("name", ALL_PATTERNS)
def test_recall_and_precision_are_as_documented(name: str) -> None:
    """On the half that nobody looked at while the patterns were written."""
    gone, values, right, marks = HELD_OUT[name]
    assert DOCUMENTED[name] == (gone, values, right, marks)


@pytest.mark.parametrize("name", ALL_PATTERNS)
def test_the_other_half_is_found_as_well(name: str) -> None:
    gone, values, right, marks = DEVELOPMENT[name]
    assert gone / values >= 0.85
    assert right / marks >= 0.85


def test_both_forms_of_unicode_give_the_same() -> None:
    for text, _ in [*texts("development"), *texts("held_out")]:
        composed, decomposed = (Redact().redact_text(unicodedata.normalize(form, text)) for form in ("NFC", "NFD"))
        assert unicodedata.normalize("NFC", decomposed) == unicodedata.normalize("NFC", composed)


def test_the_texts_are_many_and_of_several_languages() -> None:
    files = [DATA / f"redact_{half}.jsonl" for half in ("development", "held_out")]
    lines = [line for file in files for line in file.read_text("utf-8").splitlines()]
    assert len(lines) >= 400
    assert len({json.loads(line)["language"] for line in lines}) >= 15
