"""The ledger locked, gone, or another: nothing is published without it, and what is published is told of later."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from minimize.checkpoints import at_checkpoint
from minimize.errors import LedgerError, RefusedError
from minimize.ledger import ledger as ledger_module
from minimize.runs.verify import check_output
from tests.calls import adopt_ledger, list_runs, verify_audit
from tests.project import Project


@pytest.fixture(name="ledger")
def _ledger(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ledger of a project that ran once, with a short wait for its lock."""
    monkeypatch.setattr(ledger_module, "PATIENCE_S", 0.3)
    project.run()
    return project.out / "ledger.db"


@contextmanager
def locked(ledger: Path) -> Iterator[None]:
    with closing(sqlite3.connect(ledger, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def meanwhile(act: Callable[[], object]) -> AbstractContextManager[None]:
    """Does something in mid-run: everything is written, nothing is published."""
    return at_checkpoint("run.written", lambda *_: act())


def afterwards(act: Callable[[], object]) -> AbstractContextManager[None]:
    """Does something once everything is published, and before the ledger is told."""
    return at_checkpoint("clean.after", lambda *_: act())


def published(project: Project) -> int:
    return len([*(project.out / "runs").glob("*/receipt.json")])


def nothing_was_done(project: Project, error: LedgerError, said: str) -> None:
    assert said in error.message
    assert (error.exit_code, error.code, bool(error.hint), error.__context__) == (2, "E206", True, None)
    assert published(project) == 1
    assert len(project.files()) == 2
    assert not [*(project.out / "runs").glob("*/staging")]


def goes_on(project: Project, runs: int) -> None:
    """The next run is as if nothing had been; the index then has them all."""
    assert project.run().sequence == runs
    assert [row.sequence for row in list_runs(output=project.out)] == [*range(1, runs + 1)]
    assert not [finding for finding in check_output(project.out, keys=project.keys) if finding.severity == "error"]


def goes_on_with_another(project: Project, runs: int) -> None:
    """The next run is refused; once another ledger is adopted, it is as if nothing had been."""
    with pytest.raises(RefusedError):
        project.run()
    adopt_ledger(project.out, "a test", keys=project.keys)
    goes_on(project, runs + 1)


def test_a_ledger_locked_by_another_process_is_reported(project: Project, ledger: Path) -> None:
    with locked(ledger), pytest.raises(LedgerError) as told:
        project.run()
    nothing_was_done(project, told.value, "is locked by another process")
    goes_on(project, 2)


def test_one_that_is_locked_in_mid_run_stops_it(project: Project, ledger: Path) -> None:
    with (
        closing(sqlite3.connect(ledger, isolation_level=None)) as other,
        meanwhile(lambda: other.execute("BEGIN IMMEDIATE")),
        pytest.raises(LedgerError) as told,
    ):
        project.run()
    nothing_was_done(project, told.value, "is locked by another process")
    goes_on(project, 2)


def test_a_publication_while_the_ledger_is_locked_is_recorded_by_the_next_run(
    project: Project, ledger: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        closing(sqlite3.connect(ledger, isolation_level=None)) as other,
        afterwards(lambda: other.execute("BEGIN IMMEDIATE")),
    ):
        assert project.run().sequence == 2
    assert "published, but the ledger could not record it" in caplog.text
    goes_on(project, 3)
    assert verify_audit(output=project.out, receipts=project.out, keys=project.keys).findings == ()


def test_a_ledger_that_is_missing_between_runs_is_created_again_after_adoption(
    project: Project, ledger: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.unlink()
    with caplog.at_level(logging.WARNING, "minimize"):
        goes_on_with_another(project, 2)
    assert "the ledger is new or an older copy" in caplog.text


def test_one_that_vanishes_in_mid_run_stops_it(project: Project, ledger: Path) -> None:
    with meanwhile(ledger.unlink), pytest.raises(LedgerError) as told:
        project.run()
    nothing_was_done(project, told.value, "was removed or replaced")
    goes_on_with_another(project, 2)


def test_one_that_is_exchanged_in_mid_run_stops_it(project: Project, ledger: Path) -> None:
    older = ledger.with_name("older")
    older.write_bytes(ledger.read_bytes())
    older.chmod(0o600)
    with meanwhile(lambda: older.replace(ledger)), pytest.raises(LedgerError) as told:
        project.run()
    nothing_was_done(project, told.value, "was removed or replaced")
    goes_on(project, 2)


def test_a_ledger_that_vanishes_after_publication_is_created_again_after_adoption(
    project: Project, ledger: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with afterwards(ledger.unlink):
        assert project.run().sequence == 2
    assert "published, but the ledger could not record it" in caplog.text
    goes_on_with_another(project, 3)


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_one_that_is_damaged_stops_a_run_before_it_writes(project: Project, ledger: Path, content: bytes) -> None:
    whole = ledger.read_bytes()
    ledger.write_bytes(content)
    if content:
        with pytest.raises(LedgerError) as told:
            project.run()
        nothing_was_done(project, told.value, "damaged")
    ledger.write_bytes(whole)
    goes_on(project, 2)


def test_a_folder_in_place_of_the_ledger_is_reported(project: Project, ledger: Path) -> None:
    kept = ledger.rename(ledger.with_name("kept"))
    ledger.mkdir()
    with pytest.raises(LedgerError) as told:
        project.run()
    nothing_was_done(project, told.value, "is not a regular file")
    ledger.rmdir()
    kept.rename(ledger)
    goes_on(project, 2)
