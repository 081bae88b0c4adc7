"""`generalize`: a coarser label from a hierarchy file.

A hierarchy file is a CSV (`;` or `,`) without header. Each line contains a value and its labels from fine to coarse.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from math import inf
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import pyarrow as pa
from pydantic import Field, PrivateAttr, ValidationInfo, model_validator

from minimize.techniques.base import (
    Context,
    Family,
    ReferenceFile,
    Residual,
    Technique,
    TechniqueResult,
    TechniqueStep,
    apply_per_distinct,
)
from minimize.techniques.chosen_level import Auto, ChosenLevel
from minimize.techniques.parameters import HIGHER_TIGHTENS, UNORDERED

HierarchyRow = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HierarchyFile:
    """The lines of a consistent hierarchy, and the bytes of its file."""

    rows: tuple[HierarchyRow, ...] = field(repr=False)
    content: bytes = field(repr=False)

    @classmethod
    def load(cls, path: Path, name: str) -> HierarchyFile:
        """Reads and checks a file; `name` is its name in messages. Raises ValueError with a line number, never a value."""
        content = _read_bytes(path, name)
        rows = tuple(_parse_rows(_decode_utf8(content, name)))
        fault = next(_hierarchy_faults(rows), None)
        if fault is not None:
            raise ValueError(f"{name}: {fault}")
        return cls(rows, content)

    @property
    def levels(self) -> int:
        """The number of columns; the last one is the root."""
        return len(self.rows[0])

    @property
    def root(self) -> str:
        """The label that covers all values."""
        return self.rows[0][-1]

    @property
    def digest(self) -> str:
        """`sha256:` of the file's bytes."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    def labels_by_value(self, level: int) -> dict[str, str]:
        """Each value's label at a level."""
        return {row[0]: row[level] for row in self.rows}

    def labels(self, level: int) -> frozenset[str]:
        """The labels of a level, and the root."""
        return frozenset(row[level] for row in self.rows) | {self.root}


def _read_bytes(path: Path, name: str) -> bytes:
    content: bytes | None = None
    try:
        content = path.read_bytes()
    except OSError:
        content = None
    if content is None:
        raise ValueError(f"{name}: the file cannot be read")
    return content


def _decode_utf8(content: bytes, name: str) -> str:
    text: str | None = None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise ValueError(f"{name}: the file is not UTF-8")
    return text


def _parse_rows(text: str) -> Iterator[HierarchyRow]:
    by_semicolon = any(len(row) > 1 for row in islice(_split_lines(text, ";"), 1))
    for row in _split_lines(text, ";" if by_semicolon else ","):
        yield tuple(cell.strip() for cell in row)


def _split_lines(text: str, delimiter: str) -> Iterator[list[str]]:
    """The lines that are not blank; a quoted cell may hold either delimiter."""
    return filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def _hierarchy_faults(rows: tuple[HierarchyRow, ...]) -> Iterator[str]:
    """Inconsistencies of a hierarchy, by line number (blank lines not counted)."""
    if not rows or len(rows[0]) < 2:
        yield "each line must contain a value and at least one coarser label, separated by `;` or `,`"
        return
    yield from (
        f"line {line} has {len(row)} columns, but line 1 has {len(rows[0])}" for line, row in _rows_of_other_width(rows)
    )
    yield from (f"line {line} has an empty label" for line, row in enumerate(rows, 1) if not all(row))
    yield from (
        f"line {line} has another root than line 1" for line, row in enumerate(rows, 1) if row[-1] != rows[0][-1]
    )
    yield from _repeated_values(rows)
    yield from _nesting_faults(rows)
    yield from (
        f"line {line}: an interval does not contain the finer label before it"
        for line, row in enumerate(rows, 1)
        if _has_wrong_interval(row)
    )


def _rows_of_other_width(rows: tuple[HierarchyRow, ...]) -> Iterator[tuple[int, HierarchyRow]]:
    return ((line, row) for line, row in enumerate(rows, 1) if len(row) != len(rows[0]))


def _repeated_values(rows: tuple[HierarchyRow, ...]) -> Iterator[str]:
    lines: dict[str, int] = {}
    for line, row in enumerate(rows, 1):
        if lines.setdefault(row[0], line) != line:
            yield f"line {line} repeats the value of line {lines[row[0]]}"


