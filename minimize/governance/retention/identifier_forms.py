"""Identifier forms.

How an identifier is stored in a column (as received, as a pseudonym or as a token), and the columns by which the tenants and
subjects of a file are found. Pseudonyms and tokens are made with the key version that the file names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, Protocol

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.governance.event_times import EventTimeBounds
from minimize.governance.retention.retention_rules import field_pointers
from minimize.identifiers import canonical_text
from minimize.keys import Keyring
from minimize.output.stored_file import StoredFile
from minimize.policy.fields import treatments_of
from minimize.policy.model import Policy
from minimize.techniques import Context, Technique, TechniqueStep, treat
from minimize.techniques.base import DISTINCT_LEAVES
from minimize.techniques.keep import Keep
from minimize.techniques.periods import period_starts
from minimize.techniques.pseudonymize import Pseudonymize
from minimize.times import EPOCH, from_epoch_microseconds

ValueInTenant = tuple[str, str]
"""A value and its tenant."""


class IdentifierForms(Protocol):
    """How somebody stands in a column."""

    @property
    def chain_names(self) -> frozenset[str] | None:
        """The names of the ways in which values come to stand there; None where that depends on what is not known."""
        ...

    @property
    def is_injective(self) -> bool:
        """Whether two values of a tenant never have the same form there."""
        ...

    def forms(self, value: str, tenant: str) -> frozenset[str] | None:
        """Every form in which a value may stand there; None where that depends on what is not known."""
        ...

    def forms_of_all(self, pairs: Sequence[ValueInTenant]) -> list[frozenset[str]] | None:
        """The same of several values with their tenants, at once."""
        ...


@dataclass(frozen=True, slots=True)
class LookupColumn:
    """A column by which somebody is found: where it stands, and how."""

    pointer: Pointer
    column: IdentifierForms


KEY_METADATA: Final = "minimize:key"
AS_RECEIVED: Final = "as it came"
"""The name of the way on which nothing is done to a value."""
_TIMESTAMP: Final = pa.timestamp("us", "UTC")
_ANY_TIME: Final = EPOCH
"""An instant where none matters."""


@dataclass(frozen=True, slots=True)
class PinnedKeyring:
    """A keyring in which some keys have the version that a file was written with."""

    keys: Keyring = field(repr=False)
    versions: Mapping[str, int]

    def bytes_of(self, name: str, version: int | None = None) -> bytes:
        """The key's bytes, of the file's version where none is given."""
        return self.keys.bytes_of(name, version or self.versions.get(name))

    def version_of(self, name: str) -> int:
        """The file's version of a key."""
        return self.versions.get(name) or self.keys.version_of(name)


@dataclass(frozen=True, slots=True)
class AppliedChain:
    """A chain of techniques that a value may have gone through, and an instant of the period in which it did."""

    steps: tuple[Technique, ...]
    time: datetime


@dataclass(frozen=True)
class IdentifierColumn:
    """A field of a file: how it was treated, and with which keys.

    times  one instant of each period that the file's events may lie in
    """

    policy: Policy
    key: str
    keys: PinnedKeyring = field(repr=False)
    times: Sequence[datetime] = ()

    @property
    def is_injective(self) -> bool:
        """Whether two values of a tenant never have the same form there."""
        steps = [step for way in self.chains or () for step in way.steps]
        return self.chains is not None and all(step.leaves in DISTINCT_LEAVES for step in steps)

    def forms(self, value: str, tenant: str) -> frozenset[str] | None:
        """Every form in which a value may stand there; None where that depends on what is not known."""
        if self.chains is None:
            return None
        found = (self.forms_by_chain(way, [(value, tenant)])[0] for way in self.chains)
        return frozenset(form for form in found if form is not None)

    def forms_of_all(self, pairs: Sequence[tuple[str, str]]) -> list[frozenset[str]] | None:
        """The same of several values, each with its tenant, a technique at a time over all of them."""
        if not self.chains:
            return None if self.chains is None else [frozenset() for _ in pairs]
        each = [self.forms_by_chain(way, pairs) for way in self.chains]
        return [frozenset(form for form in forms if form is not None) for forms in zip(*each, strict=True)]

    @cached_property
    def chains(self) -> tuple[AppliedChain, ...] | None:
        """Every way in which a value may have come to stand there; None where that depends on what is not known."""
        chains = [way for way in treatments_of(self.policy.fields[self.key]) if not isinstance(way, str)]
        if not all(self._is_known(chain) for chain in chains):
            return None
        once = [chain for place, chain in enumerate(chains) if chain not in chains[:place]]  # some cannot be hashed
        return tuple(way for chain in once for way in self._applied_chains(chain))

    @cached_property
    def chain_names(self) -> frozenset[str] | None:
        """The names of its ways; see `name_of`."""
        return None if self.chains is None else frozenset(map(self.chain_name, self.chains))

    def chain_name(self, chain: AppliedChain) -> str:
        """What ways have in common that give the same value the same form; it tells nothing of keys or values.

        Steps and their parameters, the field they are particular to, key versions, and the periods that the time lies in.
        """
        if all(isinstance(step, Keep) for step in chain.steps):
            return AS_RECEIVED
        steps = [[step.name, step.model_dump(mode="json")] for step in chain.steps]
        keys = sorted({f"{name}/{self.keys.version_of(name)}" for step in chain.steps for name in step.key_names})
        units = sorted({step.rotate for step in chain.steps if isinstance(step, Pseudonymize) and step.rotate})
        periods = [
            [unit, str(period_starts(pa.array([chain.time], _TIMESTAMP), unit, "UTC")[0].as_py())] for unit in units
        ]
        types = [self._type_of(self.key), self._type_of(self.policy.tenant)]
        said = json.dumps([self.key, types, self.policy.tenant, steps, keys, periods], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:32]

    def forms_by_chain(self, chain: AppliedChain, pairs: Sequence[tuple[str, str]]) -> list[str | None]:
        """The form that each value takes on one way; None where it cannot go it."""
        values = self._typed(self.key, [value for value, _ in pairs])
        tenant = self.policy.tenant
        columns = {} if tenant is None else {tenant: self._typed(tenant, [name for _, name in pairs])}
        times = pa.repeat(pa.scalar(chain.time, _TIMESTAMP), len(pairs))
        context = Context(self.key, chain.time, self.keys, columns, times)
        for step in chain.steps if len(pairs) else ():
            values = treat(step, values, replace(context, cache=None)).values
        return [
            form.decode() if isinstance(form, bytes) else None if form is None else str(form)
            for form in values.to_pylist()
        ]

    def _is_known(self, chain: Sequence[TechniqueStep]) -> bool:
        return not any(step.reads() - {self.policy.tenant} or not isinstance(step, Technique) for step in chain)

    def _applied_chains(self, chain: Sequence[TechniqueStep]) -> Iterator[AppliedChain]:
        steps = tuple(step for step in chain if isinstance(step, Technique))
        for time in self.times if any(step.needs_time for step in steps) else (_ANY_TIME,):
            yield AppliedChain(steps, time)

    def _type_of(self, key: str | None) -> str | None:
        field_ = None if key is None else self.policy.fields.get(key)
        return None if field_ is None else field_.type

    def _typed(self, key: str, texts: Sequence[str]) -> pa.Array:
        """Ids in canonical form as values of a field; what is no whole number is nobody's id in a field of whole numbers."""
        texts = [canonical_text(text, fold=self.policy.folds_case(key)) for text in texts]
        if self._type_of(key) != "integer":
            return pa.array(texts, pa.string())
        return pa.array([int(text) if _is_whole_number(text) else None for text in texts], pa.int64())


