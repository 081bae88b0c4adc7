"""`redact`: a mark in place of each hit of a pattern in free text."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, ClassVar

import pyarrow as pa
from pydantic import Field

from minimize.patterns import PATTERNS, PatternName, TextSpan, find_pattern
from minimize.techniques.base import Context, Family, Residual, Technique, TechniqueResult, apply_per_distinct
from minimize.techniques.parameters import MORE_TIGHTENS, UNORDERED

ALL_PATTERNS: tuple[PatternName, ...] = tuple(PATTERNS)
NAME_PLACEHOLDER = "…"
MAX_PASSES = 8
"""Passes over a text. Only a text that was constructed for this purpose needs more."""


class Redact(Technique):
    """A mark in place of each e-mail address, phone number, card, token … that a pattern finds in a text.

    Takes text in any Unicode form, gives text; all other characters stay unchanged. `mark` is written for each hit, with the
    name of the pattern for its `…`. Null stays null. Names, places and stories, which no pattern finds, stay. So it leaves the
    value guessable and free text identified.
    Source: RFC 5322, RFC 3986, ISO/IEC 7812-1 (Luhn), ISO 13616 (IBAN), E.164, RFC 9562 (UUID), 3GPP TS 23.003 (IMEI),
    RFC 7468 (PEM), RFC 7519 (JWT), the rules of the Social Security Administration, key forms that cloud providers publish.

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> texts = pa.array(["mail ann@example.com or +33 6 12 34 56 78", "10.0.19045.3803 crashed"])
    >>> Redact(patterns=("email", "phone")).apply(texts, Context("f", datetime.now(UTC))).values.to_pylist()
    ['mail [email] or [phone]', '10.0.19045.3803 crashed']
    """

    name: ClassVar[str] = "redact"
    takes: ClassVar[tuple[Family, ...]] = ("string",)
    result_type: ClassVar[pa.DataType | None] = pa.string()
    residual: ClassVar[Residual] = "guessable"
    source: ClassVar[str] = "RFC 5322, E.164, ISO/IEC 7812-1, ISO 13616"
    about: ClassVar[str] = "free text with a mark in place of each hit of a pattern"

    patterns: Annotated[tuple[PatternName, ...], MORE_TIGHTENS] = Field(ALL_PATTERNS, min_length=1)
    mark: Annotated[str, UNORDERED] = Field(f"[{NAME_PLACEHOLDER}]", min_length=1, max_length=64)

    def phrase(self) -> str:
        """The patterns."""
        names = ", ".join(self.patterns).replace("_", " ")
        return f"text from which these patterns are removed as far as they are recognized: {names}"

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The texts with marks."""
        return apply_per_distinct(values, self.redact_text, pa.string())

    def redact_text(self, text: str) -> str:
        """One text with marks."""
        pieces, last = [], 0
        for name, start, end in find_spans(text, self.patterns):
            pieces += [text[last:start], self.mark.replace(NAME_PLACEHOLDER, name)]
            last = end
        return "".join([*pieces, text[last:]])


def find_spans(text: str, patterns: Collection[PatternName] = ALL_PATTERNS) -> list[tuple[PatternName, int, int]]:
    """The hits in a text, in order, without overlaps. Passes are repeated until nothing is found between the hits.

    After `MAX_PASSES` passes, all of the text between two hits counts as a hit.
    """
    hits: list[tuple[PatternName, int, int]] = []
    between: list[TextSpan] = [(0, len(text))]
    for passes in range(MAX_PASSES):
        count = len(hits)
        for name in ALL_PATTERNS:
            if name in patterns:
                between = [
                    part
                    for span in between
                    for part in _cut_hits(text, span, name, hits, whole=passes == MAX_PASSES - 1)
                ]
        if len(hits) == count:
            break
    return sorted(hits, key=lambda hit: hit[1])


def _cut_hits(
    text: str, span: TextSpan, name: PatternName, spans: list[tuple[PatternName, int, int]], *, whole: bool
) -> Iterator[TextSpan]:
    """The rest of a part of the text between the hits of a pattern; nothing if `whole` is set and there is a hit."""
    begin, last = span[0], span[0]
    hits = find_pattern(text[span[0] : span[1]], name)
    if hits and whole:
        spans.append((name, *span))
        return
    for start, end in hits:
        spans.append((name, begin + start, begin + end))
        if last < begin + start:
            yield last, begin + start
        last = begin + end
    if last < span[1]:
        yield last, span[1]


def has_hit(text: str, patterns: Collection[PatternName] = ALL_PATTERNS) -> bool:
    """Whether any pattern has a hit in the text. A name with a hit may be a value.

    >>> has_hit("ann@example.com"), has_hit("battery_pct")
    (True, False)
    """
    return any(find_pattern(text, name) for name in patterns)
