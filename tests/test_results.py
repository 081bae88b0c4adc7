"""Results of commands."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from minimize.errors import Finding
from minimize.results import AlternativeText, LintResult, Listing, ResultAt

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Word:
    """A result of one line."""

    def __init__(self, text: str) -> None:
        self.text = text

    def to_json(self) -> str:
        """The word."""
        return self.text

    def lines(self) -> list[str]:
        """The word as a line."""
        return [f"- {self.text}"]


def test_a_listing_has_its_name_in_json_and_a_line_for_each_result() -> None:
    found = Listing("words", [Word("a"), Word("b")], "no words")
    assert found.to_json() == {"words": ["a", "b"]}
    assert list(found.lines()) == ["- a", "- b"]


def test_an_empty_listing_prints_its_text() -> None:
    found = Listing("words", [], "no words")
    assert (found.to_json(), list(found.lines()), found.exit_code) == ({"words": []}, ["no words"], 0)


class Door:
    """An object that is open from noon on."""

    def to_json(self, at: datetime) -> bool:
        """Whether it is open."""
        return at >= NOON

    def lines(self, at: datetime) -> list[str]:
        """Its state."""
        return ["open" if at >= NOON else "closed"]


def test_a_result_at_a_time_has_the_state_of_that_time() -> None:
    found = ResultAt(Door(), NOON)
    assert (found.to_json(), list(found.lines())) == (True, ["open"])


@pytest.mark.parametrize(("fail_on", "code"), [("error", 0), ("warning", 1), ("never", 0)])
def test_findings_fail_from_a_severity_on(fail_on: str, code: int) -> None:
    warning = Finding("P001", "risky", "warning")
    found = LintResult([warning], fail_on)
    assert (found.exit_code, list(found.lines())) == (code, [warning, "no errors, 1 warning"])
    assert found.to_json() == {"findings": [warning.to_json()]}


@pytest.mark.parametrize(("number", "summary"), [(10, []), (11, ["  E1 error 11", "  W1 warning 11"])])
def test_many_findings_end_with_their_number_by_code(number: int, summary: list[str]) -> None:
    found = [Finding("W1", "risky", "warning"), Finding("E1", "wrong", "error")] * number
    lines = list(map(str, LintResult(found).lines()))
    assert [line for line in lines if line.startswith("  ")] == summary
    assert lines[-1] == f"{number} errors, {number} warnings"


def test_another_text_keeps_the_json_and_the_exit_code_of_its_result() -> None:
    found = AlternativeText(Listing("words", [], "no words", exit_code=1), ["wrote page.html"])
    assert (found.to_json(), list(found.lines()), found.exit_code) == ({"words": []}, ["wrote page.html"], 1)
