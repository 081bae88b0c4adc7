"""Of a whole run nothing that was planted is found: in files, on stdout and stderr, in logs, in errors."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest

from minimize.checkpoints import at_checkpoint
from minimize.records import Batch
from minimize.runs import inputs
from tests.leak.canary import Canary
from tests.leak.planted import ALL, AT, FILE, NAMES, VALUE, build
from tests.leak.printed import printed_by, printed_by_process
from tests.leak.sweep import found
from tests.project import DAY, write_keyring


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline that was not run yet."""
    alone = tmp_path_factory.mktemp("alone") / "pipeline"  # lint reads the policies beside a pipeline
    alone.mkdir()
    folder = build(alone)
    write_keyring(folder / "keys", ("device", "ticket"))
    return folder


@pytest.fixture(scope="module")
def printed(folder: Path) -> bytes:
    """What the run printed."""
    return printed_by_process(folder, "--verbose", "run", ".", "--at", AT, "--output", "out")


def test_every_canary_is_in_the_input(folder: Path) -> None:
    numbers = {"truncated time"}
    places = {canary.place for canary in ALL} - numbers
    assert found(ALL, folder / "in") >= places


def test_no_canary_is_in_any_file_of_the_output(folder: Path, printed: bytes) -> None:
    assert printed
    assert sorted(path.suffix for path in (folder / "out").rglob("*.parquet")) == [".parquet"] * 3
    assert found(ALL, folder / "out") == set()


def test_no_canary_is_printed(printed: bytes) -> None:
    assert found(ALL, printed) == set()


def test_the_run_wrote_rows_and_printed_findings(folder: Path, printed: bytes) -> None:
    import minimize as library

    table = library.read(folder / "out")
    assert b'"code": "I001"' in printed
    assert table.num_rows > 30


def test_no_canary_is_printed_by_verify_plan_and_lint(folder: Path, printed: bytes) -> None:
    assert printed
    lint, preview = ("lint", ".", "--fail-on", "never"), ("plan", ".", "--preview", "100", "--at", AT)
    said = printed_by(folder, ("verify", "out"), ("plan", "."), lint, preview)
    assert found(ALL, said) == set()


def test_no_canary_is_printed_when_the_input_is_damaged(tmp_path: Path) -> None:
    folder = build(tmp_path)
    write_keyring(folder / "keys", ("device", "ticket"))
    file = folder / "in" / DAY / FILE
    file.write_bytes(file.read_bytes()[:-20])
    run = ("run", ".", "--at", AT, "--output", "other")
    said = printed_by(folder, run, (*run, "--json"), code=2)
    assert found(ALL, said) == set()
    assert found(ALL, folder / "other") == set()
    assert not list((folder / "other").rglob("*.parquet"))


def test_no_canary_is_printed_after_an_unexpected_failure_of_a_stage(folder: Path, printed: bytes) -> None:
    assert printed

    def fail(_: str, batch: Batch) -> None:
        raise ValueError(f"cannot treat {batch.raw.to_pylist()}")

    with at_checkpoint("gate", fail):
        said = printed_by(folder, ("run", ".", "--at", AT, "--output", "failed"), code=2)
    assert b"E900" in said
    assert found(ALL, said) == set()
    assert found(ALL, folder / "failed") == set()


def test_the_sweep_would_have_found_a_canary_that_a_run_let_through(folder: Path, printed: bytes) -> None:
    """The control: what is kept on purpose is found in the very same output."""
    assert printed
    assert found([Canary("kept", "corporate"), Canary("input", str(VALUE["masked"]))], folder / "out") == {"kept"}


def test_the_sweep_would_have_found_names_that_a_run_let_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The controls: keys that are kept, a file and undeclared names that are shown."""
    folder = build(tmp_path)
    write_keyring(folder / "keys", ("device", "ticket"))
    policy = json.loads((folder / "policy.yaml").read_text())
    for key in ("/shared_with", "/domains"):
        policy["fields"][key]["keys"] = "keep"
    for key in ("/seen_by", "/apps/*/seen_by"):
        policy["fields"][key] = {"type": "map", "keys": "keep", "optional": True}
    (folder / "policy.yaml").write_text(json.dumps(policy))
    monkeypatch.setattr(import_module("minimize.plan.request"), "_is_plausible_name", lambda part, carried: True)
    monkeypatch.setattr(inputs, "_matching_pattern", lambda name: None)
    monkeypatch.setattr(inputs, "_identifies_nobody", lambda stem: True)
    printed_by(folder, ("run", ".", "--at", AT, "--output", "out"))
    assert found(NAMES, folder / "out") == {canary.place for canary in NAMES}


def test_nothing_planted_is_in_lineage_and_metrics_of_runs_that_succeed_and_fail(tmp_path: Path) -> None:
    folder = build(tmp_path)
    write_keyring(folder / "keys", ("device", "ticket"))
    told = ("--lineage", "told/events.ndjson", "--metrics", "told")
    run = ("--verbose", "run", ".", "--at", AT, "--output", "out", *told)
    said = printed_by(folder, run)
    file = folder / "in" / DAY / FILE
    file.write_bytes(file.read_bytes()[:-20])
    said += printed_by(folder, run, code=2)
    assert b'"quarantine_share"' in said
    assert found(ALL, said) == set()
    events = (folder / "told/events.ndjson").read_text()
    assert [event in events for event in ('"START"', '"COMPLETE"', '"FAIL"')] == [True] * 3
    assert "minimize_last_run_success" in (folder / "told/minimize_leak.prom").read_text()
    assert found(ALL, folder / "told") == set()


def test_drift_reports_no_planted_value(folder: Path, printed: bytes) -> None:
    assert printed
    drift = ("--verbose", "drift", ".", "--fail-on", "never")
    said = printed_by(folder, drift, (*drift, "--json"))
    assert b"D001" in said
    assert b"D003" in said
    assert found(ALL, said) == set()


def test_quarantine_and_replay_report_no_planted_value(tmp_path: Path) -> None:
    folder = build(tmp_path)
    run = ("--verbose", "run", ".", "--at", AT, "--output", "out")
    said = printed_by(folder, ("keys", "new", "keys", "--name", "device", "--name", "ticket"), run)
    policy = json.loads((folder / "policy.yaml").read_text())
    policy["fields"]["serial"] = {"type": "string", "do": "drop"}
    (folder / "policy.yaml").write_text(json.dumps(policy))
    replay = ("replay", "out", "--json", "--at", AT)
    said += printed_by(folder, ("quarantine", "out", "--check"), replay, ("verify", "out"))
    assert b'"kind": "replay"' in said
    assert found(ALL, said) == set()
    assert found(ALL, folder / "out") == set()
