"""Files that are held open can be read to their end, whatever becomes of their names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from minimize.server.snapshot import PinnedFiles


def test_what_is_held_can_be_read_after_it_is_gone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    held = PinnedFiles()
    with held.pin(tmp_path, ["a"]) as places:
        (tmp_path / "a").unlink()
        assert Path(str(places["a"])).read_bytes() == b"content"
        assert Path(str(places["a"])).read_bytes() == b"content"
    assert held.count == 0


def test_readers_share_what_they_hold_and_the_last_lets_go(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    held = PinnedFiles()
    with held.pin(tmp_path, ["a"]):
        with held.pin(tmp_path, ["a"]) as places:
            assert held.count == 1
        assert Path(str(places["a"])).read_bytes() == b"content"
    assert held.count == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(int(Path(str(places["a"])).name))


def test_where_one_is_gone_none_is_held(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    held = PinnedFiles()
    with pytest.raises(FileNotFoundError), held.pin(tmp_path, ["a", "b"]):
        pass
    assert held.count == 0
