"""A ledger of many acts is measured on each database."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import ledger
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.ledger.subject_kinds import LIFECYCLE_EVENT

FIGURES: dict[str, ledger.Figures] = {
    "SQLite": {"decision by a consent": [1.0, 3.0, 2.0], "consents of a tenant": [20.0]},
    "PostgreSQL": {"decision by a consent": [4.0], "consents of a tenant": [5.0]},
}


def test_the_goals_are_compared_with_the_median_of_each_database() -> None:
    assert [goal["reached"] for goal in ledger.goals(FIGURES)] == [2.0, 20.0, 4.0, 5.0]


def test_the_figures_are_printed_with_their_spread() -> None:
    assert "2.00 (1.00 to 3.00)" in ledger.lines(FIGURES)


@pytest.mark.nightly
def test_a_filled_ledger_is_used_again(tmp_path: Path) -> None:
    words = ["--acts", "2000", "--repeats", "2", "--data", str(tmp_path)]
    for _ in range(2):
        CliRunner().invoke(ledger.main, words, catch_exceptions=False)
    with open_ledger(find_ledger(tmp_path / "ledger-2000" / "ledger.db")) as filled:
        assert len(filled.find(LIFECYCLE_EVENT)) == 100
