"""Combinations of quasi-identifiers, next to dictionaries in plain Python."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.checkpoints import at_checkpoint
from minimize.disclosure_risk.combinations import (
    Combinations,
    CombinationTally,
    combinations_of,
    grouped,
)
from minimize.spill import SpillSpace
from tests.disclosure_risk.reference import (
    combination,
    decoded,
    decoded_counts,
    persons_by_combination,
    records_by_combination,
    sensitive_by_combination,
)

QUASI = ("model", "age", "height")
SCHEMA = pa.schema(
    {"model": pa.string(), "age": pa.int16(), "height": pa.float64(), "illness": pa.string(), "device": pa.int64()}
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "model": st.sampled_from(["A", "B", "*", "", None]),
            "age": st.sampled_from([-1, 0, 7, None]),
            "height": st.sampled_from([0.0, -0.0, 1.5, math.nan, None]),
            "illness": st.sampled_from(["x", "y", "", None]),
            "device": st.integers(1, 6) | st.none(),
        }
    ),
    max_size=40,
)


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def assert_as_counted(combinations: Combinations, rows: list[dict[str, Any]], person: str | None) -> None:
    keys = decoded(combinations)
    assert dict(zip(keys, combinations.records.tolist(), strict=True)) == records_by_combination(rows, QUASI)
    assert len(set(keys)) == len(keys)
    (counts,) = combinations.sensitive
    listed = dict(zip(keys, decoded_counts(counts, len(keys)), strict=True))
    assert listed == sensitive_by_combination(rows, QUASI, "illness", person)
    if person is None:
        assert combinations.persons is None
        assert combinations.person_counts is combinations.records
    else:
        persons = persons_by_combination(rows, QUASI, person)
        sizes = {key: len(each) for key, each in persons.items()}
        assert dict(zip(keys, combinations.person_counts.tolist(), strict=True)) == sizes
        assert combinations.persons is not None
        assert combinations.persons.count == len({row[person] for row in rows})


def assert_same(first: Combinations, second: Combinations) -> None:
    """The same combinations in the same order. Codes of persons may differ."""
    assert [each.to_pylist().__repr__() for each in first.dictionaries] == [
        each.to_pylist().__repr__() for each in second.dictionaries
    ]
    assert np.array_equal(first.codes, second.codes)
    assert np.array_equal(first.records, second.records)
    assert np.array_equal(first.person_counts, second.person_counts)
    for counts, others in zip(first.sensitive, second.sensitive, strict=True):
        assert counts.dictionary.equals(others.dictionary)
        assert np.array_equal(counts.combination, others.combination)
        assert np.array_equal(counts.value, others.value)
        assert np.array_equal(counts.count, others.count)


@given(rows=ROWS, person=st.sampled_from([None, "device"]))
def test_combinations_are_those_of_dictionaries_in_plain_python(rows: list[dict[str, Any]], person: str | None) -> None:
    assert_as_counted(combinations_of(table_of(rows), QUASI, ["illness"], person), rows, person)


@given(rows=ROWS, data=st.data())
def test_the_result_does_not_depend_on_order_batches_and_merged_parts(
    rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    expected = combinations_of(table_of(rows), QUASI, ["illness"], "device")
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    tallies = []
    for part in (shuffled[:cut], shuffled[cut:]):
        tally = CombinationTally(QUASI, ["illness"], "device")
        table = table_of(part)
        for first_row in range(0, max(1, len(part)), 3):
            tally.observe(table.slice(first_row, 3))
        tallies.append(tally)
    first, second = tallies if data.draw(st.booleans()) else tallies[::-1]
    first.merge(second)
    assert_same(first.settle(), expected)


@given(rows=ROWS)
def test_dictionary_encoded_columns_are_counted_as_plain_ones(rows: list[dict[str, Any]]) -> None:
    table = table_of(rows)
    encoded = table
    for name in ("model", "illness"):
        encoded = encoded.set_column(table.schema.get_field_index(name), name, table[name].dictionary_encode())
    expected = combinations_of(table, QUASI, ["illness"], "device")
    assert_same(combinations_of(encoded, QUASI, ["illness"], "device"), expected)


@given(rows=ROWS, person=st.sampled_from([None, "device"]), coarser=st.sets(st.sampled_from(QUASI)))
def test_classes_are_those_of_the_coarser_values(
    rows: list[dict[str, Any]], person: str | None, coarser: set[str]
) -> None:
    combinations = combinations_of(table_of(rows), QUASI, ["illness"], person)
    maps = [
        None if name in coarser else np.arange(len(dictionary), dtype=np.int32)
        for name, dictionary in zip(QUASI, combinations.dictionaries, strict=True)
    ]
    classes = grouped(combinations, maps)
    kept = [name for name in QUASI if name not in coarser]
    keys = [tuple(key[QUASI.index(name)] for name in kept) for key in decoded(combinations)]
    class_keys = dict(zip(classes.class_of.tolist(), keys, strict=True))
    named = [class_keys[number] for number in range(len(classes))]
    assert len(set(named)) == len(named)
    assert dict(zip(named, classes.records.tolist(), strict=True)) == records_by_combination(rows, kept)
    counts = dict(zip(named, decoded_counts(classes.sensitive[0], len(classes)), strict=True))
    assert counts == sensitive_by_combination(rows, kept, "illness", person)
    if person is not None:
        sizes = {key: len(each) for key, each in persons_by_combination(rows, kept, person).items()}
        assert dict(zip(named, classes.person_counts.tolist(), strict=True)) == sizes


def test_more_than_64_bits_of_codes_are_counted_exactly() -> None:
    random = np.random.default_rng(43)
    columns = {f"q{place}": random.integers(0, 900, 2000) for place in range(9)}
    columns["device"] = random.integers(0, 700, 2000)
    table = pa.table({**columns, "q0": np.arange(2000) // 2})
    doubled = pa.concat_tables([table, table.slice(0, 100)])
    names = [f"q{place}" for place in range(9)]
    combinations = combinations_of(doubled, names, person="device")
    rows = doubled.to_pylist()
    assert dict(zip(decoded(combinations), combinations.records.tolist(), strict=True)) == records_by_combination(
        rows, names
    )


@pytest.mark.parametrize("person", [None, "device"])
def test_nan_null_empty_text_and_star_are_values_of_their_own(person: str | None) -> None:
    rows: list[dict[str, Any]] = [
        {"model": model, "age": 1, "height": height, "illness": None, "device": number}
        for number, (model, height) in enumerate([("", 1.5), ("*", 1.5), (None, 1.5), ("", math.nan), ("", None)])
    ]
    combinations = combinations_of(table_of(rows), QUASI, person=person)
    assert combinations.records.tolist() == [1] * 5
    assert set(decoded(combinations)) == {combination(row, QUASI) for row in rows}


def test_records_without_a_person_belong_to_one_person() -> None:
    table = pa.table({"model": ["A", "A", "A"], "device": pa.array([None, None, 1], pa.int64())})
    combinations = combinations_of(table, ["model"], person="device")
    assert combinations.person_counts.tolist() == [2]


def test_a_table_without_records_has_no_combinations() -> None:
    combinations = combinations_of(table_of([]), QUASI, ["illness"], "device")
    assert (len(combinations), combinations.person_counts.tolist()) == (0, [])
    assert len(grouped(combinations, [None, None, None])) == 0


def test_without_quasi_identifiers_all_records_are_one_combination() -> None:
    combinations = combinations_of(pa.table({"device": [1, 2, 2]}), [], person="device")
    assert (combinations.records.tolist(), combinations.person_counts.tolist()) == ([3], [2])


def spilling_table(wide: bool) -> pa.Table:
    """4,000 records of 1,500 persons, in an order that has little to do with their values; later values are more."""
    numbers = np.arange(4000)
    columns = {
        "model": [f"m{number * 7919 % (3 + number // 40)}" for number in numbers],
        "day": numbers * 104729 % 31,
        "state": [None if number % 13 == 0 else f"s{number % 5}" for number in numbers],
        "person": [f"p{number * 6151 % 1500}" for number in numbers],
    }
    if wide:
        columns |= {f"wide{place}": numbers * (place + 3) % 3989 for place in range(6)}
    return pa.table(columns)


def observed(table: pa.Table, quasi: list[str], space: SpillSpace) -> CombinationTally:
    """A tally of batches, half of them observed by another tally."""
    first, second = (CombinationTally(quasi, ["state"], "person", space) for _ in range(2))
    for number, batch in enumerate(table.to_batches(max_chunksize=250)):
        (first, second)[number % 2].observe(batch)
    first.merge(second)
    return first


@pytest.mark.parametrize("wide", [False, True], ids=["one word", "several words"])
def test_spilled_rows_give_the_same_combinations(wide: bool) -> None:
    table = spilling_table(wide)
    quasi = ["model", "day", *(name for name in table.column_names if name.startswith("wide"))]
    pieces: list[str] = []
    with at_checkpoint("spill.put", lambda name, *_: pieces.append(name)):
        spilled = observed(table, quasi, SpillSpace(1))
        assert len(pieces) > 4
        found = spilled.settle()
        assert_same(found, observed(table, quasi, SpillSpace(None)).settle())
        assert_same(spilled.settle(), found)
    assert_same(found, combinations_of(table, quasi, ["state"], "person"))


def test_a_tally_is_sent_to_another_process_unless_it_has_spilled() -> None:
    table = spilling_table(wide=False)
    whole = observed(table, ["model", "day"], SpillSpace(None))
    assert_same(pickle.loads(pickle.dumps(whole)).settle(), whole.settle())
    with pytest.raises(TypeError, match="spill file"):
        pickle.dumps(observed(table, ["model", "day"], SpillSpace(1)))
