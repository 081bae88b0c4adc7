"""`minimize access token`: made once, listed without a secret, ended by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import Command
from tests.project import Project
from tests.world import access_file, assignment, write_configuration


@pytest.fixture(name="rules")
def _rules(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An access file, by which Rob makes tokens."""
    write_configuration(project.folder, access=access_file(assignment("role_administrator", "rob")))
    monkeypatch.setenv("MINIMIZE_ACTOR", "rob")
    return project.folder


def test_a_token_is_printed_once_and_listed_without_its_secret(rules: Path, command: Command) -> None:
    said = command("access", "token", "--user", "ann", "--for", "30m")
    text = said.out.strip()
    assert text.startswith("mzd_")
    assert "ann  issued" in said.err
    listed = command("access", "token", "list", "--json")
    (one,) = listed.json["tokens"]
    assert (one["token"], one["user"], one["state"], one["once"]) == (text.split("_")[1], "ann", "issued", False)
    assert text.split("_")[2] not in listed.out
    assert one["token"] in command("access", "token", "list").out


def test_for_machines_the_secret_stands_beside_what_is_listed(rules: Path, command: Command) -> None:
    said = command("access", "token", "--single-use", "--json").json
    assert said["secret"].split("_")[1] == said["token"]
    assert (said["user"], said["once"]) == ("rob", True)


def test_a_token_is_ended_by_its_name_once(rules: Path, command: Command) -> None:
    name = command("access", "token", "--json").json["token"]
    assert command("access", "token", "revoke", name, "--json").json == {"revoked": name}
    assert command("access", "token", "revoke", name).code == 2
    assert command("access", "token", "list", "--json").json["tokens"][0]["state"] == "revoked"


def test_who_may_not_make_tokens_gets_none(rules: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "ann")
    for words in (["--user", "rob"], ["list"], ["revoke", "0" * 16]):
        assert command("access", "token", *words).code == 3


def test_a_length_of_time_that_is_none_is_refused(rules: Path, command: Command) -> None:
    for length in ("soon", "91d", "0h"):
        assert command("access", "token", "--for", length).code == 2
