"""What cannot be read: modes that forbid it, folders where files should be, files that are damaged. Nothing is published."""

from __future__ import annotations

import errno
import gzip
import os
import re
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from minimize.errors import MinimizeError
from tests.faults.child import Ended, Fault, ended
from tests.project import AT, DAY, Project, events, table

pytestmark = pytest.mark.slow

INPUT = f"data/{DAY}/a.ndjson.gz"
OURS = ("policy.yaml", "pipeline.yaml", "settings.csv", "test.keys")
SECRET = b"a value that nobody may see"


def runs(project: Project, fault: Fault | None = None) -> Ended:
    words = [
        "run",
        project.folder,
        "--date",
        DAY,
        "--at",
        AT.isoformat(),
        "--output",
        project.out,
        "--keys",
        project.keys,
    ]
    words += ["--ledger", project.folder / "ledger.db"]
    return ended([str(word) for word in words], project.folder / "said", fault or Fault(obeys_modes=True))


def refused(project: Project, before: set[str], found: Ended) -> None:
    """The error is clear, and nothing was published."""
    assert found.code == 2, found.said
    assert len(re.findall(r"^error [A-Z][0-9]{3}: ", found.said, re.M)) == 1, found.said
    for never in ("Traceback", "E900", "a value"):
        assert never not in found.said
    assert project.files() == before
    assert not [*(project.out / "runs").glob("*/staging")]


@pytest.fixture(name="before")
def _before(project: Project) -> set[str]:
    """The files of a run that went well."""
    assert runs(project).code == 0
    return project.files()


OUTPUT = ("out", "out/runs", "out/runs/*", "out/runs/*/receipt.json", "out/runs/.lock", "out/runs/.id")


@pytest.mark.parametrize("name", [*OURS, "ledger.db", INPUT, f"data/{DAY}", "data", *OUTPUT])
def test_an_unreadable_file_is_reported(project: Project, before: set[str], name: str) -> None:
    (path,) = project.folder.glob(name.replace("*", "2*"))
    mode = path.stat().st_mode & 0o777
    path.chmod(0)
    found = runs(project)
    path.chmod(mode)
    refused(project, before, found)
    assert runs(project).code == 0


@pytest.mark.parametrize("name", [*OURS, "ledger.db", "out/runs/*/receipt.json"])
def test_a_folder_in_place_of_a_file_is_reported(project: Project, before: set[str], name: str) -> None:
    (path,) = project.folder.glob(name)
    kept = path.rename(project.folder / "kept")
    path.mkdir()
    found = runs(project)
    path.rmdir()
    kept.rename(path)
    refused(project, before, found)
    assert runs(project).code == 0


def test_a_folder_in_the_place_of_an_input_holds_none(project: Project, before: set[str]) -> None:
    (project.folder / INPUT).unlink()
    (project.folder / INPUT).mkdir()
    assert runs(project).code == 1
    assert project.files() == before


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(255 - byte for byte in content[middle : middle + 20]) + content[middle + 20 :]


DAMAGES: list[Callable[[bytes], bytes]] = [cut, flipped, lambda _: SECRET, lambda content: content + SECRET]


@pytest.mark.parametrize("damage", DAMAGES, ids=["cut", "flipped", "something else", "something behind it"])
def test_a_damaged_gzip_file_is_reported(project: Project, before: set[str], damage: Callable[[bytes], bytes]) -> None:
    path = project.folder / INPUT
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    found = runs(project)
    path.write_bytes(whole)
    refused(project, before, found)
    assert runs(project).code == 0


@pytest.mark.parametrize("damage", [*DAMAGES, lambda _: b""], ids=["cut", "flipped", "else", "behind", "empty"])
def test_a_damaged_parquet_file_is_reported(project: Project, damage: Callable[[bytes], bytes]) -> None:
    shutil.rmtree(project.folder / "data")
    project.source("parquet")
    path = project.columns(table(events(3000)))
    assert runs(project).code == 0
    before, whole = project.files(), path.read_bytes()
    path.write_bytes(damage(whole))
    found = runs(project)
    path.write_bytes(whole)
    refused(project, before, found)
    assert runs(project).code == 0


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00", SECRET, gzip.compress(SECRET, mtime=0)],
    ids=["empty", "no text", "else", "packed"],
)
def test_a_damaged_project_file_is_reported(project: Project, before: set[str], name: str, content: bytes) -> None:
    path = project.folder / name
    whole = path.read_bytes()
    path.write_bytes(content)
    found = runs(project)
    path.write_bytes(whole)
    refused(project, before, found)
    assert runs(project).code == 0


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
def test_an_unreadable_output_file_is_not_treated_as_missing(
    project: Project, before: set[str], name: str, verb: str
) -> None:
    (path,) = project.out.glob(name)
    mode = path.stat().st_mode & 0o777
    path.chmod(0)
    words = [verb, str(project.out), "--keys", str(project.keys), "--ledger", str(project.folder / "ledger.db")]
    found = ended(words, project.folder / "said", Fault(obeys_modes=True))
    path.chmod(mode)
    assert found.code in ((0,) if verb == "replay" and name in NOT_NEEDED else (1, 2))
    for never in ("Traceback", "E900", "E209"):
        assert never not in found.said
    assert project.files() == before
    assert runs(project).code == 0


def test_a_receipt_that_cannot_be_seen_is_never_rolled_back(project: Project, before: set[str]) -> None:
    (run,) = (project.out / "runs").glob("2*")
    kept = sorted(path.name for path in run.iterdir())

    stat = os.stat

    def unseen(path: Any, **options: Any) -> os.stat_result:
        if path == run / "receipt.json":
            raise OSError(errno.EIO, "a disk that fails for a moment")
        return stat(path, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "stat", unseen)
        with pytest.raises(MinimizeError, match="EIO"):
            project.run(ledger=project.folder / "ledger.db")
    assert sorted(path.name for path in run.iterdir()) == kept
    assert runs(project).code == 0
