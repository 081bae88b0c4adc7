"""Values as 128-bit hashes under a key, whole columns at once.

A hash is an AES-CMAC (RFC 4493) of a value's bytes: a pseudorandom function, so that two values have the same hash by chance
only, one in 2**128, and nobody without the key learns anything from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.keys.cmac import Cmac
from minimize.spill.layout import Laid, laid_out

Words = npt.NDArray[np.uint64]
_LONG: Final = 1 << 12
"""Bytes above which BLAKE2b goes first: CMAC goes through a column block by block."""
_MARK: Final = 255


@dataclass(frozen=True, slots=True)
class Hasher:
    """Hashes under one key: equal values have equal hashes, in each domain others."""

    key: bytes = field(repr=False)

    def __call__(self, values: pa.Array, domain: int = 0) -> Words:
        """The hash of each value, two words a row. Nulls: two zeros.

        Takes strings, bytes, numbers, booleans, times, plain or dictionary-encoded; NaN equals NaN, and -0.0 is 0.0.
        """
        if pa.types.is_dictionary(values.type):
            return self._of_dictionary(values, domain)
        found = self._hashed(laid_out(values), domain)
        if values.null_count:
            found[values.is_null().to_numpy(zero_copy_only=False)] = 0
        return found

    @property
    def mark(self) -> int:
        """Tells hashes under one key from those under another, and nothing else."""
        return int(self(pa.array([0]), domain=_MARK)[0, 0])

    def _of_dictionary(self, values: pa.DictionaryArray, domain: int) -> Words:
        if len(values.dictionary) > len(values):
            return self(values.dictionary_decode(), domain)
        none = len(values.dictionary)
        words = np.vstack([self(values.dictionary, domain), np.zeros((1, 2), np.uint64)])
        indices: npt.NDArray[np.int64] = pc.fill_null(values.indices.cast(pa.int64()), none).to_numpy()
        return words[indices]

    def _hashed(self, laid: Laid, domain: int) -> Words:
        long = np.flatnonzero(np.diff(laid.offsets) > _LONG)
        if not len(long):
            return self._tags(laid, b"short", domain)
        # A loop over long values only, each by a digest of its own.
        digests = [blake2b(laid.one(row), key=self.key, digest_size=32).digest() for row in long.tolist()]
        found = self._tags(laid.without(long), b"short", domain)
        found[long] = self._tags(Laid.of(digests), b"long", domain)
        return found

    def _tags(self, laid: Laid, kind: bytes, domain: int) -> Words:
        key = blake2b(bytes([domain]), key=self.key, person=kind, digest_size=32).digest()
        return Cmac(key).tags(laid.content, laid.offsets).view(np.uint64)
