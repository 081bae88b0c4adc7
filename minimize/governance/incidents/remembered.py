"""What is known of a file that cannot be looked at: what was taken down when it went, else its folder's name; else nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Final

import pyarrow as pa

from minimize.encryption import open_parquet
from minimize.errors import MinimizeError
from minimize.governance.incidents.counting import SHAPE, Counted, Lost, batch_date, exposed_columns
from minimize.governance.incidents.reached import Reach
from minimize.governance.retention.clock import Clock
from minimize.io.hive import value_of
from minimize.io.stored import stored
from minimize.job.leaving import Held, Left, left
from minimize.keys import Keyring
from minimize.receipt import Receipt

_MADE_WITH_KEYS: Final = frozenset({"pseudonymize", "tokenize", "shift_dates"})


@dataclass(frozen=True)
class Remembering:
    """Tells of files that cannot be looked at.

    known  the versions of keys that others have
    told   per receipt what it took down, once it was read
    """

    keys: Keyring = field(repr=False)
    known: frozenset[str]
    told: dict[str, dict[str, Left]] = field(default_factory=dict, repr=False)

    def of(self, lost: Lost) -> tuple[Lost, Counted | None]:
        """The file with what tells of its tenants, and what that is: all columns are meant, and at most so many persons."""
        reach = lost.reach
        with suppress(MinimizeError, OSError):
            taken = self._taken(reach)
            if taken is not None:
                return replace(lost, by="record"), self._counted(reach, taken.schema, _widened(reach, taken))
            held = tuple(_by_folder(reach))
            if held:
                return replace(lost, by="folder"), self._counted(reach, _schema(reach), held)
        return lost, None

    def _taken(self, reach: Reach) -> Left | None:
        """What the receipt says that took the file away."""
        gone = next((each for each in reach.output.chain if _takes(each, reach.file.path)), None)
        if gone is None:
            return None
        if gone.run_id not in self.told:
            self.told[gone.run_id] = dict(left(reach.output.folder, gone, self.keys))
        return self.told[gone.run_id].get(reach.file.path)

    def _counted(self, reach: Reach, schema: pa.Schema, held: tuple[Held, ...]) -> Counted | None:
        folders = {value_of(part)[0] for part in PurePosixPath(reach.file.path).parts[:-1] if "=" in part}
        columns = exposed_columns(reach, schema, frozenset(schema.names) - folders, self.known)
        some = [each for each in held if each.tenant is None or each.tenant in reach.tenants] if columns else []
        lines = [(each.tenant, None, each.rows, each.since, each.until) for each in some]
        persons = pa.Table.from_pylist([dict(zip(SHAPE.names, line, strict=True)) for line in lines], SHAPE)
        there = {each.tenant: frozenset(columns.values()) for each in some}
        most = {each.tenant: each.persons for each in some if each.tenant is not None and each.persons is not None}
        return Counted(reach, persons, None, there, most, remembered=True)


def _takes(receipt: Receipt, path: str) -> bool:
    return any(each.path == path for each in (*receipt.replaces, *receipt.removes))


def _widened(reach: Reach, taken: Left) -> tuple[Held, ...]:
    """The same, with instants between which the records happened: by how precise their times were, else the batch date."""
    clock = Clock.of(reach.written.policy, taken.schema) if reach.name == "records" else None
    return tuple(_timed(reach, each, clock) for each in taken.held)


def _timed(reach: Reach, held: Held, clock: Clock | None) -> Held:
    if clock is None:
        since, until = batch_date(reach)
        return replace(held, since=since, until=until)
    since = None if held.since is None else held.since - clock.slack
    return replace(held, since=since, until=None if held.until is None else held.until + clock.width)


def _by_folder(reach: Reach) -> Iterator[Held]:
    """The tenant that the file's folder is named by."""
    for part in PurePosixPath(reach.file.path).parts[:-1]:
        key, value = value_of(part)
        if "=" in part and key == reach.written.policy.tenant and value is not None:
            yield Held(value, reach.file.rows, None, *batch_date(reach))


def _schema(reach: Reach) -> pa.Schema:
    """The file's columns, which its footer tells without a key; where it is gone what its receipt did to fields."""
    place = reach.output.folder / reach.file.path
    with suppress(OSError, pa.ArrowException):
        return stored(reach.file.path, open_parquet(place, None, columns=())).whole
    return pa.schema(_told(reach))


def _told(reach: Reach) -> Iterator[pa.Field]:
    wrote = reach.written.receipt
    for name, said in wrote.fields.items():
        did = [said.did] if isinstance(said.did, str) else [*said.did]
        about = {
            "minimize:category": wrote.outputs[reach.name].category,
            "minimize:technique": ", ".join(did),
            "minimize:key": ",".join(wrote.keys) if set(did) & _MADE_WITH_KEYS else "",
        }
        if did != ["drop"]:
            yield pa.field(name, pa.null(), metadata=about)
