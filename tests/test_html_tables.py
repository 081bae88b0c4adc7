"""Tables for notebooks."""

from __future__ import annotations

import re

from minimize.html_tables import html_fragment, html_paragraph, html_table


def test_words_stand_left_and_numbers_right() -> None:
    assert re.findall(r"<td style='text-align:(\w+)", html_table("t", ("name", "rows"), [("a", "1")], 1)) == [
        "left",
        "right",
    ]
    assert re.findall(r"<td style='text-align:(\w+)", html_table("t", ("name", "why"), [("a", "b")])) == [
        "left",
        "left",
    ]


def test_every_text_is_escaped() -> None:
    shown = html_fragment(html_paragraph("<p1>"), html_table("<p2>", ("<p3>",), [("<p4>",)]))
    assert re.findall(r"<p\d>", shown) == []
    assert re.findall(r"&lt;(p\d)&gt;", shown) == ["p1", "p2", "p3", "p4"]


def test_nothing_is_shown_of_nothing() -> None:
    assert html_fragment(html_paragraph(""), html_table("t", ("a",), [])) == "<div></div>"
