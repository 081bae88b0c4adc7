"""Differences: how many data subjects the comparison of two releases isolates."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
import pyarrow as pa

from minimize.arrow.dictionaries import value_type
from minimize.disclosure_risk.attacks.base import Attack, AttackedRecords, AttackResult, SuccessRate
from minimize.disclosure_risk.combinations import Classes, Codes, Combinations, combinations_of, grouped

_RELEASE_COLUMN: Final = "\0release"
_EARLIER, _LATER = 0, 1


class Differences(Attack):
    """Of those whose records differ between two releases, the share that the comparison isolates.

    Measured: the attacker has both releases and knows that the target joined, left, or changed in between. For each combination
    of quasi-identifiers, the data subjects that only the earlier release has there, and those that only the later one has, are
    differences. If there is one such data subject, the comparison shows which records are the target's, however large the group
    is in each release. If the releases have no data subject in common (or no identifiers), only the numbers of data subjects (or
    records) in each combination are compared: a number that differs by one isolates. Attempts are the data subjects in any
    difference.

    Not measured: differences of a few, differences of sensitive values within a combination, and more than two releases.

    >>> released = pa.table({"model": ["A", "A", "A", "B", "B", "B"], "device": [1, 2, 3, 4, 5, 6]})
    >>> records = AttackedRecords(released.slice(1), ["model"], person="device", earlier=released)
    >>> Differences.measure(records)[0].attack
    SuccessRate(successes=1, attempts=1)
    """

    name: ClassVar[str] = "differences"
    title: ClassVar[str] = "isolate a person by comparing two releases"
    compares_releases: ClassVar[bool] = True

    @classmethod
    def measure(cls, records: AttackedRecords) -> list[AttackResult]:
        """The share of the differences that concern a single data subject."""
        if records.earlier is None:
            return []
        both, names = _both_releases(records, records.earlier)
        combinations = combinations_of(both, [*names, _RELEASE_COLUMN], person=records.person)
        maps = [np.arange(len(dictionary), dtype=np.int32) for dictionary in combinations.dictionaries[:-1]]
        classes = grouped(combinations, [*maps, None])
        releases = np.asarray(combinations.dictionaries[-1].to_numpy(zero_copy_only=False), np.int64)
        release_of = releases[combinations.codes[:, -1]]
        rate = _rate_of_persons(combinations, classes, release_of) or _rate_of_counts(combinations, classes, release_of)
        return [cls.result(records, rate)]


def _both_releases(records: AttackedRecords, earlier: pa.Table) -> tuple[pa.Table, list[str]]:
    """The records of both releases, and the quasi-identifiers that both have. Columns of different types are compared as text."""
    names = [name for name in records.quasi_identifiers if name in earlier.column_names]
    columns: dict[str, pa.ChunkedArray] = {}
    for name in [*names, *([] if records.person is None else [records.person])]:
        parts = [each.column(name).cast(value_type(each.column(name).type)) for each in (earlier, records.table)]
        if parts[0].type != parts[1].type:
            parts = [each.cast(pa.string()) for each in parts]
        columns[name] = pa.chunked_array([chunk for each in parts for chunk in each.chunks], parts[0].type)
    sizes = (earlier.num_rows, records.table.num_rows)
    columns[_RELEASE_COLUMN] = pa.chunked_array([np.repeat(np.array([_EARLIER, _LATER]), sizes)])
    return pa.table(columns), names


def _rate_of_persons(combinations: Combinations, classes: Classes, release_of: Codes) -> SuccessRate | None:
    """The rate by the data subjects of each difference; None if the releases have none in common."""
    persons = combinations.persons
    if persons is None:
        return None
    person_classes, releases = classes.class_of[persons.combination], release_of[persons.combination]
    earlier, later = (np.unique(persons.person[releases == side]) for side in (_EARLIER, _LATER))
    if len(earlier) and len(later) and not len(np.intersect1d(earlier, later, assume_unique=True)):
        return None
    pair_keys = person_classes * max(1, persons.count) + persons.person
    _, places, sizes = np.unique(pair_keys, return_inverse=True, return_counts=True)
    differs = sizes[places] == 1
    groups = person_classes[differs] * 2 + releases[differs]
    is_alone = np.bincount(groups, minlength=2 * len(classes))[groups] == 1
    differing = persons.person[differs]
    return SuccessRate(len(np.unique(differing[is_alone])), len(np.unique(differing)))


def _rate_of_counts(combinations: Combinations, classes: Classes, release_of: Codes) -> SuccessRate:
    """The rate by the number of data subjects, or of records, of each combination in each release."""
    counts = [
        np.bincount(classes.class_of, combinations.person_counts * (release_of == side), len(classes))
        for side in (_EARLIER, _LATER)
    ]
    differences = np.abs(counts[0] - counts[1])
    return SuccessRate(int((differences == 1).sum()), int(differences.sum()))
