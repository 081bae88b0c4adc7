"""Snapshot of an output: its files in force, kept open during a read, and its columns according to the footers.

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

from minimize.access import DatasetColumn
from minimize.checkpoints import checkpoint
from minimize.datasets.published_output import OutputFile, PublishedOutput
from minimize.datasets.reader import ensure_recovered
from minimize.errors import OutputError
from minimize.governance.access_explain import NO_COMMON_PURPOSE
from minimize.keys import Kms
from minimize.keys.parquet_encryption import column_category, open_parquet, unless_shredded
from minimize.output.folder import batch_date_of, read_receipts
from minimize.output.stored_file import StoredFile, as_stored_file, small_text_columns
from minimize.plan.model import CATEGORY_ORDER, Category
from minimize.policy.model import Policy
from minimize.receipts import ReceiptFile
from minimize.server.request import OUTPUT_REPLACED, UNKNOWN_DATASET, error_for
from minimize.stores import Location
from minimize.techniques import is_published_unchanged

DESCRIPTOR_FOLDER: Final = Path("/dev/fd")


class PinnedFiles:
    """Open files by path. Threads share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: dict[Path, int] = {}
        self._readers: dict[Path, int] = {}

    @contextmanager
    def pin(self, output: Location, paths: Iterable[str]) -> Iterator[dict[str, Location]]:
        """The places where these files of an output can be opened during the block.

        Raises OSError, and keeps no file open, if one is missing.
        """
        file_paths = [*paths]
        if not isinstance(output, Path) or not DESCRIPTOR_FOLDER.is_dir():
            yield {path: output / path for path in file_paths}
            return
        taken: list[Path] = []
        try:
            yield {path: self._pin_file(output / path, taken) for path in file_paths}
        finally:
            self._unpin(taken)

    @property
    def count(self) -> int:
        """Number of open files."""
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
    """Whether a place is a file that is kept open."""
    return isinstance(place, Path) and place.parent == DESCRIPTOR_FOLDER


SNAPSHOT_TRIES: Final = 5
"""Attempts to open a dataset that is replaced at the same time."""
SMALL_TEXT_BYTES: Final = 8.0
"""Uncompressed bytes per value up to which text is sent as dictionaries, such as repeated pseudonyms of devices."""
FIELD_METADATA: Final = b"minimize:field"


@dataclass(frozen=True)
class OutputSnapshot:
    """State of one output at one moment."""

    files: tuple[ReceiptFile, ...]
    """The files in force, by path."""
    schema: pa.Schema
    """Every column that any of them has, with its metadata."""
    dictionary_columns: frozenset[str]
    """Columns of text that are read with few distinct values, as dictionaries."""
    tenant: str | None
    """The column with the tenant of each row; None if there is none."""
    output_purposes: tuple[str, ...]
    """The purposes that the data is for."""
    purposes: Mapping[str, tuple[str, ...]]
    """The purposes of a column, if it is not for all."""
    policies: Mapping[str, Policy] = field(repr=False)
    """The policy under which each file was written, by path."""
    schemas: tuple[pa.Schema, ...] = field(repr=False, default=())

    @property
    def by_date(self) -> bool:
        """Whether the output is partitioned by batch date."""
        return any(batch_date_of(each.path) is not None for each in self.files)

    def columns(self, names: Sequence[str]) -> tuple[DatasetColumn, ...]:
        """These columns in the form that a decision needs."""
        return tuple(
            DatasetColumn(name, _column_category(self.schema.field(name)), self.purposes.get(name, ()))
            for name in names
        )


@dataclass(frozen=True)
class OpenSnapshot:
    """A snapshot, and the place where each file can be opened during the read."""

    snapshot: OutputSnapshot
    places: Mapping[str, Location]
    kms: Kms

    @property
    def is_pinned(self) -> bool:
        """Whether the files can be read to their end even if they are removed or replaced."""
        return all(is_pinned(place) for place in self.places.values())

    def file(self, path: str, coded: Collection[str] = ()) -> StoredFile:
        """Opens one file; the named columns are read as dictionaries. Raises OutputError, KeyringError."""
        checkpoint("snapshot.read", path)
        return _open_file(self.places[path], path, self.kms, coded)


