"""Contents and blocks read back as they were packed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.io.index.form import BLOCK, MAGIC, Contents, Extent, block_as_section, blocks_of
from minimize.io.index.section import Section


@given(st.integers(1, 64), st.integers(0, 5))
def test_blocks_hold_what_the_section_held(groups: int, first: int) -> None:
    section = Section(first)
    for group in range(groups):
        section.add(np.arange(group, group + 3, dtype=np.uint64))
    extent = Extent(first, groups, len(section.prefixes))
    [block] = blocks_of(section)
    read = block_as_section(block, extent, 0)
    assert (read.first, read.groups) == (first, groups)
    assert read.prefixes.tolist() == section.prefixes.tolist()
    assert read.masks.tolist() == section.masks.tolist()


@pytest.mark.parametrize("entries", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_a_section_has_as_many_blocks_as_it_takes(entries: int) -> None:
    section = Section()
    section.add(np.arange(entries, dtype=np.uint64))
    extent, blocks = Extent(0, 1, entries), blocks_of(section)
    assert len(blocks) == extent.blocks
    assert [len(block) + 16 for block in blocks] == [extent.size_of(block) for block in range(extent.blocks)]
    assert extent.size == sum(len(block) + 16 for block in blocks)


def test_contents_come_back_as_they_were_packed() -> None:
    extents = (Extent(0, 64, BLOCK + 1), Extent(64, 2, 5))
    contents = Contents("/device/id", extents, np.array([1, 2**63, 10], np.uint64))
    read = Contents.unpacked(contents.packed())
    assert (read.subject, read.extents, read.fences.tolist()) == ("/device/id", extents, [1, 2**63, 10])
    assert read.fences_of(1).tolist() == [10]
    assert read.place_of(0, 0) == len(MAGIC)
    assert read.place_of(1, 0) == len(MAGIC) + extents[0].size
