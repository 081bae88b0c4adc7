from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from minimize.errors import KeyringError
from minimize.keys import Keyring, add_key, new_keyring
from minimize.stores.file_operations import sync_folder

NOW = datetime(2026, 11, 25, tzinfo=UTC)
LATER = datetime(2026, 12, 1, tzinfo=UTC)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_keyring_has_the_named_keys_and_signing_and_subject(tmp_path: Path) -> None:
    keyring = new_keyring(tmp_path / "a.keys", ["device", "phone", "device"], now=NOW)
    assert keyring.names() == ("device", "phone", "signing", "subject")
    assert {line.version for line in keyring.listing()} == {1}


def test_every_key_is_its_own(tmp_path: Path) -> None:
    keyring = new_keyring(tmp_path / "a.keys", ["device"], now=NOW)
    assert len({keyring.bytes_of(name) for name in keyring.names()}) == 3


def test_a_new_keyring_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        new_keyring(tmp_path / "a.keys", now=NOW)
    finally:
        os.umask(before)
    assert _mode(tmp_path / "a.keys") == 0o600


def test_a_keyring_is_never_overwritten(tmp_path: Path) -> None:
    new_keyring(tmp_path / "a.keys", now=NOW)
    content = (tmp_path / "a.keys").read_bytes()
    with pytest.raises(KeyringError, match="never overwritten") as caught:
        new_keyring(tmp_path / "a.keys", now=NOW)
    assert caught.value.exit_code == 2
    assert (tmp_path / "a.keys").read_bytes() == content


def test_a_keyring_in_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="No such file"):
        new_keyring(tmp_path / "none" / "a.keys", now=NOW)


@pytest.mark.parametrize("name", ["", "a/b", "1a", "a b", "x" * 65])
def test_a_name_that_is_none_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyringError, match="a key's name"):
        new_keyring(tmp_path / "a.keys", [name], now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_added_beside_the_others(tmp_path: Path) -> None:
    before = new_keyring(tmp_path / "a.keys", ["device"], now=NOW)
    after = add_key(tmp_path / "a.keys", "phone", now=LATER)
    assert after.names() == ("device", "phone", "signing", "subject")
    assert after.bytes_of("device") == before.bytes_of("device")
    assert _mode(tmp_path / "a.keys") == 0o600


def test_a_second_version_leaves_the_first_in_place(tmp_path: Path) -> None:
    before = new_keyring(tmp_path / "a.keys", ["device"], now=NOW)
    after = add_key(tmp_path / "a.keys", "device", now=LATER)
    assert after.version_of("device") == 2
    assert after.bytes_of("device", 1) == before.bytes_of("device")
    assert after.bytes_of("device") != before.bytes_of("device")
    assert [line.created for line in after.listing() if line.name == "device"] == [NOW, LATER]


def test_adding_leaves_no_other_file_behind(tmp_path: Path) -> None:
    new_keyring(tmp_path / "a.keys", now=NOW)
    add_key(tmp_path / "a.keys", "phone", now=LATER)
    assert [path.name for path in tmp_path.iterdir()] == ["a.keys"]


def test_adding_to_a_link_replaces_what_it_points_to(tmp_path: Path) -> None:
    new_keyring(tmp_path / "a.keys", now=NOW)
    (tmp_path / "link.keys").symlink_to("a.keys")
    add_key(tmp_path / "link.keys", "phone", now=LATER)
    assert (tmp_path / "link.keys").is_symlink()
    assert "phone" in Keyring.load(tmp_path / "a.keys").names()


def test_adding_to_no_keyring_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="No such file"):
        add_key(tmp_path / "a.keys", "phone", now=LATER)
    with pytest.raises(KeyringError, match="was not changed"):
        add_key(tmp_path / "none" / "a.keys", "phone", now=LATER)


def test_adding_a_name_that_is_none_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    new_keyring(tmp_path / "a.keys", now=NOW)
    content = (tmp_path / "a.keys").read_bytes()
    with pytest.raises(KeyringError, match="a key's name"):
        add_key(tmp_path / "a.keys", "no/name", now=LATER)
    assert (tmp_path / "a.keys").read_bytes() == content


def test_the_file_is_json_with_a_version(tmp_path: Path) -> None:
    new_keyring(tmp_path / "a.keys", ["device"], now=NOW)
    document = json.loads((tmp_path / "a.keys").read_text())
    assert document["keyring"] == 1
    assert document["keys"]["device"][0]["created"] == "2026-11-25T00:00:00Z"


def test_a_folder_that_is_synced_stays(tmp_path: Path) -> None:
    sync_folder(tmp_path)
    assert tmp_path.is_dir()
