"""Canonical form of tenants, subjects and other ids: which values are the same id, everywhere in the package.

The form is Unicode NFC without white space and invisible characters at both ends; folded: case-folded, then NFC again. Integers
are written in decimal. An id that is then empty counts as missing, and so does one of a record or a setting that has a control or
invisible character inside: it looks like another id, whose opt-outs and erasures would not reach it. So does one with a row of
more than 30 combining marks (`minimize.text.normal_form`). Byte strings are unchanged.

Every comparison of ids uses this form: settings, gates, thresholds, duplicates, `top`, pseudonyms, tokens, erasure, consents
and the subject index. Source: UAX #15 (NFC), UAX #44 (White_Space, Default_Ignorable_Code_Point,
General_Category Cc, Cf, Zl and Zp), Unicode 3.13 (case folding).

Accounts of people have a stricter form (`canonical_account`), in which no two accounts look the same but for their script.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.text import normal_form

Bools = npt.NDArray[np.bool_]
WHITE_SPACE: Final = frozenset(
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008"
    "\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""The characters with the Unicode property White_Space, and the separators U+001C to U+001F, as `str.strip` has them."""
HIDDEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""The characters of the General_Category Cc, Cf, Zl or Zp, those with the property Default_Ignorable_Code_Point (Unicode 15), and
the blank Braille pattern. Written out, so that the canonical form is the same with each version of Python."""
ASCII_TRIMMED: Final = "".join(map(chr, (*range(0x21), 0x7F)))
"""The ASCII characters that are removed at both ends."""
_LAST_BLANK: Final = 0x20
_DELETE: Final = 0x7F
_LETTERS: Final = 26
_TEXTS: Final = frozenset({pa.string().id, pa.large_string().id, pa.string_view().id})


@dataclass(frozen=True, slots=True)
class CaseFolding:
    """Whether a policy compares tenants, and subjects, without regard to case."""

    tenant: bool = False
    subject: bool = False
    fields: frozenset[str] = frozenset()
    """The other fields whose ids are compared without regard to case."""

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
        text = normal_form("NFC", text)
    start, end = 0, len(text)
    while start < end and _is_trimmed(text[start]):
        start += 1
    while start < end and _is_trimmed(text[end - 1]):
        end -= 1
    trimmed = text[start:end]
    return normal_form("NFC", trimmed.casefold()) if fold else trimmed


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


def canonical_account(text: str) -> str:
    """The canonical form of an account: that of a word.

    >>> canonical_account(" Rob\\u200b@Example.com"), canonical_account("\\uff52\\uff4f\\uff42@example.com")
    ('rob@example.com', 'rob@example.com')
    """
    return canonical_word(text)


def canonical_words(values: pa.Array) -> pa.Array:
    """The canonical form of each word in a column of texts, as strings; null for an empty one."""
    encoded = values.dictionary_encode()
    words = [None if word is None else canonical_word(word) or None for word in encoded.dictionary.to_pylist()]
    return pa.array(words, pa.string()).take(encoded.indices)


def canonical_word(text: str) -> str:
    """The canonical form of a word that people write, like the name of a setting: NFKC, case-folded, trimmed, without control and
    invisible characters.

    Empty if nothing is left. Source: Unicode 3.13, NFKC_Casefold.

    >>> canonical_word(" O\\u200bff "), canonical_word("\\uff4f\\uff46\\uff46")
    ('off', 'off')
    """
    before = None
    while text != before:
        before = text
        text = "".join(letter for letter in normal_form("NFKC", text) if not is_invisible(letter))
        text = normal_form("NFKC", text.casefold()).strip()
    return text


def is_invisible(letter: str) -> bool:
    """Whether a character is a control character, or is not shown."""
    return HIDDEN.match(letter) is not None


def is_missing_id(value: object) -> bool:
    """Whether an id counts as missing: its canonical form is empty, or has a hidden character inside.

    >>> is_missing_id(" \\x00"), is_missing_id("B\\u200b-1"), is_missing_id("B-1")
    (True, True, False)
    """
    return value == b"" or (isinstance(value, str) and not _visible_text(value, fold=False))


def _visible_text(text: str, *, fold: bool) -> str:
    """The canonical form, empty if it has a hidden character inside."""
    canonical = canonical_text(text, fold=fold)
    return "" if HIDDEN.search(canonical) else canonical


def canonical_column(values: pa.Array, *, fold: bool = False, visible: bool = False) -> pa.Array:
    """The canonical form of each id in a column, of the same type; null for an empty one.

    With `visible`, ids with a hidden character inside are null as well.

    Takes texts (plain, large, view, or dictionary-encoded) and byte strings; other types are returned unchanged. Clean
    columns are recognized by one pass over their bytes; in other columns, Python converts only the distinct values that need it.

    >>> canonical_column(pa.array(["a", " a", "", None])).to_pylist()
    ['a', 'a', None, None]
    """
    if pa.types.is_dictionary(values.type):
        return _canonical_dictionary(values, fold, visible)
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        return _nullify_empty(values)
    if values.type.id not in _TEXTS:
        return values
    if pa.types.is_string_view(values.type):
        plain = values.cast(pa.large_string())
        canonical = canonical_column(plain, fold=fold, visible=visible)
        return values if canonical is plain else canonical.cast(values.type)
    texts = _canonical_texts(values, visible)
    return _fold_case(texts) if fold else texts


def _canonical_texts(values: pa.Array, visible: bool) -> pa.Array:
    suspects = _suspect_rows(values)
    if suspects is None or not np.count_nonzero(suspects):
        return values
    with suppress(pa.ArrowException):
        values.validate(full=True)
        return _replace_suspects(values, suspects, _visible_text if visible else canonical_text, fold=False)
    return values  # not UTF-8: the reader of the column refuses it


def _fold_case(values: pa.Array) -> pa.Array:
    """The case-folded form of canonical texts."""
    _, content = _offsets_and_bytes(values)
    if content.min(initial=0) < 0:
        return _replace_suspects(values, np.ones(len(values), np.bool_), canonical_text, fold=True)
    upper = (content - np.int8(ord("A"))).view(np.uint8) < _LETTERS
    return pc.ascii_lower(values) if upper.any() else values


def _replace_suspects(values: pa.Array, suspects: Bools, form: Callable[..., str], *, fold: bool) -> pa.Array:
    mask = pa.array(suspects)
    words = values.filter(mask).dictionary_encode()
    forms = [None if word is None else form(word, fold=fold) or None for word in words.dictionary.to_pylist()]
    if forms == words.dictionary.to_pylist():
        return values
    return pc.replace_with_mask(values, mask, pa.array(forms, values.type).take(words.indices))


def _canonical_dictionary(values: pa.DictionaryArray, fold: bool, visible: bool) -> pa.Array:
    """As `canonical_column`, for the distinct values of a dictionary; entries that became equal are merged."""
    words = canonical_column(values.dictionary, fold=fold, visible=visible)
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
    """The rows that may need conversion: empty, not ASCII, blank at an end, or with a control character; None if none does.

    For most columns a minimum and a maximum over the bytes are enough: every byte is a visible ASCII character.
    """
    if values.null_count == len(values):
        return None
    ends, content = _offsets_and_bytes(values)
    lowest = np.minimum.reduce(content, initial=_LAST_BLANK + 1)
    has_delete = np.maximum.reduce(content, initial=0) == _DELETE
    empty = ends[1:] == ends[:-1]
    if lowest > _LAST_BLANK and not has_delete and not np.count_nonzero(empty):
        return None
    suspects = empty
    if lowest <= _LAST_BLANK or has_delete:
        last = max(len(content) - 1, 0)
        firsts, lasts = np.clip(ends[:-1] - ends[0], 0, last), np.clip(ends[1:] - ends[0] - 1, 0, last)
        suspects = empty | (content[firsts] <= _LAST_BLANK) | (content[lasts] <= _LAST_BLANK)
        controls = np.flatnonzero(((content >= 0) & (content < _LAST_BLANK)) | (content == _DELETE))
        suspects[np.searchsorted(ends - ends[0], controls, side="right") - 1] = True
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
    return letter in WHITE_SPACE or is_invisible(letter)
