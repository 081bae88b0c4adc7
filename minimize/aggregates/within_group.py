"""Figures of one group that give a few subjects away together, and which of them become null.

A histogram with cells that are not shown, and the mean of the same field: their difference is the hidden cells' mean. Two shares
of one field, one of whose values are among the other's, or which have none in common: their difference is a third share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
import numpy.typing as npt

from minimize.aggregates.base import Codes, MeasureTally
from minimize.aggregates.definition import Definition, Measured
from minimize.aggregates.histogram import HistogramTally
from minimize.aggregates.share import Share, ShareTally

Mask = npt.NDArray[np.bool_]
_ANY_HIDDEN = ("share",)
"""Measures that split the hidden cells: each part would have to be large enough by itself."""
_ALL_HIDDEN = ("sum", "mean", "quantile", "count_distinct")
"""Measures over all values, hidden ones included."""


def third_shares(definition: Definition) -> Iterator[Measured]:
    """Shares that are tallied though they are not published: what two published shares of a field leave of each other."""
    for one, other in _share_pairs(definition):
        yield _third(one, other)


def few_within(
    definition: Definition, tallies: Mapping[Measured, MeasureTally], groups: Codes
) -> Iterator[tuple[Measured, Mask]]:
    """Measures that become null in some of these groups, each with a mask over the groups."""
    below = max(definition.below, 1)
    for one, other in _share_pairs(definition):
        shared = tallies[_third(one, other)]
        assert isinstance(shared, ShareTally)
        having, others = shared.subjects(groups)
        few = having if _is_nested(one, other) else others
        yield _larger(one, other), (few > 0) & (few < below)
    for histogram in definition.measures.values():
        tally = tallies.get(histogram)
        if isinstance(tally, HistogramTally):
            hidden = tally.hidden_subjects(groups)
            for each in definition.measures.values():
                if each.measure.of == histogram.measure.of and each.measure.name in (*_ANY_HIDDEN, *_ALL_HIDDEN):
                    yield each, (hidden > 0) & ((hidden < below) | (each.measure.name in _ANY_HIDDEN))


def _share_pairs(definition: Definition) -> Iterator[tuple[Measured, Measured]]:
    """Published shares of one field of which one's values are among the other's, or which have none in common."""
    shares = [each for each in dict.fromkeys(definition.measures.values()) if isinstance(each.measure, Share)]
    for one, other in combinations(shares, 2):
        if one.measure.of == other.measure.of:
            nested, mine, theirs = _is_nested(one, other), _values(one), _values(other)
            if mine != theirs and (nested or not mine & theirs):
                yield one, other


def _third(one: Measured, other: Measured) -> Measured:
    """Nested: the values that only one has. Otherwise those of both, of which the complement is looked at."""
    values = tuple(sorted(_values(one) ^ _values(other), key=lambda value: (type(value).__name__, value)))
    return Measured(Share(of=one.measure.of or "", is_=values), one.type, one.generalized)


def _is_nested(one: Measured, other: Measured) -> bool:
    return _values(one) <= _values(other) or _values(other) <= _values(one)


def _larger(one: Measured, other: Measured) -> Measured:
    return one if len(_values(one)) > len(_values(other)) else other


def _values(share: Measured) -> frozenset[bool | int | float | str]:
    assert isinstance(share.measure, Share)
    return frozenset(share.measure.is_)
