"""Snapshot of an output: its files in force, kept open for the length of a read, and its columns by their footers.

A file that a publication replaces can be read to its end. Reads share open files; a file name is never used twice,
so one name is one content. In an object store, and on a system without `/dev/fd`, files are opened by their path.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Final

import pyarrow as pa

from minimize.errors import OutputError
from minimize.governance.access import DatasetColumn
from minimize.governance.access.explain import NO_COMMON_PURPOSE
from minimize.governance.published_outputs import PolicyCache, WritingRun, receipts_by_path
from minimize.keys import Kms
from minimize.keys.parquet_encryption import column_category, open_parquet, unless_shredded
from minimize.output.folder import batch_date_of, read_receipts
from minimize.output.reader import ensure_recovered
from minimize.output.stored_file import StoredFile, as_stored_file, small_text_columns
from minimize.plan.category import CATEGORY_ORDER
from minimize.plan.model import Category
from minimize.policy.model import Policy
from minimize.receipts import Receipt, ReceiptFile, files_in_force
from minimize.server.errors import OUTPUT_REPLACED, UNKNOWN_DATASET, error_for
from minimize.stores import Location

DESCRIPTOR_FOLDER: Final = Path("/dev/fd")


class PinnedFiles:
    """Open files by their place. Threads share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: dict[Path, int] = {}
        self._readers: dict[Path, int] = {}

    @contextmanager
    def pin(self, output: Location, paths: Iterable[str]) -> Iterator[dict[str, Location]]:
        """Where each of these files of an output can be opened, as long as the block lasts.

        Raises OSError where one is gone, and holds none then.
        """
        wanted = [*paths]
        if not isinstance(output, Path) or not DESCRIPTOR_FOLDER.is_dir():
            yield {path: output / path for path in wanted}
            return
        taken: list[Path] = []
        try:
            yield {path: self._pin_file(output / path, taken) for path in wanted}
        finally:
            self._unpin(taken)

    @property
    def count(self) -> int:
        """How many files are held."""
        return len(self._open)

    def _pin_file(self, place: Path, taken: list[Path]) -> Path:
        with self._lock:
            if place not in self._open:
                self._open[place] = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
            self._readers[place] = self._readers.get(place, 0) + 1
            taken.append(place)
            return DESCRIPTOR_FOLDER / str(self._open[place])

    def _unpin(self, taken: Iterable[Path]) -> None:
        with self._lock:
            for place in taken:
                self._readers[place] -= 1
                if not self._readers[place]:
                    del self._readers[place]
                    with suppress(OSError):
                        os.close(self._open.pop(place))


def is_pinned(place: Location) -> bool:
    """Whether a place is a file that is held open."""
    return isinstance(place, Path) and place.parent == DESCRIPTOR_FOLDER


SNAPSHOT_TRIES: Final = 5
"""How often a dataset is looked at anew that is replaced while it is looked at."""
SMALL_TEXT_BYTES: Final = 8.0
"""Uncompressed bytes a value, up to which texts go as dictionaries: pseudonyms of devices that come several times do."""
FIELD_METADATA: Final = b"minimize:field"


@dataclass(frozen=True)
class OutputSnapshot:
    """One output at a moment.

    files    in force, by path
    writers  the receipt that wrote each of them
    schema   every column that any of them has, with its metadata
    dictionary_columns    columns of text that are read with few distinct values, as dictionaries
    tenant   the column that says whose a row is; None where there is none
    output_purposes  the purposes that the data is for
    purposes by column those that it is for, where that is not all
    policies by path of a file the policy that it was written under
    """

    files: tuple[ReceiptFile, ...]
    schema: pa.Schema
    dictionary_columns: frozenset[str]
    tenant: str | None
    output_purposes: tuple[str, ...]
    purposes: Mapping[str, tuple[str, ...]]
    policies: Mapping[str, Policy] = field(repr=False)
    schemas: tuple[pa.Schema, ...] = field(repr=False, default=())

    @property
    def by_date(self) -> bool:
        """Whether it is partitioned by the batch date."""
        return any(batch_date_of(each.path) is not None for each in self.files)

    def columns(self, names: Sequence[str]) -> tuple[DatasetColumn, ...]:
        """These columns as the decision wants them."""
        return tuple(
            DatasetColumn(name, _column_category(self.schema.field(name)), self.purposes.get(name, ()))
            for name in names
        )


@dataclass(frozen=True)
class OpenSnapshot:
    """Facts, and where each file can be opened as long as the read lasts."""

    snapshot: OutputSnapshot
    places: Mapping[str, Location]
    kms: Kms

    @property
    def is_pinned(self) -> bool:
        """Whether its files can be read to their end, whatever becomes of their names."""
        return all(is_pinned(place) for place in self.places.values())

    def file(self, path: str, coded: Collection[str] = ()) -> StoredFile:
        """One file, its columns of these names read as dictionaries. Raises OutputError, KeyringError."""
        return _open_file(self.places[path], path, self.kms, coded)


