"""An output folder: names, paths, files, receipts, identity, and the lock for one process at a time.

Partition folders in the Hive convention, and rejection of records whose values are too long for a folder name.

Folders are `key=value`, nested in the order of the keys. ASCII characters other than letters, digits and `_.-~` are
percent-encoded; others are not, because Spark and Hive decode byte by byte. A record with too long a value is rejected
(`too_long`); the others are read.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import secrets
import time
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import quote, unquote

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.checkpoints import checkpoint
from minimize.errors import OutputError, SchemaError, describe_os_error
from minimize.keys.keyring import Subkeys
from minimize.output.subject_index import INDEX_FOLDER, INDEX_SUFFIX
from minimize.receipts import Receipt
from minimize.receipts.shown_counts import SEALED_COUNTS_FILE, open_counts
from minimize.records import NULL_PARTITION, RECEIPT_FILE, RUNS
from minimize.stores import Location, ObjectPath, file_operations, is_within
from minimize.stores.durable_files import make_folder, with_output_errors
from minimize.stores.file_operations import path_exists, sync, sync_folder
from minimize.times import parse_iso_date

RESTRICTED: Final = "restricted"
"""The folder of the sealed records of restricted subjects."""
RESTRICTED_SUFFIX: Final = ".sealed"
INTENT: Final = "intent.json"
SUCCESS: Final = "_SUCCESS"


def read_receipts(output: Location) -> tuple[Receipt, ...]:
    """All receipts of the output, by sequence; empty before the first publication.

    Raises OutputError if a receipt cannot be read.
    """
    checkpoint("receipts.read")
    receipts = [_read_receipt(path) for path in _files_of_runs(output, RECEIPT_FILE)]
    return tuple(sorted(receipts, key=lambda receipt: receipt.sequence))


def read_exact_receipt(output: Location, receipt: Receipt, keys: Subkeys) -> Receipt:
    """The receipt with its exact counts (see `shown_counts`); the receipt itself if none are sealed.

    Raises VerificationError if they are missing or damaged, KeyringError if the keyring does not have their key.
    """
    if SEALED_COUNTS_FILE not in receipt.files:
        return receipt
    content = b""
    with suppress(OSError):
        content = (output / RUNS / receipt.run_id / SEALED_COUNTS_FILE).read_bytes()
    return open_counts(receipt, content, keys)


def published_runs(output: Location) -> frozenset[str]:
    """The ids of the runs that were published."""
    return frozenset(path.parent.name for path in _files_of_runs(output, RECEIPT_FILE))


def has_unfinished_publication(output: Location) -> bool:
    """Whether a publication has begun and not ended. It is in progress, or its process was killed."""
    return bool(_files_of_runs(output, INTENT))


def has_runs(output: Location) -> bool:
    """Whether a publication into this folder has begun or ended."""
    return (output / RUNS).is_dir()


def _files_of_runs(output: Location, name: str) -> list[Location]:
    """The files of this name directly in the folders of runs, by run. Empty objects are left out: some stores create an object
    before its bytes are written. Raises OutputError if a folder cannot be read, because its files must not count as missing."""
    runs = output / RUNS
    if isinstance(runs, ObjectPath):
        paths = (PurePosixPath(path) for path, size in sorted(runs.sizes().items()) if size)
        return [runs / path for path in paths if path.name == name and len(path.parts) == 2]
    try:
        return [run / name for run in sorted(runs.iterdir()) if path_exists(run / name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        what, hint = describe_os_error(error)
    raise OutputError(f"{RUNS} cannot be read: {what}", hint=hint)


def _read_receipt(path: Location) -> Receipt:
    try:
        return Receipt.from_json(path.read_bytes())
    except OSError as error:
        message, hint = describe_os_error(error)
    except OutputError as error:
        message, hint = error.message, error.hint
    raise OutputError(f"{RUNS}/{path.parent.name}/{RECEIPT_FILE}: {message}", hint=hint)


IDENTITY_FILE: Final = ".id"
_IDENTITY_TEXT: Final = re.compile(rb"[0-9a-f]{32}\n")


def identity_of(output: Location) -> str | None:
    """The identity of an output folder; None if it has none yet."""
    try:
        content = (output / RUNS / IDENTITY_FILE).read_bytes()
    except OSError:
        return None
    return content.decode().strip() if _IDENTITY_TEXT.fullmatch(content) else None


def new_identity() -> str:
    """A new, unique identity."""
    return secrets.token_hex(16)


def ensure_identity(output: Location, *, other_than: str | None = None, new: str | None = None) -> str:
    """The identity of an output folder that has `runs`. Creates one if it has none, or replaces the identity `other_than`.

    Takes the identity to replace and the new one. Objects in a bucket cannot be locked. There, concurrent processes derive the
    same first identity from the output's name. Raises OutputError.
    """
    path = output / RUNS / IDENTITY_FILE
    if isinstance(path, ObjectPath):
        identity = identity_of(output)
        return (
            identity
            if identity not in (None, other_than)
            else _write_to_bucket(path, new or _identity_from_name(output))
        )
    return with_output_errors(_ensure_on_disk, path, other_than, new or new_identity())


def _identity_from_name(output: Location) -> str:
    return hashlib.sha256(str(output).encode()).hexdigest()[:32]


def _write_to_bucket(path: ObjectPath, identity: str) -> str:
    path.write_bytes(f"{identity}\n".encode())
    return identity


def _ensure_on_disk(path: Path, other_than: str | None, new: str) -> str:
    """Waits if another process writes the identity. If that process was killed halfway, the identity is written again.

    The file is synced each time: the process that wrote it may have been killed before its sync.
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


