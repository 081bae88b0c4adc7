from __future__ import annotations

import re
from pathlib import Path

import minimize.linting
from minimize.linting import LINT_RULES


def test_every_code_that_lint_uses_is_in_the_table_and_the_other_way_round() -> None:
    folder = Path(minimize.linting.__file__).parent
    texts = [file.read_text(encoding="utf-8") for file in folder.glob("*.py") if file.name != "rules.py"]
    used = {code for text in texts for code in re.findall(r'"(L\d{3})"', text)}
    assert used == set(LINT_RULES)


def test_codes_are_in_order_and_described() -> None:
    assert list(LINT_RULES) == sorted(LINT_RULES)
    assert all(rule.about and rule.code == code for code, rule in LINT_RULES.items())
