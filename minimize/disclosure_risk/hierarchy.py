"""Hierarchies of quasi-identifiers: ever coarser codes of the values of one attribute, up to one root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.errors import ConfigurationError

HIERARCHY_CODE: Final = "E240"
LevelCodes = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Levels of an attribute's values, from the finest (0) to the coarsest. A level's code stands for a set of leaves."""

    name: str
    levels: tuple[LevelCodes, ...] = field(repr=False)
    """By level the code of each value of the attribute's dictionary."""
    leaves: tuple[npt.NDArray[np.int64], ...] = field(repr=False)
    """By level the number of leaves of the domain that each code covers."""
    labels: tuple[pa.Array, ...] = field(repr=False)
    """By level the value that each code is released as. The root is null."""
    size: int
    """The number of leaves of the domain."""

    @property
    def root(self) -> int:
        """The coarsest level."""
        return len(self.levels) - 1

    @classmethod
    def fixed(cls, name: str, dictionary: pa.Array) -> Hierarchy:
        """The hierarchy of an attribute that stays as it is."""
        codes = np.arange(len(dictionary), dtype=np.int32)
        return cls(name, (codes,), (np.ones(len(codes), np.int64),), (dictionary,), max(1, len(codes)))

    @classmethod
    def of_forms(cls, name: str, dictionary: pa.Array, forms: Sequence[pa.Array]) -> Hierarchy:
        """The hierarchy of ever coarser forms of the values, with a root above them.

        Args:
            name: The attribute.
            dictionary: The values at the finest level. A null stays a value of its own below the root.
            forms: For each coarser level the form of each value.

        Raises:
            ConfigurationError: Two values with the same form have different coarser ones.
        """
        levels = [np.arange(len(dictionary), dtype=np.int32)]
        labels = [dictionary]
        for form in forms:
            plain = form.dictionary_decode() if pa.types.is_dictionary(form.type) else form
            encoded = plain.dictionary_encode(null_encoding="encode")
            codes = np.asarray(encoded.indices, np.int32)
            if not _is_nested(levels[-1], codes):
                raise ConfigurationError(
                    f"the levels of {name} are not nested: two values are equal at a level and differ at a coarser one",
                    code=HIERARCHY_CODE,
                    hint="Make each step a multiple of the step before.",
                )
            levels.append(codes)
            labels.append(encoded.dictionary)
        leaves = [_count_leaves(codes, len(label)) for codes, label in zip(levels, labels, strict=True)]
        return cls._with_root(name, levels, leaves, labels, max(1, len(dictionary)))

    @classmethod
    def of_table(cls, name: str, dictionary: pa.Array, rows: Sequence[Sequence[str]]) -> Hierarchy:
        """The hierarchy of a file: a value per line, then its labels from fine to coarse, the last of which all lines share.

        The domain is the leaves of the file, not the values of the data. A value that the file lacks is the root at every level,
        and so is null, because the root is released as null.

        Raises:
            ConfigurationError: A leaf occurs twice, lines have different lengths, there are several roots, or labels of one level
                belong to several labels of the next.
        """
        fault = _table_fault(rows)
        if fault:
            raise ConfigurationError(f"the hierarchy of {name} {fault}", code=HIERARCHY_CODE, hint="Correct the file.")
        depth = len(rows[0])
        row_of = {row[0]: place for place, row in enumerate(rows)}
        values = dictionary.cast(pa.string()).to_pylist()
        places = np.array([row_of.get(value, -1) for value in values], np.int64)
        levels, leaves, labels = [], [], []
        for level in range(depth - 1):
            words = pa.array([row[level] for row in rows], pa.string()).dictionary_encode()
            known = np.asarray(words.indices, np.int32)
            count = len(words.dictionary)
            codes = np.where(places >= 0, known[np.maximum(places, 0)], count)
            levels.append(codes.astype(np.int32))
            leaves.append(np.append(_count_leaves(known, count), len(rows)))
            labels.append(pa.concat_arrays([words.dictionary, pa.nulls(1, pa.string())]))
        return cls._with_root(name, levels, leaves, labels, len(rows))

    @classmethod
    def _with_root(
        cls,
        name: str,
        levels: Sequence[LevelCodes],
        leaves: Sequence[npt.NDArray[np.int64]],
        labels: Sequence[pa.Array],
        size: int,
    ) -> Hierarchy:
        root = np.zeros(len(levels[0]), np.int32)
        return cls(
            name,
            (*levels, root),
            (*leaves, np.array([size], np.int64)),
            (*labels, pa.nulls(1, labels[0].type)),
            size,
        )


def _count_leaves(codes: LevelCodes, count: int) -> npt.NDArray[np.int64]:
    return np.bincount(codes, minlength=count).astype(np.int64)


def _is_nested(finer: LevelCodes, coarser: LevelCodes) -> bool:
    """Whether values with equal finer codes have equal coarser codes."""
    if not len(finer):
        return True
    first = np.zeros(int(finer.max()) + 1, np.int64)
    first[finer] = coarser
    return bool((first[finer] == coarser).all())


def _table_fault(rows: Sequence[Sequence[str]]) -> str:
    """What is wrong with the lines of a hierarchy, in words that contain no value; empty if nothing is."""
    if not rows or len(rows[0]) < 2:
        return "needs a value and at least one label per line"
    if len({len(row) for row in rows}) > 1:
        return "has lines of different lengths"
    if len({row[0] for row in rows}) < len(rows):
        return "has a leaf twice"
    if len({row[-1] for row in rows}) > 1:
        return "has more than one root"
    for level in range(1, len(rows[0]) - 1):
        parents: dict[str, str] = {}
        if any(parents.setdefault(row[level], row[level + 1]) != row[level + 1] for row in rows):
            return f"is not nested: a label of level {level} belongs to two labels of level {level + 1}"
    return ""
