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
    "server/errors.py",
    "governance/access/lint.py",
    "governance/incidents/notification.py",
    "ledger/audit_event.py",
    "policy/faults.py",
    "policy/lint/rules.py",
    "review/changes.py",
    "verification/evidence.py",
)
DEFINITION = re.compile(r'^\s*"([A-Z]\d{3})": ', re.MULTILINE)
RULE = re.compile(r'^\s*(?:\w*Rule\()?"([A-Z]\d{3})",', re.MULTILINE)
"""A row of the table of lint rules."""


def row_pattern(table: Path) -> re.Pattern[str]:
    """What a row of a table looks like."""
    return RULE if table.name == "rules.py" else DEFINITION


def used_codes() -> set[str]:
    """The codes in the package, outside the rows of the tables."""
    found = set()
    for file in PACKAGE.rglob("*.py"):
        text = file.read_text()
        if str(file.relative_to(PACKAGE)) in TABLES:
            text = row_pattern(file).sub("", text)
        found.update(CODE.findall(text))
    return found


def test_every_code_in_the_package_is_in_a_table() -> None:
    assert used_codes() - set(CODES) == set()


def test_every_code_in_a_table_is_used() -> None:
    assert set(CODES) - used_codes() == set()


def test_no_code_means_two_things() -> None:
    tables = [PACKAGE / table for table in TABLES]
    defined = Counter(code for table in tables for code in row_pattern(table).findall(table.read_text()))
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
