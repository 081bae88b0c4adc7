"""Figures of one group that give a few subjects away together, and which of them become null.

A histogram with cells that are not shown, and the mean of the same field: their difference is the hidden cells' mean. Several
shares of one field: their sums and differences are the shares of the parts into which they cut its values. It makes no difference
whether one table publishes the figures or several tables of the same groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from minimize.aggregates.base import Codes, MeasureTally
from minimize.aggregates.definition import Definition, Measured
from minimize.aggregates.histogram import Histogram, HistogramTally
from minimize.aggregates.share import Share, ShareTally

Mask = npt.NDArray[np.bool_]
Value = bool | int | float | str
_ANY_HIDDEN = ("share",)
"""Measures that split the hidden cells: each part would have to be large enough by itself."""
_ALL_HIDDEN = ("sum", "mean", "quantile", "count_distinct")
"""Measures over all values, hidden ones included."""


def tallied_beside(definition: Definition) -> Iterator[Measured]:
    """Measures that are tallied but not published by the table: the parts that shares cut out, and what others publish."""
    for shares in _shares(definition).values():
        yield from _parts(shares)
        yield _share_of(shares[0], _named(shares))
    fields = {each.measure.of for each in definition.measures.values()}
    yield from (each for each in definition.others if isinstance(each.measure, Histogram) and each.measure.of in fields)


def few_within(
    definition: Definition, tallies: Mapping[Measured, MeasureTally], groups: Codes
) -> Iterator[tuple[Measured, Mask]]:
    """Measures that become null in some of these groups, each with a mask over the groups."""
    below = max(definition.below, definition.together, 1)
    for shares in _shares(definition).values():
        small = np.zeros(len(groups), np.bool_)
        for part in _parts(shares):
            small |= _few_in(tallies[part], groups, below)
        small |= _few_in(tallies[_share_of(shares[0], _named(shares))], groups, below, complement=True)
        yield from ((each, small) for each in shares[1:])
    for histogram in dict.fromkeys([*definition.measures.values(), *definition.others]):
        tally = tallies.get(histogram)
        if isinstance(tally, HistogramTally):
            hidden = tally.hidden_subjects(groups)
            for each in definition.measures.values():
                if each.measure.of == histogram.measure.of and each.measure.name in (*_ANY_HIDDEN, *_ALL_HIDDEN):
                    yield each, (hidden > 0) & ((hidden < below) | (each.measure.name in _ANY_HIDDEN))


def _few_in(tally: MeasureTally, groups: Codes, below: int, *, complement: bool = False) -> Mask:
    """The groups in which a few subjects have one of a share's values, or another one."""
    assert isinstance(tally, ShareTally)
    subjects = tally.subjects(groups)[complement]
    return np.asarray((subjects > 0) & (subjects < below), np.bool_)


def _shares(definition: Definition) -> dict[str, list[Measured]]:
    """By field the shares of it that are published of the same groups, if there are several; that of the fewest values first."""
    every = [each for each in (*definition.measures.values(), *definition.others) if isinstance(each.measure, Share)]
    found: dict[str, list[Measured]] = {}
    for each in sorted(
        dict.fromkeys(every), key=lambda each: (len(_values(each)), repr(sorted(map(repr, _values(each)))))
    ):
        found.setdefault(each.measure.of or "", []).append(each)
    own = {*definition.measures.values()}
    several = (len({_values(each) for each in shares}) > 1 and own.intersection(shares) for shares in found.values())
    return {of: shares for (of, shares), chosen in zip(found.items(), several, strict=True) if chosen}


def _parts(shares: Sequence[Measured]) -> list[Measured]:
    """The parts into which shares cut the values that they name."""
    by: dict[tuple[bool, ...], list[Value]] = {}
    for value in _named(shares):
        by.setdefault(tuple(value in _values(each) for each in shares), []).append(value)
    return [_share_of(shares[0], values) for values in by.values()]


def _named(shares: Sequence[Measured]) -> list[Value]:
    """All values that shares name."""
    return sorted(frozenset[Value]().union(*map(_values, shares)), key=lambda value: (type(value).__name__, value))


def _share_of(like: Measured, values: Sequence[Value]) -> Measured:
    return Measured(Share(of=like.measure.of or "", is_=tuple(values)), like.type, like.generalized)


def _values(share: Measured) -> frozenset[Value]:
    assert isinstance(share.measure, Share)
    return frozenset(share.measure.is_)