FORMER_SKETCHES: Final = "sketches"
"""The folder of contribution sketches, which earlier versions wrote. The next publication removes it."""


def is_companion(path: str) -> bool:
    """Whether a path, relative to the output folder, belongs to an index."""
    return path.startswith(f"{INDEX_FOLDER}/")


def list_data_files(folder: Location) -> tuple[str, ...]:
    """The files below a folder, by their path within it, without `_SUCCESS`."""
    checkpoint("folder.listed", folder)
    if isinstance(folder, ObjectPath):
        paths: Iterable[str] = folder.sizes()
    else:
        paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return tuple(sorted(path for path in paths if path.rpartition("/")[2] != SUCCESS))


_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")
_RUN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,127}")
LEDGER_PREFIX: Final = "ledger.db"
"""The beginning of the names of a ledger's files, which an output folder may contain."""
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def check_apart(folder: Location, source: Location | None) -> None:
    """Raises OutputError if the output folder is inside the source, or the source is inside the output folder."""
    if source is None:
        return
    if is_within(folder, source):
        raise OutputError("the output folder is inside the source", hint="Choose an output folder next to the source.")
    if is_within(source, folder):
        raise OutputError("the source is inside the output folder", hint="Choose an output folder next to the source.")


def check_folder(folder: Location) -> None:
    """Raises OutputError if the path of the output folder is a file."""
    if folder.exists() and not folder.is_dir():
        raise OutputError("the output is a file", hint="Pass a folder.")


def check_free(folder: Location) -> None:
    """Raises OutputError if a folder that no run wrote to contains files. They belong to another program and are not changed."""
    check_folder(folder)
    if not folder.exists() or identity_of(folder) is not None or published_runs(folder):
        return
    foreign = sum(not path.name.startswith(LEDGER_PREFIX) and _contains_files(path) for path in folder.iterdir())
    if foreign:
        hint = "Write to another folder with --output DIR or `output:` in the pipeline."
        raise OutputError(f"the output folder contains files that no run wrote: {foreign}", hint=hint)


def _contains_files(path: Location) -> bool:
    """Whether this is a file, or a folder with a file at any depth."""
    if isinstance(path, Path) and path.is_symlink():
        return True
    return any(not below.is_dir() for below in path.rglob("*")) if path.is_dir() else True


def check_partition(
    folder: Location, name: str, on: str | None, undated: MutableMapping[str, bool] | None = None
) -> None:
    """Checks that an output of this name and date may be written to this output folder.

    Takes what is known of each output: whether it has data without a date. Its files are listed once for all partitions of a
    publication. Raises OutputError if `name` cannot be an output or `on` a date, or if the output's folder is a link, contains
    files that no run wrote, or contains undated data next to which a dated partition would be written.
    """
    if not _NAME.fullmatch(name) or name == RUNS or (on is not None and not is_date(on)):
        raise OutputError("the name of an output is not a valid column name, or its date is not YYYY-MM-DD")
    known = {} if undated is None else undated
    if name not in known:
        known[name] = _has_undated_data(folder, name)
    if on is not None and known[name]:
        raise OutputError(f"{name}/ contains data without a date", hint="Write dated outputs to another folder.")


