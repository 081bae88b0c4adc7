from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.hashing import WORD_BYTES, hash_rows, random_multipliers, text_bytes, text_offsets, word_rows
from minimize.arrow.interner import TextInterner, compact_codes

TEXTS = st.lists(
    st.none() | st.text(max_size=20) | st.sampled_from(["a", "a\0", "", "\0", "x" * 200, "y" * 200]), max_size=40
)


@given(st.lists(TEXTS, max_size=4))
def test_equal_texts_and_only_those_have_one_code_over_all_batches(batches: list[list[str | None]]) -> None:
    known, codes = TextInterner(pa.string()), dict[str | None, int]()
    for batch in batches:
        for text, code in zip(batch, known.codes(pa.array(batch, pa.string())).tolist(), strict=True):
            assert codes.setdefault(text, code) == code
    there = {text: code for text, code in codes.items() if text is not None}
    assert sorted(there.values()) == list(range(len(there)))
    assert known.values().to_pylist() == sorted(there, key=lambda text: there[text])
    assert codes.get(None, -1) == -1


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_texts_and_bytes_come_back_in_their_type(type_: pa.DataType) -> None:
    known, values = TextInterner(type_), pa.array([b"one", b"", b"three" * 40, b"four"], pa.binary()).cast(type_)
    assert known.codes(values).tolist() == [known.codes(values.slice(place, 1))[0] for place in range(4)]
    assert sorted(known.values().cast(pa.binary()).to_pylist()) == sorted(values.cast(pa.binary()).to_pylist())
    assert known.values().type == type_


def test_codes_follow_each_other_from_batch_to_batch() -> None:
    known = TextInterner(pa.string())
    assert known.codes(pa.array(["b", "a"])).tolist() == [0, 1]
    assert known.codes(pa.array(["c", "b"])).tolist() == [2, 0]
    assert known.values(1).to_pylist() == ["a", "c"]
    assert len(known) == 3


def test_the_same_text_in_two_scopes_has_two_codes() -> None:
    known, values = TextInterner(pa.string()), pa.array(["a", "a", "b", "z" * 200, "z" * 200])
    codes = known.codes(values, np.array([0, 5, 5, 0, 5], np.int32))
    assert len(set(codes.tolist())) == 5
    scopes, texts = known.scoped_values()
    told = dict(zip(codes.tolist(), zip([0, 5, 5, 0, 5], values.to_pylist(), strict=True), strict=True))
    assert dict(enumerate(zip(scopes.tolist(), texts.to_pylist(), strict=True))) == told


def test_more_texts_than_a_block_or_the_first_table_holds_stay_apart() -> None:
    known = TextInterner(pa.string())
    values = pa.array([f"{number:x}" * (1 + number % 3) for number in range(100_000)])
    codes = known.codes(values)
    assert len(known) == len(set(values.to_pylist()))
    assert known.values().take(pa.array(codes)).equals(values)
    assert known.codes(values.slice(70_000)).tolist() == codes[70_000:].tolist()


def test_texts_whose_hashes_agree_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without randomness all multipliers are one, and a hash is that of the sum of the words, whatever their order."""
    monkeypatch.setattr(secrets, "randbits", lambda _: 0)
    texts = ["".join(letter * WORD_BYTES for letter in letters) for letters in permutations("abcdef")]
    known, values = TextInterner(pa.string()), pa.array([texts[number] for number in (0, 1, 2, 0, 3)])
    rows = word_rows(text_bytes(pa.array(texts)), text_offsets(pa.array(texts)))
    assert len(set(hash_rows(rows, random_multipliers(rows.shape[1] + 1)).tolist())) == 1
    assert known.codes(values).tolist() == [0, 1, 2, 0, 3]
    assert known.codes(values[::-1]).tolist() == [3, 0, 2, 1, 0]
    assert known.codes(pa.array(texts[4:])).tolist() == list(range(4, len(texts)))


def test_threads_get_one_code_for_one_text() -> None:
    known = TextInterner(pa.string())
    batches = [pa.array([f"text {(start + step) % 5000}" for step in range(3000)]) for start in range(0, 20_000, 1000)]
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(known.codes, batches))
    assert len(known) == 5000
    assert all(known.values().take(pa.array(each)).equals(batch) for each, batch in zip(codes, batches, strict=True))


def test_nothing_has_no_codes() -> None:
    known = TextInterner(pa.string())
    assert known.codes(pa.array([], pa.string())).tolist() == []
    assert known.codes(pa.nulls(2, pa.string())).tolist() == [-1, -1]
    assert known.values().to_pylist() == []


@given(st.lists(st.integers(0, 10_000), max_size=30))
def test_dense_codes_name_those_in_use(codes: list[int]) -> None:
    used, places = compact_codes(np.array(codes, np.int32))
    assert used.tolist() == sorted(set(codes))
    assert used[places].tolist() == codes
