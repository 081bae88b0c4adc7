"""Who keeps the master keys is found when they are first needed."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest

from minimize.config_search import load_config
from minimize.errors import KeyringError
from minimize.keys import Keyring, find_keyring, find_kms, new_keyring
from minimize.keys.master_keys import KeyringKms

NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return new_keyring(tmp_path / "demo.keys", now=NOW)


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "organization" / "pipelines" / "telemetry"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_keyring_that_is_given_counts(keyring: Keyring, pipeline: Path) -> None:
    assert find_keyring(keyring, pipeline, {}) is keyring


def test_a_path_that_is_given_comes_before_the_environment(keyring: Keyring, pipeline: Path) -> None:
    found = find_keyring(keyring.path, pipeline, {"MINIMIZE_KEYS": "/nowhere.keys"})
    assert found is not None
    assert found.path == keyring.path


def test_the_environment_comes_before_the_configuration(keyring: Keyring, pipeline: Path) -> None:
    (pipeline.parent / "minimize.yaml").write_text("keys: nowhere.keys\n")
    found = find_keyring(None, pipeline, {"MINIMIZE_KEYS": str(keyring.path)})
    assert found is not None
    assert found.path == keyring.path


def test_the_process_environment_is_asked_where_none_is_given(
    keyring: Keyring, pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_KEYS", str(keyring.path))
    found = find_keyring(None, pipeline)
    assert found is not None
    assert found.path == keyring.path


def test_the_nearest_configuration_file_upwards_names_a_keyring_relative_to_itself(
    keyring: Keyring, pipeline: Path
) -> None:
    (pipeline.parents[2] / "minimize.yaml").write_text("keys: nowhere.keys\n")
    (pipeline.parent / "minimize.yaml").write_text("keys: ../../demo.keys\n")
    found = find_keyring(None, pipeline, {})
    assert found is not None
    assert found.path.resolve() == keyring.path


def test_the_configuration_file_is_sought_from_the_current_folder_else(
    keyring: Keyring, pipeline: Path, tmp_path: Path
) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "minimize.yaml").write_text("keys: ../demo.keys\n")
    assert load_config().path == tmp_path / "pipelines" / "minimize.yaml"
    found = find_keyring(None, None, {})
    assert found is not None
    assert found.path.resolve() == keyring.path


def test_a_configuration_file_without_keys_names_none(pipeline: Path) -> None:
    (pipeline / "minimize.yaml").write_text("ledger: ledger.db\n")
    assert find_keyring(None, pipeline, {}) is None


@pytest.mark.parametrize("content", ["keys: [a, b]\n", "keys: {a: b}\n", "keys: 'x\n", "- keys\n"])
def test_a_configuration_file_that_cannot_be_read_is_refused(pipeline: Path, content: str) -> None:
    (pipeline / "minimize.yaml").write_text(content)
    with pytest.raises(KeyringError, match="keys:"):
        find_keyring(None, pipeline, {})


def test_a_keyring_that_is_named_and_missing_is_refused(pipeline: Path) -> None:
    (pipeline / "minimize.yaml").write_text("keys: nowhere.keys\n")
    with pytest.raises(KeyringError, match="does not exist"):
        find_keyring(None, pipeline, {})


def test_nothing_is_looked_for_before_a_key_is_asked_for(tmp_path: Path) -> None:
    found = find_kms(tmp_path / "not there")
    with pytest.raises(KeyringError, match="does not exist"):
        found.newest("encrypt.footer")


def test_without_a_keyring_the_error_explains_how_to_give_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIMIZE_KEYS", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyringError, match="MINIMIZE_KEYS"):
        find_kms(start=tmp_path).newest("encrypt.footer")


def test_a_keyring_and_its_path_are_the_same(tmp_path: Path) -> None:
    keyring = new_keyring(tmp_path / "a.keys", now=NOW)
    master = find_kms(keyring, now=NOW).newest("encrypt.footer")
    wrapped = find_kms(keyring.path).wrap(bytes(16), master)
    assert find_kms(Keyring.load(keyring.path)).unwrap(wrapped, master) == bytes(16)


def test_a_given_key_service_is_used_as_it_is(tmp_path: Path) -> None:
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
