"""What an exposed file holds of each tenant: records, persons, which columns have something, from when to when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial, reduce
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from minimize.errors import KeyringError, OutputError, PolicyError
from minimize.governance.incidents.columns import Column, Known, of_keys
from minimize.governance.incidents.persons import Persons, Space
from minimize.governance.incidents.reached import Reach
from minimize.governance.retention.clock import UNKNOWN, Clock
from minimize.governance.retention.ordered import column_of
from minimize.governance.retention.rules import fields_of
from minimize.io.stored import Stored, open_stored
from minimize.keys import Keyring, find_kms
from minimize.nested import leaf
from minimize.pointer import Pointer
from minimize.policy.fields import ways_of
from minimize.policy.model import Policy
from minimize.settings.rows import microseconds_of
from minimize.stores import local
from minimize.techniques.keep import Keep
from minimize.times import moment

SHAPE = pa.schema(
    [
        ("tenant", pa.string()),
        ("person", pa.string()),
        ("rows", pa.int64()),
        ("since", pa.int64()),
        ("until", pa.int64()),
    ]
)
"""Per tenant and person the records, and the instants between which they happened, in microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What one file holds of what was exposed of it.

    persons  of `SHAPE`
    space    in which persons are named; None where they are not
    columns  by tenant the columns in which something stands
    most     by tenant at most how many persons, where they are not named any more; then it is
    remembered, for the file cannot be looked at
    """

    reach: Reach
    persons: pa.Table = field(repr=False)
    space: Space | None
    columns: dict[str | None, frozenset[Column]]
    most: dict[str, int] = field(default_factory=dict)
    remembered: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """A file that was exposed and cannot be looked at: its code, or why. Its receipt tells how many records it had.

    by  what tells of whom they were: what was taken down when it went (`record`), its folder's name; None where nothing does
    """

    reach: Reach
    why: str
    by: Literal["record", "folder"] | None = None


@dataclass(frozen=True)
class Counting:
    """Counts what files hold.

    known    the versions of keys that others have
    tenants  those that the ledger names: where a file has pseudonyms of tenants, they are tried
    """

    keys: Keyring = field(repr=False)
    known: frozenset[str]
    tenants: frozenset[str] = frozenset()

    def of(self, reach: Reach) -> Counted | Lost:
        """What a file holds of what was exposed."""
        lost = ""
        try:
            return self._counted(reach)
        except (OutputError, KeyringError, PolicyError) as error:
            lost = error.code
        except OSError:
            lost = "it is gone"
        return Lost(reach, lost)

    def _counted(self, reach: Reach) -> Counted:
        stored = open_stored(reach.output.folder, reach.file.path, find_kms(self.keys, local(reach.output.folder)))
        one = One(reach, reach.written.policy, stored, self)
        return one.counted()


@dataclass(frozen=True)
class One:
    """One file, and what is looked at in it."""

    reach: Reach
    policy: Policy
    stored: Stored = field(repr=False)
    counting: Counting = field(repr=False)

    def counted(self) -> Counted:
        """What it holds. Memory grows with the number of persons."""
        pointers = self._pointers()
        persons = Persons.of(self.policy, pointers, self.stored.whole) if self.reach.name == "records" else Persons()
        wanted = self._wanted()
        names = None if self.reach.columns is None and not self.reach.keyed else self._needed(pointers, [*wanted])
        parts, there = [SHAPE.empty_table()], dict[str | None, set[Column]]()
        for batch in map(partial(self._only, [*wanted]), self.stored.batches(columns=names)):
            tenants = self._tenants(batch, pointers)
            parts.append(_grouped(self._rows(batch, tenants, persons)))
            for tenant, column in _filled(batch, tenants, wanted):
                there.setdefault(tenant, set()).add(column)
        found = merged(parts)
        columns = {name: frozenset(each) for name, each in there.items() if name is None or name in self.reach.tenants}
        found = found.filter(pc.is_in(found["tenant"], pa.array([*columns], pa.string())))
        return Counted(self.reach, found, persons.space, columns)

    def _needed(self, pointers: dict[str, Pointer], wanted: list[str]) -> frozenset[str]:
        """The columns that are read: what was exposed, and what tells whose it is and when it happened."""
        telling = (self.policy.tenant, self.policy.subject, self.policy.time)
        return frozenset([*wanted, *(pointers[key].top for key in telling if key is not None and key in pointers)])

    def _only(self, names: list[str], batch: pa.RecordBatch) -> pa.RecordBatch:
        """The records that have a value in one of these columns, where not all columns were exposed."""
        if self.reach.columns is None and not self.reach.keyed:
            return batch
        none = pa.repeat(pa.scalar(False), batch.num_rows)
        return batch.filter(reduce(pc.or_, (batch.column(name).is_valid() for name in names), none))

    def _pointers(self) -> dict[str, Pointer]:
        """Where the policy's fields stand: in records by their path, in an aggregate by what its columns say."""
        if self.reach.name == "records":
            return fields_of(self.policy, self.stored.whole)
        said = {(each.metadata or {}).get(b"minimize:field", b"").decode(): each for each in self.stored.whole}
        return {key: Pointer((each.name,)) for key, each in said.items() if key and not _is_measure(each)}

    def _wanted(self) -> dict[str, Column]:
        """The columns that were exposed."""
        inside = frozenset(self.stored.schema.names)
        return exposed_columns(self.reach, self.stored.whole, inside, self.counting.known)

    def _rows(self, batch: pa.RecordBatch, tenants: pa.Array, persons: Persons) -> pa.Table:
        clock = Clock.of(self.policy, self.stored.whole) if self.reach.name == "records" else None
        since, until = self._times(batch, clock)
        who = pa.nulls(batch.num_rows, pa.string())
        if persons.pointer is not None:
            who = _text(leaf(batch, persons.pointer).values)
        ones = pa.repeat(pa.scalar(1, pa.int64()), batch.num_rows)
        return pa.table([tenants, who, ones, since, until], schema=SHAPE)

    def _times(self, batch: pa.RecordBatch, clock: Clock | None) -> tuple[pa.Array, pa.Array]:
        """Instants between which each record happened; where the file tells none, its batch date."""
        if clock is not None:
            oldest, newest = clock.oldest(batch), clock.newest(batch)
            return pa.array(oldest, mask=oldest == UNKNOWN), pa.array(newest, mask=newest == UNKNOWN)
        since, until = (pa.repeat(pa.scalar(each, pa.int64()), batch.num_rows) for each in batch_date(self.reach))
        return since, until

    def _tenants(self, batch: pa.RecordBatch, pointers: dict[str, Pointer]) -> pa.Array:
        """Per record its tenant, as it came in; null where the file does not tell."""
        key = self.policy.tenant
        pointer = None if key is None else pointers.get(key)
        if key is None or pointer is None or pointer.stars:
            return pa.nulls(batch.num_rows, pa.string())
        values = _text(leaf(batch, pointer).values)
        if all(
            isinstance(step, Keep)
            for way in ways_of(self.policy.fields[key])
            if not isinstance(way, str)
            for step in way
        ):
            return values
        forms = self._forms(key, pointer)
        places = pc.index_in(values, pa.array([*forms], pa.string()))
        return pa.array([*forms.values()], pa.string()).take(places)

    def _forms(self, key: str, pointer: Pointer) -> dict[str, str]:
        """By form of a tenant the tenant, of those that are known."""
        clock = Clock.of(self.policy, self.stored.whole)
        column = column_of(self.policy, key, pointer, clock, self.stored, self.counting.keys).column
        return {form: name for name in self.counting.tenants for form in column.forms(name, name) or ()}


