"""Master keys in a keyring file, and their names."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.errors import KeyringError
from minimize.keys import Keyring, MasterKey, add_key, new_keyring
from minimize.keys.keyring import KEY_NAME, destroy_key
from minimize.keys.master_keys import KeyringKms, is_master_key, master_key_name

NOW = datetime(2026, 11, 25, tzinfo=UTC)

NAME = "encrypt.pseudonymized"

KEY = bytes(range(16))


@pytest.fixture(name="keys")
def _keys(tmp_path: Path) -> Path:
    return new_keyring(tmp_path / "a.keys", now=NOW).path


def kms(keys: Path, now: datetime | None = NOW) -> KeyringKms:
    return KeyringKms(Keyring.load(keys), now)


def test_a_key_comes_back_as_it_was_wrapped(keys: Path) -> None:
    found = kms(keys)
    master = found.newest(NAME)
    wrapped = found.wrap(KEY, master)
    assert kms(keys).unwrap(wrapped, master) == KEY
    assert KEY not in wrapped.encode()


def test_a_missing_master_key_is_created_once(keys: Path) -> None:
    assert kms(keys).newest(NAME) == kms(keys).newest(NAME) == MasterKey(NAME, 1)
    assert NAME in Keyring.load(keys).names()


def test_without_a_time_none_is_made(keys: Path) -> None:
    with pytest.raises(KeyringError, match="is not in the keyring"):
        kms(keys, None).newest(NAME)


def test_a_version_that_others_added_is_found(keys: Path) -> None:
    before = kms(keys)
    before.newest(NAME)
    add_key(keys, NAME, now=NOW)
    assert before.newest(NAME) == MasterKey(NAME, 2)


def test_another_version_does_not_unwrap(keys: Path) -> None:
    found = kms(keys)
    wrapped = found.wrap(KEY, found.newest(NAME))
    add_key(keys, NAME, now=NOW)
    with pytest.raises(KeyringError, match="the file key was not wrapped with"):
        found.unwrap(wrapped, MasterKey(NAME, 2))


@pytest.mark.parametrize("wrapped", ["", "AAAA", "no base64 at all", "Ä"])
def test_an_invalid_wrapped_key_is_refused(keys: Path, wrapped: str) -> None:
    found = kms(keys)
    with pytest.raises(KeyringError):
        found.unwrap(wrapped, found.newest(NAME))


def test_a_destroyed_version_unwraps_nothing_and_is_never_made_again(keys: Path) -> None:
    found = kms(keys)
    wrapped = found.wrap(KEY, found.newest(NAME))
    destroy_key(keys, NAME, 1, now=NOW)
    with pytest.raises(KeyringError, match="was destroyed"):
        kms(keys).unwrap(wrapped, MasterKey(NAME, 1))
    with pytest.raises(KeyringError, match="was destroyed"):
        kms(keys).newest(NAME)
    add_key(keys, NAME, now=NOW)
    assert kms(keys).newest(NAME) == MasterKey(NAME, 2)


def test_a_client_that_held_a_destroyed_key_cannot_unwrap_with_it(keys: Path) -> None:
    found = kms(keys)
    master = found.newest(NAME)
    wrapped = found.wrap(KEY, master)
    destroy_key(keys, NAME, 1, now=NOW)
    with pytest.raises(KeyringError, match="was destroyed"):
        found.unwrap(wrapped, master)


def test_a_keyring_that_is_gone_opens_nothing(keys: Path) -> None:
    found = kms(keys)
    master = found.newest(NAME)
    wrapped = found.wrap(KEY, master)
    keys.unlink()
    with pytest.raises(KeyringError, match="does not exist"):
        found.unwrap(wrapped, master)


def test_a_pickle_carries_the_path_and_no_key(keys: Path) -> None:
    found = kms(keys)
    wrapped = found.wrap(KEY, found.newest(NAME))
    pickled = pickle.dumps(found)
    assert Keyring.load(keys).bytes_of(NAME) not in pickled
    assert pickle.loads(pickled).unwrap(wrapped, MasterKey(NAME, 1)) == KEY


@given(st.text(max_size=200))
def test_every_tenant_has_a_key_that_a_keyring_can_name(tenant: str) -> None:
    assert KEY_NAME.fullmatch(master_key_name("pseudonymized", tenant))


@given(st.text(max_size=60), st.text(max_size=60))
def test_two_tenants_never_share_a_key(one: str, other: str) -> None:
    assert (master_key_name("identified", one) == master_key_name("identified", other)) == (one == other)


@given(st.text(max_size=60))
def test_an_id_names_its_version_again(tenant: str) -> None:
    master = MasterKey(master_key_name("identified", tenant), 7)
    assert MasterKey.parse(master.id) == master


@pytest.mark.parametrize(
    "text", ["", "device/1", "encrypt.x", "encrypt.x/0", "encrypt.x/-1", "encrypt.x/1/2", "encrypt./1"]
)
def test_an_invalid_master_key_name_is_refused(text: str) -> None:
    with pytest.raises(KeyringError):
        MasterKey.parse(text)


def test_keys_of_techniques_are_no_master_keys() -> None:
    assert [is_master_key(name) for name in ("device", "encrypt.footer", "encrypted")] == [False, True, False]
