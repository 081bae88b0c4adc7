"""Options that many commands share: `--quiet`, times and dates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from minimize.cli import access, audit, consent, retention, run, settings, share
from minimize.cli.main import COMMANDS as COMMAND_NAMES
from minimize.cli.main import load_command
from minimize.cli.options import TimeParameter
from minimize.cli.startup import configure_log, exit_status
from minimize.cli.verb import verb
from minimize.errors import ConfigurationError
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


def test_quiet_mode_still_prints_failures(lasting: Project, command: Command) -> None:
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


def params(command: click.Command) -> Iterator[click.Parameter]:
    """Those of a command, and of all below it."""
    yield from command.params
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from params(each)


EVERY = [param for verb in COMMAND_NAMES for param in params(load_command(verb))]


def test_every_option_for_a_time_or_a_date_parses_it_as_one() -> None:
    told = [each for each in EVERY if isinstance(each, click.Option)]
    times = [each for each in told if each.metavar == "D" or "ISO 8601" in (each.help or "")]
    assert len(times) > 20
    assert {each.opts[0] for each in times if not isinstance(each.type, TimeParameter)} == set()


def test_an_invalid_time_is_reported_with_its_option() -> None:
    times = [each for each in EVERY if isinstance(each.type, TimeParameter)]
    assert {each.opts[0] for each in times} >= {"--at", "--date", "--since", "--until", "--known-at", "--run-at"}
    for each in times:
        word = each.opts[0] if isinstance(each, click.Option) else each.human_readable_name
        with pytest.raises(ConfigurationError, match=rf"^{word} is not a (time|date) "):
            each.type.convert("soon", each, None)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", ".", "--date", "2026-11-31"), "--date is not a date: November 2026 has 30 days"),
        (("run", ".", "--since", "24.11.2026"), "--since is not a date"),
        (("run", ".", "--at", "2026-11-25T00:00:00"), "--at has no time zone"),
        (("settings", "why", "north", "location", "noon"), "AT is not a time"),
        (("settings", "why", "north", "location", "2026-11-24", "--run-at", "noon"), "--run-at is not a time"),
        (("audit", "log", "--until", "noon"), "--until is not a time"),
        (("access", "token", "--for", "long"), "--for is not a duration"),
    ],
)
def test_the_message_names_the_option(project: Project, command: Command, words: tuple[str, ...], told: str) -> None:
    said = command(*words)
    assert (said.code, said.err.startswith(f"error E200: {told} (hint: ")) == (2, True)


def test_the_library_names_the_argument_where_there_are_several(project: Project) -> None:
    import minimize

    with pytest.raises(ConfigurationError, match=r"^until is not a date "):
        minimize.run(project.folder, since="2026-11-24", until="never")
