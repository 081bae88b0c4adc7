"""`minimize settings`: what it prints and how it exits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Command, Said
from tests.job.house import LASTING, House, events


@pytest.fixture(autouse=True)
def _ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, house: House) -> None:
    monkeypatch.setenv("MINIMIZE_LEDGER", str(tmp_path / "ledger.db"))
    monkeypatch.setenv("MINIMIZE_KEYS", str(house.keys))
    house.pipeline(aggregates=None, settings="ledger")


def said(command: Command, house: House, verb: str, *words: object) -> Said:
    return command("settings", verb, *words, "--pipeline", house.folder)


def test_a_setting_is_set_and_shown(house: House, command: Command) -> None:
    first = said(command, house, "set", "north", "location", "on", "--from", "2026-11-01T00:00:00Z")
    assert (first.code, first.out) == (0, "location of north, held by admin: on (before: nothing)\n")
    assert said(command, house, "show").out == "north  location  on  admin  2026-11-01T00:00:00Z\n"


def test_a_subject_is_not_printed(house: House, command: Command) -> None:
    done = said(command, house, "set", "north", "location", "off", "--subject", "d4711", "--holder", "user")
    assert done.out == "location of a subject of north, held by user: off (before: nothing)\n"
    assert "d4711" not in said(command, house, "show", "--json").out


def test_why_tells_the_rows_that_decide(house: House, command: Command) -> None:
    said(command, house, "set", "north", "location", "on", "--from", "2026-11-01T00:00:00Z")
    run = ("--run-at", "2099-01-01T00:00:00Z")
    yes = said(command, house, "why", "north", "location", "2026-11-24T10:00:00Z", *run)
    assert yes.out.startswith("location of north: collected")
    assert "when it happened, 2026-11-24T10:00:00Z: on\n  on by admin: valid from 2026-11-01T00:00:00Z" in yes.out
    no = said(command, house, "why", "north", "location", "2026-10-24T10:00:00Z", *run)
    assert "when it happened, 2026-10-24T10:00:00Z: off: nobody said anything\n" in no.out
    assert (
        said(command, house, "why", "north", "location", "2026-10-24T10:00:00Z", *run, "--json").json["collected"]
        is False
    )


def test_a_word_that_the_policy_does_not_know_exits_2(house: House, command: Command) -> None:
    wrong = said(command, house, "set", "north", "locatoin", "on")
    assert wrong.code == 2
    assert "it has location" in wrong.err


def test_a_run_follows_the_ledger(house: House, command: Command) -> None:
    house.policy(**LASTING)
    house.brings(events(40))
    said(command, house, "set", "north", "location", "on", "--from", "2026-01-01T00:00:00Z")
    ran = command("run", house.folder, "--output", house.out)
    assert ran.code == 0
    assert said(command, house, "export", house.folder / "out.csv").code == 0


def test_a_run_without_a_ledger_says_where_it_looked(house: House, command: Command, tmp_path: Path) -> None:
    house.brings(events(4))
    ran = command("run", house.folder, "--output", house.out)
    assert ran.code == 2
    assert str(tmp_path / "ledger.db") in ran.err


def test_rows_come_in_from_a_file(house: House, command: Command) -> None:
    done = said(command, house, "import", house.folder / "settings.csv", "--json")
    assert done.json == {"file": str(house.folder / "settings.csv"), "new": 1}


def test_a_replay_asks_the_ledger_as_the_run_did(house: House, command: Command, tmp_path: Path) -> None:
    house.policy(**LASTING)
    house.pipeline(aggregates=None)
    file = house.brings([*events(40), "broken"])
    said(command, house, "set", "north", "location", "on", "--from", "2026-01-01T00:00:00Z")
    assert command("run", house.folder, "--output", house.out, "--settings", "ledger").code == 0
    done = command("replay", house.out, "--pipeline", house.folder, "--ledger", tmp_path / "ledger.db")
    assert (done.code, file.exists()) == (0, True)
    assert "0 of 1 quarantined records pass now" in done.out


def test_without_a_policy_an_answer_says_that_none_was_asked(house: House, command: Command) -> None:
    house.policy(features={"location": {"about": "position", "holders": ["user"]}})
    words = ("north", "location", "2026-11-24T10:00:00Z", "--subject", "d1")
    since = ("--from", "2026-11-01", "--subject", "d1", "--holder", "user")
    said(command, house, "set", "north", "location", "on", *since)
    asked, alone = said(command, house, "why", *words), command("settings", "why", *words)
    assert asked.out.startswith("location of north: collected")
    assert not asked.err
    assert alone.out.startswith("location of north: not collected")
    assert "no policy was asked who may turn it on" in alone.err


def test_why_tells_that_nobody_said_anything_of_the_tenant(house: House, command: Command) -> None:
    said(command, house, "set", "north", "location", "on")
    words = ("location", "2026-11-24T10:00:00Z")
    why = said(command, house, "why", "norht", *words)
    told = "no tenant norht is named by the settings of the ledger: did you mean north?"
    assert (why.code, why.out.splitlines()[1]) == (0, told)
    assert said(command, house, "why", "norht", *words, "--json").json["tenant_known"] is False
    assert "is named by" not in said(command, house, "why", "north", *words).out


def test_the_file_that_was_asked_is_named_without_detours(
    house: House, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINIMIZE_LEDGER")
    (house.folder / "beside").mkdir()
    house.pipeline(settings="beside/../settings.csv")
    why = said(command, house, "why", "north", "location", "2026-11-24T10:00:00Z")
    assert f"(settings: {house.folder / 'settings.csv'})" in why.out


def test_a_tenant_cannot_make_lines_of_its_own(house: House, command: Command) -> None:
    done = said(command, house, "set", "a\nnorth  location  on", "location", "off")
    assert len(done.out.splitlines()) == 1
    assert len(said(command, house, "show").out.splitlines()) == 1
