"""What a publication has decided to do, on the disk before it is done: the commit point, and the way forward or back.

Under `runs/<run id>/` a publication has `staging/`, a twin of the output folder with the new partitions; `intent.json`, once
it is decided; `receipt.json`, once it is done; and `replaced/` for what was moved aside. Whoever comes next finds either an
intent, and does the rest of it, or neither intent nor receipt, and removes the folder. Every step can be done again.

A process that was killed may leave names that no fsync brought to the disk, and the next process cannot see which. So it syncs
the folders that a step relies on, also if there is nothing left to change in them.

Whether a partition was swapped already is read off its files: names carry the run id and are never used again, so a
partition that holds the files the intent lists is the new one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from minimize import file_operations
from minimize.errors import DECIDED, OutputError
from minimize.failpoints import fail_point
from minimize.file_operations import sync_folder
from minimize.io import objects
from minimize.io.companions import is_companion
from minimize.io.durable import make_folder, remove_tree, there, write_file
from minimize.io.exchange import Exchange
from minimize.io.history import INTENT, RECEIPT, RUNS, SUCCESS
from minimize.stores import Place, Remote
from minimize.system import said

STAGING: Final = "staging"
REPLACED: Final = "replaced"


@dataclass(frozen=True, slots=True)
class Intent:
    """What is to be done: partitions to swap in, with the files each then holds; partitions to remove; the receipt."""

    run_id: str
    swaps: Mapping[str, tuple[str, ...]]
    removes: tuple[str, ...]
    receipt: str
    intent: int = 1

    def write(self, run: Place) -> None:
        """Brings the intent to the disk: from here on the publication counts."""
        fail_point("intent.before")
        write_file(run / INTENT, json.dumps(asdict(self)).encode(), "intent.written")
        fail_point("intent.after")

    @classmethod
    def read(cls, run: Place) -> Intent:
        """The intent that stands in a run's folder. Raises OutputError where it cannot be read."""
        try:
            said = json.loads((run / INTENT).read_bytes())
            swaps = {path: tuple(files) for path, files in said["swaps"].items()}
            return cls(said["run_id"], swaps, tuple(said["removes"]), said["receipt"], said["intent"])
        except (ValueError, KeyError, TypeError, AttributeError):
            place = f"{RUNS}/{run.name}/{INTENT}"
        raise OutputError(f"{place} cannot be read", hint="restore it from a backup; nothing was changed")


def listing(folder: Place) -> tuple[str, ...]:
    """The files below a folder, by their path within it, `_SUCCESS` left out."""
    if isinstance(folder, Remote):
        found: Iterable[str] = folder.sizes()
    else:
        found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return tuple(sorted(path for path in found if path.rpartition("/")[2] != SUCCESS))


def recover(output: Place, exchange: Exchange) -> None:
    """Rolls what was begun forward where an intent stands, else back. Does nothing where all is settled.

    Takes an output folder whose lock is held. Raises OutputError where the files that an intent needs are gone, or the system
    does not let it be done (E208 where it is decided).
    """
    for run in _runs(output):
        if there(run / INTENT):
            if isinstance(run, Path):
                sync_folder(run)
            finish(output, Intent.read(run), exchange)
        elif not there(run / RECEIPT):
            roll_back(run)


def _runs(output: Place) -> Iterator[Place]:
    """The folders of all runs, in order; of a bucket those that still hold something."""
    runs = output / RUNS
    if isinstance(runs, Remote):
        inside = (path.relative_to(runs).parts for path in runs.below())
        yield from (runs / name for name in sorted({parts[0] for parts in inside if len(parts) > 1}))
    else:
        yield from sorted(path for path in runs.glob("*") if path.is_dir())


def roll_back(run: Place) -> None:
    """Removes a run's folder; nothing outside it was touched.

    The intent goes first: one that could not be synced may stand, and without its files nobody could go forward with it.
    """
    fail_point("back.before")
    if isinstance(run, Remote):
        (run / INTENT).unlink()
    else:
        if there(run / INTENT):
            file_operations.remove(run / INTENT)
        sync_folder(run)
    fail_point("back.between")
    remove_tree(run)
    fail_point("back.after")


