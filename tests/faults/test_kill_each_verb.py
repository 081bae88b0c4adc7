"""One kill for each verb that publishes and for each store: what stands then is old or new, and the same command ends as planned.

The other moments are computed: `test_power_cuts.py`, `test_rewrite_cuts.py`, `test_object_cuts.py`, `test_ledger_cuts.py`. More
kills run nightly.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pyarrow.parquet as pq
import pytest

import minimize
from minimize.datasets.reader import load_receipts
from minimize.keys import Keyring
from minimize.receipts.parts import ReceiptKind
from minimize.runs.verify import check_output
from tests.buckets import Bucket
from tests.calls import verify_audit
from tests.faults.child import killed
from tests.faults.process import KILLED
from tests.faults.test_rewrite_cuts import ACTS
from tests.governance.sharing.sender import Sender, recent_records
from tests.postgres import Server
from tests.project import AT, DAY, LASTING, Project, enter, event, events, new_project

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


def two_days(project: Project) -> None:
    project.pipeline(aggregates=None)
    project.records(events(40))
    project.run(at=None if project.lasting else AT)


def another_file(project: Project) -> None:
    two_days(project)
    project.records(events(20, 100), name="b")


def run_again(project: Project) -> Words:
    return ["run", project.folder, "--date", DAY, "--at", AT.isoformat(), "--output", project.out]


def mistyped(project: Project) -> None:
    """A record that the policy of the first run rejects, and the one of today takes."""
    project.pipeline(aggregates=None)
    project.records([*events(30), event(40, storage="much")])
    project.run()
    project.policy({"storage": None})


def replayed(project: Project) -> Words:
    return ["replay", project.out, "--at", LATER]


def coarser(project: Project) -> None:
    """A policy of today that is coarser than the one of the first run."""
    project.policy(**LASTING)
    two_days(project)
    project.policy({"battery": {"type": "double", "do": {"bin": {"width": 50}}}}, version=4, **LASTING)


def backfilled(project: Project) -> Words:
    said = {"backfill": "coarser", "pipeline": ".", "reason": "bins were too fine", "dates": [DAY]}
    (project.folder / "backfill.yaml").write_text(json.dumps(said))
    return ["backfill", project.folder / "backfill.yaml", "--output", project.out]


def is_coarser(project: Project) -> bool:
    return {row["battery"] % 50 for row in project.rows()} == {0.0}


def deleted(project: Project) -> Words:
    return ["subject", "delete", "d3", "--tenant", "south", "--yes"]


def restricted(project: Project) -> Words:
    return ["subject", "restrict", "d3", "--tenant", "south", "--yes"]


def one_restricted(project: Project) -> None:
    two_days(project)
    assert killed(with_places(project, restricted(project)), None) == 0


def lifted(project: Project) -> Words:
    return ["subject", "lift", "d3", "--tenant", "south", "--yes"]


def without_ledger(project: Project) -> None:
    two_days(project)
    (project.out / "ledger.db").unlink()


def adopted(project: Project) -> Words:
    return ["runs", "adopt-ledger", project.out, "--reason", "lost"]


def is_adopted(project: Project) -> bool:
    return load_receipts(project.out)[-1].kind == "adopt"


def voided(project: Project) -> Words:
    return ["runs", "void", load_receipts(project.out)[0].run_id, "--reason", "a test", "--output", project.out]


VERBS = (
    Verb("run", another_file, run_again, lambda project: len(project.rows()) == 60, "swap.after"),
    Verb("replay", mistyped, replayed, lambda project: len(project.rows()) == 31, "intent.written"),
    Verb("run", coarser, backfilled, is_coarser, "receipt.before"),
    Verb("delete", two_days, deleted, lambda project: len(project.rows()) < 40, "receipt.written"),
    Verb("restrict", two_days, restricted, lambda project: len(project.rows()) < 40, "swap.after"),
    Verb("lift", one_restricted, lifted, lambda project: len(project.rows()) == 40, "swap.after"),
    Verb("adopt", without_ledger, adopted, is_adopted, "receipt.written"),
    Verb("void", two_days, voided, lambda project: load_receipts(project.out)[-1].kind == "void", "intent.written"),
)
EARLY = ("intent.written", "file.closed")


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which configuration is found."""
    enter(tmp_path, monkeypatch)
    return tmp_path


