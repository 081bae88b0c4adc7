"""The table of codes and the code agree."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import get_args

from minimize import codes
from minimize.codes import CODES
from minimize.recipients.rules import REFUSAL_RULES
from minimize.records import REJECT_CODES, RejectCode
from minimize.verification.files import QUARANTINE_CODES

PACKAGE = Path(codes.__file__).parent
CODE = re.compile(r'"([A-Z]\d{3})"')
TABLES = (
    "codes.py",
    "server/request.py",
    "governance/access_file.py",
    "governance/incidents/notification.py",
    "ledger/audit_event.py",
    "forms/yaml_nodes.py",
    "linting/rules.py",
    "recipients/rules.py",
    "review/changes.py",
    "verification/evidence.py",
)
DEFINITION = re.compile(r'^\s*"([A-Z]\d{3})": ', re.MULTILINE)
RULE = re.compile(r'^\s*(?:\w*Rule\()?"([A-Z]\d{3})",', re.MULTILINE)
"""A row of a table of rules."""


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
        found.update(rule.code for rule in REFUSAL_RULES.values() if f'"{rule.name}"' in text)
    return found


def test_every_code_in_the_package_is_in_a_table() -> None:
    assert used_codes() - set(CODES) == set()


def test_every_code_in_a_table_is_used() -> None:
    assert set(CODES) - set(REJECT_CODES) - used_codes() == set()


def test_no_code_means_two_things() -> None:
    tables = [PACKAGE / table for table in TABLES]
    defined = Counter(code for table in tables for code in row_pattern(table).findall(table.read_text()))
    assert [code for code, count in defined.items() if count > 1] == []
    assert set(defined) == set(CODES) - set(REJECT_CODES)


def test_every_code_of_a_quarantined_record_has_a_text_and_is_used() -> None:
    files = [file for folder in ("sources", "stages", "output") for file in (PACKAGE / folder).rglob("*.py")]
    texts = [file.read_text() for file in (PACKAGE / "records.py", *files)]
    uses = {code: sum(text.count(f'"{code}"') for text in texts) for code in REJECT_CODES}
    assert set(REJECT_CODES) == set(get_args(RejectCode)) <= set(CODES)
    assert [code for code, count in uses.items() if count < 3] == []  # the type, its text, and a use


def test_verification_and_the_guide_have_the_codes_of_quarantined_records() -> None:
    assert set(REJECT_CODES) == QUARANTINE_CODES
    guide = (PACKAGE.parent / "docs" / "how-to" / "batch-engineer.md").read_text()
    rows = [f"| `{code}` | {about} |" for code, about in REJECT_CODES.items()]
    assert [row for row in rows if row not in guide] == []


def test_each_code_letter_belongs_to_one_package() -> None:
    def rooms(letter: str) -> set[str]:
        files = [file.relative_to(PACKAGE) for file in PACKAGE.rglob("*.py") if f'"{letter}0' in file.read_text()]
        return {file.parts[0] for file in files if file.name != "codes.py"}

    assert rooms("C") == {"settings"}
    assert rooms("S") == {"sources", "runs"}
    assert rooms("A") == {"aggregates"}
    assert rooms("L") == {"linting"}
    assert rooms("T") == {"recipients"}