def _nesting_faults(rows: tuple[HierarchyRow, ...]) -> Iterator[str]:
    """A label whose next coarser label differs from line to line."""
    for level in range(1, len(rows[0]) - 1):
        above: dict[str, tuple[str, int]] = {}
        for line, row in enumerate(rows, 1):
            label, first = above.setdefault(row[level], (row[level + 1], line))
            if label != row[level + 1]:
                yield f"line {line}: levels do not nest: the label of column {level + 1} has another parent on line {first}"


_INTERVAL = re.compile(
    r"(?:(?P<a>\d+)\s*[-–]\s*(?P<b>\d+)|\[(?P<low>-?\d+),\s*(?P<high>-?\d+)(?P<end>[\])]))", re.ASCII
)
_OPEN_INTERVAL = re.compile(r"(?:(?P<word><=?|>=?|≤|≥)\s*(?P<bound>-?\d+)|(?P<least>-?\d+)\s*\+)", re.ASCII)
_MASKED_DIGITS = re.compile(r"(\d+)\*+", re.ASCII)
NumberSpan = tuple[float, float]


def _has_wrong_interval(row: HierarchyRow) -> bool:
    """Whether a label of whole numbers on this line (an interval, or digits and stars) does not contain the finer label before
    it."""
    spans = [span for span in (_label_span(label) for label in row) if span is not None]
    outside = any(not (outer[0] <= inner[0] and inner[1] <= outer[1]) for inner, outer in pairwise(spans))
    return outside or any(_is_masked_differently(inner, outer) for inner, outer in pairwise(row))


def _is_masked_differently(inner: str, outer: str) -> bool:
    """Whether digits followed by stars (`130**`) are other digits than those of the finer label."""
    masked = _MASKED_DIGITS.fullmatch(outer)
    return masked is not None and inner[:1].isdigit() and not inner.startswith(masked[1])


def _label_span(label: str) -> NumberSpan | None:
    """The whole numbers that a label spans, if it is in one of these forms: `20`, `20-29`, `[20, 30)`, `< 20`, `65+`."""
    if re.fullmatch(r"-?\d+", label, re.ASCII):
        return int(label), int(label)
    opened = _OPEN_INTERVAL.fullmatch(label)
    if opened is not None:
        return _open_span(opened["word"] or "≥", int(opened["bound"] or opened["least"]))
    interval = _INTERVAL.fullmatch(label)
    if interval is None:
        return None
    if interval["a"]:
        return int(interval["a"]), int(interval["b"])
    return int(interval["low"]), int(interval["high"]) - (interval["end"] == ")")


def _open_span(word: str, bound: int) -> NumberSpan:
    if word.startswith(("<", "≤")):
        return -inf, bound - (word == "<")
    return bound + (word == ">"), inf


class ChosenHierarchyLevel(ChosenLevel):
    """A label from a hierarchy file, at a level that a search chooses: from the value itself up to the root, which is null.

    A value that the file does not list cannot be treated.
    """

    name: ClassVar[str] = "generalize"
    takes: ClassVar[tuple[Family, ...]] = ("string", "integer")
    result_type: ClassVar[pa.DataType | None] = pa.string()
    residual: ClassVar[Residual] = "original"
    source: ClassVar[str] = "Sweeney 2002"
    about: ClassVar[str] = "a label from a hierarchy file, as coarse as a bound on disclosure risk needs it"

    hierarchy: Annotated[str, UNORDERED] = Field(min_length=1)
    level: Auto
    _file: Path = PrivateAttr()
    _read: HierarchyFile = PrivateAttr()

    @model_validator(mode="after")
    def _load(self, info: ValidationInfo) -> Self:
        folder = Path((info.context or {}).get("folder") or ".")
        self._file = folder / self.hierarchy
        self._read = HierarchyFile.load(self._file, self.hierarchy)
        return self

    @property
    def reference_file(self) -> ReferenceFile:
        """The hierarchy."""
        return ReferenceFile(self.hierarchy, self._file, self._read.digest)

    @property
    def leaf_rows(self) -> Sequence[Sequence[str]]:
        """The lines of the file."""
        return self._read.rows

    def parameters(self) -> dict[str, Any]:
        """The hierarchy by its content."""
        return {"hierarchy": self._read.digest, "level": self.level}

    def levels(self) -> Sequence[Technique]:
        """The value, and each column of the file but the last."""
        steps = range(self._read.levels - 1)
        words = [{row[max(0, step - 1)]: row[step] for row in self._read.rows} for step in steps]
        return [ListedLabel(words=by_finer) for by_finer in words]

    def pinned(self, level: int) -> Sequence[Mapping[str, Any] | str]:
        """The label of a level, or the value itself."""
        return [{self.name: {"hierarchy": self.hierarchy, "level": level}}] if level else ["keep"]

    def phrase(self) -> str:
        """That the level is not fixed."""
        return "a group from a fixed list of groups: a search chooses how broad"


