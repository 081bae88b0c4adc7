"""Aggregates that give each other's small groups away: the coarser figure minus the finer ones is the group left out."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from minimize.aggregates.definition import UNITS, Definition, GroupKey, Unit
from minimize.pointer import Pointer


def related(definitions: Mapping[str, Definition]) -> tuple[tuple[str, str], ...]:
    """Pairs (coarser, finer) of which one's keys are a subset of the other's, and which share a measure over the same field.

    A key is in the other's keys when the same field is, at the same or a finer unit of time.
    """
    pairs = []
    for one, other in combinations(definitions, 2):
        if _share_a_measure(definitions[one], definitions[other]):
            pairs += [
                pair for pair in ((one, other), (other, one)) if _is_subset(*(definitions[name] for name in pair))
            ][:1]
    return tuple(pairs)


def _is_subset(coarse: Definition, fine: Definition) -> bool:
    return all(any(_covers(theirs, key) for theirs in fine.keys.values()) for key in coarse.keys.values())


def _covers(fine: GroupKey, coarse: GroupKey) -> bool:
    if fine.pointer != coarse.pointer:
        return False
    return fine.to == coarse.to or _nests(fine.to, coarse.to)


def _nests(fine: Unit | None, coarse: Unit | None) -> bool:
    if fine is None or coarse is None:
        return fine is None
    if "week" in (fine, coarse):
        return coarse == "week" and fine in ("minute", "hour", "day")
    return UNITS.index(fine) < UNITS.index(coarse)


def _share_a_measure(one: Definition, other: Definition) -> bool:
    return bool(_kinds(one) & _kinds(other))


def _kinds(definition: Definition) -> set[tuple[str, Pointer | None]]:
    measures = [each.measure for each in definition.measures.values()]
    return {(each.name, None if each.of is None else Pointer.parse(each.of)) for each in measures}
