"""One read: its rows file by file, in bounded batches; begun in the ledger before the first leaves, told of when it ends."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pyarrow as pa

from minimize.door.ahead import ahead
from minimize.door.asking import Ask
from minimize.door.deciding import Clock
from minimize.door.facts import Facts, Opened
from minimize.door.matching import Bound
from minimize.door.pruning import date_meets, folder_meets, groups_of, one_of
from minimize.door.refusing import CHANGED, mixed, said
from minimize.door.shaping import Shape
from minimize.door.standing import Standing
from minimize.door.telling import Caller, read_event
from minimize.encryption import unless_shredded
from minimize.errors import MinimizeError, OutputError, each_quietly
from minimize.governance.access import Decision
from minimize.io.hive import value_of
from minimize.io.places import place_of
from minimize.io.published import DATE, check_keys
from minimize.keys import Keyring
from minimize.ledger import Event
from minimize.ledger.event import Plain

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

log = logging.getLogger("minimize")
LEFT = "left"
"""Whoever read went away."""


@dataclass(frozen=True)
class Flow:
    """A read that was let through."""

    caller: Caller
    ask: Ask
    decision: Decision
    shape: Shape
    standing: Standing
    ledger: Ledger
    keys: Keyring
    clock: Clock

    def batches(self, opened: Opened, stack: ExitStack) -> Generator[pa.RecordBatch]:
        """What may be seen: no rows first, by which the read is begun; the stack is let go at the end.

        Raises MinimizeError, which ends it.
        """
        from minimize.ledger.readings import begin, finish

        most = sum(file.rows for file in opened.facts.files)
        unended = self._event(f"at most {most}", ended="lost")
        begin(self.ledger, unended, unended.time)
        rows, ended = 0, LEFT
        with stack:
            try:
                yield self.shape.empty()
                for batch in each_quietly(seen(opened, self.shape)):
                    self.standing.check()
                    rows += batch.num_rows
                    yield batch
                self.standing.check()
                ended = ""
            except MinimizeError as error:
                ended = error.code
                raise
            finally:
                told = replace(self._event(rows, ended=ended or None), id=unended.id)
                finish(self.ledger, told, told.time, self.keys)

    def _event(self, rows: Plain, ended: str | None) -> Event:
        return read_event(self.caller, self.decision, self.ask.where, self.clock(), rows=rows, ended=ended)


def check_joins(facts: Facts, shape: Shape) -> None:
    """Raises ConfigurationError (B011) where a column that leaves was made with two keys or key versions, in what is read."""
    read = [_dates_meet(file.path, shape) for file in facts.files]
    schemas = [schema for schema, is_read in zip(facts.schemas, read, strict=True) if is_read]
    try:
        check_keys(pa.schema([each for each in schema if each.name in shape.shown]) for schema in schemas)
    except OutputError as error:
        message = error.message
    else:
        return
    raise mixed(message)


def seen(opened: Opened, shape: Shape) -> Iterator[pa.RecordBatch]:
    """The batches of all files, as they may be seen. Raises OutputError for a damaged file."""
    for batch in ahead(_released(opened, shape)):
        found = shape.batch(batch)
        if found is not None:
            yield found


def _released(opened: Opened, shape: Shape) -> Iterator[pa.RecordBatch]:
    """The batches of all files, as they were released."""
    for file in opened.facts.files:
        if not _dates_meet(file.path, shape) or not _folders_meet(file.path, opened, shape):
            continue
        on = place_of(file.path)[1]
        for batch in _still_there(_read(file.path, opened, shape), opened):
            yield _dated(batch, on) if DATE in shape.schema.names else batch


def _read(path: str, opened: Opened, shape: Shape) -> Iterator[pa.RecordBatch]:
    stored = unless_shredded(partial(opened.file, path, shape.coded))
    if stored is None:
        log.warning("%s is left out: its keys were destroyed", path, extra={"code": "W028"})
        return
    rules = [*shape.before, *_scope(opened, shape)]
    groups = groups_of(stored, [rule for rule in rules if rule.column in stored.schema.names])
    if groups:
        yield from stored.batches(groups, shape.read)


def _still_there(batches: Iterator[pa.RecordBatch], opened: Opened) -> Iterator[pa.RecordBatch]:
    """The batches. Where files cannot be kept open, one that is gone was replaced, and nothing of what replaced it is read."""
    try:
        yield from batches
    except OutputError as error:
        ended = error if opened.kept else said(CHANGED)
    else:
        return
    raise ended


def _scope(opened: Opened, shape: Shape) -> list[Bound]:
    """The scope as statistics can settle it."""
    tenant = shape.tenant
    if tenant is None or not pa.types.is_string(opened.facts.schema.field(tenant).type):
        return []
    return one_of(shape.tenants, tenant)


def _dates_meet(path: str, shape: Shape) -> bool:
    """Whether the batch date of a file says nothing against it."""
    return date_meets(place_of(path)[1], shape.on_date)


def _folders_meet(path: str, opened: Opened, shape: Shape) -> bool:
    """Whether the folders of a file say nothing against its rows."""
    folders = dict(value_of(part) for part in PurePosixPath(path).parts[:-1] if "=" in part)
    rules = [*shape.before, *_scope(opened, shape)]
    return all(
        folder_meets(value, opened.facts.schema.field(name).type, [rule for rule in rules if rule.column == name])
        for name, value in folders.items()
        if name in opened.facts.schema.names
    )


def _dated(batch: pa.RecordBatch, on: str | None) -> pa.RecordBatch:
    value = pa.scalar(None if on is None else date.fromisoformat(on), pa.date32())
    return batch.append_column(DATE, pa.repeat(value, batch.num_rows))
