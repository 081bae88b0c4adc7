"""The door over Arrow Flight, with TLS, and what comes over the wire when it does not open.
`minimize serve`: it answers until it is told to stop, and does not start with what would leave it open.
"""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

import minimize
from benchmarks.certificate import certificate
from minimize.errors import ConfigurationError, KeyringError, MinimizeError, OutputError, RefusedError
from minimize.server.api_tokens import create_token
from minimize.server.server import ListenOptions, running_server
from minimize.times import utc_now
from tests.server.home import PURPOSE, ROWS, Home, changes_of
from tests.server.process import served
from tests.server.server import TIMEOUT, Running, running
from tests.world import INCIDENT

COMMAND = json.dumps({"read": "checkins", "columns": ["model", "battery"], "purpose": PURPOSE}).encode()


def test_a_client_sees_what_is_seen_in_the_process_itself(server: Running, home: Home) -> None:
    with server.client() as client:
        ours = client.read("checkins", purpose=PURPOSE)
    assert ours == home.read("ann")
    assert ours.num_rows == ROWS


def test_pyarrows_own_client_can_read(server: Running) -> None:
    found = server.get(COMMAND)
    assert found.num_rows == ROWS
    assert found.column_names == ["model", "battery"]


def test_a_descriptor_with_a_command_leads_to_its_ticket(server: Running) -> None:
    with server.plain() as client:
        info = client.get_flight_info(flight.FlightDescriptor.for_command(COMMAND), server.options())
        found = client.do_get(info.endpoints[0].ticket, server.options()).read_all()
    assert found.num_rows == ROWS


def test_batches_come_as_they_are_read(server: Running, home: Home) -> None:
    home.run(40, day="2026-11-23")
    with server.client() as client:
        counts = [batch.num_rows for batch in client.batches("checkins", purpose=PURPOSE)]
    assert sorted(counts) == [40, ROWS]


def test_nothing_that_leaves_is_a_stream_too(server: Running) -> None:
    with server.client() as client:
        found = client.read("checkins", where={"model": "none"}, purpose=PURPOSE)
    assert found.num_rows == 0
    assert "device_id" in found.column_names


def test_a_refusal_states_its_reason_and_is_recorded_once(server: Running, home: Home) -> None:
    with server.client() as client, pytest.raises(RefusedError) as error:
        client.read("checkins", ["owner"], purpose=PURPOSE)
    assert error.value.code == "B005"
    assert [(each.code, each.field) for each in error.value.findings] == [("U103", "owner")]
    assert error.value.__context__ is None
    (told,) = home.told()
    assert told["result"] == "refused"
    assert told["actor"]["ip"].startswith("ipv4:127.0.0.1:")
    assert told["actor"]["application"].startswith("minimize-server/")
    assert "dataset/read:pseudonymized" in told["actor"]["permissions"]


def test_a_read_is_recorded_with_its_token(server: Running, home: Home) -> None:
    token = server.token("nora")
    with server.client(token) as client:
        client.read("checkins", purpose=PURPOSE)
    (told,) = home.told()
    assert told["actor"]["id"] == token.split("_")[1]
    assert token.split("_")[2] not in json.dumps(told)
    assert changes_of(told)["rows"] == ROWS // 2


def test_tokens_are_turned_back_over_the_wire(server: Running, home: Home) -> None:
    home.granted("sam", operation="reidentify", columns=("phone",))
    with server.client(server.token("sam")) as client:
        tokens = client.read("checkins", ["phone"], purpose=PURPOSE, incident=INCIDENT)["phone"].to_pylist()[:3]
        found = client.reidentify("checkins", "phone", tokens, incident=INCIDENT, purpose=PURPOSE)
    assert found["token"].to_pylist() == tokens
    assert all(value.startswith("+3361234") for value in found["value"].to_pylist())


@pytest.mark.parametrize("call", ["put", "exchange", "action", "flights"])
def test_a_server_accepts_only_read_calls(server: Running, call: str) -> None:
    descriptor, schema = flight.FlightDescriptor.for_command(COMMAND), pa.schema([("a", pa.int64())])
    with server.plain() as client:
        calls: dict[str, Any] = {
            "put": lambda: client.do_put(descriptor, schema, server.options())[0].close(),
            "exchange": lambda: client.do_exchange(descriptor, server.options())[1].read_all(),
            "action": lambda: list(client.do_action("drop", server.options())),
            "flights": lambda: list(client.list_flights(options=server.options())),
        }
        with pytest.raises(flight.FlightServerError, match="B002") as error:
            calls[call]()
    assert "Traceback" not in str(error.value)
    assert ".py" not in str(error.value)


def test_internal_errors_are_not_sent_to_the_client(
    server: Running, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    for path in home.project.out.rglob("records/**/*.parquet"):
        path.write_bytes(b"PAR1 nothing PAR1")
    with server.client() as client, pytest.raises(MinimizeError) as error:
        client.read("checkins", purpose=PURPOSE)
    assert (error.value.code, error.value.message) == ("B009", "internal error of the data server")
    assert "is missing or damaged" in caplog.text


def test_a_closed_server_is_reported_as_such(server: Running) -> None:
    client = server.client()
    server.server.shutdown()
    with pytest.raises(ConfigurationError) as error:
        client.read("checkins", purpose=PURPOSE)
    assert error.value.code == "B010"


def test_a_schema_comes_with_what_is_read_and_not_before(server: Running) -> None:
    with server.plain() as client:
        found = client.get_schema(flight.FlightDescriptor.for_command(COMMAND), server.options())
        assert client.list_actions(server.options()) == []
    assert found.schema == pa.schema([])


def test_a_reader_beyond_the_limit_is_asked_to_retry(home: Home) -> None:
    with running(home, readers=1, wait_s=0.1) as server:
        server.server.turns.acquire()
        with server.client() as client, pytest.raises(ConfigurationError) as error:
            client.read("checkins", purpose=PURPOSE)
        server.server.turns.release()
        with server.client() as client:
            assert client.read("checkins", purpose=PURPOSE).num_rows == ROWS
    assert error.value.code == "B008"


def test_every_turn_is_given_back(home: Home) -> None:
    with running(home, readers=1, wait_s=10) as server, server.client() as client:
        for columns in (["owner"], ["nothing"]):
            with pytest.raises(RefusedError):
                client.read("checkins", columns, purpose=PURPOSE)
            assert client.read("checkins", purpose=PURPOSE).num_rows == ROWS


SIGNAL_ON_ANNOUNCEMENT = """
import os, signal
from minimize.cli import entry, serve

show = serve.print_result

def show_and_signal(*args):
    show(*args)
    os.kill(os.getpid(), signal.NAME)

serve.print_result = show_and_signal
entry()
"""

SIGNAL_IN_A_THREAD = """
import os, signal, threading, time
from minimize.cli import entry, serve

show = serve.print_result

def end():
    time.sleep(1)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    time.sleep(60)

def show_and_signal(*args):
    show(*args)
    threading.Thread(target=end, daemon=True).start()

serve.print_result = show_and_signal
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


def test_without_tls_the_server_listens_only_on_loopback_and_on_request(home: Home) -> None:
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
    with pytest.raises(ConfigurationError, match="accessible to group or others"):
        listening.certificates()
    with pytest.raises(ConfigurationError, match="in PEM form"):
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
        token, _ = create_token(home.ledger, "ann", utc_now())
        with minimize.connect(found.url, token=token, timeout=60) as door:
            assert door.read("checkins", purpose=PURPOSE).num_rows == ROWS
