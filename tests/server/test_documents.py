"""What the documents say of the door is so: commands, options, requests, certificates of one's own CA."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from benchmarks.certificate import Certificate
from minimize.cli.main import load_command
from minimize.server.api_tokens import create_token
from minimize.server.request import LARGEST_REQUEST, ReadRequest, parse_request
from minimize.server.server import ListenOptions, running_server
from tests.server.home import PURPOSE, ROWS, Home

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guide" / "server.md").read_text()
UNIT = ROOT / "docs" / "server" / "minimize-server.service"
FRONT = ROOT / "docs" / "server" / "nginx.conf"


SHELL = "\n".join(re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)).replace("\\\n", " ")
STARTED = UNIT.read_text().replace("\\\n", " ").partition("ExecStart=")[2].partition("\n")[0]


COMMON = CliRunner().invoke(load_command("help"), ["options"]).output
"""The help of the options that many commands share."""


def calls(text: str, program: str) -> Iterator[list[str]]:
    """The words of each call of a program."""
    for part in re.split(r"&&|[;|]| & |\n", re.sub(r"\d?>+ *(?:&\d|\S+)", "", text)):
        words = shlex.split(part, comments=True)
        if words and words[0].rpartition("/")[2] == program:
            yield words[3:] if words[1].startswith("--") else words[1:]


@pytest.mark.parametrize("text", [SHELL, STARTED])
def test_commands_have_the_options_that_they_are_called_with(text: str) -> None:
    found = list(calls(text, "minimize"))
    assert "serve" in [words[0] for words in found]
    for words in found:
        command = load_command(words[0])
        before = words[1:2] if isinstance(command, click.Group) else []
        said = CliRunner().invoke(command, [*before, "--help"]).output + COMMON
        assert all(word in said for word in words if word.startswith("--"))


def test_help_shows_an_example() -> None:
    said = CliRunner().invoke(load_command("serve"), ["--help"]).output
    assert "minimize serve pipelines/device_telemetry --host 0.0.0.0 --cert server.pem --key server.key" in said
    assert "minimize.connect(" in said


def test_python_in_it_is_python_and_requests_are_requests() -> None:
    snippets = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert snippets
    for snippet in snippets:
        ast.parse(snippet)
    request = re.search(r'`(\{"read".*?\})`', PAGE)
    assert request is not None
    assert isinstance(parse_request(request[1].encode()), ReadRequest)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here")
def test_the_documented_commands_create_a_certificate_of_a_private_ca(home: Home, tmp_path: Path) -> None:
    commands = list(calls(SHELL, "openssl"))
    assert len(commands) == 3
    for words in commands:
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "server.key").chmod(0o600)
    made = Certificate(tmp_path / "server.pem", tmp_path / "server.key")
    listening = ListenOptions("127.0.0.1", 0, made.certificate, made.key)
    import minimize
    from minimize.times import utc_now

    token, _ = create_token(home.ledger, "ann", utc_now())
    given: dict[str, Any] = {"keys": home.project.keys, "access": home.access, "ledger": home.folder / "ledger.db"}
    with running_server(
        [home.project.out], listening, keys=given["keys"], access=given["access"], ledger=given["ledger"]
    ) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        with minimize.connect(url, token=token, ca=tmp_path / "ca.pem", timeout=60) as door:
            assert door.read("checkins", purpose=PURPOSE).num_rows == ROWS


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    program = shutil.which("true") or ""
    (tmp_path / UNIT.name).write_text(UNIT.read_text().replace("/opt/minimize/bin/minimize", program))
    call = ["systemd-analyze", "verify", "--man=no", str(tmp_path / UNIT.name)]
    said = subprocess.run(call, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")


def test_the_proxy_configuration_sets_the_limits_that_the_server_lacks() -> None:
    text = re.sub(r"#.*", "", FRONT.read_text())
    said = dict(re.findall(r"^\s*(\w+) ([^;{}]+);", text, re.MULTILINE))
    assert text.count("{") == text.count("}")
    assert said["client_max_body_size"] == f"{LARGEST_REQUEST >> 20}m"
    assert {
        "limit_conn",
        "limit_req",
        "client_body_timeout",
        "keepalive_timeout",
        "http2_max_concurrent_streams",
    } <= said.keys()
    assert said["grpc_pass"] == f"grpc://127.0.0.1:{ListenOptions().port}"
    assert said["access_log"] == "off"
