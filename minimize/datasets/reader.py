"""Reader of a published output.

`read`, `files` and `find_subjects`; then recovery before reading, receipts, the files in force, and their rows.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.datasets.ledger_check import check_ledger
from minimize.datasets.pipelines import bucket_config
from minimize.errors import KeyringError, LedgerError, OutputError, RefusedError, redact_errors
from minimize.keys import Keyring, Kms, find_keyring, find_kms
from minimize.keys.keyring import KEY_DESTROYED, Subkeys
from minimize.keys.parquet_encryption import unless_shredded
from minimize.ledger import Address, find_ledger
from minimize.ledger.leases import Heartbeat, LeaseClock, LeaseTiming, release_lease, renew_lease, take_lease
from minimize.ledger.ledger import open_ledger
from minimize.output.folder import (
    batch_date_of,
    ensure_identity,
    has_runs,
    has_unfinished_publication,
    is_locked,
    published_runs,
    read_receipts,
)
from minimize.output.publish import QUARANTINE, open_output
from minimize.output.stored_file import StoredFile, date_scalar, open_stored_file
from minimize.output.subject_index import SubjectValue
from minimize.output.subject_search import CandidateFile, find_candidate_files, subject_rows
from minimize.receipts import Receipt, ReceiptFile, new_run_id, quarantine_files_in_force
from minimize.receipts import files_in_force as receipts_files_in_force
from minimize.records import POLICY_FILE, RECORDS, RUNS
from minimize.stores import Location, LocationLike, ObjectPath, PathText, local_path, parse_output_location


@redact_errors
def read(
    output: LocationLike,
    name: str = "records",
    *,
    dates: Dates = None,
    keys: Any = None,
    mixed_keys: bool = False,
    subjects: Collection[SubjectValue] | SubjectValue | None = None,
    without_destroyed: bool = False,
) -> pa.Table:
    """Reads the current rows of an output: those of the last run of each date, without removed ones.

    The rows are as they were published: read what can be learned about a value from the residual of its field (`plan_for`).

    Args:
        output: The output folder, or the URI of an object store.
        name: `records`, the name of a table of aggregates, or `quarantine`.
        dates: One batch date or several, as text (YYYY-MM-DD) or date. The default is all.
        keys: The keyring or its path, or the service that holds the master keys (`minimize.keys.Kms`). Encrypted files need it.
        mixed_keys: Whether to read files of several versions of a key together. Their pseudonyms do not join.
        subjects: One or more released values of the subject's column: only their records are returned. For pseudonyms, pass every
            candidate: of each key version, period and `per`. With the keyring, indexes select the row groups to read.
        without_destroyed: Whether to skip files whose keys were destroyed. A warning (W028) has their number.

    Returns:
        A pyarrow Table. Columns that a date does not have are null. If the output is partitioned by date, the last column is
        `date` (date32).

    Raises:
        OutputError: The folder is no output, it has no files of these dates, or (without `mixed_keys`) a column was made with two
            versions of a key.
        KeyringError: A file cannot be decrypted. The message names file, columns and key.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> receipt = minimize.run("pipelines/device_telemetry", date=day)
        >>> table = minimize.read("out/device_telemetry", dates=day)
        >>> table.num_rows == receipt.outputs["records"].rows, table.column_names[-1]
        (True, 'date')
    """
    folder = parse_output_location(output)
    selection = None
    if subjects is not None:
        selection = SubjectSelection(_as_list(subjects), _optional_keyring(keys, folder), _subject_pointers(folder))
    kms = find_kms(keys, local_path(folder))
    options: Any = {"mixed_keys": mixed_keys, "subjects": selection, "without_destroyed": without_destroyed}
    return read_output(folder, name, dates, kms=kms, **options)


@redact_errors
def files(output: LocationLike, name: str = "records", *, dates: Dates = None) -> list[str]:
    """The paths of the files that `read` reads, for DuckDB, Polars or Spark.

    Use them soon: a later run publishes other files, and removes these.

    Args:
        output: The output folder, or the URI of an object store.
        name: As for `read`.
        dates: As for `read`.

    Returns:
        The paths as text, sorted. Empty if there are no files of these dates.

    Raises:
        OutputError: The folder is no output, or has no output of this name.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> receipt = minimize.run("pipelines/device_telemetry", date=day)
        >>> [path.rpartition("/")[0].replace(day, "DAY") for path in minimize.files("out/device_telemetry")]
        ['out/device_telemetry/records/date=DAY']
    """
    return file_paths(parse_output_location(output), name, dates)


def find_subjects(
    output: LocationLike, subjects: Collection[SubjectValue] | SubjectValue, *, dates: Dates = None, keys: Any = None
) -> list[CandidateFile]:
    """The files of records that may contain these released values of the subject's column, with the row groups that may.

    No row group with such a record is missed; a row group without one may be included. `groups` is None if a file has no index,
    or no keyring is available to decrypt it. Raises OutputError for a damaged index, KeyringError if its key version is missing.
    """
    folder, values = parse_output_location(output), _as_list(subjects)
    return find_candidate_files(
        folder, files_in_force(folder, "records", dates), values, _optional_keyring(keys, folder)
    )


def _optional_keyring(keys: Any, output: Location) -> Keyring | None:
    """The keyring that was passed. If only a service for master keys was passed: the configured keyring, if there is one."""
    named = keys if isinstance(keys, Keyring | str | PathLike) else None
    return find_keyring(named, local_path(output))


def _as_list(subjects: Collection[SubjectValue] | SubjectValue) -> list[SubjectValue]:
    """A single value as a list. Otherwise the letters of a pseudonym would be searched one by one, without any result."""
    return [subjects] if isinstance(subjects, str | int | bytes) else [*subjects]


def _subject_pointers(output: Location) -> Callable[[ReceiptFile], Pointer]:
    """The path of the subject in each file of records, according to the policy stored with its run."""
    known: dict[str, Pointer | None] = {}
    runs = {
        file.path: receipt.run_id
        for receipt in load_receipts(output)
        if "records" in receipt.outputs
        for file in receipt.outputs["records"].files
    }

    def pointer(file: ReceiptFile) -> Pointer:
        run = runs[file.path]
        if run not in known:
            known[run] = _policy_subject(output / RUNS / run / POLICY_FILE)
        subject_pointer = known[run]
        if subject_pointer is None:
            raise OutputError(
                f"the policy of {RUNS}/{run} names no subject", hint="Search by tenant, or search another output."
            )
        return subject_pointer

    return pointer


def _policy_subject(policy: Location) -> Pointer | None:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        parsed = YAML(typ="safe", pure=True).load(policy.read_bytes())
    except (YAMLError, OSError, ValueError):
        parsed = None
    named = parsed.get("subject") if isinstance(parsed, dict) else None
    return None if named is None else Pointer.parse(str(named))


BUCKET_WAIT_S: Final = 0.25
BUCKET_WAITS: Final = 20
"""How often the end of a publication in progress is awaited."""


FindLedger = Callable[[], Address]
"""Finds the ledger that has the lease of an output. Called only if a publication is unfinished. Raises LedgerError, or
RefusedError if the receipts name another ledger."""


def recover_bucket(output: ObjectPath, find: FindLedger | None = None) -> None:
    """Completes a committed publication whose run has ended. A publication in progress is awaited for some seconds.

    Takes the ledger of the caller, else the output's own is searched. Raises OutputError if a publication does not end, or if
    there is no ledger to complete it with.
    """
    for _ in range(BUCKET_WAITS):
        if not has_unfinished_publication(output):
            return
        if _try_recover_bucket(output, find or partial(output_ledger, output)):
            return
        time.sleep(BUCKET_WAIT_S)
    raise OutputError("a publication into this output is still in progress", hint="Wait until that run has ended.")


def output_ledger(output: Location, ledger: Address | PathText | None = None) -> Address:
    """The ledger that is passed, else the one in `MINIMIZE_LEDGER` or the configuration of the output's pipeline.

    A `minimize.yaml` of the current folder does not count: a lease in the ledger of another output would exclude no run. Raises
    LedgerError if there is none, RefusedError (E303) if the receipts name another one.
    """
    start = bucket_config(output) if isinstance(output, ObjectPath) else output
    address = ledger if isinstance(ledger, Address) else find_ledger(ledger, start=start, output=output)
    check_ledger(address, read_receipts(output), partial(open_ledger, address))
    return address


def _try_recover_bucket(output: ObjectPath, find: FindLedger) -> bool:
    """Whether the publication was completed; false if a run holds the lease on the output."""
    problem = ""
    try:
        with _recovery_lease(output, find()) as lease, open_output(output, create=False, lease=lease):
            return True
    except (LedgerError, RefusedError) as error:
        if error.code == "E207":
            return False
        problem = error.message
    hint = "Set the output's ledger (MINIMIZE_LEDGER, minimize.yaml), or wait for the next run of this output."
    raise OutputError(f"a publication was interrupted and cannot be completed without a lease: {problem}", hint=hint)


@contextmanager
def _recovery_lease(output: ObjectPath, address: Address) -> Iterator[Callable[[], object]]:
    clock, pace = LeaseClock(), LeaseTiming()
    with open_ledger(address) as ledger:
        run_id = new_run_id(clock.now())
        lease = take_lease(
            ledger, ensure_identity(output), run_id, lambda connection, lease: None, pace=pace, clock=clock
        )
        with Heartbeat(ledger, lease, pace, clock):
            try:
                yield lambda: ledger.write(partial(renew_lease, lease=lease, now=clock.now()))
            finally:
                ledger.write(partial(release_lease, lease=lease))


log = logging.getLogger("minimize")

Dates = str | date | Iterable[str | date] | None
KEY_METADATA: Final = b"minimize:key"
DATE_COLUMN: Final = "date"
WAIT_S: Final = 0.02
WAITS: Final = 250
"""How often the end of a publication in progress is awaited."""


@dataclass(frozen=True, slots=True)
class SubjectSelection:
    """The subjects whose records are read."""

    values: Collection[SubjectValue] = field(repr=False)
    """Released values of the subject's column, as stored in files."""
    keys: Subkeys | None
    """The keyring that decrypts indexes; without one all records are searched."""
    pointers: Callable[[ReceiptFile], Pointer]
    """The path of the subject's column in a file of records. Raises OutputError if the file has none."""


