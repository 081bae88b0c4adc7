"""Erasures are stored with every output, sealed, and a run honours them whatever its ledger has."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.datasets.erasure_list import ERASURES_FOLDER, StoredErasures
from minimize.datasets.reader import load_receipts
from minimize.errors import ConfigurationError, KeyringError, OutputError, RefusedError
from minimize.governance.events import NewEvent, add_event, withdraw_event
from minimize.governance.subjects import DataSubject, delete_subjects, request_statuses
from minimize.keys import Keyring
from minimize.keys.keyring import add_key
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.ledger.subject_kinds import LIFECYCLE_EVENT
from minimize.stores.file_operations import Operation
from minimize.workspace import Workspace as Places
from tests.commands import command
from tests.governance.outputs import places
from tests.project import AT, Builds, Project, events

RECORDS = events(60)
SOON = AT - timedelta(minutes=1)
D4 = DataSubject("d4", "north")
OF_D4 = sum((each["tenant_id"], each["device_id"]) == ("north", "d4") for each in RECORDS)


def published(project: Project) -> None:
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    project.run(ledger=project.folder / "organization.db")
    project.run(ledger=project.folder / "organization.db", output=project.folder / "other")


@pytest.fixture(name="project")
def _project(builds: Builds, project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("MINIMIZE_LEDGER", raising=False)
    shutil.rmtree(project.out)
    return builds.fill(project, published)


def outputs(project: Project) -> list[Path]:
    return [project.out, project.folder / "other"]


def listed(output: Path, project: Project) -> list[tuple[str, str | None, str]]:
    return [(row.tenant_id, row.subject, row.kind) for row in StoredErasures(output, Keyring.load(project.keys)).read()]


def lists(output: Path) -> list[Path]:
    return sorted((output / ERASURES_FOLDER).iterdir()) if (output / ERASURES_FOLDER).is_dir() else []


def tell(project: Project, kind: str, subject: str | None = "d4") -> str:
    return add_event(NewEvent("north", kind, subject, SOON), places(project), SOON).row.id


def test_a_deletion_is_stored_with_every_output(project: Project) -> None:
    delete_subjects([D4], places(project), AT, yes=True)
    for output in outputs(project):
        ((tenant, token, kind),) = listed(output, project)
        assert (tenant, kind) == ("north", "erasure")
        assert token is not None
        assert token.startswith("subject/1:")
        minimize.verify(output, keys=project.keys)


def test_nothing_of_it_is_readable(project: Project) -> None:
    delete_subjects([D4], places(project), AT, yes=True)
    (path,) = lists(project.out)
    content = path.read_bytes()
    (row,) = StoredErasures(project.out, Keyring.load(project.keys)).read()
    for text in ("north", "d4", str(row.subject), str(row.subject).partition(":")[2][:8]):
        assert text.encode() not in content.partition(b"\n")[2]


@pytest.mark.parametrize("kind", ["tenant_closed", "subject_left", "reset", "erasure"])
def test_other_events_are_stored_too(project: Project, kind: str) -> None:
    tell(project, kind, None if kind == "tenant_closed" else "d4")
    assert [each[2] for each in listed(project.out, project)] == [kind]


def test_a_device_that_became_personal_is_not_erased(project: Project) -> None:
    tell(project, "became_personal")
    assert lists(project.out) == []


def forgets(project: Project) -> Path:
    """A ledger of its own, which the output is continued with."""
    ledger = project.folder / "new.db"
    done = command("runs", "adopt-ledger", project.out, "--reason", "lost", "--ledger", ledger, "--keys", project.keys)
    assert done.code == 0, done.err
    return ledger


def test_an_adopted_ledger_restores_no_erased_subject(project: Project) -> None:
    delete_subjects([D4], places(project), AT, yes=True)
    ledger = forgets(project)
    assert project.run(ledger=ledger).gated_by.erased == OF_D4
    assert project.run(ledger=ledger).gated_by.erased == OF_D4


def test_a_ledger_from_a_backup_without_the_request_restores_no_erased_subject(project: Project) -> None:
    """The subject was erased by an event that changed no file, so that the backup has the head that the receipts name."""
    shutil.copy(project.folder / "organization.db", project.folder / "backup.db")
    tell(project, "erasure")
    receipt = project.run(ledger=project.folder / "backup.db")
    assert receipt.gated_by.erased == OF_D4


def test_erasures_of_two_ledgers_add_up(project: Project) -> None:
    delete_subjects([D4], places(project), AT, yes=True)
    ledger = forgets(project)
    add_event(NewEvent("south", "erasure", "d5", SOON), Places(ledger, keys=project.keys), SOON)
    project.run(ledger=ledger)
    assert [each[0] for each in listed(project.out, project)] == ["south", "north"]
    assert len(lists(project.out)) == 1


def test_an_event_that_was_taken_back_leaves_the_list(project: Project) -> None:
    event = tell(project, "reset")
    tell(project, "erasure", "d5")
    withdraw_event(event, places(project), SOON)
    assert [each[2] for each in listed(project.out, project)] == ["erasure"]
    assert project.run(ledger=project.folder / "organization.db").gated_by.reasons["erased"] > 0


def test_an_output_that_comes_later_gets_the_list_with_its_first_run(project: Project) -> None:
    tell(project, "erasure")
    later = project.folder / "later"
    project.run(ledger=project.folder / "organization.db", output=later)
    assert len(listed(later, project)) == 1


def test_an_unchanged_list_keeps_its_file(project: Project) -> None:
    tell(project, "erasure")
    before = lists(project.out)
    project.run(ledger=project.folder / "organization.db")
    assert lists(project.out) == before


def test_two_concurrently_written_lists_both_count(project: Project) -> None:
    tell(project, "erasure")
    (one,) = lists(project.out)
    first = one.read_bytes()
    tell(project, "reset", "d5")
    one.write_bytes(first)
    assert len(lists(project.out)) == 2
    assert {each[2] for each in listed(project.out, project)} == {"erasure", "reset"}
    with open_ledger(find_ledger(project.folder / "organization.db")) as ledger:
        StoredErasures(project.out, Keyring.load(project.keys)).store(ledger.find(LIFECYCLE_EVENT), ledger.now)
    assert len(lists(project.out)) == 1


def test_a_list_is_sealed_with_the_newest_key_and_opens_after_a_rotation(project: Project) -> None:
    tell(project, "erasure")
    add_key(project.keys, "subject", now=AT)
    assert project.run(ledger=project.folder / "organization.db").gated_by.erased == OF_D4
    (path,) = lists(project.out)
    assert path.read_bytes().startswith(b"subject/2\n")
    assert len(listed(project.out, project)) == 1


@pytest.mark.parametrize("content", [b"", b"subject/1\n", b"subject/1\nnonsense", b"nothing of the kind"])
def test_a_list_that_does_not_open_stops_a_run(project: Project, content: bytes) -> None:
    tell(project, "erasure")
    (path,) = lists(project.out)
    path.write_bytes(content)
    with pytest.raises(OutputError):
        project.run(ledger=project.folder / "organization.db")


def test_a_list_of_another_keyring_stops_a_run(project: Project) -> None:
    tell(project, "erasure")
    (path,) = lists(project.out)
    path.write_bytes(path.read_bytes().replace(b"subject/1\n", b"subject/7\n"))
    with pytest.raises(KeyringError):
        project.run(ledger=project.folder / "organization.db")


def test_a_request_is_not_done_before_the_lists_are_stored(project: Project) -> None:
    def fails(_: str, operation: Operation) -> None:
        if operation.path is not None and operation.path.parent.name == ERASURES_FOLDER:
            raise OSError(28, "no space")

    with at_checkpoint("file.operation", fails), pytest.raises(ConfigurationError):
        delete_subjects([D4], places(project), AT, yes=True)
    with open_ledger(find_ledger(project.folder / "organization.db")) as ledger:
        assert [each.last.state for each in request_statuses(ledger)] == ["failed"]
    delete_subjects([D4], places(project), AT + timedelta(minutes=1), yes=True)
    assert len(listed(project.out, project)) == 1


def puts(project: Project, content: dict[str, bytes]) -> None:
    """Replaces the lists of the output by these."""
    shutil.rmtree(project.out / ERASURES_FOLDER, ignore_errors=True)
    if content:
        (project.out / ERASURES_FOLDER).mkdir()
    for name, each in content.items():
        (project.out / ERASURES_FOLDER / name).write_bytes(each)


def kept(project: Project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in lists(project.out)}


@pytest.fixture(name="older", params=["gone", "older"])
def _older(request: pytest.FixtureRequest, project: Project) -> Project:
    """An output whose ledger and list of erasures are lost, or from before the last erasure, which a run honoured."""
    tell(project, "erasure", "d5")
    project.run(ledger=project.folder / "organization.db")
    before = {} if request.param == "gone" else kept(project)
    shutil.copy(project.folder / "organization.db", project.folder / "backup.db")
    tell(project, "erasure")
    project.run(ledger=project.folder / "organization.db")
    puts(project, before)
    shutil.copy(project.folder / "backup.db", project.folder / "organization.db")
    return project


def adopts(project: Project, *more: str) -> Any:
    places = ("--ledger", project.folder / "organization.db", "--keys", project.keys)
    return command("runs", "adopt-ledger", project.out, "--reason", "lost", *places, *more)


def test_a_list_that_was_lost_with_its_ledger_is_not_adopted_away(older: Project) -> None:
    with pytest.raises(RefusedError):
        older.run(ledger=older.folder / "organization.db")
    done = adopts(older)
    assert (done.code, "--allow-lost-erasures" in done.err) == (3, True)
    assert adopts(older, "--allow-lost-erasures").code == 0
    assert older.run(ledger=older.folder / "organization.db").gated_by.reasons["erased"] < OF_D4 + 5
    minimize.verify(older.out, keys=older.keys, ledger=older.folder / "organization.db")


def test_a_list_that_was_lost_alone_stops_the_next_run(project: Project) -> None:
    """A ledger that was adopted does not know what the list knew."""
    tell(project, "erasure")
    project.run(ledger=project.folder / "organization.db")
    before = load_receipts(project.out)[-1]
    assert before.erasures is not None
    found = kept(project)
    puts(project, {})
    with pytest.raises(RefusedError) as caught:
        project.run(ledger=project.folder / "organization.db")
    assert (caught.value.code, "adopt-ledger" in str(caught.value.hint)) == ("E303", True)
    puts(project, found)
    assert project.run(ledger=project.folder / "organization.db").erasures == before.erasures


def test_a_loss_that_was_recorded_is_not_asked_about_again(project: Project) -> None:
    tell(project, "erasure")
    project.run(ledger=project.folder / "organization.db")
    puts(project, {})
    assert adopts(project, "--allow-lost-erasures").code == 0
    receipt = project.run(ledger=project.folder / "organization.db")
    assert (receipt.gated_by.erased, receipt.erasures is not None) == (OF_D4, True)
    assert project.run(ledger=project.folder / "organization.db").erasures == receipt.erasures


def test_a_deletion_names_the_list_too(project: Project) -> None:
    delete_subjects([D4], places(project), AT, yes=True)
    deletion = load_receipts(project.out)[-1]
    assert (deletion.kind, deletion.erasures is None) == ("delete", False)
    puts(project, {})
    with pytest.raises(RefusedError):
        project.run(ledger=project.folder / "organization.db")


def test_a_list_that_replaced_the_one_of_the_receipt_is_accepted(project: Project) -> None:
    for subject in ("d4", "d5", "d6"):
        tell(project, "erasure", subject)
        tell(project, "reset", subject)
        project.run(ledger=project.folder / "organization.db")
    add_key(project.keys, "subject", now=AT)
    names = [receipt.erasures for receipt in (project.run(ledger=project.folder / "organization.db") for _ in range(2))]
    assert names[0] == names[1]


def test_an_output_without_erasures_names_no_erasure_list(project: Project) -> None:
    assert project.run(ledger=project.folder / "organization.db").erasures is None
