"""A power cut at any operation of a publication leaves the old output or the new one, once the next command has recovered it."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from minimize.errors import OutputError
from minimize.output.folder import INTENT
from minimize.output.publish import open_output
from minimize.stores import durable_files
from minimize.stores.file_operations import Operation, OperationKind, sync_folder
from tests.faults.power_cut_checks import (
    OUT,
    Recording,
    Scenario,
    Scratch,
    faults,
    faults_after_a_kill,
    faults_in_recovery,
    faults_in_recovery_after_a_kill,
    killed,
    nothing,
    recording,
)
from tests.faults.power_cut_model import record
from tests.faults.publications import SCENARIOS, third
from tests.sources.publishing import FLEET, check_whole, making, rows

STATES, OPERATIONS = 61, 11
"""Of the states whose recovery is cut again, and the operations at which a process is killed, every so-manieth is tried."""


@pytest.fixture(scope="module", name="scratch")
def _scratch() -> Iterator[Scratch]:
    memory = Path("/dev") / "shm"
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Scratch(Path(folder))


def marked(scenario: Scenario, heavy: str) -> Any:
    """A scenario as a parameter; the heaviest is slow, since the others show the same behaviour."""
    return pytest.param(scenario, id=scenario.name, marks=[pytest.mark.slow] if scenario.name == heavy else [])


@pytest.fixture(scope="module", name="made", params=[marked(each, "after one that failed") for each in SCENARIOS])
def _made(request: pytest.FixtureRequest, scratch: Scratch) -> Recording:
    """A recorded publication."""
    scenario: Scenario = request.param
    return recording(scenario, scratch)


def scenario(name: str) -> Scenario:
    (found,) = (each for each in SCENARIOS if each.name == name)
    return found


NAMES = ("first run", "rerun by two renames", "undated rerun", "rewrite")
FEW = pytest.mark.parametrize("made", [marked(scenario(each), "rerun by two renames") for each in NAMES], indirect=True)
"""The publications that two faults in a row are tried on; nightly it is all of them."""


def test_all_recorded_operations_give_the_output(made: Recording) -> None:
    assert made.log.live() == made.end


def test_the_old_version_and_the_new_one_are_whole(made: Recording, scratch: Scratch) -> None:
    for tree in (made.old, made.new):
        with scratch.holding(tree) as folder:
            check_whole(folder / OUT)


def test_a_power_cut_at_any_operation_leaves_old_or_new(
    made: Recording, record_property: Callable[[str, object], None]
) -> None:
    assert [*faults(made)] == []
    record_property("states", len(made.recoveries.known))
    assert len(made.recoveries.known) > 20


@FEW
def test_a_second_power_cut_during_recovery_changes_nothing(made: Recording) -> None:
    assert [*faults_in_recovery(made, STATES)] == []


@FEW
def test_a_kill_and_a_power_cut_during_the_next_recovery_leave_old_or_new(made: Recording) -> None:
    assert [*faults_in_recovery_after_a_kill(made, OPERATIONS)] == []


@FEW
def test_a_kill_and_a_power_cut_after_the_next_publication_leave_that_one(made: Recording) -> None:
    assert [*faults_after_a_kill(made, third)] == []


def unsynced(folder: Path) -> None:
    """A sync that fails for the folder of a run whose intent has its name."""
    if (folder / INTENT).exists():
        raise OSError(errno.EIO, "the disk is broken")
    sync_folder(folder)


def fail(folder: Path) -> None:
    """A publication whose intent cannot be synced, so that it is taken back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable_files, "sync_folder", unsynced)
        with pytest.raises(OutputError):
            undated_or_nothing(folder)


def undated_or_nothing(folder: Path) -> None:
    """Publishes what `undated` does, or takes it back."""
    with open_output(folder) as output:
        made = making(output, "run2")
        with made.staging:
            made.put("fleet", None, FLEET, rows(FLEET, "run2", 2))
            made.publish()


def test_a_publication_that_is_taken_back_and_killed_on_the_way_is_old_or_new(scratch: Scratch) -> None:
    made = recording(scenario("undated rerun"), scratch)
    with scratch.holding(made.base) as folder:
        failed = made.of(record(folder, lambda folder: fail(folder / OUT)))
    removed = position(failed, OperationKind.REMOVE, "intent.json")
    for length in range(removed, len(failed.operations) + 1):
        log, _ = killed(failed, length, nothing)
        states = (state for again in range(length, len(log.operations) + 1) for state in log.states(again))
        assert {failed.version(state) for state in states} <= {"old", "new"}


