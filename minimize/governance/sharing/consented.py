"""Records of which only those remain whose tenant agreed: one decision a tenant, spread over the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.io.base import Chunk, Part, Source
from minimize.io.part import Around
from minimize.nested import leaf
from minimize.pointer import Pointer


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one tenant: the consent that covers what leaves, else why none does."""

    consent: str | None
    why: str | None = None


Ask = Callable[[Sequence[str]], Mapping[str, Verdict]]
"""The verdicts of some tenants."""


@dataclass(frozen=True, slots=True)
class Coded:
    """Rows by tenant: the names, and for each row the place of its own, the last where it has none."""

    names: Sequence[str]
    codes: npt.NDArray[np.integer[Any]]

    @classmethod
    def of(cls, tenants: pa.Array) -> Coded:
        """The rows of a column of tenants, plain or dictionary-encoded."""
        coded = tenants if pa.types.is_dictionary(tenants.type) else tenants.dictionary_encode()
        given = [None if name is None else str(name) for name in coded.dictionary.to_pylist()]
        names = [name for name in dict.fromkeys(given) if name is not None]
        if names == given and not coded.null_count:
            return cls(names, np.asarray(coded.indices))
        place = {name: at for at, name in enumerate(names)}
        places = np.array([*(len(names) if name is None else place[name] for name in given), len(names)], np.int64)
        return cls(names, places[coded.indices.fill_null(len(given)).to_numpy(zero_copy_only=False)])

    def counts(self) -> dict[str, int]:
        """How many rows each tenant has."""
        found = np.bincount(self.codes, minlength=len(self.names) + 1)
        return {name: int(count) for name, count in zip(self.names, found, strict=False) if count}

    @property
    def nobodys(self) -> bool:
        """Whether some rows are of no tenant."""
        return bool(len(self.codes)) and int(self.codes.max()) == len(self.names)

    def rows_of(self, names: Collection[str]) -> npt.NDArray[np.bool_] | None:
        """Which rows are of these tenants; None where all are."""
        if all(name in names for name in self.names) and not self.nobodys:
            return None
        agreed: npt.NDArray[np.bool_] = np.array([*(name in names for name in self.names), False])
        rows: npt.NDArray[np.bool_] = agreed[self.codes]
        return rows


@dataclass(slots=True)
class Tenants:
    """Who was asked, and how many rows each brought; counts are by part, so that a part may be read again."""

    ask: Ask
    pointer: Pointer
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    rows: dict[str, Counter[str]] = field(default_factory=dict)

    def agreed(self, batch: pa.RecordBatch, part: str) -> pa.RecordBatch:
        """The records of tenants that agreed, their tenants dictionary-encoded: whoever comes later tells them apart again."""
        batch = _encoded(batch, self.pointer)
        coded = Coded.of(leaf(batch, self.pointer).values)
        new = [name for name in coded.names if name not in self.verdicts]
        if new:
            self.verdicts |= self.ask(new)
        self.rows.setdefault(part, Counter()).update(coded.counts())
        keep = coded.rows_of({name for name in coded.names if self.verdicts[name].consent is not None})
        if keep is None:
            return batch
        return batch.filter(pa.array(keep)) if keep.any() else batch.slice(0, 0)

    def total(self) -> Counter[str]:
        """Rows by tenant, whatever was decided."""
        return sum(self.rows.values(), Counter())

    def held_back(self) -> dict[str, tuple[int, int]]:
        """Per reason how many tenants, and rows, do not leave."""
        found: dict[str, tuple[int, int]] = {}
        for name, rows in sorted(self.total().items()):
            why = self.verdicts[name].why
            if why is not None:
                tenants, before = found.get(why, (0, 0))
                found[why] = (tenants + 1, before + rows)
        return found


def _narrow(batch: pa.RecordBatch, tops: frozenset[str]) -> pa.RecordBatch:
    return batch.select([name for name in batch.schema.names if name in tops])


def _encoded(batch: pa.RecordBatch, pointer: Pointer) -> pa.RecordBatch:
    place = batch.schema.get_field_index(pointer.top)
    column = batch.column(place)
    if not pointer.is_flat or column.type not in (pa.string(), pa.large_string()):
        return batch
    coded = column.dictionary_encode()
    return batch.set_column(place, batch.schema.field(place).with_type(coded.type), coded)


@dataclass(frozen=True, slots=True)
class Agreed(Around):
    """A part of which only the records of tenants that agreed are given."""

    tenants: Tenants
    tops: frozenset[str] | None = None

    def pieces(self) -> Sequence[Part]:
        """Itself."""
        return (self,)

    def read(self) -> Iterator[Chunk]:
        """The part's chunks."""
        self.tenants.rows.pop(self.part.name, None)
        for chunk in self.part.read():
            records = chunk.records if self.tops is None else _narrow(chunk.records, self.tops)
            yield replace(chunk, records=self.tenants.agreed(records, self.part.name))


@dataclass(frozen=True, slots=True)
class AgreedSource:
    """A source of which only the records of tenants that agreed are given."""

    source: Source
    tenants: Tenants
    keys: frozenset[str] | None = None
    """The fields that are read; None for all."""

    @property
    def schema(self) -> pa.Schema:
        """As the source has it."""
        return self.source.schema

    @property
    def parts(self) -> Sequence[Part]:
        """The parts, each with what its tenants agreed to."""
        read = None if self.keys is None else {*map(Pointer.parse, self.keys), self.tenants.pointer}
        tops = None if read is None else frozenset(pointer.top for pointer in read)
        return [Agreed(part, self.tenants, tops) for part in self.source.parts]

    @property
    def again(self) -> bool:
        """Whether it can be read more than once; files can."""
        return getattr(self.source, "again", True)

    def only(self, keys: Collection[str]) -> AgreedSource:
        """The same records with no more than these fields."""
        return replace(self, source=self.source.only(keys), keys=frozenset(keys))
