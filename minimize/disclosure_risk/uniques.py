"""Data subjects who are alone with a combination or with a trail, and which attribute makes them so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Codes, Combinations, equal_rows


def subject_sizes(combinations: Combinations) -> Codes:
    """For each data subject, the number of data subjects who share the rarest of its combinations, itself included.

    >>> import pyarrow as pa
    >>> from minimize.disclosure_risk.combinations import combinations_of
    >>> table = pa.table({"model": ["A", "A", "B"], "device": [1, 2, 2]})
    >>> sorted(subject_sizes(combinations_of(table, ["model"], person="device")).tolist())
    [1, 2]
    """
    if combinations.persons is None:
        return np.repeat(combinations.records, combinations.records)
    pairs = combinations.persons
    sizes = np.full(pairs.count, np.iinfo(np.int64).max)
    np.minimum.at(sizes, pairs.person, combinations.person_counts[pairs.combination])
    return sizes


def unique_without(combinations: Combinations) -> Mapping[str, int]:
    """For each attribute, how many data subjects stay alone with a combination if the attribute is left out.

    Only combinations of a single data subject can make a unique class, so no pair of a class and a person is sorted.
    """
    owner = _single_owners(combinations)
    columns = [combinations.codes[:, place].astype(np.int64) for place in range(len(combinations.names))]
    return {
        name: _unique_subjects(owner, *equal_rows([*columns[:place], *columns[place + 1 :]], len(combinations)))
        for place, name in enumerate(combinations.names)
    }


def _single_owners(combinations: Combinations) -> Codes:
    """The data subject of each combination that has a single one; -1 for other combinations."""
    if combinations.persons is None:
        return np.where(combinations.records == 1, np.arange(len(combinations)), -1)
    pairs = combinations.persons
    first = np.searchsorted(pairs.combination, np.arange(len(combinations)))
    return np.where(combinations.person_counts == 1, pairs.person[first], -1)


def _unique_subjects(owner: Codes, class_of: Codes, count: int) -> int:
    """The data subjects with a class in which every combination is theirs."""
    first = np.zeros(count, np.int64)
    first[class_of] = owner
    is_shared = np.zeros(count, np.bool_)
    is_shared[class_of[(owner < 0) | (owner != first[class_of])]] = True
    return len(np.unique(first[~is_shared]))


@dataclass(frozen=True, slots=True)
class TrailCounts:
    """The trails of data subjects: all combinations of a data subject as one value.

    count   the number of different trails
    unique  the data subjects whose trail nobody else has
    k       the data subjects who share the rarest trail; None without data subjects
    """

    count: int
    unique: int
    k: int | None


def count_trails(combinations: Combinations) -> TrailCounts | None:
    """The trails; None if each record is a data subject of its own, so that a trail is a combination.

    Trails of equal length are compared as rows of bytes.
    """
    pairs = combinations.persons
    if pairs is None:
        return None
    ordered = pairs.combination[np.lexsort((pairs.combination, pairs.person))]
    lengths = np.bincount(pairs.person, minlength=pairs.count)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]) if len(lengths) else lengths
    sizes: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
    for length in np.unique(lengths[lengths > 0]).tolist():
        rows = ordered[starts[lengths == length][:, None] + np.arange(length)]
        trails = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * length))).ravel()
        sizes.append(np.unique(trails, return_counts=True)[1].astype(np.int64))
    counts = np.concatenate(sizes)
    return TrailCounts(len(counts), int(np.count_nonzero(counts == 1)), int(counts.min()) if len(counts) else None)