def _has_undated_data(folder: Location, name: str) -> bool:
    """Whether an output has files outside of the folders of dates. Raises OutputError for a link, or for other files."""
    root = folder / name
    if root.is_symlink() or root.parent.is_symlink():
        raise OutputError(f"{name} is a link", hint="Replace the link with a folder, or write to another folder.")
    if root.exists() and not root.is_dir():
        raise OutputError(f"{name} is a file", hint="Move the file away, or write to another folder.")
    files = list_data_files(root) if root.is_dir() else ()
    runs = published_runs(folder)
    suffix = {INDEX_FOLDER: INDEX_SUFFIX, RESTRICTED: RESTRICTED_SUFFIX}.get(name, ".parquet")
    foreign = sum(not _is_published_file(path, runs, suffix) for path in files)
    if foreign:
        hint = "Move the files away, or write to another folder."
        raise OutputError(f"{name}/ contains files that no run wrote: {foreign}", hint=hint)
    return any(not path.startswith("date=") for path in files)


def is_run_id(text: str) -> bool:
    """Whether the text can be the name of a run's folder and files."""
    return bool(_RUN_ID.fullmatch(text))


def is_date(text: str) -> bool:
    """Whether the text is a date as in the names of folders.

    >>> is_date("2026-11-24"), is_date("2026-11-31"), is_date("20261124")
    (True, False, False)
    """
    return bool(_DATE.fullmatch(text)) and parse_iso_date(text) is not None


def output_and_date(path: str) -> tuple[str, str | None]:
    """The output and the date of a file.

    >>> output_and_date("records/date=2026-11-24/tenant_id=7/run-0.parquet"), output_and_date("records/run-0.parquet")
    (('records', '2026-11-24'), ('records', None))
    """
    name, first = path.split("/")[:2]
    return name, first.removeprefix("date=") if first.startswith("date=") else None


def batch_date_of(path: str) -> str | None:
    """The batch date of a file; None if its output has no dates.

    >>> batch_date_of("records/date=2026-11-24/run-0.parquet")
    '2026-11-24'
    """
    return output_and_date(path)[1]


def _is_published_file(path: str, runs: frozenset[str], suffix: str) -> bool:
    """Whether a file has the name of a file of a published run: its id, or its id, a dash and more."""
    name = PurePosixPath(path)
    parts = name.stem.split("-")
    return name.suffix == suffix and any("-".join(parts[:end]) in runs for end in range(1, len(parts) + 1))


LOCK_FILE: Final = ".lock"
PAUSE_S: Final = 0.01
TRIES: Final = 25


@contextmanager
def hold_lock(folder: Path, *, create: bool) -> Iterator[None]:
    """Holds the lock of an output folder. Raises OutputError if the folder does not exist (`create=False`), or another process
    holds it."""
    with _open_lock_file(folder, create) as file:
        take_lock(file.fileno(), folder)
        yield


def make_output_folder(folder: Location) -> None:
    """Creates an output folder if it does not exist. Raises OutputError if it cannot be created, or its bucket does not exist."""
    check_folder(folder)
    if isinstance(folder, ObjectPath):
        check_bucket(folder)
    else:
        with_output_errors(_make_on_disk, folder)


def check_bucket(folder: ObjectPath) -> None:
    """Raises OutputError if the bucket does not exist."""
    if not folder.has_bucket():
        raise OutputError(
            f"the bucket {folder.bucket} does not exist", hint="Create the bucket, or correct its name or region."
        )


def _make_on_disk(folder: Path) -> None:
    if not (folder / RUNS).exists():
        make_folder(folder.parent)
        file_operations.make_folder(folder, private=True)
        with suppress(PermissionError):  # the parent folder may belong to another user
            sync_folder(folder.parent)
        make_folder(folder / RUNS)


def _open_lock_file(folder: Path, create: bool) -> FileIO:
    if not create and not (folder / RUNS).is_dir():
        raise OutputError("the output folder does not exist", hint="Run `minimize run` to create it.")
    make_output_folder(folder)
    return with_output_errors(file_operations.open_or_create, folder / RUNS / LOCK_FILE)


