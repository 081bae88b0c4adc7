"""The glossary names modules and definitions that exist, in alphabetical order."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "minimize"
TABLES = [
    [
        line.strip("|").split(" | ")
        for line in part.splitlines()
        if line.startswith("| ") and not line.startswith("| term ")
    ]
    for part in (ROOT / "docs" / "glossary.md").read_text().split("\n## ")[1:]
]
PLACES = sorted({place.strip() for table in TABLES for row in table for place in row[2].split(", ")})


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
    for table in TABLES:
        terms = [row[0].strip().lower() for row in table]
        assert terms == sorted(terms)
    everywhere = [row[0].strip().lower() for table in TABLES for row in table]
    assert len(everywhere) == len(set(everywhere))
