"""The table of codes and the code agree."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from minimize import codes
from minimize.codes import CODES

PACKAGE = Path(codes.__file__).parent
CODE = re.compile(r'"([A-Z]\d{3})"')
TABLES = (
    "codes.py",
    "server/codes.py",
    "governance/access/codes.py",
    "governance/incidents/codes.py",
    "ledger/codes.py",
    "policy/faults.py",
    "policy/lint/rules.py",
    "recipients/codes.py",
    "review/codes.py",
    "verification/findings.py",
)


def used(*, tables: bool) -> list[str]:
    """The codes in the tree, in the tables or outside of them."""
    files = [file for file in PACKAGE.rglob("*.py") if (str(file.relative_to(PACKAGE)) in TABLES) == tables]
    return [code for file in files for code in CODE.findall(file.read_text())]


def test_every_code_in_the_tree_stands_in_the_table() -> None:
    assert set(used(tables=False)) - set(CODES) == set()


def test_every_code_in_the_table_is_used() -> None:
    assert set(CODES) - set(used(tables=False)) == set()


def test_no_code_means_two_things() -> None:
    said = "".join((PACKAGE / table).read_text() for table in TABLES)
    defined = Counter(re.findall(r'^\s*(?:\w*Rule\()?"([A-Z]\d{3})"[:,]', said, re.MULTILINE))
    assert [code for code, count in defined.items() if count > 1] == []
    assert set(defined) == set(CODES)


def test_each_letter_belongs_to_one_room() -> None:
    def rooms(letter: str) -> set[str]:
        files = [file.relative_to(PACKAGE) for file in PACKAGE.rglob("*.py") if f'"{letter}0' in file.read_text()]
        return {file.parts[0] for file in files if file.name != "codes.py"}

    assert rooms("C") == {"settings"}
    assert rooms("S") == {"sources", "runs"}
    assert rooms("A") == {"aggregates"}
    assert rooms("L") == {"policy"}
    assert rooms("T") == {"recipients"}
