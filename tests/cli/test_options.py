"""`--quiet`: nothing is printed if all is well; everything if not."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from minimize.cli import access, audit, consent, retention, run, settings, share
from minimize.cli.startup import configure_log, exit_status
from minimize.cli.verb import verb
from tests.commands import Command
from tests.project import Project, events


@pytest.fixture(name="lasting")
def _lasting(tmp_path: Path) -> Project:
    from tests.project import new_project

    project = new_project(tmp_path, lasting=True)
    project.records(events(40))
    return project


COMMANDS = {
    "run": run.run_command,
    "receive": run.receive_command,
    "replay": run.replay_command,
    "backfill": run.backfill_command,
    "expire": retention.expire_command,
    "retract": retention.retract_command,
    "events import": retention.import_events_command,
    "settings import": settings.import_command,
    "verify": run.verify_command,
    "consent expire": consent.expire_command,
    "share send": share.send_command,
    "share recall request": share.request_recalls_command,
    "share recall list": share.list_recalls_command,
    "access expire": access.expire_command,
    "audit truncate": audit.truncate_command,
    "audit verify": audit.verify_command,
}


@pytest.mark.parametrize("words", COMMANDS)
def test_each_command_that_a_scheduler_calls_has_it(words: str) -> None:
    assert "--quiet" in CliRunner().invoke(COMMANDS[words], ["--help"]).output


def test_a_night_that_went_well_prints_nothing(
    lasting: Project, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lasting.folder)
    places = ["--keys", lasting.keys, "--ledger", lasting.folder / "ledger.db", "--quiet"]
    night = [
        ["run", lasting.folder, "--pending", *places],
        ["run", lasting.folder, "--pending", *places],
        ["expire", lasting.out, "--pipeline", lasting.folder, "--yes", *places],
        ["retract", lasting.out, "--received", "--yes", *places],
        ["verify", lasting.out, *places],
        ["consent", "expire", *places],
        ["access", "expire", *places],
        ["audit", "truncate", "--yes", *places],
    ]
    assert [(said.code, said.out, said.err) for said in (command(*words) for words in night)] == [(0, "", "")] * len(
        night
    )


def test_what_failed_is_printed(lasting: Project, command: Command) -> None:
    lasting.run(at=None)
    next((lasting.out / "records").rglob("*.parquet")).unlink()
    said = command("verify", lasting.out, "--keys", lasting.keys, "--quiet")
    assert said.code == 1
    assert "V011" in said.out
    assert "not verified" in said.out


def test_an_error_is_printed(lasting: Project, command: Command) -> None:
    said = command("run", lasting.folder, "--keys", lasting.folder / "none.keys", "--quiet")
    assert said.code == 2
    assert "E" in said.err


@pytest.mark.parametrize(("code", "printed"), [(0, False), (99, False), (4, True), (1, True)])
def test_output_and_log_are_held_back_until_the_exit_code_is_known(
    code: int, printed: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    import logging

    @verb("works", quiet=True)
    def works() -> None:
        click.echo("done")
        logging.getLogger("minimize").warning("careful")
        raise click.exceptions.Exit(code)

    configure_log("text", verbose=False)
    with exit_status() as status:
        status.set_result(works.main(["--quiet"], standalone_mode=False, obj=status))
    assert status.code == code
    said = capfd.readouterr()
    assert ("done" in said.out, "careful" in said.err) == (printed, printed)
