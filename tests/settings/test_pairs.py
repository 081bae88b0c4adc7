"""The distinct pairs of tenant and subject."""

from __future__ import annotations

import pyarrow as pa
import pytest

from minimize.errors import KeyringError
from minimize.settings.columns import SubjectPairs, check_token_keys

TENANTS = pa.array(["a", "b", "a", None, "a", "a"])
SUBJECTS = pa.array(["1", "1", "2", "1", None, "1"])


@pytest.mark.parametrize("encoded", [False, True])
def test_pairs_of_the_tenants_concerned_stand_once_with_their_records(encoded: bool) -> None:
    tenants, subjects = (each.dictionary_encode() if encoded else each for each in (TENANTS, SUBJECTS))
    pairs = SubjectPairs.from_columns(tenants, subjects, {"a"})
    found = dict(zip(pairs.rows.tolist(), (pairs.names[place] for place in pairs.places), strict=True))
    assert found == {0: ("a", "1"), 2: ("a", "2"), 5: ("a", "1")}
    assert len(pairs.names) == 2


def test_numbers_are_spelled_as_settings_spell_them() -> None:
    assert SubjectPairs.from_columns(pa.array([7]), pa.array([42]), {"7"}).names == [("7", "42")]


def test_nobody_is_printed() -> None:
    assert "1" not in repr(SubjectPairs.from_columns(TENANTS, SUBJECTS, {"a"}))


def test_a_key_that_is_missing_is_refused() -> None:
    check_token_keys({1}, {1: b"", 2: b""})
    with pytest.raises(KeyringError):
        check_token_keys({1, 2}, {1: b""})