def load_receipts(output: Location, find: FindLedger | None = None) -> tuple[Receipt, ...]:
    """All receipts of an output, by sequence. A publication that a crash interrupted is first completed or undone.

    In a bucket, this needs the ledger of the caller, else the output's own is searched. Raises OutputError if there is no output,
    or a publication does not end.
    """
    if not has_runs(output):
        if not output.is_dir():
            raise OutputError(f"{output}: the output folder does not exist", hint="Check the path.")
        raise OutputError("this is not an output folder: it has no runs/", hint="Pass the folder that contains runs/.")
    ensure_recovered(output, find)
    return read_receipts(output)


def ensure_recovered(output: Location, find: FindLedger | None = None) -> frozenset[str]:
    """Completes a publication that a crash interrupted after its commit; returns the ids of the published runs.

    In a bucket, this needs the ledger of the caller, else the output's own is searched. A publication in progress is awaited for
    some seconds. Raises OutputError if it does not end, or cannot be completed.
    """
    if isinstance(output, ObjectPath):
        recover_bucket(output, find)
    else:
        _recover_folder(output)
    return published_runs(output)


def _recover_folder(output: Path) -> None:
    for _ in range(WAITS):
        if not has_unfinished_publication(output) or (not is_locked(output) and _try_recover_folder(output)):
            return
        time.sleep(WAIT_S)
    with open_output(output, create=False):
        pass


