"""Keyed hashes: HMAC-SHA-256 (RFC 2104) with a prepared key and prefix, domain separation, scopes of values.

Key and prefix are hashed once, so that each value costs two copies of a hash state. Besides the value, a keyed technique
hashes its domain and its scope. Every part is prefixed with its length, so that different lists of parts are different bytes.
A text and a byte string with the same content are different parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Codes, DistinctValues, combine_columns, distinct_values, to_python
from minimize.errors import KeyringError
from minimize.identifiers import ASCII_TRIMMED, canonical_text
from minimize.techniques.base import Context, KeySource, type_family

if TYPE_CHECKING:
    from hashlib import _Hash

BLOCK_BYTES = 64


class HmacState:
    """A keyed hash with a prefix. It holds hash states, not the key, and its `repr` is without content."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, inner: _Hash, outer: _Hash) -> None:
        self._inner = inner
        self._outer = outer

    @classmethod
    def from_key(cls, key: bytes) -> HmacState:
        """A state with a key and an empty prefix.

        >>> HmacState.from_key(b"Jefe").digest(b"what do ya want for nothing?").hex()[:16]
        '5bdcc146bf60754e'
        """
        block = (hashlib.sha256(key).digest() if len(key) > BLOCK_BYTES else key).ljust(BLOCK_BYTES, b"\0")
        inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        return cls(inner, hashlib.sha256(bytes(byte ^ 0x5C for byte in block)))

    def extended(self, beginning: bytes) -> HmacState:
        """The state with a longer prefix."""
        inner = self._inner.copy()
        inner.update(beginning)
        return HmacState(inner, self._outer)

    def digest(self, suffix: bytes) -> bytes:
        """The hash of the prefix and the rest: 32 bytes."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(suffix)
        outer.update(inner.digest())
        return outer.digest()

    def digests(self, values: Iterable[bytes]) -> list[bytes]:
        """The hash of each value after its length (eight bytes)."""
        return digests_by_state({0: self}, repeat(0), values)

    def __repr__(self) -> str:
        return "HmacState()"


def digests_by_state(begun: Mapping[int, HmacState], which: Iterable[int], values: Iterable[bytes]) -> list[bytes]:
    """The hash of each value after its length (eight bytes) and the prefix of its state.

    Takes states under one key. It is an optimized loop over distinct values.
    """
    if not begun:
        return []
    starts = {place: mac._inner.copy for place, mac in begun.items()}
    finish = next(iter(begun.values()))._outer.copy
    digests = []
    for place, value in zip(which, values, strict=False):
        inner, outer = starts[place](), finish()
        inner.update(len(value).to_bytes(8, "big") + value)
        outer.update(inner.digest())
        digests.append(outer.digest())
    return digests


def length_prefixed(*parts: bytes) -> bytes:
    """The parts, each after its length as eight bytes.

    >>> length_prefixed(b"a", b"") == bytes(7) + b"\\x01a" + bytes(8)
    True
    """
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def canonical_bytes(value: Any, *, fold: bool = False) -> bytes:
    """The canonical form of a value as bytes (see `minimize.identifiers`); a byte string is never equal to a text."""
    if isinstance(value, bytes):
        return b"b" + value
    return b"t" + canonical_text(str(value), fold=fold).encode("utf-8", "surrogatepass")


def canonical_forms(words: pa.Array, *, fold: bool = False) -> list[bytes]:
    """The canonical forms of distinct words, empty for null (no form of a value is empty)."""
    if type_family(words.type) == "binary":
        return [b"" if word is None else canonical_bytes(word) for word in words.to_pylist()]
    texts = words.cast(pa.large_string())
    if not fold and pc.all(pc.string_is_ascii(texts)).as_py() is not False:
        tag, glue = pa.scalar("t", pa.large_string()), pa.scalar("", pa.large_string())
        forms = pc.binary_join_element_wise(tag, pc.ascii_trim(texts, ASCII_TRIMMED), glue).fill_null("")
        plain: list[bytes] = forms.cast(pa.large_binary()).to_pylist()
        return plain
    return [b"" if word is None else canonical_bytes(word, fold=fold) for word in to_python(texts)]


def companion_part(context: Context, key: str) -> ScopePart:
    """A companion column as a part of the scope."""
    distinct = distinct_values(context.columns[key])
    return ScopePart(canonical_forms(distinct.values), distinct.codes)


def required_keys(context: Context) -> KeySource:
    """The keyring of the context. Raises KeyringError if there is none."""
    if context.keys is None:
        raise KeyringError(
            f"`{context.field}` requires a key, but no keyring was given", hint="Pass --keys FILE or set MINIMIZE_KEYS."
        )
    return context.keys


@dataclass(frozen=True, slots=True)
class ScopedValues:
    """The distinct combinations of a value and its scope."""

    values: pa.Array
    """The distinct values."""
    scopes: tuple[tuple[bytes, ...], ...]
    """The distinct scopes, each a list of canonical parts."""
    pairs: tuple[Codes, Codes]
    """The value and the scope of each combination."""
    codes: pa.Array
    """The combination of each row; null if the value or a part of its scope is null."""
    untreated: pa.BooleanArray | None
    """The mask of rows with a value whose scope has a part that is null."""


def scope_values(values: pa.Array, parts: Sequence[ScopePart]) -> ScopedValues:
    """Each value with its scope."""
    distinct = distinct_values(values)
    if not parts:
        indices = np.arange(len(distinct.values))
        return ScopedValues(distinct.values, ((),), (indices, np.zeros_like(indices)), distinct.codes, None)
    scopes = row_scopes(len(values), parts)
    pairs = combine_columns([distinct, DistinctValues(pa.array(range(len(scopes.named)), pa.int64()), scopes.codes)])
    missing = pc.and_(scopes.codes.is_null(), distinct.codes.is_valid())
    both = (pairs.parts[0], pairs.parts[1])
    return ScopedValues(distinct.values, scopes.named, both, pairs.codes, missing if pc.any(missing).as_py() else None)


@dataclass(frozen=True, slots=True)
class RowScopes:
    """The scopes of the rows of a column: lists of canonical parts, and the scope of each row (null if a part is null)."""

    named: tuple[tuple[bytes, ...], ...]
    codes: pa.Array


def row_scopes(rows: int, parts: Sequence[ScopePart]) -> RowScopes:
    """The combination of all parts for each row."""
    if not parts:
        return RowScopes(((),), pa.array(np.zeros(rows, np.int32)))
    crossed = combine_columns([part.as_distinct() for part in parts])
    columns = [[part.forms[code] for code in codes] for part, codes in zip(parts, crossed.parts, strict=True)]
    return RowScopes(tuple(zip(*columns, strict=True)), crossed.codes)


@dataclass(frozen=True, slots=True)
class ScopePart:
    """One part of a scope: its distinct forms, and the index of each row among them (null for null)."""

    forms: Sequence[bytes]
    codes: pa.Array

    def as_distinct(self) -> DistinctValues:
        """The part as a column of indices."""
        return DistinctValues(pa.array(range(len(self.forms)), pa.int64()), self.codes)
