"""`minimize access`: what it prints and how it exits; and the verbs that ask the access file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from minimize.access.roles import BUILTIN_ROLES
from tests.commands import Command
from tests.project import enter, write_yaml
from tests.world import ASSIGNMENTS, World, access_file, assignment, write_configuration

PIPELINES = Path(__file__).parents[2] / "pipelines"
ASKED = ("device_telemetry", "--incident", "INC-7", "--reason", "no check-in", "--tenant", "north")


@pytest.fixture(autouse=True)
def _configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(tmp_path, monkeypatch)
    monkeypatch.setenv("MINIMIZE_ACTOR", "sam")
    views = {"device_telemetry": {"event_time": {"truncate_time": {"to": "day"}}}}
    roles = {"daily": {"copy": "analyst", "views": views}}
    assignments = [*access_file()["assignments"][1:], assignment("daily", "ann")]
    write_configuration(tmp_path, access=access_file(*assignments, roles=roles))
    shutil.copytree(PIPELINES / "device_telemetry", tmp_path / "device_telemetry")


@pytest.fixture(name="incident")
def _incident(command: Command) -> None:
    """An open support incident of the tenant."""
    words = ("--kind", "support", "--title", "No check-in", "--tenant", "north", "--evidence", "TICKET-1")
    assert command("incident", "open", "INC-7", *words).code == 0


@pytest.fixture(name="acting")
def _acting(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def act_as(monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", user)


@pytest.mark.usefixtures("incident")
def test_access_is_asked_for_approved_and_revoked(command: Command, acting: pytest.MonkeyPatch) -> None:
    asked = command("access", "request", *ASKED, "--field", "model", "--for", "2h", "--json").json
    assert (asked["state"], asked["columns"], asked["duration_s"]) == ("requested", ["model"], 7200)
    own = command("access", "approve", asked["grant"])
    assert (own.code, "U100" in own.err) == (3, True)
    act_as(acting, "pia")
    assert "active, until" in command("access", "approve", asked["grant"][:8], "--reason", "seen").out
    assert command("access", "list").out.count("active, until") == 1
    assert command("access", "revoke", asked["grant"]).code == 0
    assert command("access", "list").out == "no requests or grants\n"
    assert "revoked" in command("access", "list", "--all").out


def test_a_new_access_file_has_an_account_per_role_and_the_acting_account_as_operator(
    command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "new" / "access.yaml"
    made = command("access", "new", str(file), "--tenant", "contoso", "--json").json
    assert set(made["accounts"]) == set(BUILTIN_ROLES)
    assert made["accounts"]["tenant_administrator"] == ["tenant-administrator@example.com"]
    assert made["accounts"]["operator"] == ["operator@example.com", "sam"]
    assert file.stat().st_mode & 0o777 == 0o600
    shutil.copy(file, tmp_path / "access.yaml")
    assert command("access", "lint", str(file), "--fail-on", "warning").code == 0
    assert [command("access", "explain", "sam", name).code for name in ("output/expire", "subject/delete")] == [0, 3]


def test_an_existing_access_file_is_not_overwritten(command: Command, tmp_path: Path) -> None:
    before = (tmp_path / "access.yaml").read_bytes()
    refused = command("access", "new", str(tmp_path / "access.yaml"))
    assert (refused.code, "not overwritten" in refused.err) == (2, True)
    assert (tmp_path / "access.yaml").read_bytes() == before


@pytest.mark.usefixtures("incident")
def test_closing_the_incident_of_a_grant_ends_it(command: Command, acting: pytest.MonkeyPatch) -> None:
    refused = command("access", "request", *ASKED[:2], "INC-0", *ASKED[3:], "--field", "model")
    assert (refused.code, "U130" in refused.err) == (3, True)
    grant = command("access", "request", *ASKED, "--field", "model", "--json").json["grant"]
    act_as(acting, "pia")
    assert command("access", "approve", grant).code == 0
    assert command("incident", "close", "INC-7", "--reason", "it checks in").code == 0
    assert command("access", "list").out == "no requests or grants\n"
    assert command("access", "list", "--all", "--json").json["grants"][0]["state"] == "revoked"


def test_a_support_engineer_of_one_tenant_opens_incidents_of_this_tenant(
    command: Command, tmp_path: Path, acting: pytest.MonkeyPatch
) -> None:
    assignments = [assignment("support_engineer", "eve", tenants=["north"]), assignment("privacy_officer", "pia")]
    write_yaml(tmp_path / "access.yaml", access_file(*assignments))
    act_as(acting, "eve")
    words = ("incident", "open", "CASE", "--kind", "support", "--title", "x", "--evidence", "x", "--tenant")
    assert command(*words, "north", "--tenant", "south").code == 3
    assert command(*words, "north").code == 0


def test_an_incomplete_access_request_exits_with_2(command: Command) -> None:
    assert command("access", "request", *ASKED).code == 2
    assert command("access", "request", *ASKED, "--field", "model", "--for", "soon").code == 2
    assert command("access", "approve", "nothing").code == 2


def test_break_glass_is_listed_with_exit_1_until_it_is_reviewed(command: Command, acting: pytest.MonkeyPatch) -> None:
    taken = command("access", "request", *ASKED, "--category", "identified", "--break-glass", "--json").json
    assert (taken["state"], taken["review"]) == ("active", "due")
    listed = command("access", "list", "--at", "2099-01-01T00:00:00Z")
    assert (listed.code, "expired" in listed.out, "BREAK-GLASS, review overdue" in listed.out) == (1, True, True)
    act_as(acting, "pia")
    assert command("access", "list").code == 1
    assert command("access", "review", taken["grant"]).code == 0
    assert command("access", "list").code == 0


@pytest.mark.usefixtures("incident")
def test_an_account_without_grants_sees_none_of_others(command: Command, acting: pytest.MonkeyPatch) -> None:
    command("access", "request", *ASKED, "--field", "model")
    act_as(acting, "ann")
    assert command("access", "list").out == "no requests or grants\n"


@pytest.mark.usefixtures("incident")
def test_why_explains_a_decision_step_by_step(command: Command) -> None:
    said = command(
        "access",
        "explain",
        "ann",
        "device_telemetry",
        "--purpose",
        "customer_support",
        "--pipeline",
        "device_telemetry",
    )
    lines = said.out.splitlines()
    assert (said.code, lines[0], lines[-1].startswith("decision: allowed: tenant_id")) == (0, "account: ann", True)
    assert "event_time in a coarser form" in lines[-1]
    assert command("access", "request", *ASKED, "--field", "model").code == 0
    words = ("--purpose", "customer_support", "--incident", "INC-9", "--pipeline", "device_telemetry", "--json")
    denied = command("access", "explain", "sam", "device_telemetry", *words)
    assert (denied.code, denied.json["allowed"], denied.json["reasons"][0]["code"]) == (3, False, "U106")
    assert command("access", "explain", "ann", "elsewhere", "--pipeline", "device_telemetry").code == 2
    assert command("access", "explain", "ann", "device_telemetry").code == 2


def test_why_explains_acts_too(command: Command) -> None:
    may = command("access", "explain", "pia", "settings/set", "--tenant", "north")
    assert (may.code, may.out.splitlines()[-1]) == (0, "decision: allowed; tenants all")
    may_not = command("access", "explain", "ann", "settings/set")
    assert (may_not.code, may_not.out.splitlines()[-2:]) == (
        3,
        ["U100: no role of this account allows it", "decision: denied"],
    )


def test_show_prints_who_may_do_what(command: Command) -> None:
    said = command("access", "show").out
    assert "roles/assign" in said
    assert "daily: ann (tenants all; datasets all)" in said
    body = command("access", "show", "--json").json
    assert [each["members"] for each in body["roles"] if each["role"] == "support_engineer"] == [["@support"]]


def test_lint_reports_faults_and_exits_with_1(command: Command, tmp_path: Path) -> None:
    assert command("access", "lint").code == 0
    (tmp_path / "access.yaml").write_text("version: 1\nassignments: [{role: none, members: {users: [a]}}]\n")
    said = command("access", "lint")
    assert (said.code, "U003" in said.out) == (1, True)
    assert command("access", "list").code == 2


@pytest.mark.usefixtures("incident")
def test_expire_prints_how_many_grants_it_marked(command: Command) -> None:
    command("access", "request", *ASKED, "--field", "model")
    assert command("access", "mark-expired").out == "0 grants marked as expired\n"


VERBS = (
    ("settings", "set", "north", "location", "on"),
    ("settings", "export", "settings.csv"),
    ("consent", "withdraw", "north", "vendor", "sync"),
    ("consent", "mark-expired"),
    ("keys", "add", "test.keys", "device"),
    ("share", "recall", "issue"),
    ("share", "recall", "confirm", "vendor"),
    ("share", "send", "vendor", "sync", "--data", "rows.parquet", "--policy", "policy.yaml", "--to", "out.parquet"),
    ("subject", "view", "d-1"),
    ("subject", "export", "d-1", "--to", "taken"),
    ("events", "add", "north", "tenant_closed"),
    ("incident", "open", "INC-1", "--title", "x", "--since", "2026-11-24", "--exposed", "date:2026-11-24"),
    ("incident", "scope", "INC-1"),
    ("incident", "declare", "INC-1"),
    ("incident", "measure", "INC-1", "x"),
    ("incident", "open", "INC-1", "--kind", "support", "--title", "x", "--tenant", "north", "--evidence", "x"),
    ("incident", "reclassify", "INC-1", "--class", "security_incident", "--reason", "x"),
    ("incident", "mark-sent", "INC-1", "--tenant", "north"),
    ("incident", "send", "INC-1", "--outbox", "notices"),
    ("incident", "exempt", "INC-1", "north", "--agree"),
    ("incident", "close", "INC-1", "--class", "false_positive", "--reason", "x"),
    ("incident", "list"),
    ("incident", "show", "INC-1"),
    ("audit", "log"),
    ("audit", "verify"),
    ("audit", "export", "audit.ndjson"),
)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_verb_asks_the_access_file_and_exits_3(
    command: Command, acting: pytest.MonkeyPatch, verb: tuple[str, ...]
) -> None:
    act_as(acting, "nemo")
    said = command(*verb, "--json")
    assert (said.code, said.error["code"]) == (3, "E302")
    act_as(acting, "olga")
    entries = command("audit", "log", "--actor", "nemo", "--json").json["entries"]
    assert [(each["event"]["result"], each["event"]["component"]) for each in entries] == [("refused", "access")]


def test_an_account_with_the_permission_runs_the_command(command: Command, acting: pytest.MonkeyPatch) -> None:
    act_as(acting, "pia")
    assert command("settings", "set", "north", "location", "on").code == 0
    act_as(acting, "olga")
    assert command("audit", "log").code == 0
    assert command("settings", "set", "north", "location", "off").code == 3


def test_with_access_off_nothing_changes(command: Command, acting: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "minimize.yaml").write_text("access: off\nledger: ledger.db\nkeys: test.keys\n")
    act_as(acting, "nemo")
    assert command("settings", "set", "north", "location", "on").code == 0
    assert len(command("audit", "log", "--json").json["entries"]) == 1
    assert command("access", "list").code == 2


def test_a_file_is_adopted_by_who_may_assign(command: Command, acting: pytest.MonkeyPatch, tmp_path: Path) -> None:
    act_as(acting, "rob")
    shown = command("access", "adopt")
    assert (shown.code, "+ daily: ann" in shown.out, "Pass --yes to apply" in shown.out) == (0, True, True)
    assert command("access", "adopt", "--yes").out.endswith("adopted\n")
    assert command("access", "adopt").out == "nothing to do: the access file is already adopted\n"
    write_yaml(tmp_path / "access.yaml", access_file(assignment("role_administrator", "eve")))
    act_as(acting, "eve")
    assert command("access", "adopt", "--yes").code == 3
    assert "daily: ann" in command("access", "show").out


def test_an_adopted_file_is_in_force_without_its_line_in_the_configuration_and_from_another_folder(
    command: Command, acting: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    act_as(acting, "rob")
    assert command("access", "adopt", "--yes").code == 0
    act_as(acting, "ann")
    setting = ("settings", "set", "north", "location", "on")
    (tmp_path / "minimize.yaml").write_text("access: off\nledger: ledger.db\nkeys: test.keys\n")
    assert command(*setting).code == command("settings", "show").code == 3
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "minimize.yaml").write_text("keys: ../test.keys\n")
    acting.chdir(tmp_path / "elsewhere")
    refused = command(*setting, "--ledger", str(tmp_path / "ledger.db"))
    assert (refused.code, "U100" in refused.err) == (3, True)


@pytest.mark.usefixtures("incident")
def test_a_column_that_is_not_there_is_warned_of_and_asked_for_all_the_same(command: Command) -> None:
    said = command(
        "access", "request", *ASKED, "--field", "modell", "--field", "model", "--pipeline", "device_telemetry"
    )
    assert (said.code, said.err.count("has no column")) == (0, 1)
    assert "`device_telemetry` has no column `modell` (Did you mean `model`?)" in said.err
    assert "modell" in said.out


@pytest.mark.usefixtures("incident")
def test_where_the_pipeline_is_not_found_nothing_is_warned_of(command: Command) -> None:
    assert command("access", "request", *ASKED, "--field", "modell").err == ""


@pytest.mark.parametrize("spelling", ["Rob", "rob ", "\uff52ob"])
def test_a_role_administrator_does_not_adopt_a_second_role_for_another_spelling_of_the_account(
    world: World, spelling: str
) -> None:
    assert world.command("rob", "access", "adopt", "--yes").code == 0
    roles = (*ASSIGNMENTS, assignment("privacy_officer", spelling))
    write_yaml(world.folder / "access.yaml", access_file(*roles))
    assert world.command("rob", "access", "adopt", "--yes").code == 2
    assert "U210" in world.command("rob", "access", "lint").out
    assert world.command(spelling, "subject", "view", "d1", "--tenant", "north").code == 2


def test_a_role_counts_however_the_account_is_written(world: World) -> None:
    assert world.command(" PIA\u200b", "subject", "view", "d1", "--tenant", "north").code == 0
    (entry,) = world.command("olga", "audit", "log", "--operation", "subject/view", "--json").json["entries"]
    assert entry["event"]["actor"]["user"] == "pia"
    assert world.command("olga", "audit", "log", "--actor", "PIA", "--json").json["entries"]


def test_a_permission_that_is_misspelled_names_a_similar_one(command: Command) -> None:
    for words in ((), ("--pipeline", "device_telemetry")):
        refused = command("access", "explain", "ann", "settings/sett", *words)
        assert (refused.code, refused.out) == (2, "")
        assert "unknown permission `settings/sett` (hint: Did you mean `settings/set`?)" in refused.err
