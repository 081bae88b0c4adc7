"""`verify` on an output that is being written, or that a crash left half way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize import verifying
from minimize.errors import OutputError, VerificationError
from minimize.io import published
from minimize.io.durable import write_file
from minimize.io.publish import open_output
from minimize.verification.check import found_by
from tests.project import Project, events, new_project


@pytest.fixture(name="house")
def _house(tmp_path: Path) -> Project:
    house = new_project(tmp_path)
    house.records(events(40))
    house.run()
    return house


def test_an_output_is_verified_while_a_run_is_at_work(house: Project) -> None:
    with open_output(house.out) as output, output.begin("20261125T000000Z-000000000000"):
        findings = verifying.check(house.out, keys=house.keys)
    assert [finding.code for finding in findings if finding.severity == "error"] == []
    assert "V007" in {finding.code for finding in findings}


def test_while_a_publication_swaps_its_files_in_nothing_is_said(
    house: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "WAITS", 2)
    with open_output(house.out) as output, output.begin("20261125T000000Z-000000000000") as staging:
        write_file(staging.run / "intent.json", b"{}")
        with pytest.raises(OutputError, match="another process") as caught:
            minimize.verify(house.out, keys=house.keys)
        (staging.run / "intent.json").unlink()
    assert caught.value.exit_code == 2


def test_an_output_that_changed_meanwhile_is_looked_at_again(house: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []

    def slow(output: Any, verifier: Any, first: int) -> Any:
        looked.append(len(minimize.files(output)))
        if len(looked) == 1:
            house.run(ledger=house.folder / "ledger.db")
            raise FileNotFoundError
        return found_by(output, verifier, first)

    monkeypatch.setenv("MINIMIZE_LEDGER", str(house.folder / "nowhere.db"))
    monkeypatch.setattr(verifying, "found_by", slow)
    assert [finding.code for finding in verifying.check(house.out, keys=house.keys)] == ["V008"]
    assert len(looked) == 2


def test_an_output_that_never_rests_is_not_judged(house: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(output: Any, verifier: Any, first: int) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr(verifying, "found_by", gone)
    with pytest.raises(OutputError, match="while it was checked"):
        verifying.check(house.out, keys=house.keys)


def test_readers_never_see_a_run_half_way(house: Project) -> None:
    with ThreadPoolExecutor(1) as writer:
        runs = writer.submit(lambda: [house.run() for _ in range(4)])
        looked = 0
        while not runs.done() or not looked:
            assert minimize.read(house.out).num_rows == 40
            assert minimize.read(house.out, "per_model").num_rows > 0
            minimize.verify(house.out, keys=house.keys)
            looked += 1
        runs.result()


def test_what_does_not_hold_is_raised_with_its_findings(house: Project) -> None:
    next(house.out.rglob("*.parquet")).unlink()
    with pytest.raises(VerificationError) as caught:
        minimize.verify(house.out, keys=house.keys)
    assert caught.value.exit_code == 1
    assert "V011" in {finding.code for finding in caught.value.findings}


def test_without_a_key_nothing_is_said(house: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIMIZE_KEYS", raising=False)
    with pytest.raises(minimize.MinimizeError) as caught:
        minimize.verify(house.out)
    assert caught.value.exit_code == 2
