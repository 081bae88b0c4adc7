"""A full disk: under the output, under what is set aside, under the ledger. A clear error, nothing left, and room is enough."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minimize.checkpoints import at_checkpoint
from minimize.errors import ConfigurationError, LedgerError, MinimizeError
from minimize.stores.file_operations import Operation, OperationKind
from tests.faults.child import Fault, ended
from tests.faults.small_disk import PAGE, Disk
from tests.faults.versions import Versions
from tests.project import Project, events

pytestmark = pytest.mark.slow

Step = Callable[[], None]


def tried(disk: Disk, act: Step, check: Step) -> Iterator[MinimizeError]:
    """Does it again and again with a little more room, until that is enough: the errors."""
    for room in range(0, 400 * PAGE, PAGE):
        disk.leaves(room)
        try:
            act()
        except MinimizeError as error:
            disk.frees()
            check()
            yield error
        else:
            return


def is_clear(error: MinimizeError) -> bool:
    return bool(error.hint) and error.__context__ is None and "minimize" not in error.message


def leftovers(out: Path) -> list[Path]:
    """What a run that published nothing may not leave."""
    runs = [path for path in (out / "runs").iterdir() if path.is_dir()]
    return [path for path in runs if not (path / "receipt.json").exists() and not (path / "intent.json").exists()]


def test_with_any_disk_space_for_the_output_it_is_old_or_new(versions: Versions, disk: Disk, tmp_path: Path) -> None:
    out, ledger = versions.out(disk.folder), tmp_path / "ledger.db"
    shutil.move(out / "ledger.db", ledger)

    def check() -> None:
        assert leftovers(out) == []
        versions.is_whole(out, ledger)

    errors = [*tried(disk, lambda: versions.run(out, ledger), check)]
    assert {error.code for error in errors} <= {"E205", "E208"}
    assert all(map(is_clear, errors))
    assert len(errors) > 2
    disk.frees()
    versions.becomes_new(out, ledger)


@pytest.mark.nightly
def test_with_any_disk_space_for_output_and_ledger_the_output_is_old_or_new(versions: Versions, disk: Disk) -> None:
    out = versions.out(disk.folder)

    def check() -> None:
        assert leftovers(out) == []
        versions.is_whole(out)

    errors = [*tried(disk, lambda: versions.run(out), check)]
    assert {error.code for error in errors} <= {"E205", "E206", "E208"}
    assert all(map(is_clear, errors))
    disk.frees()
    versions.becomes_new(out)


def test_a_ledger_without_disk_space_stops_the_run_before_anything_is_read(project: Project, disk: Disk) -> None:
    ledger = disk.folder / "ledger.db"
    disk.leaves(0)
    with pytest.raises(LedgerError, match=r"disk is full|ENOSPC") as told:
        project.run(ledger=ledger)
    assert is_clear(told.value)
    assert not project.out.exists()
    disk.frees()
    assert [*disk.folder.iterdir()] == []
    assert project.run(ledger=ledger).sequence == 1


def test_with_any_disk_space_the_ledger_is_created_whole_or_not_at_all(project: Project, disk: Disk) -> None:
    ledger = disk.folder / "ledger.db"
    out = project.out

    def check() -> None:
        names = {path.name for path in disk.folder.iterdir()}
        assert names <= {"ledger.db", "ledger.db-wal", "ledger.db-shm"}
        assert ledger.exists() or not list(out.rglob("*.parquet"))

    errors = [*tried(disk, lambda: _run(project, ledger), check)]
    assert {error.code for error in errors} == {"E206"}
    assert all(map(is_clear, errors))


def _run(project: Project, ledger: Path) -> None:
    project.run(ledger=ledger)


def test_a_full_disk_for_spilled_data_stops_the_run(
    project: Project, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{**event, "device_id": f"device {number}"} for number, event in enumerate(events(1500))]
    project.pipeline(records={"deduplicate": {"by": ["device_id"]}})
    project.records(rows)
    monkeypatch.setenv("MINIMIZE_MEMORY", "1")
    monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))
    disk.leaves(0)
    with pytest.raises(ConfigurationError, match="folder for temporary files") as told:
        project.run()
    assert told.value.__context__ is None
    assert project.files() == set()
    disk.frees()
    assert [*disk.folder.iterdir()] == []
    assert project.run().sequence == 1


@pytest.mark.parametrize("largest", [1 << 10, 4 << 10, 32 << 10])
def test_a_file_size_limit_is_reported_and_leaves_the_old_output(
    versions: Versions, out: Path, tmp_path: Path, largest: int
) -> None:
    found = ended(versions.command(out), tmp_path / "said", Fault(largest=largest))
    assert found.code == 2
    assert "Traceback" not in found.said
    assert "error E20" in found.said
    assert leftovers(out) == []
    assert versions.settled(out) == versions.old
    versions.becomes_new(out)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
def test_an_operating_system_error_is_reported_without_the_value_in_its_path(
    versions: Versions, out: Path, number: int
) -> None:
    def full(_: str, operation: Operation) -> None:
        if operation.kind is OperationKind.WRITE:
            raise OSError(number, os.strerror(number), "/a/folder=a value")

    with (
        at_checkpoint("file.operation", full),
        pytest.raises(MinimizeError, match=errno.errorcode[number]) as told,
    ):
        versions.run(out)
    assert told.value.code == "E205"
    assert "a value" not in str(told.value)
    assert leftovers(out) == []
    assert versions.settled(out) == versions.old
