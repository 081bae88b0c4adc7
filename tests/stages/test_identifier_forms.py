"""How a subject stands in a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from minimize.arrow.pointers import Pointer
from minimize.keys import Keyring, add_key, new_keyring
from minimize.policy.load import policy_from_mapping
from minimize.policy.model import Policy
from minimize.stages.identifier_forms import (
    IdentifierColumn,
    PinnedKeyring,
    pinned_keyring,
    rotation_units,
)

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture(name="keys")
def _keys(tmp_path: Path) -> Keyring:
    new_keyring(tmp_path / "k", ("device",), now=NOW)
    add_key(tmp_path / "k", "device", now=NOW)
    return Keyring.load(tmp_path / "k")


def policy(do: Any, type_: str = "string") -> Policy:
    fields = {"device": {"type": type_, "do": do}, "tenant": {"type": "string"}, "model": {"type": "string"}}
    said = {"policy": "p", "version": 1, "purposes": ["operations"], "tenant": "tenant", "time": "at"}
    return policy_from_mapping({**said, "fields": {**fields, "at": {"type": "timestamp"}}})


def forms(
    keys: Keyring, do: Any, type_: str = "string", key: str = "device/2", times: Any = (), value: str = "7"
) -> Any:
    schema = pa.schema([pa.field("device", pa.string(), metadata={"minimize:key": key})])
    return IdentifierColumn(
        policy(do, type_), "device", pinned_keyring(keys, schema, Pointer(("device",))), times
    ).forms(value, "north")


PSEUDONYM: Any = {"pseudonymize": {"key": "device", "per": "tenant"}}


@pytest.mark.parametrize(
    ("do", "is_injective"),
    [
        ("keep", True),
        (PSEUDONYM, True),
        ({"tokenize": {"key": "device"}}, True),
        ({"mask": {"keep_last": 4}}, False),
        ([{"map": {"values": {"7": "a"}}}, PSEUDONYM], False),
        ({"pseudonymize": {"key": "device", "per": "model"}}, False),
    ],
)
def test_injective_techniques_keep_subjects_distinct(keys: Keyring, do: Any, is_injective: bool) -> None:
    assert IdentifierColumn(policy(do), "device", PinnedKeyring(keys, {})).is_injective is is_injective


def test_a_kept_value_is_its_own_form(keys: Keyring) -> None:
    assert forms(keys, "keep") == {"7"}


def test_an_integer_is_an_integer_to_its_technique(keys: Keyring) -> None:
    assert forms(keys, "keep", "integer") == {"7"}
    assert forms(keys, PSEUDONYM, "integer") == forms(keys, PSEUDONYM)


def test_a_value_that_is_no_integer_has_no_form(keys: Keyring) -> None:
    assert forms(keys, "keep", "integer", value="d7") == frozenset()


def test_a_pseudonym_is_that_of_the_key_version_that_the_file_names(keys: Keyring) -> None:
    first, second = (forms(keys, PSEUDONYM, key=f"device/{version}") for version in (1, 2))
    assert len(first) == len(second) == 1
    assert first != second


def test_a_token_is_found_like_a_pseudonym(keys: Keyring) -> None:
    (token,) = forms(keys, {"tokenize": {"key": "device", "per": "tenant"}})
    assert token != "7"


def test_a_rotating_pseudonym_has_a_form_for_each_period(keys: Keyring) -> None:
    do = {"pseudonymize": {"key": "device", "per": "tenant", "rotate": "month"}}
    times = [NOW, NOW.replace(day=20), NOW.replace(month=6)]
    assert len(forms(keys, do, times=times)) == 2
    assert rotation_units(policy(do), "device") == {"month"}


def test_a_pseudonym_of_a_scope_that_is_not_known_cannot_be_found(keys: Keyring) -> None:
    assert forms(keys, {"pseudonymize": {"key": "device", "per": "model"}}) is None


def test_a_field_that_is_dropped_has_no_form(keys: Keyring) -> None:
    assert forms(keys, "drop") == frozenset()
