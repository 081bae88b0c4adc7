"""Where somebody stands: in every output, by every form in which its files may have him; an index says what to read.

What a file shows of a subject is found by working the policy's techniques on his identifier with the key version that the file
names, for each rotation period of its events and for each tenant that he may belong to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.encryption import unless_shredded
from minimize.governance.retention.clock import Clock
from minimize.governance.retention.events import Event
from minimize.governance.retention.ordered import column_of
from minimize.governance.retention.rules import fields_of
from minimize.governance.retention.whose import Named, Whose
from minimize.governance.retention.written import Written
from minimize.governance.subjects.asked import Subject
from minimize.governance.subjects.outputs import Output
from minimize.io.index.seek import find
from minimize.io.places import place_of
from minimize.io.stored import Stored, open_stored
from minimize.keys import Keyring, Kms, find_kms
from minimize.nested import leaf
from minimize.pointer import Pointer
from minimize.policy.fields import ways_of
from minimize.policy.model import Field, Policy
from minimize.receipt import OutputFile
from minimize.stores import Place, local
from minimize.techniques.keep import Keep

ALWAYS = datetime(9999, 1, 1, tzinfo=UTC)
_TELLING = ("everything", "linkable", "reversible")
"""What a form must leave of an identifier, for it to name one subject and not several."""


@dataclass(frozen=True, slots=True)
class Held:
    """Records of one subject in one file.

    key    the field by which he was found
    rows   his records, as they stand there
    since  the oldest instant that one of them may stand for, in microseconds since 1970; None where no times are told
    """

    output: Output
    written: Written
    file: OutputFile
    key: str
    rows: pa.Table = field(repr=False)
    since: int | None = None
    until: int | None = None

    @property
    def date(self) -> str | None:
        """The partition."""
        return place_of(self.file.path)[1]

    @property
    def forms(self) -> frozenset[str]:
        """The forms in which he stands there."""
        return _distinct(self.rows, Pointer.parse(self.key))

    @property
    def tenants(self) -> frozenset[str]:
        """The tenants beside him, where the file has them as they came in."""
        policy = self.written.policy
        pointer = fields_of(policy, self.rows.schema).get(policy.tenant or "")
        shows = pointer is not None and _is_kept(policy.fields[str(policy.tenant)])
        return _distinct(self.rows, pointer) if pointer is not None and shows else frozenset()


@dataclass(frozen=True, slots=True)
class Blind:
    """A file in which nobody can be looked for by this identifier, and why."""

    output: Output
    file: OutputFile
    why: str


Found = Held | Blind


@dataclass(frozen=True)
class Search:
    """A search for one subject. `tenants` are those that the ledger names."""

    subject: Subject
    keys: Keyring = field(repr=False)
    tenants: frozenset[str] = field(default=frozenset(), repr=False)

    def over(self, outputs: Iterable[Output]) -> Iterator[Found]:
        """What stands of the subject in these outputs, file by file."""
        for output in outputs:
            for written, file in output.files():
                found = self._in(output, written, file)
                if found is not None:
                    yield found

    def _in(self, output: Output, written: Written, file: OutputFile) -> Found | None:
        policy = written.policy
        key = policy.tenant if self.subject.is_tenant else self.subject.field or policy.subject
        if key is None or key not in policy.fields:
            return None
        stored = unless_shredded(lambda: open_stored(output.folder, file.path, self._kms(output)))
        if stored is None:
            return Blind(output, file, "its keys were destroyed, so that nobody can read it any more")
        look = Look(output.folder, policy, key, stored, self.keys)
        tenants = look.tenants(self.subject, self.tenants)
        blind = look.blind(bool(tenants))
        if blind:
            return Blind(output, file, blind)
        whose = look.whose(self.subject, tenants)
        if whose.lost:
            return Blind(output, file, f"how {key} stands there depends on what is not known")
        rows = look.rows(whose, file, indexed=key == policy.subject)
        return None if not rows.num_rows else Held(output, written, file, key, rows, *look.span(rows))

    def _kms(self, output: Output) -> Kms:
        return find_kms(self.keys, local(output.folder))


@dataclass(frozen=True)
class Look:
    """One file, and the field by which somebody is looked for in it."""

    folder: Place
    policy: Policy
    key: str
    stored: Stored = field(repr=False)
    keys: Keyring = field(repr=False)

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
        events = [Event(tenant, "subject_left", ALWAYS, subject.id) for tenant in tenants or [""]]
        return Whose.of(events, self._named(self.policy.tenant), None if subject.is_tenant else self._named(self.key))

    def rows(self, whose: Whose, file: OutputFile, *, indexed: bool) -> pa.Table:
        """The records that are about him; of the row groups alone that may hold any."""
        groups = self._groups(whose, file) if indexed and whose.own else None
        batches = (self._only(batch, whose) for batch in self.stored.batches(groups)) if groups != () else ()
        return pa.Table.from_batches(batches, self.stored.whole)

    def span(self, rows: pa.Table) -> tuple[int | None, int | None]:
        """The instants between which these records happened, in microseconds; nothing where no times are told."""
        if self.clock is None or not rows.num_rows:
            return None, None
        batch = rows.combine_chunks().to_batches()[0]
        return int(self.clock.oldest(batch).min()), int(self.clock.newest(batch).max())

    def _groups(self, whose: Whose, file: OutputFile) -> Sequence[int] | None:
        places = find(self.folder, [file], whose.values, self.keys)
        return places[0].groups if places else ()

    def _only(self, batch: pa.RecordBatch, whose: Whose) -> pa.RecordBatch:
        return batch.filter(pa.array(whose.concerns(batch, np.zeros(batch.num_rows, np.int64))))

    def _named(self, key: str | None) -> Named | None:
        if key is None or key not in self.pointers:
            return None
        return column_of(self.policy, key, self.pointers[key], self.clock, self.stored, self.keys)

    def _shown(self, known: Collection[str]) -> frozenset[str]:
        pointer = self.pointers.get(self.policy.tenant or "")
        if pointer is None or not _is_kept(self.policy.fields[str(self.policy.tenant)]):
            return frozenset(known)
        batches = self.stored.batches(columns=[pointer.top])
        names = (pc.unique(_plain(leaf(batch, pointer).values).cast(pa.string())) for batch in batches)
        return frozenset(name for each in names for name in each.to_pylist() if name is not None)


def _is_kept(field: Field) -> bool:
    """Whether every value stands as it came in."""
    return all(isinstance(step, Keep) for way in ways_of(field) if not isinstance(way, str) for step in way)


def _plain(values: pa.Array) -> pa.Array:
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def _distinct(rows: pa.Table, pointer: Pointer) -> frozenset[str]:
    batches = rows.combine_chunks().to_batches()
    found = (pc.unique(_plain(leaf(batch, pointer).values)).to_pylist() for batch in batches)
    return frozenset(str(each) for one in found for each in one if each is not None)
