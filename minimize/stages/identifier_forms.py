"""Identifier forms.

The form of an identifier in a column: as received, as a pseudonym or as a token. Pseudonyms and tokens are made with the key
version that the file names.
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
from minimize.identifiers import canonical_text
from minimize.keys import Keyring
from minimize.policy.fields import treatments_of
from minimize.policy.model import Policy
from minimize.techniques import Context, Technique, TechniqueStep, treat
from minimize.techniques.periods import period_starts
from minimize.techniques.pseudonymize import Pseudonymize
from minimize.times import EPOCH

ValueInTenant = tuple[str, str]
"""A value and its tenant."""


class IdentifierForms(Protocol):
    """The forms of identifiers in a column."""

    @property
    def chain_names(self) -> frozenset[str] | None:
        """The names of all chains that may have produced a value; None if they depend on unknown values."""
        ...

    @property
    def is_injective(self) -> bool:
        """Whether two values of a tenant never have the same form in the column."""
        ...

    @property
    def shows_tenant(self) -> bool:
        """Whether values of two tenants never have the same form in the column."""
        ...

    def forms(self, value: str, tenant: str) -> frozenset[str] | None:
        """Every form that a value may have in the column; None if it depends on unknown values."""
        ...

    def forms_of_all(self, pairs: Sequence[ValueInTenant]) -> list[frozenset[str]] | None:
        """The forms of several values with their tenants, in one call."""
        ...


@dataclass(frozen=True, slots=True)
class LookupColumn:
    """A column that identifies tenants or subjects: its pointer, and the forms of identifiers in it."""

    pointer: Pointer
    column: IdentifierForms


KEY_METADATA: Final = "minimize:key"
AS_RECEIVED: Final = "as it came"
"""The name of a chain that leaves the value unchanged. It is stored in the ledger."""
_TIMESTAMP: Final = pa.timestamp("us", "UTC")
_ANY_TIME: Final = EPOCH
"""An instant for chains that do not depend on time."""


@dataclass(frozen=True, slots=True)
class PinnedKeyring:
    """A keyring in which some keys have the version that a file was written with."""

    keys: Keyring = field(repr=False)
    versions: Mapping[str, int]

    def bytes_of(self, name: str, version: int | None = None) -> bytes:
        """The key's bytes, by default of the file's version."""
        return self.keys.bytes_of(name, version or self.versions.get(name))

    def version_of(self, name: str) -> int:
        """The file's version of a key."""
        return self.versions.get(name) or self.keys.version_of(name)


@dataclass(frozen=True, slots=True)
class AppliedChain:
    """A chain of techniques that may have produced a value, and an instant of the period in which it was applied."""

    steps: tuple[Technique, ...]
    time: datetime


