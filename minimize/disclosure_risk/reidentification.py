"""The risk that a data subject is identified: by a prosecutor, a journalist and a marketer.

A prosecutor knows that a person is in the data. A journalist knows that a person is in the population from which the data was
taken. A marketer links as many data subjects as possible. With a population, the number of its members with a combination
takes the place of the number in the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.disclosure_risk.combinations import Codes, Combinations, equal_rows
from minimize.disclosure_risk.uniques import subject_sizes
from minimize.errors import ConfigurationError

AT_RISK_ABOVE: Final = 0.2
"""A data subject is at risk if a match is right with a higher probability."""


@dataclass(frozen=True, slots=True)
class ReidentificationRisk:
    """The probability that a match of a data subject is right.

    highest  for the data subject who is easiest to identify; None without records
    average  over all data subjects and their combinations; None without records
    at_risk  the share of data subjects for whom it is above `AT_RISK_ABOVE` in one of their combinations
    """

    highest: float | None
    average: float | None
    at_risk: float | None


def prosecutor_risk(combinations: Combinations) -> ReidentificationRisk:
    """The risk if the attacker knows that a person is in the data.

    >>> from minimize.disclosure_risk.combinations import combinations_of
    >>> prosecutor_risk(combinations_of(pa.table({"model": ["A", "A", "B", "C"]}), ["model"]))
    ReidentificationRisk(highest=1.0, average=0.75, at_risk=1.0)
    """
    return _risk_of(combinations, combinations.person_counts, subject_sizes(combinations))


def journalist_risk(combinations: Combinations, population_sizes: Codes) -> ReidentificationRisk:
    """The risk if the attacker knows that a person is in a population. Takes its members with each combination.

    Its average is the marketer's risk.
    """
    if combinations.persons is None:
        sizes = np.repeat(population_sizes, combinations.records)
    else:
        pairs = combinations.persons
        sizes = np.full(pairs.count, np.iinfo(np.int64).max)
        np.minimum.at(sizes, pairs.person, population_sizes[pairs.combination])
    return _risk_of(combinations, population_sizes, sizes)


def _risk_of(combinations: Combinations, sizes: Codes, smallest_of_subject: Codes) -> ReidentificationRisk:
    if not len(combinations):
        return ReidentificationRisk(None, None, None)
    members = combinations.person_counts
    average = float((members / sizes).sum() / members.sum())
    return ReidentificationRisk(
        highest=1.0 / float(sizes.min()),
        average=average,
        at_risk=float(np.mean(smallest_of_subject * AT_RISK_ABOVE < 1.0)),
    )


def population_sizes(combinations: Combinations, population: Combinations) -> Codes:
    """For each combination of the data, the members of the population with it: at least those of the data.

    The population may have other types: if one of them is text, values are compared as text. Raises ConfigurationError if the
    values of a column cannot be compared.
    """
    places = [
        _codes_in(mine, theirs, name)
        for name, mine, theirs in zip(
            combinations.names, combinations.dictionaries, population.dictionaries, strict=True
        )
    ]
    columns = [place[population.codes[:, number]] for number, place in enumerate(places)]
    is_known = np.all([column >= 0 for column in columns], axis=0)
    rows = [
        np.concatenate([combinations.codes[:, number].astype(np.int64), column[is_known]])
        for number, column in enumerate(columns)
    ]
    count = len(combinations)
    group_of, groups = equal_rows(rows, count + int(np.count_nonzero(is_known)))
    members = np.bincount(group_of[count:], population.person_counts[is_known], groups).astype(np.int64)
    return np.maximum(members[group_of[:count]], combinations.person_counts)


def _codes_in(dictionary: pa.Array, values: pa.Array, name: str) -> npt.NDArray[np.int64]:
    """The code of each value in a dictionary; -1 for a value that it lacks."""
    if dictionary.type != values.type:
        is_text = pa.types.is_string(dictionary.type) or pa.types.is_string(values.type)
        common = pa.string() if is_text else dictionary.type
        try:
            dictionary, values = dictionary.cast(common), values.cast(common)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            common = None
        if common is None:
            message = f"column {name} of the population has another type, and its values cannot be compared"
            raise ConfigurationError(message, hint=f"Convert {name} to the type that it has in the data.")
    return np.asarray(pc.fill_null(pc.index_in(values, value_set=dictionary), -1), np.int64)
