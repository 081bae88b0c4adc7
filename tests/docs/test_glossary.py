"""The glossary and its page for developers have the same terms, in alphabetical order; anchors and modules exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "minimize"
DOCS = ROOT / "docs"
SPAN = re.compile(r'<span id="(term-[a-z0-9-]+)">([^<]+)</span>')


def tables(page: Path) -> list[list[list[str]]]:
    """The rows of each section of a page, as cells."""
    return [
        [
            [cell.strip() for cell in line.strip("|").split(" | ")]
            for line in part.splitlines()
            if line.startswith("| ") and not line.startswith("| term ")
        ]
        for part in page.read_text().split("\n## ")[1:]
    ]


def term(cell: str) -> str:
    """A term without its anchor."""
    found = SPAN.fullmatch(cell)
    return found[2] if found else cell


GLOSSARY = tables(DOCS / "glossary.md")
SOURCES = tables(DOCS / "reference" / "terms-in-code.md")
PLACES = sorted({place for table in SOURCES for row in table for place in row[1].split(", ")})


@pytest.mark.parametrize("place", PLACES)
def test_a_place_exists(place: str) -> None:
    found = re.fullmatch(r"(?:`(?P<name>\w+)` in )?`(?P<path>[\w/.]+)`", place)
    assert found, place
    path = PACKAGE / found["path"]
    assert path.exists()
    if found["name"]:
        nodes = ast.parse(path.read_text()).body
        names = {node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        names |= {
            node.target.id for node in nodes if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        }
        assert found["name"] in names | {
            target.id
            for node in nodes
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }


def test_terms_are_in_alphabetical_order_and_occur_once() -> None:
    for table in GLOSSARY:
        terms = [term(row[0]).lower() for row in table]
        assert terms == sorted(terms)
    everywhere = [term(row[0]).lower() for table in GLOSSARY for row in table]
    assert len(everywhere) > 100
    assert len(everywhere) == len(set(everywhere))


def test_the_page_for_developers_has_the_same_terms() -> None:
    assert [[row[0] for row in table] for table in SOURCES] == [[term(row[0]) for row in table] for table in GLOSSARY]


def test_each_term_has_an_anchor_of_its_name() -> None:
    for table in GLOSSARY:
        for row in table:
            found = SPAN.fullmatch(row[0])
            assert found, row[0]
            assert found[1] == "term-" + re.sub(r"[^a-z0-9]+", "-", found[2].lower()).strip("-")


def test_links_to_a_term_lead_to_its_anchor() -> None:
    anchors = {found[1] for table in GLOSSARY for row in table if (found := SPAN.fullmatch(row[0]))}
    pages = [ROOT / "README.md", *DOCS.rglob("*.md")]
    links = {link for page in pages for link in re.findall(r"\(\S*glossary\.md#(\S+)\)", page.read_text())}
    assert links
    assert links <= anchors
