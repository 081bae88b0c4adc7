"""A random attacker on random populations: with the disclosure guard no subtraction that it knows rests on a few subjects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.publisher import Publisher, definition
from tests.disclosure.attacker import Attacker, Numbers, Records
from tests.hypothesis_profiles import examples

SHAPES: Final = {
    "one": [["site", "tenant"]],
    "pair": [["site"], ["site", "tenant"]],
    "chain": [["site"], ["site", "tenant"], ["site", "tenant", "version"]],
    "lower chain": [["site", "tenant"], ["site", "tenant", "version"], ["site", "tenant", "version", "model"]],
    "crossing": [["site", "tenant"], ["site", "version"]],
    "crossing below": [["site", "tenant", "version"], ["site", "tenant", "model"]],
    "fork": [["site"], ["site", "tenant"], ["site", "version"]],
    "diamond": [["site", "tenant"], ["site", "version"], ["site", "tenant", "version"]],
}
"""Tables that are published together. Each site is a case of its own: the tables of different sites share no row."""
WAYS: Final = {
    "one": ["releases"],
    "pair": ["releases", "cover"],
    "chain": ["releases", "cover"],
    "lower chain": ["releases", "cover"],
    "crossing": ["releases", "crossing"],
    "crossing below": ["releases", "crossing"],
    "fork": ["releases", "cover", "crossing"],
    "diamond": ["releases", "cover", "crossing"],
}
"""What an attacker finds without the guard."""
UNIQUE: Final = np.random.default_rng(7).integers(1, 1 << 48, 40)
GROUPS: Final = ("tenant", "version", "model")
RELATIONS: Final = ("releases", "cover", "crossing")
"""What the disclosure guard compares."""
Tables = Sequence[Sequence[str]]


class Population:
    """Sites whose people come, leave, move and change their values, from night to night."""

    def __init__(self, seed: int, sites: int) -> None:
        self._random = np.random.default_rng(seed)
        self._people = 0
        self.records = self._come(np.repeat(np.arange(sites), self._random.integers(12, 60, sites)))

    def turn(self) -> None:
        """The next night: at each site a few things happen to a few people, often to fewer than the threshold."""
        rest, draw = self.records, self._random
        sites = int(rest.keys["site"].max()) + 1
        count = draw.choice([0, 0, 1, 2, 5, 9, 14, 22], (4, sites))
        order = draw.permutation(len(rest.subject))
        rest = rest.take(order[np.argsort(rest.keys["site"][order], kind="stable")])
        site = rest.keys["site"]
        number = np.arange(len(site)) - np.searchsorted(site, site)
        ends = np.cumsum(count[:3], axis=0)[:, site]
        goes, moves, changes = number < ends[0], (number >= ends[0]) & (number < ends[1]), number >= ends[1]
        changes &= number < ends[2]
        keys = {name: values.copy() for name, values in rest.keys.items()}
        for name in GROUPS:
            keys[name][moves] = self._groups(int(moves.sum()))
        x = np.where(changes, self._values(len(site)), rest.x)
        stay = replace(rest, keys=keys, x=x).take(np.flatnonzero(~goes))
        self.records = _together(stay, self._come(np.repeat(np.arange(sites), count[3])))

    def _come(self, sites: Numbers) -> Records:
        """New rows: one of a new person each, but for one in eight, which are of the person before."""
        new = self._random.random(len(sites)) > 0.125
        new[np.flatnonzero(np.diff(sites, prepend=-1))] = True
        subject = self._people + np.cumsum(new)
        self._people += len(sites) + 1
        keys = {"site": sites, **{name: self._groups(len(sites)) for name in GROUPS}}
        return Records(subject, keys, self._values(len(sites)), self._random.integers(1, 1 << 48, len(sites)))

    def _groups(self, rows: int) -> Numbers:
        return np.asarray(self._random.choice(4, rows, p=[0.6, 0.3, 0.07, 0.03]), np.int64)

    def _values(self, rows: int) -> Numbers:
        return np.where(self._random.random(rows) < 0.15, -1, self._random.integers(1, 1 << 40, rows))


def _together(one: Records, other: Records) -> Records:
    keys = {name: np.concatenate([one.keys[name], other.keys[name]]) for name in one.keys}
    return Records(
        np.concatenate([one.subject, other.subject]),
        keys,
        np.concatenate([one.x, other.x]),
        np.concatenate([one.w, other.w]),
    )


def exposed(
    tables: Tables,
    seed: int,
    ways: Collection[str] = RELATIONS,
    *,
    sites: int = 60,
    nights: int = 4,
    below: int = 10,
    is_guarded: bool = True,
) -> Counter[str]:
    """Of how many sites the attacker isolates a few subjects in some night, in each way and in any."""
    publisher = Publisher({str(place): definition(str(place), keys, below) for place, keys in enumerate(tables)})
    publisher.is_guarded = is_guarded
    population, attacker = Population(seed, sites), Attacker(tables, below, ways)
    found: dict[int, set[str]] = {}
    for night in range(nights):
        if night:
            population.turn()
        published = publisher.publish(population.records.table())
        for site, new in attacker.watch(population.records, [each.result.table for each in published.values()]).items():
            found.setdefault(site, set()).update(new)
    return Counter(way for ways in found.values() for way in (*ways, "any"))


def none_exposed(shape: str, seeds: Iterable[int], *ways: str) -> None:
    """Plays nights at many sites, with a threshold of 10 and of 4 in turns."""
    for seed in seeds:
        assert exposed(SHAPES[shape], seed, ways or RELATIONS, below=(10, 4)[seed % 2]) == {}, seed


@pytest.mark.parametrize("shape", SHAPES)
def test_no_relation_of_the_guard_isolates_a_few_subjects(shape: str) -> None:
    """Two releases of a row; a row and its cover; the totals of tables that cross. 1,920 sites."""
    none_exposed(shape, range(4))


@pytest.mark.nightly
@pytest.mark.parametrize("shape", SHAPES)
def test_no_relation_of_the_guard_isolates_a_few_subjects_in_many_nights(shape: str) -> None:
    none_exposed(shape, range(100, 160))


def test_no_combination_of_two_nested_tables_isolates_a_few_subjects() -> None:
    """Any linear combination of the rows of two tables of which one has the keys of the other."""
    none_exposed("pair", range(4), "combination")


@pytest.mark.parametrize("shape", ["chain", "lower chain", "diamond"])
def test_combinations_of_more_tables_isolate_a_few_subjects_at_few_sites(shape: str) -> None:
    """Of 240 sites in four nights: combinations of three tables some of whose rows keep former figures are not compared."""
    found = (exposed(SHAPES[shape], seed, ["combination"], below=(10, 4)[seed % 2])["any"] for seed in range(4))
    assert sum(found) <= 4


@pytest.mark.parametrize("shape", SHAPES)
def test_without_the_guard_most_sites_are_exposed(shape: str) -> None:
    """The control: the same nights, and the attacker finds what he looks for."""
    found = exposed(SHAPES[shape], 0, is_guarded=False)
    assert {way for way, sites in found.items() if sites > 40} == {*WAYS[shape], "any"}


State = tuple[int, int, int] | None
"""The tenant, version and value of a person (-1: none); None if they are not there."""
states: st.SearchStrategy[State] = st.one_of(
    st.none(), st.tuples(st.sampled_from([0, 0, 0, 1, 2]), st.sampled_from([0, 0, 1]), st.integers(-1, 3))
)
people = st.lists(st.tuples(states, st.lists(st.tuples(st.integers(1, 3), states), max_size=2)), max_size=40)


@settings(max_examples=examples(200))
@given(people, st.sampled_from([*SHAPES]), st.sampled_from([2, 3, 5]))
def test_no_relation_isolates_a_few_subjects_of_any_population(
    persons: list[tuple[State, list[tuple[int, State]]]], shape: str, below: int
) -> None:
    """Each person has a state in the first night, and another one from some nights on."""
    tables = SHAPES[shape]
    publisher = Publisher({str(place): definition(str(place), keys, below) for place, keys in enumerate(tables)})
    attacker = Attacker(tables, below, RELATIONS)
    for night in range(4):
        current = [({0: first} | {when: state for when, state in later if when <= night}) for first, later in persons]
        records = _records([states[max(states)] for states in current])
        if len(records.subject):
            published = publisher.publish(records.table())
            assert attacker.watch(records, [each.result.table for each in published.values()]) == {}


def _records(persons: Sequence[State]) -> Records:
    """A row of each person who is there; sums of these numbers and values are different for different rows."""
    there = [(number, *state) for number, state in enumerate(persons) if state is not None]
    subject, tenant, version, value = np.array(there, np.int64).reshape(-1, 4).T
    keys = {"site": np.zeros_like(subject), "tenant": tenant, "version": version, "model": version}
    x = np.where(value < 0, -1, UNIQUE[subject] * 4 + value)
    return Records(subject, keys, x, UNIQUE[subject])
