"""What cannot be read: modes that forbid it, folders where files should be, files that are damaged. Nothing is published."""

from __future__ import annotations

import errno
import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from minimize.errors import MinimizeError
from minimize.io import intent
from tests.faults.child import Ended, Fault, ended
from tests.project import AT, DAY, Project, events, table

pytestmark = pytest.mark.slow

INPUT = f"data/{DAY}/a.ndjson.gz"
OURS = ("policy.yaml", "pipeline.yaml", "settings.csv", "test.keys")
SECRET = b"a value that nobody may see"


def runs(house: Project, fault: Fault | None = None) -> Ended:
    words = ["run", house.folder, "--date", DAY, "--at", AT.isoformat(), "--output", house.out, "--keys", house.keys]
    words += ["--ledger", house.folder / "ledger.db"]
    return ended([str(word) for word in words], house.folder / "said", fault or Fault(obeys_modes=True))


def refused(house: Project, before: set[str], found: Ended) -> None:
    """The error is clear, and nothing was published."""
    assert found.code == 2, found.said
    assert found.said.count("error E2") + found.said.count("Error: Invalid value for") == 1
    for never in ("Traceback", "E900", "a value"):
        assert never not in found.said
    assert house.files() == before
    assert not [*(house.out / "runs").glob("*/staging")]


@pytest.fixture(name="before")
def _before(house: Project) -> set[str]:
    """The files of a run that went well."""
    assert runs(house).code == 0
    return house.files()


OUTPUT = ("out", "out/runs", "out/runs/*", "out/runs/*/receipt.json", "out/runs/.lock", "out/runs/.id")


@pytest.mark.parametrize("name", [*OURS, "ledger.db", INPUT, f"data/{DAY}", "data", *OUTPUT])
def test_what_may_not_be_read_is_told(house: Project, before: set[str], name: str) -> None:
    (path,) = house.folder.glob(name.replace("*", "2*"))
    mode = path.stat().st_mode & 0o777
    path.chmod(0)
    found = runs(house)
    path.chmod(mode)
    refused(house, before, found)
    assert runs(house).code == 0


@pytest.mark.parametrize("name", [*OURS, "ledger.db", "out/runs/*/receipt.json"])
def test_a_folder_in_the_place_of_a_file_is_told(house: Project, before: set[str], name: str) -> None:
    (path,) = house.folder.glob(name)
    kept = path.rename(house.folder / "kept")
    path.mkdir()
    found = runs(house)
    path.rmdir()
    kept.rename(path)
    refused(house, before, found)
    assert runs(house).code == 0


def test_a_folder_in_the_place_of_an_input_holds_none(house: Project, before: set[str]) -> None:
    (house.folder / INPUT).unlink()
    (house.folder / INPUT).mkdir()
    assert runs(house).code == 1
    assert house.files() == before


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(255 - byte for byte in content[middle : middle + 20]) + content[middle + 20 :]


DAMAGES: list[Callable[[bytes], bytes]] = [cut, flipped, lambda _: SECRET, lambda content: content + SECRET]


@pytest.mark.parametrize("damage", DAMAGES, ids=["cut", "flipped", "something else", "something behind it"])
def test_a_gzip_that_is_damaged_is_told(house: Project, before: set[str], damage: Callable[[bytes], bytes]) -> None:
    path = house.folder / INPUT
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    found = runs(house)
    path.write_bytes(whole)
    refused(house, before, found)
    assert runs(house).code == 0


@pytest.mark.parametrize("damage", [*DAMAGES, lambda _: b""], ids=["cut", "flipped", "else", "behind", "empty"])
def test_a_parquet_file_that_is_damaged_is_told(house: Project, damage: Callable[[bytes], bytes]) -> None:
    shutil.rmtree(house.folder / "data")
    house.source("parquet")
    path = house.columns(table(events(3000)))
    assert runs(house).code == 0
    before, whole = house.files(), path.read_bytes()
    path.write_bytes(damage(whole))
    found = runs(house)
    path.write_bytes(whole)
    refused(house, before, found)
    assert runs(house).code == 0


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00", SECRET, gzip.compress(SECRET, mtime=0)],
    ids=["empty", "no text", "else", "packed"],
)
def test_a_file_of_ours_that_is_damaged_is_told(house: Project, before: set[str], name: str, content: bytes) -> None:
    path = house.folder / name
    whole = path.read_bytes()
    path.write_bytes(content)
    found = runs(house)
    path.write_bytes(whole)
    refused(house, before, found)
    assert runs(house).code == 0


NOT_NEEDED = ("records/date=2*", "records/date=2*/*.parquet", "runs/2*/policy.yaml")
"""What a replay that has nothing to do does not look at."""
STANDING = (
    "records/date=2*",
    "records/date=2*/*.parquet",
    "runs",
    "runs/2*",
    "runs/2*/policy.yaml",
    "runs/2*/receipt.json",
)


@pytest.mark.parametrize("name", STANDING)
@pytest.mark.parametrize("verb", ["verify", "replay"])
def test_what_stands_and_may_not_be_read_is_not_taken_for_gone(
    house: Project, before: set[str], name: str, verb: str
) -> None:
    (path,) = house.out.glob(name)
    mode = path.stat().st_mode & 0o777
    path.chmod(0)
    words = [verb, str(house.out), "--keys", str(house.keys), "--ledger", str(house.folder / "ledger.db")]
    found = ended(words, house.folder / "said", Fault(obeys_modes=True))
    path.chmod(mode)
    assert found.code in ((0,) if verb == "replay" and name in NOT_NEEDED else (1, 2))
    for never in ("Traceback", "E900", "E209"):
        assert never not in found.said
    assert house.files() == before
    assert runs(house).code == 0


def test_a_receipt_that_cannot_be_seen_is_never_rolled_back(house: Project, before: set[str]) -> None:
    (run,) = (house.out / "runs").glob("2*")
    kept = sorted(path.name for path in run.iterdir())

    def unseen(path: Path) -> bool:
        raise OSError(errno.EIO, "a disk that fails for a moment")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intent, "there", unseen)
        with pytest.raises(MinimizeError, match="EIO"):
            house.run(ledger=house.folder / "ledger.db")
    assert sorted(path.name for path in run.iterdir()) == kept
    assert runs(house).code == 0
