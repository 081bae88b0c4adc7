"""What the keyring's `subject` key makes of values: their prefixes, and the seal of the files that hold them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.keys.cmac import Cmac
from minimize.keys.seal import Seal
from minimize.nested import leaf, leaf_type
from minimize.pointer import Pointer

KEY: Final = "subject"
VALUES, SEAL = "index/values", ("index/seal/1", "index/seal/2")
Prefixes = npt.NDArray[np.uint64]
Value = str | int | bytes
"""A released value of the subject's column."""


class Subkeys(Protocol):
    """Where keys for one purpose come from (a keyring)."""

    def version_of(self, name: str) -> int:
        """The newest version of a key. Raises KeyringError."""
        ...

    def subkey(self, name: str, purpose: str, version: int | None = None) -> bytes:
        """32 bytes for one purpose. Raises KeyringError."""
        ...


@dataclass(frozen=True, slots=True)
class Lens:
    """One version of the `subject` key, as far as indexes go."""

    version: int
    cmac: Cmac
    seal: Seal

    @classmethod
    def of(cls, keys: Subkeys, version: int | None = None) -> Lens:
        """The newest version where none is given. Raises KeyringError."""
        number = keys.version_of(KEY) if version is None else version
        one, two = (keys.subkey(KEY, purpose, number) for purpose in SEAL)
        return cls(number, Cmac(keys.subkey(KEY, VALUES, number)), Seal(one + two))

    def prefixes(self, values: pa.Array) -> Prefixes:
        """The prefixes of distinct values (text, whole numbers or bytes, no nulls), ascending, each once."""
        if not len(values):
            return np.empty(0, np.uint64)
        words = (values.cast(pa.string()) if pa.types.is_integer(values.type) else values).cast(pa.large_binary())
        _, offsets, content = words.buffers()
        places = np.frombuffer(offsets, np.int64)[words.offset : words.offset + len(words) + 1]
        tags = self.cmac.tags(np.frombuffer(content or b"", np.uint8), places)
        return _each_once(np.ascontiguousarray(tags[:, :8]).view(np.uint64).reshape(-1))

    def prefixes_of(self, values: Iterable[Value]) -> Prefixes:
        """The same of Python values."""
        return self.prefixes(pa.array(sorted(set(map(as_bytes, values))), pa.large_binary()))


def as_bytes(value: Value) -> bytes:
    """What is hashed of a value: text as UTF-8, a whole number as its decimal digits, bytes as they are.

    >>> as_bytes("é"), as_bytes(-7), as_bytes(b"x")
    (b'\\xc3\\xa9', b'-7', b'x')
    """
    if isinstance(value, bytes):
        return value
    return str(value).encode()


def can_be_indexed(type_: pa.DataType) -> bool:
    """Whether values of this type have a form that is hashed."""
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_binary)
    plain = type_.value_type if pa.types.is_dictionary(type_) else type_
    return any(test(plain) for test in (*tests, pa.types.is_large_binary))


def distinct_at(rows: pa.Table, subject: Pointer) -> pa.Array:
    """The distinct values that stand at a path, nulls left out."""
    batches = rows.select([subject.top]).combine_chunks().to_batches()
    values = [_distinct(leaf(batch, subject).values) for batch in batches]
    return values[0] if len(values) == 1 else pc.unique(pa.chunked_array(values, _plain(rows, subject)))


def _each_once(found: Prefixes) -> Prefixes:
    """In order, each once: by sorting, which is faster than the hash table of `np.unique`."""
    found.sort()
    return found[np.append(True, found[1:] != found[:-1])] if len(found) else found


def _plain(rows: pa.Table, subject: Pointer) -> pa.DataType:
    type_ = leaf_type(rows.schema, subject)
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _distinct(values: pa.Array) -> pa.Array:
    if not pa.types.is_dictionary(values.type):
        return pc.unique(values).drop_null()
    seen = np.zeros(len(values.dictionary), np.bool_)
    seen[values.indices.drop_null().to_numpy()] = True
    entries = values.dictionary if seen.all() else values.dictionary.filter(pa.array(seen))
    return entries.drop_null()
