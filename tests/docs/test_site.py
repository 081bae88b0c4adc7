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
from minimize.policy.load import load_policy
from minimize.techniques import TECHNIQUES
from tests.docs.pages import ROOT, path_with_ours
from tests.docs.scripts import script

NOTEBOOKS = ("minimized_data", "policy_author", "before_sharing", "risk_of_a_data_frame")

NAVIGATION = (ROOT / "docs" / "zensical.toml").read_text()


@pytest.fixture(scope="module", name="site")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("docs") / "made"
    variables = os.environ | {"PATH": path_with_ours()}
    subprocess.run([sys.executable, ROOT / "docs" / "build.py", target], check=True, env=variables)
    return target / "site"


@pytest.mark.slow
def test_every_verb_technique_measure_and_code_is_in_the_reference(site: Path) -> None:
    for page, wanted in (
        ("commands", [f"minimize {verb}" for verb in COMMANDS]),
        *((f"commands/{verb}", [f"minimize {verb}"]) for verb in COMMANDS),
        ("techniques", list(TECHNIQUES)),
        ("measures", list(MEASURES)),
        ("codes", list(CODES)),
        ("exchange-formats", list(FORMATS)),
        ("files", ["must_be", "purposes", "permits_transmission", "retention"]),
    ):
        text = (site / "reference" / page / "index.html").read_text()
        assert [each for each in wanted if each not in text] == []


@pytest.mark.slow
def test_the_site_documents_the_python_library_from_its_docstrings(site: Path) -> None:
    text = (site / "reference" / "python" / "index.html").read_text()
    assert "Applies a policy to data in memory." in text
    assert "StoppedError" in text


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    loaded = {
        found for page in pages for found in re.findall(r'<(?:script|link|img)[^>]*"(https?://[^"]+)', page.read_text())
    }
    assert len(pages) > 10
    assert loaded == set()


@pytest.mark.slow
def test_every_link_leads_to_a_file_of_the_site(site: Path) -> None:
    links = {
        (page, link)
        for page in site.rglob("index.html")
        for link in re.findall(r'<a [^>]*?href="([^"#?:]+)(?:#[^"]*)?"', page.read_text())
    }
    assert len(links) > 1000
    assert {link for page, link in links if not (page.parent / link).exists()} == set()


def test_every_page_is_in_the_navigation() -> None:
    pages = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")]
    beside = {"schedules/README.md"}  # speaks of the files next to it
    assert [page for page in pages if f'"{page}"' not in NAVIGATION] == sorted(beside)


@pytest.mark.slow
def test_the_notebooks_were_run_and_show_what_they_made(site: Path) -> None:
    shown = {name: (site / "notebooks" / name / "index.html").read_text() for name in NOTEBOOKS}
    assert len(list((site / "notebooks").glob("*.png"))) >= 3
    assert "groups are there" in shown["minimized_data"]
    assert "Did you mean 'os_verison'?" in shown["policy_author"]
    assert "the tenant withdrew its authorization" in shown["before_sharing"]
    assert "people have a combination to themselves" in shown["risk_of_a_data_frame"]
    assert [name for name, text in shown.items() if "<table>" not in text and "<pre>" not in text] == []


def test_a_navigation_title_is_the_first_heading_of_its_page() -> None:
    titles = {page: title for title, page in re.findall(r'\{ "([^"]+)" = "([^"]+\.md)" \}', NAVIGATION)}
    written = [page for page in titles if (ROOT / "docs" / page).exists()]
    headings = {page: heading((ROOT / "docs" / page).read_text()) for page in written}
    assert {page: titles[page] for page in written} == headings
    assert {page.removeprefix("reference/") for page in set(titles) - set(written)} == set(
        script("reference").GENERATED
    )


def test_a_generated_page_has_the_title_of_its_navigation() -> None:
    generated = script("reference").GENERATED
    for name in ("commands.md", "codes.md", "files.md", "techniques.md", "measures.md", "exchange-formats.md"):
        assert f'{{ "{heading(generated[name]())}" = "reference/{name}" }}' in NAVIGATION


