"""`expire` and `retract` over an output in an object store."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from typing import Any

import pytest

import minimize
from minimize.datasets.erasure_list import ERASURES_FOLDER, StoredErasures
from minimize.errors import RefusedError
from minimize.governance.events import NewEvent, add_event
from minimize.keys import Keyring
from minimize.removal.expire import expire
from minimize.removal.retract import retract
from minimize.stores import parse_output_location
from minimize.workspace import Workspace as Where
from tests.buckets import Bucket
from tests.calls import adopt_ledger, open_items
from tests.faults.child import killed
from tests.faults.process import KILLED
from tests.governance.retention.daily import SETTINGS, START, Daily, rows

FIRST, DAY = date(2026, 1, 1), timedelta(days=1)
RAN = START + DAY


@pytest.fixture(name="out")
def _out(project: Daily, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two days in a bucket, run as they came."""
    monkeypatch.setenv("MINIMIZE_LEDGER", str(project.folder / "organization" / "ledger.db"))
    out = bucket.uri("out")
    for number in (0, 1):
        day = FIRST + number * DAY
        project.collect(rows(day), day)
        minimize.run(project.folder, date=day, at=RAN + number * DAY, output=out, keys=project.keys)
    return out


def test_a_value_past_its_retention_is_removed_from_the_bucket_and_the_rest_is_kept(
    project: Daily, bucket: Bucket, out: str
) -> None:
    before = set(bucket.keys("out/records/"))
    due = RAN + DAY + timedelta(hours=12)
    expire(out, at=due, keys=project.keys, yes=True, allow_shrink=True)
    read = minimize.read(out).to_pylist()
    assert {row["date"] for row in read} == {FIRST, FIRST + DAY}
    assert not [row for row in read if row["date"] == FIRST and row["place"] is not None]
    assert [row for row in read if row["date"] == FIRST + DAY and row["place"] is not None]
    assert before - set(bucket.keys("out/records/"))
    minimize.verify(out, keys=project.keys)


def test_a_time_that_is_not_that_of_the_store_is_refused(project: Daily, bucket: Bucket, out: str) -> None:
    before = set(bucket.keys("out/"))
    with pytest.raises(RefusedError) as caught:
        expire(out, at=RAN + DAY + timedelta(hours=12), keys=project.keys, yes=True)
    assert "more than 5 minutes from the time of the database or store" in caught.value.message
    assert set(bucket.keys("out/")) == before


def test_a_date_past_its_retention_is_removed_whole(project: Daily, bucket: Bucket, out: str) -> None:
    expire(out, at=RAN + 400 * DAY, keys=project.keys, yes=True, allow_shrink=True)
    assert not bucket.keys("out/records/")
    assert not bucket.keys("out/index/")
    minimize.verify(out, keys=project.keys)


@pytest.mark.nightly
@pytest.mark.parametrize(
    "point",
    [
        "swap.copied",
        "keep.after",
        "swap.deleted",
    ],
)
def test_killed_on_its_way_it_is_done_by_the_next_command(project: Daily, bucket: Bucket, out: str, point: str) -> None:
    due = RAN + DAY + timedelta(hours=12)
    words = ["expire", out, "--at", due.isoformat(), "--keys", str(project.keys), "--yes", "--allow-shrink"]
    assert killed(words, point) in (KILLED, 0)
    minimize.verify(out, keys=project.keys)
    expire(out, at=due, keys=project.keys, yes=True, allow_shrink=True)
    first = [row for row in minimize.read(out).to_pylist() if row["date"] == FIRST]
    assert first
    assert not [row for row in first if row["place"] is not None]
    minimize.verify(out, keys=project.keys)


def test_an_event_of_the_ledger_is_carried_out_in_the_bucket(project: Daily, bucket: Bucket, out: str) -> None:
    places = Where(pipeline=project.folder, output=out, keys=project.keys)
    assert add_event(NewEvent("east", "subject_left", "d1", RAN + DAY), places, RAN + DAY).unreachable == ()
    assert [each.kind for each in open_items(out, at=RAN + DAY, keys=project.keys)][-1] == "subject_left"
    expire(out, at=RAN + DAY, keys=project.keys, yes=True, allow_shrink=True)
    notes = [row["note"] for row in minimize.read(out).to_pylist()]
    assert notes
    assert not [note for note in notes if "east-d1" in note]
    minimize.verify(out, keys=project.keys)


def switched_off(project: Daily) -> None:
    project.policy(features={"location": {"about": "position"}, "inventory": {"about": "applications"}}, version=2)
    row = "north,,location,off,admin,2025-06-01T00:00:00Z,2026-01-03T00:00:00Z\n"
    (project.folder / "settings.csv").write_text(SETTINGS + row)


def placed(out: str) -> set[str]:
    return {row["tenant_id"] for row in minimize.read(out).to_pylist() if row["place"] is not None}


@pytest.mark.parametrize("source", ["stands", "is gone"])
def test_values_of_a_switched_off_feature_are_removed_from_the_bucket(
    project: Daily, bucket: Bucket, out: str, source: str
) -> None:
    assert placed(out) == {"north", "south", "east"}
    if source == "is gone":
        shutil.rmtree(project.folder / "data")
    switched_off(project)
    before = set(bucket.keys("out/records/"))
    done = retract(out, at=RAN + DAY, pipeline=project.folder, keys=project.keys, yes=True, allow_shrink=True)
    assert {receipt.from_ for receipt in done.receipts} == {"source" if source == "stands" else "output"}
    assert placed(out) == {"south", "east"}
    assert not before & {key for key in bucket.keys("out/records/") if key.endswith(".parquet")}
    minimize.verify(out, keys=project.keys)


@pytest.mark.nightly
@pytest.mark.parametrize("point", ["intent.after", "swap.between"])
def test_a_retraction_that_is_killed_is_done_by_the_next_command(
    project: Daily, bucket: Bucket, out: str, point: str
) -> None:
    shutil.rmtree(project.folder / "data")
    switched_off(project)
    words = [
        "retract",
        out,
        "--at",
        (RAN + DAY).isoformat(),
        "--pipeline",
        str(project.folder),
        "--keys",
        str(project.keys),
        "--allow-shrink",
    ]
    assert killed([*words, "--yes"], point) == KILLED
    minimize.verify(out, keys=project.keys)
    assert placed(out) == {"south", "east"}


@pytest.mark.usefixtures("clock")
def test_erasures_are_stored_with_the_output_in_the_bucket(project: Daily, bucket: Bucket, out: str) -> None:
    where = Where(project.folder / "organization" / "ledger.db", keys=project.keys)
    keys = Keyring.load(project.keys)
    for subject in ("d0", "d1"):
        add_event(NewEvent("east", "erasure", subject, RAN), where, RAN)
    assert len(bucket.keys(f"out/{ERASURES_FOLDER}/")) == 1
    assert [row.tenant_id for row in StoredErasures(parse_output_location(out), keys).read()] == ["east", "east"]
    minimize.verify(out, keys=project.keys)
    ledger = project.folder / "organization" / "new.db"
    assert adopt_ledger(out, "lost", pipeline=project.folder, keys=project.keys, ledger=ledger).receipt is not None
    given: dict[str, Any] = {"at": RAN + DAY, "output": out, "keys": project.keys, "ledger": ledger}
    assert minimize.run(project.folder, date=FIRST, **given).gated_by.reasons["erased"] > 0
    minimize.verify(out, keys=project.keys, ledger=ledger)
