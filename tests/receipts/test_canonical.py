from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from minimize.receipts import canonical_json, new_run_id, sha256_text
from minimize.times import time_text

AT = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda each: st.lists(each, max_size=4) | st.dictionaries(TEXTS, each, max_size=4),
    max_leaves=12,
)


def test_run_ids_are_safe_and_never_come_twice() -> None:
    made = {new_run_id(AT) for _ in range(200)}
    assert len(made) == 200
    assert all(re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{12}", each) for each in made)


def test_run_ids_sort_by_time() -> None:
    assert new_run_id(AT, "f" * 12) < new_run_id(AT + timedelta(seconds=1), "0" * 12)


def test_times_are_written_in_utc() -> None:
    assert time_text(datetime(2026, 11, 25, 1, tzinfo=timezone(timedelta(hours=1)))) == "2026-11-25T00:00:00Z"


def test_a_digest_is_of_the_published_vector() -> None:
    assert sha256_text(b"abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_canonical_json_follows_the_published_order_and_numbers() -> None:
    assert canonical_json({"\u20ac": 1, "\r": 2, "1": 3, "\u0080": [4.50, 1e30]}).decode() == (
        '{"\\r":2,"1":3,"\u0080":[4.5,1e+30],"\u20ac":1}'
    )


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_canonical_bytes_are_those_of_the_reference_implementation(document: dict[str, Any]) -> None:
    assert canonical_json(document) == rfc8785.dumps(document)


@pytest.mark.parametrize("value", [2**53, float("nan"), float("inf"), "\ud800", [{"a": -(2**53)}]])
def test_a_value_without_a_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - errors of two encoders
        canonical_json({"a": value})


@given(st.dictionaries(TEXTS, st.one_of(TEXTS, INTEGERS, st.none(), st.booleans())))
def test_canonical_bytes_do_not_depend_on_the_order_of_keys(document: dict[str, object]) -> None:
    assert canonical_json(document) == canonical_json(dict(reversed(document.items())))