def finish(output: Place, intent: Intent, exchange: Exchange) -> None:
    """Does what is left of an intent. Raises OutputError (E208) where the system does not let it be done now."""
    try:
        return roll_forward(output, intent, exchange)
    except OSError as error:
        what, hint = said(error)
    message = (
        f"a publication that is decided could not be put in place: {what}; nothing is lost, the next command does it"
    )
    raise OutputError(message, code=DECIDED, hint=hint)


def roll_forward(output: Place, intent: Intent, exchange: Exchange) -> None:
    """Does what is left of an intent. With a receipt only the removal of what is no longer needed is left."""
    run = output / RUNS / intent.run_id
    if not there(run / RECEIPT):
        _publish(output, run, intent, exchange)
    if isinstance(run, Remote):
        objects.clean(run / STAGING, run / INTENT)
    else:
        _clean(run)


def _publish(output: Place, run: Place, intent: Intent, exchange: Exchange) -> None:
    """Puts every partition in place, and then the receipt."""
    for turn, (path, files) in enumerate(intent.swaps.items()):
        fail_point("swap.before", turn)
        if isinstance(output, Remote):
            mark = not is_companion(f"{path}/")
            objects.swap(
                output / RUNS / intent.run_id / STAGING / path, output / path, files, intent.run_id, turn, mark=mark
            )
        else:
            _swap(output, output / RUNS / intent.run_id, path, files, exchange, turn)
        fail_point("swap.after", turn)
    for turn, path in enumerate(intent.removes):
        fail_point("remove.before", turn)
        if isinstance(output, Remote):
            objects.remove(output / path)
        else:
            _move_aside(output, output / RUNS / intent.run_id, path)
            if is_companion(f"{path}/"):
                _remove_empty((output / path).parent, output)
        fail_point("remove.after", turn)
    if isinstance(output, Path):
        _sync_partitions(output, output / RUNS / intent.run_id, (*intent.swaps, *intent.removes))
    fail_point("receipt.before")
    write_file(run / RECEIPT, intent.receipt.encode(), "receipt.written")
    fail_point("receipt.after")


def _swap(output: Path, run: Path, path: str, files: tuple[str, ...], exchange: Exchange, turn: int) -> None:
    new, target = run / STAGING / path, output / path
    if target.is_dir() and listing(target) == files:
        return
    if not new.is_dir() or listing(new) != files:
        raise OutputError(f"the files that {RUNS}/{run.name} was to publish are gone", hint="restore it from a backup")
    make_folder(target.parent)
    if not target.exists() or not exchange(new, target):
        _move_aside(output, run, path)
        fail_point("swap.between", turn)
        file_operations.rename(new, target)


def _move_aside(output: Path, run: Path, path: str) -> None:
    target, aside = output / path, run / REPLACED / path
    if target.exists():
        make_folder(aside.parent)
        file_operations.rename(target, aside)


def _remove_empty(folder: Path, top: Path) -> None:
    """Removes a folder, and those above it, as far as they are empty."""
    while folder != top and (not folder.exists() or not any(folder.iterdir())):
        if folder.exists():
            file_operations.remove_folder(folder)
        folder = folder.parent


def _sync_partitions(output: Path, run: Path, paths: Iterable[str]) -> None:
    """Brings the names of partitions to the disk, where they are now and where they came from."""
    folders = set[Path]()
    for path in paths:
        folders.add((run / STAGING / path).parent)
        for place, top in ((output / path, output), (run / REPLACED / path, run)):
            folders.update(above for above in place.parents if above.is_relative_to(top))
    for folder in sorted(folders, reverse=True):
        if folder.is_dir():
            sync_folder(folder)


def _clean(run: Path) -> None:
    fail_point("clean.before")
    remove_tree(run / STAGING)
    fail_point("clean.between")
    remove_tree(run / REPLACED)
    fail_point("clean.replaced")
    file_operations.remove(run / INTENT)
    fail_point("clean.intent")
    sync_folder(run)
    fail_point("clean.after")
