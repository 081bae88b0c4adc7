"""The script that the schedules call: every step of a night, with options that there are, and the exit code that counts."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from minimize.cli import access, audit, consent, retention, run, share
from tests.governance.sharing.sender import Sender

SCRIPT = Path(__file__).parents[1] / "docs" / "schedules" / "nightly.sh"
STEPS = {
    "run": run.run_command,
    "expire": retention.expire_command,
    "retract": retention.retract_command,
    "consent mark-expired": consent.consent_group,
    "access mark-expired": access.access_group,
    "share recall issue": share.share_group,
    "audit truncate": audit.audit_group,
    "verify": run.verify_command,
}


def ran(folder: Path, body: str, *places: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script, with something else in the place of minimize."""
    fake = folder / "minimize"
    fake.write_text(f"#!/bin/sh\n{body}\n")
    fake.chmod(0o755)
    given = {**os.environ, "MINIMIZE": str(fake), **environment}
    asked = places or ("pipelines/a", "out/a")
    return subprocess.run(["sh", SCRIPT, *asked], cwd=folder, env=given, capture_output=True, text=True, check=False)


def test_it_does_each_step_with_options_that_there_are(tmp_path: Path) -> None:
    done = ran(tmp_path, 'echo "$@"', QUIET="1")
    assert done.returncode == 0
    calls = done.stdout.splitlines()
    assert [next(step for step in STEPS if call.startswith(step)) for call in calls] == list(STEPS)
    for call, (step, command) in zip(calls, STEPS.items(), strict=True):
        said = CliRunner().invoke(command, [*step.split()[1:], "--help"]).output
        assert all(word in said for word in shlex.split(call) if word.startswith("--"))


def test_it_passes_quiet_only_if_requested(tmp_path: Path) -> None:
    assert "--quiet" not in ran(tmp_path, 'echo "$@"').stdout
    assert ran(tmp_path, 'echo "$@"', QUIET="1").stdout.count("--quiet") == len(STEPS)


@pytest.mark.parametrize("more", [{}, {"QUIET": "1"}], ids=["", "quiet"])
def test_a_feed_of_deleted_users_is_imported_before_anything_is_removed(tmp_path: Path, more: dict[str, str]) -> None:
    done = ran(tmp_path, 'echo "$@"', DELETED="deleted.csv", **more)
    first, second, *_ = done.stdout.splitlines()
    assert first.startswith("events import deleted.csv --linked")
    assert second.startswith("run ")
    said = CliRunner().invoke(retention.events_group, ["import", "--help"]).output
    assert all(word in said for word in shlex.split(first) if word.startswith("--"))
    assert "events import" not in ran(tmp_path, 'echo "$@"').stdout


def test_several_pipelines_are_run_first_and_verified_last(tmp_path: Path) -> None:
    said = ran(tmp_path, 'echo "$1 $2"', "pipelines/a", "out/a", "pipelines/b", "out/b").stdout.splitlines()
    one, other = ([f"run pipelines/{name}", f"expire out/{name}", f"retract out/{name}"] for name in "ab")
    assert said[:6] == [*one, *other]
    assert said[-2:] == ["verify out/a", "verify out/b"]


def test_the_feed_is_for_every_pipeline_also_if_a_name_has_a_space(tmp_path: Path) -> None:
    done = ran(tmp_path, 'printf "<%s>" "$@"; echo', "p a", "out/a", "p b", "out/b", DELETED="gone.csv")
    first = done.stdout.splitlines()[0]
    assert first == "<events><import><gone.csv><--linked><--pipeline><p a><--pipeline><p b>"


@pytest.mark.parametrize("quiet", ["", "1"])
def test_a_step_that_fails_is_named_and_the_others_are_done(tmp_path: Path, quiet: str) -> None:
    done = ran(tmp_path, '[ "$1 $2" != "consent mark-expired" ] || exit 3', QUIET=quiet)
    (named,) = done.stderr.splitlines()
    assert named == f"nightly.sh: exit code 3 from: {tmp_path}/minimize consent mark-expired"
    assert done.returncode == 3
    assert ran(tmp_path, "exit 0", QUIET=quiet).stderr == ""


@pytest.mark.parametrize("places", [("pipelines/a",), ("pipelines/a", "out/a", "pipelines/b")])
def test_a_pipeline_without_its_output_is_refused(tmp_path: Path, places: tuple[str, ...]) -> None:
    done = ran(tmp_path, 'echo "$@"', *places)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage" in done.stderr


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ({"access": 3}, 3),
        ({"run": 4}, 4),
        ({"run": 4, "verify": 1}, 1),
        ({"run": 1, "consent": 3}, 3),
        ({"run": 2, "consent": 3, "verify": 1}, 2),
        ({"expire": 137}, 137),
    ],
)
def test_it_continues_after_a_failed_step_and_exits_with_the_decisive_code(
    tmp_path: Path, codes: dict[str, int], code: int
) -> None:
    cases = " ".join(f"{word}) exit {each} ;;" for word, each in codes.items())
    done = ran(tmp_path, f'echo "$1"; case $1 in {cases} esac')
    assert done.returncode == code
    assert done.stdout.split() == [step.split()[0] for step in STEPS]


@pytest.mark.slow
def test_an_organization_that_shares_can_do_it_twice_on_one_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shop = Sender(tmp_path).agree("north")
    shop.share()
    (tmp_path / "recipients").mkdir()
    (tmp_path / "minimize.yaml").write_text("access: off\n")
    here = str(Path(__file__).parents[1])
    places = {"MINIMIZE_KEYS": str(shop.keys.path), "MINIMIZE_LEDGER": str(shop.ledger), "PYTHONPATH": here}
    organization_wide = f'case $1 in run|expire|retract|verify) exit 0 ;; esac; exec {sys.executable} -m minimize "$@"'
    for _ in range(2):
        done = ran(tmp_path, organization_wide, RECALLS="lists", **places)
        assert (done.returncode, done.stderr) == (0, "")
        subprocess.run(["sleep", "1.1"], check=True)  # a list is named after its second
    lists = [json.loads(path.read_text()) for path in (tmp_path / "lists").glob("*.json")]
    assert [type(each) for each in lists] == [list, list]
