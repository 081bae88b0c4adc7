"""Hierarchies of quasi-identifiers: from files, from coarser forms of values, and their faults."""

from __future__ import annotations

import pyarrow as pa
import pytest

from minimize.disclosure_risk.hierarchy import Hierarchy
from minimize.errors import ConfigurationError

ROWS = [("Nexus 5X", "Nexus", "*"), ("Nexus 6", "Nexus", "*"), ("Pixel 2", "Pixel", "*")]


def labels_of(hierarchy: Hierarchy) -> list[list[str | None]]:
    """By level the label of each value."""
    return [
        labels.take(pa.array(codes)).to_pylist()
        for codes, labels in zip(hierarchy.levels, hierarchy.labels, strict=True)
    ]


def leaves_of(hierarchy: Hierarchy) -> list[list[int]]:
    """By level the leaves that each value covers."""
    return [leaves[codes].tolist() for codes, leaves in zip(hierarchy.levels, hierarchy.leaves, strict=True)]


def test_a_file_gives_its_levels_and_a_null_root() -> None:
    hierarchy = Hierarchy.of_table("model", pa.array(["Nexus 5X", "Pixel 2"]), ROWS)
    assert labels_of(hierarchy) == [["Nexus 5X", "Pixel 2"], ["Nexus", "Pixel"], [None, None]]


def test_the_domain_is_the_leaves_of_the_file_and_not_the_values_of_the_data() -> None:
    hierarchy = Hierarchy.of_table("model", pa.array(["Nexus 5X", "Pixel 2"]), ROWS)
    assert hierarchy.size == 3
    assert leaves_of(hierarchy) == [[1, 1], [2, 1], [3, 3]]


def test_a_value_that_the_file_lacks_is_the_root_at_every_level() -> None:
    hierarchy = Hierarchy.of_table("model", pa.array(["Pixel 2", "iPhone", "", None]), ROWS)
    assert labels_of(hierarchy) == [["Pixel 2", None, None, None], ["Pixel", None, None, None], [None] * 4]
    assert leaves_of(hierarchy) == [[1, 3, 3, 3], [1, 3, 3, 3], [3] * 4]
    assert [len(set(codes.tolist())) for codes in hierarchy.levels] == [2, 2, 1]


def test_numbers_are_found_by_their_decimal_text() -> None:
    rows = [("7", "0-9", "*"), ("12", "10-19", "*")]
    hierarchy = Hierarchy.of_table("age", pa.array([7, 12], pa.int16()), rows)
    assert labels_of(hierarchy)[1] == ["0-9", "10-19"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "needs a value"),
        ([("Paris",)], "needs a value"),
        ([("Paris", "*"), ("Lyon", "France", "*")], "lines of different lengths"),
        ([("Paris", "*"), ("Paris", "*")], "a leaf twice"),
        ([("Paris", "France", "Europe"), ("Lyon", "France", "*")], "more than one root"),
        ([("Paris", "A", "X", "*"), ("Lyon", "A", "Y", "*")], "not nested: a label of level 1"),
    ],
)
def test_a_faulty_file_is_refused_without_its_values(rows: list[tuple[str, ...]], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        Hierarchy.of_table("city", pa.array(["Paris"]), rows)
    assert caught.value.code == "E240"
    assert "city" in str(caught.value)
    assert not any(word in str(caught.value) for word in ("Paris", "Lyon", "France", "Europe"))


def test_forms_give_levels_below_a_root_and_null_is_a_value() -> None:
    values = pa.array([11, 12, 29, None])
    hierarchy = Hierarchy.of_forms("age", values, [pa.array([10, 10, 20, None])])
    assert labels_of(hierarchy) == [[11, 12, 29, None], [10, 10, 20, None], [None] * 4]
    assert leaves_of(hierarchy) == [[1] * 4, [2, 2, 1, 1], [4] * 4]
    assert hierarchy.size == 4


def test_forms_may_be_dictionaries() -> None:
    form = pa.array(["a", "a", None]).dictionary_encode()
    hierarchy = Hierarchy.of_forms("model", pa.array(["a1", "a2", None]), [form])
    assert labels_of(hierarchy)[1] == ["a", "a", None]


def test_forms_that_are_not_nested_are_refused() -> None:
    values = pa.array([0, 4, 5, 9])
    with pytest.raises(ConfigurationError, match="levels of age are not nested") as caught:
        Hierarchy.of_forms("age", values, [pa.array([0, 4, 4, 8]), pa.array([0, 0, 5, 5])])
    assert caught.value.hint == "Make each step a multiple of the step before."


def test_a_fixed_attribute_has_one_level() -> None:
    hierarchy = Hierarchy.fixed("model", pa.array(["a", None]))
    assert labels_of(hierarchy) == [["a", None]]
    assert hierarchy.root == 0


def test_a_table_without_values_has_a_hierarchy() -> None:
    assert Hierarchy.of_table("model", pa.array([], pa.string()), ROWS).size == 3
    assert Hierarchy.of_forms("age", pa.array([], pa.int64()), [pa.array([], pa.int64())]).root == 2


def test_the_printed_hierarchy_hides_its_values() -> None:
    hierarchy = Hierarchy.of_table("model", pa.array(["Nexus 5X", "iPhone"]), ROWS)
    assert repr(hierarchy) == "Hierarchy(name='model', size=3)"
