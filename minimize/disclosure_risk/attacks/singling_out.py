"""Singling out: how often a few known attributes of a target fit nobody else in the release."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from itertools import combinations as subsets
from typing import ClassVar, Final

import numpy as np

from minimize.disclosure_risk.attacks.base import Attack, AttackedRecords, AttackResult, SuccessRate
from minimize.disclosure_risk.combinations import Combinations, grouped

KNOWN_ATTRIBUTES: Final = 3
"""The number of quasi-identifiers that the attacker knows; all of them if the release has fewer."""
MOST_SETS: Final = 120
"""The number of sets of attributes that are tried at most."""


class SinglingOut(Attack):
    """The expected share of data subjects whom three of their quasi-identifiers isolate.

    Measured: the attacker states three attributes of a target, such as model, carrier and month of enrolment, and isolates the
    target if no other data subject in the release has all three ("the possibility to isolate some or all records which identify
    an individual in the dataset", Article 29 Working Party, Opinion 05/2014, WP216; predicates of three attributes are those of
    Anonymeter, Giomi et al. 2022). The rate is the mean over all sets of three attributes, computed and not drawn; of more than
    120 sets, those with the smallest digests of their names. A data subject with several combinations is isolated if one of them
    is unique. There is no control: a release without the target cannot isolate the target.

    Not measured: attackers who know all quasi-identifiers (the share of unique combinations, which is higher, and their linkage),
    or several records of a target; and whether the attributes are known outside.

    >>> import pyarrow as pa
    >>> records = AttackedRecords(pa.table({"model": ["A", "A", "B"]}), ["model"])
    >>> SinglingOut.measure(records)[0].attack.successes
    1.0
    """

    name: ClassVar[str] = "singling_out"
    title: ClassVar[str] = "isolate one data subject by a few attributes"

    @classmethod
    def measure(cls, records: AttackedRecords) -> list[AttackResult]:
        """The share of data subjects with a unique combination of a few attributes."""
        combinations = records.combinations
        attribute_sets = _sets_of_attributes(records.quasi_identifiers)
        isolated = [_isolated_count(combinations, known) for known in attribute_sets]
        persons = combinations.persons
        attempts = int(combinations.records.sum()) if persons is None else persons.count
        return [cls.result(records, SuccessRate(sum(isolated) / len(isolated), attempts + records.suppressed))]


def _sets_of_attributes(names: Sequence[str]) -> list[tuple[int, ...]]:
    """The positions of the attributes of each set that is tried."""
    attribute_sets = list(subsets(range(len(names)), min(KNOWN_ATTRIBUTES, len(names))))
    digests = {
        known: blake2b("\0".join(names[place] for place in known).encode()).digest()
        for known in (attribute_sets if len(attribute_sets) > MOST_SETS else ())
    }
    return sorted(attribute_sets, key=lambda known: digests.get(known, b""))[:MOST_SETS]


def _isolated_count(combinations: Combinations, attributes: Sequence[int]) -> int:
    """The number of data subjects who have a combination of some attributes that nobody else has."""
    sizes = [len(dictionary) for dictionary in combinations.dictionaries]
    classes = grouped(
        combinations,
        [np.arange(size, dtype=np.int32) if place in attributes else None for place, size in enumerate(sizes)],
    )
    is_unique = classes.person_counts == 1
    if combinations.persons is None:
        return int(is_unique.sum())
    persons = combinations.persons
    return len(np.unique(persons.person[is_unique[classes.class_of[persons.combination]]]))
