"""What cannot be read: modes that forbid it, folders where files should be, files that are damaged. Nothing is published."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable

import pytest

from tests.faults.child import Ended, Fault, ended
from tests.job.house import AT, DAY, House, events, table

INPUT = f"data/{DAY}/a.ndjson.gz"
OURS = ("policy.yaml", "pipeline.yaml", "settings.csv", "test.keys")
SECRET = b"a value that nobody may see"


def runs(house: House, fault: Fault | None = None) -> Ended:
    words = ["run", house.folder, "--date", DAY, "--at", AT.isoformat(), "--output", house.out, "--keys", house.keys]
    words += ["--ledger", house.folder / "ledger.db"]
    return ended([str(word) for word in words], house.folder / "said", fault or Fault(obeys_modes=True))


def refused(house: House, before: set[str], found: Ended) -> None:
    """The error is clear, and nothing was published."""
    assert found.code == 2, found.said
    assert found.said.count("error E2") + found.said.count("Error: Invalid value for") == 1
    for never in ("Traceback", "E900", "a value"):
        assert never not in found.said
    assert house.files() == before
    assert not [*(house.out / "runs").glob("*/staging")]


@pytest.fixture(name="before")
def _before(house: House) -> set[str]:
    """The files of a run that went well."""
    assert runs(house).code == 0
    return house.files()


OUTPUT = ("out", "out/runs", "out/runs/*", "out/runs/*/receipt.json", "out/runs/.lock", "out/runs/.id")


@pytest.mark.parametrize("name", [*OURS, "ledger.db", INPUT, f"data/{DAY}", "data", *OUTPUT])
def test_what_may_not_be_read_is_told(house: House, before: set[str], name: str) -> None:
    (path,) = house.folder.glob(name.replace("*", "2*"))
    mode = path.stat().st_mode & 0o777
    path.chmod(0)
    found = runs(house)
    path.chmod(mode)
    refused(house, before, found)
    assert runs(house).code == 0


@pytest.mark.parametrize("name", [*OURS, "ledger.db", "out/runs/*/receipt.json"])
def test_a_folder_in_the_place_of_a_file_is_told(house: House, before: set[str], name: str) -> None:
    (path,) = house.folder.glob(name)
    kept = path.rename(house.folder / "kept")
    path.mkdir()
    found = runs(house)
    path.rmdir()
    kept.rename(path)
    refused(house, before, found)
    assert runs(house).code == 0


def test_a_folder_in_the_place_of_an_input_holds_none(house: House, before: set[str]) -> None:
    (house.folder / INPUT).unlink()
    (house.folder / INPUT).mkdir()
    assert runs(house).code == 0
    assert house.files() == before


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(255 - byte for byte in content[middle : middle + 20]) + content[middle + 20 :]


DAMAGES: list[Callable[[bytes], bytes]] = [cut, flipped, lambda _: SECRET, lambda content: content + SECRET]


@pytest.mark.parametrize("damage", DAMAGES, ids=["cut", "flipped", "something else", "something behind it"])
def test_a_gzip_that_is_damaged_is_told(house: House, before: set[str], damage: Callable[[bytes], bytes]) -> None:
    path = house.folder / INPUT
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    found = runs(house)
    path.write_bytes(whole)
    refused(house, before, found)
    assert runs(house).code == 0


@pytest.mark.parametrize("damage", [*DAMAGES, lambda _: b""], ids=["cut", "flipped", "else", "behind", "empty"])
def test_a_parquet_file_that_is_damaged_is_told(house: House, damage: Callable[[bytes], bytes]) -> None:
    shutil.rmtree(house.folder / "data")
    house.reads("parquet")
    path = house.columns(table(events(3000)))
    assert runs(house).code == 0
    before, whole = house.files(), path.read_bytes()
    path.write_bytes(damage(whole))
    found = runs(house)
    path.write_bytes(whole)
    refused(house, before, found)
    assert runs(house).code == 0


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", SECRET, gzip.compress(SECRET)])
def test_a_file_of_ours_that_is_damaged_is_told(house: House, before: set[str], name: str, content: bytes) -> None:
    path = house.folder / name
    whole = path.read_bytes()
    path.write_bytes(content)
    found = runs(house)
    path.write_bytes(whole)
    refused(house, before, found)
    assert runs(house).code == 0