class ListedLabel(Technique):
    """A label for each listed value; other values cannot be treated. No policy names it."""

    name: ClassVar[str] = "generalize"
    takes: ClassVar[tuple[Family, ...]] = ("string", "integer")
    result_type: ClassVar[pa.DataType | None] = pa.string()
    source: ClassVar[str] = "Sweeney 2002"
    about: ClassVar[str] = "a label from a list"

    words: Mapping[str, str] = Field(repr=False)

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The labels."""
        return apply_per_distinct(values, lambda value: self.words.get(str(value)), pa.string())


class Generalize(Technique):
    """A coarser label for each value, from a hierarchy file: a CSV with the value first and coarser labels after it.

    Takes text and integer (written in decimal), gives text. The file is checked when the policy is read: levels nest, there
    is one root, and an interval contains its values. `level` must be one of its columns, but not 0, the value itself. A
    value that the file does not list becomes the root. Null stays null. The residual is coarse: the level.
    Raises ValidationError for a file that cannot be read or is inconsistent.
    Source: Sweeney, IJUFKS 10 (2002), generalization hierarchies.

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "models.csv").write_text("Nexus 5X;Nexus;*\\nPixel 2;Pixel;*\\n")
    ...     models = Generalize.model_validate({"hierarchy": "models.csv", "level": 1}, context={"folder": folder})
    >>> models.apply(pa.array(["Nexus 5X", "iPhone"]), Context("f", datetime.now(UTC))).values.to_pylist()
    ['Nexus', '*']
    """

    name: ClassVar[str] = "generalize"
    takes: ClassVar[tuple[Family, ...]] = ("string", "integer")
    result_type: ClassVar[pa.DataType | None] = pa.string()
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = False
    source: ClassVar[str] = "Sweeney 2002"
    chosen_form: ClassVar[type[TechniqueStep] | None] = ChosenHierarchyLevel
    about: ClassVar[str] = "a coarser label from a hierarchy file; an unlisted value becomes the root"

    hierarchy: Annotated[str, UNORDERED] = Field(min_length=1)
    level: Annotated[int, HIGHER_TIGHTENS] = Field(ge=1)
    _file: Path = PrivateAttr()
    _read: HierarchyFile = PrivateAttr()
    _words: Mapping[str, str] = PrivateAttr()

    @model_validator(mode="after")
    def _load(self, info: ValidationInfo) -> Self:
        folder = Path((info.context or {}).get("folder") or ".")
        self._file = folder / self.hierarchy
        self._read = HierarchyFile.load(self._file, self.hierarchy)
        if self.level >= self._read.levels:
            raise ValueError(
                f"level {self.level} does not exist in {self.hierarchy}; its last level is {self._read.levels - 1}"
            )
        self._words = self._read.labels_by_value(self.level)
        return self

    @property
    def reference_file(self) -> ReferenceFile:
        """The hierarchy."""
        return ReferenceFile(self.hierarchy, self._file, self._read.digest)

    def parameters(self) -> dict[str, Any]:
        """The hierarchy by its content, and the level."""
        return {"hierarchy": self._read.digest, "level": self.level}

    def phrase(self) -> str:
        """The level."""
        return f"only a broader group: level {self.level} of a fixed list of groups"

    @property
    def content(self) -> bytes:
        """The checked bytes of the file."""
        return self._read.content

    def labels(self, level: int | None = None) -> frozenset[str]:
        """The labels of a level (default: its own), and the root: the values that a released column may contain."""
        return self._read.labels(self.level if level is None else level)

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The labels."""
        return apply_per_distinct(values, self._label, pa.string(), context.results_of(self))

    def _label(self, value: Any) -> str:
        return self._words.get(str(value), self._read.root)
