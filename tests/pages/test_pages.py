"""Documents as pages, fragments and Markdown."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from minimize.pages import BulletList, Section, Table, TermList, html_fragment, html_page, markdown_page

HOSTILE = "<script>alert('x')</script>\"&"


class Headings(HTMLParser):
    """The tags of a page in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


def document(text: str) -> Section:
    table = Table(text, (text, text), [(text, text)], numbers=1)
    return Section(text, (text, table, TermList([(text, (text,))]), Section(text, (BulletList((text,)),))))


def test_a_page_has_a_language_a_title_and_a_policy_for_content() -> None:
    page = html_page(document("x"))
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert "<title>x</title>" in page
    assert "default-src 'none'" in page


def test_headings_follow_the_sections() -> None:
    tags = Headings(html_page(Section("a", (Section("b", (Section("c", ("d",)),)), Section("e", ()))))).tags
    assert [tag for tag in tags if re.fullmatch(r"h\d", tag)] == ["h1", "h2", "h3", "h2"]


def test_a_table_has_a_caption_scopes_and_labels_for_narrow_screens() -> None:
    page = html_page(Section("t", (Table("Fields", ("name", "rows"), [("a", "1")], numbers=1),)))
    assert "<caption>Fields</caption>" in page
    assert page.count('<th scope="col"') == 2
    assert '<th scope="row" role="rowheader">a</th>' in page
    assert '<td role="cell" data-label="rows" class="number">1</td>' in page


def test_every_text_is_escaped() -> None:
    assert "script" not in Headings(html_page(document(HOSTILE))).tags
    assert html_page(document(HOSTILE)).count("&lt;script&gt;") == 13
    fragment = html_fragment(HOSTILE, Table(HOSTILE, (HOSTILE,), [(HOSTILE,)]))
    assert "<script" not in fragment
    assert fragment.count("&lt;script&gt;") == 4
    assert "<script" not in markdown_page(document(HOSTILE)).replace("\\<", "")


def test_texts_are_left_and_numbers_right_in_a_notebook() -> None:
    fragment = html_fragment(Table("t", ("name", "rows"), [("a", "1")], numbers=1))
    assert re.findall(r"<td style='text-align:(\w+)", fragment) == ["left", "right"]


def test_empty_parts_are_left_out() -> None:
    empty = ("", Table("t", ("a",), ()), TermList([("a", ("",))]), BulletList(()))
    assert markdown_page(Section("t", empty)) == "# t\n"
    assert not {"p", "table", "dl", "ul"} & set(Headings(html_page(Section("t", empty))).tags)
    assert html_fragment("", Table("t", ("a",), ())) == "<div>\n</div>"


def test_terms_and_lists_in_markdown() -> None:
    blocks = (TermList([("Owner", ("a", "b")), ("Kept", ())]), BulletList(("x", "y")))
    assert markdown_page(Section("t", blocks)) == "# t\n\n- **Owner:** a; b\n\n- x\n- y\n"


def test_characters_that_control_a_terminal_or_the_direction_of_text_are_replaced() -> None:
    page = html_page(document("a\u202eb\x1b[2Jc\nd\u200ce"))
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert "a\ufffdb\ufffd[2Jc\nd\u200ce" in page
