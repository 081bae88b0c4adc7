"""What the values of one field look like: counts and kinds. Values go in, none comes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from minimize.drafting.kinds import KINDS, holds_personal, kinds_of
from minimize.io.text import one

LOOKED_AT: Final = 1000
"""How many distinct values of a field are held against the patterns."""
LONGEST: Final = 512
"""Characters of a value that are looked at."""
MOST: Final = 0.8
"""The share of distinct values from which a field is of a kind."""
WORDS: Final = 4
"""So many words are prose."""
FEW: Final = 20
"""So many distinct values at most are few."""
ENOUGH: Final = 100
"""So many values at least say something about how many distinct ones there are."""


@dataclass(frozen=True, slots=True)
class Look:
    """One field's values, as counts.

    values    how many there were, nulls left out
    nulls     how many were null
    distinct  how many different ones there were
    kinds     per kind (`kinds.KINDS`) the share of the distinct values that were of it
    reads     the type words (`text.one`) that every distinct text reads as; of times that nearly every one does
    prose     the share of the distinct values that were several words
    personal  whether something personal stood within a text that was of no kind
    """

    values: int
    nulls: int = 0
    distinct: int = 0
    kinds: Mapping[str, float] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    prose: float = 0.0
    personal: bool = False

    @property
    def kind(self) -> str | None:
        """The kind that most values are of; None for none."""
        return next((name for name in KINDS if self.kinds.get(name, 0.0) >= MOST), None)

    @property
    def is_empty(self) -> bool:
        """Whether there were nulls and nothing else."""
        return self.values == 0

    @property
    def is_unique(self) -> bool:
        """Whether nearly every value is another, among enough of them to say so."""
        return self.values >= ENOUGH and self.distinct >= 0.95 * self.values

    @property
    def is_few(self) -> bool:
        """Whether the same few values come again and again, among enough of them to say so."""
        return self.values >= ENOUGH and self.distinct <= FEW

    @property
    def is_thin(self) -> bool:
        """Whether there are too few values to tell anything from how many distinct ones there are."""
        return self.values < ENOUGH

    @property
    def is_prose(self) -> bool:
        """Whether most values are several words, and rarely the same ones."""
        return self.prose >= 0.5 and not self.is_few


def look_at(arrays: Sequence[pa.Array]) -> Look:
    """What the values in these columns, all of one field, look like.

    >>> look_at([pa.array(["a@example.com", "b@example.com", None])]).kind
    'email'
    """
    plain = [_decoded(array) for array in arrays if len(array)]
    nulls = sum(array.null_count for array in plain)
    if not plain or nulls == sum(map(len, plain)):
        return Look(0, nulls)
    values = pa.chunked_array(plain).drop_null()
    distinct = pc.unique(values)
    texts = _texts(distinct.slice(0, LOOKED_AT))
    found = Counter(kind for text in texts for kind in kinds_of(text))
    return Look(
        len(values),
        nulls,
        len(distinct),
        {kind: count / len(texts) for kind, count in found.items()},
        _reads(texts) if _is_text(distinct.type) else (),
        sum(text.count(" ") >= WORDS - 1 for text in texts) / len(texts) if texts else 0.0,
        any(not kinds_of(text) and holds_personal(text) for text in texts),
    )


def _decoded(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _texts(distinct: pa.Array) -> list[str]:
    """Texts and whole numbers as text, short binary values in hexadecimal: a pattern sees one at a time."""
    if _is_binary(distinct.type):
        return [value.hex()[:LONGEST] for value in distinct.to_pylist()]
    if not (_is_text(distinct.type) or pa.types.is_integer(distinct.type)):
        return []
    return [str(value)[:LONGEST] for value in distinct.to_pylist()]


def _reads(texts: Sequence[str]) -> tuple[str, ...]:
    """The types that these texts could be read as, the narrowest first."""
    shares = {word: sum(one(text, word) is not None for text in texts) / len(texts) for word in _LEAST}
    return tuple(word for word, least in _LEAST.items() if shares[word] >= least)


_LEAST: Final = {"boolean": 1.0, "integer": 1.0, "double": 1.0, "date": MOST, "timestamp": MOST}


def _is_binary(type_: pa.DataType) -> bool:
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_))


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))
