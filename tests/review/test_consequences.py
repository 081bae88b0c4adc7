"""Each change that can weaken protection has a meaning and an action."""

from __future__ import annotations

import pytest

from minimize.review.changes import (
    CODES,
    ChangeReport,
    GradedChange,
    changes_document,
    headline,
    status_line,
    weakening_codes,
)
from minimize.review.consequences import CONSEQUENCES

NEUTRAL = {"J029"}
"""Names and descriptions never weaken protection."""


@pytest.mark.parametrize("code", [code for code in CODES if code.startswith("J") and code not in NEUTRAL])
def test_every_code_has_a_meaning_and_an_action(code: str) -> None:
    meaning, action = CONSEQUENCES[code]
    assert meaning.endswith(".")
    assert action.endswith(".")
    assert meaning != action


def test_no_consequence_is_about_an_unknown_code() -> None:
    assert set(CONSEQUENCES) <= set(CODES)


def test_allowed_changes_need_a_look_and_no_decision() -> None:
    changes = ChangeReport((GradedChange("J020", "loosens", "60d"), GradedChange("J021", "loosens", "sale")))
    assert status_line(changes).level == "bad"
    assert "1 of them allowed" in status_line(changes.allowing(["J020"])).items
    allowed = status_line(changes.allowing(["all"]))
    assert (allowed.level, allowed.headline) == ("attention", "2 changes weaken protection")


def test_each_code_is_explained_once() -> None:
    changes = ChangeReport(tuple(GradedChange("J011", "loosens", str(number)) for number in range(3)))
    assert [code for code, _ in weakening_codes(changes)] == ["J011"]


def test_changes_that_strengthen_are_folded() -> None:
    document = changes_document(ChangeReport((GradedChange("J020", "tightens", "7d"),)))
    assert [block.is_folded for block in document.blocks if hasattr(block, "is_folded")] == [True]


def test_several_changes_of_one_grade_are_in_the_plural() -> None:
    changes = ChangeReport(tuple(GradedChange("J020", "tightens", str(number)) for number in range(2)))
    assert status_line(changes).items == ["2 tighten"]
    assert headline(changes) == "2 tighten"
