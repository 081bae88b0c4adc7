"""`verify` on an output that is being written, or that a crash left half way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.datasets import reader
from minimize.errors import OutputError, VerificationError
from minimize.output.publish import open_output
from minimize.runs import verify
from minimize.stores.durable_files import write_file
from tests.project import Builds, Project, events


def content(project: Project) -> None:
    project.records(events(40))
    project.run()


@pytest.fixture(name="project")
def _project(builds: Builds, project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("MINIMIZE_LEDGER")  # the ledger is in the output
    return builds.fill(project, content)


def test_an_output_is_verified_while_a_run_is_at_work(project: Project) -> None:
    with open_output(project.out) as output, output.begin("20261125T000000Z-000000000000"):
        findings = verify.check_output(project.out, keys=project.keys)
    assert [finding.code for finding in findings if finding.severity == "error"] == []
    assert "V007" in {finding.code for finding in findings}


def test_during_a_publication_verify_reports_the_other_process(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "WAITS", 2)
    with open_output(project.out) as output, output.begin("20261125T000000Z-000000000000") as staging:
        write_file(staging.run / "intent.json", b"{}")
        with pytest.raises(OutputError, match="another process") as caught:
            minimize.verify(project.out, keys=project.keys)
        (staging.run / "intent.json").unlink()
    assert caught.value.exit_code == 2


def test_an_output_that_changed_meanwhile_is_looked_at_again(project: Project) -> None:
    checks: list[str] = []

    def change_once(point: str) -> None:
        checks.append(point)
        if len(checks) == 1:
            project.run()
            raise FileNotFoundError

    with at_checkpoint("output.checked", change_once):
        assert verify.check_output(project.out, keys=project.keys) == []
    assert len(checks) == 2


def test_an_output_that_never_rests_is_not_judged(project: Project) -> None:
    def lose_file(_: str) -> None:
        raise FileNotFoundError

    with at_checkpoint("output.checked", lose_file), pytest.raises(OutputError, match="during the check"):
        verify.check_output(project.out, keys=project.keys)


def test_readers_never_see_a_run_half_way(project: Project) -> None:
    with ThreadPoolExecutor(1) as writer:
        runs = writer.submit(lambda: [project.run() for _ in range(4)])
        looked = 0
        while not runs.done() or not looked:
            assert minimize.read(project.out).num_rows == 40
            assert minimize.read(project.out, "per_model").num_rows > 0
            minimize.verify(project.out, keys=project.keys)
            looked += 1
        runs.result()


def test_a_failed_verification_raises_its_findings(project: Project) -> None:
    next(project.out.rglob("*.parquet")).unlink()
    with pytest.raises(VerificationError) as caught:
        minimize.verify(project.out, keys=project.keys)
    assert caught.value.exit_code == 1
    assert "V011" in {finding.code for finding in caught.value.findings}


def test_without_a_key_verify_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIMIZE_KEYS", raising=False)
    with pytest.raises(minimize.MinimizeError) as caught:
        minimize.verify(project.out)
    assert caught.value.exit_code == 2
