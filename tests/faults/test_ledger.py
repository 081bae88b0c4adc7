"""The ledger locked, gone, or another: nothing is published without it, and what is published is told of later."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from minimize.auditing import check_audit
from minimize.errors import LedgerError, RefusedError
from minimize.governance.retention.adopting import adopt_ledger
from minimize.indexing import list_runs
from minimize.job import booking, job
from minimize.ledger.ledger import open_ledger
from minimize.verifying import check
from tests.project import Project


@pytest.fixture(name="ledger")
def _ledger(house: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ledger of a house that ran once; nobody waits for it for long."""
    monkeypatch.setattr(open_ledger, "__kwdefaults__", {"create": False, "patience": 0.3})
    house.run()
    return house.out / "ledger.db"


@contextmanager
def locked(ledger: Path) -> Iterator[None]:
    with closing(sqlite3.connect(ledger, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Does something in mid-run: everything is written, nothing is published."""

    def acts(*_: object) -> dict[str, object]:
        act()
        return {}

    monkeypatch.setattr(job, "check_quarantine", acts)


def afterwards(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Does something once everything is published, and before the ledger is told."""

    def told(*given: Any) -> None:
        act()
        booking.told(*given)

    monkeypatch.setattr(job, "told", told)


def published(house: Project) -> int:
    return len([*(house.out / "runs").glob("*/receipt.json")])


def nothing_was_done(house: Project, error: LedgerError, said: str) -> None:
    assert said in error.message
    assert (error.exit_code, error.code, bool(error.hint), error.__context__) == (2, "E206", True, None)
    assert published(house) == 1
    assert len(house.files()) == 2
    assert not [*(house.out / "runs").glob("*/staging")]


def goes_on(house: Project, runs: int) -> None:
    """The next run is as if nothing had been; the index then has them all."""
    assert house.run().sequence == runs
    assert [row.sequence for row in list_runs(output=house.out)] == [*range(1, runs + 1)]
    assert not [finding for finding in check(house.out, keys=house.keys) if finding.severity == "error"]


def goes_on_with_another(house: Project, runs: int) -> None:
    """The next run is refused; once another ledger is adopted, it is as if nothing had been."""
    with pytest.raises(RefusedError):
        house.run()
    adopt_ledger(house.out, "a test", keys=house.keys)
    goes_on(house, runs + 1)


def test_a_ledger_that_another_process_holds_is_told(house: Project, ledger: Path) -> None:
    with locked(ledger), pytest.raises(LedgerError) as told:
        house.run()
    nothing_was_done(house, told.value, "is locked by another process")
    goes_on(house, 2)


def test_one_that_is_locked_in_mid_run_stops_it(house: Project, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(ledger, isolation_level=None)) as other, monkeypatch.context() as patch:
        meanwhile(patch, lambda: other.execute("BEGIN IMMEDIATE"))
        with pytest.raises(LedgerError) as told:
            house.run()
    nothing_was_done(house, told.value, "is locked by another process")
    goes_on(house, 2)


def test_one_that_is_locked_after_publication_is_told_by_the_next_run(
    house: Project, ledger: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(ledger, isolation_level=None)) as other, monkeypatch.context() as patch:
        afterwards(patch, lambda: other.execute("BEGIN IMMEDIATE"))
        assert house.run().sequence == 2
    assert "published, and the ledger could not be told" in caplog.text
    goes_on(house, 3)
    assert check_audit(output=house.out, receipts=house.out, keys=house.keys).findings == ()


def test_one_that_is_gone_between_runs_is_made_anew_once_that_is_adopted(
    house: Project, ledger: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.unlink()
    with caplog.at_level(logging.WARNING, "minimize"):
        goes_on_with_another(house, 2)
    assert "the ledger is new, or an older copy" in caplog.text


def test_one_that_vanishes_in_mid_run_stops_it(house: Project, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        meanwhile(patch, ledger.unlink)
        with pytest.raises(LedgerError) as told:
            house.run()
    nothing_was_done(house, told.value, "is gone")
    goes_on_with_another(house, 2)


def test_one_that_is_exchanged_in_mid_run_stops_it(
    house: Project, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = ledger.with_name("older")
    older.write_bytes(ledger.read_bytes())
    older.chmod(0o600)
    with monkeypatch.context() as patch:
        meanwhile(patch, lambda: older.replace(ledger))
        with pytest.raises(LedgerError) as told:
            house.run()
    nothing_was_done(house, told.value, "another file stands in its place")
    goes_on(house, 2)


def test_one_that_vanishes_after_publication_is_made_anew_once_that_is_adopted(
    house: Project, ledger: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        afterwards(patch, ledger.unlink)
        assert house.run().sequence == 2
    assert "published, and the ledger could not be told" in caplog.text
    goes_on_with_another(house, 3)


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_one_that_is_damaged_stops_a_run_before_it_writes(house: Project, ledger: Path, content: bytes) -> None:
    whole = ledger.read_bytes()
    ledger.write_bytes(content)
    if content:
        with pytest.raises(LedgerError) as told:
            house.run()
        nothing_was_done(house, told.value, "damaged")
    ledger.write_bytes(whole)
    goes_on(house, 2)


def test_a_folder_in_its_place_is_told(house: Project, ledger: Path) -> None:
    kept = ledger.rename(ledger.with_name("kept"))
    ledger.mkdir()
    with pytest.raises(LedgerError) as told:
        house.run()
    nothing_was_done(house, told.value, "is no file")
    ledger.rmdir()
    kept.rename(ledger)
    goes_on(house, 2)
