"""One file, and how somebody stands in it: by which column, in which forms, in which of its row groups."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.canonical import canonical_text
from minimize.governance.retention.clock import Clock
from minimize.governance.retention.events import Event
from minimize.governance.retention.ordered import column_of
from minimize.governance.retention.rules import fields_of
from minimize.governance.retention.whose import Named, Whose
from minimize.governance.subjects.asked import Subject
from minimize.io.index.seek import find
from minimize.io.stored import Stored, coded
from minimize.keys import Keyring, Kms, find_kms
from minimize.nested import leaf
from minimize.pointer import Pointer
from minimize.policy.fields import ways_of
from minimize.policy.model import Field, Policy
from minimize.receipt import OutputFile
from minimize.settings.rows import microseconds_of
from minimize.stores import Place, local
from minimize.techniques.keep import Keep

ALWAYS = datetime(9999, 1, 1, tzinfo=UTC)
_TELLING = ("everything", "linkable", "reversible")
"""What a form must leave of an identifier, for it to name one subject and not several."""


@dataclass(frozen=True)
class Look:
    """One file, and the field by which somebody is looked for in it."""

    folder: Place
    policy: Policy
    key: str
    stored: Stored = field(repr=False)
    keys: Keyring = field(repr=False)

    @property
    def _kms(self) -> Kms:
        return find_kms(self.keys, local(self.folder))

    @cached_property
    def pointers(self) -> dict[str, Pointer]:
        """Where the fields of the file stand."""
        return fields_of(self.policy, self.stored.whole)

    @cached_property
    def clock(self) -> Clock | None:
        """How the file tells event times."""
        return Clock.of(self.policy, self.stored.whole)

    def blind(self, knows_tenants: bool) -> str:
        """Why nobody can be looked for; nothing where he can."""
        if self.key not in self.pointers:
            return f"{self.key} was dropped"
        steps = [step for way in ways_of(self.policy.fields[self.key]) if not isinstance(way, str) for step in way]
        vague = [step.name for step in steps if step.leaves not in _TELLING]
        if vague:
            return f"{self.key} went through {vague[0]}, which gives several subjects one form"
        if not knows_tenants and any(self.policy.tenant in step.reads() for step in steps):
            return f"{self.key} has another form for each tenant, and no tenant is known"
        return ""

    def tenants(self, subject: Subject, known: Collection[str]) -> list[str]:
        """The tenants that he may be of: his own, those that the file shows, else those that are known."""
        return [subject.tenant] if subject.tenant is not None else sorted(self._shown(known))

    def whose(self, subject: Subject, tenants: Sequence[str]) -> Whose:
        """The forms of the subject, with those of the tenants that he may be of."""
        if subject.is_form:
            return self._as_given(str(subject.id), subject.tenant)
        events = [Event(tenant, "subject_left", ALWAYS, subject.id) for tenant in tenants or [""]]
        return Whose.of(events, self._named(self.policy.tenant), None if subject.is_tenant else self._named(self.key))

    def groups(self, whose: Whose, file: OutputFile) -> Sequence[int] | None:
        """The row groups that may hold any of his records, as an index tells; None for all of them."""
        if self.key != self.policy.subject or not whose.own:
            return None
        places = find(self.folder, [file], whose.values, self.keys)
        return places[0].groups if places else ()

    def rows(self, whose: Whose, groups: Sequence[int] | None) -> pa.Table:
        """The records that are about him, of these row groups; None for all."""
        there = self.holding(whose) if groups is None else groups
        batches = (self._only(batch, whose) for batch in self.stored.batches(there)) if there else ()
        return pa.Table.from_batches(batches, self.stored.whole)

    def holding(self, whose: Whose) -> list[int]:
        """The row groups that hold any of his records, by the columns alone that tell whose they are."""
        columns = sorted({place.top for place in (whose.tenant, whose.subject) if place is not None})
        groups = range(self.stored.file.metadata.num_row_groups) if whose.wide or whose.own else ()
        return [group for group in groups if any(map(self._any(whose), self.stored.batches([group], columns=columns)))]

    def lacking(self, tenants: Sequence[str]) -> list[str]:
        """Those of some tenants of which no record is there, by the column of tenants alone."""
        events = [Event(tenant, "tenant_closed", ALWAYS) for tenant in tenants]
        forms = {each.tenant: set(Whose.of([each], self._named(self.key), None).wide) for each in events}
        there: set[str] = set()
        columns = [self.pointers[self.key].top]
        for batch in coded(self.stored, self.folder, self._kms, columns).batches(columns=columns):
            there.update(map(canonical_text, distinct(pa.Table.from_batches([batch]), self.pointers[self.key])))
        return [tenant for tenant in tenants if not forms[tenant] & there]

    def span(self, rows: pa.Table) -> tuple[int | None, int | None]:
        """The instants between which these records happened, in microseconds; nothing where no times are told."""
        if self.clock is None or not rows.num_rows:
            return None, None
        batch = rows.combine_chunks().to_batches()[0]
        return int(self.clock.oldest(batch).min()), int(self.clock.newest(batch).max())

    def _as_given(self, form: str, tenant: str | None) -> Whose:
        """Whoever stands in this form, of one tenant where it is named."""
        named, by = self._named(self.policy.tenant), self._named(self.key)
        of = None if tenant is None or named is None else named.column.forms(tenant, tenant)
        own = dict.fromkeys(((form, each) for each in ([None] if of is None else sorted(of))), microseconds_of(ALWAYS))
        places = [None if each is None else each.pointer for each in (named, by)]
        return Whose(places[0], places[1], own=own)

    def _any(self, whose: Whose) -> Callable[[pa.RecordBatch], bool]:
        return lambda batch: bool(whose.concerns(batch, np.zeros(batch.num_rows, np.int64)).any())

    def _only(self, batch: pa.RecordBatch, whose: Whose) -> pa.RecordBatch:
        return batch.filter(pa.array(whose.concerns(batch, np.zeros(batch.num_rows, np.int64))))

    def _named(self, key: str | None) -> Named | None:
        if key is None or key not in self.pointers:
            return None
        return column_of(self.policy, key, self.pointers[key], self.clock, self.stored, self.keys)

    def _shown(self, known: Collection[str]) -> frozenset[str]:
        pointer = self.pointers.get(self.policy.tenant or "")
        if pointer is None or not is_kept(self.policy.fields[str(self.policy.tenant)]):
            return frozenset(known)
        batches = coded(self.stored, self.folder, self._kms, [pointer.top]).batches(columns=[pointer.top])
        names = (_plain(pc.unique(leaf(batch, pointer).values)).cast(pa.string()) for batch in batches)
        return frozenset(name for each in names for name in each.to_pylist() if name is not None)


def is_kept(field: Field) -> bool:
    """Whether every value stands as it came in."""
    return all(isinstance(step, Keep) for way in ways_of(field) if not isinstance(way, str) for step in way)


def _plain(values: pa.Array) -> pa.Array:
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def distinct(rows: pa.Table, pointer: Pointer) -> frozenset[str]:
    """The distinct values of a field of some records, as text."""
    batches = rows.combine_chunks().to_batches()
    found = (_plain(pc.unique(leaf(batch, pointer).values)).to_pylist() for batch in batches)
    return frozenset(str(each) for one in found for each in one if each is not None)
