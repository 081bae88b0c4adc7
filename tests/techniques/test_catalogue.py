from __future__ import annotations

from typing import get_args

from minimize.techniques import TECHNIQUES, Family
from minimize.techniques.base import EVERY
from minimize.techniques.catalogue import lines, markdown


def test_every_word_of_a_policy_has_a_line_drop_included() -> None:
    assert [line.word for line in lines(TECHNIQUES.values())] == ["keep", "drop", *list(TECHNIQUES)[1:]]


def test_parameters_are_spelled_as_in_a_policy() -> None:
    by_word = {line.word: line.parameters for line in lines(TECHNIQUES.values())}
    assert by_word["bin"] == ("width", "origin", "edges", "as")


def test_any_stands_for_every_family() -> None:
    assert get_args(Family) == EVERY
    assert "| `presence` |  | any | true where a value is | nothing |" in markdown(TECHNIQUES.values())
