"""One process at a time writes to an output folder."""

from __future__ import annotations

import errno
import fcntl
import threading
from pathlib import Path

import pytest

from minimize.errors import OutputError
from minimize.output.folder import is_locked, take_lock
from minimize.output.publish import open_output


def test_a_folder_is_locked_while_it_is_open(tmp_path: Path) -> None:
    with open_output(tmp_path / "out"):
        assert is_locked(tmp_path / "out")
    assert not is_locked(tmp_path / "out")


def test_the_second_process_is_refused_with_a_clear_error(tmp_path: Path) -> None:
    second = open_output(tmp_path / "out")
    with open_output(tmp_path / "out"), pytest.raises(OutputError, match="another process is writing") as told:
        second.__enter__()
    assert told.value.__context__ is None


def test_a_file_system_without_locks_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuses)
    with (tmp_path / "file").open("w") as file, pytest.raises(OutputError, match="ENOLCK"):
        take_lock(file.fileno(), tmp_path)


def test_checking_for_a_lock_locks_out_no_process(tmp_path: Path) -> None:
    with open_output(tmp_path / "out"):
        pass
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            is_locked(tmp_path / "out")

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        for _ in range(100):
            with open_output(tmp_path / "out", create=False):
                pass
    finally:
        done.set()
        for asker in askers:
            asker.join()
