"""Sets of tenants that may be all but some: what a scope comes to once denials are taken off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.compute as pc

from minimize.canonical import canonical_text

_TEXT: Final = pa.string()


@dataclass(frozen=True, slots=True)
class Tenants:
    """Some tenants by name, or (`but`) all but these."""

    names: frozenset[str] = frozenset()
    but: bool = False

    @classmethod
    def of(cls, *names: str) -> Self:
        """These tenants."""
        return cls(frozenset(map(canonical_text, names)))

    @property
    def is_empty(self) -> bool:
        """Whether it is nobody."""
        return not self.names and not self.but

    @property
    def is_all(self) -> bool:
        """Whether it is everybody."""
        return self.but and not self.names

    def __contains__(self, tenant: object) -> bool:
        return (canonical_text(str(tenant)) in self.names) != self.but

    def __or__(self, other: Tenants) -> Tenants:
        return ~(~self & ~other)

    def __and__(self, other: Tenants) -> Tenants:
        if self.but and other.but:
            return Tenants(self.names | other.names, but=True)
        if self.but or other.but:
            some, all_but = (other, self) if self.but else (self, other)
            return Tenants(some.names - all_but.names)
        return Tenants(self.names & other.names)

    def __invert__(self) -> Tenants:
        return Tenants(self.names, not self.but)

    def __sub__(self, other: Tenants) -> Tenants:
        return self & ~other

    def __le__(self, other: Tenants) -> bool:
        return (self - other).is_empty

    def filter(self, column: str, type_: pa.DataType = _TEXT) -> Any:
        """The filter for a column that names the tenant, as Arrow's datasets take it; None where no row need be asked.

        Takes the column's name, and its type where that is another kind of text.
        Nulls: a row without a tenant is everybody's alone.
        """
        if self.is_all:
            return None
        named = pc.field(column).isin(pa.array(sorted(self.names), type_))
        return pc.field(column).is_valid() & (~named if self.but else named)

    def __str__(self) -> str:
        if self.is_all or self.is_empty:
            return "all" if self.but else "none"
        return ("all but " if self.but else "") + ", ".join(sorted(self.names))


EVERYBODY: Final = Tenants(but=True)
NOBODY: Final = Tenants()


def united(sets: Iterable[Tenants]) -> Tenants:
    """Whoever is in one of them.

    >>> str(united([Tenants.of("a"), ~Tenants.of("a", "b")]))
    'all but b'
    """
    return reduce(Tenants.__or__, sets, NOBODY)


def common(sets: Iterable[Tenants]) -> Tenants:
    """Whoever is in all of them."""
    return reduce(Tenants.__and__, sets, EVERYBODY)
