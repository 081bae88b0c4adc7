"""`minimize run` into a bucket may be killed anywhere: the next command rolls it on or back, and nobody runs beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.checkpoints import FAIL_POINTS, OBJECT_POINTS
from minimize.datasets import reader
from minimize.errors import LedgerError, OutputError
from minimize.ledger import find_ledger
from minimize.ledger.database import parse_address
from minimize.ledger.leases import Heartbeat, LeaseClock, LeaseTiming, release_lease, take_lease
from minimize.ledger.ledger import open_ledger
from minimize.output.folder import identity_of
from minimize.receipts import new_run_id
from minimize.stores import ObjectPath
from tests.buckets import Bucket
from tests.commands import command
from tests.faults import child
from tests.faults.process import KILLED
from tests.project import DAY, Project, events

AT = "2026-11-25T00:00:00Z"
NOT_HERE = ("back.before", "back.after", "success.before", "success.after")
POINTS = [point for point in FAIL_POINTS if point not in NOT_HERE]
POINTS[POINTS.index("swap.between") : POINTS.index("swap.between")] = ["swap.unmarked", "swap.copied"]
POINTS.insert(POINTS.index("swap.after"), "swap.deleted")
DECIDED = POINTS.index("intent.after")
QUICK = ("file.closed", "intent.written", "swap.copied", "receipt.before")
State = dict[str, list[str]]


@pytest.fixture(name="out")
def _out(project: Project, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> ObjectPath:
    """An output in a bucket whose first run stands, and an input that changes it."""
    monkeypatch.setenv("MINIMIZE_LEDGER", str(project.folder / "ledger" / "ledger.db"))
    out = bucket.at("out")
    project.records([*events(30), "no json"])
    project.run(output=out)
    project.records(events(40, 100))
    return out


def killed(project: Project, out: ObjectPath, point: str | None) -> int | None:
    """The exit code of the command in a process of its own."""
    words = ["run", project.folder, "--date", DAY, "--at", AT, "--output", out.uri, "--keys", project.keys]
    return child.killed(words, point)


def state(out: ObjectPath) -> State:
    found = {name: [str(row) for row in minimize.read(out, name).to_pylist()] for name in ("records", "per_model")}
    return found | {"quarantine": [path.rpartition("/")[2] for path in minimize.files(out, "quarantine")]}


def lying(bucket: Bucket) -> set[str]:
    """The data that lies in the bucket, whether it stands or not."""
    return {key for key in bucket.keys("out/") if key.endswith((".parquet", ".index"))}


def verified(project: Project, out: ObjectPath) -> None:
    minimize.verify(out, keys=project.keys)


def read(project: Project, out: ObjectPath) -> None:
    minimize.read(out)


def listed(project: Project, out: ObjectPath) -> None:
    minimize.files(out, "per_model")


def again(project: Project, out: ObjectPath) -> None:
    project.run(output=out, date=DAY, at=AT)


Follow = Callable[[Project, ObjectPath], None]


def old_or_new(project: Project, bucket: Bucket, out: ObjectPath, point: str, follow: Follow) -> None:
    """Killed at a point and followed by a command, the output is all of the old one or all of the new one."""
    old, were = state(out), lying(bucket)
    new = [str(row) for row in rows_on_disk(project, out)]
    assert killed(project, out, point) == KILLED
    follow(project, out)
    now = state(out)
    if follow is again or POINTS.index(point) >= DECIDED:
        assert now["records"] == new
        assert now["quarantine"] == []
        assert not lying(bucket) & were
    else:
        assert now == old
    verified(project, out)
    standing = {
        path.rpartition(f"{bucket.name}/")[2] for name in ("records", "per_model") for path in minimize.files(out, name)
    }
    assert standing == {key for key in lying(bucket) if key.split("/")[1] in ("records", "per_model")}
    assert bucket.keys("out/records/") == sorted(
        [*standing_of(out, bucket, "records"), f"out/records/date={DAY}/_SUCCESS"]
    )


def standing_of(out: ObjectPath, bucket: Bucket, name: str) -> list[str]:
    return [path.rpartition(f"{bucket.name}/")[2] for path in minimize.files(out, name)]


def rows_on_disk(project: Project, out: ObjectPath) -> list[dict[str, Any]]:
    """The rows that a run gives on disk."""
    project.run(date=DAY, at=AT)
    found: list[dict[str, Any]] = minimize.read(project.out).to_pylist()
    return found


@pytest.mark.nightly
@pytest.mark.parametrize(("point", "follow"), list(zip(QUICK, (verified, again, read, listed), strict=True)))
def test_killed_at_a_step_it_is_old_or_new(
    project: Project, bucket: Bucket, out: ObjectPath, point: str, follow: Follow
) -> None:
    old_or_new(project, bucket, out, point, follow)


def test_every_step_of_a_bucket_is_tried() -> None:
    assert set(OBJECT_POINTS) < set(POINTS)
    assert set(FAIL_POINTS) - set(NOT_HERE) < set(POINTS)


@pytest.mark.nightly
@pytest.mark.parametrize(("point", "follow"), list(zip(POINTS, cycle([verified, read, listed, again]))))
def test_killed_at_every_step_it_is_old_or_new(
    project: Project, bucket: Bucket, out: ObjectPath, point: str, follow: Follow
) -> None:
    old_or_new(project, bucket, out, point, follow)


@pytest.mark.nightly
@pytest.mark.parametrize("point", ["swap.before#1", "swap.copied#1", "swap.after#1", "swap.deleted#1", "clean.between"])
def test_killed_and_killed_again_it_is_rolled_on_at_last(
    project: Project, bucket: Bucket, out: ObjectPath, point: str
) -> None:
    assert killed(project, out, "swap.unmarked") == KILLED
    assert killed(project, out, point) == KILLED
    assert killed(project, out, None) == 0
    verified(project, out)
    assert state(out)["quarantine"] == []


@pytest.mark.nightly
def test_between_commit_and_recovery_the_bucket_holds_both_and_receipts_decide(
    project: Project, bucket: Bucket, out: ObjectPath
) -> None:
    before = lying(bucket)
    assert killed(project, out, "swap.between") == KILLED
    assert before < lying(bucket)
    assert not any(key.endswith("_SUCCESS") and "quarantine" in key for key in bucket.keys("out/index/"))
    verified(project, out)
    assert not before & lying(bucket)


@pytest.mark.nightly
def test_leftovers_of_a_run_that_died_are_gone_with_the_next(project: Project, bucket: Bucket, out: ObjectPath) -> None:
    assert killed(project, out, "file.closed") == KILLED
    assert any("/staging/" in key for key in bucket.keys("out/"))
    again(project, out)
    assert not any("/staging/" in key for key in bucket.keys("out/"))
    assert len({key.split("/")[2] for key in bucket.keys("out/runs/") if key.count("/") > 2}) == 2


def test_a_concurrent_run_is_refused_by_the_lease(project: Project, bucket: Bucket, out: ObjectPath) -> None:
    identity = identity_of(out)
    assert identity is not None
    before = bucket.keys()
    with open_ledger(find_ledger()) as ledger:
        run_id, clock = new_run_id(datetime.now(UTC)), LeaseClock()
        lease = take_lease(ledger, identity, run_id, lambda connection, lease: None, pace=LeaseTiming(), clock=clock)
        with (
            Heartbeat(ledger, lease, LeaseTiming(), clock),
            pytest.raises(LedgerError, match="another run is writing") as caught,
        ):
            project.run(output=out, date=DAY)
        ledger.write(partial(release_lease, lease=lease))
    assert caught.value.code == "E207"
    assert bucket.keys() == before
    assert project.run(output=out, date=DAY).sequence == 2


def test_of_two_concurrent_runs_one_waits_or_is_refused(project: Project, bucket: Bucket, out: ObjectPath) -> None:
    words = ["run", project.folder, "--date", DAY, "--at", AT, "--output", out.uri, "--keys", project.keys]
    command = [sys.executable, "-m", "minimize", *map(str, words)]
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [(run.communicate()[1], run.returncode) for run in both]
    assert {code for _, code in ended} <= {0, 2}
    assert all("another run is writing to this output" in said for said, code in ended if code)
    assert any(code == 0 for _, code in ended)
    verified(project, out)
    receipts = [key for key in bucket.keys("out/runs/") if key.endswith("receipt.json")]
    assert len(receipts) == 1 + sum(code == 0 for _, code in ended)


def test_a_reader_without_the_ledger_reports_an_interrupted_publication(
    project: Project, bucket: Bucket, out: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert killed(project, out, "swap.between") == KILLED
    monkeypatch.delenv("MINIMIZE_LEDGER")
    with pytest.raises(OutputError, match="was interrupted") as caught:
        minimize.read(out)
    assert "MINIMIZE_LEDGER" in caught.value.hint


@pytest.fixture(name="elsewhere")
def _elsewhere(
    project: Project, out: ObjectPath, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The current folder, whose configuration names another ledger. The configuration of the pipeline names the output's own."""
    project.pipeline(output=out.uri)
    own = Path(os.environ["MINIMIZE_LEDGER"]).relative_to(project.folder)
    (project.folder / "minimize.yaml").write_text(f"access: off\nencrypt: off\nledger: {own}\n")
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "minimize.yaml").write_text("access: off\nencrypt: off\nledger: other.db\n")
    open_ledger(parse_address("other.db", "a test", folder), create=True).close()
    assert killed(project, out, "swap.between") == KILLED
    monkeypatch.delenv("MINIMIZE_LEDGER")
    monkeypatch.chdir(folder)
    return folder


