"""What earlier runs published of aggregates: the tables in force, and the sealed contribution sketches stored with them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.base import Codes
from minimize.aggregates.definition import COUNTING, Definition, GroupKey
from minimize.aggregates.release_history import ReleaseHistory, row_hashes
from minimize.engines.base import sketch_key
from minimize.errors import KeyringError, OutputError
from minimize.io.companions import SKETCHES
from minimize.io.places import place_of
from minimize.io.stored import open_stored
from minimize.keys import Keyring, Kms
from minimize.keys.seal import Seal
from minimize.ledger.tokens import KEY
from minimize.receipt import FileRef, OutputFile, Receipt, in_force, kept_sketches, sha256_text
from minimize.spill import Hasher, Words
from minimize.stores import Place

log = logging.getLogger("minimize")
_PURPOSES: Final = ("sketches/1", "sketches/2")
_MARK: Final = 8
"""Bytes that tell by which key sketches were made."""


@dataclass(frozen=True, slots=True)
class Former:
    """What is in force of an aggregate for one date: its table, the row of each group, and all releases so far.

    is_lost  whether a table was published that is gone, or cannot be read: a run of the date puts another one in its place
    """

    table: pa.Table | None
    rows: Words
    history: ReleaseHistory
    is_lost: bool = False

    def has(self, rows: Words) -> npt.NDArray[np.bool_]:
        """Which of these rows are in force. Of a table that is lost, those that were published."""
        return np.asarray((self.history.last(rows) if self.is_lost else self.places(rows)) >= 0, np.bool_)

    def places(self, rows: Words) -> Codes:
        """Where each of these rows is in the table; -1 if it is not there."""
        if not len(self.rows):
            return np.full(len(rows), -1)
        order = np.argsort(self.rows, kind="stable")
        near = np.minimum(np.searchsorted(self.rows[order], rows), len(order) - 1)
        return np.where(self.rows[order[near]] == rows, order[near], -1)


@dataclass(frozen=True, slots=True)
class Releases:
    """The releases of an output's aggregates."""

    output: Place
    files: Mapping[tuple[str, str | None], Sequence[OutputFile]] = field(repr=False)
    kept: Mapping[tuple[str, str | None], FileRef] = field(repr=False)
    keys: Keyring = field(repr=False)
    kms: Kms | None = None

    @classmethod
    def of(cls, output: Place, chain: Sequence[Receipt], keys: Keyring, kms: Kms | None) -> Self:
        """The releases that these receipts put in force."""
        files: dict[tuple[str, str | None], list[OutputFile]] = {}
        for name, every in in_force(chain).items():
            for file in every if name != "records" else ():
                files.setdefault((name, place_of(file.path)[1]), []).append(file)
        kept = {place_of(each.path): FileRef(each.path, each.digest) for each in kept_sketches(chain)}
        return cls(output, files, kept, keys, kms)

    @property
    def hasher(self) -> Hasher:
        """The keyed hash of groups and contributions."""
        return Hasher(sketch_key(self.keys))

    def former(self, definition: Definition, name: str, date: str | None) -> Former:
        """What is in force of an aggregate for a date.

        A table without sketches counts as one release of unknown subjects. If its sketches are lost, are others than the receipt
        says, or do not open with this keyring, what was published before it is not known either.
        Raises KeyringError if the table is encrypted and there is no key for it.
        """
        nothing = np.empty(0, np.uint64)
        files = self.files.get((name, date), ())
        if not files:
            kept = self.kept.get((name, date))
            return Former(None, nothing, self._history(kept, name, date), is_lost=kept is not None)
        history = self._history(files[0].sketches, name, date)
        try:
            tables = [open_stored(self.output, file.path, self.kms).table() for file in files]
        except OutputError:
            return Former(None, nothing, history, is_lost=True)
        table = pa.concat_tables(tables).combine_chunks()
        if history.meanings.get(COUNTING, str(definition.counting)) != str(definition.counting):
            history = history.forgotten()
        columns = {about: _key_column(table, label, key) for label, (about, key) in _abouts(definition).items()}
        there = {about: column for about, column in columns.items() if column is not None}
        if len(there) < len(columns):
            return Former(None, nothing, history)
        rows = row_hashes(there, table.num_rows, self.hasher)
        unknown = rows[history.last(rows) < 0]
        return Former(table, rows, history.followed(ReleaseHistory.of(unknown, definition.below, {}, known=False)))

    def deferred(self, name: str) -> int:
        """How many rows of an aggregate wait until more subjects have changed, over all dates.

        Raises OutputError if sketches are lost, KeyringError without the subject key.
        """
        histories = [self._opened(every[0].sketches, *place) for place, every in self.files.items() if place[0] == name]
        if any(each is None for each in histories):
            raise OutputError(f"the sketches of {name} are lost")
        return sum(each.deferred for each in histories if each is not None)

    def is_final(self, definition: Definition, name: str, date: str | None, at: datetime) -> bool:
        """Whether the table in force for a date stays as it is, because records that it counts are past their retention."""
        retention = definition.retention
        return retention is not None and (name, date) in self.files and retention.outlives_records(date, at)

    def sealed(self, history: ReleaseHistory, name: str, date: str | None) -> bytes:
        """The bytes to store with an aggregate's file."""
        version = self.keys.version_of(KEY)
        content = self.hasher.mark.to_bytes(_MARK, "little") + history.packed()
        body = self._seal(version).seal(content, *_words(name, date))
        return f"{KEY}/{version}\n".encode() + body

    def _history(self, sketches: FileRef | None, name: str, date: str | None) -> ReleaseHistory:
        history = self._opened(sketches, name, date)
        if history is not None:
            return history
        message = "the sketches of %s%s are lost: rows that changed keep their figures, and no other rows are published"
        log.warning(message, name, f" of {date}" if date else "", extra={"code": "W034"})
        return replace(ReleaseHistory.empty(), is_lost=True)

    def _opened(self, sketches: FileRef | None, name: str, date: str | None) -> ReleaseHistory | None:
        """The releases that are sealed in sketches; None if these are lost."""
        if sketches is None:
            return ReleaseHistory.empty()
        try:
            sealed = (self.output / sketches.path).read_bytes()
            if sha256_text(sealed) != sketches.digest:
                raise ValueError("these are not the sketches of the receipt")
            head, _, body = sealed.partition(b"\n")
            version = int(head.removeprefix(f"{KEY}/".encode()))
            content = self._seal(version).opened(body, *_words(name, date)) or b""
            if int.from_bytes(content[:_MARK], "little") == self.hasher.mark:
                return ReleaseHistory.unpacked(content[_MARK:])
        except (OSError, OutputError, KeyringError, ValueError, KeyError, pa.ArrowException):
            pass
        return None

    def _seal(self, version: int) -> Seal:
        one, two = (self.keys.subkey(KEY, purpose, version) for purpose in _PURPOSES)
        return Seal(one + two)


