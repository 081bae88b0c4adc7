"""Inference: how often the most frequent sensitive value of a combination is the target's, next to people who are held out."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from math import fsum
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.arrow.dictionaries import value_type
from minimize.disclosure_risk.attacks.base import Attack, AttackedRecords, AttackResult, SuccessRate
from minimize.disclosure_risk.combinations import Codes, Combinations, combinations_of, grouped

PARTS: Final = 10
"""The number of parts into which data subjects are divided. Each part is held out once."""
_LABEL: Final = b"minimize disclosure risk: held-out people"
_PART_COLUMN: Final = "\0part"
_MIX: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


class Inference(Attack):
    """The share of data subjects whose sensitive value an attacker guesses from their quasi-identifiers.

    Measured: the guess is the value that most data subjects with the target's quasi-identifiers have in the release; of several
    such values, the one that is more frequent in the whole release. The control attacks people who are held out: data subjects
    are divided into ten parts by a digest of their identifier, and each is attacked with the records of the other nine parts. If
    none of these has the target's quasi-identifiers, the guess is the most frequent value of all. The control succeeds through
    what the data say about people in general; the risk is what the target's own record adds (Article 29 Working Party, Opinion
    05/2014, WP216, "inference"; the idea of the control is from Anonymeter, Giomi et al. 2022, who hold out one part). Without
    identifiers, each record is held out on its own. A data subject with several values counts once, by the share that is guessed.

    Not measured: attackers with better models than the most frequent value, guesses that are close to a number, and the harm that
    a general pattern does to people who fit it.

    >>> records = pa.table({"model": ["A", "A", "B", "B"], "state": ["x", "x", "x", "y"]})
    >>> Inference.measure(AttackedRecords(records, ["model"], ["state"]))[0].attack.rate
    0.75
    """

    name: ClassVar[str] = "inference"
    title: ClassVar[str] = "guess a sensitive value"
    needs_sensitive: ClassVar[bool] = True

    @classmethod
    def measure(cls, records: AttackedRecords) -> list[AttackResult]:
        """The attack on each sensitive attribute, with its control."""
        targets = _targets_of_records(records) if records.person is None else _targets_of_persons(records)
        return [
            cls.result(records, each.rate(each.attack(), records.suppressed), each.rate(each.control(), 0), name)
            for name, each in zip(records.sensitive, targets, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class _Targets:
    """The distinct triples of a class, a sensitive value and a data subject, with the part of the data subject."""

    classes: Codes
    values: Codes
    parts: Codes
    persons: Codes
    class_count: int
    value_count: int

    def attack(self) -> npt.NDArray[np.bool_]:
        """Whether each value is guessed from all records."""
        everyone = np.ones(len(self.values), np.bool_)
        return np.equal(self._guesses(everyone)[self.classes], self.values)

    def control(self) -> npt.NDArray[np.bool_]:
        """Whether each value is guessed from the records of the other parts."""
        is_guessed = np.zeros(len(self.values), np.bool_)
        for part in range(PARTS):
            is_held_out = self.parts == part
            if is_held_out.any():
                guesses = self._guesses(~is_held_out)
                is_guessed[is_held_out] = guesses[self.classes[is_held_out]] == self.values[is_held_out]
        return is_guessed

    def rate(self, is_guessed: npt.NDArray[np.bool_], suppressed: int) -> SuccessRate:
        """The rate over data subjects."""
        _, persons, sizes = np.unique(self.persons, return_inverse=True, return_counts=True)
        return SuccessRate(fsum(np.bincount(persons, is_guessed, len(sizes)) / sizes), len(sizes) + suppressed)

    def _guesses(self, is_known: npt.NDArray[np.bool_]) -> Codes:
        """The guess for each class from the known triples; -1 if none is known."""
        frequencies = np.bincount(self.values[is_known], minlength=self.value_count)
        by_rank = np.argsort(-frequencies, kind="stable")
        ranks = np.empty(self.value_count, np.int64)
        ranks[by_rank] = np.arange(self.value_count)
        keys, counts = np.unique(
            self.classes[is_known] * self.value_count + ranks[self.values[is_known]], return_counts=True
        )
        classes, value_ranks = keys // self.value_count, keys % self.value_count
        order = np.lexsort((value_ranks, -counts, classes))
        first = order[np.unique(classes[order], return_index=True)[1]]
        guesses = np.full(self.class_count, by_rank[0] if is_known.any() else -1, np.int64)
        guesses[classes[first]] = by_rank[value_ranks[first]]
        return guesses


def _targets_of_persons(records: AttackedRecords) -> list[_Targets]:
    person = str(records.person)
    table = records.table.append_column(_PART_COLUMN, _parts_of_persons(records.table.column(person)))
    names = [*records.quasi_identifiers, _PART_COLUMN]
    combinations = combinations_of(table, names, records.sensitive, person)
    maps = [np.arange(len(dictionary), dtype=np.int32) for dictionary in combinations.dictionaries[:-1]]
    classes = grouped(combinations, [*maps, None])
    part_values = np.asarray(combinations.dictionaries[-1].to_numpy(zero_copy_only=False), np.int64)
    parts = part_values[combinations.codes[:, -1]]
    return [
        _Targets(
            classes=classes.class_of[pairs.combination],
            values=pairs.value.astype(np.int64),
            parts=parts[pairs.combination],
            persons=pairs.person,
            class_count=len(classes),
            value_count=max(1, len(counts.dictionary)),
        )
        for counts, pairs in zip(combinations.sensitive, combinations.sensitive_pairs, strict=True)
    ]


def _parts_of_persons(persons: pa.ChunkedArray) -> pa.Array:
    """The part of each record's data subject, by a digest of the identifier."""
    values = persons.cast(value_type(persons.type)).combine_chunks()
    encoded = values.dictionary_encode(null_encoding="encode")
    parts = [_part_of_person(value.as_py()) for value in encoded.dictionary]
    return pa.array(parts, pa.int64()).take(encoded.indices)


def _part_of_person(person: object) -> int:
    content = person if isinstance(person, bytes) else str(person).encode()
    return int.from_bytes(blake2b(content, key=_LABEL, digest_size=8).digest()) % PARTS


def _targets_of_records(records: AttackedRecords) -> list[_Targets]:
    """Each record as a data subject. Equal records are numbered, so that parts do not depend on the order of records."""
    combinations = combinations_of(records.table, records.quasi_identifiers, records.sensitive)
    return [_numbered_targets(combinations, place) for place in range(len(records.sensitive))]


def _numbered_targets(combinations: Combinations, place: int) -> _Targets:
    counts = combinations.sensitive[place]
    numbers = np.arange(int(counts.count.sum()), dtype=np.int64)
    return _Targets(
        classes=np.repeat(counts.combination, counts.count),
        values=np.repeat(counts.value.astype(np.int64), counts.count),
        parts=_parts_of_numbers(numbers),
        persons=numbers,
        class_count=len(combinations),
        value_count=max(1, len(counts.dictionary)),
    )


def _parts_of_numbers(numbers: Codes) -> Codes:
    """The part of each number, by the mixing function SplitMix64."""
    words = (numbers.astype(np.uint64) + np.uint64(1)) * _MIX[0]
    words = (words ^ (words >> np.uint64(30))) * _MIX[1]
    words = (words ^ (words >> np.uint64(27))) * _MIX[2]
    return ((words ^ (words >> np.uint64(31))) % np.uint64(PARTS)).astype(np.int64)
