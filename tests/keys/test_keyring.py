from __future__ import annotations

import base64
import copy
import json
import os
import pickle
import stat
import traceback
from datetime import UTC, datetime
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest

from minimize.errors import KeyringError
from minimize.keys import Keyring, add_key, new_keyring
from minimize.stores.file_operations import sync_folder

NOW = datetime(2026, 11, 25, tzinfo=UTC)
LATER = datetime(2026, 12, 1, tzinfo=UTC)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_keyring_has_the_named_keys_and_those_that_every_keyring_needs(tmp_path: Path) -> None:
    keyring = new_keyring(tmp_path / "a.keys", ["device", "phone", "device"], now=NOW)
    assert keyring.names() == ("device", "noise", "phone", "signing", "subject")
    assert {line.version for line in keyring.listing()} == {1}


def test_every_key_is_its_own(tmp_path: Path) -> None:
    keyring = new_keyring(tmp_path / "a.keys", ["device"], now=NOW)
    assert len({keyring.bytes_of(name) for name in keyring.names()}) == 4


def test_a_new_keyring_is_readable_by_its_owner_only_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        new_keyring(tmp_path / "a.keys", now=NOW)
    finally:
        os.umask(before)
    assert _mode(tmp_path / "a.keys") == 0o600


def test_a_keyring_is_never_overwritten(tmp_path: Path) -> None:
    new_keyring(tmp_path / "a.keys", now=NOW)
    content = (tmp_path / "a.keys").read_bytes()
    with pytest.raises(KeyringError, match="is not overwritten") as caught:
        new_keyring(tmp_path / "a.keys", now=NOW)
    assert caught.value.exit_code == 2
    assert (tmp_path / "a.keys").read_bytes() == content


def test_a_keyring_in_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="does not exist"):
        new_keyring(tmp_path / "none" / "a.keys", now=NOW)


@pytest.mark.parametrize("name", ["", "a/b", "1a", "a b", "x" * 65])
def test_a_name_that_is_none_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyringError, match="the name of a key"):
        new_keyring(tmp_path / "a.keys", [name], now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_added_to_the_others(tmp_path: Path) -> None:
    before = new_keyring(tmp_path / "a.keys", ["device"], now=NOW)
    after = add_key(tmp_path / "a.keys", "phone", now=LATER)
    assert after.names() == ("device", "noise", "phone", "signing", "subject")
    assert after.bytes_of("device") == before.bytes_of("device")
    assert _mode(tmp_path / "a.keys") == 0o600


def test_a_second_version_leaves_the_first_in_place(tmp_path: Path) -> None:
    before = new_keyring(tmp_path / "a.keys", ["device"], now=NOW)
    after = add_key(tmp_path / "a.keys", "device", now=LATER)
    assert after.version_of("device") == 2
    assert after.bytes_of("device", 1) == before.bytes_of("device")
    assert after.bytes_of("device") != before.bytes_of("device")
    assert [line.created for line in after.listing() if line.name == "device"] == [NOW, LATER]


def test_a_second_version_of_the_noise_is_refused_and_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    path = new_keyring(tmp_path / "keys", now=NOW).path
    before = path.read_bytes()
    with pytest.raises(KeyringError, match="has the key `noise` already") as caught:
        add_key(path, "noise", now=NOW)
    assert "Keep the key" in caught.value.hint
    assert path.read_bytes() == before


def test_an_older_keyring_gets_its_key_of_noise_once(tmp_path: Path) -> None:
    path = _write(tmp_path / "keys", {"keyring": 1, "keys": {"device": [_line(base64.b64encode(b"d" * 32).decode())]}})
    with pytest.raises(KeyringError, match="has no key `noise`, which tables with noise need") as caught:
        Keyring.load(path).bytes_of("noise")
    assert f"minimize keys add {path} noise" in caught.value.hint
    assert add_key(path, "noise", now=NOW).version_of("noise") == 1


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
    with pytest.raises(KeyringError, match="does not exist"):
        add_key(tmp_path / "a.keys", "phone", now=LATER)
    with pytest.raises(KeyringError, match="was not changed"):
        add_key(tmp_path / "none" / "a.keys", "phone", now=LATER)


def test_adding_a_name_that_is_none_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    new_keyring(tmp_path / "a.keys", now=NOW)
    content = (tmp_path / "a.keys").read_bytes()
    with pytest.raises(KeyringError, match="the name of a key"):
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


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return new_keyring(tmp_path / "demo.keys", ["device"], now=NOW)


def _forms(keyring: Keyring) -> list[str]:
    secrets = [keyring.bytes_of(name) for name in keyring.names()]
    stored = json.loads(keyring.path.read_text())["keys"]
    encoded = [version["bytes"] for versions in stored.values() for version in versions]
    return [*encoded, *(secret.hex() for secret in secrets), *(repr(secret)[2:-1] for secret in secrets)]


def test_a_key_is_found_by_name_and_newest_version(keyring: Keyring) -> None:
    assert len(keyring.bytes_of("device")) >= 32
    assert keyring.version_of("device") == 1
    assert keyring.bytes_of("device") == keyring.bytes_of("device", 1)


def test_a_missing_key_is_named_with_a_hint(keyring: Keyring) -> None:
    with pytest.raises(KeyringError, match="key phone is not in the keyring") as caught:
        keyring.bytes_of("phone")
    assert "minimize keys add" in caught.value.hint


def test_a_missing_version_is_named(keyring: Keyring) -> None:
    with pytest.raises(KeyringError, match="key device/7 is not in the keyring"):
        keyring.bytes_of("device", 7)


def test_names_are_sorted(keyring: Keyring) -> None:
    assert keyring.names() == ("device", "noise", "signing", "subject")


def test_a_listing_has_name_version_and_time(keyring: Keyring) -> None:
    assert [(line.name, line.version, line.created) for line in keyring.listing()] == [
        ("device", 1, NOW),
        ("noise", 1, NOW),
        ("signing", 1, NOW),
        ("subject", 1, NOW),
    ]


def test_nothing_that_prints_a_keyring_prints_its_bytes(keyring: Keyring) -> None:
    shown = " ".join([repr(keyring), str(keyring), repr(vars(keyring)), f"{keyring!r}", str(keyring.__dict__)])
    assert not [form for form in _forms(keyring) if form in shown]


def test_a_pickle_carries_only_the_path(keyring: Keyring) -> None:
    pickled = pickle.dumps(keyring)
    secrets = [keyring.bytes_of(name) for name in keyring.names()]
    assert not [secret for secret in secrets if secret in pickled]
    assert not [form for form in _forms(keyring) if form.encode() in pickled]
    assert ForkingPickler.loads(pickled).bytes_of("device") == keyring.bytes_of("device")


def test_the_parts_of_a_keyring_refuse_to_be_pickled(keyring: Keyring) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(vars(keyring))


def test_a_copy_is_the_keyring_itself(keyring: Keyring) -> None:
    assert copy.copy(keyring) is keyring
    assert copy.deepcopy(keyring) is keyring


def test_purposes_get_keys_of_their_own(keyring: Keyring) -> None:
    paths = keyring.subkey("subject", "quarantine/path")
    assert len(paths) == 32
    assert paths == keyring.subkey("subject", "quarantine/path")
    assert paths != keyring.subkey("subject", "partition")
    assert paths != keyring.bytes_of("subject")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="does not exist"):
        Keyring.load(tmp_path / "none.keys")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_file_open_to_others_is_refused(keyring: Keyring, mode: int) -> None:
    os.chmod(keyring.path, mode)
    with pytest.raises(KeyringError, match="accessible to group or others") as caught:
        Keyring.load(keyring.path)
    assert "chmod 600" in caught.value.hint


