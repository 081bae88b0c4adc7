"""A run stands in the ledger: lease, audit log, index, and a head in its receipt."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.errors import LedgerError, MinimizeError, RefusedError
from minimize.ledger import find_ledger
from minimize.ledger import ledger as ledger_module
from minimize.ledger.audit_event import EntryFilter, entry_event
from minimize.ledger.leases import lease_holder
from minimize.ledger.ledger import Ledger, open_ledger
from minimize.output.folder import identity_of
from minimize.runs.verify import check_output
from tests.calls import adopt_ledger, list_runs, log_entries, rebuild_index, verify_audit
from tests.ledger.ledgers import unguarded
from tests.postgres import Server
from tests.project import AT, BEFORE, DAY, Builds, Project, events

ROOT = Path(__file__).parents[2]
SLOW = """
import sys, time
from minimize.runs import runner as job
from tests.project import AT
moved = job.process_dates
def slow(*given, **options):
    print("begun", flush=True)
    time.sleep(60)
    return moved(*given, **options)
job.process_dates = slow
job.run(sys.argv[1], at=AT, output=sys.argv[2], keys=sys.argv[3])
"""
STOPPED = """
import os, sys
from minimize.runs import runner as job
from tests.project import AT
def stopped(*given):
    os._exit(137)
job.record_published = stopped
job.run(sys.argv[1], at=AT, output=sys.argv[2], keys=sys.argv[3])
"""


def fed_content(project: Project) -> None:
    project.records(events(24))


@pytest.fixture(name="fed")
def _fed(builds: Builds, project: Project) -> Project:
    return builds.fill(project, fed_content)


def log_of(project: Project, **wanted: Any) -> list[dict[str, Any]]:
    return [entry_event(entry) for entry in log_entries(None, EntryFilter(**wanted), output=project.out)]


def operations(project: Project) -> list[tuple[str, str, str]]:
    return [(event["activity"], event["operation"], event["result"]) for event in log_of(project)]


def codes(project: Project, output: Path | None = None) -> list[str]:
    return [finding.code for finding in check_output(output or project.out, keys=project.keys)]


def starts(project: Project, code: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, str(project.folder), str(project.out), str(project.keys)]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)


def test_a_run_is_logged_at_its_start_and_at_its_publication(fed: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "ann@example.com")
    receipt = fed.run()
    assert operations(fed) == [("run", "start", "success"), ("run", "publish", "success")]
    start, publish = log_of(fed)
    assert start["correlation_id"] == publish["correlation_id"] == receipt.run_id
    assert start["actor"]["user"] == "ann@example.com"
    resource = publish["resources"][0]
    assert (resource["type"], resource["id"]) == ("output", identity_of(fed.out))
    assert {change["name"]: change["new"] for change in resource["changed_properties"]} == {
        "receipt": receipt.digest,
        "sequence": 1,
    }


def test_the_receipt_names_the_head_that_the_log_had(fed: Project) -> None:
    receipt = fed.run()
    assert receipt.audit is not None
    (entry,) = log_entries(None, EntryFilter(operation="start"), output=fed.out)
    assert (receipt.audit.sequence, receipt.audit.head) == (entry.sequence, entry.digest)
    assert receipt.to_json()["audit"] == {"sequence": 1, "head": entry.digest, "ledger": receipt.audit.ledger}


def test_the_ledger_is_in_the_output_and_accessible_to_its_owner_only(fed: Project) -> None:
    shutil.rmtree(fed.out)
    fed.run()
    assert (fed.out / "ledger.db").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in fed.out.glob("ledger.db*")) == ["ledger.db"]


def test_another_ledger_is_used_where_one_is_named(
    fed: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(fed.out)
    fed.run(ledger=tmp_path / "given.db")
    monkeypatch.setenv("MINIMIZE_LEDGER", str(tmp_path / "given.db"))
    fed.run()
    assert len(list_runs()) == 2
    assert not (fed.out / "ledger.db").exists()


def test_runs_are_indexed(fed: Project) -> None:
    receipts = [fed.run(), fed.run()]
    rows = list_runs(output=fed.out)
    assert [(row.run_id, row.sequence, row.digest) for row in rows] == [
        (receipt.run_id, receipt.sequence, receipt.digest) for receipt in receipts
    ]
    assert {row.folder for row in rows} == {str(fed.out)}


@pytest.mark.usefixtures("no_output")
def test_a_run_without_work_writes_no_output(project: Project) -> None:
    assert project.run(date=BEFORE).sequence == 0
    assert not project.out.exists()


def test_a_refused_run_is_recorded_as_refused(fed: Project) -> None:
    fed.run()
    with pytest.raises(MinimizeError):
        fed.run(at=AT.replace(day=1))
    assert operations(fed)[-1] == ("run", "fail", "refused")
    change = log_of(fed)[-1]["resources"][0]["changed_properties"][0]
    assert change == {"name": "error", "old": None, "new": "E300"}
    assert fed.run().sequence == 2


def test_verify_takes_the_end_of_the_chain_from_the_ledger(fed: Project) -> None:
    fed.run()
    assert codes(fed) == []


def test_verify_finds_receipts_that_were_cut_off(fed: Project) -> None:
    fed.run(date=DAY)
    shutil.copytree(fed.out / "runs", older := fed.folder / "older")
    data = {path: path.read_bytes() for path in (fed.out / "records").rglob("*") if path.is_file()}
    fed.records(events(24, 100), day=BEFORE)
    fed.run(date=BEFORE)
    shutil.rmtree(fed.out / "runs")
    shutil.copytree(older, fed.out / "runs")
    for path in (fed.out / "records").rglob("*"):
        if path.is_file() and path not in data:
            path.unlink()
    found = [finding for finding in check_output(fed.out, keys=fed.keys) if finding.code == "V009"]
    assert [finding.message for finding in found] == ["1 receipt that the ledger records is missing from the output: 2"]


def test_verify_finds_receipts_that_were_cut_off_before_the_next_one(fed: Project) -> None:
    ledger = fed.folder / "organization.db"
    fed.run(ledger=ledger)
    older = shutil.copytree(fed.out, fed.folder / "older")
    fed.run(ledger=ledger)
    shutil.rmtree(fed.out)
    older.rename(fed.out)
    fed.run(ledger=ledger)
    (finding,) = check_output(fed.out, keys=fed.keys, ledger=ledger)
    assert (finding.code, "is missing from the output: 2" in finding.message) == ("V009", True)
    assert "restored from an older copy" in finding.hint
    rebuild_index([fed.out], ledger, keys=fed.keys, now=AT)
    assert check_output(fed.out, keys=fed.keys, ledger=ledger) == []
    fed.run(ledger=ledger)
    assert check_output(fed.out, keys=fed.keys, ledger=ledger) == []


def test_an_output_older_than_the_ledger_is_reported_and_logged(fed: Project, caplog: pytest.LogCaptureFixture) -> None:
    fed.run(ledger=fed.folder / "organization.db")
    older = shutil.copytree(fed.out, fed.folder / "older")
    fed.run(ledger=fed.folder / "organization.db")
    shutil.rmtree(fed.out)
    older.rename(fed.out)
    with caplog.at_level(logging.WARNING, "minimize"):
        fed.run(ledger=fed.folder / "organization.db")
    assert "the ledger has later receipts of this output" in caplog.text
    entries = log_entries(fed.folder / "organization.db", EntryFilter(operation="disagree"))
    assert [entry_event(entry)["resources"][0]["changed_properties"][0]["new"] for entry in entries] == ["cut"]


@pytest.mark.parametrize("is_older", [True, False])
def test_a_run_without_pending_dates_warns_of_an_older_copy(
    fed: Project, caplog: pytest.LogCaptureFixture, is_older: bool
) -> None:
    options: dict[str, Any] = {"ledger": fed.folder / "organization.db"}
    fed.run(**options)
    older = shutil.copytree(fed.out, fed.folder / "older")
    fed.run(**options)
    if is_older:
        shutil.rmtree(fed.out)
        older.rename(fed.out)
    fed.run(pending=True, **options)
    assert len(list((fed.out / "runs").glob("*/receipt.json"))) == (1 if is_older else 2)
    assert ("W017" in {getattr(record, "code", "") for record in caplog.records}) is is_older


def test_verify_reports_a_missing_ledger(fed: Project) -> None:
    fed.run()
    (fed.out / "ledger.db").unlink()
    assert codes(fed) == ["V008"]


def test_verify_reports_a_ledger_that_does_not_know_the_output(
    fed: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed.run()
    open_ledger(find_ledger(tmp_path / "other.db"), create=True).close()
    monkeypatch.setenv("MINIMIZE_LEDGER", str(tmp_path / "other.db"))
    assert codes(fed) == ["V009"]


def test_verify_reports_an_unreadable_ledger(fed: Project) -> None:
    fed.run()
    (fed.out / "ledger.db").write_bytes(b"damaged" * 1000)
    found = {finding.code: finding.message for finding in check_output(fed.out, keys=fed.keys)}
    assert (set(found), "damaged" in found["V008"]) == ({"V008", "V014"}, True)
    with pytest.raises(LedgerError, match="damaged"):
        check_output(fed.out, keys=fed.keys, ledger=fed.out / "ledger.db")


def test_a_run_reports_a_missing_receipt_among_the_others(fed: Project, caplog: pytest.LogCaptureFixture) -> None:
    receipts = [fed.run() for _ in range(3)]
    (fed.out / "runs" / receipts[1].run_id / "receipt.json").unlink()
    fed.run()
    assert "W025" in {getattr(record, "code", "") for record in caplog.records}


def test_verify_finds_an_entry_that_was_forged(fed: Project) -> None:
    fed.run()
    unguarded(find_ledger(fed.out / "ledger.db"), "UPDATE audit SET signature = 'AAAA' WHERE operation = 'publish'")
    assert codes(fed) == ["V009"]


def test_an_audit_log_that_was_cut_short_is_found_by_receipts(fed: Project) -> None:
    fed.run()
    ledger = fed.out / "ledger.db"
    older = ledger.read_bytes()
    fed.run()
    ledger.write_bytes(older)
    assert [each.code for each in verify_audit(output=fed.out, keys=fed.keys).findings] == ["H009"]
    found = verify_audit(output=fed.out, receipts=fed.out, keys=fed.keys)
    assert [each.code for each in found.findings] == ["H006"]


def test_a_lost_ledger_is_created_again_after_adoption_with_a_warning(
    fed: Project, caplog: pytest.LogCaptureFixture
) -> None:
    first = fed.run()
    with caplog.at_level(logging.WARNING, "minimize"):
        for _ in range(2):
            (fed.out / "ledger.db").unlink()
            with pytest.raises(RefusedError):
                fed.run()
            adopt_ledger(fed.out, "a test", keys=fed.keys)
            fed.run()
    assert "the ledger is new or an older copy" in caplog.text
    assert first.run_id in {row.run_id for row in list_runs(output=fed.out)}
    (uncompared,) = verify_audit(receipts=fed.out, keys=fed.keys).findings
    assert (uncompared.code, uncompared.message.split()[0], uncompared.severity) == ("H012", "3", "warning")
    rebuild_index([fed.out], keys=fed.keys, now=AT)
    assert {each.code for each in verify_audit(receipts=fed.out, keys=fed.keys).findings} == {"H012"}


def test_entries_that_were_removed_after_an_adoption_are_found_by_receipts(fed: Project) -> None:
    fed.run()
    ledger = fed.out / "ledger.db"
    ledger.unlink()
    adopt_ledger(fed.out, "a test", keys=fed.keys)
    fed.run()
    older = ledger.read_bytes()
    fed.run()
    assert verify_audit(receipts=fed.out, keys=fed.keys).ok
    ledger.write_bytes(older)
    assert "H006" in {each.code for each in verify_audit(receipts=fed.out, keys=fed.keys).findings}


def test_an_older_ledger_that_was_adopted_is_not_compared_with_the_receipts_before(fed: Project) -> None:
    fed.run()
    ledger = fed.out / "ledger.db"
    older = ledger.read_bytes()
    fed.run()
    ledger.write_bytes(older)
    assert not verify_audit(receipts=fed.out, keys=fed.keys).ok
    adopt_ledger(fed.out, "a test", keys=fed.keys)
    found = verify_audit(receipts=fed.out, keys=fed.keys)
    assert (found.ok, {each.code for each in found.findings}) == (True, {"H012"})


def test_the_index_is_restored_from_receipts(fed: Project) -> None:
    fed.run()
    fed.run()
    before = list_runs(output=fed.out)
    (fed.out / "ledger.db").unlink()
    (done,) = rebuild_index([fed.out], keys=fed.keys, now=AT)
    assert (done.runs, done.recorded) == (2, 2)
    assert list_runs(output=fed.out) == before


@pytest.mark.nightly
def test_a_run_killed_before_it_was_recorded_is_recorded_by_the_next(fed: Project) -> None:
    killed = starts(fed, STOPPED)
    assert (killed.wait(60), killed.communicate()[0]) == (137, "")
    assert len(list_runs(output=fed.out)) == 0
    assert codes(fed) == ["V008"]
    fed.run()
    assert len(list_runs(output=fed.out)) == 2
    assert [operation for _, operation, _ in operations(fed)] == ["start", "abandon", "start", "recover", "publish"]
    assert codes(fed) == []


def test_a_second_run_is_refused_with_the_holder_and_a_killed_run_holds_no_lease(fed: Project) -> None:
    first = starts(fed, SLOW)
    assert first.stdout is not None
    assert first.stdout.readline() == "begun\n"
    with pytest.raises(
        LedgerError, match=f"another run is writing to this output: .* \\(process {first.pid}\\), since "
    ) as raised:
        fed.run()
    assert (raised.value.code, raised.value.exit_code) == ("E207", 2)
    other = fed.run(output=fed.folder / "other")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert fed.run().rows == other.rows
    assert ("run", "abandon", "failure") in operations(fed)


def test_a_run_that_lost_its_lease_publishes_nothing(fed: Project) -> None:
    fed.run()
    released = at_checkpoint("run.written", lambda _, session: session.release())
    with released, pytest.raises(LedgerError, match="the lease on the output was lost"):
        fed.run()
    assert len(minimize.files(fed.out)) == 1
    assert codes(fed) == []


def test_a_ledger_that_fails_after_publication_undoes_nothing(fed: Project, caplog: pytest.LogCaptureFixture) -> None:
    def gone(_: str) -> None:
        raise LedgerError("the ledger is gone")

    with at_checkpoint("run.indexed", gone), caplog.at_level(logging.WARNING, "minimize"):
        receipt = fed.run()
    assert "the ledger could not record it: the ledger is gone" in caplog.text
    assert "W016" in [record.__dict__.get("code") for record in caplog.records]
    assert receipt.sequence == 1
    assert fed.run().sequence == 2
    assert [row.sequence for row in list_runs(output=fed.out)] == [1, 2]


def test_a_ledger_that_cannot_be_used_stops_a_run_before_anything_is_made(fed: Project) -> None:
    shutil.rmtree(fed.out)
    (fed.folder / "bad.db").touch(0o600)
    (fed.folder / "bad.db").write_bytes(b"damaged" * 1000)
    with pytest.raises(LedgerError, match="damaged"):
        fed.run(ledger=fed.folder / "bad.db")
    assert not fed.out.exists()


def test_a_copy_of_an_output_gets_an_identity_of_its_own(fed: Project, caplog: pytest.LogCaptureFixture) -> None:
    ledger = fed.folder / "organization.db"
    fed.run(ledger=ledger)
    copy = shutil.copytree(fed.out, fed.folder / "copy")
    fed.run(ledger=ledger)
    with caplog.at_level(logging.WARNING, "minimize"):
        fed.run(ledger=ledger, output=copy)
    assert "is a copy of" in caplog.text
    assert identity_of(copy) != identity_of(fed.out)
    for folder in (fed.out, copy):
        assert [each.code for each in check_output(folder, keys=fed.keys, ledger=ledger)] == []


def test_a_copy_that_got_its_identity_and_no_receipt_yet_is_a_warning(fed: Project) -> None:
    ledger = fed.folder / "organization.db"
    fed.run(ledger=ledger)
    copy = shutil.copytree(fed.out, fed.folder / "copy")

    def stopped(_: str) -> None:
        raise LedgerError("stopped")

    with at_checkpoint("lease.taken", stopped), pytest.raises(LedgerError, match="stopped"):
        fed.run(ledger=ledger, output=copy)
    assert [each.code for each in check_output(copy, keys=fed.keys, ledger=ledger)] == ["V008"]


def test_an_unknown_identity_is_found(fed: Project) -> None:
    fed.run()
    (fed.out / "runs" / ".id").write_text("0" * 32 + "\n")
    assert codes(fed) == ["V009"]


def test_a_folder_that_was_moved_keeps_its_identity(fed: Project) -> None:
    ledger = fed.folder / "organization.db"
    fed.run(ledger=ledger)
    moved = fed.out.rename(fed.folder / "moved")
    fed.run(ledger=ledger, output=moved)
    assert [row.folder for row in list_runs(ledger)] == [str(moved)] * 2


@pytest.mark.postgres
def test_on_a_server_it_is_all_the_same(fed: Project, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(fed.out)
    monkeypatch.setenv("MINIMIZE_LEDGER", postgres.database())
    receipts = [fed.run(), fed.run()]
    assert [row.run_id for row in list_runs()] == [receipt.run_id for receipt in receipts]
    assert codes(fed) == []
    assert verify_audit(receipts=fed.out, keys=fed.keys).findings == ()
    assert not (fed.out / "ledger.db").exists()


@pytest.mark.postgres
def test_a_server_that_restarts_in_mid_run_is_waited_for(
    fed: Project, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_LEDGER", postgres.database())
    with at_checkpoint("run.written", lambda *_: postgres.restart()):
        fed.run()
    assert codes(fed) == []


@pytest.mark.postgres
def test_a_server_failure_during_a_run_is_a_clear_error_and_nothing_is_published(
    fed: Project, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_LEDGER", postgres.database())
    fed.run()
    with monkeypatch.context() as patch, at_checkpoint("run.written", lambda *_: postgres.stop()):
        patch.setattr(ledger_module, "PATIENCE_S", 0.5)
        try:
            with pytest.raises(LedgerError, match="cannot be reached"):
                fed.run()
        finally:
            postgres.start()
    assert len(minimize.files(fed.out)) == 1
    assert fed.run().sequence == 2
    assert codes(fed) == []
    assert _holder(fed) is None


def _holder(project: Project) -> object:
    with open_ledger(find_ledger(output=project.out)) as ledger:
        assert isinstance(ledger, Ledger)
        return ledger.read(partial(lease_holder, output=str(identity_of(project.out))))
