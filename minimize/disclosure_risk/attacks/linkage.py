"""Linkage: how often a person with known quasi-identifiers is matched with the right record."""

from __future__ import annotations

from math import fsum
from typing import ClassVar

import numpy as np

from minimize.disclosure_risk.attacks.base import Attack, AttackedRecords, AttackResult, SuccessRate


class Linkage(Attack):
    """The expected share of data subjects whom an attacker links to their records.

    Measured: the attacker knows that the target is in the release, knows the quasi-identifiers, and picks at random one of the
    data subjects that have them. The success is 1 ÷ their number, so the sum over all records is an exact expectation; nothing is
    drawn. Of a data subject with several combinations, the attacker knows one, each as likely as the others. Withheld data
    subjects count as attempts without success. ("Linkability" of the Article 29 Working Party, Opinion 05/2014, WP216; the
    marketer's risk of El Emam.) There is no control: a person who is not in the release cannot be linked to a record in it.

    Not measured: attackers who do not know whether the target is in the release, who have an outside register that is smaller or
    larger, or who know several records of a target.

    >>> import pyarrow as pa
    >>> Linkage.measure(AttackedRecords(pa.table({"model": ["A", "A", "B", "B"]}), ["model"]))[0].attack.rate
    0.5
    """

    name: ClassVar[str] = "linkage"
    title: ClassVar[str] = "link a known person to their records"

    @classmethod
    def measure(cls, records: AttackedRecords) -> list[AttackResult]:
        """The expected share of links that are right."""
        combinations, persons = records.combinations, records.combinations.persons
        if persons is None:
            successes, attempts = float(len(combinations)), int(combinations.records.sum())
        else:
            chances = 1 / combinations.person_counts[persons.combination]
            totals = np.bincount(persons.person, chances, persons.count)
            successes = fsum(totals / np.maximum(1, np.bincount(persons.person, minlength=persons.count)))
            attempts = persons.count
        return [cls.result(records, SuccessRate(successes, attempts + records.suppressed))]
