"""`redact`: marks in place of what patterns find in free text."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from minimize.techniques.base import Context, Family, Leaves, Technique, Treated, each_distinct
from minimize.techniques.patterns import PATTERNS, Name, find

ALL: tuple[Name, ...] = tuple(PATTERNS)
PLACE = "…"
Piece = tuple[bool, str]
"""Whether it is a mark, and the text."""


class Redact(Technique):
    """A mark in place of each e-mail address, phone number, IP or MAC address … that a pattern finds in a text.

    Takes text, gives text. `mark` is written for each hit, with the pattern's name for its `…`. Null stays null. What no
    pattern finds stays (names, places, stories), so it leaves the value guessable and free text identified.
    Source: RFC 5322, RFC 3986, ISO/IEC 7812-1 (Luhn), ISO 13616 (IBAN), E.164, RFC 9562 (UUID), 3GPP TS 23.003 (IMEI).

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> texts = pa.array(["mail ann@example.com or +33 6 12 34 56 78", "10.0.19045.3803 crashed"])
    >>> Redact(patterns=("email", "phone")).apply(texts, Context("f", datetime.now(UTC))).values.to_pylist()
    ['mail [email] or [phone]', '10.0.19045.3803 crashed']
    """

    name: ClassVar[str] = "redact"
    takes: ClassVar[tuple[Family, ...]] = ("string",)
    leaves: ClassVar[Leaves] = "guessable"
    source: ClassVar[str] = "RFC 5322, E.164, ISO/IEC 7812-1, ISO 13616"
    about: ClassVar[str] = "marks in place of what patterns find in free text"

    patterns: tuple[Name, ...] = Field(ALL, min_length=1)
    mark: str = Field(f"[{PLACE}]", min_length=1, max_length=64)

    def gives(self, type_: pa.DataType) -> pa.DataType:
        """Text. Raises TypeRefused for what is no text."""
        super().gives(type_)
        return pa.string()

    def apply(self, values: pa.Array, context: Context) -> Treated:
        """The texts with marks."""
        return each_distinct(values, self.redacted, pa.string())

    def redacted(self, text: str) -> str:
        """One text with marks: pass after pass, until nothing is found between them."""
        pieces: list[Piece] = [(False, text)]
        count = 0
        while len(pieces) != count:
            count = len(pieces)
            for name in ALL:
                if name in self.patterns:
                    pieces = [part for piece in pieces for part in self._cut(piece, name)]
        return "".join(text for _, text in pieces)

    def _cut(self, piece: Piece, name: Name) -> Iterator[Piece]:
        """A piece of plain text, cut where the pattern hits; a mark as it is."""
        is_mark, text = piece
        last = 0
        for start, end in () if is_mark else find(text, name):
            yield False, text[last:start]
            yield True, self.mark.replace(PLACE, name)
            last = end
        yield is_mark, text[last:]


def hits(text: str, patterns: Collection[Name] = ALL) -> bool:
    """Whether any of the patterns finds something in the text: a name of which that is true may be a value.

    >>> hits("ann@example.com"), hits("battery_pct")
    (True, False)
    """
    return any(find(text, name) for name in patterns)
