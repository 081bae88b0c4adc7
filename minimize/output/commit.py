"""Commit of a publication, on disk and in an object store: its record, its steps, and what follows after a crash."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from minimize.checkpoints import checkpoint
from minimize.errors import UNFINISHED_PUBLICATION, OutputError, describe_os_error
from minimize.output.folder import INTENT, SUCCESS, is_companion, list_data_files
from minimize.records import RECEIPT_FILE, RUNS
from minimize.stores import Location, ObjectPath, file_operations
from minimize.stores.durable_files import file_exists, make_folder, remove_tree, write_file
from minimize.stores.file_operations import sync_folder

FolderExchange = Callable[[Path, Path], bool]
"""Swaps two folders atomically; returns false if the system does not support it."""

_UNSUPPORTED: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM})


def exchange_folders(new_folder: Path, current_folder: Path) -> bool:
    """Swaps two folders of one file system in one step (Linux `renameat2`, RENAME_EXCHANGE).

    Returns false if the system or file system does not support it. Raises OutputError (E208: the swap is committed) for any other
    failure.
    """
    try:
        return file_operations.exchange(new_folder, current_folder)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return False
        what, hint = describe_os_error(error)
    message = f"a committed partition could not be installed: {what}; nothing is lost, the next command completes it"
    raise OutputError(message, code=UNFINISHED_PUBLICATION, hint=hint)


def swap_objects(
    new: ObjectPath, target: ObjectPath, files: Sequence[str], run_id: str, turn: int, *, mark: bool
) -> None:
    """Makes a partition contain exactly these files. Takes the folder of the staged files; kept files are already in the
    partition. `mark` states whether the partition gets a `_SUCCESS`.

    Raises OutputError, before any change, if a file is neither staged nor in the partition.
    """
    sizes, staged = target.sizes(), new.sizes()
    marked = sizes.pop(SUCCESS, None) is not None
    missing = [file for file in files if sizes.get(file) != staged.get(file, sizes.get(file, -1))]
    if not missing and sizes.keys() == set(files) and marked == mark:
        return
    if any(file not in staged for file in missing):
        raise OutputError(f"the staged files of {RUNS}/{run_id} are missing", hint="Restore the output from a backup.")
    if marked:
        (target / SUCCESS).unlink()
    checkpoint("swap.unmarked", turn)
    for file in missing:
        (new / file).copy_to(target / file, staged[file])
        checkpoint("swap.copied")
    checkpoint("swap.between", turn)
    for file in sorted(sizes.keys() - set(files)):
        (target / file).unlink()
        checkpoint("swap.deleted")
    if mark:
        (target / SUCCESS).write_bytes(b"")


def remove_objects(target: ObjectPath) -> None:
    """Removes a partition: its mark first."""
    if sizes := target.sizes():
        if SUCCESS in sizes:
            (target / SUCCESS).unlink()
        checkpoint("swap.unmarked", 0)
        target.remove_tree()


def clean_objects(staging: ObjectPath, intent: ObjectPath) -> None:
    """Removes the files that a completed publication no longer needs."""
    checkpoint("clean.before")
    staging.remove_tree()
    checkpoint("clean.between")
    intent.unlink()
    checkpoint("clean.after")


STAGING: Final = "staging"
REPLACED: Final = "replaced"


@dataclass(frozen=True, slots=True)
class Intent:
    """The commit record: partitions to swap in, with their new files; partitions to remove; the receipt."""

    run_id: str
    swaps: Mapping[str, tuple[str, ...]]
    removes: tuple[str, ...]
    receipt: str
    intent: int = 1

    def write(self, run: Location) -> None:
        """Writes the commit record to disk. This is the commit point of the publication."""
        checkpoint("intent.before")
        write_file(run / INTENT, json.dumps(asdict(self)).encode(), "intent.written")
        checkpoint("intent.after")

    @classmethod
    def read(cls, run: Location) -> Intent:
        """The commit record in a run's folder. Raises OutputError if it cannot be read."""
        try:
            record = json.loads((run / INTENT).read_bytes())
            swaps = {path: tuple(files) for path, files in record["swaps"].items()}
            return cls(record["run_id"], swaps, tuple(record["removes"]), record["receipt"], record["intent"])
        except (ValueError, KeyError, TypeError, AttributeError):
            place = f"{RUNS}/{run.name}/{INTENT}"
        raise OutputError(f"{place} cannot be read; nothing was changed", hint="Restore the file from a backup.")


def recover_output(output: Location, exchange: FolderExchange) -> None:
    """Completes each publication that has a commit record, and undoes the others. Does nothing if there is none.

    Takes an output folder whose lock is held. Raises OutputError if the staged files of a commit record are missing, or the
    operating system refuses (E208 after the commit).
    """
    for run in _run_folders(output):
        if file_exists(run / INTENT):
            if isinstance(run, Path):
                sync_folder(run)
            finish_publication(output, Intent.read(run), exchange)
        elif not file_exists(run / RECEIPT_FILE):
            roll_back(run)


