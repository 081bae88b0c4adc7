"""Two folders change places in one step, where the system can."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from minimize.errors import OutputError
from minimize.output.recovery import exchange_folders, no_exchange


def folders(root: Path) -> tuple[Path, Path]:
    for name in "ab":
        (root / name).mkdir()
        (root / name / name).touch()
    return root / "a", root / "b"


def test_two_folders_change_places(tmp_path: Path) -> None:
    one, other = folders(tmp_path)
    swapped = exchange_folders(one, other)
    assert swapped is (sys.platform == "linux")
    assert (one / ("b" if swapped else "a")).exists()


def test_a_folder_that_is_not_there_is_an_error_that_names_no_path(tmp_path: Path) -> None:
    one, _ = folders(tmp_path)
    with pytest.raises(OutputError, match="ENOENT"):
        exchange_folders(one, tmp_path / "none")
    assert (one / "a").exists()


def test_where_nothing_can_be_swapped_nothing_is(tmp_path: Path) -> None:
    one, other = folders(tmp_path)
    assert not no_exchange(one, other)
    assert (one / "a").exists()