def lease_count(ledger: Path) -> int:
    with open_ledger(parse_address(ledger, "a test")) as opened:
        return int(opened.read(lambda connection: connection.value("SELECT count(*) FROM leases")))


def test_the_ledger_of_the_current_folder_has_no_lease_for_a_reader(
    project: Project, out: ObjectPath, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutputError, match="was interrupted"):
        minimize.read(out)
    assert lease_count(elsewhere / "other.db") == 0
    monkeypatch.chdir(project.folder)
    rows = minimize.read(out).num_rows
    assert rows == 40, "the ledger of the pipeline that names the output completes it"
    monkeypatch.chdir(elsewhere)
    assert minimize.read(out).num_rows == rows, "nothing is left to complete"


def test_a_copy_of_the_pipeline_with_another_ledger_does_not_complete_it(
    project: Project, out: ObjectPath, elsewhere: Path
) -> None:
    (elsewhere / "pipeline.yaml").write_bytes((project.folder / "pipeline.yaml").read_bytes())
    with pytest.raises(OutputError, match="is not the ledger that the receipts of this output name"):
        minimize.read(out)
    assert lease_count(elsewhere / "other.db") == 0


@pytest.mark.usefixtures("elsewhere")
def test_the_ledger_of_a_command_completes_it(project: Project, out: ObjectPath) -> None:
    assert minimize.verify(out, keys=project.keys, ledger=project.folder / "ledger" / "ledger.db") is None
    assert minimize.read(out).num_rows == 40


