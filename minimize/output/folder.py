"""An output folder: the names of its files, its receipts, its identity.

The receipts are the record of what was published. The identity is a random name stored in the folder: it stays the
same if the folder is moved or mounted elsewhere. Companion files (the index of records, the sketches of an aggregate)
are published and removed together with a file of an output.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import secrets
from pathlib import Path, PurePosixPath
from typing import Final

from minimize.errors import OutputError
from minimize.os_errors import describe_os_error
from minimize.output.subject_index import INDEX_FOLDER
from minimize.receipts import Receipt
from minimize.stores import Location, ObjectPath, file_operations
from minimize.stores.durable_files import with_output_errors
from minimize.stores.file_operations import path_exists, sync, sync_folder

RUNS: Final = "runs"
RECEIPT: Final = "receipt.json"
INTENT: Final = "intent.json"
SUCCESS: Final = "_SUCCESS"


def read_receipts(output: Location) -> tuple[Receipt, ...]:
    """All receipts of the output, by sequence; none where nothing was published yet.

    Raises OutputError where one cannot be read.
    """
    found = [_read_receipt(path) for path in _files_of_runs(output, RECEIPT)]
    return tuple(sorted(found, key=lambda receipt: receipt.sequence))


def published_runs(output: Location) -> frozenset[str]:
    """The ids of the runs that were published."""
    return frozenset(path.parent.name for path in _files_of_runs(output, RECEIPT))


def has_unfinished_publication(output: Location) -> bool:
    """Whether a publication was begun and not finished: it is going on, or its process died."""
    return bool(_files_of_runs(output, INTENT))


def has_runs(output: Location) -> bool:
    """Whether something was published here, or begun."""
    return (output / RUNS).is_dir()


def _files_of_runs(output: Location, name: str) -> list[Location]:
    """The files of this name that runs have right in their folders, by run, empty objects left out: some stores make an object
    before its bytes are there. Raises OutputError where one cannot be looked into:
    what cannot be seen is not gone."""
    runs = output / RUNS
    if isinstance(runs, ObjectPath):
        found = (PurePosixPath(path) for path, size in sorted(runs.sizes().items()) if size)
        return [runs / path for path in found if path.name == name and len(path.parts) == 2]
    try:
        return [run / name for run in sorted(runs.iterdir()) if path_exists(run / name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        what, hint = describe_os_error(error)
    raise OutputError(f"{RUNS} cannot be looked into: {what}", hint=hint)


def _read_receipt(path: Location) -> Receipt:
    try:
        return Receipt.from_json(path.read_bytes())
    except OSError as error:
        message, hint = describe_os_error(error)
    except OutputError as error:
        message, hint = error.message, error.hint
    raise OutputError(f"{RUNS}/{path.parent.name}/{RECEIPT}: {message}", hint=hint)


IDENTITY_FILE: Final = ".id"
_IDENTITY_TEXT: Final = re.compile(rb"[0-9a-f]{32}\n")


def identity_of(output: Location) -> str | None:
    """The identity of an output folder; None where it has none yet."""
    try:
        content = (output / RUNS / IDENTITY_FILE).read_bytes()
    except OSError:
        return None
    return content.decode().strip() if _IDENTITY_TEXT.fullmatch(content) else None


def new_identity() -> str:
    """An identity that no output has."""
    return secrets.token_hex(16)


def ensure_identity(output: Location, *, other_than: str | None = None, new: str | None = None) -> str:
    """The identity of an output folder whose `runs` is there; it is given one where it has none, or the one it may not have.

    Takes the identity it may not have, and the one it is to get. In a bucket, where nobody can wait for another, all who come
    first give it the same: one that is made from its name. Raises OutputError.
    """
    path = output / RUNS / IDENTITY_FILE
    if isinstance(path, ObjectPath):
        found = identity_of(output)
        return found if found not in (None, other_than) else _write_to_bucket(path, new or _identity_from_name(output))
    return with_output_errors(_ensure_on_disk, path, other_than, new or new_identity())


def _identity_from_name(output: Location) -> str:
    return hashlib.sha256(str(output).encode()).hexdigest()[:32]


def _write_to_bucket(path: ObjectPath, identity: str) -> str:
    path.write_bytes(f"{identity}\n".encode())
    return identity


def _ensure_on_disk(path: Path, other_than: str | None, new: str) -> str:
    """Whoever comes while another writes it waits; where that one died half way, it is written anew.

    It is synced each time: the process that wrote it may have been killed before it did so.
    """
    with file_operations.open_or_create(path) as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        content = file.read()
        if not _IDENTITY_TEXT.fullmatch(content) or content.decode().strip() == other_than:
            content = new.encode() + b"\n"
            file.seek(0)
            file.truncate()
            file.write(content)
        sync(file.fileno(), "identity")
        sync_folder(path.parent)
    return content.decode().strip()


SKETCHES: Final = "sketches"
"""The folder of contribution sketches, with a folder for each aggregate."""
SKETCHES_SUFFIX: Final = ".sealed"


def is_companion(path: str) -> bool:
    """Whether a path, relative to the output folder, is one of an index or of sketches."""
    return path.startswith((f"{INDEX_FOLDER}/", f"{SKETCHES}/"))


def sketches_path(path: str) -> str:
    """Where the sketches of an aggregate's file are stored, relative to the output folder.

    >>> sketches_path("fleet/date=2026-11-24/run-0.parquet")
    'sketches/fleet/date=2026-11-24/run-0.sealed'
    """
    return str(PurePosixPath(SKETCHES, path).with_suffix(SKETCHES_SUFFIX))
