"""The site is put together whole: a page for each thing that the code has, no link that leads nowhere, nothing from elsewhere."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from minimize.cli.main import VERBS
from minimize.codes import CODES
from minimize.techniques import TECHNIQUES
from tests.docs.pages import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", name="site")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = runpy.run_path(str(ROOT / "docs" / "build.py"))["build"]
    made: Path = build(tmp_path_factory.mktemp("docs") / "made")
    return made


def test_every_verb_technique_and_code_is_in_the_reference(site: Path) -> None:
    for page, wanted in (
        ("commands", [f"minimize {verb}" for verb in VERBS]),
        ("techniques", list(TECHNIQUES)),
        ("codes", list(CODES)),
        ("files", ["must_be", "purposes", "permits_transmission", "retention"]),
    ):
        text = (site / "reference" / page / "index.html").read_text()
        assert [each for each in wanted if each not in text] == []


def test_the_library_stands_there_with_its_own_words(site: Path) -> None:
    text = (site / "reference" / "python" / "index.html").read_text()
    assert "Data in memory as a policy lets it leave." in text
    assert "StoppedError" in text


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    loaded = {
        found for page in pages for found in re.findall(r'<(?:script|link|img)[^>]*"(https?://[^"]+)', page.read_text())
    }
    assert len(pages) > 10
    assert loaded == set()


def test_every_page_is_in_the_way_that_a_reader_goes() -> None:
    nav = (ROOT / "docs" / "zensical.toml").read_text()
    pages = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")]
    beside = {"schedules/README.md"}  # speaks of the files next to it
    assert [page for page in pages if f'"{page}"' not in nav] == sorted(beside)
