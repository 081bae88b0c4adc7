"""Events reach a file or a server, and no failure to tell of a run is a failure of the run."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from minimize.config_search import load_config
from minimize.errors import ConfigurationError
from minimize.observability.destinations import Destinations, append_event, find_destinations, post_event


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
        append_event(tmp_path / "told" / "a.ndjson", {"n": number})
    assert [json.loads(line)["n"] for line in (tmp_path / "told/a.ndjson").read_text().splitlines()] == [0, 1, 2]


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["n"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("torn", ['{"n":', '{"n": 1', "\xc3"])
def test_a_last_line_that_a_power_cut_tore_is_removed_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, torn: str
) -> None:
    path = tmp_path / "a.ndjson"
    append_event(path, {"n": 0})
    with path.open("ab") as file:
        file.write(torn.encode("latin-1"))
    append_event(path, {"n": 2})
    append_event(path, {"n": 3})
    assert numbers(path) == [0, 2, 3]
    assert [getattr(record, "code", None) for record in caplog.records] == ["W031"]


def test_a_last_line_that_lacks_its_end_alone_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text('{"n":0}')
    append_event(path, {"n": 1})
    assert numbers(path) == [0, 1]


def test_a_long_line_that_was_torn_is_removed_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    append_event(path, {"n": 0})
    with path.open("a") as file:
        file.write('{"n":' + " " * 200_000)
    append_event(path, {"n": 1})
    assert numbers(path) == [0, 1]


def test_a_file_without_a_whole_line_is_started_over(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text('{"n"')
    append_event(path, {"n": 1})
    assert numbers(path) == [1]


def test_a_large_file_is_rotated_and_four_old_ones_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    for number in range(14):
        append_event(path, {"n": number}, rotate_at=10)
    kept = {each.name: numbers(each) for each in tmp_path.iterdir()}
    assert kept == {
        "a.ndjson": [12, 13],
        **{f"a.ndjson.{age}": [12 - 2 * age, 13 - 2 * age] for age in (1, 2, 3, 4)},
    }


def test_concurrent_writers_lose_no_event(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"

    def many(first: int) -> None:
        for number in range(first, first + 20):
            append_event(path, {"n": number}, rotate_at=100)

    threads = [threading.Thread(target=many, args=(first,)) for first in (0, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = [number for each in tmp_path.iterdir() for number in numbers(each)]
    assert sorted(kept) == list(range(40))


def test_a_link_is_not_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    append_event(tmp_path / "link", {})
    assert not (tmp_path / "target").exists()
    assert [getattr(record, "code", None) for record in caplog.records] == ["W020"]


def test_events_are_posted_to_the_url_of_the_environment(server: Server) -> None:
    post_event({"n": 1}, {"OPENLINEAGE_URL": server.url, "OPENLINEAGE_API_KEY": "k"})
    post_event({"n": 2}, {"OPENLINEAGE_URL": f"{server.url}/base/", "OPENLINEAGE_ENDPOINT": "/events"})
    assert server.got == [("/api/v1/lineage", "Bearer k", {"n": 1}), ("/base/events", None, {"n": 2})]


def test_nothing_is_posted_without_the_environment_variable(server: Server) -> None:
    post_event({}, {})
    post_event({}, {"OPENLINEAGE_URL": server.url, "OPENLINEAGE_DISABLED": "true"})
    assert server.got == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ftp://127.0.0.1", "http://", "http://[", "http://127.0.0.1:x"])
def test_a_server_that_is_not_there_is_logged(url: str, caplog: pytest.LogCaptureFixture) -> None:
    post_event({}, {"OPENLINEAGE_URL": url})
    assert [getattr(record, "code", None) for record in caplog.records] == ["W020"]
    assert url not in caplog.text


def test_a_server_that_refuses_is_logged(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.status = 500
    post_event({}, {"OPENLINEAGE_URL": server.url})
    assert [getattr(record, "code", None) for record in caplog.records] == ["W020"]


def found(folder: Path, **more: Any) -> Destinations:
    given: dict[str, Any] = {"environ": {}} | more
    return find_destinations(load_config(folder), folder / "out", "fleet", **given)


def test_by_default_lineage_is_written_next_to_the_output_and_metrics_are_off(tmp_path: Path) -> None:
    assert found(tmp_path) == Destinations(tmp_path / "_out.lineage.ndjson", None)


def test_an_argument_overrides_the_environment_and_that_overrides_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "minimize.yaml").write_text("lineage: told/organization.ndjson\nmetrics: told\n")
    env = {"MINIMIZE_LINEAGE": "/env.ndjson", "MINIMIZE_METRICS": "/env.prom"}
    told = tmp_path / "told"
    assert found(tmp_path) == Destinations(told / "organization.ndjson", told / "minimize_fleet.prom")
    assert found(tmp_path, environ=env) == Destinations(Path("/env.ndjson"), Path("/env.prom"))
    given = found(tmp_path, environ=env, lineage=tmp_path / "a", metrics="m")
    assert given == Destinations(tmp_path / "a", Path("m/minimize_fleet.prom"))


def test_a_lineage_folder_gets_a_file_of_the_default_name(tmp_path: Path) -> None:
    assert found(tmp_path, lineage=tmp_path).lineage == tmp_path / "lineage.ndjson"


@pytest.mark.parametrize("word", ["off", "OFF", "false", "no"])
def test_off_turns_both_off(tmp_path: Path, word: str) -> None:
    assert found(tmp_path, lineage=word, metrics=word) == Destinations(None, None)
    (tmp_path / "minimize.yaml").write_text(f'lineage: "{word}"\n')
    assert found(tmp_path).lineage is None


def test_openlineage_can_be_disabled_as_elsewhere(tmp_path: Path) -> None:
    assert found(tmp_path, environ={"OPENLINEAGE_DISABLED": "true"}).lineage is None


def test_a_metrics_setting_that_is_no_path_is_a_fault_of_configuration(tmp_path: Path) -> None:
    (tmp_path / "minimize.yaml").write_text("metrics: [a, b]\n")
    with pytest.raises(ConfigurationError, match="`metrics:` cannot be read"):
        found(tmp_path)
