"""Publications that are recorded, cut at every operation, and recovered: what must hold whatever a power cut leaves."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from minimize.errors import MinimizeError
from minimize.output.commit import FolderExchange, exchange_folders
from minimize.output.folder import IDENTITY_FILE, INTENT, LOCK_FILE
from minimize.output.publish import open_output
from minimize.records import RUNS
from minimize.stores.file_operations import Operation, OperationKind
from tests.faults.power_cut_model import Log, Tree, put_tree, record, tree_of

OUT = "out"
Act = Callable[[Path, FolderExchange], None]
"""Does something to an output folder."""


def nothing(folder: Path, exchange: FolderExchange) -> None:
    """Leaves it as it is."""


@dataclass(frozen=True)
class Scenario:
    """What an output holds, and the one publication that is recorded.

    atomic  whether the file system can exchange two folders
    """

    name: str
    before: Act
    act: Act
    atomic: bool = True

    @property
    def exchange(self) -> FolderExchange:
        return exchange_folders if self.atomic else without_exchange


def without_exchange(one: Path, other: Path) -> bool:
    """A file system that cannot exchange two folders."""
    return False


def recover(folder: Path, exchange: FolderExchange) -> None:
    """What the next command does first."""
    with open_output(folder, exchange=exchange):
        pass


@dataclass
class Scratch:
    """Folders for states, in memory if the machine has a file system there."""

    folder: Path
    _count: Iterator[int] = field(default_factory=count)

    @contextmanager
    def holding(self, tree: Tree) -> Iterator[Path]:
        """A folder that holds this, until the block ends."""
        folder = put_tree(tree, self.folder / f"{next(self._count)}")
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


@dataclass
class Recoveries:
    """What recovery makes of a state, each state tried once: the tree it leaves, or what went wrong."""

    scratch: Scratch
    exchange: FolderExchange
    known: dict[frozenset[tuple[str, bytes | None]], Tree | str] = field(default_factory=dict)

    def of(self, state: Tree) -> Tree | str:
        key = frozenset(state.items())
        if key not in self.known:
            self.known[key] = self._tried(state)
        return self.known[key]

    def _tried(self, state: Tree) -> Tree | str:
        with self.scratch.holding(state) as folder:
            try:
                recover(folder / OUT, self.exchange)
                once = unlocked(tree_of(folder))
                recover(folder / OUT, self.exchange)
            except MinimizeError as error:
                return f"recovery failed: {error}"
            return once if unlocked(tree_of(folder)) == once else "a second recovery changes the output"

    def recorded(self, state: Tree) -> list[Operation]:
        """The operations of recovery from a state."""
        with self.scratch.holding(state) as folder:
            return record(folder, lambda folder: recover(folder / OUT, self.exchange))


def unlocked(tree: Tree) -> Tree:
    """The tree without the lock file, which says nothing."""
    return {path: content for path, content in tree.items() if path != f"{OUT}/{RUNS}/{LOCK_FILE}"}


def unnamed(tree: Tree) -> Tree:
    """The tree without the output's identity, which an output gets before its first run, and may lose until that is done."""
    return {path: content for path, content in tree.items() if path != f"{OUT}/{RUNS}/{IDENTITY_FILE}"}


@dataclass(frozen=True)
class Recording:
    """One publication's operations, the output before it and after it, and how states recover."""

    operations: Sequence[Operation]
    base: Tree
    end: Tree
    old: Tree
    new: Tree
    recoveries: Recoveries

    @property
    def log(self) -> Log:
        return Log(self.base, self.operations)

    def without(self, position: int) -> Recording:
        """The same without one operation: as if the code had forgotten it."""
        return self.of([each for number, each in enumerate(self.operations) if number != position])

    def of(self, operations: Sequence[Operation]) -> Recording:
        """The same of other operations."""
        return replace(self, operations=operations)

    def version(self, state: Tree) -> str:
        """`old` or `new`, whichever a state recovers to; else what is wrong."""
        found = self.recoveries.of(state)
        if isinstance(found, str):
            return found
        if found == self.new:
            return "new"
        return "old" if unnamed(found) == unnamed(self.old) else difference(found, self.new)


def difference(found: Tree, new: Tree) -> str:
    """What an output holds that is neither the old one nor the new one, by paths."""
    missing, extra = sorted(new.keys() - found.keys()), sorted(found.keys() - new.keys())
    return f"neither old nor new: missing {missing[:3]}, extra {extra[:3]}"


