"""`minimize serve`: it answers until it is told to stop, and does not start with what would leave it open."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import minimize
from benchmarks.certificate import certificate
from minimize.errors import ConfigurationError, KeyringError, MinimizeError, OutputError
from minimize.server.api_tokens import create_token
from minimize.server.server import ListenOptions, running_server
from minimize.server.service import utc_now
from tests.door.home import PURPOSE, ROWS, Home
from tests.door.process import served
from tests.door.server import TIMEOUT

SIGNAL_ON_ANNOUNCEMENT = """
import os, signal
from minimize.cli import entry, options

show = options.print_result

def show_and_signal(*args):
    show(*args)
    os.kill(os.getpid(), signal.NAME)

options.print_result = show_and_signal
entry()
"""

SIGNAL_IN_A_THREAD = """
import os, signal, threading, time
from minimize.cli import entry, options

show = options.print_result

def end():
    time.sleep(1)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    time.sleep(60)

def show_and_signal(*args):
    show(*args)
    threading.Thread(target=end, daemon=True).start()

options.print_result = show_and_signal
entry()
"""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_over_tls_until_it_is_stopped(home: Home, end: signal.Signals) -> None:
    with served(home) as server:
        with server.client() as door:
            assert door.read("checkins", purpose=PURPOSE).num_rows == ROWS
        server.process.send_signal(end)
        assert server.process.wait(TIMEOUT) == 0


def test_a_signal_that_another_thread_takes_stops_the_server(home: Home) -> None:
    with served(home, script=SIGNAL_IN_A_THREAD) as server:
        assert server.process.wait(TIMEOUT) == 0


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_handled_from_the_moment_the_server_is_announced(home: Home, end: signal.Signals) -> None:
    with served(home, script=SIGNAL_ON_ANNOUNCEMENT.replace("NAME", end.name)) as server:
        assert server.process.wait(TIMEOUT) == 0


def test_without_tls_it_opens_on_loopback_alone_and_where_somebody_says_so(home: Home) -> None:
    for listening in (
        ListenOptions(),
        ListenOptions("192.0.2.1", insecure=True),
        ListenOptions(certificate="door.pem"),
    ):
        with pytest.raises(ConfigurationError):
            listening.certificates()
    assert ListenOptions(insecure=True).certificates() == []
    assert ListenOptions("::1").url(7, tls=False) == "grpc://[::1]:7"


def test_a_key_that_others_may_read_is_not_used(home: Home) -> None:
    made = certificate(home.folder, datetime.now(UTC))
    listening = ListenOptions(certificate=made.certificate, key=made.key)
    assert len(listening.certificates()) == 1
    made.key.chmod(0o644)
    with pytest.raises(ConfigurationError, match="open to others"):
        listening.certificates()
    with pytest.raises(ConfigurationError, match="no PEM"):
        ListenOptions(certificate=made.key, key=made.key).certificates()


def starts(home: Home, places: list[str | Path], **words: Path) -> MinimizeError:
    given: dict[str, Any] = {
        "keys": home.project.keys,
        "access": home.access,
        "ledger": home.folder / "ledger.db",
        **words,
    }
    with pytest.raises(MinimizeError) as error, running_server(places, ListenOptions(port=0, insecure=True), **given):
        pass
    return error.value


def test_it_does_not_start_without_what_decides(home: Home, tmp_path: Path) -> None:
    out = home.project.out
    assert isinstance(starts(home, [out], access=tmp_path / "none.yaml"), ConfigurationError)
    assert isinstance(starts(home, [out], keys=tmp_path / "none.keys"), KeyringError)
    assert isinstance(starts(home, [tmp_path / "none"]), OutputError)
    assert isinstance(starts(home, []), ConfigurationError)
    home.access.write_text("version: 7")
    assert starts(home, [out]).code == "E201"


def test_a_pipeline_names_its_output(home: Home) -> None:
    given: dict[str, Any] = {"keys": home.project.keys, "access": home.access, "ledger": home.folder / "ledger.db"}
    with running_server([home.folder, home.project.out], ListenOptions(port=0, insecure=True), **given) as found:
        assert found.datasets == ("checkins",)
        assert found.url.startswith("grpc://127.0.0.1:")
        token, _ = create_token(home.ledger, home.keys, "ann", utc_now())
        with minimize.connect(found.url, token=token, timeout=60) as door:
            assert door.read("checkins", purpose=PURPOSE).num_rows == ROWS
