"""Streams that go on: what ends them, what they hold, and what becomes of them when a process is gone."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from minimize.errors import ConfigurationError, RefusedError
from minimize.governance.grants import answer_grant
from minimize.server import stream
from minimize.server.client import DatasetReader
from tests.server.home import ACCESS, PURPOSE, Home, changes_of
from tests.server.process import served
from tests.server.server import Running, running
from tests.world import INCIDENT, assignment

CLIENTS = 50
MUCH = 1 << 16
ENDLESS = """
import sys
from minimize.cli import main
from minimize.server import stream
seen = stream.viewed_batches
def endless(opened, shape):
    while True:
        yield from seen(opened, shape)
stream.viewed_batches = endless
main()
"""


@pytest.fixture(name="endless")
def _endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads that come to no end: the same batches again and again."""
    seen = stream.viewed_batches

    def again(*given: Any) -> Iterator[pa.RecordBatch]:
        while True:
            yield from seen(*given)

    monkeypatch.setattr(stream, "viewed_batches", again)


def ends(batches: Iterator[pa.RecordBatch]) -> None:
    """Reads until an error comes, which it must."""
    with pytest.raises(RefusedError) as error:
        deque(islice(batches, MUCH), 0)
    assert error.value.code == "B007"


@pytest.mark.usefixtures("endless")
def test_a_grant_that_is_revoked_ends_a_stream_over_the_wire(server: Running, home: Home) -> None:
    grant = home.granted("sam")
    with server.client(server.token("sam")) as client:
        batches = client.batches("checkins", ["owner"], purpose=PURPOSE, incident=INCIDENT)
        assert next(batches).num_rows
        answer_grant("revoke", grant.id, home.places(), home.time.at)
        home.time.passes(seconds=1)
        ends(batches)
    (told,) = waited(home)
    assert (told["result"], changes_of(told)["ended"]) == ("failure", "B007")


@pytest.mark.usefixtures("endless")
def test_a_client_that_hangs_up_ends_its_stream(server: Running, home: Home) -> None:
    client = server.client()
    batches = client.batches("checkins", purpose=PURPOSE)
    assert next(batches).num_rows
    del batches
    client.close()
    (told,) = waited(home)
    assert changes_of(told)["ended"] == "left"
    assert not any(door.pinned_count for door in home.doors)


def waited(home: Home) -> list[dict[str, Any]]:
    """What the log is told of reads, once it is told of one."""
    until = time.monotonic() + 60
    while not (found := home.told()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def test_a_read_interrupted_by_a_kill_is_logged_by_the_next_server(home: Home) -> None:
    with served(home, script=ENDLESS) as server, server.client() as client:
        batches = client.batches("checkins", purpose=PURPOSE)
        assert next(batches).num_rows
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait(30)
        with pytest.raises(ConfigurationError) as error:
            for _ in batches:
                pass
        assert error.value.code == "B010"
    assert home.told() == []
    with served(home) as server:
        assert server.lost == 1
        with server.client() as client:
            assert client.read("checkins", purpose=PURPOSE).num_rows
    lost, whole = home.told()
    assert (lost["result"], changes_of(lost)["ended"], changes_of(lost)["rows"]) == ("failure", "lost", "at most 120")
    assert whole["result"] == "success"
    assert home.reader("ann").read(purpose=PURPOSE).num_rows


def test_fifty_concurrent_clients_see_their_own_rows_and_no_others(home: Home) -> None:
    users = [f"user-{number}" for number in range(CLIENTS)]
    tenants = [("north", "south")[number % 2] for number in range(CLIENTS)]
    home.rules(
        assignments=[assignment("analyst", user, tenants=[tenant]) for user, tenant in zip(users, tenants, strict=True)]
    )
    ready = threading.Barrier(CLIENTS, timeout=120)
    with running(home) as server:
        tokens = [server.token(user) for user in users]

        def read(token: str) -> pa.Table:
            with server.client(token) as client:
                ready.wait()
                return client.read("checkins", ["tenant_id", "device_id"], purpose=PURPOSE)

        with ThreadPoolExecutor(CLIENTS) as pool:
            found = [*pool.map(read, tokens)]
    assert [set(table["tenant_id"].to_pylist()) for table in found] == [{tenant} for tenant in tenants]
    assert {table.num_rows for table in found} == {60}
    told = home.told()
    assert sorted(each["actor"]["user"] for each in told) == sorted(users)
    assert {changes_of(each)["rows"] for each in told} == {60}
    assert not any(door.pinned_count for door in home.doors)


@pytest.mark.slow
def test_fifty_concurrent_clients_use_bounded_memory(home: Home) -> None:
    home.run(60_000)
    home.rules(assignments=ACCESS["assignments"])
    ready = threading.Barrier(CLIENTS, timeout=300)

    def read(client: DatasetReader) -> int:
        ready.wait()
        return sum(batch.num_rows for batch in client.batches("checkins", purpose=PURPOSE))

    with served(home, "--readers", "8") as server:
        clients = [server.client() for _ in range(CLIENTS)]
        assert sum(batch.num_rows for batch in clients[0].batches("checkins", purpose=PURPOSE)) == 60_000
        before = most(server.process.pid)
        with ThreadPoolExecutor(CLIENTS) as pool:
            assert {*pool.map(read, clients)} == {60_000}
        assert most(server.process.pid) - before < 512 * 1024


def most(process: int) -> int:
    """The most kilobytes that a process held."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])