def heading(text: str) -> str:
    """The first heading of a page, without the header of a notebook."""
    return next(line for line in text.splitlines() if line.startswith("# ")).removeprefix("# ")


def test_each_code_has_one_anchor_and_a_sentence_what_to_do() -> None:
    text = script("reference").codes()
    anchors = re.findall(r"^\{: #(\S+) \.code \}$", text, re.MULTILINE)
    assert sorted(anchors) == sorted(code.lower() for code in CODES)
    assert set(script("reference").CODE_GROUPS) == {code[0] for code in CODES if code[0].isupper()}


def test_cause_and_remedy_of_a_code_come_from_the_guide_to_troubleshooting(tmp_path: Path) -> None:
    page = tmp_path / "troubleshooting.md"
    page.write_text(
        "# T\n\n### P008, P100: unknown\n\n- **You see** it.\n- **Cause:** the\n  word ([r](reports.md)).\n- **Do:** add it.\n\n"
        "### E001: other\n\n- **Do:** correct it, see [codes](../reference/exit-codes.md).\n"
    )
    found = script("reference").troubleshooting(page)
    assert found["P100"] == ["- **Cause:** the word ([r](../guide/reports.md)).", "- **Do:** add it."]
    assert found["E001"] == ["- **Do:** correct it, see [codes](exit-codes.md)."]
    assert set(found) == {"P008", "P100", "E001"}
    assert script("reference").troubleshooting(tmp_path / "none.md") == {}


def test_the_page_of_a_command_has_its_options_and_example() -> None:
    pages = script("reference").command_pages()
    assert set(pages) == set(COMMANDS)
    assert pages["run"].startswith("# minimize run\n")
    assert "| `--date D` | Batch date, YYYY-MM-DD. (default: all dates found) |" in pages["run"]
    assert "## minimize settings set\n" in pages["settings"]
    blocks = [block for page in pages.values() for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL)]
    assert [
        line for block in blocks for line in block.splitlines() if line.startswith("minimize") and len(line) > 100
    ] == []


def test_the_policy_at_the_top_of_the_files_page_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(script("reference").ANNOTATED_POLICY)
    assert len(load_policy(path).fields) > 5


def test_the_figure_of_the_service_is_the_same_as_picture_and_as_text() -> None:
    readme = (ROOT / "README.md").read_text()
    figure = readme.partition("<!-- service -->\n")[2].partition("<!-- /service -->")[0]
    words = {
        word
        for boxes in script("service_figure").COLUMNS.values()
        for box in boxes
        for word in re.findall(r"[\w-]+", box)
    }
    assert words - set(re.findall(r"[\w-]+", figure)) == set()
    assert (
        set(re.findall(r"[A-Za-z][\w-]+", figure))
        - words
        - {"text", *["sources", "datasets", "gates", "outputs", "who", "gets", "them"]}
        == set()
    )
    built = script("build").with_figure(f"# A\n\n{figure}\nend\n", "../")
    assert "](../service.svg)" in built
    assert "───" not in built


def test_each_cell_of_a_table_names_its_column() -> None:
    table = "<table><thead><tr><th>key</th><th>the <b>type</b></th></tr></thead><tr><td>a</td><td class=x>b</td></tr></table>"
    labelled = script("build").with_labels(f"<p>{table}</p>")
    assert labelled == f"<p>{table}</p>".replace("<td class=x>", '<td data-label="the type" class=x>')
    odd = "<table><tr><th>a</th></tr><tr><td>1</td><td>2</td></tr></table>"
    assert script("build").with_labels(odd) == odd


@pytest.mark.slow
def test_the_site_has_the_figure_as_a_picture_and_labels_in_tables(site: Path) -> None:
    concepts = (site / "concepts" / "index.html").read_text()
    assert "service.svg" in concepts
    assert (site / "service.svg").exists()
    assert '<td data-label="meaning">' in (site / "reference" / "commands" / "run" / "index.html").read_text()
    assert 'id="e201"' in (site / "reference" / "codes" / "index.html").read_text()
