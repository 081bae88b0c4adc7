""""""

from __future__ import annotations

import pytest

from minimize.report.plots import Canvas, shorten, spaced_places


def drawn(words: str) -> str:
    canvas = Canvas(100, 50)
    canvas.box(1, 2, 3, 4, "written", 0.5)
    canvas.band((0, 1, 2), (10, 3, 4), "gated", 0.3)
    canvas.line(0, 0, 5, 5, "line", dash=True)
    canvas.text(10, 10, words)
    return canvas.svg("wide", "A title", "What it says")


def test_words_are_escaped_and_stand_as_text() -> None:
    assert "&lt;b&gt; &amp; $y$" in drawn("<b> & $y$")


def test_words_that_look_like_a_mark_stay_as_they_are() -> None:
    assert ">@0@<" in drawn("@0@").replace("</text>", "<")


def test_nothing_of_matplotlibs_own_stays() -> None:
    text = drawn("x")
    for foreign in ("<metadata", "<defs", "id=", "xlink", "http", "DejaVu", "clip-path"):
        assert foreign not in text


def test_it_is_an_image_with_a_title_and_a_description() -> None:
    text = drawn("x")
    assert text.startswith('<svg class="wide" role="img" aria-label="A title. What it says" viewBox="0 0 100 50">')
    assert "<title>A title</title><desc>What it says</desc>" in text


@pytest.mark.parametrize(("words", "most"), [("short", 10), ("a_long_name_of_a_field", 10), ("ab", 2)])
def test_shortened_words_fit(words: str, most: int) -> None:
    assert len(shorten(words, most)) <= most


def test_places_along_an_axis_have_the_first_and_the_last() -> None:
    assert list(spaced_places(3, 6)) == [0, 1, 2]
    assert spaced_places(100, 4) == [0, 33, 66, 99]
