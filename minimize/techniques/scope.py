"""What a keyed technique hashes besides the value: its domain and its scope, as length-prefixed bytes, and values in one form.

Every part is prefixed with its length, so that no two lists of parts are the same bytes; a text and a byte string that look
alike are different parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.canonical import WHITE_SPACE, canonical_text
from minimize.errors import KeyringError
from minimize.techniques.base import Context, KeySource, family
from minimize.techniques.distinct import Codes, Distinct, cross, distinct, listed


def prefixed(*parts: bytes) -> bytes:
    """The parts, each after its length as eight bytes.

    >>> prefixed(b"a", b"") == bytes(7) + b"\\x01a" + bytes(8)
    True
    """
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def canonical(value: Any, *, fold: bool = False) -> bytes:
    """The canonical form of a value as bytes (see `minimize.canonical`); a byte string is never equal to a text."""
    if isinstance(value, bytes):
        return b"b" + value
    return b"t" + canonical_text(str(value), fold=fold).encode("utf-8", "surrogatepass")


def canonicals(words: pa.Array, *, fold: bool = False) -> list[bytes]:
    """The canonical forms of distinct words, empty for null (no form of a value is empty)."""
    if family(words.type) == "binary":
        return [b"" if word is None else canonical(word) for word in words.to_pylist()]
    texts = words.cast(pa.large_string())
    if not fold and pc.all(pc.string_is_ascii(texts)).as_py() is not False:
        tag, glue = pa.scalar("t", pa.large_string()), pa.scalar("", pa.large_string())
        forms = pc.binary_join_element_wise(tag, pc.ascii_trim(texts, _BLANKS), glue).fill_null("")
        plain: list[bytes] = forms.cast(pa.large_binary()).to_pylist()
        return plain
    return [b"" if word is None else canonical(word, fold=fold) for word in listed(texts)]


_BLANKS = "".join(sorted(letter for letter in WHITE_SPACE if letter.isascii()))


def companion(context: Context, key: str) -> Part:
    """A companion column as a part of the scope."""
    found = distinct(context.columns[key])
    return Part(canonicals(found.words), found.codes)


def keyring(context: Context) -> KeySource:
    """The context's keyring. Raises KeyringError where there is none."""
    if context.keys is None:
        raise KeyringError(
            f"`{context.field}` needs a key, and no keyring was given", hint="--keys FILE or MINIMIZE_KEYS"
        )
    return context.keys


@dataclass(frozen=True, slots=True)
class Scoped:
    """The distinct combinations of a value and its scope.

    words      the distinct values
    scopes     the distinct scopes, each a list of canonical parts
    pairs      per combination its word and its scope
    codes      per row its combination, null where the value or a part of its scope is null
    untreated  where the value is there, but a part of its scope is null
    """

    words: pa.Array
    scopes: tuple[tuple[bytes, ...], ...]
    pairs: tuple[Codes, Codes]
    codes: pa.Array
    untreated: pa.BooleanArray | None


def scoped(values: pa.Array, parts: Sequence[Part]) -> Scoped:
    """Each value with its scope."""
    found = distinct(values)
    if not parts:
        every = np.arange(len(found.words))
        return Scoped(found.words, ((),), (every, np.zeros_like(every)), found.codes, None)
    scopes = scopes_of(len(values), parts)
    pairs = cross([found, Distinct(pa.array(range(len(scopes.named)), pa.int64()), scopes.codes)])
    missing = pc.and_(scopes.codes.is_null(), found.codes.is_valid())
    both = (pairs.parts[0], pairs.parts[1])
    return Scoped(found.words, scopes.named, both, pairs.codes, missing if pc.any(missing).as_py() else None)


@dataclass(frozen=True, slots=True)
class Scopes:
    """The scopes of a column's rows: each a list of canonical parts, and per row which it is (null where a part is)."""

    named: tuple[tuple[bytes, ...], ...]
    codes: pa.Array


def scopes_of(rows: int, parts: Sequence[Part]) -> Scopes:
    """What the parts say together, row by row."""
    if not parts:
        return Scopes(((),), pa.array(np.zeros(rows, np.int32)))
    crossed = cross([part.as_distinct() for part in parts])
    columns = [[part.forms[code] for code in codes] for part, codes in zip(parts, crossed.parts, strict=True)]
    return Scopes(tuple(zip(*columns, strict=True)), crossed.codes)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a scope, by distinct form: the forms, and each row's place among them (null for null)."""

    forms: Sequence[bytes]
    codes: pa.Array

    def as_distinct(self) -> Distinct:
        """The part as a column of places."""
        return Distinct(pa.array(range(len(self.forms)), pa.int64()), self.codes)
