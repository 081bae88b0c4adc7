"""A ledger's pages and its write-ahead log hold nothing that was planted, and the sweep would find it there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

import minimize
from minimize.governance.subjects import CorrectionEvidence, DataSubject, correct_subject, delete_subjects
from minimize.keys import new_keyring
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.ledger.subject_kinds import CORRECTION
from minimize.workspace import Workspace
from tests.leak.canary import Canary
from tests.leak.planted import ALL, AT, VALUE, build
from tests.leak.sweep import found
from tests.project import enter, event, new_project


def test_the_ledger_of_a_finished_or_failed_run_contains_no_canary(tmp_path: Path) -> None:
    folder = build(tmp_path)
    keys = new_keyring(folder / "keys", ["device", "ticket"], now=datetime.now(UTC))
    ledger = tmp_path / "kept" / "ledger.db"
    with open_ledger(find_ledger(ledger), create=True) as reader:  # keeps the write-ahead log where it is
        minimize.run(folder, at=AT, output=folder / "out", keys=keys, ledger=ledger)
        with pytest.raises(minimize.MinimizeError, match="already covers these dates"):
            minimize.run(folder, at="2026-11-01T00:00:00Z", output=folder / "out", keys=keys, ledger=ledger)
        assert reader.read(lambda connection: connection.driver.in_transaction)
        files = {path.name: path.stat().st_size for path in ledger.parent.iterdir()}
        assert files["ledger.db-wal"] > 0
        assert found(ALL, ledger.parent) == set()
    assert found(ALL, ledger.parent) == set()


def test_the_sweep_finds_values_in_pages_and_in_the_write_ahead_log(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(find_ledger(path), create=True).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO outputs VALUES ('o', ?, '', '')", [VALUE["dropped text"]])
        assert "dropped text" in found(ALL, path.with_name("ledger.db-wal"))
    assert "dropped text" in found(ALL, path)


def test_a_corrected_value_of_a_subject_that_was_deleted_is_in_no_file_of_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(tmp_path, monkeypatch)
    project = new_project(tmp_path, lasting=True)
    project.records(map(event, range(40)))
    project.policy({"model": {"type": "string", "do": "keep"}})
    project.pipeline(aggregates=None)
    folder = tmp_path / "kept"
    project.run(at=None, ledger=folder / "ledger.db")
    workspace, device = Workspace(folder / "ledger.db", keys=project.keys), DataSubject("d3", "north")
    evidence = CorrectionEvidence("source_correction", "CMDB-1")
    correct_subject(device, {"model": "Z"}, evidence, workspace, datetime.now(UTC), yes=True)
    with workspace.open_ledger() as reader:  # keeps the write-ahead log where it is
        (correction,) = reader.find(CORRECTION)
        sealed = [Canary("sealed", correction.sealed)]
        assert found(sealed, folder) == {"sealed"}
        delete_subjects([device], workspace, datetime.now(UTC), yes=True)
        assert reader.find(CORRECTION) == []
        assert found(sealed, folder) == set()
    assert found(sealed, folder) == set()
