from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.arrow.types import (
    accepts_type,
    arrow_type,
    decimal_digits,
    describe_type,
    exact_decimal,
    have_same_shape,
    parse_text,
    parse_texts,
    parse_timestamp,
    storage_type,
    type_word,
)
from tests.hypothesis_profiles import examples

SHAPE = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[-+]([01][0-9]|2[0-3]):[0-5][0-9])$"

FIRST = "2026-11-24T10:00:00+02:00"


@pytest.mark.parametrize(
    "texts", [[], [None], [FIRST], [FIRST, None, "2025-01-02T23:59:59+02:00"], ["2026-11-24T10:00:00.250Z"] * 3]
)
def test_times_with_the_form_of_the_first_have_the_same_shape(texts: list[str | None]) -> None:
    assert have_same_shape(pa.array(texts, pa.string()), SHAPE)


@pytest.mark.parametrize(
    "other",
    [
        "",
        "2026-11-24T10:00:00Z",
        "2026-11-24 10:00:00+02:00",
        "2026-11-24T10:00:00-02:00",
        "2026-11-24T10:00:00+99:00",
        "9026-11-24T10:00:00+02:00",
        "2026-11-24T1é:00:00+02:00"[:24] + "0",
        "2026-11-24T10:00:0:+02:00",
        "2026-11-24T10:00:0/+02:00",
    ],
)
def test_one_that_is_not_like_the_first_is_seen(other: str) -> None:
    assert not have_same_shape(pa.array([FIRST, FIRST, other]), SHAPE)
    assert not have_same_shape(pa.array([FIRST, other, FIRST]), SHAPE)


def test_times_of_another_form_do_not_have_the_shape() -> None:
    assert not have_same_shape(pa.array(["yesterday"] * 2), SHAPE)


def test_a_slice_is_looked_at_alone() -> None:
    texts = pa.array(["x", FIRST, FIRST, "y"])
    assert have_same_shape(texts.slice(1, 2), SHAPE)
    assert not have_same_shape(texts.slice(1, 3), SHAPE)


moments = st.sampled_from([FIRST, "2026-11-24T10:00:00Z", "2026-13-24T10:00:00Z", "2026-02-30T10:00:00Z"])

near = st.tuples(moments, st.integers(0, 25), st.sampled_from("0139:TZ+-./ é")).map(
    lambda one: one[0][: one[1]] + one[2] + one[0][one[1] + 1 :]
)


@given(st.lists(moments | near | st.none(), max_size=4))
def test_times_read_in_a_batch_equal_those_read_one_by_one(texts: list[str | None]) -> None:
    values, bad = parse_texts(pa.array(texts, pa.string()), "timestamp")
    alone = [None if text is None else parse_text(text, "timestamp") for text in texts]
    assert values.cast(pa.int64()).to_pylist() == alone
    assert bad.tolist() == [text is not None and value is None for text, value in zip(texts, alone, strict=True)]


