"""`pseudonymize`: a keyed hash in place of an identifier."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from minimize.errors import PolicyError
from minimize.interned import dense
from minimize.techniques.base import Context, Family, Leaves, Technique, Treated, family
from minimize.techniques.base32 import letters, texts
from minimize.techniques.distinct import Codes, apart, decoded, distinct, in_use, merged, numbers, pick
from minimize.techniques.few import Asked, are_few, each_scoped
from minimize.techniques.mac import Mac, digests_after
from minimize.techniques.memo import Memo
from minimize.techniques.periods import starts
from minimize.techniques.scope import Part, canonical, canonicals, companion, keyring, prefixed, scoped, scopes_of

Rotation = Literal["day", "week", "month", "quarter", "year"]
WIDTH = 20
"""Bytes of the hash that are kept: 160 bits, 32 characters. Among a billion values two agree with a chance below 1e-30."""
SHARED = 64
"""How many times more known pseudonyms than rows there may be for all of them to be the dictionary, which then costs nothing."""


class Pseudonymize(Technique):
    """A keyed hash: the same value gives the same 32 characters, as long as field, key version, `per` and period are the same.

    Takes text, integer and binary, gives text. The value is hashed in its canonical form: text in NFC without blanks and format
    characters at both ends (case-folded with `fold`), integers in decimal; byte strings as they are, and never equal to a text.
    What has one pseudonym has the same settings and counts once: a field that folds says so by `folds`. Two fields do not link
    unless both say the same `link`; values under another `per` do not link; with `rotate` values of another UTC period (of the
    event time) do not. Null stays null; a null `per`, or a null time where it rotates, cannot be treated.

    Leaves the value linkable: whoever sees the column sees which records belong together, and whoever has the key can test
    guesses. Source: RFC 2104, RFC 4231, FIPS 180-4; base32 of RFC 4648 in lower case.

    >>> from minimize.techniques.pseudonymize import Pseudonymize
    >>> Pseudonymize(key="device", per="tenant_id").reads() == {"tenant_id"}
    True
    """

    name: ClassVar[str] = "pseudonymize"
    takes: ClassVar[tuple[Family, ...]] = ("string", "integer", "binary")
    leaves: ClassVar[Leaves] = "linkable"
    source: ClassVar[str] = "RFC 2104, RFC 4231"
    about: ClassVar[str] = "a keyed hash, the same for the same value within its field and `per`"

    key: str = Field(min_length=1)
    per: str | None = Field(None, min_length=1)
    rotate: Rotation | None = None
    link: str | None = Field(None, min_length=1)
    fold: bool = False

    def gives(self, type_: pa.DataType) -> pa.DataType:
        """Text. Raises TypeRefused for what has no canonical form."""
        super().gives(type_)
        return pa.string()

    def reads(self) -> frozenset[str]:
        """The field that the pseudonym is particular to."""
        return frozenset() if self.per is None else frozenset({self.per})

    @property
    def needs_time(self) -> bool:
        """Whether it rotates."""
        return self.rotate is not None

    @property
    def folds(self) -> bool:
        """Whether it folds to one case."""
        return self.fold

    @property
    def key_names(self) -> frozenset[str]:
        """The key."""
        return frozenset({self.key})

    def apply(self, values: pa.Array, context: Context) -> Treated:
        """The pseudonyms. Raises KeyringError where the key is missing."""
        found = self.apply_column(values, context)
        return Treated(decoded(found.values), found.untreated)

    def apply_column(self, values: pa.Array, context: Context) -> Treated:
        """The pseudonyms, dictionary-encoded. Row by row: to look a known value up costs no more than to tell it apart."""
        beside = self._beside(context)
        if are_few(values, beside):
            return self._few(values, beside, context)
        values, scopes = _as_texts(values), scopes_of(len(values), self._scope(context))
        if not values.null_count and not scopes.codes.null_count:
            return Treated(self._pseudonyms(values, numbers(scopes.codes), scopes.named, context))
        there = pc.and_(values.is_valid(), scopes.codes.is_valid())
        made = self._pseudonyms(values.filter(there), numbers(scopes.codes.filter(there)), scopes.named, context)
        lacking = pc.and_(values.is_valid(), scopes.codes.is_null())
        return Treated(apart(made, there), lacking if lacking.true_count else None)

    def apply_encoded(self, values: pa.DictionaryArray, context: Context) -> Treated:
        """The pseudonyms of a dictionary's entries, once for each scope that they stand in.

        Of those that rows have: a step before may share a dictionary with all that it has ever made.
        """
        values = in_use(values)
        beside = self._beside(context)
        if are_few(values, beside):
            few = self._few(values, beside, context)
            return Treated(few.values.dictionary_encode(), few.untreated)
        found = scoped(values, self._scope(context))
        words, scopes = found.pairs
        made = self._pseudonyms(pick(found.words, pa.array(words)), scopes, found.scopes, context)
        spread = pa.DictionaryArray.from_arrays(made.indices.take(found.codes), made.dictionary)
        return Treated(merged(spread), found.untreated)

    def pseudonym_of(
        self,
        value: str | int | bytes,
        context: Context,
        *,
        per: str | int | bytes | None = None,
        time: datetime | None = None,
    ) -> str | None:
        """The pseudonym of one value, for finding a subject again; None where it needs a `per` or time that is not given."""
        columns = {} if self.per is None else {self.per: pa.array([per], _type_of(per))}
        times = pa.array([time], pa.timestamp("us", tz="UTC"))
        one = replace(context, columns=columns, time=times)
        pseudonym: str | None = self.apply(pa.array([value], _type_of(value)), one).values[0].as_py()
        return pseudonym

    def _beside(self, context: Context) -> list[pa.Array]:
        """The columns that make the scope: `per`, and the start of the period."""
        per = [] if self.per is None else [context.columns[self.per]]
        return per if self.rotate is None else [*per, _starts(context, self.rotate)]

    def _few(self, values: pa.Array, beside: Sequence[pa.Array], context: Context) -> Treated:
        """The pseudonyms of few rows, one by one."""
        version = keyring(context).version_of(self.key)
        return each_scoped(values, beside, version, OneByOne(self, context), context.recall(self))

    def _scope(self, context: Context) -> tuple[Part, ...]:
        per = () if self.per is None else (companion(context, self.per),)
        return per if self.rotate is None else (*per, _periods(context, self.rotate))

    def _pseudonyms(
        self, values: pa.Array, scopes: Codes, named: Sequence[Sequence[bytes]], context: Context
    ) -> pa.DictionaryArray:
        """Of values that are there, each in one of the named scopes."""
        hashes = Hashes(Mac.keyed(keyring(context).bytes_of(self.key)), self.fold)
        memo = Memo() if context.memo is None else context.memo
        beginnings = [self._beginning(scope, context) for scope in named]
        codes, rows = memo.rows(_as_texts(values), scopes.astype(np.int32), hashes.named(beginnings), hashes)
        if len(rows) <= SHARED * len(codes):
            return pa.DictionaryArray.from_arrays(pa.array(codes), texts(rows), safe=False)
        used, places = dense(codes)
        return pa.DictionaryArray.from_arrays(pa.array(places), texts(rows[used]))

    def one(self, value: Any, scope: Sequence[Any], keyed: Mac, context: Context) -> str:
        """The pseudonym of one value, as it came in, in a scope of a `per` value and the start of a period."""
        parts = [*scope]
        period = [] if self.rotate is None else [_period(parts.pop(), self.rotate)]
        beginning = self._beginning([*map(canonical, parts), *period], context)
        (digest,) = keyed.after(beginning).digests([canonical(value, fold=self.fold)])
        return b32encode(digest[:WIDTH]).decode().lower()

    def _beginning(self, scope: Iterable[bytes], context: Context) -> bytes:
        """Domain and scope, before the value: which parts there are, then the parts."""
        domain = f"field:{context.field}" if self.link is None else f"link:{self.link}"
        shape = f"per:{self.per is not None} rotate:{self.rotate}"
        return prefixed(b"minimize pseudonymize 1", domain.encode(), shape.encode(), *scope)


class OneByOne:
    """Computes single pseudonyms. Raises KeyringError, when it is made, where the key is missing."""

    def __init__(self, technique: Pseudonymize, context: Context) -> None:
        self._technique, self._context = technique, context
        self._key = keyring(context).bytes_of(technique.key)

    @cached_property
    def _keyed(self) -> Mac:
        return Mac.keyed(self._key)

    def __call__(self, asked: Asked) -> str:
        """The pseudonym of what is asked for: key version, value, scope."""
        _, value, *scope = asked
        return self._technique.one(value, scope, self._keyed, self._context)


class Hashes:
    """Computes pseudonyms, as rows of letters, scope by scope: what a memo calls for texts that it does not know."""

    def __init__(self, keyed: Mac, fold: bool) -> None:
        self._keyed, self._fold = keyed, fold
        self._key = keyed.digest(b"")
        """Tells keys apart, and not which they are."""

    def named(self, beginnings: Iterable[bytes]) -> list[bytes]:
        """The beginnings as scopes that no other key or form shares."""
        return [self._key + bytes([self._fold]) + beginning for beginning in beginnings]

    def __call__(
        self, named: Sequence[bytes], scopes: npt.NDArray[np.int32], values: pa.Array
    ) -> npt.NDArray[np.uint8]:
        """One row for each value."""
        begun = {scope: self._keyed.after(named[scope][len(self._key) + 1 :]) for scope in np.unique(scopes).tolist()}
        hashes = digests_after(begun, scopes.tolist(), canonicals(values, fold=self._fold))
        whole = np.frombuffer(b"".join(hashes), np.uint8).reshape(len(values), -1)
        return letters(np.ascontiguousarray(whole[:, :WIDTH]))


def _as_texts(values: pa.Array) -> pa.Array:
    """Integers as they are written; texts and bytes in the layouts that a memory knows."""
    kind = family(values.type)
    if kind == "binary":
        return values.cast(pa.large_binary() if pa.types.is_large_binary(values.type) else pa.binary())
    return values.cast(pa.large_string() if pa.types.is_large_string(values.type) else pa.string())


def _periods(context: Context, unit: Rotation) -> Part:
    """The UTC period of the event time as a part of the scope."""
    found = distinct(_starts(context, unit))
    return Part([b"" if day is None else _period(day, unit) for day in found.words.to_pylist()], found.codes)


def _starts(context: Context, unit: Rotation) -> pa.Array:
    if context.time is None:
        raise PolicyError(f"`{context.field}` rotates by event time, and the policy names no time")
    return starts(decoded(context.time), unit, "UTC")


def _period(start: date, unit: Rotation) -> bytes:
    return f"{unit} {start:%Y-%m-%d}".encode()


def _type_of(value: object) -> pa.DataType:
    if isinstance(value, bytes):
        return pa.binary()
    return pa.int64() if isinstance(value, int) else pa.string()
