"""Persons counted over everything that was exposed: each once where names can be compared, at most so many where they cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from minimize.governance.incidents.copies import Copy
from minimize.governance.incidents.counting import Counted
from minimize.governance.incidents.persons import Space
from minimize.governance.incidents.tenant import Subjects

_SHAPE = pa.schema([("tenant", pa.string()), ("person", pa.string()), ("sure", pa.bool_())])


@dataclass(frozen=True)
class Heads:
    """Who was seen so far: by space the persons, and by tenant the records of which nobody knows whose they are.

    spaces    per space whether one person has one name there, and who was seen
    nameless  per tenant and file
    capped    per tenant how many records reads showed, where it was exposed by reads alone; None where not
    """

    spaces: dict[Space, list[pa.Table]] = field(default_factory=dict, repr=False)
    nameless: dict[str, dict[str, int]] = field(default_factory=dict, repr=False)
    capped: dict[str, dict[str, int] | None] = field(default_factory=dict, repr=False)

    def add_file(self, each: Counted) -> None:
        """Takes in what a file holds. Of aggregates nobody is counted."""
        reach = each.reach
        if reach.name == "records":
            place = f"{reach.output.folder}/{reach.file.path}"
            self._add(each.space, each.persons, place, sure=reach.read is None, most=each.most)
        for tenant in pc.unique(each.persons["tenant"]).to_pylist():
            if tenant is not None and reach.name == "records":
                self._cap(tenant, None if reach.read is None else (str(reach.read.at), reach.read.rows))

    def add_copy(self, copy: Copy) -> None:
        """Takes in what a recipient got."""
        self._add(copy.space, copy.persons(), copy.act.disclosure, sure=True, most={})
        self._cap(copy.tenant, None)

    def subjects(self) -> dict[str, Subjects]:
        """How many persons of each tenant."""
        found: dict[str, list[Subjects]] = {}
        for tenant, some in self._each():
            found.setdefault(tenant, []).append(some)
        return {tenant: self._all(tenant, each) for tenant, each in found.items()}

    def _add(self, space: Space | None, persons: pa.Table, place: str, *, sure: bool, most: Mapping[str, int]) -> None:
        known = persons.filter(pc.and_(pc.is_valid(persons["tenant"]), pc.is_valid(persons["person"])))
        if space is not None and known.num_rows:
            seen = pa.table([known["tenant"], known["person"], pa.repeat(sure, known.num_rows)], schema=_SHAPE)
            self.spaces.setdefault(space, []).append(seen)
        rest = persons.filter(pc.and_(pc.is_valid(persons["tenant"]), pc.is_null(persons["person"])))
        for line in rest.group_by("tenant").aggregate([("rows", "sum")]).to_pylist():
            places = self.nameless.setdefault(line["tenant"], {})
            places[place] = max(most.get(line["tenant"], line["rows_sum"]), places.get(place, 0))

    def _cap(self, tenant: str, read: tuple[str, int | None] | None) -> None:
        known = self.capped.setdefault(tenant, {})
        if read is None or read[1] is None or known is None:
            self.capped[tenant] = None
        else:
            known[read[0]] = read[1]

    def _each(self) -> Iterator[tuple[str, Subjects]]:
        for space, tables in self.spaces.items():
            once = pa.concat_tables(tables).group_by(["tenant", "person"]).aggregate([("sure", "any")])
            by = once.group_by("tenant").aggregate([("person", "count"), ("sure_any", "all")])
            for line in by.to_pylist():
                yield line["tenant"], Subjects(line["person_count"], space.exact and line["sure_any_all"])
        for tenant, places in self.nameless.items():
            yield tenant, Subjects(sum(places.values()), False)

    def _all(self, tenant: str, each: list[Subjects]) -> Subjects:
        """Over several spaces one person may be counted twice."""
        count, cap = sum(one.count for one in each), self.capped.get(tenant)
        if cap is not None:
            count = min(count, sum(cap.values()))
        return Subjects(count, len(each) == 1 and each[0].exact)
