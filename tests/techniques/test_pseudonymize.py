from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.errors import KeyringError, PolicyError
from minimize.identifiers import canonical_text
from minimize.techniques import Context, TechniqueCache, treat
from minimize.techniques.base import FEW_ROWS
from minimize.techniques.pseudonymize import FEW_HASHES, Pseudonymize, base32_letters, letters_as_texts


@given(st.lists(st.binary(min_size=20, max_size=20)))
def test_it_agrees_with_the_standard_library(values: list[bytes]) -> None:
    rows = np.frombuffer(b"".join(values), np.uint8).reshape(-1, 20)
    made = letters_as_texts(base32_letters(rows))
    made.validate(full=True)
    assert made.to_pylist() == [base64.b32encode(value).decode().lower() for value in values]


def test_many_rows_in_one_call_also_agree_with_the_standard_library() -> None:
    values = [bytes([first, second, 3, 4, 5]) for first in range(20) for second in (0, 128, 255)]
    rows = np.frombuffer(b"".join(values), np.uint8).reshape(-1, 5)
    assert len(rows) >= FEW_HASHES
    assert letters_as_texts(base32_letters(rows)).to_pylist() == [
        base64.b32encode(value).decode().lower() for value in values
    ]


Run = Callable[..., list[Any]]
DEVICE = Pseudonymize(key="device")
PER = Pseudonymize(key="device", per="tenant")


def by_hand(key: bytes, *parts: bytes) -> str:
    """HMAC-SHA-256 over length-prefixed parts, 160 bits in base32."""
    message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return base64.b32encode(hmac.new(key, message, hashlib.sha256).digest()[:20]).decode().lower()


def of(technique: Pseudonymize, values: list[Any], context: Context) -> list[Any]:
    released: list[Any] = technique.apply(pa.array(values), context).values.to_pylist()
    return released


def test_a_pseudonym_is_a_keyed_hash_of_domain_scope_and_value(run: Run, context: Context) -> None:
    assert context.keys is not None
    key = context.keys.bytes_of("device")
    plain = by_hand(key, b"minimize pseudonymize 1", b"field:f", b"per:False rotate:None", b"tABC-1")
    scoped = by_hand(key, b"minimize pseudonymize 1", b"field:f", b"per:True rotate:None", b"tacme", b"tABC-1")
    assert run(DEVICE, ["ABC-1"]) == [plain]
    assert run(PER, ["ABC-1"], tenant=["acme"]) == [scoped]


def test_all_are_32_letters_and_digits_long(run: Run) -> None:
    pseudonyms = run(DEVICE, ["", "a", "a" * 1000, "é"])
    assert {len(each) for each in pseudonyms} == {32}
    assert set("".join(pseudonyms)) <= set("abcdefghijklmnopqrstuvwxyz234567")


def test_forms_that_mean_the_same_are_the_same(run: Run) -> None:
    assert len(set(run(DEVICE, ["é", "e\u0301", " é\t", "\u2003é"]))) == 1
    assert len(set(run(DEVICE, ["x", " x", "x\x1c\n"]))) == 1
    assert run(DEVICE, [42]) == run(DEVICE, ["42"]) == run(DEVICE, [42], pa.uint8())


def test_case_counts_unless_it_is_folded(run: Run) -> None:
    assert len(set(run(DEVICE, ["Ann", "ANN"]))) == 2
    assert len(set(run(Pseudonymize(key="device", fold=True), ["Ann", "ANN"]))) == 1
    assert len(set(run(Pseudonymize(key="device", fold=True), ["straße", "STRASSE"]))) == 1


def test_bytes_differ_from_the_same_text(run: Run) -> None:
    assert run(DEVICE, [b"abc"]) != run(DEVICE, ["abc"])
    assert run(DEVICE, [b" abc"]) != run(DEVICE, [b"abc"])
    assert run(DEVICE, [b"abcd"], pa.binary(4)) == run(DEVICE, [b"abcd"], pa.large_binary())


def test_fields_do_not_link_unless_a_link_is_declared(context: Context) -> None:
    other = replace(context, field="g")
    linked = Pseudonymize(key="device", link="device")
    assert of(DEVICE, ["a"], context) != of(DEVICE, ["a"], other)
    assert of(linked, ["a"], context) == of(linked, ["a"], other)
    assert of(Pseudonymize(key="device", link="f"), ["a"], context) != of(DEVICE, ["a"], context)


def test_tenants_and_keys_do_not_link(run: Run) -> None:
    one, two = run(PER, ["a", "a"], tenant=["t1", "t2"])
    assert len({one, two, *run(DEVICE, ["a"]), *run(Pseudonymize(key="other"), ["a"])}) == 4


def test_where_a_value_ends_and_the_tenant_begins_counts(run: Run) -> None:
    assert len(set(run(PER, ["ab", "b"], tenant=["c", "ca"]))) == 2


def test_a_null_tenant_cannot_be_treated(run: Run, untreated: Run) -> None:
    assert run(PER, ["a", None], tenant=pa.array([None, None], pa.string())) == [None, None]
    assert untreated(PER, ["a", None], tenant=pa.array([None, None], pa.string())) == [True, False]


