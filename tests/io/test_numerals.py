from __future__ import annotations

import re

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from minimize.sources.ndjson.flat_reader import MAX_INTEGER_DIGITS, MAX_NUMBER_BYTES, are_plain_numbers

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
texts = st.lists(
    st.text("0123456789.-e+ ", max_size=6)
    | st.from_regex(NUMBER, fullmatch=True).filter(lambda one: len(one) < 90)
    | st.sampled_from(
        [
            "1" * 18,
            "-" + "1" * 18,
            "1" * 19,
            "0." + "1" * 98,
            "0." + "1" * 99,
            "." * 256 + "1",
            "1" + "." * 257 + "1",
            "é",
            "٣",
        ]
    )
)


def expected(text: str, whole: bool) -> bool:
    match = NUMBER.fullmatch(text)
    if match is None or (whole and match[2]):
        return False
    return len(text.lstrip("-")) <= (MAX_INTEGER_DIGITS if whole else MAX_NUMBER_BYTES)


@given(values=texts)
def test_numbers_are_told_as_by_their_grammar(values: list[str]) -> None:
    array = pa.array(values, pa.string())
    assert are_plain_numbers(array).tolist() == [expected(value, whole=False) for value in values]
    assert are_plain_numbers(array, whole=True).tolist() == [expected(value, whole=True) for value in values]


def test_a_part_of_an_array_is_looked_at_alone() -> None:
    array = pa.array(["x", "1", "2.5", "", "y"]).slice(1, 3)
    assert are_plain_numbers(array).tolist() == [True, True, False]
    assert are_plain_numbers(array, whole=True).tolist() == [True, False, False]


@given(values=st.lists(st.from_regex(r"-?(0|[1-9][0-9]{0,17})", fullmatch=True)))
def test_whole_numbers_that_are_told_are_what_arrow_reads(values: list[str]) -> None:
    array = pa.array(values, pa.string())
    assert are_plain_numbers(array, whole=True).all()
    assert array.cast(pa.int64()).to_pylist() == [int(value) for value in values]


@given(values=st.lists(st.from_regex(r"-?(0|[1-9][0-9]{0,20})\.[0-9]{1,20}", fullmatch=True)))
def test_numbers_that_are_told_are_what_arrow_reads(values: list[str]) -> None:
    array = pa.array(values, pa.string())
    assert are_plain_numbers(array).all()
    assert array.cast(pa.float64()).to_pylist() == [float(value) for value in values]
