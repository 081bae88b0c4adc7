"""Canonical form of tenants, subjects and other ids: which values are the same id, everywhere in the package.

The form is Unicode NFC without White_Space and format characters (Cf) at both ends; folded: case-folded, then NFC again. Integers
are written in decimal. An id that is then empty counts as missing. Byte strings are unchanged.

Every comparison of ids uses this form: settings, gates, thresholds, duplicates, `top`, pseudonyms, tokens, erasure, consents
and the subject index. Source: UAX #15 (NFC), UAX #44 (White_Space, General_Category Cf), Unicode 3.13 (case folding).

Accounts of people have a stricter form (`canonical_account`), in which no two accounts look the same but for their script.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, overload
from unicodedata import category, normalize

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bools = npt.NDArray[np.bool_]
WHITE_SPACE: Final = frozenset(
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008"
    "\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""The characters with the Unicode property White_Space, and the separators U+001C to U+001F, as `str.strip` has them."""
_LAST_BLANK: Final = 0x20
_LETTERS: Final = 26
_TEXTS: Final = frozenset({pa.string().id, pa.large_string().id, pa.string_view().id})


@dataclass(frozen=True, slots=True)
class CaseFolding:
    """Whether a policy compares tenants, and subjects, without regard to case.

    fields  the other fields whose ids it compares so
    """

    tenant: bool = False
    subject: bool = False
    fields: frozenset[str] = frozenset()

    def folds(self, field: str | None) -> bool:
        """Whether the ids of a field are compared so; None is the subject."""
        return self.subject if field is None else field in self.fields


NO_FOLDING: Final = CaseFolding()


def canonical_text(text: str, *, fold: bool = False) -> str:
    """The canonical form of one id; empty if nothing is left.

    >>> canonical_text("\\u00a0B-1\\u200b"), canonical_text("Stra\\u00dfe ", fold=True)
    ('B-1', 'strasse')
    """
    if not text.isascii():
        text = normalize("NFC", text)
    start, end = 0, len(text)
    while start < end and _is_trimmed(text[start]):
        start += 1
    while start < end and _is_trimmed(text[end - 1]):
        end -= 1
    trimmed = text[start:end]
    return normalize("NFC", trimmed.casefold()) if fold else trimmed


@overload
def canonical_id(value: str) -> str: ...
@overload
def canonical_id(value: None) -> None: ...
@overload
def canonical_id(value: str | None) -> str | None: ...
def canonical_id(value: str | None) -> str | None:
    """The canonical form of an id that may be absent."""
    return None if value is None else canonical_text(value)


def exact_and_folded(value: str) -> tuple[str, ...]:
    """The canonical form of an id, and the folded form if it differs: pipelines with and without folding share a ledger.

    >>> exact_and_folded("B-1 "), exact_and_folded("b-1")
    (('B-1', 'b-1'), ('b-1',))
    """
    return tuple(dict.fromkeys((canonical_text(value), canonical_text(value, fold=True))))


_IGNORABLE: Final = (
    range(0x00AD, 0x00AE),
    range(0x034F, 0x0350),
    range(0x061C, 0x061D),
    range(0x115F, 0x1161),
    range(0x17B4, 0x17B6),
    range(0x180B, 0x1810),
    range(0x200B, 0x2010),
    range(0x202A, 0x202F),
    range(0x2060, 0x2070),
    range(0x2800, 0x2801),
    range(0x3164, 0x3165),
    range(0xFE00, 0xFE10),
    range(0xFEFF, 0xFF00),
    range(0xFFA0, 0xFFA1),
    range(0xFFF0, 0xFFFC),
    range(0x1BCA0, 0x1BCA4),
    range(0x1D173, 0x1D17B),
    range(0xE0000, 0xE1000),
)
"""The characters with the Unicode property Default_Ignorable_Code_Point, and the blank Braille pattern."""


def canonical_account(text: str) -> str:
    """The canonical form of an account: NFKC, case-folded, trimmed, without control and invisible characters.

    Empty if nothing is left. Source: Unicode 3.13, NFKC_Casefold.

    >>> canonical_account(" Rob\\u200b@Example.com"), canonical_account("\\uff52\\uff4f\\uff42@example.com")
    ('rob@example.com', 'rob@example.com')
    """
    before = None
    while text != before:
        before = text
        text = "".join(letter for letter in normalize("NFKC", text) if not is_invisible(letter))
        text = normalize("NFKC", text.casefold()).strip()
    return text


def is_invisible(letter: str) -> bool:
    """Whether a character is a control character, or is not shown."""
    return category(letter) in ("Cc", "Cf") or any(ord(letter) in each for each in _IGNORABLE)


def is_empty_id(value: object) -> bool:
    """Whether the canonical form of an id is empty."""
    return value == b"" or (isinstance(value, str) and not canonical_text(value))


