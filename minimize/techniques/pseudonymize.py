"""`pseudonymize`: a keyed hash in place of an identifier.

Top to bottom: base32 (RFC 4648 §6) in lower case for many hashes at once; lookup of few rows; the technique. Below some hundred
rows, looking up each row costs less than finding the distinct ones.
"""

from __future__ import annotations

import base64
from base64 import b32encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from minimize.arrow.dictionaries import (
    Codes,
    as_int64,
    decode_dictionary,
    distinct_values,
    merge_equal_entries,
    prune_entries,
    scatter_values,
    take_values,
    to_python,
)
from minimize.arrow.interner import compact_codes
from minimize.errors import PolicyError
from minimize.techniques.base import (
    FEW_ROWS,
    Context,
    Family,
    Residual,
    Technique,
    TechniqueResult,
    new_nulls,
    type_family,
)
from minimize.techniques.cache import ResultCache
from minimize.techniques.keyed_hash import (
    HmacState,
    ScopePart,
    canonical_bytes,
    canonical_forms,
    companion_part,
    digests_by_state,
    length_prefixed,
    required_keys,
    row_scopes,
    scope_values,
)
from minimize.techniques.parameters import SETTING_TIGHTENS, UNORDERED, UNSETTING_TIGHTENS, KeyName, Names, ranked
from minimize.techniques.periods import period_starts

ByteRows = npt.NDArray[np.uint8]
FEW_HASHES = 32
"""Rows below which NumPy's calls cost more than they save."""
_ALPHABET = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", np.uint8)


