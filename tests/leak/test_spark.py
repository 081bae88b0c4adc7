"""While Spark works, nothing that was planted and no key stands in its local folders, its event log or what it prints."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from minimize.keys import Keyring, new_keyring
from tests.leak.canary import Canary
from tests.leak.planted import ALL, AT, build
from tests.leak.sweep import found
from tests.sparking import want_spark

pytestmark = [pytest.mark.spark, pytest.mark.slow]
SUBJECT = Canary("subject in the settings", "CANARY-subject-4e4e99")
SINCE = "2026-01-01T00:00:00Z"
DEFAULTS = """spark.local.dir {folder}/local
spark.eventLog.enabled true
spark.eventLog.compress false
spark.eventLog.dir file://{folder}/events
spark.broadcast.UDFCompressionThreshold 1
spark.task.maxDirectResultSize 1
spark.driver.extraJavaOptions -Djava.io.tmpdir={folder}/tmp
"""
RUN = """
import sys, minimize
from importlib import import_module
engine = import_module("minimize.engines.spark")
engine.RESULTS_AT_ONCE = 2
if "unsafe" in sys.argv:
    engine.check_encryption, engine.SAFE_SETTINGS = (lambda *told: None), {}
minimize.run(sys.argv[1], engine="spark", at=sys.argv[2], output=sys.argv[3])
"""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Where Spark may write, all of it watched."""
    want_spark()
    folder = tmp_path / "spark"
    for name in ("local", "events", "tmp", "conf"):
        (folder / name).mkdir(parents=True)
    (folder / "conf" / "spark-defaults.conf").write_text(DEFAULTS.format(folder=folder))
    return folder


def watched(folder: Path, words: list[str], canaries: Iterable[Canary]) -> tuple[set[str], bytes, set[str]]:
    """Runs something; gives what was found in Spark's folders at any time, what was printed, and the files that were seen."""
    own = {"SPARK_CONF_DIR": str(folder / "conf"), "PYSPARK_PYTHON": sys.executable, "TMPDIR": str(folder / "tmp")}
    hits: set[str] = set()
    seen: set[str] = set()
    with (folder / "printed").open("wb") as printed:
        process = subprocess.Popen(words, stdout=printed, stderr=printed, env={**os.environ, **own})
        while process.poll() is None:
            hits |= _swept(folder, canaries, seen)
            time.sleep(0.05)
    hits |= _swept(folder, canaries, seen)
    said = (folder / "printed").read_bytes()
    assert process.returncode == 0, said.decode()
    return hits, said, seen


def _swept(folder: Path, canaries: Iterable[Canary], seen: set[str]) -> set[str]:
    """What stands there now; files come and go meanwhile. A file is looked at once for each size that it has."""
    hits: set[str] = set()
    for name in ("local", "events", "tmp"):
        for path in (Path(above) / file for above, _, files in os.walk(folder / name) for file in files):
            with suppress(OSError):
                mark = f"{path}:{path.stat().st_size}"
                if mark not in seen:
                    hits |= found(canaries, path.read_bytes())
                    seen.add(mark)
    return hits


@dataclass(frozen=True)
class Secret(Canary):
    """The bytes of a key, in the forms in which they could hide."""

    raw: bytes = b""

    def forms(self) -> Iterator[bytes]:
        """As they are, in hex and in Base64."""
        yield from (
            self.raw,
            self.raw.hex().encode(),
            base64.b64encode(self.raw).rstrip(b"="),
            repr(self.raw)[2:-1].encode(),
        )


def keys_of(keyring: Keyring) -> list[Canary]:
    """Every key, and the key for rows."""
    secrets = {name: keyring.bytes_of(name) for name in keyring.names()}
    secrets["rows"] = keyring.subkey("subject", "rows")
    return [Secret(f"key {name}", "", secret) for name, secret in secrets.items()]


@pytest.fixture(name="organization")
def _organization(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The planted organization, with settings of subjects, and enough files that tallies go through a shuffle."""
    (tmp_path / "organization").mkdir()
    organization = build(tmp_path / "organization")
    (first,) = (organization / "in").rglob("*.gz")
    for number in (1, 2):
        shutil.copy(first, first.with_name(f"part-{number}.ndjson.gz"))
    with (organization / "settings.csv").open("a") as settings:
        settings.writelines(f"acme,{SUBJECT.value}-{n},location,on,admin,{SINCE},{SINCE}\n" for n in range(99))
    monkeypatch.setenv("MINIMIZE_KEYS", str(organization / "keys"))
    monkeypatch.setenv("MINIMIZE_LEDGER", str(organization / "ledger.db"))
    monkeypatch.setenv("MINIMIZE_SPARK_MASTER", "local[2]")
    new_keyring(organization / "keys", ("device", "ticket"), now=datetime(2026, 11, 25, tzinfo=UTC))
    return organization


def test_no_planted_value_and_no_key_is_in_sparks_folders_during_a_run(folder: Path, organization: Path) -> None:
    canaries = [*ALL, SUBJECT, *keys_of(Keyring.load(organization / "keys"))]
    hits, said, seen = watched(
        folder, [sys.executable, "-c", RUN, str(organization), AT, str(organization / "out")], canaries
    )
    assert hits == set()
    assert found(canaries, said) == set()
    assert found(canaries, organization / "out") == set()
    assert [path for path in seen if "/events/" in path]
    assert [path for path in seen if "/local/" in path and "/shuffle_" in path]


def test_the_watch_finds_what_a_session_that_does_not_encrypt_writes(folder: Path, organization: Path) -> None:
    words = [sys.executable, "-c", RUN, str(organization), AT, str(organization / "out"), "unsafe"]
    hits, _, _ = watched(folder, words, [*ALL, SUBJECT, *keys_of(Keyring.load(organization / "keys"))])
    assert hits >= {SUBJECT.place, "file name"}


def test_the_watch_finds_a_key_in_every_form(organization: Path) -> None:
    (key, *_) = keys_of(Keyring.load(organization / "keys"))
    for form in key.forms():
        assert found([key], b"before" + form + b"after") == {key.place}
