"""One kill for each verb that publishes and for each store: what stands then is old or new, and the same command ends as planned.

The other moments are computed: `test_power_cuts.py`, `test_object_cuts.py`, `test_ledger_cuts.py`. More kills run nightly.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.auditing import check_audit
from minimize.encryption import material_of
from minimize.failpoints import KILLED
from minimize.io.published import receipts
from minimize.keys import Keyring
from minimize.receipt.model import Kind
from minimize.verifying import check
from tests.buckets import Bucket
from tests.faults.child import killed
from tests.governance.sharing.sender import RECORDS, Sender
from tests.postgres import Server
from tests.project import AT, DAY, LASTING, Project, event, events, new_project

pytestmark = pytest.mark.slow

LATER = (AT + timedelta(hours=1)).isoformat()
Words = list[object]


@dataclass(frozen=True)
class Verb:
    """A command that publishes.

    kind   what its receipt says
    ready  what stands before it
    words  the command
    done   whether the output is the new one
    point  where it is killed
    """

    kind: str
    ready: Callable[[Project], None]
    words: Callable[[Project], Words]
    done: Callable[[Project], bool]
    point: str


def two_days(house: Project) -> None:
    house.pipeline(aggregates=None)
    house.records(events(40))
    house.run(at=None if house.lasting else AT)


def another_file(house: Project) -> None:
    two_days(house)
    house.records(events(20, 100), name="b")


def run_again(house: Project) -> Words:
    return ["run", house.folder, "--date", DAY, "--at", AT.isoformat(), "--output", house.out]


def mistyped(house: Project) -> None:
    """A record that the policy of the first run rejects, and the one of today takes."""
    house.pipeline(aggregates=None)
    house.records([*events(30), event(40, storage="much")])
    house.run()
    house.policy({"storage": None})


def replayed(house: Project) -> Words:
    return ["replay", house.out, "--at", LATER]


def coarser(house: Project) -> None:
    """A policy of today that is coarser than the one of the first run."""
    house.policy(**LASTING)
    two_days(house)
    house.policy({"battery": {"type": "double", "do": {"bin": {"width": 50}}}}, version=4, **LASTING)


def backfilled(house: Project) -> Words:
    said = {"backfill": "coarser", "pipeline": ".", "reason": "bins were too fine", "dates": [DAY]}
    (house.folder / "backfill.yaml").write_text(json.dumps(said))
    return ["backfill", house.folder / "backfill.yaml", "--output", house.out]


def retracted(house: Project) -> Words:
    return ["retract", house.out, "--pipeline", house.folder, "--at", LATER, "--yes"]


def is_coarser(house: Project) -> bool:
    return {row["battery"] % 50 for row in house.rows()} == {0.0}


def expired(house: Project) -> Words:
    return ["expire", house.out, "--at", (AT + timedelta(days=60)).isoformat(), "--yes"]


def deleted(house: Project) -> Words:
    return ["subject", "delete", "d3", "--tenant", "south", "--yes"]


def sized(house: Project) -> None:
    house.policy({"size": {"type": "integer", "do": {"round": {"to": 10}}}}, **LASTING)
    house.pipeline(records={}, aggregates=None)
    house.records([{**each, "size": 20} for each in events(40)])
    house.run(at=None)


def corrected(house: Project) -> Words:
    return ["subject", "correct", "d3", "--tenant", "south", "--set", "size=70", "--yes"]


def encrypted(house: Project) -> None:
    house.pipeline(records={"encrypt": "by_category"}, aggregates=None)
    house.records(events(40))
    house.run()


def rotated(house: Project) -> Words:
    return ["keys", "rotate", "--rewrite", house.out]


def masters(house: Project) -> set[str]:
    return {each for file in minimize.files(house.out) for each in material_of(Path(file)).masters.values()}


def voided(house: Project) -> Words:
    return ["runs", "void", receipts(house.out)[0].run_id, "--reason", "a test", "--output", house.out]


VERBS = (
    Verb("run", another_file, run_again, lambda house: len(house.rows()) == 60, "swap.after"),
    Verb("replay", mistyped, replayed, lambda house: len(house.rows()) == 31, "intent.written"),
    Verb("run", coarser, backfilled, is_coarser, "receipt.before"),
    Verb("retract", coarser, retracted, is_coarser, "file.closed"),
    Verb("expire", two_days, expired, lambda house: not minimize.files(house.out), "remove.after"),
    Verb("delete", two_days, deleted, lambda house: len(house.rows()) < 40, "receipt.written"),
    Verb("correct", sized, corrected, lambda house: 70 in {row["size"] for row in house.rows()}, "clean.between"),
    Verb("void", two_days, voided, lambda house: receipts(house.out)[-1].kind == "void", "intent.written"),
    Verb("rotate", encrypted, rotated, lambda house: "encrypt.pseudonymized/1" not in masters(house), "swap.before"),
)
EARLY = ("intent.written", "file.closed")


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which configuration is found."""
    for name in ("MINIMIZE_KEYS", "MINIMIZE_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def with_places(house: Project, words: Words) -> Words:
    return [*words, "--keys", house.keys, "--ledger", house.out / "ledger.db"]


def test_every_kind_of_publication_is_killed_here() -> None:
    assert {verb.kind for verb in VERBS} == set(get_args(Kind))


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.words.__name__)
def test_a_verb_that_is_killed_leaves_old_or_new(verb: Verb, home: Path) -> None:
    house = new_project(home, lasting=verb.kind in ("delete", "correct"))
    verb.ready(house)
    words = with_places(house, verb.words(house))
    assert not verb.done(house)
    assert killed(words, verb.point) == KILLED
    minimize.verify(house.out, keys=house.keys)
    assert verb.done(house) == (verb.point not in EARLY)
    assert killed(words, None) == 0
    assert verb.done(house)
    assert not [finding for finding in check(house.out, keys=house.keys) if finding.severity == "error"]
    assert not [path for path in (house.out / "runs").glob("*/*") if path.is_dir() or path.suffix == ".tmp"]