@pytest.mark.nightly
def test_second_power_cuts_and_kills_at_every_operation(made: Recording) -> None:
    assert [*faults_in_recovery(made, 1)] == []
    assert [*faults_in_recovery_after_a_kill(made, 1)] == []
    assert [*faults_after_a_kill(made, third)] == []


def labelled(operations: Sequence[Operation]) -> Iterator[tuple[int, str]]:
    """The syncs among the operations, with the path of the file or folder that is synced."""
    names = dict[int, Path]()
    for position, each in enumerate(operations):
        if each.path is not None and each.kind in (OperationKind.CREATE, OperationKind.OPEN):
            names[each.inode] = each.path
        if each.kind is OperationKind.SYNC:
            yield position, str(each.path or names[each.inode])


def needed(made: Recording) -> set[str]:
    """The syncs without which some power cut leaves neither the old version nor the new one."""
    return {label for position, label in labelled(made.operations) if next(faults(made.without(position)), None)}


def test_each_sync_that_a_first_run_needs_is_missed_if_it_is_left_out(scratch: Scratch) -> None:
    made = recording(scenario("first undated run"), scratch)
    run = "out/runs/run1"
    staged = {f"{run}/staging/fleet/run1-0.parquet", f"{run}/staging/fleet", f"{run}/staging"}
    decided = {".", "out", "out/runs", f"{run}/intent.json.tmp", run}
    assert needed(made) == {*staged, *decided, f"{run}/receipt.json.tmp"}


def test_each_sync_that_a_rewrite_needs_is_missed_if_it_is_left_out(scratch: Scratch) -> None:
    made = recording(scenario("rewrite without links"), scratch)
    run, day = "out/runs/run2", "records/date=2026-11-24"
    copied, staged = f"{run}/staging/{day}/run1-2.parquet", f"{run}/staging/{day}/run2-0.parquet"
    decided = {f"{run}/settings.csv.tmp", f"{run}/staging/{day}", f"{run}/intent.json.tmp", run, "out/runs"}
    swapped = {"out/records", f"{run}/staging/records", f"{run}/replaced/records"}
    assert needed(made) == {copied, staged, *decided, *swapped, f"{run}/receipt.json.tmp"}


def position(made: Recording, kind: OperationKind, end: str) -> int:
    """The first operation of this kind whose path, or new path, ends so."""
    found = (
        n for n, each in enumerate(made.operations) if each.kind is kind and str(each.new or each.path).endswith(end)
    )
    return next(found)


def moved(made: Recording, block: range, to: int) -> Recording:
    """The same with some operations earlier, in front of another one."""
    operations = [*made.operations]
    early = operations[block.start : block.stop]
    return made.of([*operations[:to], *early, *operations[to : block.start], *operations[block.stop :]])


def receipt_of(made: Recording) -> range:
    """The operations that write the receipt."""
    return range(
        position(made, OperationKind.CREATE, "receipt.json.tmp"),
        position(made, OperationKind.RENAME, "receipt.json") + 2,
    )


def test_a_receipt_before_the_partitions_is_found(scratch: Scratch) -> None:
    made = recording(scenario("rewrite by two renames"), scratch)
    early = moved(made, receipt_of(made), position(made, OperationKind.RENAME, "intent.json") + 2)
    assert next(faults(early), None)


def test_cleaning_before_the_receipt_is_found(scratch: Scratch) -> None:
    made = recording(scenario("rewrite by two renames"), scratch)
    receipt = receipt_of(made)
    early = moved(made, range(receipt.stop, len(made.operations)), receipt.start)
    assert next(faults(early), None)


def test_an_intent_before_the_staged_files_is_found(scratch: Scratch) -> None:
    made = recording(scenario("first undated run"), scratch)
    intent = range(
        position(made, OperationKind.CREATE, "intent.json.tmp"), position(made, OperationKind.RENAME, "intent.json") + 2
    )
    early = moved(made, intent, position(made, OperationKind.MAKE_FOLDER, "staging"))
    assert next(faults(early), None)
