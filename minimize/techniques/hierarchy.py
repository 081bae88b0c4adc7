"""A hierarchy file: a CSV (`;` or `,`) without header, each line a value and its labels from fine to coarse."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from math import inf
from pathlib import Path

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """The lines of a hierarchy that holds together, and the bytes that it was read from."""

    rows: tuple[Row, ...] = field(repr=False)
    content: bytes = field(repr=False)

    @classmethod
    def load(cls, path: Path, name: str) -> Hierarchy:
        """Reads and checks a file; messages call it by `name`. Raises ValueError with a line number, never a value."""
        content = _bytes(path, name)
        rows = tuple(_rows(_text(content, name)))
        fault = next(_faults(rows), None)
        if fault is not None:
            raise ValueError(f"{name}: {fault}")
        return cls(rows, content)

    @property
    def levels(self) -> int:
        """How many columns the file has; the last is the root."""
        return len(self.rows[0])

    @property
    def root(self) -> str:
        """The label that stands for everything."""
        return self.rows[0][-1]

    @property
    def digest(self) -> str:
        """`sha256:` of the file's bytes."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    def words(self, level: int) -> dict[str, str]:
        """Each value's label at a level."""
        return {row[0]: row[level] for row in self.rows}

    def labels(self, level: int) -> frozenset[str]:
        """The labels of a level, and the root."""
        return frozenset(row[level] for row in self.rows) | {self.root}


def _bytes(path: Path, name: str) -> bytes:
    content: bytes | None = None
    try:
        content = path.read_bytes()
    except OSError:
        content = None
    if content is None:
        raise ValueError(f"{name}: the file cannot be read")
    return content


def _text(content: bytes, name: str) -> str:
    text: str | None = None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise ValueError(f"{name}: the file is not UTF-8")
    return text


def _rows(text: str) -> Iterator[Row]:
    by_semicolon = any(len(row) > 1 for row in islice(_split(text, ";"), 1))
    for row in _split(text, ";" if by_semicolon else ","):
        yield tuple(cell.strip() for cell in row)


def _split(text: str, delimiter: str) -> Iterator[list[str]]:
    """The lines that are not blank; a quoted cell may hold either delimiter."""
    return filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def _faults(rows: tuple[Row, ...]) -> Iterator[str]:
    """What does not hold together, by the number of the line (blank ones not counted)."""
    if not rows or len(rows[0]) < 2:
        yield "a line is a value and at least one coarser label, separated by `;` or `,`"
        return
    yield from (
        f"line {line} has {len(row)} columns, the first has {len(rows[0])}" for line, row in _other_widths(rows)
    )
    yield from (f"line {line} has an empty label" for line, row in enumerate(rows, 1) if not all(row))
    yield from (
        f"line {line} has another root than the first" for line, row in enumerate(rows, 1) if row[-1] != rows[0][-1]
    )
    yield from _repeated(rows)
    yield from _unnested(rows)
    yield from (
        f"line {line}: an interval does not contain what is below it"
        for line, row in enumerate(rows, 1)
        if _spills(row)
    )


def _other_widths(rows: tuple[Row, ...]) -> Iterator[tuple[int, Row]]:
    return ((line, row) for line, row in enumerate(rows, 1) if len(row) != len(rows[0]))


def _repeated(rows: tuple[Row, ...]) -> Iterator[str]:
    lines: dict[str, int] = {}
    for line, row in enumerate(rows, 1):
        if lines.setdefault(row[0], line) != line:
            yield f"line {line} repeats the value of line {lines[row[0]]}"


def _unnested(rows: tuple[Row, ...]) -> Iterator[str]:
    """A label whose next coarser label differs from line to line."""
    for level in range(1, len(rows[0]) - 1):
        above: dict[str, tuple[str, int]] = {}
        for line, row in enumerate(rows, 1):
            label, first = above.setdefault(row[level], (row[level + 1], line))
            if label != row[level + 1]:
                yield f"line {line}: levels do not nest, the label of column {level + 1} is under another one on line {first}"


_INTERVAL = re.compile(
    r"(?:(?P<a>\d+)\s*[-–]\s*(?P<b>\d+)|\[(?P<low>-?\d+),\s*(?P<high>-?\d+)(?P<end>[\])]))", re.ASCII
)
_OPEN = re.compile(r"(?:(?P<word><=?|>=?|≤|≥)\s*(?P<bound>-?\d+)|(?P<least>-?\d+)\s*\+)", re.ASCII)
_MASKED = re.compile(r"(\d+)\*+", re.ASCII)
Span = tuple[float, float]


def _spills(row: Row) -> bool:
    """Whether a label of whole numbers on this line (an interval, or digits and stars) fails to contain what is finer."""
    spans = [span for span in (_span(label) for label in row) if span is not None]
    outside = any(not (outer[0] <= inner[0] and inner[1] <= outer[1]) for inner, outer in pairwise(spans))
    return outside or any(_is_masked_otherwise(inner, outer) for inner, outer in pairwise(row))


def _is_masked_otherwise(inner: str, outer: str) -> bool:
    """Whether digits followed by stars (`130**`) are other digits than those of the finer label."""
    found = _MASKED.fullmatch(outer)
    return found is not None and inner[:1].isdigit() and not inner.startswith(found[1])


def _span(label: str) -> Span | None:
    """The whole numbers that a label spans, if that is what it says: `20`, `20-29`, `[20, 30)`, `< 20`, `65+`."""
    if re.fullmatch(r"-?\d+", label, re.ASCII):
        return int(label), int(label)
    opened = _OPEN.fullmatch(label)
    if opened is not None:
        return _open_span(opened["word"] or "≥", int(opened["bound"] or opened["least"]))
    found = _INTERVAL.fullmatch(label)
    if found is None:
        return None
    if found["a"]:
        return int(found["a"]), int(found["b"])
    return int(found["low"]), int(found["high"]) - (found["end"] == ")")


def _open_span(word: str, bound: int) -> Span:
    if word.startswith(("<", "≤")):
        return -inf, bound - (word == "<")
    return bound + (word == ">"), inf