def with_places(project: Project, words: Words) -> Words:
    return [*words, "--keys", project.keys, "--ledger", project.out / "ledger.db"]


def test_every_kind_of_publication_is_killed_here_or_as_a_rewrite() -> None:
    assert {verb.kind for verb in VERBS} | ACTS.keys() == set(get_args(ReceiptKind))


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.words.__name__)
def test_a_verb_that_is_killed_leaves_old_or_new(verb: Verb, home: Path) -> None:
    project = new_project(home, lasting=verb.kind in ("delete", "restrict", "lift"))
    verb.ready(project)
    words = with_places(project, verb.words(project))
    assert not verb.done(project)
    assert killed(words, verb.point) == KILLED
    minimize.verify(project.out, keys=project.keys)
    assert verb.done(project) == (verb.point not in EARLY)
    assert killed(words, None) == 0
    assert verb.done(project)
    assert not [finding for finding in check_output(project.out, keys=project.keys) if finding.severity == "error"]
    assert not [path for path in (project.out / "runs").glob("*/*") if path.is_dir() or path.suffix == ".tmp"]


def test_an_export_that_is_killed_is_made_by_the_same_command_elsewhere(home: Path) -> None:
    project = new_project(home, lasting=True)
    two_days(project)
    words = with_places(project, ["subject", "export", "d3", "--tenant", "south"])
    assert killed([*words, "--to", home / "first"], "sync.small.before") == KILLED
    assert killed([*words, "--to", home / "second"], None) == 0
    assert json.loads((home / "second/view.json").read_text())
    assert verify_audit(output=project.out, receipts=project.out, keys=project.keys).findings == ()


@pytest.mark.usefixtures("home")
def test_a_payload_that_is_killed_on_its_way_is_sent_by_the_same_command(home: Path) -> None:
    sender = Sender(home)
    sender.write()
    pq.write_table(recent_records(), home / "in.parquet")
    sender.consent("north", at=datetime.now(UTC) - timedelta(days=1))
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
    project, out = new_project(home), s3_bucket.at("out")
    project.pipeline(aggregates=None)
    project.records(events(20))
    project.run(output=out)
    project.records(events(10, 100), name="b")
    words: Words = [
        "run",
        project.folder,
        "--date",
        DAY,
        "--at",
        AT.isoformat(),
        "--output",
        out.uri,
        "--keys",
        project.keys,
    ]
    assert killed(words, "swap.copied") == KILLED
    assert minimize.read(out).num_rows == 30
    minimize.verify(out, keys=project.keys)


def tells_of_a_kill(project: Project, ledger: Path | str) -> None:
    """A run is killed before the ledger keeps what it is told; the next run tells of both."""
    another_file(project)
    words = [*run_again(project), "--keys", project.keys, "--ledger", ledger]
    assert killed(words, "run.indexed") == KILLED
    assert killed(words, None) == 0
    assert verify_audit(ledger, receipts=project.out, keys=project.keys).findings == ()


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


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("point", ["ledger.before", "audit.appended"])
def test_a_withdrawal_that_is_killed_is_recorded_by_the_same_command(home: Path, point: str) -> None:
    sender = Sender(home)
    sender.write()
    sender.consent("north", at=datetime.now(UTC) - timedelta(days=1))
    (home / "minimize.yaml").write_text("access: off\n")
    (home / "form.txt").write_text("signed")
    evidence = ["--document", home / "form.txt", "--evidence", "T-9"]
    places = ["--to", home / "recall.json", "--keys", sender.keys.path, "--ledger", sender.ledger]
    words = ["consent", "withdraw", "north", "vendor", "sync", *evidence, *places]
    assert killed(words, point) == KILLED
    assert (home / "recall.json").read_bytes() == b""
    assert killed(words, None) == 0
    assert json.loads((home / "recall.json").read_text())["recipient"] == "vendor"
