from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from minimize.report import OutputReport
from minimize.report.output_report import MOST_FIELDS
from tests.project import Builds, Project, clean_environment, event, events, new_project
from tests.report.telling import facts, report

HOSTILE = "<script>alert('x')</script>\"&$x^2$漢字"


class Seen(HTMLParser):
    """The tags of a page, and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def done_content(project: Project) -> None:
    project.records([*events(60), *["broken"] * 6])
    project.run()


@pytest.fixture(name="done")
def _done(builds: Builds, project: Project) -> Project:
    return builds.fill(project, done_content)


@pytest.fixture(name="html", scope="module")
def _html(builds: Builds, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of such an output."""
    folder = tmp_path_factory.mktemp("page")
    with clean_environment(folder):
        return report(builds.fill(new_project(folder), done_content)).html()


def test_a_page_fetches_nothing_and_forbids_it(html: str) -> None:
    seen = Seen(html)
    assert not {"script", "img", "link", "iframe", "object", "form"} & set(seen.tags)
    assert all(value.startswith("#") for name, value in seen.attributes if name in ("href", "src", "xlink:href"))
    assert "url(" not in html
    assert "default-src 'none'" in html


def test_every_figure_has_a_title_a_unit_and_a_sentence(html: str) -> None:
    found = re.findall(r'<strong>[^<]+</strong> <span class="unit">[^<]+</span>\n<p>[^<]+\.</p>', html)
    assert len(found) == html.count("<figure>") == 6


def test_every_table_has_a_caption_and_scopes(html: str) -> None:
    assert html.count("<table") == len(re.findall(r"<table[^>]*>\n<caption>[^<]+</caption>", html))
    assert html.count("<th ") == html.count('<th scope="')


def test_ids_of_the_page_are_unique(html: str) -> None:
    ids = [value for name, value in Seen(html).attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_colours_are_those_of_the_page(html: str) -> None:
    assert 'rect class="written"' in html
    assert "rect.written { fill: var(--written); }" in html


def test_hostile_names_stay_text(project: Project) -> None:
    project.policy({"/<script>alert(1)</script>": {"type": "integer", "do": {"bin": {"width": 10}}}})
    (project.folder / "settings.csv").write_text(
        "tenant_id,subject,setting,value,holder,valid_from,recorded_at\n"
        '"<img src=x onerror=alert(1)>",,location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n'
    )
    project.records([{**event(number), "<script>alert(1)</script>": number} for number in range(40)])
    project.run()
    text = report(project).html()
    assert not {"script", "img"} & set(Seen(text).tags)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text


def test_hostile_names_are_not_rendered_as_mathematics_or_markup(done: Project) -> None:
    found = facts(done)
    fields = tuple(replace(each, key=HOSTILE) for each in found.fields)
    text = OutputReport(replace(found, fields=fields, pipeline=HOSTILE)).html()
    assert "script" not in Seen(text).tags
    assert "$x^2$漢字" in text


def test_the_same_facts_give_the_same_page(done: Project) -> None:
    found = facts(done)
    assert OutputReport(found).html() == OutputReport(found).html()


def test_an_output_without_rows_has_a_page_too(project: Project) -> None:
    project.records([])
    project.run()
    assert "0 written" in report(project).html()


def test_protections_that_are_not_in_force_are_named(done: Project) -> None:
    (done.folder / "minimize.yaml").write_text("access: off\napproval: warn\nencrypt: identified\n")
    found = report(done, pipeline=None)
    assert "turned off      access control" in found.summary()
    assert "Not in force for this output: access control." in found.html()
    assert found.to_json()["missing_protections"] == ["access control"]


def test_of_many_fields_the_first_are_shown_and_the_others_folded(project: Project) -> None:
    names = {f"field_{number:03}": {"type": "string", "role": "quasi", "do": "keep"} for number in range(100)}
    project.policy(names)
    project.records(events(20))
    project.run()
    page = report(project).html()
    shown, _, folded = page.partition("further fields released unchanged or linkable</summary>")
    assert shown.count('<tr role="row"><th scope="row" role="rowheader"><span class="key">') == MOST_FIELDS
    assert all(f">{name}<" in page for name in names)
    assert re.search(r"An attacker who knows (\w+, ){11}\w+ and [0-9]+ more of a person", folded)