def base32_letters(rows: ByteRows) -> ByteRows:
    """The letters of each row of bytes; the width of a row is a multiple of 5, so that there is no padding.

    >>> bytes(base32_letters(np.frombuffer(b"fooba12345", np.uint8).reshape(2, 5))[1])
    b'gezdgnbv'
    """
    if len(rows) < FEW_HASHES:
        plain = b"".join(base64.b32encode(bytes(row)) for row in rows).lower()
        return np.frombuffer(plain, np.uint8).reshape(len(rows), rows.shape[1] // 5 * 8)
    eights = np.zeros((rows.size // 5, 8), np.uint8)
    eights[:, 3:] = rows.reshape(-1, 5)
    whole = eights.view(">u8").ravel().astype(np.uint64)
    letters = np.empty((len(whole), 8), np.uint8)
    for place in range(8):
        letters[:, place] = _ALPHABET[(whole >> np.uint64(35 - 5 * place)).astype(np.uint8) & 31]
    return letters.reshape(len(rows), rows.shape[1] // 5 * 8)


def letters_as_texts(rows: ByteRows) -> pa.StringArray:
    """One text for each row of letters.

    >>> letters_as_texts(np.frombuffer(b"abcd", np.uint8).reshape(2, 2)).to_pylist()
    ['ab', 'cd']
    """
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * np.int32(rows.shape[1])
    return pa.StringArray.from_buffers(len(rows), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows)))


ScopedValue = tuple[Any, ...]
"""Key of a cached result: the key version, the value, and each part of its scope."""


def are_few_rows(values: pa.Array, scope_columns: Sequence[pa.Array]) -> bool:
    """Whether there are few rows, with values and scopes of types that are exact as Python objects."""
    return len(values) <= FEW_ROWS and all(
        type_family(column.type) in _HASHABLE_FAMILIES for column in (values, *scope_columns)
    )


def apply_per_scope(
    values: pa.Array,
    scope_columns: Sequence[pa.Array],
    key: Any,
    compute: Callable[[ScopedValue], str],
    recall: ResultCache,
) -> TechniqueResult:
    """The result of each value in its scope. A value cannot be treated if a part of its scope is null."""
    columns = [decode_dictionary(column) for column in (values, *scope_columns)]
    scoped_values: list[ScopedValue | None] = list(zip([key] * len(values), *map(to_python, columns), strict=True))
    if any(column.null_count for column in columns):
        scoped_values = [None if scoped is None or None in scoped[1:] else scoped for scoped in scoped_values]
    results = pa.array(recall.map_values(scoped_values, compute), pa.string())
    return TechniqueResult(results, new_nulls(columns[0], results))


_HASHABLE_FAMILIES = ("string", "integer", "binary", "date", "timestamp")


Rotation = Literal["day", "week", "month", "quarter", "year"]
WIDTH = 20
"""Bytes of the hash that are kept: 160 bits, 32 characters. The probability of a collision among a billion values is below
1e-30."""
SHARED_PSEUDONYMS_RATIO = 64
"""Largest ratio of known pseudonyms to rows at which all of them become the dictionary, which costs nothing."""


class Pseudonymize(Technique):
    """A keyed hash: equal values have equal pseudonyms of 32 characters if field, key version, `per` and period are equal.

    Takes text, integer and binary, gives text. The value is hashed in its canonical form: text in NFC without blanks and format
    characters at both ends (case-folded with `fold`), integers in decimal. Byte strings are not changed, and are never equal to
    a text. Values with one pseudonym share their settings and count once; a field that folds declares it by `folds`. Two fields
    do not link unless both have the same `link`. Values under another `per` do not link, nor, with `rotate`, values of another
    UTC period (of the event time). Null stays null. A null `per`, or with `rotate` a null time, cannot be treated.

    The residual is linkable: a reader of the column sees which records belong together, and a holder of the key can test
    guesses. Source: RFC 2104, RFC 4231, FIPS 180-4; base32 of RFC 4648 in lower case.

    >>> from minimize.techniques.pseudonymize import Pseudonymize
    >>> Pseudonymize(key="device", per="tenant_id").reads() == {"tenant_id"}
    True
    """

    name: ClassVar[str] = "pseudonymize"
    takes: ClassVar[tuple[Family, ...]] = ("string", "integer", "binary")
    result_type: ClassVar[pa.DataType | None] = pa.string()
    residual: ClassVar[Residual] = "linkable"
    source: ClassVar[str] = "RFC 2104, RFC 4231"
    about: ClassVar[str] = "a keyed hash, the same for the same value within its field and `per`"
    proposed_for: ClassVar[Mapping[str, str]] = {"identifier": ""}
    safeguard: ClassVar[str] = "pseudonymization: keyed hashes (HMAC-SHA-256); the keys are not in the output"

    key: KeyName
    per: Annotated[str | None, Names.FIELD, SETTING_TIGHTENS] = Field(None, min_length=1)
    rotate: Annotated[Rotation | None, ranked((*get_args(Rotation), None))] = None
    link: Annotated[str | None, UNSETTING_TIGHTENS] = Field(None, min_length=1)
    fold: Annotated[bool, UNORDERED] = False

    @property
    def is_one_to_one(self) -> bool:
        """Whether a value keeps its pseudonym for ever."""
        return self.rotate is None

    def phrase(self) -> str:
        """The scope in which a pseudonym is equal."""
        within = f", different for each `{self.per}`" if self.per else ""
        turned = f", changed every {self.rotate}" if self.rotate else ""
        return f"replaced by a code (pseudonym) that only a secret key can link to the value{within}{turned}"

    @property
    def needs_time(self) -> bool:
        """Whether it rotates."""
        return self.rotate is not None

    @property
    def folds(self) -> bool:
        """Whether it folds to one case."""
        return self.fold

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The pseudonyms. Raises KeyringError if the key is missing."""
        pseudonyms = self.apply_column(values, context)
        return TechniqueResult(decode_dictionary(pseudonyms.values), pseudonyms.untreated)

    def apply_column(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The pseudonyms, dictionary-encoded. Row by row: looking up a known value costs no more than finding distinct values."""
        scope = self._scope_columns(context)
        if are_few_rows(values, scope):
            return self._pseudonyms_of_few(values, scope, context)
        values, scopes = _as_cacheable_texts(values), row_scopes(len(values), self._scope_parts(context))
        if not values.null_count and not scopes.codes.null_count:
            return TechniqueResult(self._pseudonyms(values, as_int64(scopes.codes), scopes.named, context))
        has_scope = pc.and_(values.is_valid(), scopes.codes.is_valid())
        pseudonyms = self._pseudonyms(
            values.filter(has_scope), as_int64(scopes.codes.filter(has_scope)), scopes.named, context
        )
        lacking = pc.and_(values.is_valid(), scopes.codes.is_null())
        return TechniqueResult(scatter_values(pseudonyms, has_scope), lacking if lacking.true_count else None)

    def apply_encoded(self, values: pa.DictionaryArray, context: Context) -> TechniqueResult:
        """The pseudonyms of the entries of a dictionary, once for each of their scopes.

        Unused entries are removed first: the dictionary of an earlier step may contain entries of all batches.
        """
        values = prune_entries(values)
        scope = self._scope_columns(context)
        if are_few_rows(values, scope):
            few = self._pseudonyms_of_few(values, scope, context)
            return TechniqueResult(few.values.dictionary_encode(), few.untreated)
        scoped = scope_values(values, self._scope_parts(context))
        words, scopes = scoped.pairs
        pseudonyms = self._pseudonyms(take_values(scoped.values, pa.array(words)), scopes, scoped.scopes, context)
        spread = pa.DictionaryArray.from_arrays(pseudonyms.indices.take(scoped.codes), pseudonyms.dictionary)
        return TechniqueResult(merge_equal_entries(spread), scoped.untreated)

    def pseudonym_of(
        self,
        value: str | int | bytes,
        context: Context,
        *,
        per: str | int | bytes | None = None,
        time: datetime | None = None,
    ) -> str | None:
        """The pseudonym of one value, to find a subject again; None if a required `per` or time is missing."""
        columns = {} if self.per is None else {self.per: pa.array([per], _arrow_type(per))}
        times = pa.array([time], pa.timestamp("us", tz="UTC"))
        single = replace(context, columns=columns, time=times)
        pseudonym: str | None = self.apply(pa.array([value], _arrow_type(value)), single).values[0].as_py()
        return pseudonym

    def _scope_columns(self, context: Context) -> list[pa.Array]:
        """The columns that make the scope: `per`, and the start of the period."""
        per = [] if self.per is None else [context.columns[self.per]]
        return per if self.rotate is None else [*per, _event_periods(context, self.rotate)]

    def _pseudonyms_of_few(
        self, values: pa.Array, scope_columns: Sequence[pa.Array], context: Context
    ) -> TechniqueResult:
        """The pseudonyms of few rows, one by one."""
        version = required_keys(context).version_of(self.key)
        return apply_per_scope(
            values, scope_columns, version, SinglePseudonyms(self, context), context.results_of(self)
        )

    def _scope_parts(self, context: Context) -> tuple[ScopePart, ...]:
        per = () if self.per is None else (companion_part(context, self.per),)
        return per if self.rotate is None else (*per, _period_part(context, self.rotate))

    def _pseudonyms(
        self, values: pa.Array, scopes: Codes, named: Sequence[Sequence[bytes]], context: Context
    ) -> pa.DictionaryArray:
        """The pseudonyms of values without nulls, each in one of the named scopes."""
        hashes = PseudonymHashes(HmacState.from_key(required_keys(context).bytes_of(self.key)), self.fold)
        beginnings = [self._beginning(scope, context) for scope in named]
        codes, rows = context.results_of(self).rows(
            _as_cacheable_texts(values), scopes.astype(np.int32), hashes.scope_names(beginnings), hashes
        )
        if len(rows) <= SHARED_PSEUDONYMS_RATIO * len(codes):
            return pa.DictionaryArray.from_arrays(pa.array(codes), letters_as_texts(rows), safe=False)
        used, places = compact_codes(codes)
        return pa.DictionaryArray.from_arrays(pa.array(places), letters_as_texts(rows[used]))

    def single_pseudonym(self, value: Any, scope: Sequence[Any], keyed: HmacState, context: Context) -> str:
        """The pseudonym of one source value in a scope of a `per` value and the start of a period."""
        parts = [*scope]
        period = [] if self.rotate is None else [_period_bytes(parts.pop(), self.rotate)]
        beginning = self._beginning([*map(canonical_bytes, parts), *period], context)
        (digest,) = keyed.extended(beginning).digests([canonical_bytes(value, fold=self.fold)])
        return b32encode(digest[:WIDTH]).decode().lower()

    def _beginning(self, scope: Iterable[bytes], context: Context) -> bytes:
        """The prefix of the hash: domain, names of the parts of the scope, then the parts."""
        domain = f"field:{context.field}" if self.link is None else f"link:{self.link}"
        shape = f"per:{self.per is not None} rotate:{self.rotate}"
        return length_prefixed(b"minimize pseudonymize 1", domain.encode(), shape.encode(), *scope)


class SinglePseudonyms:
    """Computes single pseudonyms. Its creation raises KeyringError if the key is missing."""

    def __init__(self, technique: Pseudonymize, context: Context) -> None:
        self._technique, self._context = technique, context
        self._key = required_keys(context).bytes_of(technique.key)

    @cached_property
    def _keyed(self) -> HmacState:
        return HmacState.from_key(self._key)

    def __call__(self, scoped: ScopedValue) -> str:
        """The pseudonym of a key version, value and scope."""
        _, value, *scope = scoped
        return self._technique.single_pseudonym(value, scope, self._keyed, self._context)


class PseudonymHashes:
    """Computes pseudonyms as rows of letters, scope by scope, for texts that a cache does not know."""

    def __init__(self, keyed: HmacState, fold: bool) -> None:
        self._keyed, self._fold = keyed, fold
        self._key = keyed.digest(b"")
        """Distinguishes keys without revealing them."""

    def scope_names(self, beginnings: Iterable[bytes]) -> list[bytes]:
        """The beginnings as scopes that no other key or form shares."""
        return [self._key + bytes([self._fold]) + beginning for beginning in beginnings]

    def __call__(
        self, named: Sequence[bytes], scopes: npt.NDArray[np.int32], values: pa.Array
    ) -> npt.NDArray[np.uint8]:
        """One row for each value."""
        begun = {
            scope: self._keyed.extended(named[scope][len(self._key) + 1 :]) for scope in np.unique(scopes).tolist()
        }
        hashes = digests_by_state(begun, scopes.tolist(), canonical_forms(values, fold=self._fold))
        whole = np.frombuffer(b"".join(hashes), np.uint8).reshape(len(values), -1)
        return base32_letters(np.ascontiguousarray(whole[:, :WIDTH]))


def _as_cacheable_texts(values: pa.Array) -> pa.Array:
    """Integers as text; text and bytes in the types of the cache."""
    kind = type_family(values.type)
    if kind == "binary":
        return values.cast(pa.large_binary() if pa.types.is_large_binary(values.type) else pa.binary())
    return values.cast(pa.large_string() if pa.types.is_large_string(values.type) else pa.string())


def _period_part(context: Context, unit: Rotation) -> ScopePart:
    """The UTC period of the event time as a part of the scope."""
    periods = distinct_values(_event_periods(context, unit))
    return ScopePart(
        [b"" if day is None else _period_bytes(day, unit) for day in periods.values.to_pylist()], periods.codes
    )


def _event_periods(context: Context, unit: Rotation) -> pa.Array:
    if context.time is None:
        raise PolicyError(f"`{context.field}` rotates by event time, but the policy names no event time")
    return period_starts(decode_dictionary(context.time), unit, "UTC")


def _period_bytes(start: date, unit: Rotation) -> bytes:
    return f"{unit} {start:%Y-%m-%d}".encode()


def _arrow_type(value: object) -> pa.DataType:
    if isinstance(value, bytes):
        return pa.binary()
    return pa.int64() if isinstance(value, int) else pa.string()