@pytest.mark.parametrize(
    ("rotate", "same", "other"),
    [
        ("day", timedelta(hours=11, minutes=59), timedelta(hours=12)),
        ("week", timedelta(days=4), timedelta(days=5)),
        ("month", timedelta(days=5), timedelta(days=6)),
        ("quarter", timedelta(days=36), timedelta(days=37)),
        ("year", timedelta(days=36), timedelta(days=37)),
    ],
)
def test_pseudonyms_rotate_with_the_utc_period(
    context: Context, rotate: Any, same: timedelta, other: timedelta
) -> None:
    start = datetime(2026, 11, 25, 12, tzinfo=UTC)
    times = pa.array([start, start + same, start + other, None], pa.timestamp("ms", "America/New_York"))
    treated = Pseudonymize(key="device", rotate=rotate).apply(pa.array(["a"] * 4), replace(context, time=times))
    first, second, third, last = treated.values.to_pylist()
    assert first == second != third
    assert last is None
    assert treated.untreated is not None
    assert treated.untreated.to_pylist() == [False, False, False, True]


def test_rotation_without_a_time_is_a_fault_of_the_policy(context: Context) -> None:
    with pytest.raises(PolicyError):
        Pseudonymize(key="device", rotate="day").apply(pa.array(["a"]), context)


def test_a_missing_key_or_keyring_is_refused(context: Context) -> None:
    for where, key in ((replace(context, keys=None), "device"), (context, "lost")):
        with pytest.raises(KeyringError):
            Pseudonymize(key=key).apply(pa.array(["a"]), where)


def test_a_dictionary_is_treated_by_entry_even_with_a_tenant(context: Context) -> None:
    tenants = pa.array(["t1", "t2", None, "t1"]).dictionary_encode()
    where = replace(context, columns={"tenant": tenants})
    plain = pa.array(["a", "a", "b", " a"])
    encoded = treat(PER, plain.dictionary_encode(), where)
    assert pa.types.is_dictionary(encoded.values.type)
    assert len(encoded.values.dictionary) == 2
    assert encoded.values.to_pylist() == PER.apply(plain, where).values.to_pylist()


def test_a_memo_changes_nothing(context: Context) -> None:
    memo = TechniqueCache()
    where = replace(context, cache=memo)
    first = of(DEVICE, ["a", "b"], where)
    assert len(memo) == 2
    assert of(DEVICE, ["b", "c", "a"], where) == [first[1], *of(DEVICE, ["c"], context), first[0]]
    assert of(Pseudonymize(key="other"), ["a"], where) == of(Pseudonymize(key="other"), ["a"], context)


def test_a_subject_is_found_again_by_the_same_code(run: Run, context: Context) -> None:
    assert [DEVICE.pseudonym_of(42, context)] == run(DEVICE, ["42"])
    assert [PER.pseudonym_of("a", context, per="t1")] == run(PER, ["a"], tenant=["t1"])
    rotating = Pseudonymize(key="device", rotate="month")
    one = rotating.pseudonym_of("a", context, time=datetime(2026, 11, 1, tzinfo=UTC))
    assert one == rotating.pseudonym_of("a", context, time=datetime(2026, 11, 30, tzinfo=UTC))
    assert PER.pseudonym_of("a", context) is None


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=20))
def test_equal_exactly_where_the_canonical_values_are(run: Run, texts: list[str]) -> None:
    forms = [canonical_text(text) for text in texts]
    pseudonyms = run(DEVICE, texts, pa.string())
    assert [pseudonyms.index(each) for each in pseudonyms] == [forms.index(form) for form in forms]


@pytest.mark.parametrize(
    "technique", [DEVICE, PER, Pseudonymize(key="device", per="tenant", rotate="month", fold=True)]
)
@pytest.mark.parametrize("encode", [False, True])
def test_many_rows_get_the_pseudonyms_that_few_do(technique: Pseudonymize, encode: bool, context: Context) -> None:
    values = pa.array(["a", " A", None, "e\u0301", "b"])
    tenants = pa.array(["t", "u", "t", None, "t"])
    times = pa.array([datetime(2026, month, 3, tzinfo=UTC) for month in (1, 2, 3, 4, 5)], pa.timestamp("us", "UTC"))
    made = []
    for times_over in (1, FEW_ROWS):
        columns = {"tenant": pa.concat_arrays([tenants] * times_over)}
        where = replace(context, columns=columns, time=pa.concat_arrays([times] * times_over), cache=TechniqueCache())
        given_ = pa.concat_arrays([values] * times_over)
        made.append(treat(technique, given_.dictionary_encode() if encode else given_, where))
    few, many = made
    assert many.values.to_pylist() == few.values.to_pylist() * FEW_ROWS
    assert (few.untreated is None) == (many.untreated is None)
    if few.untreated is not None and many.untreated is not None:
        assert many.untreated.to_pylist() == few.untreated.to_pylist() * FEW_ROWS


def test_a_second_name_is_made_of_the_names_that_rows_have_and_of_no_others(context: Context) -> None:
    memo, second = TechniqueCache(), Pseudonymize(key="device", link="second")
    where = replace(context, cache=memo)
    for first in range(0, 8 * FEW_ROWS, FEW_ROWS):
        batch = pa.array([f"d{number % (2 * FEW_ROWS)}" for number in range(first, first + 2 * FEW_ROWS)])
        treat(second, treat(DEVICE, batch, where).values, where)
    assert len(memo) == 2 * 2 * FEW_ROWS
