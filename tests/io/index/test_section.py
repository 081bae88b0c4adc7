"""A section knows of each prefix in which row groups it is."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minimize.output.subject_index import SECTION_GROUPS, IndexSection

SETS = st.lists(st.sets(st.sampled_from([0, 1, 2, 5, 2**63, 2**64 - 1])), max_size=9)


def words(values: set[int]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(sorted(values), np.uint64)


@given(SETS, st.sets(st.sampled_from([0, 1, 3, 2**63, 2**64 - 1])), st.integers(0, 3))
def test_it_gives_exactly_the_groups_that_have_any(groups: list[set[int]], sought: set[int], first: int) -> None:
    section = IndexSection(first)
    for group in groups:
        section.add(words(group))
    due = [first + number for number, group in enumerate(groups) if group & sought]
    assert section.groups_of(words(sought)) == due
    assert section.prefixes.tolist() == sorted(set().union(*groups))


def test_it_is_full_when_its_bits_are_used_up() -> None:
    section = IndexSection()
    for number in range(SECTION_GROUPS):
        assert not section.is_full
        section.add(words({number}))
    assert section.is_full
    assert section.groups_of(words({SECTION_GROUPS - 1})) == [SECTION_GROUPS - 1]
    assert (section.next().first, section.next().groups) == (SECTION_GROUPS, 0)
