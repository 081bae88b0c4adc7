"""What is held of somebody, as a page."""

from __future__ import annotations

from html.parser import HTMLParser

from minimize.governance.subjects import DataSubject, view_subjects
from minimize.governance.subjects.view import view_page
from minimize.governance.workspace import Workspace as Places
from tests.project import AT, Project, events


class Tags(HTMLParser):
    """The tags of a page, which must close in order, and what they name to be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href")] + [tag] * (tag == "script")
        if tag not in ("meta", "!doctype"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page(project: Project, subject: DataSubject, *without: str) -> str:
    project.records(events(40))
    project.run()
    found = view_subjects([subject], Places(project.out / "ledger.db", keys=project.keys), AT)
    return view_page(found, redacted=without)


def test_a_page_says_where_in_which_form_and_until_when(project: Project) -> None:
    project.policy(retention="30d")
    text = page(project, DataSubject("d3", "south"))
    assert "What is held of d3 of south" in text
    assert "pseudonymize" in text
    assert "kept until" in text
    tags = Tags()
    tags.feed(text)
    assert (tags.open, tags.fetched) == ([], [])


def test_whatever_stands_there_is_escaped(project: Project) -> None:
    assert "<b>d3" not in page(project, DataSubject("<b>d3", "south"))


def test_a_column_that_is_left_out_is_nowhere_on_it(project: Project) -> None:
    assert "model" not in page(project, DataSubject("d3", "south"), "model")