def rows_of(definition: Definition, table: pa.Table, hasher: Hasher) -> Words:
    """The row of each group of a table."""
    columns = {about: table.column(label) for label, (about, _) in _abouts(definition).items()}
    return row_hashes(columns, table.num_rows, hasher)


def _abouts(definition: Definition) -> dict[str, tuple[str, GroupKey]]:
    """By the name of a key what it is, whatever its name."""
    return {label: (f"{key.pointer} {key.to}", key) for label, key in definition.keys.items()}


def _key_column(table: pa.Table, label: str, key: GroupKey) -> pa.ChunkedArray | None:
    """The column of a key in a table that an earlier pipeline may have given another name; None if it had no such key."""
    names = [each.name for each in table.schema if _field_of(each) in (None, key.key)]
    name = label if label in names else next((each for each in names if _field_of(table.schema.field(each))), None)
    return None if name is None else table.column(name)


def _field_of(column: pa.Field) -> str | None:
    """The field that a column of a group key is of; None if the file does not say."""
    about = column.metadata or {}
    return "" if b"minimize:measure" in about else about[b"minimize:field"].decode() if about else None


def _words(name: str, date: str | None) -> tuple[bytes, ...]:
    """Where sketches belong."""
    return SKETCHES.encode(), name.encode(), (date or "").encode()
