from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.arrow.pointers import Pointer
from minimize.drafting.values import (
    ENOUGH_VALUES,
    FEW_DISTINCT,
    SAMPLED_RECORDS,
    VALUE_KINDS,
    ValueSummary,
    contains_personal_data,
    kinds_of_value,
    summarize_source,
    summarize_values,
)

OF_A_KIND = {
    "email": "ann@example.com",
    "uuid": "5e9d8f9e-fd59-4b29-aee5-5c6f46360fc0",
    "hash": "5d41402abc4b2a76b9719d911017c592",
    "token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
    "opaque": "q7Zk2Lw9Xc4Vt8Rb1Np",
    "mac": "02:ad:46:f2:18:64",
    "ip": "2001:db8::1",
    "url": "https://example.com/a?b=c",
    "iban": "GB82WEST12345698765432",
    "imei": "001017006574951",
    "card": "4111111111111111",
    "position": "48.8566, 2.3522",
    "time": "2026-11-24T00:00:53.784Z",
    "version": "10.0.19045.3803",
    "phone": "+33639985825",
    "postal_code": "SW1A 1AA",
    "path": "C:\\Users\\ann\\notes.txt",
}


@pytest.mark.parametrize("kind", VALUE_KINDS)
def test_a_text_of_a_kind_is_recognized(kind: str) -> None:
    assert kind in kinds_of_value(OF_A_KIND[kind])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("001017006574952", "imei"),  # the check digit is another
        ("4111111111111112", "card"),
        ("GB82WEST12345698765431", "iban"),
        ("256.1.1.1", "ip"),
        ("write to ann@example.com", "email"),
        ("91.5, 2.3522", "position"),
        ("18.1", "version"),  # a number as well
        ("2026-13-01", "time"),
    ],
)
def test_a_text_that_only_resembles_a_kind_is_not_of_it(text: str, kind: str) -> None:
    assert kind not in kinds_of_value(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("{5E9D8F9E-FD59-4B29-AEE5-5C6F46360FC0}", "uuid"),
        ("urn:uuid:5e9d8f9e-fd59-4b29-aee5-5c6f46360fc0", "uuid"),
        ("2fd4e1c67a2d28fced849ee1bb76e7391b93eb12", "hash"),
        ("9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08", "hash"),
        ("n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=", "hash"),
        ("9774d56d682e549c", "opaque"),  # an Android ID: 64 bits in hexadecimal
        ("W9pX3b_k-2LmQ8vT1aZr7YcN", "opaque"),
    ],
)
def test_identifiers_without_meaning_are_recognized(text: str, kind: str) -> None:
    assert kind in kinds_of_value(text)


@pytest.mark.parametrize(
    "text",
    [
        "com.example.app.module2", "ConnectionTimeoutException404Handler", "SM-G998B", "2026-11-24T00:00:53",
        "portrait_secondary_2", "windows10-x64-19041-release", "12345678901234567890", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "en_US",
        "v2_beta_rollout_wave_3", "11111111111111111111111111111111", "MODEL2024PROMAXTITANIUM",
    ],
)  # fmt: skip
def test_words_and_numbers_are_no_identifiers_without_meaning(text: str) -> None:
    assert kinds_of_value(text).isdisjoint({"uuid", "hash", "token", "opaque"})


def test_something_personal_is_seen_within_a_text() -> None:
    assert contains_personal_data("call +33639985825 today")
    assert not contains_personal_data("the screen is black")


MANY = 2 * ENOUGH_VALUES


def test_values_nulls_and_distinct_ones_are_counted_over_all_columns() -> None:
    look = summarize_values([pa.array(["a", None, "b"]), pa.array(["b", "c"])])
    assert (look.values, look.nulls, look.distinct) == (4, 1, 3)


def test_a_dictionary_is_seen_by_what_its_rows_hold() -> None:
    held = pa.DictionaryArray.from_arrays(pa.array([0, 0, 0]), pa.array(["a", "ann@example.com"]))
    look = summarize_values([held])
    assert (look.distinct, look.kind) == (1, None)


@pytest.mark.parametrize(("others", "kind"), [(20, "email"), (30, None)])
def test_a_field_is_of_a_kind_where_four_of_five_distinct_values_are(others: int, kind: str | None) -> None:
    values = [f"p{number}@example.com" for number in range(80)] + [f"x{number}" for number in range(others)]
    assert summarize_values([pa.array(values)]).kind == kind


