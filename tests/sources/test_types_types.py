""""""

from __future__ import annotations

import pyarrow as pa
import pytest

from minimize.arrow.types import accepts_type, arrow_type, decimal_digits, describe_type, storage_type, type_word

WORDS = [
    "string",
    "boolean",
    "integer",
    "double",
    "decimal(10,2)",
    "timestamp",
    "date",
    "binary",
    "list",
    "struct",
    "map",
]


@pytest.mark.parametrize("word", WORDS)
def test_a_word_accepts_its_own_arrow_type_and_no_other_word_does(word: str) -> None:
    assert [other for other in WORDS if accepts_type(other, arrow_type(word))] == [word]
    assert type_word(arrow_type(word)) == word


@pytest.mark.parametrize(
    ("word", "type_"),
    [
        ("string", pa.large_string()),
        ("string", pa.string_view()),
        ("string", pa.dictionary(pa.int8(), pa.string())),
        ("integer", pa.uint8()),
        ("double", pa.float16()),
        ("timestamp", pa.timestamp("ns")),
        ("timestamp", pa.timestamp("s", "Europe/Paris")),
        ("date", pa.date64()),
        ("binary", pa.binary(4)),
        ("list", pa.large_list(pa.int8())),
        ("list", pa.list_(pa.int8(), 2)),
        ("decimal(10,2)", pa.decimal128(5, 2)),
        ("string", pa.null()),
        ("binary", pa.uuid()),
    ],
)
def test_any_width_of_a_family_is_accepted(word: str, type_: pa.DataType) -> None:
    assert accepts_type(word, type_)


@pytest.mark.parametrize(
    ("word", "type_"),
    [
        ("string", pa.binary()),
        ("integer", pa.float64()),
        ("double", pa.int64()),
        ("timestamp", pa.date32()),
        ("decimal(10,2)", pa.decimal128(10, 3)),
        ("decimal(10,2)", pa.decimal128(12, 2)),
        ("string", pa.duration("s")),
    ],
)
def test_another_family_or_more_digits_is_not(word: str, type_: pa.DataType) -> None:
    assert not accepts_type(word, type_)


def test_a_timestamp_is_in_microseconds_utc() -> None:
    assert arrow_type("timestamp") == pa.timestamp("us", "UTC")


def test_many_digits_take_the_wide_decimal() -> None:
    assert arrow_type("decimal(50, 4)") == pa.decimal256(50, 4)
    assert decimal_digits("decimal(7)") == (7, 0)


@pytest.mark.parametrize("word", ["decimal(0,0)", "decimal(80,2)", "decimal(3,4)", "text", "decimal"])
def test_a_word_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"The types are|precision of a decimal"):
        arrow_type(word)


def test_what_no_policy_names_is_told_by_arrows_word() -> None:
    assert describe_type(pa.duration("s")).startswith("duration[s]")
    assert describe_type(pa.int8()) == "integer"


def test_the_plain_type_is_behind_every_encoding() -> None:
    assert storage_type(pa.run_end_encoded(pa.int32(), pa.string())) == pa.string()
    assert storage_type(pa.uuid()) == pa.binary(16)
