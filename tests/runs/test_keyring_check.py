"""An output goes on with the keyring that signed its last receipt: another one is refused before data moves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minimize.datasets.ledger_check import WRONG_KEYRING
from minimize.datasets.reader import load_receipts
from minimize.errors import KeyringError
from minimize.keys import Keyring, new_keyring
from minimize.keys.keyring import add_key
from tests.commands import Result, command
from tests.project import AT, DAY, Builds, Project, event, events, new_project, write_yaml


def published(project: Project) -> None:
    project.pipeline(aggregates=None)
    project.records([*events(40), event(41, contacts=["x"])])
    project.run(at=None, ledger=project.folder / "ledger.db")
    at = ("--keys", project.keys, "--ledger", project.folder / "ledger.db", "--pipeline", project.folder)
    assert command("subject", "restrict", "d5", "--tenant", "south", "--yes", *at).code == 0


@pytest.fixture(name="project")
def _project(builds: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("MINIMIZE_LEDGER", str(tmp_path / "project" / "ledger.db"))
    return builds.fill(new_project(tmp_path / "project", lasting=True), published)


def other_keyring(project: Project) -> Path:
    """A keyring with the same names, as `minimize keys new` makes it after the loss of the first one."""
    return new_keyring(project.folder / "other.keys", ["device"], now=AT).path


def _backfill(project: Project) -> tuple[Any, ...]:
    body = {"backfill": "again", "pipeline": str(project.folder), "dates": [DAY], "reason": "x"}
    return ("backfill", write_yaml(project.folder / "again.yaml", body))


UNKNOWN_TO_LEDGER = "E316"
COMMANDS: dict[str, Any] = {
    "run": lambda project: ("run", project.folder, "--date", DAY),
    "replay": lambda project: ("replay", project.out),
    "expire": lambda project: ("expire", project.out, "--yes"),
    "retract": lambda project: ("retract", project.out, "--yes"),
    "adopt": lambda project: ("runs", "adopt-ledger", project.out, "--reason", "x"),
    "void": lambda project: (
        "runs",
        "void",
        load_receipts(project.out)[0].run_id,
        "--output",
        project.out,
        "--reason",
        "x",
    ),
    "rotate": lambda project: ("keys", "rotate", project.folder / "other.keys", "--rewrite", project.out),
    "preview": lambda project: ("subject", "delete", "d3", "--tenant", "south", "--pipeline", project.folder),
    "delete": lambda project: ("subject", "delete", "d3", "--tenant", "south", "--pipeline", project.folder, "--yes"),
    "restrict": lambda project: (
        "subject",
        "restrict",
        "d3",
        "--tenant",
        "south",
        "--pipeline",
        project.folder,
        "--yes",
    ),
    "lift": lambda project: ("subject", "lift", "d5", "--tenant", "south", "--pipeline", project.folder, "--yes"),
}


def tried(project: Project, name: str, keys: Path) -> Result:
    return command(*COMMANDS[name](project), "--keys", keys)


def content(project: Project) -> dict[str, bytes]:
    files = (path for path in project.out.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(project.out).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", COMMANDS)
def test_another_keyring_is_refused_and_nothing_is_changed(project: Project, name: str) -> None:
    before, keys = content(project), other_keyring(project)
    ended = tried(project, name, keys)
    refused = any(code in ended.err for code in (WRONG_KEYRING, UNKNOWN_TO_LEDGER))
    assert (ended.code, refused) == (3, True)
    assert content(project) == before


@pytest.mark.parametrize("name", ["run", "retract", "delete", "lift"])
def test_the_keyring_of_the_output_is_accepted(project: Project, name: str) -> None:
    assert tried(project, name, project.keys).code == 0


def test_the_cause_is_named_where_the_output_has_an_erasure_list(project: Project) -> None:
    assert (project.out / "erasures").is_dir()
    ended = tried(project, "run", other_keyring(project))
    assert "restore it from a backup" in ended.err
    assert "erasure list" not in ended.err


def test_a_new_version_of_the_signing_key_is_accepted(project: Project) -> None:
    add_key(project.keys, "signing", now=AT)
    assert tried(project, "run", project.keys).code == 0
    assert load_receipts(project.out)[-1].signature is not None


def test_a_copy_of_the_keyring_from_before_a_rotation_is_refused(project: Project) -> None:
    copy = project.folder / "copy.keys"
    copy.touch(mode=0o600)
    copy.write_bytes(project.keys.read_bytes())
    add_key(project.keys, "signing", now=AT)
    assert tried(project, "run", project.keys).code == 0
    assert tried(project, "run", copy).code == 3


def test_a_missing_keyring_is_not_replaced_by_advice_to_make_one(project: Project) -> None:
    with pytest.raises(KeyringError) as caught:
        Keyring.load(project.folder / "lost.keys")
    assert "restore the keyring from a backup" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["replay", "retract", "run"])
def test_an_earlier_receipt_that_was_changed_does_not_decide(project: Project, name: str) -> None:
    path = project.out / "runs" / load_receipts(project.out)[0].run_id / "receipt.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"purpose": "another"}))
    assert (WRONG_KEYRING in tried(project, name, project.keys).err) is (name != "run")