def _try_recover_folder(output: Path) -> bool:
    """Completes an interrupted publication, unless another process has already done so."""
    try:
        with open_output(output, create=False):
            return True
    except OutputError:
        if not is_locked(output):
            raise
    return False


def undo_abandoned_runs(output: Location) -> None:
    """Removes the folders of runs whose processes were killed before their commit.

    Does nothing while another process writes to the output, or in a bucket, where only the holder of a lease may write. Raises
    OutputError if the operating system refuses.
    """
    if isinstance(output, Path) and has_runs(output) and not is_locked(output):
        folders = {path.name for path in (output / RUNS).iterdir() if path.is_dir()}
        if folders - published_runs(output):
            _try_recover_folder(output)


def files_in_force(output: Location, name: str = "records", dates: Dates = None) -> tuple[ReceiptFile, ...]:
    """The files in force of one output (or of `quarantine`), by path, of all dates or of these.

    Raises OutputError for an unknown name.
    """
    chain = load_receipts(output)
    force = {**receipts_files_in_force(chain), QUARANTINE: quarantine_files_in_force(chain)}
    if name not in force:
        from difflib import get_close_matches

        close = get_close_matches(name, force, 1)
        hint = f"Did you mean {close[0]}?" if close else f"Choose one of: {', '.join(sorted(force))}."
        raise OutputError("unknown output name", hint=hint)
    date_names = _date_names(dates)
    return tuple(file for file in force[name] if date_names is None or batch_date_of(file.path) in date_names)


