"""Reading an output folder: its receipts, the files in force, and their rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa

from minimize.encryption import unless_shredded
from minimize.errors import KeyringError, OutputError
from minimize.io.history import has_runs, is_unsettled, known_runs
from minimize.io.history import receipts as read_receipts
from minimize.io.index.lens import Subkeys, Value
from minimize.io.index.rows import rows_about
from minimize.io.index.seek import find
from minimize.io.places import place_of
from minimize.io.publish import QUARANTINE, RECORDS, is_locked, open_output
from minimize.io.settling import settle_in_bucket
from minimize.io.stored import Stored, open_stored
from minimize.keys import Kms
from minimize.keys.keyring import DESTROYED
from minimize.pointer import Pointer
from minimize.receipt import OutputFile, Receipt, in_force, quarantine_in_force
from minimize.stores import Place, Remote

log = logging.getLogger("minimize")

Dates = str | date | Iterable[str | date] | None
KEY: Final = b"minimize:key"
DATE: Final = "date"
WAIT_S: Final = 0.02
WAITS: Final = 250
"""How long a publication that is going on is waited for."""


@dataclass(frozen=True, slots=True)
class Subjects:
    """Whose records are wanted.

    values    released values of the subject's column, as they stand in files
    keys      the keyring that opens indexes; without one all records are looked at
    pointers  the path of the subject's column in a file of records. Raises OutputError where it has none
    """

    values: Collection[Value] = field(repr=False)
    keys: Subkeys | None
    pointers: Callable[[OutputFile], Pointer]


def receipts(output: Place) -> tuple[Receipt, ...]:
    """All receipts of an output, by sequence, a publication that a crash interrupted finished or undone first.

    Raises OutputError where there is no output, or a publication does not end.
    """
    if not has_runs(output):
        raise OutputError("there is no output here", hint="name the folder that holds `runs`")
    settle(output)
    return read_receipts(output)


def settle(output: Place) -> frozenset[str]:
    """Finishes what a crash interrupted after it was decided; gives the ids of the runs that were published.

    A publication that is going on is waited for, some seconds. Raises OutputError where it does not end, or cannot be finished.
    """
    if isinstance(output, Remote):
        settle_in_bucket(output)
    else:
        _settle_on_disk(output)
    return known_runs(output)


def _settle_on_disk(output: Path) -> None:
    for _ in range(WAITS):
        if not is_unsettled(output) or (not is_locked(output) and _finished(output)):
            return
        time.sleep(WAIT_S)
    with open_output(output, create=False):
        pass


def _finished(output: Path) -> bool:
    """Finishes what a crash interrupted; not where another process was faster."""
    try:
        with open_output(output, create=False):
            return True
    except OutputError:
        if not is_locked(output):
            raise
    return False


def standing(output: Place, name: str = "records", dates: Dates = None) -> tuple[OutputFile, ...]:
    """The files in force of one output (or of `quarantine`), by path, of all dates or of these.

    Raises OutputError for a name that nothing was published under.
    """
    said = receipts(output)
    force = {**in_force(said), QUARANTINE: quarantine_in_force(said)}
    if name not in force:
        from difflib import get_close_matches

        close = get_close_matches(name, force, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(sorted(force))}"
        raise OutputError("there is no output of that name", hint=hint)
    wanted = _wanted(dates)
    return tuple(file for file in force[name] if wanted is None or place_of(file.path)[1] in wanted)


def files(output: Place, name: str = "records", dates: Dates = None) -> list[str]:
    """The paths of the files in force, for DuckDB, Polars or Spark. Raises OutputError as `standing` does."""
    return [str(output / file.path) for file in standing(output, name, dates)]


def read(
    output: Place,
    name: str = "records",
    dates: Dates = None,
    *,
    mixed_keys: bool = False,
    subjects: Subjects | None = None,
    kms: Kms | None = None,
    without_destroyed: bool = False,
) -> pa.Table:
    """The rows in force; those of some subjects alone, where they are named. What is encrypted wants its master keys.

    Gives the output's columns with their field metadata, those that are folders included, and `date` (date32) last where
    the output is partitioned by it, as other readers of such folders do. Where dates differ in columns, null fills up.
    `without_destroyed` leaves out files whose keys were destroyed, with a warning that counts them, unless no other is left.
    Raises OutputError where nothing stands, files are damaged, columns changed their type, or one column was made with
    two keys or key versions, whose values do not join (`mixed_keys=True` reads them all the same); KeyringError where a file is
    encrypted and a key is not to be had.
    """
    before = settle(output)
    try:
        return _read(output, name, dates, mixed_keys, subjects, kms, without_destroyed)
    except OutputError:
        if settle(output) == before:
            raise
    return _read(output, name, dates, mixed_keys, subjects, kms, without_destroyed)


def _read(
    output: Place,
    name: str,
    dates: Dates,
    mixed_keys: bool,
    subjects: Subjects | None,
    kms: Kms | None,
    without_destroyed: bool,
) -> pa.Table:
    found = standing(output, name, dates)
    if not found:
        raise OutputError(f"nothing stands under {name} for these dates", hint="ask for other dates")
    if subjects is not None and name != RECORDS:
        raise OutputError(f"{name} is not about single subjects", hint="ask for records")
    places = dict.fromkeys(found) if subjects is None else _places(output, found, subjects)
    opened = _opened(output, list(places), kms, without_destroyed)
    if not mixed_keys:
        check_keys(each.whole for each in opened.values())
    table = _together([_dated(each, _rows(each, file, places[file], subjects)) for file, each in opened.items()])
    if table is None:
        raise OutputError("columns changed their type between dates", hint="read fewer dates at once")
    return table


def _opened(output: Place, wanted: Sequence[OutputFile], kms: Kms | None, without: bool) -> dict[OutputFile, Stored]:
    """The files; `without`: those that can be read. Raises KeyringError where the keys of one, or of all, were destroyed."""
    looked = {file: unless_shredded(partial(open_stored, output, file.path, kms)) for file in wanted}
    found = {file: each for file, each in looked.items() if each is not None}
    lost = [file.path for file, each in looked.items() if each is None]
    if lost and without and found:
        message = "%d of %d files are left out: their keys were destroyed"
        log.warning(message, len(lost), len(looked), extra={"code": "W028"})
    elif lost:
        _tell_lost(output, lost, len(looked), kms)
    return found


def _tell_lost(output: Place, lost: Sequence[str], of: int, kms: Kms | None) -> None:
    """Raises KeyringError for files whose keys were destroyed, and says how the rest is read."""
    try:
        open_stored(output, lost[0], kms)
    except KeyringError as error:
        message, hint = error.message, error.hint
    else:
        return
    rest = f"; without_destroyed=True reads the other {of - len(lost)} of {of} files" if len(lost) < of else ""
    raise KeyringError(message, code=DESTROYED, hint=f"{hint}{rest}")


def check_keys(schemas: Iterable[pa.Schema]) -> None:
    """Takes the schemas of files that are to be read together. Raises OutputError where a column was made with two keys or
    key versions."""
    seen: dict[str, set[bytes]] = {}
    for schema in schemas:
        for path, key in _keys("", schema):
            seen.setdefault(path, set()).add(key)
    mixed = sorted(path for path, keys in seen.items() if len(keys) > 1)
    if mixed:
        message = f"made with more than one key or key version, so that equal values differ: {', '.join(mixed)}"
        raise OutputError(message, hint="read dates of one key version, or say mixed_keys=True")


def _keys(above: str, fields: Iterable[pa.Field]) -> Iterator[tuple[str, bytes]]:
    for each in fields:
        path = f"{above}/{each.name}" if above else each.name
        for name, value in (each.metadata or {}).items():
            if name == KEY:
                yield path, value
            elif name.startswith(KEY + b"/"):
                yield name.removeprefix(KEY).decode(), value
        if pa.types.is_nested(each.type):
            yield from _keys(path, (each.type.field(index) for index in range(each.type.num_fields)))


def _places(output: Place, found: Sequence[OutputFile], subjects: Subjects) -> dict[OutputFile, tuple[int, ...] | None]:
    """The files that may hold their records, with the row groups that may; where none does, one that tells the columns."""
    places = {place.file: place.groups for place in find(output, found, subjects.values, subjects.keys)}
    return places or {found[0]: ()}


def _rows(each: Stored, file: OutputFile, groups: tuple[int, ...] | None, subjects: Subjects | None) -> pa.Table:
    if subjects is None:
        return each.table()
    return rows_about(each, subjects.pointers(file), subjects.values, groups)


def _dated(each: Stored, table: pa.Table) -> pa.Table:
    on = place_of(each.path)[1]
    if on is None:
        return table
    return table.append_column(DATE, pa.repeat(pa.scalar(date.fromisoformat(on)), table.num_rows))


def _together(tables: Sequence[pa.Table]) -> pa.Table | None:
    try:
        table = pa.concat_tables(tables, promote_options="default")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None
    return _date_last(table)


def _date_last(table: pa.Table) -> pa.Table:
    if DATE not in table.column_names:
        return table
    return table.select([*(name for name in table.column_names if name != DATE), DATE])


def _wanted(dates: Dates) -> frozenset[str] | None:
    if dates is None:
        return None
    each = [dates] if isinstance(dates, str | date) else dates
    return frozenset(one if isinstance(one, str) else one.isoformat() for one in each)
