"""Columns of records as numbers: positions among known names, microseconds, and distinct pairs of tenant and subject."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import (
    Bools,
    Codes,
    Integers,
    code_numbers,
    codes_of_rows,
    decode_dictionary,
    valid_mask,
    value_type,
)
from minimize.arrow.hashing import null_mask, number_buffer
from minimize.errors import KeyringError
from minimize.identifiers import canonical_text

_UNITS = {"s": (1_000_000, 1), "ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000)}
_MILLISECONDS_A_DAY = 86_400_000
_MICROSECONDS_A_DAY = 86_400_000_000
_NAME_TYPES = (pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer)
_BYTE_TYPES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
_LARGEST_INT64 = int(np.iinfo(np.int64).max)


_FEW_NAMES = 10_000
"""Up to this number of known names, a dictionary of them is kept."""


@dataclass(frozen=True, eq=False)
class KnownNames:
    """The names of tenants or subjects in the settings. The code of a name is its index."""

    names: pa.Array

    def codes(self, values: pa.Array) -> Integers:
        """The code of each value; -1 if it is unknown. Integers are compared as decimal text."""
        if pa.types.is_dictionary(values.type):
            return codes_of_rows(self.codes(values.dictionary), values.indices)
        texts = _as_strings(values)
        if len(texts) < len(self.names) <= _FEW_NAMES:
            # the kernel hashes all names in each call: for 500 names a tenth of the time of a prepared call
            return np.array([self._codes.get(text, -1) for text in texts.view(pa.binary()).to_pylist()], np.int64)
        codes = pc.index_in(texts, value_set=self.names, skip_nulls=True).fill_null(-1)
        return np.array(codes.to_numpy(zero_copy_only=False), np.int64)

    @cached_property
    def _codes(self) -> dict[bytes | None, int]:
        """The codes by the bytes of the names, because values may not be UTF-8."""
        return {name: code for code, name in enumerate(self.names.view(pa.binary()).to_pylist())}


def positions_among(values: pa.Array, names: pa.Array) -> Integers:
    """The index of each value in the known strings; see `KnownNames.codes`."""
    return KnownNames(names).codes(values)


def column_microseconds(times: pa.Array) -> Integers:
    """Timestamps or dates as whole microseconds since 1970, rounded down; 0 for null.

    Times outside their range become the nearest limit.
    """
    times = decode_dictionary(times)
    return _as_microseconds(time_ticks(times), times.type)


def microsecond_bounds(times: pa.Array) -> tuple[int, int] | None:
    """The first and the last of these times in microseconds; None if there are none."""
    times = decode_dictionary(times)
    ticks = time_ticks(times)[~null_mask(times)] if times.null_count else time_ticks(times)
    if not len(ticks):
        return None
    first, last = _as_microseconds(np.array([np.minimum.reduce(ticks), np.maximum.reduce(ticks)]), times.type).tolist()
    return first, last


def time_ticks(times: pa.Array) -> Integers:
    """Timestamps or dates as numbers in their own unit, 0 for null."""
    ticks = number_buffer(times, np.int32 if pa.types.is_date32(times.type) else np.int64)
    return np.where(null_mask(times), 0, ticks) if times.null_count else ticks


def _as_microseconds(ticks: Integers, type_: pa.DataType) -> Integers:
    """Numbers in the unit of a type as whole microseconds, rounded down; beyond the range the nearest limit."""
    factor, divisor = _microseconds_of_ticks(type_)
    whole = ticks if divisor == 1 else ticks // divisor
    limit = np.int64(_LARGEST_INT64 // factor)
    return whole if factor == 1 else np.maximum(np.minimum(whole, limit), -limit) * factor


def _microseconds_of_ticks(type_: pa.DataType) -> tuple[int, int]:
    """A factor, and a divisor that comes before it."""
    if pa.types.is_date(type_):
        return _MICROSECONDS_A_DAY, 1 if pa.types.is_date32(type_) else _MILLISECONDS_A_DAY
    return _UNITS[type_.unit]


def nameable_mask(values: pa.Array) -> Bools | None:
    """Which values settings can name; None if all."""
    plain = value_type(values.type)
    if plain != pa.string() and not any(test(plain) for test in (*_NAME_TYPES, *_BYTE_TYPES)):
        return np.zeros(len(values), np.bool_)
    return valid_mask(values)


def _as_strings(values: pa.Array) -> pa.Array:
    """The values as the strings by which settings name them; bytes are UTF-8. Values that settings cannot name become null."""
    kind = values.type
    if kind == pa.string():
        return values
    if any(test(kind) for test in _BYTE_TYPES):
        return values.cast(options=pc.CastOptions(pa.string(), allow_invalid_utf8=True))
    return values.cast(pa.string()) if any(test(kind) for test in _NAME_TYPES) else pa.nulls(len(values), pa.string())


@dataclass(frozen=True, slots=True)
class SubjectPairs:
    """Distinct pairs."""

    names: list[tuple[str, str]] = field(repr=False)
    """The tenant and subject of each pair, in canonical form."""
    rows: Codes = field(repr=False)
    """The records that belong to a pair."""
    places: Codes = field(repr=False)
    """For each of these records, the index of its pair."""

    @classmethod
    def from_columns(cls, tenants: pa.Array, subjects: pa.Array, concerned: Container[str]) -> SubjectPairs:
        """The pairs of the given tenants. A record without a tenant or a subject belongs to none."""
        own_tenants, own_subjects = _encode_column(tenants), _encode_column(subjects)
        names, words = _canonical_texts(own_tenants.dictionary), _canonical_texts(own_subjects.dictionary)
        is_concerned = np.array([*(name in concerned for name in names), False], np.bool_)
        tenant, subject = code_numbers(own_tenants.indices), code_numbers(own_subjects.indices)
        rows = np.flatnonzero((tenant >= 0) & (subject >= 0) & is_concerned[tenant])
        pairs, places = np.unique(tenant[rows] * len(words) + subject[rows], return_inverse=True)
        return cls(list(_pair_names(pairs, names, words)), rows, places.reshape(-1))


def codes_of(column: pa.Array, names: Mapping[str, int], *, fold: bool = False) -> Codes:
    """The code of each tenant of a column by the codes of names in canonical form, -1 for null and for others.

    `fold` ignores upper and lower case; the names must be folded. Looks up each distinct tenant once.

    >>> codes_of(pa.array(["b", None, " A ", "c"]), {"a": 0, "b": 1}, fold=True).tolist()
    [1, -1, 0, -1]
    """
    encoded = _encode_column(column)
    forms = _canonical_texts(encoded.dictionary, fold=fold)
    return codes_of_rows(np.array([names.get(form, -1) for form in forms], np.int64), encoded.indices)


def _encode_column(values: pa.Array) -> pa.DictionaryArray:
    """The values as codes of distinct values."""
    return values if pa.types.is_dictionary(values.type) else values.dictionary_encode()


def _canonical_texts(words: pa.Array, *, fold: bool = False) -> list[str]:
    """Distinct values as text, in canonical form."""
    return ["" if word is None else canonical_text(word, fold=fold) for word in words.cast(pa.string()).to_pylist()]


def _pair_names(pairs: npt.NDArray[Any], names: list[str], words: list[str]) -> Iterator[tuple[str, str]]:
    yield from ((names[pair // len(words)], words[pair % len(words)]) for pair in pairs.tolist())


def check_token_keys(versions: Collection[int], secrets: Collection[int]) -> None:
    """Raises KeyringError if a key of the subject tokens is missing. Without the error, no subject would be recognized,
    unnoticed."""
    if not set(versions) <= set(secrets):
        raise KeyringError(
            "the keyring does not have the keys of some subject tokens",
            hint="Use a keyring with every version of `subject`.",
        )
