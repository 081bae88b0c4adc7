"""Whose records are looked at one by one: the distinct pairs of tenant and subject of some tenants, and the rows of each."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.canonical import canonical_text
from minimize.errors import KeyringError

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Distinct pairs.

    names   per pair its tenant and its subject, in their canonical forms
    rows    the records that are of any pair
    places  per such record the pair that it is of
    """

    names: list[tuple[str, str]] = field(repr=False)
    rows: Codes = field(repr=False)
    places: Codes = field(repr=False)

    @classmethod
    def of(cls, tenants: pa.Array, subjects: pa.Array, concerned: Container[str]) -> Pairs:
        """The pairs of the tenants that are concerned. A record without a tenant or a subject is of none."""
        own_tenants, own_subjects = coded(tenants), coded(subjects)
        names, words = texts(own_tenants.dictionary), texts(own_subjects.dictionary)
        is_concerned = np.array([*(name in concerned for name in names), False], np.bool_)
        tenant, subject = numbers(own_tenants.indices), numbers(own_subjects.indices)
        rows = np.flatnonzero((tenant >= 0) & (subject >= 0) & is_concerned[tenant])
        pairs, places = np.unique(tenant[rows] * len(words) + subject[rows], return_inverse=True)
        return cls(list(_named(pairs, names, words)), rows, places.reshape(-1))


def coded(values: pa.Array) -> pa.DictionaryArray:
    """The values as codes of distinct ones."""
    return values if pa.types.is_dictionary(values.type) else values.dictionary_encode()


def texts(words: pa.Array) -> list[str]:
    """Distinct values as text, in their canonical forms."""
    return ["" if word is None else canonical_text(word) for word in words.cast(pa.string()).to_pylist()]


def numbers(codes: pa.Array) -> Codes:
    """Codes as numbers, -1 for null."""
    return np.asarray(pc.fill_null(codes.cast(pa.int64()), -1).to_numpy(zero_copy_only=False), np.int64)


def _named(pairs: npt.NDArray[Any], names: list[str], words: list[str]) -> Iterator[tuple[str, str]]:
    yield from ((names[pair // len(words)], words[pair % len(words)]) for pair in pairs.tolist())


def check_keys(versions: Collection[int], secrets: Collection[int]) -> None:
    """Raises KeyringError where a key is not there that subjects are told by: nobody would be recognized, and nobody notice."""
    if not set(versions) <= set(secrets):
        raise KeyringError(
            "subjects were told by keys that are not here", hint="the keyring must have every version of `subject`"
        )
