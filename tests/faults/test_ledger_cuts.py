"""A command may end after any commit of the ledger: the output is old or new then, the audit log is whole, and the command may be
repeated.

A database keeps its transactions whole by itself, so that a commit is the smallest step. Each state of the ledger is paired with
the files as they were at that commit, and right before the next one.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import pytest

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.ledger import current_actor
from tests.agreements import write_token
from tests.calls import verify_audit
from tests.commands import command
from tests.faults.power_cut_model import Tree, tree_of
from tests.governance.sharing.sender import Sender, recent_records
from tests.project import AT, DAY, Project, enter, events, new_project
from tests.world import LASTING_OFFER, vendor_file, write_configuration

LEDGER = "ledger.db"
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

    words: Callable[[Project], list[object]]
    state: Callable[[Project], Any]
    publishes: bool = False
    lasting: bool = True


def rows(project: Project) -> Any:
    """The records that stand."""
    return project.rows()


def shown(*words: object) -> Any:
    """The result of a command that prints JSON."""
    done = command(*words, "--json")
    assert done.code == 0, done.err
    return done.json


def run(project: Project) -> list[object]:
    return ["run", project.folder, "--date", DAY, "--output", project.out]


def expire(project: Project) -> list[object]:
    return ["expire", project.out, "--at", (AT + timedelta(days=60)).isoformat(), "--yes", "--allow-shrink"]


def delete(project: Project) -> list[object]:
    return ["subject", "delete", "d3", "--tenant", "south", "--yes"]


def add_event(project: Project) -> list[object]:
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
        project.folder,
    ]


def event_state(project: Project) -> Any:
    return [each["event"] for each in shown("events", "list")["events"]]


def give(project: Project) -> list[object]:
    return ["consent", "give", *SENT, "--token-file", "admin.token", "--since", "2026-11-01T00:00:00Z"]


def consent_state(project: Project) -> Any:
    return [
        (each["tenant"], each["recipient"], each["dpv"].endswith("ConsentGiven"))
        for each in shown("consent", "show")["consents"]
    ]


def open_incident(project: Project) -> list[object]:
    exposed = f"output:{project.out}"
    return ["incident", "open", "INC-1", "--title", "a lost disk", "--since", "2026-11-20T00:00Z", "--exposed", exposed]


def incident_state(project: Project) -> Any:
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


HEAVY: Final = delete
"""What takes longest, and cuts the ledger where `run` and `expire` do, too: CI tries it."""


def marked(verb: Verb) -> Any:
    return pytest.param(verb, id=verb.words.__name__, marks=[pytest.mark.slow] if verb.words is HEAVY else [])


@pytest.fixture(name="verb", params=map(marked, VERBS))
def _verb(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(name="project")
def _project(verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A configured folder with an output and new data; its ledger is apart from the output."""
    enter(tmp_path, monkeypatch)
    project = new_project(tmp_path, lasting=verb.lasting)
    write_configuration(tmp_path, vendor=vendor_file())
    project.pipeline(aggregates=None)
    project.records(events(20))
    project.run(at=None if verb.lasting else AT)
    project.records(events(10, 100), name="b")
    write_token(current_actor().user or "", tmp_path / "admin.token")
    return project


def files_of(folder: Path) -> Tree:
    """All files but those of the ledger."""
    return {path: content for path, content in tree_of(folder).items() if not path.startswith(LEDGER)}


def content_of(folder: Path) -> bytes:
    """The ledger as it was committed last."""
    with closing(sqlite3.connect(folder / LEDGER)) as connection:
        return connection.serialize()


@contextmanager
def recording(folder: Path) -> Iterator[list[Cut]]:
    """The states of ledger and files around each commit, until the block ends. Who holds a lease meanwhile is dead later."""
    cuts = [Cut(content_of(folder), files_of(folder))]

    def seen(point: str) -> None:
        if point == "ledger.before":
            cuts.append(Cut(cuts[-1].ledger, files_of(folder)))
        if point == "ledger.after":
            cuts.append(Cut(content_of(folder), files_of(folder)))

    watched = at_checkpoint(["ledger.before", "ledger.after"], seen)
    with watched, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getpid", lambda: NO_PROCESS)
        yield cuts


def restore(folder: Path, cut: Cut) -> None:
    """Lets files and ledger be as they were at a cut."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for name, content in sorted(cut.files.items()):
        if content is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o600)
    (folder / LEDGER).write_bytes(cut.ledger)
    (folder / LEDGER).chmod(0o600)


def is_whole(folder: Path, keys: Path, receipts: Path | None = None) -> bool:
    """Whether the audit log is whole, and tells of every receipt that the output had when it was written."""
    found = verify_audit(folder / LEDGER, receipts=receipts, keys=keys)
    return not [finding for finding in found.findings if finding.severity == "error"]


def test_a_command_that_ends_after_any_commit_is_old_or_new_and_may_be_repeated(verb: Verb, project: Project) -> None:
    old = verb.state(project)
    with recording(project.folder) as cuts:
        assert command(*verb.words(project)).code == 0
    new = verb.state(project)
    assert old != new
    assert len(cuts) > 2
    for cut in cuts:
        restore(project.folder, cut)
        if verb.publishes:  # a ledger that tells of more than the output holds is found
            minimize.verify(project.out, keys=project.keys)
        found = verb.state(project)
        assert found in (old, new)
        assert is_whole(project.folder, project.keys, project.out)
        assert command(*verb.words(project)).code in ([0] if found == old else [0, 2])
        assert verb.state(project) == new
        assert is_whole(project.folder, project.keys, project.out)
        if verb.publishes:
            minimize.verify(project.out, keys=project.keys)


@pytest.mark.parametrize("verb", VERBS[:1], indirect=True, ids=["run"])
def test_the_check_finds_a_ledger_that_was_written_before_the_output(verb: Verb, project: Project) -> None:
    """The control: were the ledger written before the output, a cut in between would be found."""
    with recording(project.folder) as cuts:
        assert command(*verb.words(project)).code == 0
    restore(project.folder, Cut(cuts[-1].ledger, cuts[0].files))
    with pytest.raises(minimize.MinimizeError):
        minimize.verify(project.out, keys=project.keys)


def test_a_sent_payload_is_recorded_after_a_cut_at_any_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sender, payload = Sender(tmp_path), tmp_path / "payload.parquet"
    sender.write()
    (tmp_path / "minimize.yaml").write_text(f"access: off\nkeys: {sender.keys.path.name}\nledger: {LEDGER}\n")
    (tmp_path / "signed.txt").write_text("A signed contract.")
    assert command("contract", "record", *SENT[:2], *LASTING_OFFER).code == 0
    write_token(current_actor().user or "", tmp_path / "admin.token")
    assert command("consent", "give", *SENT, "--token-file", "admin.token", "--since", "2026-11-01T00:00:00Z").code == 0
    pq.write_table(recent_records(), tmp_path / "in.parquet")
    words = ["share", "send", "vendor", "sync", "--policy", "policy.yaml", "--data", "in.parquet", "--to", payload]
    with recording(tmp_path) as cuts:
        assert command(*words).code == 0
    assert len(cuts) > 2
    for cut in cuts:
        restore(tmp_path, cut)
        assert not payload.exists() or len(shown("share", "log")["disclosures"]) == 1
        assert is_whole(tmp_path, sender.keys.path)
        assert command(*words).code == (2 if payload.name in cut.files else 0)
        assert pq.read_table(payload).num_rows == 2
        assert is_whole(tmp_path, sender.keys.path)
