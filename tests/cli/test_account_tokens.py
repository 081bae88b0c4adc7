"""`minimize access token`: made once, listed without a secret, ended by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine

from tests.commands import Command, Result
from tests.project import Project
from tests.world import NOW, access_file, assignment, vendor_file, write_configuration


@pytest.fixture(name="rules")
def _rules(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An access file, by which Rob requests tokens."""
    roles = {"token_clerk": {"allow": ["token/make"]}}
    rules = access_file(
        assignment("role_administrator", "rob"),
        assignment("analyst", "ann"),
        assignment("tenant_administrator", "tess", tenants=["north"]),
        assignment("operator", "otto"),
        assignment("auditor", "olga"),
        assignment("token_clerk", "cleo"),
        roles=roles,
    )
    write_configuration(project.folder, access=rules)
    monkeypatch.setenv("MINIMIZE_ACTOR", "rob")
    return project.folder


@pytest.fixture(name="as_account")
def _as_account(command: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def run(account: str, *words: str) -> Result:
        monkeypatch.setenv("MINIMIZE_ACTOR", account)
        return command(*words)

    return run


def test_a_token_is_printed_once_and_listed_without_its_secret(
    rules: Path, command: Command, as_account: Callable[..., Result]
) -> None:
    said = as_account("ann", "access", "token", "--for", "30m")
    text = said.out.strip()
    assert text.startswith("mzd_")
    assert "ann  issued" in said.err
    listed = as_account("rob", "access", "token", "list", "--json")
    (one,) = listed.json["tokens"]
    assert (one["token"], one["user"], one["state"], one["once"]) == (text.split("_")[1], "ann", "issued", False)
    assert text.split("_")[2] not in listed.out
    assert one["token"] in command("access", "token", "list").out


def test_a_token_for_another_account_is_a_request_without_a_secret(rules: Path, command: Command) -> None:
    said = command("access", "token", "--actor", "ann", "--json")
    assert (said.code, said.json["state"], "secret" in said.json) == (0, "requested", False)
    assert "mzd_" not in said.out + said.err


def test_the_account_makes_the_token_that_was_requested_for_it(
    rules: Path, command: Command, as_account: Callable[..., Result]
) -> None:
    name = command("access", "token", "--actor", "ann", "--for", "30m", "--json").json["token"]
    said = as_account("ann", "access", "token", "confirm", name)
    assert said.out.startswith(f"mzd_{name}_")
    assert as_account("ann", "access", "token", "confirm", name).code == 2
    (listed,) = as_account("rob", "access", "token", "list", "--json").json["tokens"]
    assert (listed["user"], listed["state"]) == ("ann", "issued")


@pytest.mark.parametrize(("account", "code"), [("rob", "U212"), ("ROB ", "U212"), ("otto", "U100"), ("cleo", None)])
def test_a_token_request_is_confirmed_only_by_another_person_with_the_permission(
    rules: Path, command: Command, as_account: Callable[..., Result], account: str, code: str | None
) -> None:
    name = command("access", "token", "--actor", "ann", "--json").json["token"]
    said = as_account(account, "access", "token", "confirm", name, "--json")
    assert said.code == (0 if code is None else 3)
    assert code is None or code in said.err
    assert ("mzd_" in said.out) == (code is None)


def test_a_token_of_an_account_with_conflicting_roles_is_shown_to_its_owner_only(
    rules: Path, command: Command, as_account: Callable[..., Result]
) -> None:
    name = as_account("cleo", "access", "token", "--actor", "tess", "--json").json["token"]
    said = as_account("rob", "access", "token", "confirm", name, "--json")
    assert ("U213" in said.err, "U212" in said.err) == (True, False)
    refused = as_account("tess", "access", "token", "confirm", name)
    assert refused.out.startswith(f"mzd_{name}_")


def test_a_request_is_confirmed_within_four_days(
    rules: Path, command: Command, as_account: Callable[..., Result]
) -> None:
    with time_machine.travel(NOW, tick=False):
        name = command("access", "token", "--actor", "ann", "--json").json["token"]
    with time_machine.travel(NOW + timedelta(days=4), tick=False):
        assert as_account("ann", "access", "token", "confirm", name).code == 2
        assert as_account("rob", "access", "token", "list", "--json").json["tokens"][0]["state"] == "expired"
    with time_machine.travel(NOW + timedelta(days=3), tick=False):
        assert as_account("ann", "access", "token", "confirm", name).code == 0


def test_a_revoked_request_cannot_be_confirmed(
    rules: Path, command: Command, as_account: Callable[..., Result]
) -> None:
    name = command("access", "token", "--actor", "ann", "--json").json["token"]
    assert command("access", "token", "revoke", name).code == 0
    assert as_account("ann", "access", "token", "confirm", name).code == 2


def test_without_access_rules_only_the_account_confirms(
    project: Project, command: Command, as_account: Callable[..., Result]
) -> None:
    write_configuration(project.folder)
    name = as_account("rob", "access", "token", "--actor", "ann", "--json").json["token"]
    assert as_account("eve", "access", "token", "confirm", name).code == 3
    assert as_account("ann", "access", "token", "confirm", name).code == 0


def test_each_step_of_a_token_is_in_the_audit_log(
    rules: Path, command: Command, as_account: Callable[..., Result]
) -> None:
    name = command("access", "token", "--actor", "ann", "--json").json["token"]
    as_account("rob", "access", "token", "confirm", name)
    as_account("ann", "access", "token", "confirm", name)
    entries = as_account("olga", "audit", "log", "--activity", "token", "--json").json["entries"]
    events = [each["event"] for each in entries]
    steps = [(each["actor"]["user"], each["operation"], each["result"]) for each in events]
    assert steps == [("rob", "request", "success"), ("rob", "confirm", "refused"), ("ann", "confirm", "success")]


@pytest.mark.parametrize("requester", ["tess", "rob"])
def test_only_a_token_that_another_person_requested_shows_what_a_tenant_decided(
    rules: Path, monkeypatch: pytest.MonkeyPatch, as_account: Callable[..., Result], requester: str
) -> None:
    write_configuration(rules, access=json.loads((rules / "access.yaml").read_text()), vendor=vendor_file())
    made = as_account(requester, "access", "token", "--actor", "tess", "--json").json
    if requester == "rob":
        made = as_account("tess", "access", "token", "confirm", made["token"], "--json").json
    monkeypatch.setenv("MINIMIZE_TOKEN", made["secret"])
    given = as_account("tess", "consent", "give", "north", "vendor", "sync", "--json")
    assert given.code == (3 if requester == "tess" else 0)
    assert ("U214" in given.err) == (requester == "tess")


def test_json_output_of_a_new_token_includes_its_secret(rules: Path, command: Command) -> None:
    said = command("access", "token", "--single-use", "--json").json
    assert said["secret"].split("_")[1] == said["token"]
    assert (said["user"], said["once"]) == ("rob", True)


def test_a_token_is_ended_by_its_name_once(rules: Path, command: Command) -> None:
    name = command("access", "token", "--json").json["token"]
    assert command("access", "token", "revoke", name, "--json").json == {"revoked": name}
    assert command("access", "token", "revoke", name).code == 2
    assert command("access", "token", "list", "--json").json["tokens"][0]["state"] == "revoked"


def test_an_account_without_the_permission_gets_no_token(
    rules: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "eve")
    for words in ([], ["--actor", "rob"], ["list"], ["revoke", "0" * 16]):
        assert command("access", "token", *words).code == 3


def test_a_length_of_time_that_is_none_is_refused(rules: Path, command: Command) -> None:
    for length in ("soon", "91d", "0h"):
        assert command("access", "token", "--for", length).code == 2