def recording(scenario: Scenario, scratch: Scratch) -> Recording:
    """Records a scenario's publication."""
    recoveries = Recoveries(scratch, scenario.exchange)
    with scratch.holding({}) as folder:
        scenario.before(folder / OUT, scenario.exchange)
        base = tree_of(folder)
        operations = record(folder, lambda folder: scenario.act(folder / OUT, scenario.exchange))
        end = tree_of(folder)
    old, new = recoveries.of(base), recoveries.of(end)
    assert not isinstance(old, str)
    assert not isinstance(new, str)
    assert old != new
    return Recording(operations, base, end, old, new, recoveries)


def decided_at(operations: Sequence[Operation]) -> int:
    """The position of the rename that gives the intent its name."""
    (found,) = (n for n, each in enumerate(operations) if each.kind is OperationKind.RENAME and named(each) == INTENT)
    return found


def named(operation: Operation) -> str:
    """The new name that a rename gives."""
    return "" if operation.new is None else operation.new.name


def lasts_from(operations: Sequence[Operation]) -> int:
    """From how many operations on the new version must last: the intent has its name, and that is synced."""
    decided = decided_at(operations)
    run = operations[decided].path
    assert run is not None
    later = range(decided + 1, len(operations))
    synced = (n for n in later if operations[n].kind is OperationKind.SYNC and operations[n].path == run.parent)
    return next(synced, len(operations) - 1) + 1


def allowed(operations: Sequence[Operation]) -> Callable[[int], frozenset[str]]:
    """The versions that a cut after so many operations may leave."""
    decided, lasts = decided_at(operations), lasts_from(operations)

    def versions(length: int) -> frozenset[str]:
        return frozenset(["new"] if length >= lasts else ["old"] if length <= decided else ["old", "new"])

    return versions


def faults(made: Recording) -> Iterator[str]:
    """What is wrong with the states that a power cut at any operation leaves."""
    log, versions = made.log, allowed(made.operations)
    for length in range(len(made.operations) + 1):
        for state in log.states(length):
            found = made.version(state)
            if found not in versions(length):
                yield f"after {length} operations: {found}"


def faults_in_recovery(made: Recording, every: int) -> Iterator[str]:
    """What is wrong if recovery from a state is cut by a second power cut; tries every so-manieth state."""
    log, seen = made.log, set[frozenset[tuple[str, bytes | None]]]()
    for length in range(len(made.operations) + 1):
        for state in log.states(length):
            key = frozenset(state.items())
            if key in seen:
                continue
            seen.add(key)
            if len(seen) % every == 0:
                yield from _cut_again(made, state, length)


def _cut_again(made: Recording, state: Tree, length: int) -> Iterator[str]:
    version = made.version(state)
    recovery = Log(state, made.recoveries.recorded(state))
    for again in range(len(recovery.operations) + 1):
        for after in recovery.states(again):
            found = made.version(after)
            if found != version:
                yield f"after {length} operations and {again} of recovery: {found}, not {version}"


def faults_in_recovery_after_a_kill(made: Recording, every: int) -> Iterator[str]:
    """What is wrong if the process is killed, the next command recovers, and the power is cut during that.

    Nothing is lost by a kill, so the second process sees names that are not on the disk yet. Tries every so-manieth operation.
    """
    first = (decided_at(made.operations) + 1) % every
    for length in range(first, len(made.operations) + 1, every):
        version = made.version(made.log.live(length))
        if version not in allowed(made.operations)(length + 1) | allowed(made.operations)(length):
            yield f"killed after {length} operations: {version}"
        log, _ = killed(made, length, nothing)
        for again in range(length, len(log.operations) + 1):
            versions = {version} if again == len(log.operations) or version == "old" else {"old", "new"}
            for state in log.states(again):
                found = made.version(state)
                if found not in versions:
                    yield f"killed after {length} operations, cut {again - length} later: {found}"


def faults_after_a_kill(made: Recording, then: Act) -> Iterator[str]:
    """What is wrong if the process is killed at any operation, the next one publishes, and the power is cut once that is done."""
    for length in range(len(made.operations) + 1):
        log, end = killed(made, length, then)
        for state in log.states(len(log.operations)):
            found = made.recoveries.of(state)
            if found != end:
                what = found if isinstance(found, str) else difference(found, end)
                yield f"killed after {length} operations, cut once the next command was done: {what}"


def killed(made: Recording, length: int, then: Act) -> tuple[Log, Tree]:
    """All operations, of the process that was killed and of the next one, and what they leave without a power cut."""

    def act(folder: Path) -> None:
        recover(folder / OUT, made.recoveries.exchange)
        then(folder / OUT, made.recoveries.exchange)

    with made.recoveries.scratch.holding(made.log.live(length)) as folder:
        later = record(folder, act)
        return Log(made.base, [*made.operations[:length], *later]), unlocked(tree_of(folder))