def test_an_export_that_is_killed_is_made_by_the_same_command_elsewhere(home: Path) -> None:
    house = new_project(home, lasting=True)
    two_days(house)
    words = with_places(house, ["subject", "export", "d3", "--tenant", "south"])
    assert killed([*words, "--to", home / "first"], "sync.small.before") == KILLED
    assert killed([*words, "--to", home / "second"], None) == 0
    assert json.loads((home / "second/view.json").read_text())
    assert check_audit(output=house.out, receipts=house.out, keys=house.keys).findings == ()


@pytest.mark.usefixtures("home")
def test_a_payload_that_is_killed_on_its_way_is_sent_by_the_same_command(home: Path) -> None:
    sender = Sender(home)
    (home / "recipients").mkdir()
    (home / "recipients/vendor.yaml").write_text(json.dumps(sender.vendor))
    (home / "policy.yaml").write_text(json.dumps(sender.policy_))
    now = datetime.now(UTC)
    times = pa.array([now] * RECORDS.num_rows, pa.timestamp("us", "UTC"))
    pq.write_table(RECORDS.set_column(2, "event_time", times), home / "in.parquet")
    sender.consent("north", at=now - timedelta(days=1))
    places = ["--policy", home / "policy.yaml", "--data", home / "in.parquet", "--to", home / "payload.parquet"]
    words = ["share", "send", "vendor", "sync", *places, "--keys", sender.keys.path, "--ledger", sender.ledger]
    assert killed(words, "sync.data.before") == KILLED
    assert not (home / "payload.parquet").exists()
    assert killed(words, None) == 0
    assert pq.read_table(home / "payload.parquet").num_rows == 2


def test_a_run_into_an_object_store_that_is_killed_is_new_with_the_next(
    home: Path, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_LEDGER", str(home / "ledger.db"))
    house, out = new_project(home), s3_bucket.at("out")
    house.pipeline(aggregates=None)
    house.records(events(20))
    house.run(output=out)
    house.records(events(10, 100), name="b")
    words: Words = [
        "run",
        house.folder,
        "--date",
        DAY,
        "--at",
        AT.isoformat(),
        "--output",
        out.uri,
        "--keys",
        house.keys,
    ]
    assert killed(words, "swap.copied") == KILLED
    assert minimize.read(out).num_rows == 30
    minimize.verify(out, keys=house.keys)


def tells_of_a_kill(house: Project, ledger: Path | str) -> None:
    """A run is killed before the ledger keeps what it is told; the next run tells of both."""
    another_file(house)
    words = [*run_again(house), "--keys", house.keys, "--ledger", ledger]
    assert killed(words, "run.indexed") == KILLED
    assert killed(words, None) == 0
    assert check_audit(ledger, receipts=house.out, keys=house.keys).findings == ()


def test_a_ledger_in_a_file_is_whole_after_a_kill(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = home / "ledger.db"
    monkeypatch.setenv("MINIMIZE_LEDGER", str(ledger))
    tells_of_a_kill(new_project(home), ledger)


@pytest.mark.postgres
def test_a_ledger_on_a_server_is_whole_after_a_kill(
    home: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = postgres.database()
    monkeypatch.setenv("MINIMIZE_LEDGER", ledger)
    tells_of_a_kill(new_project(home), ledger)


def test_a_keyring_is_old_after_a_kill_and_new_after_the_same_command(home: Path) -> None:
    file: Any = new_project(home).keys
    assert killed(["keys", "add", file, "device"], "sync.keyring.after") == KILLED
    assert Keyring.load(file).version_of("device") == 1
    assert killed(["keys", "add", file, "device"], None) == 0
    assert Keyring.load(file).version_of("device") == 2
