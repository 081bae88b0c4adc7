"""For all tests: properties are judged by what they find, never by how long that takes on a busy machine."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import shutil
import sys
from collections.abc import Generator, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import pytest
import time_machine

from tests.buckets import Bucket, access, empty_bucket, store
from tests.emulators import STORES, azurite, bucket_of, google
from tests.hypothesis_profiles import load_profile
from tests.ledger.ledgers import empty
from tests.postgres import Server, server
from tests.project import AT, Builds, Project, enter, new_project
from tests.world import World, build_world

load_profile()

IN_MEMORY: Final = Path("/dev", "shm")
ENOUGH: Final = 4 << 30
"""Bytes that must be free in memory for the tests' files to be stored there: then no test waits for a disk."""
if IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ENOUGH:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Iterator[None]:
    """Exempts the collected tests from garbage collection: looking through 13,000 items took a quarter of the CPU time.

    As in a command's own process, young objects are looked through less often, too (another 5 %).
    """
    gc.disable()
    try:
        with compiling_once():
            return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


@contextlib.contextmanager
def compiling_once() -> Iterator[None]:
    """In a new checkout, has one worker compile the tests and what they import while the others wait for the bytecode."""
    with Path(__file__).open() as file:
        if "PYTEST_XDIST_WORKER" in os.environ and not sys.dont_write_bytecode:
            fcntl.flock(file, fcntl.LOCK_EX)
            if any(Path(__file__).parent.glob("*/__pycache__/test_*")):
                fcntl.flock(file, fcntl.LOCK_UN)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_collect_file() -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Looks for no doctests in tests: they have none, and the search took a tenth of the collection."""
    return [each for each in (yield) if type(each) is pytest.Module]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Marks tests of object stores as slow, and has each worker begin with slow tests, so that none ends with many of them."""
    for item in items:
        if "s3" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
    yield
    items[:] = spread(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def spread(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """The tests in as many runs of equal length as there are workers, each with its share of the slow ones first.

    Slow tests that use the same server, or stand in the same file, stay together: they share what is started for them.
    """
    together: dict[str, list[pytest.Item]] = {}
    fast: list[pytest.Item] = []
    for item in items:
        slow = [name for name in ("spark", "postgres", "browser", "slow") if item.get_closest_marker(name)]
        if slow:
            together.setdefault(item.location[0] if slow[0] == "slow" else slow[0], []).append(item)
        else:
            fast.append(item)
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for group in sorted(together.values(), key=len, reverse=True):
        min(shares, key=len).extend(group)
    length, rest = -(-len(items) // workers), iter(fast)
    for share in shares:
        share += islice(rest, max(0, length - len(share)))
    return [item for share in shares for item in share] + list(rest)


@pytest.fixture(scope="session", name="postgres")
def _postgres() -> Iterator[Server]:
    """A PostgreSQL server, started when the first test asks for it."""
    with server() as running:
        yield running


@pytest.fixture(scope="session", name="s3")
def _s3() -> Iterator[str]:
    """Host and port of an S3 on loopback, started when the first test asks for it."""
    with store() as host:
        yield host


@pytest.fixture(scope="session", name="gcs")
def _gcs() -> Iterator[str]:
    """Host and port of a Google Cloud Storage on loopback."""
    with google() as host:
        yield host


@pytest.fixture(scope="session", name="azure")
def _azure() -> Iterator[str]:
    """Host and port of an Azure Blob Storage on loopback."""
    with azurite() as host:
        yield host


@pytest.fixture(name="s3_bucket")
def _s3_bucket(s3: str) -> Iterator[Bucket]:
    """An empty bucket of S3, and the credentials for it."""
    with access():
        yield empty_bucket(s3)


@pytest.fixture(name="bucket", params=STORES)
def _bucket(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    """An empty bucket of each store, and the credentials for it."""
    yield from bucket_of(request)


@pytest.fixture(scope="session", autouse=True)
def _session_ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A ledger for what fixtures of the session run: the one of the checkout (`pipelines/minimize.yaml`) stays as it is."""
    yield from ledger_in(tmp_path_factory.mktemp("ledger"))


@pytest.fixture(scope="module", autouse=True)
def _module_ledger(_session_ledger: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A ledger for each file of tests: a command looks at every output in its ledger, and one for all would slow each down."""
    yield from ledger_in(tmp_path_factory.mktemp("ledger"))


def ledger_in(folder: Path) -> Iterator[None]:
    """Has runs that name no ledger use one in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMIZE_LEDGER", str(folder / "ledger.db"))
        yield


@pytest.fixture(scope="session", name="builds")
def _builds(tmp_path_factory: pytest.TempPathFactory) -> Builds:
    """Folders that are built once per session and copied for each test."""
    return Builds(tmp_path_factory.mktemp("builds"))


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A new project without data in the current folder; runs that name no ledger use the one of the session."""
    enter(tmp_path, monkeypatch, keep=["MINIMIZE_LEDGER"])
    return new_project(tmp_path)


@pytest.fixture(name="own_ledger")
def _own_ledger(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that name no ledger use one of the test: exact figures of a date are published once for each ledger and source."""
    monkeypatch.setenv("MINIMIZE_LEDGER", str(tmp_path_factory.mktemp("ledger") / "ledger.db"))


@pytest.fixture(name="project_with_ledger")
def _project_with_ledger(tmp_path: Path, builds: Builds, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A new project in the current folder, with an empty ledger in its output folder."""
    enter(tmp_path, monkeypatch)
    builds.copy(empty, tmp_path / "out")
    return new_project(tmp_path)


@pytest.fixture(name="clock")
def _clock() -> Iterator[time_machine.Traveller]:
    """The clock of this process, stopped at the time of the projects' runs until the test moves it."""
    with time_machine.travel(AT, tick=False) as clock:
        yield clock


@pytest.fixture(scope="session", name="shared_world")
def _shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The organization, built once for all workers, for tests that only read. Fails at the end if its files have changed."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "world"
    built = folder.with_suffix(".built")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            build_world(folder)
            built.touch()
    world = World(folder)
    before = world.digests()
    yield world
    assert world.digests() == before, "a test wrote to the shared world; it needs a copy (the fixture `world`)"


@pytest.fixture(name="world")
def _world(shared_world: World, tmp_path: Path) -> World:
    """A copy of the organization, for a test that writes."""
    return shared_world.copy(tmp_path / "world")
