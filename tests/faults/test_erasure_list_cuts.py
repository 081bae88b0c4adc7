"""A power cut at any operation on the erasure list of an output leaves the old list or the new one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from minimize.datasets.erasure_list import StoredErasures
from minimize.errors import OutputError
from minimize.keys import Keyring, new_keyring
from minimize.ledger.subject_kinds import LifecycleEvent
from minimize.ledger.subject_tokens import subject_token
from tests.faults.power_cut_model import Log, Tree, put_tree, record, tree_of
from tests.project import AT

Act = Callable[[Path], object]
numbers = count()


@pytest.fixture(scope="module", name="keys")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return new_keyring(tmp_path_factory.mktemp("keys") / "test.keys", now=AT)


def erased(keys: Keyring, *subjects: str) -> list[LifecycleEvent]:
    at = AT + timedelta(seconds=1)
    tokens = [subject_token(keys, "north", each) for each in subjects]
    return [LifecycleEvent("north", token, "erasure", at, "recorded", "{}", at, "ann") for token in tokens]


def tokens(tree: Tree, folder: Path, keys: Keyring) -> frozenset[str | None]:
    return frozenset(row.subject for row in StoredErasures(put_tree(tree, folder / f"{next(numbers)}"), keys).read())


@pytest.fixture(name="log", params=[(), ("d1",), ("d1", "d2")], ids=["the first list", "one more", "two more"])
def _log(request: pytest.FixtureRequest, tmp_path: Path, keys: Keyring) -> Log:
    """A recorded change of a list."""
    folder = tmp_path / "out"
    folder.mkdir()
    StoredErasures(folder, keys).store(erased(keys, *request.param), AT)
    base = tree_of(folder)
    return Log(
        base, record(folder, lambda out: StoredErasures(out, keys).store(erased(keys, *request.param, "d3"), AT))
    )


def wrong(log: Log, folder: Path, keys: Keyring) -> Iterator[str]:
    """What is wrong with the states that a power cut at any operation leaves."""
    old, new = tokens(log.base, folder, keys), tokens(log.live(), folder, keys)
    last = len(log.operations)
    for length in range(last + 1):
        for state in log.states(length):
            try:
                found = tokens(state, folder, keys)
            except OutputError as error:
                yield f"after {length} operations: {error}"
                continue
            if not (new if length == last else old) <= found <= new:
                yield f"after {length} operations: {len(found)} of {len(new)}"


def test_a_power_cut_leaves_old_or_new(log: Log, tmp_path: Path, keys: Keyring) -> None:
    assert [*wrong(log, tmp_path, keys)] == []


def test_a_sync_that_is_left_out_is_missed(log: Log, tmp_path: Path, keys: Keyring) -> None:
    """The control: without any sync a list may be torn, or lost when the command is done."""
    unsynced = [each for each in log.operations if each.kind.value != "sync"]
    assert [*wrong(Log(log.base, unsynced), tmp_path, keys)]
