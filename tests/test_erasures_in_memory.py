"""`apply` and `prepare` honour the erasure list of a ledger."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.errors import KeyringError, LedgerError
from minimize.governance.events import NewEvent, add_event, withdraw_event
from minimize.runs.minimizer import Minimizer
from minimize.settings import erasures
from minimize.workspace import Workspace as Places
from tests.ledger.ledgers import empty
from tests.project import AT, Builds, Project, enter, events, new_project, table

RECORDS = events(60)
SOON = AT - timedelta(minutes=1)
NORTH_D4 = sum((each["tenant_id"], each["device_id"]) == ("north", "d4") for each in RECORDS)
NORTH = sum(each["tenant_id"] == "north" for each in RECORDS)


@pytest.fixture(name="project")
def _project(tmp_path: Path, builds: Builds, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a ledger that its configuration names, and a working directory elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    enter(tmp_path / "elsewhere", monkeypatch)
    builds.copy(empty, tmp_path / "organization")
    project = new_project(tmp_path / "organization" / "pipelines" / "checkins")
    (project.folder / "minimize.yaml").unlink()
    (tmp_path / "organization" / "minimize.yaml").write_text("ledger: ledger.db\n")
    return project


def ledger_of(project: Project) -> Path:
    return project.folder.parents[1] / "ledger.db"


def erase(project: Project, kind: str = "erasure", tenant: str = "north", subject: str | None = "d4") -> str:
    places = Places(ledger_of(project), keys=project.keys)
    return add_event(NewEvent(tenant, kind, subject, SOON), places, SOON).row.id


def applied(project: Project, **options: Any) -> tuple[pa.Table, minimize.RowCounts]:
    words: dict[str, Any] = {"keys": project.keys, "at": AT, "counts": True, **options}
    found: tuple[pa.Table, minimize.RowCounts] = minimize.apply(project.folder / "policy.yaml", table(RECORDS), **words)
    return found


def test_records_of_an_erased_subject_are_not_returned(project: Project) -> None:
    assert applied(project)[0].num_rows == len(RECORDS)
    erase(project)
    out, account = applied(project)
    assert (out.num_rows, account.gated["erased"]) == (len(RECORDS) - NORTH_D4, NORTH_D4)


def test_nor_those_of_a_tenant_that_closed(project: Project) -> None:
    erase(project, "tenant_closed", subject=None)
    assert applied(project)[1].gated["erased"] == NORTH


def test_an_erasure_counts_for_a_call_as_of_an_earlier_time(project: Project) -> None:
    places = Places(ledger_of(project), keys=project.keys)
    add_event(NewEvent("north", "erasure", "d4", AT), places, datetime.now(UTC))
    assert applied(project, at=AT - timedelta(hours=1))[1].gated["erased"] == NORTH_D4


def test_a_ledger_that_is_given_counts_before_the_configuration(project: Project, builds: Builds) -> None:
    erase(project)
    builds.copy(empty, project.folder / "other")
    assert applied(project, ledger=project.folder / "other" / "ledger.db")[1].gated["erased"] == 0
    assert applied(project, ledger=ledger_of(project))[1].gated["erased"] == NORTH_D4


def test_a_ledger_that_is_given_and_not_there_is_an_error(project: Project) -> None:
    with pytest.raises(LedgerError, match="the ledger does not exist"):
        applied(project, ledger=project.folder / "none.db")


def test_without_a_ledger_the_log_warns_once_that_erasures_are_unknown(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    (project.folder.parents[1] / "minimize.yaml").unlink()
    erasures.warn_unknown_erasures.cache_clear()
    with caplog.at_level(logging.WARNING, "minimize"):
        ready = minimize.prepare(project.folder / "policy.yaml", table([]), keys=project.keys)
        for _ in range(3):
            ready(table(RECORDS), AT)
            minimize.apply(project.folder / "policy.yaml", table(RECORDS), keys=project.keys, at=AT)
    said = [record.getMessage() for record in caplog.records if getattr(record, "code", None) == "W044"]
    assert len(said) == 1
    assert said[0].startswith("erasures are unknown")


def test_a_subject_cannot_be_recognized_without_the_key(project: Project) -> None:
    erase(project)
    with pytest.raises(KeyringError):
        minimize.apply(without_keys(project), table(RECORDS), at=AT)


def without_keys(project: Project) -> Path:
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "drop"}})
    return project.folder / "policy.yaml"


def test_a_prepared_policy_honours_an_erasure_a_minute_later(project: Project) -> None:
    now = [1000.0]
    ready = clocked(project, now)
    assert erased_by(ready) == 0
    erase(project)
    now[0] += 59
    assert erased_by(ready) == 0
    now[0] += 1
    assert erased_by(ready) == NORTH_D4


def test_the_ledger_is_read_at_most_once_a_minute(project: Project) -> None:
    reads: list[str] = []
    now = [1000.0]
    ready = clocked(project, now)
    with at_checkpoint("erasures.read", reads.append):
        for _ in range(5):
            erased_by(ready)
        assert len(reads) == 1
        now[0] += 60
        erased_by(ready)
        assert len(reads) == 2


def test_an_erasure_that_was_withdrawn_ends_a_minute_later(project: Project) -> None:
    event = erase(project)
    now = [1000.0]
    ready = clocked(project, now)
    assert erased_by(ready) == NORTH_D4
    withdraw_event(event, Places(ledger_of(project), keys=project.keys), SOON)
    now[0] += 60
    assert erased_by(ready) == 0


def test_a_ledger_that_cannot_be_read_any_more_stops_the_calls(project: Project) -> None:
    now = [1000.0]
    ready = clocked(project, now)
    erased_by(ready)
    ledger_of(project).unlink()
    now[0] += 60
    with pytest.raises(LedgerError):
        erased_by(ready)


def test_a_subject_that_another_identifier_names_is_recognized_later_too(project: Project) -> None:
    now = [1000.0]
    ready = clocked(project, now)
    assert erased_by(ready) == 0
    places = Places(ledger_of(project), pipeline=project.folder, keys=project.keys)
    add_event(NewEvent("north", "erasure", "e4", SOON, named_by="event_id"), places, SOON)
    now[0] += 60
    assert erased_by(ready) == 1


def clocked(project: Project, now: list[float]) -> Minimizer:
    ready = minimize.prepare(project.folder / "policy.yaml", table([]), keys=project.keys)
    assert ready.erasures is not None
    ready.erasures.clock = lambda: now[0]
    ready.erasures._read_at = None
    return ready


def erased_by(ready: Minimizer) -> int:
    ready(table(RECORDS), AT)
    assert ready.last is not None
    return ready.last.gated["erased"]
