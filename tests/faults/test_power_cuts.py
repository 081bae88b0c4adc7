"""A power cut at any operation of a publication leaves the old output or the new one, once the next command has recovered it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from minimize.disk import Kind, Operation
from tests.faults.power_cuts import (
    OUT,
    Recording,
    Scenario,
    Scratch,
    faults,
    faults_after_a_kill,
    faults_in_recovery,
    recording,
)
from tests.faults.publications import SCENARIOS, third
from tests.io.publishing import check_whole

STATES, OPERATIONS = 41, 11
"""Of the states whose recovery is cut again, and the operations at which a process is killed, every so-manieth is tried."""


@pytest.fixture(scope="module", name="scratch")
def _scratch() -> Iterator[Scratch]:
    memory = Path("/dev") / "shm"
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Scratch(Path(folder))


@pytest.fixture(scope="module", name="made", params=SCENARIOS, ids=[each.name for each in SCENARIOS])
def _made(request: pytest.FixtureRequest, scratch: Scratch) -> Recording:
    """A recorded publication."""
    scenario: Scenario = request.param
    return recording(scenario, scratch)


def scenario(name: str) -> Scenario:
    (found,) = (each for each in SCENARIOS if each.name == name)
    return found


def test_all_recorded_operations_give_the_output(made: Recording) -> None:
    assert made.log.live() == made.end


def test_the_old_version_and_the_new_one_are_whole(made: Recording, scratch: Scratch) -> None:
    for tree in (made.old, made.new):
        with scratch.holding(tree) as folder:
            check_whole(folder / OUT)


def test_a_power_cut_at_any_operation_leaves_old_or_new(made: Recording) -> None:
    assert [*faults(made)] == []


def test_a_second_power_cut_during_recovery_changes_nothing(made: Recording) -> None:
    assert [*faults_in_recovery(made, STATES)] == []


def test_a_kill_and_a_power_cut_during_the_next_recovery_leave_old_or_new(made: Recording) -> None:
    assert [*faults_after_a_kill(made, OPERATIONS)] == []


def test_a_kill_and_a_power_cut_after_the_next_publication_leave_that_one(made: Recording) -> None:
    assert [*faults_after_a_kill(made, OPERATIONS, third)] == []


@pytest.mark.nightly
def test_second_power_cuts_and_kills_at_every_operation(made: Recording) -> None:
    assert [*faults_in_recovery(made, 1)] == []
    assert [*faults_after_a_kill(made, 1)] == []
    assert [*faults_after_a_kill(made, 1, third)] == []


def labelled(operations: Sequence[Operation]) -> Iterator[tuple[int, str]]:
    """The syncs among the operations, with the path of the file or folder that is synced."""
    names = dict[int, Path]()
    for position, each in enumerate(operations):
        if each.path is not None and each.kind in (Kind.CREATE, Kind.OPEN):
            names[each.inode] = each.path
        if each.kind is Kind.SYNC:
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


def position(made: Recording, kind: Kind, end: str) -> int:
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
    return range(position(made, Kind.CREATE, "receipt.json.tmp"), position(made, Kind.RENAME, "receipt.json") + 2)


def test_a_receipt_before_the_partitions_is_found(scratch: Scratch) -> None:
    made = recording(scenario("rewrite by two renames"), scratch)
    early = moved(made, receipt_of(made), position(made, Kind.RENAME, "intent.json") + 2)
    assert next(faults(early), None)


def test_cleaning_before_the_receipt_is_found(scratch: Scratch) -> None:
    made = recording(scenario("rewrite by two renames"), scratch)
    receipt = receipt_of(made)
    early = moved(made, range(receipt.stop, len(made.operations)), receipt.start)
    assert next(faults(early), None)


def test_an_intent_before_the_staged_files_is_found(scratch: Scratch) -> None:
    made = recording(scenario("first undated run"), scratch)
    intent = range(position(made, Kind.CREATE, "intent.json.tmp"), position(made, Kind.RENAME, "intent.json") + 2)
    early = moved(made, intent, position(made, Kind.MAKE_FOLDER, "staging"))
    assert next(faults(early), None)
