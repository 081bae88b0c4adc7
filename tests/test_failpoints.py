"""Fail points do nothing unless they are asked for by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from minimize.failpoints import FAIL_POINTS, KILLED, VARIABLE, fail_point


def test_nothing_happens_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    for name in FAIL_POINTS:
        fail_point(name)


def test_nothing_happens_at_another_point_or_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "swap.after#1")
    fail_point("swap.before", 1)
    fail_point("swap.after", 0)
    fail_point("swap.after", 2)


def test_a_name_that_is_not_listed_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no fail point"):
        fail_point("swap")


@pytest.mark.parametrize(("said", "turn"), [("swap.after", 0), ("swap.after#2", 2), ("swap.after#0", 0)])
def test_the_process_ends_at_once_where_it_is_told(said: str, turn: int) -> None:
    code = f"from minimize.failpoints import fail_point\ntry: fail_point('swap.after', {turn})\nfinally: print('late')"
    found = subprocess.run([sys.executable, "-c", code], env={VARIABLE: said}, capture_output=True, check=False)
    assert (found.returncode, found.stdout) == (KILLED, b"")