def pinned_keyring(keys: Keyring, schema: pa.Schema, pointer: Pointer) -> PinnedKeyring:
    """The keyring with the versions that a column's metadata names."""
    name = KEY_METADATA if pointer.is_flat else f"{KEY_METADATA}{pointer}"
    said: dict[bytes, bytes] = schema.field(pointer.top).metadata or {}
    text = said.get(name.encode(), b"").decode()
    pairs = (each.partition("/") for each in text.split(",") if "/" in each)
    return PinnedKeyring(keys, {key: int(version) for key, _, version in pairs if version.isdigit()})


def rotation_units(policy: Policy, key: str) -> frozenset[str]:
    """The periods by which a field's pseudonyms rotate."""
    ways = [way for way in treatments_of(policy.fields[key]) if not isinstance(way, str)]
    steps = [step for way in ways for step in way if isinstance(step, Pseudonymize)]
    return frozenset(step.rotate for step in steps if step.rotate is not None)


def _is_whole_number(value: Any) -> bool:
    try:
        return str(int(value)) == str(value).strip()
    except ValueError:
        return False


_PERIOD_DAYS: Final[Mapping[str, int]] = {"day": 1, "week": 7, "month": 28, "quarter": 90, "year": 365}
"""Days from one instant of a period to one that is in the next, or still in the same."""


def lookup_columns(
    policy: Policy,
    pointers: Mapping[str, Pointer],
    clock: EventTimeBounds | None,
    stored: StoredFile,
    keys: Keyring,
    by: str | None = None,
) -> tuple[LookupColumn | None, LookupColumn | None]:
    """By which columns of a file tenants and subjects (or who is named `by` a field) are found; None where it has none."""

    def column_of(key: str | None) -> LookupColumn | None:
        there = key is not None and key in pointers
        return lookup_column(policy, str(key), pointers[str(key)], clock, stored, keys) if there else None

    return column_of(policy.tenant), column_of(policy.subject if by is None else by)


def file_lookup_columns(
    policy: Policy, stored: StoredFile, keys: Keyring, by: str | None = None
) -> tuple[LookupColumn | None, LookupColumn | None]:
    """As `lookup_columns`, for a file of which only its policy is known."""
    pointers, clock = field_pointers(policy, stored.whole), EventTimeBounds.for_policy(policy, stored.whole)
    return lookup_columns(policy, pointers, clock, stored, keys, by)


def lookup_column(
    policy: Policy, key: str, pointer: Pointer, clock: EventTimeBounds | None, stored: StoredFile, keys: Keyring
) -> LookupColumn:
    """The column of a field, and how somebody stands in it: by the key versions and the rotation periods of the file."""
    units = rotation_units(policy, key)
    times = tuple(_file_instants(clock, stored, units)) if units else ()
    return LookupColumn(pointer, IdentifierColumn(policy, key, pinned_keyring(keys, stored.whole, pointer), times))


def _file_instants(clock: EventTimeBounds | None, stored: StoredFile, units: frozenset[str]) -> Iterator[datetime]:
    """Instants of every period that an event of the file may lie in."""
    extent = None if clock is None else clock.extent(stored)
    if extent is not None:
        first, last = map(from_epoch_microseconds, extent)
        yield from period_instants(first, last, units)


def period_instants(first: datetime, last: datetime, units: frozenset[str]) -> Iterator[datetime]:
    """Instants of every period of these units from the first instant to the last."""
    step = timedelta(days=min(_PERIOD_DAYS[unit] for unit in units))
    while first < last + step:
        yield min(first, last)
        first += step
