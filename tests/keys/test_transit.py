"""Master keys in a Transit engine: the same tests against a small server of our own and against OpenBao's."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from minimize.errors import ConfigurationError, KeyringError
from minimize.keys import MasterKey, find_kms
from minimize.keys.keyring import KEY_DESTROYED
from minimize.keys.master_keys import key_state
from minimize.keys.transit import TransitKms
from tests.vaulting import TOKEN, Server, openbao, small

NOW = datetime(2026, 11, 25, tzinfo=UTC)
KEY = bytes(range(16))
KINDS = ["small", pytest.param("openbao", marks=pytest.mark.nightly)]


@pytest.fixture(name="server", params=KINDS, scope="module")
def _server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = small() if request.param == "small" else openbao(tmp_path_factory.mktemp("bao"))
    with running as server:
        yield server


@pytest.fixture(name="transit")
def _transit(server: Server, monkeypatch: pytest.MonkeyPatch) -> TransitKms:
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    return TransitKms.from_address(server.address, NOW)


@pytest.fixture(name="name")
def _name(request: pytest.FixtureRequest) -> str:
    """A key of the test's own."""
    return f"encrypt.{abs(hash(request.node.name)) % 10**12}"


def test_a_key_comes_back_as_it_was_wrapped(transit: TransitKms, name: str) -> None:
    master = transit.newest(name)
    wrapped = transit.wrap(KEY, master)
    assert master == MasterKey(name, 1)
    assert wrapped.startswith("vault:v1:")
    assert transit.unwrap(wrapped, master) == KEY


def test_a_key_that_is_missing_is_made_once_and_only_with_a_time(
    transit: TransitKms, server: Server, name: str
) -> None:
    with pytest.raises(KeyringError, match=f"has no key {name}"):
        TransitKms.from_address(server.address).newest(name)
    assert transit.newest(name) == transit.newest(name) == MasterKey(name, 1)


def test_a_new_version_is_for_new_keys_and_the_old_one_decrypts(transit: TransitKms, name: str) -> None:
    old = transit.newest(name)
    wrapped = transit.wrap(KEY, old)
    assert transit.rotate(name) == transit.newest(name) == MasterKey(name, 2)
    assert transit.wrap(KEY, transit.newest(name)).startswith("vault:v2:")
    assert transit.unwrap(wrapped, old) == KEY


def test_another_version_does_not_unwrap(transit: TransitKms, name: str) -> None:
    wrapped = transit.wrap(KEY, transit.newest(name))
    transit.rotate(name)
    with pytest.raises(KeyringError, match="the file key was not wrapped with"):
        transit.unwrap(wrapped, MasterKey(name, 2))


def test_another_key_does_not_unwrap(transit: TransitKms, name: str) -> None:
    wrapped = transit.wrap(KEY, transit.newest(name))
    other = transit.newest(f"{name}.other")
    with pytest.raises(KeyringError, match="InvalidRequest"):
        transit.unwrap(wrapped, other)


@pytest.mark.parametrize("wrapped", ["", "vault:v1:", "vault:v1:AAAA", "vault:v9:AAAA", "AAAA"])
def test_an_invalid_wrapped_key_is_refused(transit: TransitKms, name: str, wrapped: str) -> None:
    with pytest.raises(KeyringError):
        transit.unwrap(wrapped, transit.newest(name))


def test_a_destroyed_version_is_gone_with_those_before_it_and_its_number_too(transit: TransitKms, name: str) -> None:
    wrapped = [transit.wrap(KEY, transit.newest(name))]
    wrapped.append(transit.wrap(KEY, transit.rotate(name)))
    transit.rotate(name)
    transit.destroy(MasterKey(name, 2))
    for version, text in enumerate(wrapped, start=1):
        with pytest.raises(KeyringError, match="was destroyed") as caught:
            transit.unwrap(text, MasterKey(name, version))
        assert caught.value.code == KEY_DESTROYED
    assert transit.rotate(name) == MasterKey(name, 4)


def test_the_newest_version_has_a_successor_before_it_is_destroyed(transit: TransitKms, name: str) -> None:
    master = transit.newest(name)
    wrapped = transit.wrap(KEY, master)
    transit.destroy(master)
    assert transit.newest(name) == MasterKey(name, 2)
    with pytest.raises(KeyringError, match="was destroyed"):
        transit.unwrap(wrapped, master)


def test_a_version_that_may_not_decrypt_any_more_is_refused_and_not_called_destroyed(
    transit: TransitKms, server: Server, name: str
) -> None:
    master = transit.newest(name)
    wrapped = transit.wrap(KEY, master)
    transit.rotate(name)
    server.asked(f"transit/keys/{name}/config", {"min_decryption_version": 2})
    with pytest.raises(KeyringError, match="refused the request") as caught:
        transit.unwrap(wrapped, master)
    assert caught.value.code != KEY_DESTROYED


def test_versions_and_their_states_are_listed(transit: TransitKms, name: str) -> None:
    transit.newest(name)
    for _ in range(2):
        transit.rotate(name)
    transit.destroy(MasterKey(name, 1))
    lines = [line for line in transit.versions() if line.name == name]
    assert [(line.version, key_state(line, lines)) for line in lines] == [
        (1, "destroyed"),
        (2, "decrypts only"),
        (3, "current"),
    ]


def test_a_wrong_token_is_reported_and_not_shown(server: Server, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "CANARY-token")
    with pytest.raises(KeyringError, match="does not permit the operation for this token") as caught:
        TransitKms.from_address(server.address, NOW).newest(name)
    assert "CANARY" not in repr((caught.value, caught.value.__cause__, caught.value.__context__))


def test_an_unreachable_key_server_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    with pytest.raises(KeyringError, match="cannot be reached"):
        TransitKms.from_address("vault+http://127.0.0.1:1/transit", NOW).newest("encrypt.x")


def test_a_pickle_carries_neither_token_nor_key(transit: TransitKms, name: str) -> None:
    transit.newest(name)
    pickled = pickle.dumps(transit)
    assert TOKEN.encode() not in pickled
    assert pickle.loads(pickled).newest(name) == MasterKey(name, 1)


def test_it_is_found_by_the_environment_or_the_configuration(
    transit: TransitKms, server: Server, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "minimize.yaml").write_text(f"kms: {server.address}\n")
    assert find_kms(start=tmp_path, now=NOW).newest(name) == MasterKey(name, 1)
    transit.rotate(name)
    monkeypatch.setenv("MINIMIZE_KMS", server.address)
    assert find_kms(start=tmp_path.parent).newest(name) == MasterKey(name, 2)


@pytest.mark.parametrize(
    "address",
    ["", "vault://h/t", "https://h/t", "vault+http://h:8200/t", "vault+https://u:p@h/t", "vault+https://h/t?token=x"],
)
def test_an_address_that_cannot_be_one_is_refused_without_being_shown(address: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        TransitKms.from_address(address)
    assert "u:p" not in str(caught.value)


def test_an_address_names_server_and_mount() -> None:
    assert TransitKms.from_address("vault+https://keys.example:8200/eu/transit") == TransitKms(
        "https://keys.example:8200", "eu/transit"
    )
    assert TransitKms.from_address("vault+https://keys.example").mount == "transit"