def _run_folders(output: Location) -> Iterator[Location]:
    """The folders of all runs, in order; in a bucket, those that contain objects."""
    runs = output / RUNS
    if isinstance(runs, ObjectPath):
        inside = (path.relative_to(runs).parts for path in runs.objects_below())
        yield from (runs / name for name in sorted({parts[0] for parts in inside if len(parts) > 1}))
    else:
        yield from sorted(path for path in runs.glob("*") if path.is_dir())


def roll_back(run: Location) -> None:
    """Removes a run's folder. No file outside it was changed.

    The commit record is removed first. One that could not be synced may exist, and without its files it could not be completed.
    """
    checkpoint("back.before")
    if isinstance(run, ObjectPath):
        (run / INTENT).unlink()
    else:
        if file_exists(run / INTENT):
            file_operations.remove(run / INTENT)
        sync_folder(run)
    checkpoint("back.between")
    remove_tree(run)
    checkpoint("back.after")


def finish_publication(output: Location, intent: Intent, exchange: FolderExchange) -> None:
    """Completes the steps of a commit record. Raises OutputError (E208) if the operating system refuses now."""
    try:
        return roll_forward(output, intent, exchange)
    except OSError as error:
        what, hint = describe_os_error(error)
    message = f"a committed publication could not be completed: {what}; nothing is lost, the next command completes it"
    raise OutputError(message, code=UNFINISHED_PUBLICATION, hint=hint)


def roll_forward(output: Location, intent: Intent, exchange: FolderExchange) -> None:
    """Completes the steps of a commit record. If the receipt exists, only the cleanup is left."""
    run = output / RUNS / intent.run_id
    if not file_exists(run / RECEIPT_FILE):
        _install_partitions(output, run, intent, exchange)
    if isinstance(run, ObjectPath):
        clean_objects(run / STAGING, run / INTENT)
    else:
        _clean_folders(run)


def _install_partitions(output: Location, run: Location, intent: Intent, exchange: FolderExchange) -> None:
    """Swaps in every partition, and then writes the receipt."""
    for turn, (path, files) in enumerate(intent.swaps.items()):
        checkpoint("swap.before", turn)
        if isinstance(output, ObjectPath):
            mark = not is_companion(f"{path}/")
            swap_objects(
                output / RUNS / intent.run_id / STAGING / path, output / path, files, intent.run_id, turn, mark=mark
            )
        else:
            _swap_folder(output, output / RUNS / intent.run_id, path, files, exchange, turn)
        checkpoint("swap.after", turn)
    for turn, path in enumerate(intent.removes):
        checkpoint("remove.before", turn)
        if isinstance(output, ObjectPath):
            remove_objects(output / path)
        else:
            _move_aside(output, output / RUNS / intent.run_id, path)
            if is_companion(f"{path}/"):
                _remove_empty_folders((output / path).parent, output)
        checkpoint("remove.after", turn)
    if isinstance(output, Path):
        _sync_partitions(output, output / RUNS / intent.run_id, (*intent.swaps, *intent.removes))
    checkpoint("receipt.before")
    write_file(run / RECEIPT_FILE, intent.receipt.encode(), "receipt.written")
    checkpoint("receipt.after")


def _swap_folder(
    output: Path, run: Path, path: str, files: tuple[str, ...], exchange: FolderExchange, turn: int
) -> None:
    new, target = run / STAGING / path, output / path
    if target.is_dir() and list_data_files(target) == files:
        return
    if not new.is_dir() or list_data_files(new) != files:
        raise OutputError(
            f"the staged files of {RUNS}/{run.name} are missing", hint="Restore the output from a backup."
        )
    make_folder(target.parent)
    if not target.exists() or not exchange(new, target):
        _move_aside(output, run, path)
        checkpoint("swap.between", turn)
        file_operations.rename(new, target)


def _move_aside(output: Path, run: Path, path: str) -> None:
    target, aside = output / path, run / REPLACED / path
    if target.exists():
        make_folder(aside.parent)
        file_operations.rename(target, aside)


def _remove_empty_folders(folder: Path, top: Path) -> None:
    """Removes a folder, and those above it, while they are empty."""
    while folder != top and (not folder.exists() or not any(folder.iterdir())):
        if folder.exists():
            file_operations.remove_folder(folder)
        folder = folder.parent


def _sync_partitions(output: Path, run: Path, paths: Iterable[str]) -> None:
    """Syncs the names of partitions to disk, in their new and in their former folders."""
    folders = set[Path]()
    for path in paths:
        folders.add((run / STAGING / path).parent)
        for place, top in ((output / path, output), (run / REPLACED / path, run)):
            folders.update(above for above in place.parents if above.is_relative_to(top))
    for folder in sorted(folders, reverse=True):
        if folder.is_dir():
            sync_folder(folder)


def _clean_folders(run: Path) -> None:
    checkpoint("clean.before")
    remove_tree(run / STAGING)
    checkpoint("clean.between")
    remove_tree(run / REPLACED)
    checkpoint("clean.replaced")
    file_operations.remove(run / INTENT)
    checkpoint("clean.intent")
    sync_folder(run)
    checkpoint("clean.after")
