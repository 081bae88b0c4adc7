"""A publication into an object store may end after any request: the next command makes it the old output or the new one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from minimize.errors import MinimizeError
from minimize.output.folder import SUCCESS
from minimize.output.publish import open_output
from minimize.receipts import Receipt
from minimize.records import RUNS
from minimize.removal.rewrite import rewrite_files
from minimize.removal.rewrite_receipt import RewriteResult
from minimize.stores import ObjectPath
from tests.faults.object_store import NAME, Step, Store, states
from tests.sources.publishing import RECORDS, making, new, old, receipt_for, rows

Objects = dict[str, bytes]
Act = Callable[[ObjectPath], None]


def lease() -> None:
    """The lease on the output is still held."""


def first(output: ObjectPath) -> None:
    old(output, lease=lease)


def rerun(output: ObjectPath) -> None:
    new(output, lease=lease)


def two_files(output: ObjectPath) -> None:
    with open_output(output, lease=lease) as opened:
        made = making(opened, "run1")
        for part in range(2):
            made.put("records", "2026-11-24", RECORDS, rows(RECORDS, f"part{part}-", 2), part=part)
        made.publish()


def rewritten(output: ObjectPath) -> None:
    """Rewrites one file; the other stays where it is."""

    def receipt(done: RewriteResult) -> Receipt:
        made = receipt_for(opened, "run2", done.written, kind="expire")
        return replace(made, replaces=done.replaces, removes=done.removes)

    with open_output(output, lease=lease) as opened:
        rewrite_files(opened, "run2", {"records/date=2026-11-24/run1-0.parquet": lambda batch: batch}, receipt)


def adopted(output: ObjectPath) -> None:
    """Publishes what another process wrote; a second attempt is not adopted."""
    with open_output(output, lease=lease) as opened:
        made = making(opened, "run2")
        elsewhere = made.staging.worker_files("records", "2026-11-24", RECORDS).prepare()
        for attempt in ("0-t0", "0-t1"):
            sink = elsewhere.sink(attempt)
            sink.write(rows(RECORDS, attempt, 3))
            written = sink.close()
        made.written["records"] = tuple(elsewhere.adopt("0-t1", written))
        made.publish()


def nothing(output: ObjectPath) -> None:
    """Leaves the bucket empty."""


@dataclass(frozen=True)
class Recording:
    """The requests of one publication, and the bucket before and after it."""

    steps: list[Step]
    old: Objects
    new: Objects

    @property
    def decided(self) -> int:
        """After so many steps the new version counts: the intent is put."""
        (found,) = (
            number for number, step in enumerate(self.steps) if step.key.endswith("/intent.json") and step.content
        )
        return found + 1

    def version(self, state: Objects) -> str:
        found = recovered(state)
        if isinstance(found, str):
            return found
        return "old" if found == self.old else "new" if found == self.new else f"neither: {sorted(found)}"


def recovered(state: Objects) -> Objects | str:
    """What the next command makes of it, or its error."""
    store = Store(dict(state))
    try:
        recover(store)
        once = dict(store.objects)
        recover(store)
    except MinimizeError as error:
        return f"recovery failed: {error}"
    return once if store.objects == once else "a second recovery changes the output"


def recover(store: Store) -> None:
    with open_output(store.output(), lease=lease):
        pass


PUBLICATIONS = {
    "first run": (nothing, first),
    "rerun": (first, rerun),
    "rewrite": (two_files, rewritten),
    "adopted": (first, adopted),
}


@pytest.fixture(name="made", params=PUBLICATIONS)
def _made(request: pytest.FixtureRequest) -> Recording:
    before, act = PUBLICATIONS[request.param]
    store = Store({f"{NAME}/other": b"another's"})
    before(store.output())
    base = dict(store.objects)
    store.steps.clear()
    act(store.output())
    return Recording([*store.steps], base, dict(store.objects))


def cuts(made: Recording) -> Iterator[tuple[int, str, Objects]]:
    """Every state, with the version that it must recover to."""
    for length in range(len(made.steps) + 1):
        for state in states(made.old, made.steps, length):
            yield length, "new" if length >= made.decided else "old", state


def partitions(objects: Objects) -> dict[str, set[str]]:
    """The names in each partition."""
    found: dict[str, set[str]] = {}
    for key in objects:
        if f"/{RUNS}/" not in key:
            folder, _, name = key.rpartition("/")
            found.setdefault(folder, set()).add(name)
    return found


def marked(objects: Objects) -> dict[str, set[str]]:
    """The names in each partition that has a `_SUCCESS`."""
    return {folder: names for folder, names in partitions(objects).items() if SUCCESS in names}


def test_all_recorded_requests_give_the_output(made: Recording) -> None:
    assert [*states(made.old, made.steps, len(made.steps))] == [made.new]


def test_a_publication_that_ends_after_any_request_is_old_or_new(made: Recording) -> None:
    assert [(length, found) for length, version, state in cuts(made) if (found := made.version(state)) != version] == []


def test_a_partition_with_a_success_mark_is_old_or_new(made: Recording) -> None:
    """Readers take `_SUCCESS` for a sign that a partition is complete."""
    old, new = marked(made.old), marked(made.new)
    assert new
    for _, _, state in cuts(made):
        for folder, names in marked(state).items():
            assert names in (old.get(folder), new.get(folder))


def test_a_partition_holds_all_old_files_or_all_new_ones(made: Recording) -> None:
    old, new = partitions(made.old), partitions(made.new)
    for _, _, state in cuts(made):
        found = partitions(state)
        for folder in old.keys() & new.keys():
            assert any(found[folder] >= names - {SUCCESS} for names in (old[folder], new[folder]))


def test_a_recovery_that_ends_after_any_request_changes_nothing(made: Recording) -> None:
    wrong = []
    for length, version, state in cuts(made):
        store = Store(dict(state))
        recover(store)
        for again in range(len(store.steps) + 1):
            for after in states(state, store.steps, again):
                found = made.version(after)
                wrong += [] if found == version else [(length, again, found)]
    assert wrong == []


@pytest.mark.parametrize("late", ["receipt.json", "intent.json"])
def test_a_step_that_comes_too_early_is_found(late: str) -> None:
    """The control: with the receipt before the partitions, or the intent before the staged files, a cut is neither."""
    store = Store({})
    first(store.output())
    base = dict(store.objects)
    store.steps.clear()
    rerun(store.output())
    (moved,) = (step for step in store.steps if step.key.endswith(f"/{late}") and step.content)
    rest = [step for step in store.steps if step is not moved]
    earlier = next(number for number, step in enumerate(rest) if step.content is not None and is_earlier(step, late))
    made = Recording([*rest[:earlier], moved, *rest[earlier:]], base, dict(store.objects))
    assert any(made.version(state) not in ("old", "new") for _, _, state in cuts(made))


def is_earlier(step: Step, late: str) -> bool:
    """Whether a step is of those that must come before: staged files before the intent, partitions before the receipt."""
    return "/staging/" in step.key if late == "intent.json" else not step.key.startswith(f"{NAME}/out/runs/")