def canonical_column(values: pa.Array, *, fold: bool = False) -> pa.Array:
    """The canonical form of each id in a column, of the same type; null for an empty one.

    Takes texts (plain, large, view, or dictionary-encoded) and byte strings; other types are returned unchanged. Clean
    columns are recognized by one pass over their bytes; in other columns, Python converts only the distinct values that need it.

    >>> canonical_column(pa.array(["a", " a", "", None])).to_pylist()
    ['a', 'a', None, None]
    """
    if pa.types.is_dictionary(values.type):
        return _canonical_dictionary(values, fold)
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        return _nullify_empty(values)
    if values.type.id not in _TEXTS:
        return values
    if pa.types.is_string_view(values.type):
        plain = values.cast(pa.large_string())
        found = canonical_column(plain, fold=fold)
        return values if found is plain else found.cast(values.type)
    return _fold_case(_canonical_texts(values)) if fold else _canonical_texts(values)


def _canonical_texts(values: pa.Array) -> pa.Array:
    suspects = _suspect_rows(values)
    if suspects is None or not np.count_nonzero(suspects):
        return values
    with suppress(pa.ArrowException):
        values.validate(full=True)
        return _replace_suspects(values, suspects, fold=False)
    return values  # not UTF-8: the reader of the column refuses it


def _fold_case(values: pa.Array) -> pa.Array:
    """The case-folded form of canonical texts."""
    _, content = _offsets_and_bytes(values)
    if content.min(initial=0) < 0:
        return _replace_suspects(values, np.ones(len(values), np.bool_), fold=True)
    upper = (content - np.int8(ord("A"))).view(np.uint8) < _LETTERS
    return pc.ascii_lower(values) if upper.any() else values


def _replace_suspects(values: pa.Array, suspects: Bools, *, fold: bool) -> pa.Array:
    mask = pa.array(suspects)
    words = values.filter(mask).dictionary_encode()
    forms = [None if word is None else canonical_text(word, fold=fold) or None for word in words.dictionary.to_pylist()]
    if forms == words.dictionary.to_pylist():
        return values
    return pc.replace_with_mask(values, mask, pa.array(forms, values.type).take(words.indices))


def _canonical_dictionary(values: pa.DictionaryArray, fold: bool) -> pa.Array:
    """As `canonical_column`, for the distinct values of a dictionary; entries that became equal are merged."""
    words = canonical_column(values.dictionary, fold=fold)
    if words is values.dictionary or words.equals(values.dictionary):
        return values
    plain = words.cast(pa.large_string()) if pa.types.is_string_view(words.type) else words
    merged = plain.dictionary_encode()
    indices = merged.indices.take(values.indices.cast(pa.int64())).cast(values.type.index_type)
    return pa.DictionaryArray.from_arrays(indices, merged.dictionary.cast(values.type.value_type))


def _nullify_empty(values: pa.Array) -> pa.Array:
    empty = pc.equal(pc.binary_length(values), 0)
    return (
        values if pc.any(empty).as_py() is not True else pc.if_else(empty, pa.nulls(len(values), values.type), values)
    )


def _suspect_rows(values: pa.Array) -> Bools | None:
    """The rows that may need conversion: empty, not ASCII, or with a byte up to U+0020 at an end; None if no row does.

    For most columns one minimum over the bytes is enough: every byte is a visible ASCII character.
    """
    if values.null_count == len(values):
        return None
    ends, content = _offsets_and_bytes(values)
    lowest = np.minimum.reduce(content, initial=_LAST_BLANK + 1)
    empty = ends[1:] == ends[:-1]
    if lowest > _LAST_BLANK and not np.count_nonzero(empty):
        return None
    suspects = empty
    if lowest <= _LAST_BLANK:
        last = max(len(content) - 1, 0)
        firsts, lasts = np.clip(ends[:-1] - ends[0], 0, last), np.clip(ends[1:] - ends[0] - 1, 0, last)
        suspects = empty | (content[firsts] <= _LAST_BLANK) | (content[lasts] <= _LAST_BLANK)
    if lowest < 0:
        suspects = suspects | ~np.asarray(pc.string_is_ascii(values).fill_null(True))
    if values.null_count:
        suspects = suspects & np.asarray(values.is_valid())
    return np.asarray(suspects, np.bool_)


def _offsets_and_bytes(values: pa.Array) -> tuple[npt.NDArray[Any], npt.NDArray[np.int8]]:
    """The offsets of a column of texts, and the bytes between the first and the last."""
    _, offsets, data = values.buffers()
    width = np.int64 if pa.types.is_large_string(values.type) else np.int32
    if offsets is None or not len(values):
        return np.zeros(1, width), np.empty(0, np.int8)
    ends = np.frombuffer(offsets, width)[values.offset : values.offset + len(values) + 1]
    content = np.empty(0, np.int8) if data is None or not data.size else np.frombuffer(data, np.int8)
    return ends, content[ends[0] : ends[-1]]


def _is_trimmed(letter: str) -> bool:
    return letter in WHITE_SPACE or category(letter) == "Cf"
