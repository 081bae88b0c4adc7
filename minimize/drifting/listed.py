"""Fields of which a policy lists values (a `map`, the conditions of `cases`), and how many values are not among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.nested import leaf, rows_of
from minimize.pointer import Pointer
from minimize.policy.condition import Equals, atoms
from minimize.policy.model import Do, Field, Policy
from minimize.techniques.map import Map


@dataclass(frozen=True, slots=True)
class Listed:
    """How many records have a value that is not listed, and which (in memory only, to count them)."""

    records: int = 0
    values: frozenset[str] = field(default=frozenset(), repr=False)

    def __add__(self, other: Listed) -> Listed:
        return Listed(self.records + other.records, self.values | other.values)


def lists(policy: Policy) -> dict[str, frozenset[str]]:
    """Per field of which values are listed those values, as text."""
    found: dict[str, set[str]] = {}
    for declared in policy.fields.values():
        for key, values in _of_field(declared):
            found.setdefault(key, set()).update(values)
    return {key: frozenset(values) for key, values in found.items() if values and key in policy.fields}


def unlisted(records: pa.RecordBatch, pointer: Pointer, listed: frozenset[str]) -> Listed:
    """The values of a field that are not listed. Null is none."""
    try:
        found = leaf(records, pointer)
    except KeyError:
        return Listed()
    coded = found.values if pa.types.is_dictionary(found.values.type) else pc.dictionary_encode(found.values)
    words = [None if value is None else as_word(value) for value in coded.dictionary.to_pylist()]
    strange = np.array([word is not None and word not in listed for word in words] or [False])
    at = coded.indices.is_valid().to_numpy(zero_copy_only=False)
    hit = strange[coded.indices.fill_null(0).to_numpy(zero_copy_only=False)] & at
    used = np.unique(coded.indices.filter(pa.array(hit)).to_numpy(zero_copy_only=False))
    rows = np.unique(rows_of(found, records.num_rows)[hit])
    return Listed(len(rows), frozenset(str(words[index]) for index in used))


def as_word(value: Any) -> str:
    """A value as a policy writes it."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _of_field(declared: Field) -> Iterator[tuple[str, set[str]]]:
    for chain in (declared.do, declared.otherwise, *(case.do for case in declared.cases)):
        yield declared.key, set(_mapped(chain))
    for case in declared.cases:
        for atom in atoms(case.when):
            if isinstance(atom, Equals):
                yield atom.field, {as_word(value) for value in atom.values}


def _mapped(chain: Do) -> Iterator[str]:
    if chain != "drop" and chain and isinstance(chain[0], Map):
        yield from chain[0].values