WORDS = ["string", "boolean", "integer", "double", "decimal(6,2)", "timestamp", "date", "binary"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-24T10:00:00Z", datetime(2026, 11, 24, 10, tzinfo=UTC)),
        ("2026-11-24t10:00:00z", datetime(2026, 11, 24, 10, tzinfo=UTC)),
        ("2026-11-24 10:00:00+02:00", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        ("2026-11-24T10:00:00-0130", datetime(2026, 11, 24, 11, 30, tzinfo=UTC)),
        ("2026-11-24T10:00+01", datetime(2026, 11, 24, 9, tzinfo=UTC)),
        ("2026-11-24T10:00", datetime(2026, 11, 24, 10, tzinfo=UTC)),
        ("2026-11-24T10:00:00.5", datetime(2026, 11, 24, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-24T10:00:00.123456789Z", datetime(2026, 11, 24, 10, 0, 0, 123_456, tzinfo=UTC)),
        ("1969-12-31T23:59:59.9999999Z", datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_iso_8601_and_rfc_3339_times_are_read_to_the_microsecond(text: str, moment: datetime) -> None:
    values, bad = parse_texts(pa.array([text]), "timestamp")
    assert values.to_pylist() == [moment]
    assert not bad.any()


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24",
        "2026-11-24T10",
        "2026-02-30T10:00:00Z",
        "2026-11-24T24:00:00Z",
        "2026-11-24T23:59:60Z",
        "2026-11-24T10:00:00,5Z",
        "2026-11-24T10:00:00.1234567890Z",
        "2026-11-24T10:00:00+24:00",
        "2026-11-24T10:00:00+01:60",
        "2026-11-24T10:00.5Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "٢٠٢٦-11-24T10:00:00Z",
        " 2026-11-24T10:00:00Z",
        "2026-11-24T10:00:00Z\n",
        "1700000000",
        "",
    ],
)
def test_a_text_that_is_no_timestamp_is_marked(text: str) -> None:
    values, bad = parse_texts(pa.array([text]), "timestamp")
    assert (values.to_pylist(), bad.tolist()) == ([None], [True])


@pytest.mark.parametrize(
    ("word", "good", "bad"),
    [
        ("integer", ["0", "-5", "9223372036854775807"], ["1.0", "1e3", "", " 1", "9223372036854775808", "0x1", "٣"]),
        ("double", ["1", "-0.5", "1e10", "1E-3"], ["nan", "inf", "1e999", ".5", "1.", "0x1p3", "1_0", "1" * 500]),
        ("boolean", ["true", "false"], ["True", "1", "yes"]),
        ("decimal(6,2)", ["1234.5", "0.10", "-9999.99", "1e3", "0e99"], ["12345", "0.001", "x", "1e99"]),
        ("date", ["2026-02-28", "0001-01-01"], ["2026-02-29", "20260228", "2026-2-8", "0000-01-01"]),
        ("binary", ["YQ==", ""], ["YQ", "%%%%", "é"]),
    ],
)
def test_text_is_read_strictly(word: str, good: list[str], bad: list[str]) -> None:
    values, faulty = parse_texts(pa.array([*good, *bad, None]), word)
    assert faulty.tolist() == [False] * len(good) + [True] * len(bad) + [False]
    assert [value is None for value in values.to_pylist()] == [*faulty.tolist()[:-1], True]


@settings(max_examples=examples(150))
@given(
    word=st.sampled_from(WORDS),
    texts=st.lists(
        st.none()
        | st.text(max_size=6)
        | st.from_regex(
            r"[0-9]{4}-[01][0-9]-[0-3][0-9]"
            r"([T ][0-2][0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{1,9})?)?(Z|[+-][0-3][0-9]:?[0-6][0-9])?)?",
            fullmatch=True,
        )
        | st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{1,4})?(e-?[0-9]{1,3})?", fullmatch=True)
        | st.datetimes().map(lambda when: when.isoformat() + "Z")
        | st.dates().map(str),
        max_size=6,
    ),
)
def test_a_whole_column_is_read_as_its_values_one_by_one(word: str, texts: list[str | None]) -> None:
    values, bad = parse_texts(pa.array(texts, pa.string()), word)
    each = [None if text is None else parse_text(text, word) for text in texts]
    assert values.equals(pa.array(each, values.type))
    assert bad.tolist() == [text is not None and value is None for text, value in zip(texts, each, strict=True)]


def test_microseconds_count_from_1970() -> None:
    assert parse_timestamp("1970-01-01T00:00:01Z") == 1_000_000


def test_a_decimal_keeps_every_digit_or_is_refused() -> None:
    assert exact_decimal(Decimal("1.5"), 3, 2) == Decimal("1.50")
    assert exact_decimal(Decimal("-0.0"), 3, 2) == Decimal("0.00")
    assert exact_decimal(Decimal("0.001"), 3, 2) is None
    assert exact_decimal(Decimal("10.00"), 3, 2) is None
    assert exact_decimal(Decimal("NaN"), 3, 2) is None
    assert exact_decimal(Decimal("1e400"), 3, 2) is None


def test_a_date_is_a_day() -> None:
    assert parse_texts(pa.array(["2026-11-24"]), "date")[0].to_pylist() == [date(2026, 11, 24)]


def test_one_odd_time_among_many_is_read_with_them() -> None:
    texts = pa.array(["2026-11-24T10:00:00Z"] * 5 + ["noon", None, "2026-11-24 12:00"])
    values, bad = parse_texts(texts, "timestamp")
    assert bad.tolist() == [False] * 5 + [True, False, False]
    assert values.is_null().to_pylist() == [False] * 5 + [True, True, False]
    assert values[7].as_py().isoformat() == "2026-11-24T12:00:00+00:00"


TYPE_WORDS = [
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


@pytest.mark.parametrize("word", TYPE_WORDS)
def test_a_word_accepts_its_own_arrow_type_and_no_other_word_does(word: str) -> None:
    assert [other for other in TYPE_WORDS if accepts_type(other, arrow_type(word))] == [word]
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


def test_a_type_without_a_policy_name_is_described_by_its_arrow_name() -> None:
    assert describe_type(pa.duration("s")).startswith("duration[s]")
    assert describe_type(pa.int8()) == "integer"


def test_the_plain_type_is_behind_every_encoding() -> None:
    assert storage_type(pa.run_end_encoded(pa.int32(), pa.string())) == pa.string()
    assert storage_type(pa.uuid()) == pa.binary(16)
