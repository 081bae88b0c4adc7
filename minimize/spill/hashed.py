"""Values as 128-bit hashes under a key, whole columns at once.

A hash is a CBC-MAC of AES-256 (ISO/IEC 9797-1, algorithm 1) over the value's length and bytes. That no encoding is the
beginning of another makes it a pseudorandom function (Petrank and Rackoff, CBC MAC for real-time data sources, 2000): two
values have the same hash by chance only, one in 2**128. ECB is here the bare block function that the chain is built from,
the next link of every value's chain in one call; nothing is encrypted with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.spill.spread import Sizes, Spread, Words, laid_out

__all__ = ["Hasher", "Words"]

_ROWS: Final = 1 << 14
"""Values that are hashed at once: few enough for a processor's cache."""
_LONG: Final = 1 << 12
"""Bytes above which a value is hashed by BLAKE2b first: its length tells it from all that are shorter."""
Link = Callable[[Words], Words]


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
        link = _links(self.key)
        found = np.zeros((len(values), 2), np.uint64)
        for start in range(0, len(values), _ROWS):
            spread = self._shortened(laid_out(values.slice(start, _ROWS)))
            found[start : start + _ROWS] = _chained(spread, domain, link)
        if values.null_count:
            found[values.is_null().to_numpy(zero_copy_only=False)] = 0
        return found

    @property
    def mark(self) -> int:
        """Tells hashes under one key from those under another, and nothing else."""
        return int(self(pa.array([0]), domain=255)[0, 0])

    def _of_dictionary(self, values: pa.DictionaryArray, domain: int) -> Words:
        if len(values.dictionary) > len(values):
            return self(values.dictionary_decode(), domain)
        none = len(values.dictionary)
        words = np.vstack([self(values.dictionary, domain), np.zeros((1, 2), np.uint64)])
        indices: Sizes = pc.fill_null(values.indices.cast(pa.int64()), none).to_numpy()
        return words[indices]

    def _shortened(self, spread: Spread) -> Spread:
        """Long values replaced by a digest of theirs. A loop over these only."""
        long = np.flatnonzero(spread.sizes > _LONG)
        if not len(long):
            return spread
        values = [spread.content[start : start + size] for start, size in zip(*spread.of(long), strict=True)]
        return spread.with_(long, [blake2b(value.data, key=self.key, digest_size=32).digest() for value in values])


def _links(key: bytes) -> Link:
    """The block function, on many blocks at once."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return lambda words: np.frombuffer(block.update(words.data.cast("B")), np.uint64).reshape(-1, 2)


def _chained(spread: Spread, domain: int, link: Link) -> Words:
    """The last link of each value's chain. The first block begins with the domain and the length."""
    blocks = (spread.sizes + 7) // 16 + 1
    order = np.argsort(-blocks, kind="stable")
    if blocks[order[0]] == blocks[order[-1]]:
        return _ordered(spread, blocks, domain, link)
    found = np.empty((len(order), 2), np.uint64)
    found[order] = _ordered(spread.at(order), blocks[order], domain, link)
    return found


def _ordered(spread: Spread, blocks: Sizes, domain: int, link: Link) -> Words:
    """The last links of values of which those with longer chains come first."""
    ends = np.zeros((len(blocks), 2), np.uint64)
    for place in range(int(blocks[0])):
        count = int(np.searchsorted(-blocks, -place))
        block = ends[:count].copy()
        block[:, 0] ^= spread.word(16 * place - 8, count) if place else spread.heads(domain)
        block[:, 1] ^= spread.word(16 * place, count)
        ends[:count] = link(block)
    return ends
