"""Working folders: private, and removed by the next process once theirs is dead."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from minimize.output.publish import make_working_folder, remove_abandoned_folders, write_new_folder


def killed(folder: Path, purpose: str = "sharing") -> None:
    """A process makes a working folder with a file, and is killed."""

    def work() -> None:
        (make_working_folder(folder, purpose) / "payload").write_text("half")
        os._exit(137)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_is_its_owners_alone(tmp_path: Path) -> None:
    assert stat.S_IMODE(make_working_folder(tmp_path, "sharing").stat().st_mode) == 0o700


def test_a_folder_left_by_a_killed_process_is_removed_by_the_next_one(tmp_path: Path) -> None:
    killed(tmp_path)
    (left,) = names(tmp_path)
    mine = make_working_folder(tmp_path, "sharing")
    assert names(tmp_path) == [mine.name] != [left]


def test_a_new_folder_has_its_name_once_it_is_whole(tmp_path: Path) -> None:
    with write_new_folder(tmp_path / "deep" / "export", "export") as work:
        (work / "a").write_text("a")
        assert not (tmp_path / "deep" / "export").exists()
    assert names(tmp_path / "deep") == ["export"]
    assert names(tmp_path / "deep" / "export") == ["a"]


def test_a_new_folder_that_fails_is_gone(tmp_path: Path) -> None:
    with pytest.raises(InterruptedError), write_new_folder(tmp_path / "export", "export"):
        raise InterruptedError
    assert names(tmp_path) == []


def test_a_new_folder_does_not_replace_an_existing_one(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    with pytest.raises(FileExistsError), write_new_folder(tmp_path / "export", "export"):
        pass
    assert names(tmp_path) == ["export"]


def test_one_whose_process_lives_stays(tmp_path: Path) -> None:
    mine = make_working_folder(tmp_path, "sharing")
    other = make_working_folder(tmp_path, "sharing")
    assert names(tmp_path) == sorted([mine.name, other.name])


def test_one_of_another_purpose_stays(tmp_path: Path) -> None:
    killed(tmp_path, "export")
    remove_abandoned_folders(tmp_path, "sharing")
    assert len(names(tmp_path)) == 1


@pytest.mark.parametrize("machine", ["another boot, or another machine", ""])
def test_a_folder_whose_process_cannot_be_checked_stays(tmp_path: Path, machine: str) -> None:
    killed(tmp_path)
    (folder,) = tmp_path.iterdir()
    pid, born, _, number = folder.name.removeprefix(".sharing-").split("-")
    digest = hashlib.sha256(machine.encode()).hexdigest()[:16]
    folder.rename(tmp_path / f".sharing-{pid}-{born}-{digest}-{number}")
    remove_abandoned_folders(tmp_path, "sharing")
    assert len(names(tmp_path)) == 1


@pytest.mark.parametrize("name", [".sharing-abc", ".sharing-1-2-3-4", "sharing-1"])
def test_a_folder_of_another_name_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    remove_abandoned_folders(tmp_path, "sharing")
    assert names(tmp_path) == [name]
