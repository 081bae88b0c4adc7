"""The budget: where it is said, how it is written, and how it is shared."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

from minimize.errors import ConfigurationError
from minimize.spill import DEFAULT_MEMORY, MemoryBudget, find_budget
from minimize.spill.space import parse_size


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "minimize.yaml").write_text("memory: 64MiB\n")
    return tmp_path


def test_the_environment_comes_first_then_the_configuration_then_a_constant(folder: Path, tmp_path: Path) -> None:
    assert find_budget(folder, {"MINIMIZE_MEMORY": "1 GiB"}) == 1 << 30
    assert find_budget(folder, {}) == 64 << 20
    (folder / "minimize.yaml").write_text("keys: a\n")
    assert find_budget(folder, {}) == DEFAULT_MEMORY == 256 << 20
    (folder / "minimize.yaml").unlink()
    assert find_budget(folder, {}) == DEFAULT_MEMORY


@pytest.mark.parametrize("text", ["", "much", "-1", "1.5GB", "12 parsecs", ["1"], True])
def test_what_is_no_size_is_a_fault(text: Any) -> None:
    with pytest.raises(ConfigurationError, match="no size"):
        parse_size(text, "here")


def test_a_configuration_that_says_nonsense_is_told_of(folder: Path) -> None:
    (folder / "minimize.yaml").write_text("memory: lots\n")
    with pytest.raises(ConfigurationError, match=r"`memory:` of minimize\.yaml"):
        find_budget(folder, {})


def test_a_configuration_that_cannot_be_read_is_left_to_those_who_need_it(folder: Path) -> None:
    (folder / "minimize.yaml").write_text("{")
    assert find_budget(folder, {}) == DEFAULT_MEMORY


def test_holders_have_equal_parts_as_long_as_they_hold() -> None:
    budget = MemoryBudget(1200)
    first, second = budget.share(), budget.share()
    assert (first.bytes, second.bytes) == (600, 600)
    del second
    gc.collect()
    assert first.bytes == 1200


def test_no_limit_is_no_limit() -> None:
    assert MemoryBudget(None).share().bytes is None