class SnapshotCache:
    """Snapshots of outputs, cached until something is published. Threads share it."""

    def __init__(self, kms: Kms) -> None:
        self._kms, self._pinned, self._lock = kms, PinnedFiles(), Lock()
        self._known: dict[tuple[str, str], tuple[frozenset[str], OutputSnapshot]] = {}

    @property
    def pinned_count(self) -> int:
        """Number of files kept open."""
        return self._pinned.count

    @contextmanager
    def open_snapshot(self, output: Location, name: str) -> Iterator[OpenSnapshot]:
        """The current snapshot of an output, unchanged during the block.

        Raises RefusedError (B003) if there is no output of this name, ConfigurationError (B006) if it is replaced on each
        attempt.
        """
        with ExitStack() as stack:
            for _ in range(SNAPSHOT_TRIES):
                runs = ensure_recovered(output)
                files = PublishedOutput(output, read_receipts(output)).files(name)
                if not files:
                    raise error_for(UNKNOWN_DATASET)
                with suppress(OSError):
                    places = stack.enter_context(self._pinned.pin(output, [file.path for file in files]))
                    yield OpenSnapshot(self._snapshot(output, name, runs, files, places), places, self._kms)
                    return
            raise error_for(OUTPUT_REPLACED)

    def _snapshot(
        self,
        output: Location,
        name: str,
        runs: frozenset[str],
        files: Sequence[OutputFile],
        places: Mapping[str, Location],
    ) -> OutputSnapshot:
        key = (str(output), name)
        with self._lock:
            known = self._known.get(key)
        if known is not None and known[0] == runs:
            return known[1]
        snapshot = _read_snapshot(files, places, self._kms)
        with self._lock:
            self._known[key] = (runs, snapshot)
        return snapshot


def _read_snapshot(output_files: Sequence[OutputFile], places: Mapping[str, Location], kms: Kms) -> OutputSnapshot:
    """A snapshot from the footers of the files. Files whose keys were destroyed are left out.

    Raises OutputError if the type of a column differs between files, or a policy does not match its receipt.
    """
    policies = {file.path: file.policy for file in output_files}
    opened_files = {path: unless_shredded(partial(_open_file, places[path], path, kms)) for path in policies}
    files = {path: each for path, each in opened_files.items() if each is not None}
    if not files:
        raise error_for(UNKNOWN_DATASET)
    filled = next((each for each in files.values() if each.file.metadata.num_rows), None)
    return OutputSnapshot(
        files=tuple(file.entry for file in output_files if file.path in files),
        schema=_unify_schemas([each.whole for each in files.values()]),
        dictionary_columns=frozenset()
        if filled is None
        else frozenset(small_text_columns(filled.file, SMALL_TEXT_BYTES)),
        tenant=_tenant_column({path: (policies[path], each.whole) for path, each in files.items()}),
        output_purposes=_common_purposes(policies[path] for path in files),
        purposes=_purposes_by_column((policies[path], each.whole) for path, each in files.items()),
        policies=policies,
        schemas=tuple(each.whole for each in files.values()),
    )


def _column_category(column: pa.Field) -> Category:
    """The category of a column by its metadata; the strictest one if it has none."""
    category = column_category(column)
    return next(word for word in CATEGORY_ORDER if word == category)


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
    """The column with the unchanged tenant in every file; None if there is none."""
    tenant_columns = {unchanged_column(schema, policy.tenant or "") for policy, schema in files.values()}
    return tenant_columns.pop() if len(tenant_columns) == 1 else None


def unchanged_column(schema: pa.Schema, key: str) -> str | None:
    """The column of a field that is published unchanged; None if there is none."""
    return next((each.name for each in schema if _is_unchanged(each.metadata or {}, key)), None)


def _is_unchanged(metadata: Mapping[bytes, bytes], key: str) -> bool:
    names = metadata.get(b"minimize:technique", b"").decode()
    return metadata.get(b"minimize:field") == key.encode() and is_published_unchanged(names)


def _common_purposes(policies: Iterable[Policy]) -> tuple[str, ...]:
    """The purposes that every policy lists, or `NO_COMMON_PURPOSE`."""
    return tuple(sorted(set.intersection(*(set(each.purposes) for each in policies)))) or (NO_COMMON_PURPOSE,)


def _purposes_by_column(files: Iterable[tuple[Policy, pa.Schema]]) -> dict[str, tuple[str, ...]]:
    """Purposes by column, for columns whose purposes the policy of any file limits."""
    purposes_by_column: dict[str, set[str]] = {}
    for policy, schema in files:
        for column in schema:
            for key in _policy_fields(column):
                for limits in _purpose_limits(policy, key):
                    purposes_by_column[column.name] = purposes_by_column.get(column.name, limits) & limits
    return {name: tuple(sorted(each)) or (NO_COMMON_PURPOSE,) for name, each in purposes_by_column.items()}


def _purpose_limits(policy: Policy, key: str) -> Iterator[set[str]]:
    """The purposes of a field and its source fields, if they are limited."""
    field = policy.fields.get(key)
    names = [] if field is None else [key, *field.from_]
    yield from (
        set(policy.fields[name].purposes) for name in names if name in policy.fields and policy.fields[name].purposes
    )


def _policy_fields(column: pa.Field) -> Iterator[str]:
    """The fields of the policy from which a column is made."""
    for name, value in (column.metadata or {}).items():
        if name == FIELD_METADATA or name.startswith(FIELD_METADATA + b"/"):
            yield value.decode()
