"""A target that cannot be written, from the start or from the middle of a run: old or new, and readable all the while."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.errors import MinimizeError
from tests.commands import command
from tests.faults.child import Fault, ended
from tests.faults.small_disk import read_only
from tests.faults.versions import Versions
from tests.project import enter, events, new_project

pytestmark = pytest.mark.slow

OBEYS = Fault(obeys_modes=True)


@pytest.mark.parametrize(
    "name",
    [
        ".",
        "runs",
        "records",
        "records/date=2026-11-24",
        "per_model",
        "per_model/date=2026-11-24",
        "quarantine",
        "ledger.db",
    ],
)
def test_where_modes_forbid_it_nothing_is_lost(versions: Versions, out: Path, tmp_path: Path, name: str) -> None:
    path = out / name
    mode = path.stat().st_mode & 0o777
    path.chmod(mode & ~0o222)
    found = ended(versions.command(out), tmp_path / "said", OBEYS)
    path.chmod(mode)
    assert "Traceback" not in found.said
    if found.code != 0:
        assert (found.code, found.said.count("error E20"), "hint" in found.said) == (2, 1, True)
    assert versions.settled(out) == (versions.new if found.code == 0 or "E208" in found.said else versions.old)
    versions.becomes_new(out)


@pytest.fixture(name="mounts")
def _mounts() -> Iterator[ExitStack]:
    """Mounts that end with the test. Skips where none can be made; in CI it fails then."""
    if os.geteuid() != 0:
        if os.environ.get("CI", "").lower() in ("true", "1"):
            pytest.fail("in CI a folder can be mounted")
        pytest.skip("a read-only mount wants somebody who may make one (root)")
    with ExitStack() as stack:
        yield stack


def told(act: Callable[[], object]) -> MinimizeError:
    with pytest.raises(MinimizeError) as raised:
        act()
    assert raised.value.hint
    assert raised.value.__context__ is None
    assert "EROFS" in raised.value.message
    return raised.value


def test_a_read_only_file_system_is_reported_and_the_output_stays_readable(
    versions: Versions, out: Path, tmp_path: Path, mounts: ExitStack
) -> None:
    ledger = (out / "ledger.db").rename(tmp_path / "ledger.db")
    mounts.enter_context(read_only(out))
    assert told(lambda: versions.run(out, ledger)).code == "E205"
    assert versions.settled(out, ledger) == versions.old
    mounts.close()
    versions.becomes_new(out, ledger)


def test_a_ledger_on_a_read_only_file_system_is_reported(
    versions: Versions, out: Path, tmp_path: Path, mounts: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts.enter_context(read_only(out))
    with pytest.raises(MinimizeError) as raised:
        versions.run(out)
    assert (raised.value.code, bool(raised.value.hint)) == ("E206", True)
    with monkeypatch.context() as patch:
        patch.setenv(
            "MINIMIZE_LEDGER", str(tmp_path / "none.db")
        )  # others know the runs of other copies of this output
        minimize.verify(out, keys=versions.project.keys)
    assert len(minimize.read(out)) > 0
    mounts.close()
    versions.becomes_new(out)


def test_one_that_becomes_read_only_in_mid_run_keeps_the_old(
    versions: Versions, out: Path, tmp_path: Path, mounts: ExitStack
) -> None:
    ledger = (out / "ledger.db").rename(tmp_path / "ledger.db")

    with at_checkpoint("run.written", lambda *_: turns_read_only(out, mounts)):
        assert told(lambda: versions.run(out, ledger)).code == "E205"
    mounts.close()
    assert versions.settled(out, ledger) == versions.old
    versions.becomes_new(out, ledger)


def test_one_that_becomes_read_only_once_it_is_decided_gets_the_new_later(
    versions: Versions, out: Path, tmp_path: Path, mounts: ExitStack
) -> None:
    ledger = (out / "ledger.db").rename(tmp_path / "ledger.db")
    with at_checkpoint("intent.after", lambda *_: turns_read_only(out, mounts)):
        assert told(lambda: versions.run(out, ledger)).code == "E208"
    assert told(lambda: minimize.read(out)).code in ("E205", "E208")
    mounts.close()
    assert versions.settled(out, ledger) == versions.new


def turns_read_only(out: Path, mounts: ExitStack) -> None:
    subprocess.run(["sync", "-f", str(out)], check=True)
    mounts.enter_context(read_only(out))


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize("kind", ["delete", "restrict"])
def test_a_request_continues_with_the_outputs_that_can_be_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    enter(tmp_path, monkeypatch)
    project = new_project(tmp_path, lasting=True)
    ledger, other = tmp_path / "organization.db", tmp_path / "other"
    project.pipeline(aggregates=None)
    project.records(events(40))
    project.run(ledger=ledger)
    project.run(ledger=ledger, output=other)
    words = ["subject", kind, "d3", "--tenant", "north", "--pipeline", project.folder, "--also", other, "--yes"]
    words += ["--keys", project.keys, "--ledger", ledger, "--log-format", "json"]
    with ExitStack() as mounted:
        mounted.enter_context(read_only(other))
        said = command(*words)
        assert (said.code, "E205" in said.err, f"{other} could not be changed" in said.err) == (2, True, True)
        assert '"W062"' in said.err
        left = {place: len(minimize.read(place)) for place in (project.out, other)}
    assert left[other] == 40
    assert left[project.out] < 40, "the output that can be changed has no record of the subject"
    assert command(*words).code == 0
    assert len(minimize.read(other)) == left[project.out]
