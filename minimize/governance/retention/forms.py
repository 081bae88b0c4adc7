"""How one tenant or subject stands in a file: as it came in, as a pseudonym of the file's key version, or as a token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from minimize.keys import Keyring
from minimize.pointer import Pointer
from minimize.policy.fields import ways_of
from minimize.policy.model import Policy
from minimize.techniques import Context, Step, Technique, treat
from minimize.techniques.pseudonymize import Pseudonymize

KEY = "minimize:key"


@dataclass(frozen=True, slots=True)
class Pinned:
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
class Column:
    """A field of a file: how it was treated, and with which keys.

    times  one instant of each period that the file's events may lie in
    """

    policy: Policy
    key: str
    keys: Pinned = field(repr=False)
    times: Sequence[datetime] = ()

    def forms(self, value: str, tenant: str) -> frozenset[str] | None:
        """Every form in which a value may stand there; None where that depends on what is not known."""
        found: set[str] = set()
        for way in ways_of(self.policy.fields[self.key]):
            for form in () if isinstance(way, str) else self._through(way, value, tenant):
                if form is None:
                    return None
                found.add(form)
        return frozenset(found)

    def _through(self, steps: Sequence[Step], value: str, tenant: str) -> Iterator[str | None]:
        if any(step.reads() - {self.policy.tenant} or not isinstance(step, Technique) for step in steps):
            yield None
            return
        type_ = pa.int64() if self.policy.fields[self.key].type == "integer" else pa.string()
        given = None if type_ == pa.int64() and not _is_whole(value) else pa.array([value]).cast(type_)
        moving = any(step.needs_time for step in steps)
        for time in self.times if moving else (datetime.fromtimestamp(0, UTC),):
            if given is not None:
                yield from self._at(steps, given, tenant, time)

    def _at(self, steps: Sequence[Step], values: pa.Array, tenant: str, time: datetime) -> Iterator[str]:
        columns = {} if self.policy.tenant is None else {self.policy.tenant: self._tenant(tenant)}
        context = Context(self.key, time, self.keys, columns, pa.array([time], pa.timestamp("us", "UTC")))
        for step in steps:
            assert isinstance(step, Technique)
            values = treat(step, values, replace(context, memo=None)).values
        for form in values.to_pylist():
            if form is not None:
                yield form.decode() if isinstance(form, bytes) else str(form)

    def _tenant(self, tenant: str) -> pa.Array:
        field_ = self.policy.fields.get(str(self.policy.tenant))
        whole = field_ is not None and field_.type == "integer" and _is_whole(tenant)
        return pa.array([int(tenant)], pa.int64()) if whole else pa.array([tenant])


def pinned(keys: Keyring, schema: pa.Schema, pointer: Pointer) -> Pinned:
    """The keyring with the versions that a column's metadata names."""
    name = KEY if pointer.is_flat else f"{KEY}{pointer}"
    said: dict[bytes, bytes] = schema.field(pointer.top).metadata or {}
    text = said.get(name.encode(), b"").decode()
    pairs = (each.partition("/") for each in text.split(",") if "/" in each)
    return Pinned(keys, {key: int(version) for key, _, version in pairs if version.isdigit()})


def rotations(policy: Policy, key: str) -> frozenset[str]:
    """The periods by which a field's pseudonyms rotate."""
    ways = [way for way in ways_of(policy.fields[key]) if not isinstance(way, str)]
    steps = [step for way in ways for step in way if isinstance(step, Pseudonymize)]
    return frozenset(step.rotate for step in steps if step.rotate is not None)


def _is_whole(value: Any) -> bool:
    try:
        return str(int(value)) == str(value).strip()
    except ValueError:
        return False