@pytest.mark.usefixtures("elsewhere")
def test_the_ledger_of_a_request_completes_the_outputs_it_reaches(project: Project, out: ObjectPath) -> None:
    ledger = project.folder / "ledger" / "ledger.db"
    command("subject", "coverage", "--output", out.uri, "--ledger", ledger, "--keys", project.keys)
    assert minimize.read(out).num_rows == 40


@pytest.mark.usefixtures("elsewhere")
def test_the_pipeline_of_a_command_completes_it(project: Project, out: ObjectPath) -> None:
    command("expire", out.uri, "--pipeline", project.folder, "--keys", project.keys)
    assert minimize.read(out).num_rows == 40


def test_a_reader_waits_for_a_publishing_run_and_then_reports_it(
    project: Project, bucket: Bucket, out: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert killed(project, out, "swap.between") == KILLED
    monkeypatch.setattr(reader, "BUCKET_WAITS", 2)
    monkeypatch.setattr(reader, "BUCKET_WAIT_S", 0.01)
    identity = identity_of(out)
    assert identity is not None
    with open_ledger(find_ledger()) as ledger:
        clock, run_id = LeaseClock(), new_run_id(datetime.now(UTC))
        lease = take_lease(ledger, identity, run_id, lambda connection, lease: None, pace=LeaseTiming(), clock=clock)
        with Heartbeat(ledger, lease, LeaseTiming(), clock), pytest.raises(OutputError, match="still in progress"):
            minimize.read(out)
        ledger.write(partial(release_lease, lease=lease))
    verified(project, out)


def test_the_receipt_of_a_bucket_names_no_path_of_this_machine(
    project: Project, bucket: Bucket, out: ObjectPath
) -> None:
    told = [bucket.get(key) for key in bucket.keys("out/runs/") if key.endswith("receipt.json")]
    assert told
    assert not any(str(Path.cwd()).encode() in content for content in told)
