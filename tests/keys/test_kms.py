"""Who keeps the master keys is found when they are first needed."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest

from minimize.errors import KeyringError
from minimize.keys import Keyring, find_kms, new_keyring
from minimize.keys.master_keys import KeyringKms

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def test_nothing_is_looked_for_before_a_key_is_asked_for(tmp_path: Path) -> None:
    found = find_kms(tmp_path / "not there")
    with pytest.raises(KeyringError, match="cannot be read"):
        found.newest("encrypt.footer")


def test_without_a_keyring_it_says_how_to_give_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIMIZE_KEYS", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyringError, match="MINIMIZE_KEYS"):
        find_kms(start=tmp_path).newest("encrypt.footer")


def test_a_keyring_and_its_path_are_the_same(tmp_path: Path) -> None:
    keyring = new_keyring(tmp_path / "a.keys", now=NOW)
    master = find_kms(keyring, now=NOW).newest("encrypt.footer")
    wrapped = find_kms(keyring.path).wrap(bytes(16), master)
    assert find_kms(Keyring.load(keyring.path)).unwrap(wrapped, master) == bytes(16)


def test_who_keeps_master_keys_stays_who_it_is(tmp_path: Path) -> None:
    kms = KeyringKms(new_keyring(tmp_path / "a.keys", now=NOW))
    assert find_kms(kms) is kms


def test_a_pickle_carries_no_key(tmp_path: Path) -> None:
    keyring = new_keyring(tmp_path / "a.keys", now=NOW)
    found = find_kms(keyring, now=NOW)
    found.newest("encrypt.footer")
    secret = Keyring.load(keyring.path).bytes_of("encrypt.footer")
    pickled = pickle.dumps(found)
    assert secret not in pickled
    assert pickle.loads(pickled).newest("encrypt.footer").version == 1
