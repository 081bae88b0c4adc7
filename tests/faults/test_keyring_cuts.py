"""A power cut at any operation on a keyring leaves the old keyring or the new one, and a destroyed key is nowhere any more."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from minimize.errors import KeyringError
from minimize.keys import add_key, new_keyring
from minimize.keys.keyring import KeyEntry, destroy_key, keyring_bytes, read_entries
from minimize.stores.file_operations import OperationKind
from tests.faults.power_cut_model import Log, Tree, put_tree, record, tree_of
from tests.project import AT

NAME = "a.keys"
Act = Callable[[Path], object]
numbers = count()


def nothing(folder: Path) -> None:
    """There is no keyring."""


def make(folder: Path) -> None:
    new_keyring(folder / NAME, ["device"], now=AT)


def add(folder: Path) -> None:
    add_key(folder / NAME, "device", now=AT)


def destroy(folder: Path) -> None:
    destroy_key(folder / NAME, "device", 1, now=AT)


ACTS = ((nothing, make), (make, add), (make, destroy))


def entries(folder: Path) -> tuple[KeyEntry, ...]:
    """The keys; none if there is no file."""
    return read_entries(folder / NAME) if (folder / NAME).exists() else ()


@pytest.fixture(name="log", params=ACTS, ids=lambda acts: acts[1].__name__)
def _log(request: pytest.FixtureRequest, tmp_path: Path) -> Log:
    before, act = request.param
    (tmp_path / "recorded").mkdir()
    before(tmp_path / "recorded")
    base = tree_of(tmp_path / "recorded")
    return Log(base, record(tmp_path / "recorded", act))


def keys_of(tree: Tree, folder: Path) -> tuple[KeyEntry, ...]:
    return entries(put_tree(tree, folder / f"{next(numbers)}"))


def test_all_recorded_operations_give_the_keyring(log: Log, tmp_path: Path) -> None:
    assert log.live() == tree_of(tmp_path / "recorded")


def wrong(log: Log, folder: Path) -> Iterator[str]:
    """What is wrong with the states that a power cut at any operation leaves."""
    old, new = keys_of(log.base, folder), keys_of(log.live(), folder)
    last = len(log.operations)
    for length in range(last + 1):
        for state in log.states(length):
            try:
                found = keys_of(state, folder)
            except KeyringError as error:
                yield f"after {length} operations: {error}"
                continue
            if found not in ((new,) if length == last else (old, new)):
                yield f"after {length} operations: another keyring"


def test_a_power_cut_leaves_old_or_new(log: Log, tmp_path: Path) -> None:
    assert [*wrong(log, tmp_path)] == []


def test_a_sync_that_is_left_out_is_missed(log: Log, tmp_path: Path) -> None:
    """The control: without any sync a keyring may be torn, or lost when the command is done."""
    unsynced = [each for each in log.operations if each.kind.value != "sync"]
    assert [*wrong(Log(log.base, unsynced), tmp_path)]


def test_a_key_that_is_destroyed_is_in_no_file_after_an_earlier_kill(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    make(first)
    (secret,) = (each.secret for each in entries(first) if each.name == "device")
    adding = Log(tree_of(first), record(first, add))
    renamed = next(n for n, each in enumerate(adding.operations) if each.kind is OperationKind.RENAME)
    second = put_tree(adding.live(renamed), tmp_path / "second")
    assert len([*second.iterdir()]) == 2
    log = Log(tree_of(second), record(second, destroy))
    for state in log.states(len(log.operations)):
        assert [*state] == [NAME]
        assert base64.b64encode(secret) not in b"".join(content or b"" for content in state.values())


def test_other_files_next_to_a_keyring_stay(tmp_path: Path) -> None:
    make(tmp_path)
    others = [f".{NAME}.backup", f".b.keys.{16 * 'a'}", f"{NAME}.{16 * 'a'}"]
    for name in others:
        (tmp_path / name).write_bytes(keyring_bytes(()))
    add(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {NAME, *others}
