"""Results of commands."""

from __future__ import annotations

from minimize.results import Listing


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


def test_an_empty_listing_says_so() -> None:
    found = Listing("words", [], "no words")
    assert (found.to_json(), list(found.lines()), found.exit_code) == ({"words": []}, ["no words"], 0)