@dataclass(frozen=True, eq=False)
class IdentifierColumn:
    """A field of some files: its treatments, and the keys that they used. The forms of a value are computed once."""

    policy: Policy
    key: str
    keys: PinnedKeyring = field(repr=False)
    times: Sequence[datetime] = ()
    """One instant of each period in which an event of the files may have happened."""
    _computed_forms: dict[ValueInTenant, frozenset[str]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def is_injective(self) -> bool:
        """Whether two values of a tenant never have the same form in the column."""
        steps = [step for way in self.chains or () for step in way.steps]
        return self.chains is not None and all(step.keeps_distinct() for step in steps)

    @property
    def shows_tenant(self) -> bool:
        """Whether values of two tenants never have the same form in the column."""
        ways = self.chains or ()
        return bool(ways) and all(any(self.policy.tenant in step.reads() for step in way.steps) for way in ways)

    def forms(self, value: str, tenant: str) -> frozenset[str] | None:
        """Every form that a value may have in the column; None if it depends on unknown values."""
        forms = self.forms_of_all([(value, tenant)])
        return None if forms is None else forms[0]

    def forms_of_all(self, pairs: Sequence[ValueInTenant]) -> list[frozenset[str]] | None:
        """The forms of several values, each with its tenant. Each technique runs once over all values."""
        if self.chains is None:
            return None
        new = list(dict.fromkeys(pair for pair in pairs if pair not in self._computed_forms))
        forms_per_chain = [self.forms_by_chain(way, new) for way in self.chains]
        for pair, *forms in zip(new, *forms_per_chain, strict=True):
            self._computed_forms[pair] = frozenset(form for form in forms if form is not None)
        return [self._computed_forms[pair] for pair in pairs]

    @cached_property
    def chains(self) -> tuple[AppliedChain, ...] | None:
        """Every chain that may have produced a value; None if it depends on unknown values."""
        chains = [way for way in treatments_of(self.policy.fields[self.key]) if not isinstance(way, str)]
        if not all(self._is_known(chain) for chain in chains):
            return None
        once = [chain for place, chain in enumerate(chains) if chain not in chains[:place]]  # some are not hashable
        return tuple(way for chain in once for way in self._applied_chains(chain))

    @cached_property
    def chain_names(self) -> frozenset[str] | None:
        """The names of the chains; see `chain_name`."""
        return None if self.chains is None else frozenset(map(self.chain_name, self.chains))

    def chain_name(self, chain: AppliedChain) -> str:
        """A name that chains share if they give the same value the same form. It reveals neither keys nor values.

        Made of the steps and their parameters, the field that separates their tokens, key versions, and the periods of the time.
        """
        if all(step.changes_nothing for step in chain.steps):
            return AS_RECEIVED
        steps = [[step.name, step.model_dump(mode="json")] for step in chain.steps]
        keys = sorted({f"{name}/{self.keys.version_of(name)}" for step in chain.steps for name in step.key_names})
        units = sorted({step.rotate for step in chain.steps if isinstance(step, Pseudonymize) and step.rotate})
        periods = [
            [unit, str(period_starts(pa.array([chain.time], _TIMESTAMP), unit, "UTC")[0].as_py())] for unit in units
        ]
        types = [self._type_of(self.key), self._type_of(self.policy.tenant)]
        content = json.dumps([self._domain(chain), types, self.policy.tenant, steps, keys, periods], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    def _domain(self, chain: AppliedChain) -> str:
        """The field that separates the values of a chain; empty if each keyed step names a link, which its parameters show."""
        keyed = [step for step in chain.steps if step.key_names]
        linked = bool(keyed) and all(isinstance(step, Pseudonymize) and step.link for step in keyed)
        return "" if linked else self.key

    def forms_by_chain(self, chain: AppliedChain, pairs: Sequence[tuple[str, str]]) -> list[str | None]:
        """The form of each value after one chain; None if the chain cannot process the value."""
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
        """Ids in canonical form as values of a field. In an integer field, an id that is not a whole number becomes null."""
        texts = [canonical_text(text, fold=self.policy.folds_case(key)) for text in texts]
        if self._type_of(key) != "integer":
            return pa.array(texts, pa.string())
        return pa.array([int(text) if _is_whole_number(text) else None for text in texts], pa.int64())


def pinned_keyring(keys: Keyring, schema: pa.Schema, pointer: Pointer) -> PinnedKeyring:
    """The keyring with the versions that a column's metadata names."""
    name = KEY_METADATA if pointer.is_flat else f"{KEY_METADATA}{pointer}"
    metadata: dict[bytes, bytes] = schema.field(pointer.top).metadata or {}
    text = metadata.get(name.encode(), b"").decode()
    pairs = (each.partition("/") for each in text.split(",") if "/" in each)
    return PinnedKeyring(keys, {key: int(version) for key, _, version in pairs if version.isdigit()})


def rotation_units(policy: Policy, key: str) -> frozenset[str]:
    """The rotation periods of a field's pseudonyms."""
    ways = [way for way in treatments_of(policy.fields[key]) if not isinstance(way, str)]
    steps = [step for way in ways for step in way if isinstance(step, Pseudonymize)]
    return frozenset(step.rotate for step in steps if step.rotate is not None)


def _is_whole_number(value: Any) -> bool:
    try:
        return str(int(value)) == str(value).strip()
    except ValueError:
        return False


_PERIOD_DAYS: Final[Mapping[str, int]] = {"day": 1, "week": 7, "month": 28, "quarter": 90, "year": 365}
"""Days to add to an instant of a period so that no period is skipped."""


def period_instants(first: datetime, last: datetime, units: frozenset[str]) -> Iterator[datetime]:
    """Instants that cover every period of these units from the first instant to the last."""
    step = timedelta(days=min(_PERIOD_DAYS[unit] for unit in units))
    while first < last + step:
        yield min(first, last)
        first += step
