"""Contents and blocks read back as they were packed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.output.subject_index import (
    BLOCK_ENTRIES,
    MAGIC,
    IndexContents,
    IndexSection,
    SectionExtent,
    block_as_section,
    section_blocks,
)


@given(st.integers(1, 64), st.integers(0, 5))
def test_blocks_hold_what_the_section_held(groups: int, first: int) -> None:
    section = IndexSection(first)
    for group in range(groups):
        section.add(np.arange(group, group + 3, dtype=np.uint64))
    extent = SectionExtent(first, groups, len(section.prefixes))
    [block] = section_blocks(section)
    read = block_as_section(block, extent, 0)
    assert (read.first, read.groups) == (first, groups)
    assert read.prefixes.tolist() == section.prefixes.tolist()
    assert read.masks.tolist() == section.masks.tolist()


@pytest.mark.parametrize("entries", [0, 1, BLOCK_ENTRIES - 1, BLOCK_ENTRIES, BLOCK_ENTRIES + 1, 3 * BLOCK_ENTRIES])
def test_a_section_has_as_many_blocks_as_it_takes(entries: int) -> None:
    section = IndexSection()
    section.add(np.arange(entries, dtype=np.uint64))
    extent, blocks = SectionExtent(0, 1, entries), section_blocks(section)
    assert len(blocks) == extent.blocks
    assert [len(block) + 16 for block in blocks] == [extent.block_size(block) for block in range(extent.blocks)]
    assert extent.size == sum(len(block) + 16 for block in blocks)


def test_contents_come_back_as_they_were_packed() -> None:
    extents = (SectionExtent(0, 64, BLOCK_ENTRIES + 1), SectionExtent(64, 2, 5))
    contents = IndexContents("/device/id", extents, np.array([1, 2**63, 10], np.uint64))
    read = IndexContents.from_bytes(contents.to_bytes())
    assert (read.subject, read.extents, read.fences.tolist()) == ("/device/id", extents, [1, 2**63, 10])
    assert read.section_fences(1).tolist() == [10]
    assert read.block_offset(0, 0) == len(MAGIC)
    assert read.block_offset(1, 0) == len(MAGIC) + extents[0].size