def test_whole_numbers_are_held_against_the_patterns() -> None:
    assert summarize_values([pa.array([1017006574951, 490154203237518, 356938035643809])]).kinds["imei"] >= 2 / 3


def test_nothing_but_nulls_is_empty() -> None:
    assert summarize_values([pa.array([None, None], pa.string())]).is_empty
    assert summarize_values([]) == ValueSummary(0, 0)


def test_few_values_give_no_statement_about_distinctness() -> None:
    look = summarize_values([pa.array(["a", "b", "c"])])
    assert look.is_thin
    assert not look.is_unique
    assert not look.is_few


def test_values_that_come_once_are_unique_and_values_that_come_again_are_few() -> None:
    assert summarize_values([pa.array([f"v{number}" for number in range(MANY)])]).is_unique
    assert summarize_values([pa.array([f"v{number % FEW_DISTINCT}" for number in range(MANY)])]).is_few


def test_several_words_are_prose_and_two_are_not() -> None:
    assert summarize_values([pa.array([f"the screen is black {number}" for number in range(MANY)])]).is_prose
    assert not summarize_values([pa.array([f"model {number}" for number in range(MANY)])]).is_prose


def test_a_text_is_classified_by_the_types_it_can_be_read_as() -> None:
    assert summarize_values([pa.array(["1", "2"])]).reads == ("integer", "double")
    assert summarize_values([pa.array(["2026-11-24", "2026-11-25"])]).reads == ("date",)


def test_binary_values_of_the_length_of_a_uuid_or_hash_are_hashes() -> None:
    ids = [bytes((number * 37 + place * 11) % 256 for place in range(16)) for number in range(20)]
    assert summarize_values([pa.array(ids)]).kind == "hash"
    assert summarize_values([pa.array([b"\x89PNG", b"\x89PNG\x00"])]).kind is None


def test_no_value_is_in_a_look() -> None:
    assert "canary" not in repr(summarize_values([pa.array(["canary@example.com", "canary"])]))


MAIL, TAG = Pointer.parse("mail"), Pointer.parse("/apps/*/tag")
ROWS: list[dict[str, object]] = [
    {"mail": f"p{number}@example.com", "apps": [{"tag": "a"}, {"tag": "b"}]} for number in range(10)
]


def ndjson(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("kind", ["ndjson", "parquet", "csv"])
def test_every_format_is_looked_at(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "ndjson":
        ndjson(path, ROWS)
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        path.write_text("mail\n" + "\n".join(str(row["mail"]) for row in ROWS) + "\n")
    looks = summarize_source(str(path), {MAIL: "string"})
    assert (looks[MAIL].values, looks[MAIL].kind) == (10, "email")


def test_leaves_below_lists_are_looked_at_element_by_element(tmp_path: Path) -> None:
    ndjson(tmp_path / "a.ndjson", ROWS)
    look = summarize_source(str(tmp_path), {TAG: "string"})[TAG]
    assert (look.values, look.distinct) == (20, 2)


def test_no_more_than_the_first_records_are_looked_at(tmp_path: Path) -> None:
    ndjson(tmp_path / "a.ndjson", [{"mail": "x"}] * (SAMPLED_RECORDS + 7))
    assert summarize_source(str(tmp_path), {MAIL: "string"})[MAIL].values == SAMPLED_RECORDS


def test_a_file_that_does_not_fit_is_passed_over(tmp_path: Path) -> None:
    pq.write_table(pa.table({"mail": [1, 2]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"mail": ["a@example.com"]}), tmp_path / "b.parquet")
    assert summarize_source(str(tmp_path), {MAIL: "string"})[MAIL].values == 1


def test_containers_are_not_looked_at(tmp_path: Path) -> None:
    ndjson(tmp_path / "a.ndjson", ROWS)
    assert summarize_source(str(tmp_path), {Pointer.parse("apps"): "list"}) == {}


def test_a_field_that_no_record_has_looks_empty(tmp_path: Path) -> None:
    ndjson(tmp_path / "a.ndjson", ROWS)
    gone = Pointer.parse("gone")
    assert summarize_source(str(tmp_path), {gone: "string"}) == {gone: ValueSummary(0, 10)}
