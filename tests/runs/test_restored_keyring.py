"""A keyring that was restored from before a key was added is refused, and so is another key under the same id."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import minimize
from minimize.errors import RefusedError
from minimize.governance.subjects import DataSubject, delete_subjects
from minimize.keys import add_key
from minimize.keys.keyring import destroy_key
from minimize.workspace import Workspace
from tests.project import AT, DAY, Project, events


@pytest.fixture(name="rotated")
def _rotated(project: Project) -> Project:
    """An output that was written with the second version of a key; the keyring from before is beside it."""
    project.pipeline(aggregates=None)
    project.records(events(20))
    shutil.copyfile(project.keys, older(project))
    older(project).chmod(0o600)
    add_key(project.keys, "device", now=AT)
    project.run(date=DAY)
    return project


def older(project: Project) -> Path:
    return project.folder / "older.keys"


def test_a_run_with_an_older_copy_is_refused(rotated: Project) -> None:
    with pytest.raises(RefusedError, match="does not have the key device/2") as caught:
        replace(rotated, keyring=older(rotated)).run(date=DAY)
    assert (caught.value.code, "minimize keys add" in caught.value.hint) == ("E310", False)
    rotated.run(date=DAY)
    minimize.verify(rotated.out, keys=rotated.keys)


def test_another_key_under_the_same_id_is_refused(rotated: Project) -> None:
    add_key(older(rotated), "device", now=AT)
    other = replace(rotated, keyring=older(rotated))
    with pytest.raises(RefusedError, match="has another key under device/2"):
        other.run(date=DAY)
    places = Workspace(rotated.out / "ledger.db", keys=other.keys)
    with pytest.raises(RefusedError, match="has another key under device/2"):
        delete_subjects([DataSubject("d3", "south")], places, AT + timedelta(minutes=1), yes=True)


def test_a_newer_keyring_and_one_with_a_destroyed_key_are_right(rotated: Project) -> None:
    add_key(rotated.keys, "device", now=AT)
    rotated.run(date=DAY)
    destroy_key(rotated.keys, "device", 1, now=AT)
    rotated.run(date=DAY)


def test_check_values_differ_between_keys_and_are_in_the_receipt(rotated: Project) -> None:
    receipt = rotated.run(date=DAY)
    assert set(receipt.key_checks or {}) == {"device/2", "subject/1"}
    assert len({*(receipt.key_checks or {}).values()}) == 2
    minimize.verify(rotated.out, keys=rotated.keys)
