"""Commands beside `run` on a full disk: an error in words, no half file that stands in the way, and room is enough."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from minimize.drafting import init_pipeline
from minimize.errors import KeyringError, MinimizeError
from minimize.keys import Keyring, add_key, new_keyring
from minimize.ledger.audit_event import ALL_ENTRIES
from tests.calls import export_audit
from tests.faults.small_disk import PAGE, Disk
from tests.project import AT, Project


def refused(disk: Disk, act: Callable[[], object], room: int = 0) -> MinimizeError:
    """The error of an act that finds no room; it leaves nothing."""
    before = {path.name for path in disk.folder.iterdir()}
    disk.leaves(room)
    with pytest.raises(MinimizeError) as told:
        act()
    disk.frees()
    left = {path for path in disk.folder.rglob("*") if path.name not in before and path.is_file()}
    assert left == set()
    assert "full" in told.value.message or "No space" in told.value.message
    assert told.value.__context__ is None
    return told.value


def test_a_new_keyring(disk: Disk) -> None:
    file = disk.folder / "a.keys"
    assert isinstance(refused(disk, lambda: new_keyring(file, ["device"], now=AT)), KeyringError)
    assert new_keyring(file, ["device"], now=AT).version_of("device") == 1


def test_a_key_that_is_added(disk: Disk) -> None:
    file = disk.folder / "a.keys"
    new_keyring(file, ["device"], now=AT)
    refused(disk, lambda: add_key(file, "device", now=AT))
    assert Keyring.load(file).version_of("device") == 1
    assert add_key(file, "device", now=AT).version_of("device") == 2


@pytest.mark.parametrize("room", [0, PAGE])
def test_a_first_policy(project: Project, disk: Disk, room: int) -> None:
    data = project.folder / "data"
    refused(disk, lambda: init_pipeline(data, disk.folder / "first"), room)
    assert len(init_pipeline(data, disk.folder / "first")) == 2


def test_an_audit_log_that_is_exported(project: Project, disk: Disk) -> None:
    project.run()
    file = disk.folder / "log.ndjson"
    refused(disk, lambda: export_audit(None, file, ALL_ENTRIES, output=project.out))
    assert export_audit(None, file, ALL_ENTRIES, output=project.out).entries == len(file.read_text().splitlines()) == 2
