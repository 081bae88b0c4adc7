"""A client: where it goes, with whose token, and what it makes of what it is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.certificate import certificate
from minimize.errors import ConfigurationError, Finding, KeyringError, RefusedError
from minimize.server.client import connect
from minimize.server.request import decode_error, encode_error, error_for
from tests.server.home import PURPOSE, ROWS, Home
from tests.server.server import Running


@pytest.mark.parametrize(
    "url",
    [
        "",
        "door",
        "grpc+tls://door",
        "http://door:1",
        "grpc://door.example.com:8815",
        "grpc://10.0.0.1:1",
        "grpc+tls://:1",
    ],
)
def test_a_token_is_sent_only_over_tls_or_on_this_machine(url: str) -> None:
    with pytest.raises(ConfigurationError):
        connect(url, token="mzd_x")


def test_without_a_token_no_connection_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIMIZE_TOKEN", raising=False)
    with pytest.raises(ConfigurationError, match="no token"):
        connect("grpc+tls://localhost:1")


def test_a_token_may_come_from_the_environment(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMIZE_TOKEN", server.token())
    with connect(server.url, ca=server.ca, timeout=60) as door:
        assert door.read("checkins", purpose=PURPOSE).num_rows == ROWS


def test_a_server_that_shows_another_certificate_gets_nothing(server: Running, home: Home, tmp_path: Path) -> None:
    other = certificate(tmp_path, datetime.now(UTC), "other")
    door = connect(server.url, token=server.token(), ca=other.certificate, timeout=20)
    with door, pytest.raises(ConfigurationError) as error:
        door.read("checkins", purpose=PURPOSE)
    assert error.value.code == "B010"
    assert "host and port" in str(error.value)
    assert "ca=FILE" in str(error.value)
    assert home.told() == []


def test_a_token_that_opens_nothing_is_refused_as_such(server: Running) -> None:
    with server.client(f"mzd_{'0' * 16}_{'0' * 64}") as door, pytest.raises(RefusedError) as error:
        door.read("checkins", purpose=PURPOSE)
    assert error.value.code == "B001"
    assert error.value.exit_code == 3


def test_unreadable_certificates_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        connect("grpc+tls://localhost:1", token="mzd_x", ca=tmp_path / "none.pem")


def test_a_dataset_must_be_named(server: Running) -> None:
    with server.client() as door, pytest.raises(ConfigurationError, match="no dataset"):
        door.read(purpose=PURPOSE)


def test_an_error_comes_over_the_wire_as_it_was() -> None:
    sent = RefusedError("no", code="B005", hint="ask", findings=[Finding("U103", "above", hint="h", field="owner")])
    found = decode_error(encode_error(sent))
    assert (type(found), found.code, found.message, found.hint) == (RefusedError, "B005", "no", "ask")
    assert found.findings == sent.findings


def test_errors_of_other_modules_are_not_sent_to_the_client() -> None:
    found = encode_error(KeyringError("the key of /srv/house.keys", hint="chmod"))
    assert json.loads(found)["code"] == "B009"
    assert b"house.keys" not in found


@pytest.mark.parametrize("body", [None, b"", b"{", b"[]", b'{"code": 7}'])
def test_an_empty_response_means_that_the_server_is_unavailable(body: bytes | None) -> None:
    assert decode_error(body).code == error_for("B010").code