def _write(path: Path, document: object) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    path.chmod(0o600)
    return path


def _line(secret: str, version: object = 1, created: str = "2026-11-25T00:00:00Z") -> dict[str, object]:
    return {"version": version, "created": created, "bytes": secret}


LONG = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU="
FAULTS: dict[str, object] = {
    "no json": '{"keyring": 1, "keys": {"device": [{"bytes": "' + LONG + '"',
    "another version": {"keyring": 2, "keys": {}},
    "no object": [LONG],
    "keys no object": {"keyring": 1, "keys": [LONG]},
    "versions no list": {"keyring": 1, "keys": {"device": LONG}},
    "a name with a slash": {"keyring": 1, "keys": {"a/b": [_line(LONG)]}},
    "a version that is no integer": {"keyring": 1, "keys": {"device": [_line(LONG, "1")]}},
    "a version that is zero": {"keyring": 1, "keys": {"device": [_line(LONG, 0)]}},
    "a version that is true": {"keyring": 1, "keys": {"device": [_line(LONG, True)]}},
    "a version twice": {"keyring": 1, "keys": {"device": [_line(LONG), _line(LONG)]}},
    "no base64": {"keyring": 1, "keys": {"device": [_line(LONG + "!")]}},
    "no time": {"keyring": 1, "keys": {"device": [_line(LONG, 1, "today")]}},
    "a line that is no object": {"keyring": 1, "keys": {"device": [LONG]}},
    "a key that is too short": {"keyring": 1, "keys": {"device": [_line(LONG[:40])]}},
    "a name twice": '{"keyring": 1, "keys": {"device": [], "device": []}}',
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_malformed_file_is_refused_without_showing_bytes(tmp_path: Path, fault: object) -> None:
    path = _write(tmp_path / "bad.keys", fault)
    with pytest.raises(KeyringError) as caught:
        Keyring.load(path)
    told = "".join(traceback.format_exception(caught.value))
    assert LONG[:16] not in told
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_a_key_of_exactly_32_bytes_is_taken(tmp_path: Path) -> None:
    path = _write(tmp_path / "good.keys", {"keyring": 1, "keys": {"device": [_line(LONG)]}})
    assert Keyring.load(path).bytes_of("device") == b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def test_the_newest_version_counts_in_any_order_of_the_file(tmp_path: Path) -> None:
    other = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    versions = [_line(other, 10), _line(LONG, 9)]
    keyring = Keyring.load(_write(tmp_path / "good.keys", {"keyring": 1, "keys": {"device": versions}}))
    assert keyring.version_of("device") == 10
    assert keyring.bytes_of("device").startswith(b"0123")
