"""`kill -9` before and after every fsync, every write to the ledger and every step that is not one of publication's own."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from minimize.checkpoints import (
    FAIL_POINTS,
    LEDGER_POINTS,
    OBJECT_POINTS,
    OTHER_POINTS,
    POINTS,
    SYNC_POINTS,
    WATCHED_POINTS,
)
from minimize.keys import Keyring, new_keyring
from tests.faults.child import Fault, ended
from tests.faults.process import KILLED
from tests.faults.versions import Versions
from tests.sources.publishing import NOW, check_whole, dies_at, new, old, recovered, snapshot

ELSEWHERE = (
    "sync.copy",
    "sync.keyring",
    "sync.ledger",
    "sync.identity",
    "keep",
    "adopt",
    "back",
    "begin.before",
)
"""What a run over an output that stands does not come to (or that is tried below by itself)."""
IN_BUCKETS = OBJECT_POINTS
"""What `tests/runs/test_bucket_kills.py` tries."""
PASSED = [p for p in (*SYNC_POINTS, *LEDGER_POINTS, *OTHER_POINTS) if not p.startswith(ELSEWHERE)]


def beside_warnings(said: str) -> list[str]:
    """What a process that died said, without its warnings."""
    return [line for line in said.splitlines() if not line.startswith("WARNING ")]


def killed(versions: Versions, out: Path, point: str) -> bool:
    """Whether the run came to the point and died there; what stands then is old or new, and the next run gives the new."""
    found = ended(versions.command(out), out.parent / "said", Fault(point))
    assert found.code in (0, KILLED)
    if found.code == 0:
        return False
    assert beside_warnings(found.said) == []
    versions.settled(out)
    versions.becomes_new(out)
    return True


@pytest.mark.nightly
@pytest.mark.parametrize(
    "point", [*PASSED, "sync.folder.before#20", "ledger.before#2", "ledger.after#1", "run.indexed"]
)
def test_killed_there_it_is_old_or_new(versions: Versions, out: Path, point: str) -> None:
    assert killed(versions, out, point)


@pytest.mark.nightly
@pytest.mark.parametrize("point", [*PASSED, "begin.before"])
def test_a_kill_at_any_occurrence_of_the_point_leaves_the_old_or_the_new_output(
    versions: Versions, tmp_path: Path, point: str
) -> None:
    for turn in count():
        if not killed(versions, versions.out(tmp_path / str(turn)), f"{point}#{turn}"):
            break
    assert turn > 0


def test_every_point_is_tried_somewhere() -> None:
    assert set(PASSED) | {p for p in POINTS if p.startswith(ELSEWHERE)} | set(FAIL_POINTS) | set(IN_BUCKETS) == (
        POINTS - {*WATCHED_POINTS}
    )


@pytest.mark.nightly
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_sync_of_a_publication_it_is_old_or_new(tmp_path: Path, when: str) -> None:
    old(tmp_path / "old")
    before = snapshot(tmp_path / "old")
    for turn in count():
        out = tmp_path / f"{turn}"
        old(out)
        if not dies_at(f"sync.folder.{when}#{turn}", new, out):
            break
        recovered(out)
        check_whole(out)
        data = {path for path in snapshot(out) if not path.startswith("runs/")}
        assert data == {p for p in before if not p.startswith("runs/")} or any("run2" in path for path in data)
        if not (out / "runs/run2/receipt.json").exists():
            new(out)
        check_whole(out)
    assert turn > 10


@pytest.mark.nightly
@pytest.mark.parametrize("point", [p for p in (*SYNC_POINTS, *LEDGER_POINTS) if "copy" not in p and "keyring" not in p])
def test_a_first_run_that_is_killed_is_made_up_for(versions: Versions, tmp_path: Path, point: str) -> None:
    out = tmp_path / "first"
    found = ended(versions.command(out), tmp_path / "said", Fault(point))
    assert found.code == KILLED
    assert beside_warnings(found.said) == []
    assert not list(tmp_path.glob("first/*.parquet"))
    versions.run(out)
    versions.is_whole(out)


@pytest.mark.nightly
@pytest.mark.parametrize(
    "point", ["sync.keyring.before", "sync.keyring.after", "sync.folder.before", "sync.folder.after"]
)
def test_a_keyring_is_made_whole_or_not_at_all(tmp_path: Path, point: str) -> None:
    target = tmp_path / "a.keys"
    words = ["keys", "new", str(target), "--name", "device"]
    assert ended(words, tmp_path / "said", Fault(point)).code == KILLED
    if not target.exists():
        new_keyring(target, ["device"], now=NOW)
    assert Keyring.load(target).version_of("device") == 1
