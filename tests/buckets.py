"""An object store of our own: moto's S3 on loopback, in a process of its own, so that it outlives whoever is killed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from html import unescape
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest

from minimize.stores import ObjectPath, parse_location

SERVE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(*server.get_host_and_port(), flush=True)
sys.stdin.read()
"""
ACCESS = {
    "AWS_ACCESS_KEY_ID": "AKIAOFATEST",
    "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-test",
    "AWS_EC2_METADATA_DISABLED": "true",
}

HEADERS = {
    "Content-Type": "application/octet-stream",
    "Authorization": "AWS4-HMAC-SHA256 Credential=AKIAOFATEST/20261124/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0",
}
"""Moto looks at no signature, but wants one."""


@dataclass(frozen=True)
class Bucket:
    """A bucket that is ours, and empty at first."""

    host: str
    name: str

    @property
    def root(self) -> str:
        """The bucket as messages name it."""
        return f"s3://{self.name}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What its credentials hold that nothing may show."""
        return tuple(value for name, value in ACCESS.items() if "KEY" in name)

    @property
    def options(self) -> str:
        return f"?endpoint_override={self.host}&scheme=http&region=us-east-1"

    def uri(self, key: str = "") -> str:
        return f"{self.root}/{key}{self.options}"

    def shown(self, key: str = "") -> str:
        """A key as messages name it."""
        return self.uri(key).removesuffix(self.options)

    def at(self, key: str = "") -> ObjectPath:
        found = parse_location(self.uri(key))
        assert isinstance(found, ObjectPath)
        return found

    def put(self, key: str, content: bytes) -> None:
        self._ask("PUT", f"/{quote(key)}", content)

    def upload(self, folder: Path, below: str = "") -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{below}{path.relative_to(folder).as_posix()}", path.read_bytes())

    def get(self, key: str) -> bytes:
        return self._ask("GET", f"/{quote(key)}")

    def remove(self, key: str) -> None:
        self._ask("DELETE", f"/{quote(key)}")

    def keys(self, below: str = "") -> list[str]:
        """The objects, without the empty ones that stand for folders."""
        said = self._ask("GET", f"?list-type=2&prefix={quote(below)}").decode()
        return [key for key in map(unescape, re.findall("<Key>(.*?)</Key>", said)) if not key.endswith("/")]

    def download(self, folder: Path, below: str = "") -> Path:
        for key in self.keys(below):
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.get(key))
        return folder / below

    def made(self) -> Bucket:
        self._ask("PUT", "")
        return self

    def _ask(self, method: str, what: str, content: bytes | None = None) -> bytes:
        with closing(HTTPConnection(self.host, timeout=60)) as connection:
            connection.request(method, f"/{self.name}{what}", content, HEADERS)
            answer = connection.getresponse()
            body = answer.read()
        assert answer.status < 300, f"{method} {answer.status}"
        return body


@contextmanager
def store(environ: Mapping[str, str] | None = None) -> Iterator[str]:
    """Serves S3 while the block lasts; gives host and port."""
    serving = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **ACCESS, **(environ or {})},
        text=True,
    )
    with serving:
        assert serving.stdout is not None
        try:
            yield ":".join(serving.stdout.readline().split())
        finally:
            serving.terminate()


@contextmanager
def access() -> Iterator[None]:
    """The credentials of the test, where a client looks for them, and no others."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in ACCESS.items():
            patch.setenv(name, value)
        yield


def empty_bucket(host: str, kind: type[Bucket] = Bucket) -> Bucket:
    return kind(host, f"test-{uuid4().hex[:12]}").made()