def is_locked(folder: Path) -> bool:
    """Whether a process has an output folder open for writing."""
    try:
        with (folder / RUNS / LOCK_FILE).open() as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def take_lock(handle: int, folder: Path) -> None:
    """Takes the lock of an output folder by its open lock file. Raises OutputError if another process has it, or the file
    system does not support locks.

    It is tried for a moment, because `is_locked` holds the lock briefly, too.
    """
    for _ in range(TRIES):
        if with_output_errors(_try_lock, handle):
            return
        time.sleep(PAUSE_S)
    raise OutputError(f"another process is writing to the output folder {folder}", hint="Wait until it has ended.")


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


_ENCODED: Final = re.compile(r"[\x00-\x7f]")
MAX_FOLDER_BYTES: Final = 255
"""Maximum length of a folder name in bytes."""


def split_by_partition(batch: pa.RecordBatch, keys: Sequence[str]) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The parts of a batch per folder, with rows in their order and without the columns of the keys.

    Rows with a null key are in Hive's folder for null. Raises SchemaError for a key whose type cannot name a folder.

    >>> rows = pa.record_batch({"x": [1, 2], "tenant": ["a/b", None]})
    >>> [(partition_folder, part.to_pydict()) for partition_folder, part in split_by_partition(rows, ["tenant"])]
    [('tenant=a%2Fb', {'x': [1]}), ('tenant=__HIVE_DEFAULT_PARTITION__', {'x': [2]})]
    """
    encoded = [_encode_key(batch.column(key), key) for key in keys]
    places, groups = _group_rows([codes for codes, _ in encoded])
    without_keys = batch.select([name for name in batch.schema.names if name not in keys])
    if len(groups) > 1:
        narrow = places.astype(np.min_scalar_type(len(groups)))
        without_keys = without_keys.take(pa.array(np.argsort(narrow, kind="stable")))
    start = 0
    for group, rows in zip(groups, np.bincount(places, minlength=len(groups)), strict=True):
        names = (names[code] for (_, names), code in zip(encoded, group, strict=True))
        yield "/".join(names), without_keys.slice(start, int(rows))
        start += int(rows)


def null_partition(keys: Sequence[str]) -> str:
    """The folder of rows whose keys are all null. An empty partition has its typed file there."""
    return "/".join(f"{key}={NULL_PARTITION}" for key in keys)


def parse_partition_folder(part: str) -> tuple[str, str | None]:
    """The key and value in the name of a folder.

    >>> parse_partition_folder("tenant=a%2Fb"), parse_partition_folder("tenant=__HIVE_DEFAULT_PARTITION__")
    (('tenant', 'a/b'), ('tenant', None))
    """
    key, _, text = part.partition("=")
    return key, None if text == NULL_PARTITION else unquote(text)


def partition_values(path: str) -> dict[str, str | None]:
    """The keys and values of the folders of an output's file."""
    return dict(parse_partition_folder(part) for part in PurePosixPath(path).parts[:-1] if "=" in part)


def check_partition_key(name: str, type_: pa.DataType) -> None:
    """Raises SchemaError if values of this type cannot name folders."""
    if not any(test(type_) for test in _PARTITION_TYPES):
        raise SchemaError(
            f"the type of {name} cannot name a partition", hint="Partition by a string, integer, boolean or date."
        )


def partition_folder(key: str, value: Any) -> str:
    """The name of the folder of a value."""
    text = NULL_PARTITION if value is None else _ENCODED.sub(lambda hit: quote(hit[0], safe=""), _value_text(value))
    return f"{key}={text.replace('_', '%5F', 1) if value is not None and text == NULL_PARTITION else text}"


def _encode_key(column: pa.Array, key: str) -> tuple[npt.NDArray[np.int64], list[str]]:
    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    encoded = plain.dictionary_encode(null_encoding="encode")
    names = [partition_folder(key, value) for value in encoded.dictionary.to_pylist()]
    if any(len(name.encode()) > MAX_FOLDER_BYTES for name in names):
        raise SchemaError("a value of a partition field is too long for a folder name")
    return encoded.indices.to_numpy().astype(np.int64), names


def _group_rows(codes: Sequence[npt.NDArray[np.int64]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The group of each row, and the codes of each group."""
    places = first = np.zeros(len(codes[0]), np.int64)
    for column in codes:
        joint = places * (column.max() + 1) + column
        _, first, places = np.unique(joint, return_index=True, return_inverse=True)
    return places, np.stack([column[first] for column in codes], axis=1)


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date) else str(value)


_PARTITION_TYPES = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_integer,
    pa.types.is_boolean,
    pa.types.is_date,
)
