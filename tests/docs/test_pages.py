"""Every command and every snippet of the documentation does what its page says."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from minimize.governance.access_file import create_access_file
from minimize.keys.discovery import create_keyring
from tests.docs.pages import ROOT, Reader, invisible_blocks, path_with_ours, without_invisible

PAGES = [ROOT / "README.md", *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "notebooks")]
BLOCK = re.compile(r"^(?: *```(?:sh|python|text)$|<!--- invisible-code-block: (?:sh|python)$)", re.MULTILINE)
"""What begins a block that is run, or held against what was printed."""


EXTRAS_IN_COMMAND = re.compile(r"(?:'\.|minimize|\.whl)\[([a-z0-9,_-]+)\]")
"""The extras that a command installs: `pip install '.[pandas,postgres]'`."""
EXTRA_IN_SENTENCE = re.compile(r"\bextra `([a-z0-9_-]+)`")


def named_extras(text: str) -> set[str]:
    """The extras that a text tells its reader to install."""
    commands = {name for group in EXTRAS_IN_COMMAND.findall(text) for name in group.split(",")}
    return commands | set(EXTRA_IN_SENTENCE.findall(text))


USES_OF_EXTRAS = {
    "exchange": r"\bminimize check \S",
    "h3": r"\{h3:|\bh3: \{",
    "pandas": r"\bimport (?:minimize\.)?pandas\b|\.to_pandas\(|\.minimize\(",
    "postgres": r"\bpostgresql://",
    "samples": r"\bminimize sample \w",
    "spark": r"--engine spark\b|\bminimize\.spark\b",
    "vault": r"\bvault:",
}
"""For each extra, what code writes that does not work without it."""
CODE = re.compile(r"(?:```|<!--- invisible-code-block: )(?:sh|python|console)\n(.*?)(?:```|-->)", re.DOTALL)
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.md"))


def unnamed_extras(text: str) -> set[str]:
    """The extras without which the commands of a page fail, and that the page does not tell its reader to install."""
    code = "\n".join(CODE.findall(text))
    return {extra for extra, used in USES_OF_EXTRAS.items() if re.search(used, code)} - named_extras(text)


def existing_extras() -> set[str]:
    """The extras that the package has."""
    return set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])


def marked(page: Path) -> Any:
    """A page that wants Java says so."""
    return pytest.param(page, marks=pytest.mark.spark) if page.name == "spark.md" else page


@pytest.fixture(name="reader")
def _reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """A reader of a fresh checkout after `make run`; the environment is restored afterwards."""
    for name in ("pipelines", "sample_data", "docs/schedules"):
        shutil.copytree(ROOT / name, tmp_path / name)
    create_access_file(tmp_path / "out" / "demo-access.yaml", getpass.getuser(), ("contoso", "fabrikam"))
    create_keyring(tmp_path / "out" / "demo.keys", ("device", "user", "session"), datetime.now(UTC))
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    for name in [each for each in before if each.startswith("MINIMIZE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", path_with_ours())
    monkeypatch.setenv("COLUMNS", "120")
    yield Reader(tmp_path)
    os.environ.clear()
    os.environ.update(before)


def test_pages_and_hints_name_only_extras_that_exist() -> None:
    files = [*PAGES, ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.py"), *(ROOT / "minimize").rglob("*.py")]
    named = {str(file.relative_to(ROOT)): named_extras(file.read_text()) for file in files}
    assert {"docs/install.md", "minimize/interop/json_schema.py"} <= {file for file, extras in named.items() if extras}
    assert {file: extras - existing_extras() for file, extras in named.items() if extras - existing_extras()} == {}


def test_a_page_that_names_an_extra_that_does_not_exist_is_found() -> None:
    text = "pip install '.[report,postgres]'\npip download 'minimize-0.1.0-py3-none-any.whl[vault]'\nthe extra `excel`"
    assert named_extras(text) - existing_extras() == {"report", "excel"}


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_the_extras_its_commands_need(page: Path) -> None:
    assert unnamed_extras(page.read_text()) == set()


@pytest.mark.parametrize(
    ("code", "extra"),
    [
        ("minimize sample device_telemetry --rows 5 --output data", "samples"),
        ("frame = minimize.read(out).to_pandas()", "pandas"),
        ("minimize run pipeline --engine spark", "spark"),
    ],
)
def test_a_page_that_omits_a_needed_extra_is_found(code: str, extra: str) -> None:
    page = f"# Page\n\n```sh\n{code}\n```\n"
    assert unnamed_extras(page) == {extra}
    assert unnamed_extras(f"It needs the extra `{extra}`.\n{page}") == set()


def test_every_extra_has_a_use_that_is_looked_for() -> None:
    assert USES_OF_EXTRAS.keys() == existing_extras()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda page: page.stem)
def test_a_notebook_begins_with_what_it_needs(notebook: Path) -> None:
    """Packages that it imports, and what makes it an `.ipynb` file, are in the text before its first cell."""
    text = notebook.read_text().partition("\n# ")[2]
    introduction, _, cells = text.partition("```python")
    imported = set(re.findall(r"^(?:import|from) (matplotlib|pandas)\b", cells, re.MULTILINE))
    assert {*imported, "jupytext", "jupyterlab"} <= set(re.findall(r"[\w-]+", introduction))


def test_the_table_of_extras_lists_all_of_them() -> None:
    _, _, section = (ROOT / "docs" / "install.md").read_text().partition("## Optional packages")
    assert set(re.findall(r"^\| `([a-z0-9_-]+)` \|", section.partition("\n## ")[0], re.MULTILINE)) == existing_extras()


@pytest.mark.slow
@pytest.mark.parametrize("page", [marked(page) for page in PAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_give_the_stated_results(page: Path, reader: Reader) -> None:
    assert reader.reads(page) == len(BLOCK.findall(page.read_text()))


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [marked(page) for page in PAGES if invisible_blocks(page.read_text())],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_a_page_runs_without_what_its_reader_does_not_see(page: Path, reader: Reader) -> None:
    shown = without_invisible(page.read_text())
    assert reader.reads(page, as_shown=True) == len(BLOCK.findall(shown))


NOISE = re.compile(r"(?:sleep|kill|wait|for _ in .* sleep .* done)\b.*")
"""The commands that a page may run without showing them: they wait, or end what the page started."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_invisible_blocks_only_wait_and_end_processes(page: Path) -> None:
    lines = [line for block in invisible_blocks(page.read_text()) for line in block.splitlines()]
    assert [line for line in lines if not NOISE.fullmatch(line)] == []


def test_an_invisible_block_with_state_is_found() -> None:
    page = "a\n<!--- invisible-code-block: sh\nsleep 1\nexport A=1\n-->\n```sh\ntrue\n```\n"
    assert [line for block in invisible_blocks(page) for line in block.splitlines() if not NOISE.fullmatch(line)] == [
        "export A=1"
    ]
    assert without_invisible(page).splitlines() == ["a", "", "", "", "", "```sh", "true", "```"]


def unexplained_links(page: Path, text: str) -> list[str]:
    """The links of a page to files that a checkout does not have, if the page does not say which command writes them."""
    links = re.findall(r"\]\(([^)#:\s]+\.md)(?:#[^)]*)?\)", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    return [] if "`make docs`" in text else missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_link_to_a_generated_page_names_the_command_that_writes_it(page: Path) -> None:
    assert unexplained_links(page, page.read_text()) == []


def test_an_unexplained_link_is_found() -> None:
    page, link = ROOT / "docs" / "faq.md", "([techniques](reference/techniques.md))"
    assert unexplained_links(page, link) == ["reference/techniques.md"]
    assert unexplained_links(page, f"{link} `make docs` writes it.") == []
