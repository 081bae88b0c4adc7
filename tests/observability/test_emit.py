"""Events reach a file or a server, and no failure to tell of a run is a failure of the run."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from minimize.observability.emit import append, post


class Server(HTTPServer):
    def __init__(self) -> None:
        methods = {"do_POST": taken, "log_message": lambda *_: None}
        super().__init__(("127.0.0.1", 0), type("Handler", (BaseHTTPRequestHandler,), methods))
        self.got: list[tuple[str, str | None, Any]] = []
        self.status = 201

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


def taken(handler: Any) -> None:
    body = handler.rfile.read(int(handler.headers["Content-Length"]))
    handler.server.got.append((handler.path, handler.headers["Authorization"], json.loads(body)))
    handler.send_response(handler.server.status)
    handler.end_headers()


@pytest.fixture(name="server")
def _server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_events_are_lines_of_the_file(tmp_path: Path) -> None:
    for number in range(3):
        append(tmp_path / "told" / "a.ndjson", {"n": number})
    assert [json.loads(line)["n"] for line in (tmp_path / "told/a.ndjson").read_text().splitlines()] == [0, 1, 2]


def test_a_link_is_not_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    append(tmp_path / "link", {})
    assert not (tmp_path / "target").exists()
    assert [getattr(record, "code", None) for record in caplog.records] == ["W020"]


def test_events_are_posted_where_the_environment_says(server: Server) -> None:
    post({"n": 1}, {"OPENLINEAGE_URL": server.url, "OPENLINEAGE_API_KEY": "k"})
    post({"n": 2}, {"OPENLINEAGE_URL": f"{server.url}/base/", "OPENLINEAGE_ENDPOINT": "/events"})
    assert server.got == [("/api/v1/lineage", "Bearer k", {"n": 1}), ("/base/events", None, {"n": 2})]


def test_nothing_is_posted_unless_the_environment_says_so(server: Server) -> None:
    post({}, {})
    post({}, {"OPENLINEAGE_URL": server.url, "OPENLINEAGE_DISABLED": "true"})
    assert server.got == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ftp://127.0.0.1", "http://", "http://[", "http://127.0.0.1:x"])
def test_a_server_that_is_not_there_is_logged(url: str, caplog: pytest.LogCaptureFixture) -> None:
    post({}, {"OPENLINEAGE_URL": url})
    assert [getattr(record, "code", None) for record in caplog.records] == ["W020"]
    assert url not in caplog.text


def test_a_server_that_refuses_is_logged(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.status = 500
    post({}, {"OPENLINEAGE_URL": server.url})
    assert [getattr(record, "code", None) for record in caplog.records] == ["W020"]