def batch_date(reach: Reach) -> tuple[int | None, int | None]:
    """The first and the last microsecond of a file's batch date, since 1970; None where it has none."""
    first = None if reach.date is None else moment(reach.date)
    if first is None:
        return None, None
    return microseconds_of(first), microseconds_of(first + timedelta(days=1)) - 1


def exposed_columns(reach: Reach, whole: pa.Schema, inside: frozenset[str], known: frozenset[str]) -> dict[str, Column]:
    """The columns of a file that were exposed. Takes which of them stand in it, and not in its folders' names; known keys."""
    masters, telling = reach.file.keys or (), Known(known, opened=reach.read is not None)
    return {
        each.name: telling.column(each, masters, folder=each.name not in inside)
        for each in whole
        if (reach.columns is None or each.name in reach.columns) and (not reach.keyed or of_keys(each, masters, known))
    }


def merged(parts: Sequence[pa.Table]) -> pa.Table:
    """Tables of `SHAPE`, each tenant and person once."""
    return _grouped(pa.concat_tables(parts))


def _grouped(rows: pa.Table) -> pa.Table:
    how = [("rows", "sum"), ("since", "min"), ("until", "max")]
    return rows.group_by(["tenant", "person"]).aggregate(how).rename_columns(SHAPE.names).cast(SHAPE)


def _filled(batch: pa.RecordBatch, tenants: pa.Array, wanted: dict[str, Column]) -> Iterator[tuple[str | None, Column]]:
    """The columns that have a value for a tenant. The loop runs over distinct tenants."""
    flags = {f"{place}": batch.column(name).is_valid() for place, name in enumerate(wanted)}
    if not flags:
        return
    table = pa.table({"tenant": tenants, **flags}).group_by("tenant").aggregate([(name, "any") for name in flags])
    for place, column in enumerate(wanted.values()):
        some = table.filter(table[f"{place}_any"])["tenant"].to_pylist()
        yield from ((tenant, column) for tenant in some)


def _text(values: pa.Array) -> pa.Array:
    plain = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    return plain.cast(pa.string())


def _is_measure(each: pa.Field) -> bool:
    return b"minimize:measure" in (each.metadata or {})
