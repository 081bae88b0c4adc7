"""Whether tenants and subjects stand in their canonical form: a reading of its own of what that is.

Unicode NFC, without blanks and format characters (Cf) at both ends. Case counts: a field that folds shows no ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from unicodedata import category, normalize

import pyarrow as pa
import pyarrow.compute as pc

from minimize.pointer import Pointer
from minimize.verification.policy import PolicyView


def canonical_id(text: str) -> str:
    """The canonical form of an id.

    >>> canonical_id("\\ufeffB-1\\u00a0")
    'B-1'
    """
    letters = list(normalize("NFC", text))
    while letters and _is_padding(letters[-1]):
        letters.pop()
    letters.reverse()
    while letters and _is_padding(letters[-1]):
        letters.pop()
    letters.reverse()
    return "".join(letters)


def canonical_ids(values: pa.Array) -> pa.Array:
    """The canonical forms of a column of texts; other columns, and what is not UTF-8, as they are."""
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)) or not _is_sound(values):
        return values
    encoded = values.dictionary_encode()
    forms = [None if text is None else canonical_id(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(forms, values.type).take(encoded.indices)


def kept_ids(policy: PolicyView) -> Iterator[Pointer]:
    """The tenant and the subject, each where every value is shown as it is."""
    for pointer in dict.fromkeys((policy.tenant, policy.subject)):
        view = None if pointer is None else policy.fields.get(pointer)
        if view is not None and view.is_kept_as_is:
            yield view.pointer


def noncanonical(values: pa.Array) -> int:
    """How many distinct ids are not in their canonical form."""
    distinct = pc.unique(values).drop_null()
    return int(pc.sum(pc.not_equal(distinct, canonical_ids(distinct))).as_py() or 0)


def _is_sound(values: pa.Array) -> bool:
    with suppress(pa.ArrowException):
        values.validate(full=True)
        return True
    return False


def _is_padding(letter: str) -> bool:
    return letter.isspace() or category(letter) == "Cf"
