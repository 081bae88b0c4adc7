from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from minimize.aggregates.dictionaries import SubjectDictionary

SUBJECTS: list[tuple[pa.DataType, list[Any]]] = [
    (pa.string(), ["b", None, "a", "b"]),
    (pa.large_string(), ["b", None, "a", "b"]),
    (pa.binary(), [b"b", None, b"a", b"b"]),
    (pa.int64(), [7, None, 3, 7]),
    (pa.float64(), [0.0, None, 1.5, -0.0]),
]


@pytest.mark.parametrize(("type_", "subjects"), SUBJECTS)
def test_equal_subjects_have_one_code_and_none_has_none(type_: pa.DataType, subjects: list[Any]) -> None:
    roster = SubjectDictionary()
    one, _, other, again = roster.encode(pa.array(subjects, type_)).tolist()
    assert (one == again, one == other, min(one, other) >= 0) == (True, False, True)
    assert roster.encode(pa.array(subjects, type_))[1] == -1
    assert roster.values is not None
    assert roster.values.take(pa.array([one, other])).to_pylist() == [subjects[0], subjects[2]]


@pytest.mark.parametrize(("type_", "subjects"), SUBJECTS)
def test_encoded_subjects_have_the_codes_of_plain_ones(type_: pa.DataType, subjects: list[Any]) -> None:
    roster, plain = SubjectDictionary(), pa.array(subjects, type_)
    assert roster.encode(plain.dictionary_encode()).tolist() == roster.encode(plain).tolist()
    null_entry = pa.DictionaryArray.from_arrays(pa.array([1, 0, None]), pa.array([None, subjects[0]], type_))
    assert roster.encode(null_entry).tolist() == [int(roster.encode(plain)[0]), -1, -1]


def test_threads_share_one_code() -> None:
    roster, names = SubjectDictionary(), pa.array([f"device {number % 5000}" for number in range(20_000)])
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(roster.encode, [names] * 4))
    assert all(np.array_equal(found[0], other) for other in found)
    assert len(roster) == 5000


def test_another_rosters_codes_are_translated_and_ones_own_stay() -> None:
    ours, theirs = SubjectDictionary(), SubjectDictionary()
    ours.encode(pa.array(["a", "b"]))
    theirs.encode(pa.array(["b", "c"]))
    assert ours.merge(theirs).tolist() == [1, 2]
    assert ours.merge(ours).tolist() == [0, 1, 2]
    assert ours.merge(SubjectDictionary()).tolist() == []


def test_who_leaves_meets_those_who_left_in_an_empty_one() -> None:
    roster = SubjectDictionary()
    sharing = [roster.acquire() for _ in range(2)]
    roster.encode(pa.array(["a"]))
    whole = roster.nbytes
    after = sharing[0].acquire_successor()
    assert len(after) == 0
    assert whole * 2 <= roster.nbytes + 1
    assert sharing[1].acquire_successor() is after


def test_a_roster_travels_with_its_codes() -> None:
    roster = SubjectDictionary()
    codes = roster.encode(pa.array(["b", "a", None]))
    other = pickle.loads(pickle.dumps(roster))
    assert other.encode(pa.array(["b", "a", None])).tolist() == codes.tolist()
    assert len(pickle.loads(pickle.dumps(SubjectDictionary()))) == 0


def test_when_all_have_left_nothing_is_held_though_somebody_holds_the_first_one() -> None:
    roster = SubjectDictionary()
    sharing = [roster.acquire() for _ in range(2)]
    roster.encode(pa.array(["a"]))
    following = sharing[0].acquire_successor()
    assert len(roster) == 1
    assert sharing[1].acquire_successor() is following
    assert (len(roster), roster.nbytes, roster.values) == (0, 0, None)
