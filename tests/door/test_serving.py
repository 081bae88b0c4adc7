"""The door over Arrow Flight, with TLS, and what comes over the wire when it does not open."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from minimize.errors import ConfigurationError, MinimizeError, RefusedError
from tests.door.home import PURPOSE, ROWS, Home, changes_of
from tests.door.server import Running, running
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


def test_a_refusal_says_why_and_is_told_once(server: Running, home: Home) -> None:
    with server.client() as client, pytest.raises(RefusedError) as error:
        client.read("checkins", ["owner"], purpose=PURPOSE)
    assert error.value.code == "B005"
    assert [(each.code, each.field) for each in error.value.findings] == [("U103", "owner")]
    assert error.value.__context__ is None
    (told,) = home.told()
    assert told["result"] == "refused"
    assert told["actor"]["ip"].startswith("ipv4:127.0.0.1:")


def test_a_read_is_told_with_the_token_that_let_it_in(server: Running, home: Home) -> None:
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
def test_a_door_does_nothing_but_give(server: Running, call: str) -> None:
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


def test_what_goes_wrong_inside_stays_inside(server: Running, home: Home, caplog: pytest.LogCaptureFixture) -> None:
    for path in home.project.out.rglob("records/**/*.parquet"):
        path.write_bytes(b"PAR1 nothing PAR1")
    with server.client() as client, pytest.raises(MinimizeError) as error:
        client.read("checkins", purpose=PURPOSE)
    assert (error.value.code, error.value.message) == ("B009", "the door cannot answer")
    assert "is gone or damaged" in caplog.text


def test_a_door_that_is_gone_is_told_so(server: Running) -> None:
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


def test_who_comes_when_too_many_read_is_told_to_come_again(home: Home) -> None:
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