def file_paths(output: Location, name: str = "records", dates: Dates = None) -> list[str]:
    """The paths of the files in force, for DuckDB, Polars or Spark. Raises OutputError as `files_in_force` does."""
    return [str(output / file.path) for file in files_in_force(output, name, dates)]


def read_output(
    output: Location,
    name: str = "records",
    dates: Dates = None,
    *,
    mixed_keys: bool = False,
    subjects: SubjectSelection | None = None,
    kms: Kms | None = None,
    without_destroyed: bool = False,
) -> pa.Table:
    """The rows in force, or those of some subjects. Encrypted files need their master keys.

    Returns the output's columns with their field metadata, including partition keys. If the output is partitioned by date, the
    last column is `date` (date32), as in other readers of such folders. Columns that a date does not have are filled with null.
    `without_destroyed` skips files whose keys were destroyed, and a warning has their number, unless no other file is left.

    Raises OutputError if there are no files, files are damaged, columns have different types, or one column was made with two
    keys or key versions, whose values do not join (`mixed_keys=True` reads them anyway). Raises KeyringError if a file is
    encrypted and a key is not available.
    """
    before = ensure_recovered(output)
    try:
        return _read_in_force(output, name, dates, mixed_keys, subjects, kms, without_destroyed)
    except OutputError:
        if ensure_recovered(output) == before:
            raise
    return _read_in_force(output, name, dates, mixed_keys, subjects, kms, without_destroyed)


def _read_in_force(
    output: Location,
    name: str,
    dates: Dates,
    mixed_keys: bool,
    subjects: SubjectSelection | None,
    kms: Kms | None,
    without_destroyed: bool,
) -> pa.Table:
    receipt_files = files_in_force(output, name, dates)
    if not receipt_files:
        raise OutputError(f"{name} has no files for these dates", hint="Pass other dates.")
    if subjects is not None and name != RECORDS:
        raise OutputError(f"{name} has no rows of single subjects", hint="Read records instead.")
    places = (
        dict.fromkeys(receipt_files) if subjects is None else _candidate_groups_by_file(output, receipt_files, subjects)
    )
    opened = _open_files(output, list(places), kms, without_destroyed)
    if not mixed_keys:
        check_key_versions(each.whole for each in opened.values())
    table = _concat_tables(
        [_with_date(each, _file_rows(each, file, places[file], subjects)) for file, each in opened.items()]
    )
    if table is None:
        raise OutputError("columns have different types on different dates", hint="Read fewer dates at once.")
    return table


