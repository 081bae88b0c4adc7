from __future__ import annotations

from typing import get_args

from minimize.techniques import TECHNIQUES, Family, markdown_table, technique_entries
from minimize.techniques.base import ALL_FAMILIES


def test_every_word_of_a_policy_has_a_line_drop_included() -> None:
    assert [line.name for line in technique_entries(TECHNIQUES.values())] == ["keep", "drop", *list(TECHNIQUES)[1:]]


def test_parameters_are_spelled_as_in_a_policy() -> None:
    by_word = {line.name: line.parameters for line in technique_entries(TECHNIQUES.values())}
    assert by_word["bin"] == ("width", "origin", "edges", "as")


def test_any_is_shown_for_a_technique_of_all_families() -> None:
    assert get_args(Family) == ALL_FAMILIES
    assert "| `presence` |  | any | true if there is a value, else null | coarse |" in markdown_table(
        TECHNIQUES.values()
    )
