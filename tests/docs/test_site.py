"""The site is put together whole: a page for each thing that the code has, no link that leads nowhere, nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minimize.aggregates import MEASURES
from minimize.cli.main import COMMANDS
from minimize.codes import CODES
from minimize.interop import FORMATS
from minimize.techniques import TECHNIQUES
from tests.docs.pages import ROOT, path_with_ours

NOTEBOOKS = ("minimized_data", "policy_author", "before_sharing", "risk_of_a_data_frame")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", name="site")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("docs") / "made"
    variables = os.environ | {"PATH": path_with_ours()}
    subprocess.run([sys.executable, ROOT / "docs" / "build.py", target], check=True, env=variables)
    return target / "site"


def test_every_verb_technique_measure_and_code_is_in_the_reference(site: Path) -> None:
    for page, wanted in (
        ("commands", [f"minimize {verb}" for verb in COMMANDS]),
        ("techniques", list(TECHNIQUES)),
        ("measures", list(MEASURES)),
        ("codes", list(CODES)),
        ("exchange-formats", list(FORMATS)),
        ("files", ["must_be", "purposes", "permits_transmission", "retention"]),
    ):
        text = (site / "reference" / page / "index.html").read_text()
        assert [each for each in wanted if each not in text] == []


def test_the_site_documents_the_python_library_from_its_docstrings(site: Path) -> None:
    text = (site / "reference" / "python" / "index.html").read_text()
    assert "Applies a policy to data in memory." in text
    assert "StoppedError" in text


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    loaded = {
        found for page in pages for found in re.findall(r'<(?:script|link|img)[^>]*"(https?://[^"]+)', page.read_text())
    }
    assert len(pages) > 10
    assert loaded == set()


def test_every_page_is_in_the_navigation() -> None:
    nav = (ROOT / "docs" / "zensical.toml").read_text()
    pages = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")]
    beside = {"schedules/README.md"}  # speaks of the files next to it
    assert [page for page in pages if f'"{page}"' not in nav] == sorted(beside)


def test_the_notebooks_were_run_and_show_what_they_made(site: Path) -> None:
    shown = {name: (site / "notebooks" / name / "index.html").read_text() for name in NOTEBOOKS}
    assert len(list((site / "notebooks").glob("*.png"))) >= 3
    assert "groups are there" in shown["minimized_data"]
    assert "Did you mean 'os_verison'?" in shown["policy_author"]
    assert "the tenant withdrew its authorization" in shown["before_sharing"]
    assert "people have a combination to themselves" in shown["risk_of_a_data_frame"]
    assert [name for name, text in shown.items() if "<table>" not in text and "<pre>" not in text] == []