def _open_files(
    output: Location, files: Sequence[ReceiptFile], kms: Kms | None, without: bool
) -> dict[ReceiptFile, StoredFile]:
    """The files; with `without`, only those that can be decrypted. Raises KeyringError if the keys of one, or of all, were
    destroyed."""
    opened = {file: unless_shredded(partial(open_stored_file, output, file.path, kms)) for file in files}
    readable = {file: each for file, each in opened.items() if each is not None}
    lost = [file.path for file, each in opened.items() if each is None]
    if lost and without and readable:
        message = "%d of %d files are skipped: their keys were destroyed"
        log.warning(message, len(lost), len(opened), extra={"code": "W028"})
    elif lost:
        _raise_destroyed(output, lost, len(opened), kms)
    return readable


def _raise_destroyed(output: Location, lost: Sequence[str], total: int, kms: Kms | None) -> None:
    """Raises KeyringError for files whose keys were destroyed, with a hint on how to read the other files."""
    try:
        open_stored_file(output, lost[0], kms)
    except KeyringError as error:
        message, hint = error.message, error.hint
    else:
        return
    advice = (
        f". Pass without_destroyed=True to read the other {total - len(lost)} of {total} files."
        if len(lost) < total
        else ""
    )
    raise KeyringError(message, code=KEY_DESTROYED, hint=f"{hint.removesuffix('.')}{advice}" if advice else hint)


def check_key_versions(schemas: Iterable[pa.Schema]) -> None:
    """Takes the schemas of files that are read together. Raises OutputError if a column was made with two keys or
    key versions."""
    keys_by_path: dict[str, set[bytes]] = {}
    for schema in schemas:
        for path, key in _column_keys("", schema):
            keys_by_path.setdefault(path, set()).add(key)
    mixed = sorted(path for path, keys in keys_by_path.items() if len(keys) > 1)
    if mixed:
        message = f"columns made with several keys or key versions, so equal values differ: {', '.join(mixed)}"
        raise OutputError(message, hint="Read dates of one key version, or pass mixed_keys=True.")


def _column_keys(above: str, fields: Iterable[pa.Field]) -> Iterator[tuple[str, bytes]]:
    for column in fields:
        path = f"{above}/{column.name}" if above else column.name
        for name, value in (column.metadata or {}).items():
            if name == KEY_METADATA:
                yield path, value
            elif name.startswith(KEY_METADATA + b"/"):
                yield name.removeprefix(KEY_METADATA).decode(), value
        if pa.types.is_nested(column.type):
            yield from _column_keys(path, (column.type.field(index) for index in range(column.type.num_fields)))


def _candidate_groups_by_file(
    output: Location, receipt_files: Sequence[ReceiptFile], subjects: SubjectSelection
) -> dict[ReceiptFile, tuple[int, ...] | None]:
    """The files that may contain the subjects' records, with their row groups; if there are none, one file that has
    the columns."""
    places = {
        place.file: place.groups
        for place in find_candidate_files(output, receipt_files, subjects.values, subjects.keys)
    }
    return places or {receipt_files[0]: ()}


def _file_rows(
    stored: StoredFile, file: ReceiptFile, groups: tuple[int, ...] | None, subjects: SubjectSelection | None
) -> pa.Table:
    if subjects is None:
        return stored.table()
    return subject_rows(stored, subjects.pointers(file), subjects.values, groups)


def _with_date(stored: StoredFile, table: pa.Table) -> pa.Table:
    on = batch_date_of(stored.path)
    if on is None:
        return table
    return table.append_column(DATE_COLUMN, pa.repeat(date_scalar(on), table.num_rows))


def _concat_tables(tables: Sequence[pa.Table]) -> pa.Table | None:
    try:
        table = pa.concat_tables(tables, promote_options="default")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None
    return _date_last(table)


def _date_last(table: pa.Table) -> pa.Table:
    if DATE_COLUMN not in table.column_names:
        return table
    return table.select([*(name for name in table.column_names if name != DATE_COLUMN), DATE_COLUMN])


def _date_names(dates: Dates) -> frozenset[str] | None:
    if dates is None:
        return None
    chosen_dates = [dates] if isinstance(dates, str | date) else dates
    return frozenset(each if isinstance(each, str) else each.isoformat() for each in chosen_dates)
