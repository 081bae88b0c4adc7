"""A command may end after any commit of the ledger: the output is old or new then, the audit log is whole, and the command may be
repeated.

A database keeps its transactions whole by itself, so that a commit is the smallest step. Each state of the ledger is paired with
the files as they were at that commit, and right before the next one.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.auditing import check_audit
from minimize.cli.main import main
from minimize.ledger import ledger as ledgers
from minimize.ledger.process import Process
from tests.faults.crash_states import Tree, tree_of
from tests.governance.recipients.house import mapping, write
from tests.job.house import AT, DAY, House, built, events

NO_PROCESS = 1 << 22
"""No process has this number."""
SENT = ("north", "vendor", "sync")


@dataclass(frozen=True)
class Verb:
    """A command that writes to the ledger.

    state      what it is to change, which does not tell how often it was begun
    publishes  whether it writes to the output
    lasting    whether the policy keeps records for ever, as it must if the command goes by the clock
    """

    words: Callable[[House], list[object]]
    state: Callable[[House], Any]
    publishes: bool = False
    lasting: bool = True


def rows(house: House) -> Any:
    """The records that stand."""
    return house.rows() if minimize.files(house.out) else []


def shown(*words: object) -> Any:
    """What a command says for machines."""
    file = Path("said.json")
    with file.open("w") as out, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        assert ended(*words, "--json") == 0
    found = json.loads(file.read_text())
    file.unlink()
    return found


def ended(*words: object) -> int:
    """Runs a command in this process; gives its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["minimize", *map(str, words)])
        with pytest.raises(SystemExit) as exit_:
            main()
    return int(exit_.value.code or 0)


def run(house: House) -> list[object]:
    return ["run", house.folder, "--date", DAY, "--output", house.out]


def expire(house: House) -> list[object]:
    return ["expire", house.out, "--at", (AT + timedelta(days=60)).isoformat(), "--yes"]


def delete(house: House) -> list[object]:
    return ["subject", "delete", "d3", "--tenant", "south", "--yes"]


def add_event(house: House) -> list[object]:
    return [
        "events",
        "add",
        "north",
        "subject_left",
        "--subject",
        "d1",
        "--at",
        AT.isoformat(),
        "--pipeline",
        house.folder,
    ]


def event_state(house: House) -> Any:
    return [each["event"] for each in shown("events", "list")["events"]]


def give(house: House) -> list[object]:
    return ["consent", "give", *SENT, "--from", "2026-11-01T00:00:00Z"]


def consent_state(house: House) -> Any:
    return [
        (each["tenant"], each["recipient"], each["dpv"].endswith("ConsentGiven"))
        for each in shown("consent", "show")["consents"]
    ]


def open_incident(house: House) -> list[object]:
    exposed = f"output:{house.out}"
    return ["incident", "open", "INC-1", "--title", "a lost disk", "--from", "2026-11-20T00:00Z", "--exposed", exposed]


def incident_state(house: House) -> Any:
    return [each["incident"] for each in shown("incident", "list")["incidents"]]


VERBS = (
    Verb(run, rows, publishes=True),
    Verb(expire, rows, publishes=True, lasting=False),
    Verb(delete, rows, publishes=True),
    Verb(add_event, event_state),
    Verb(give, consent_state),
    Verb(open_incident, incident_state),
)


@dataclass(frozen=True)
class Cut:
    """A ledger after a commit, and the files of that moment."""

    ledger: bytes
    files: Tree


@pytest.fixture(name="verb", params=VERBS, ids=lambda verb: verb.words.__name__)
def _verb(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(name="house")
def _house(verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A configured folder with an output and new data; its ledger is apart from the output."""
    for name in ("MINIMIZE_KEYS", "MINIMIZE_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    house = built(tmp_path, lasting=verb.lasting)
    (tmp_path / "minimize.yaml").write_text(f"keys: {house.keys.name}\nledger: ledger.db\n")
    house.pipeline(aggregates=None)
    write(tmp_path / "recipients", "vendor", mapping())
    house.brings(events(20))
    house.run(at=None if verb.lasting else AT)
    house.brings(events(10, 100), name="b")
    return house


def ledger_of(house: House) -> Path:
    return house.folder / "ledger.db"


def files_of(house: House) -> Tree:
    """All files but those of the ledger."""
    return {path: content for path, content in tree_of(house.folder).items() if not path.startswith("ledger.db")}


def content_of(house: House) -> bytes:
    """The ledger as it was committed last."""
    with closing(sqlite3.connect(ledger_of(house))) as connection:
        return connection.serialize()


@contextmanager
def recording(house: House) -> Iterator[list[Cut]]:
    """The states of ledger and files around each commit, until the block ends. Who holds a lease meanwhile is dead later."""
    cuts, ours = [Cut(content_of(house), files_of(house))], Process.ours

    def seen(point: str) -> None:
        if point == "ledger.before":
            cuts.append(Cut(cuts[-1].ledger, files_of(house)))
        if point == "ledger.after":
            cuts.append(Cut(content_of(house), files_of(house)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledgers, "fail_point", seen)
        patch.setattr(Process, "ours", lambda: replace(ours(), pid=NO_PROCESS))
        yield cuts


def restore(house: House, cut: Cut) -> None:
    """Lets files and ledger be as they were at a cut."""
    for path in house.folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for name, content in sorted(cut.files.items()):
        if content is None:
            (house.folder / name).mkdir()
        else:
            (house.folder / name).write_bytes(content)
            (house.folder / name).chmod(0o600)
    ledger_of(house).write_bytes(cut.ledger)
    ledger_of(house).chmod(0o600)


def is_whole(house: House) -> bool:
    """Whether the audit log is whole, and tells of every receipt that the output had when it was written."""
    found = check_audit(ledger_of(house), receipts=house.out, keys=house.keys)
    return not [finding for finding in found.findings if finding.severity == "error"]


def test_a_command_that_ends_after_any_commit_is_old_or_new_and_may_be_repeated(verb: Verb, house: House) -> None:
    old = verb.state(house)
    with recording(house) as cuts:
        assert ended(*verb.words(house)) == 0
    new = verb.state(house)
    assert old != new
    assert len(cuts) > 2
    for cut in cuts:
        restore(house, cut)
        found = verb.state(house)
        assert found in (old, new)
        assert is_whole(house)
        assert ended(*verb.words(house)) in ([0] if found == old else [0, 2])
        assert verb.state(house) == new
        assert is_whole(house)
        if verb.publishes:
            minimize.verify(house.out, keys=house.keys)


@pytest.mark.parametrize("verb", VERBS[:1], indirect=True, ids=["run"])
def test_a_ledger_that_tells_of_a_publication_before_it_is_there_is_found(verb: Verb, house: House) -> None:
    """The control: were the ledger written before the output, a cut in between would be found."""
    with recording(house) as cuts:
        assert ended(*verb.words(house)) == 0
    restore(house, Cut(cuts[-1].ledger, cuts[0].files))
    with pytest.raises(minimize.MinimizeError):
        minimize.verify(house.out, keys=house.keys)
