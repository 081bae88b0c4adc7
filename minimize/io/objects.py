"""Putting a partition in place in an object store, where nothing can be swapped: one object after the other.

`_SUCCESS` goes first and comes last. In between the new objects are put beside the old ones, under names that no run used
before, and then the old ones are deleted: who lists the partition meanwhile may see both. Every step can be done again.
"""

from __future__ import annotations

from collections.abc import Sequence

from minimize.errors import OutputError
from minimize.failpoints import fail_point
from minimize.io.history import RUNS, SUCCESS
from minimize.stores import Remote


def swap(new: Remote, target: Remote, files: Sequence[str], run_id: str, turn: int, *, mark: bool) -> None:
    """Lets a partition hold these files and no others. Takes where the new ones are staged; those that are kept are there.
    `mark` says whether it gets a `_SUCCESS`.

    Raises OutputError where a file is neither here nor there, before anything is changed.
    """
    there, staged = target.sizes(), new.sizes()
    marked = there.pop(SUCCESS, None) is not None
    missing = [file for file in files if there.get(file) != staged.get(file, there.get(file, -1))]
    if not missing and there.keys() == set(files) and marked == mark:
        return
    if any(file not in staged for file in missing):
        raise OutputError(f"the files that {RUNS}/{run_id} was to publish are gone", hint="restore it from a backup")
    if marked:
        (target / SUCCESS).unlink()
    fail_point("swap.unmarked", turn)
    for file in missing:
        (new / file).copy_to(target / file, staged[file])
        fail_point("swap.copied")
    fail_point("swap.between", turn)
    for file in sorted(there.keys() - set(files)):
        (target / file).unlink()
        fail_point("swap.deleted")
    if mark:
        (target / SUCCESS).write_bytes(b"")


def remove(target: Remote) -> None:
    """Removes a partition: its mark first."""
    if there := target.sizes():
        if SUCCESS in there:
            (target / SUCCESS).unlink()
        fail_point("swap.unmarked", 0)
        target.remove_tree()


def clean(staging: Remote, intent: Remote) -> None:
    """Removes what a publication that is told no longer needs."""
    fail_point("clean.before")
    staging.remove_tree()
    fail_point("clean.between")
    intent.unlink()
    fail_point("clean.after")