class SnapshotCache:
    """Outputs as they are looked at; what was found is remembered until something is published. Threads share it."""

    def __init__(self, kms: Kms) -> None:
        self._kms, self._pinned, self._lock = kms, PinnedFiles(), Lock()
        self._known: dict[tuple[str, str], tuple[frozenset[str], OutputSnapshot]] = {}

    @property
    def pinned_count(self) -> int:
        """How many files are held open."""
        return self._pinned.count

    @contextmanager
    def open_snapshot(self, output: Location, name: str) -> Iterator[OpenSnapshot]:
        """One output as it is now, and stays as long as the block lasts.

        Raises RefusedError (B003) where there is none of that name, ConfigurationError (B006) where it is replaced all the time.
        """
        with ExitStack() as stack:
            for _ in range(SNAPSHOT_TRIES):
                runs = ensure_recovered(output)
                writers = _written_files(read_receipts(output), name)
                with suppress(OSError):
                    places = stack.enter_context(self._pinned.pin(output, [file.path for file, _ in writers]))
                    yield OpenSnapshot(self._snapshot(output, name, runs, writers, places), places, self._kms)
                    return
            raise error_for(OUTPUT_REPLACED)

    def _snapshot(
        self, output: Location, name: str, runs: frozenset[str], writers: WrittenFiles, places: Mapping[str, Location]
    ) -> OutputSnapshot:
        key = (str(output), name)
        with self._lock:
            known = self._known.get(key)
        if known is not None and known[0] == runs:
            return known[1]
        found = _read_snapshot(output, writers, places, self._kms)
        with self._lock:
            self._known[key] = (runs, found)
        return found


WrittenFiles = Sequence[tuple[ReceiptFile, Receipt]]
"""Files in force, each with the receipt that wrote it."""


def _written_files(receipts: Sequence[Receipt], name: str) -> WrittenFiles:
    found, wrote = files_in_force(receipts).get(name, ()), receipts_by_path(receipts)
    if not found:
        raise error_for(UNKNOWN_DATASET)
    return [(file, wrote[file.path]) for file in found]


def _read_snapshot(output: Location, writers: WrittenFiles, places: Mapping[str, Location], kms: Kms) -> OutputSnapshot:
    """What the footers say of files that somebody can still read: those whose keys were destroyed are gone.

    Raises OutputError where columns changed their type, or a policy is not what its receipt tells.
    """
    reading = PolicyCache()
    policies = {file.path: WritingRun(output, receipt, reading).policy for file, receipt in writers}
    looked = {path: unless_shredded(partial(_open_file, places[path], path, kms)) for path in policies}
    files = {path: each for path, each in looked.items() if each is not None}
    if not files:
        raise error_for(UNKNOWN_DATASET)
    filled = next((each for each in files.values() if each.file.metadata.num_rows), None)
    return OutputSnapshot(
        tuple(file for file, _ in writers if file.path in files),
        _unify_schemas([each.whole for each in files.values()]),
        frozenset() if filled is None else frozenset(small_text_columns(filled.file, SMALL_TEXT_BYTES)),
        _tenant_column({path: (policies[path], each.whole) for path, each in files.items()}),
        _common_purposes(policies[path] for path in files),
        _purposes_by_column((policies[path], each.whole) for path, each in files.items()),
        policies,
        tuple(each.whole for each in files.values()),
    )


def _column_category(column: pa.Field) -> Category:
    """A column's category, by its metadata; the strictest where it says none."""
    said_of = column_category(column)
    return next(word for word in CATEGORY_ORDER if word == said_of)


def _open_file(place: Location, path: str, kms: Kms, coded: Collection[str] = ()) -> StoredFile:
    try:
        return as_stored_file(path, open_parquet(place, kms, name=path, read_dictionary=[*coded]))
    except (OSError, pa.ArrowException):
        pass
    raise OutputError(f"{path} is missing or damaged", hint="Run `minimize verify` to check all files.")


def _unify_schemas(schemas: Sequence[pa.Schema]) -> pa.Schema:
    try:
        return pa.unify_schemas([*schemas])
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        pass
    raise OutputError("the type of a column differs between dates")


def _tenant_column(files: Mapping[str, tuple[Policy, pa.Schema]]) -> str | None:
    """The column that says in every file, as it came in, whose a row is."""
    found = {_unchanged_column(policy, schema) for policy, schema in files.values()}
    return found.pop() if len(found) == 1 else None


def _unchanged_column(policy: Policy, schema: pa.Schema) -> str | None:
    wanted = {b"minimize:field": (policy.tenant or "").encode(), b"minimize:technique": b"keep"}
    return next((each.name for each in schema if wanted.items() <= (each.metadata or {}).items()), None)


def _common_purposes(policies: Iterable[Policy]) -> tuple[str, ...]:
    """The purposes that every policy lists; what stands for nobody's where they have nothing in common."""
    return tuple(sorted(set.intersection(*(set(each.purposes) for each in policies)))) or (NO_COMMON_PURPOSE,)


def _purposes_by_column(files: Iterable[tuple[Policy, pa.Schema]]) -> dict[str, tuple[str, ...]]:
    """By column the purposes that it is for, where any file's policy limits them."""
    found: dict[str, set[str]] = {}
    for policy, schema in files:
        for column in schema:
            for key in _policy_fields(column):
                for limits in _purpose_limits(policy, key):
                    found[column.name] = found.get(column.name, limits) & limits
    return {name: tuple(sorted(each)) or (NO_COMMON_PURPOSE,) for name, each in found.items()}


def _purpose_limits(policy: Policy, key: str) -> Iterator[set[str]]:
    """What a field, and those that it is made from, are for, where that is not all."""
    field = policy.fields.get(key)
    names = [] if field is None else [key, *field.from_]
    yield from (
        set(policy.fields[name].purposes) for name in names if name in policy.fields and policy.fields[name].purposes
    )


def _policy_fields(column: pa.Field) -> Iterator[str]:
    """The fields of the policy that a column is made of."""
    for name, value in (column.metadata or {}).items():
        if name == FIELD_METADATA or name.startswith(FIELD_METADATA + b"/"):
            yield value.decode()
