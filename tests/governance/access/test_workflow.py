from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from minimize.access.entitlements import Grant
from minimize.checkpoints import at_checkpoint
from minimize.errors import AccessDenied, KeyringError, LedgerError, PolicyError
from minimize.governance.access_explain import recorded_grants
from minimize.governance.grants import GrantVerb, NewGrant, adopt_access, answer_grant, expire_grants, request_grant
from minimize.keys import new_keyring
from minimize.ledger import AuditActivity, Resource, current_actor
from minimize.ledger.acts import Decision
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter
from minimize.ledger.kinds import ACCESS_ADOPTION, AccessAdoption
from minimize.workspace import Workspace
from tests.governance.access.factory import HOUR, INCIDENT, NOW, SECOND
from tests.incidents import open_support
from tests.project import write_yaml
from tests.world import access_file, assignment

WISH = NewGrant(INCIDENT, "the device does not check in", "telemetry", ("north",), category="identified")
DAYS_4 = timedelta(days=4)


@pytest.fixture(autouse=True)
def _incident(home: Workspace) -> None:
    """The incident that requests name."""
    open_support(home, INCIDENT, NOW, "north", "south", "east")


@pytest.fixture(name="as_")
def _as(monkeypatch: pytest.MonkeyPatch, home: Workspace) -> Callable[..., Grant]:
    """Somebody answers a grant."""

    def answered(user: str, verb: GrantVerb, grant: Grant, at: datetime = NOW) -> Grant:
        monkeypatch.setenv("MINIMIZE_ACTOR", user)
        return answer_grant(verb, grant.id, home, at)

    return answered


@pytest.fixture(name="ask")
def _ask(monkeypatch: pytest.MonkeyPatch, home: Workspace) -> Callable[[], Grant]:
    """Sam asks."""

    def asked() -> Grant:
        monkeypatch.setenv("MINIMIZE_ACTOR", "sam")
        return request_grant(WISH, home, NOW)

    return asked


def events(home: Workspace) -> list[tuple[str, str]]:
    with home.open_ledger() as ledger:
        told = [json.loads(entry.event) for entry in find_entries(ledger, EntryFilter(activity="grant"))]
    return [(each["operation"], each["result"]) for each in told]


def refused(do: Callable[[], object]) -> list[str]:
    with pytest.raises(AccessDenied) as caught:
        do()
    assert caught.value.exit_code == 3
    assert caught.value.__context__ is None
    return [each.rule for each in caught.value.reasons]


def write(**more: Any) -> None:
    write_yaml(Path("access.yaml"), access_file(**more))


def test_a_request_is_open_for_four_days_and_records_its_role(home: Workspace) -> None:
    grant = request_grant(WISH, home, NOW)
    assert (grant.requester, grant.state(NOW)) == ("sam", "requested")
    assert grant.request.role == "support_engineer"
    assert grant.request.groups == ("support",)
    assert grant.request.duration == 8 * HOUR
    assert grant.state(NOW + DAYS_4 - SECOND) == "requested"
    assert grant.state(NOW + DAYS_4) == "expired"


def test_an_approval_opens_for_as_long_as_was_asked(home: Workspace, as_: Callable[..., Grant]) -> None:
    grant = as_("pia", "approve", request_grant(WISH, home, NOW), NOW + HOUR)
    assert (grant.state(NOW + HOUR), grant.approver(NOW + HOUR)) == ("active", "pia")
    assert grant.ends_at(NOW + HOUR) == NOW + 9 * HOUR
    assert [grant.state(NOW + 9 * HOUR - SECOND), grant.state(NOW + 9 * HOUR)] == ["active", "expired"]
    assert grant.state(NOW + HOUR - SECOND) == "requested"


def test_a_request_without_an_answer_in_time_cannot_be_approved(home: Workspace, as_: Callable[..., Grant]) -> None:
    grant = request_grant(WISH, home, NOW)
    assert refused(lambda: as_("pia", "approve", grant, NOW + DAYS_4)) == ["does_not_follow"]
    assert as_("pia", "approve", grant, NOW + DAYS_4 - SECOND).state(NOW + DAYS_4) == "active"


def test_denied_revoked_and_expired_are_different_ends(as_: Callable[..., Grant], ask: Callable[[], Grant]) -> None:
    denied = as_("pia", "deny", ask())
    revoked = as_("pia", "revoke", as_("pia", "approve", ask()), NOW + HOUR)
    expired = as_("pia", "approve", ask())
    later = NOW + 8 * HOUR
    assert [each.state(later) for each in (denied, revoked, expired)] == ["denied", "revoked", "expired"]


def test_a_requester_may_revoke_their_grant(home: Workspace, as_: Callable[..., Grant]) -> None:
    assert as_("sam", "revoke", request_grant(WISH, home, NOW)).state(NOW) == "revoked"


def test_an_account_without_a_role_in_the_request_cannot_revoke_it(home: Workspace, as_: Callable[..., Grant]) -> None:
    grant = request_grant(WISH, home, NOW)
    assert refused(lambda: as_("sue", "revoke", grant)) == ["nobody"]


@pytest.mark.parametrize("verb", ["approve", "deny"])
def test_accounts_cannot_answer_their_own_requests(home: Workspace, as_: Callable[..., Grant], verb: GrantVerb) -> None:
    grant = request_grant(WISH, home, NOW)
    assert refused(lambda: as_("sam", verb, grant)) == ["nobody"]


def test_a_second_account_of_the_same_person_approves_nothing(home: Workspace, as_: Callable[..., Grant]) -> None:
    write(people={"Pia": ["pia", "pia2"]})
    grant = request_grant(WISH, home, NOW)
    write(
        people={"Sam": ["sam", "samuel"]},
        assignments=[assignment("privacy_officer", "samuel"), assignment("analyst", "ann")],
    )
    assert refused(lambda: as_("samuel", "approve", grant)) == ["not_separate"]


def test_an_account_in_the_same_group_approves_nothing(home: Workspace, as_: Callable[..., Grant]) -> None:
    write(groups={"support": ["sam"], "site": ["sam", "pia"]})
    grant = request_grant(WISH, home, NOW)
    assert refused(lambda: as_("pia", "approve", grant)) == ["not_separate"]


def test_an_approver_approves_in_their_scope_and_up_to_their_category(
    home: Workspace, as_: Callable[..., Grant]
) -> None:
    officer = {"local": {"copy": "privacy_officer"}}
    support = assignment("support_engineer", "sam")
    write(roles=officer, assignments=[support, assignment("local", "pia", tenants=["south"])])
    grant = request_grant(WISH, home, NOW)
    assert refused(lambda: as_("pia", "approve", grant)) == ["out_of_scope"]
    assert refused(lambda: as_("olga", "approve", grant)) == ["nobody"]


def test_a_request_cannot_exceed_its_role(home: Workspace) -> None:
    assert refused(lambda: request_grant(replace(WISH, tenants=("east",)), home, NOW)) == ["out_of_scope"]
    assert refused(lambda: request_grant(replace(WISH, duration=25 * HOUR), home, NOW)) == ["too_long"]
    assert request_grant(replace(WISH, duration=24 * HOUR), home, NOW).request.duration == 24 * HOUR


def test_an_account_without_the_permission_cannot_request_a_grant(
    home: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "ann")
    assert refused(lambda: request_grant(WISH, home, NOW)) == ["nobody"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"incident": " "},
        {"justification": ""},
        {"dataset": ""},
        {"tenants": ()},
        {"tenants": ("",)},
        {"tenants": ("all",)},
        {"category": None},
        {"columns": ("device_id",)},
        {"columns": (), "category": None},
        {"duration": timedelta(0)},
        {"duration": timedelta(milliseconds=1500)},
    ],
)
def test_a_request_must_state_exactly_what_it_needs(home: Workspace, wrong: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match="incomplete or too broad"):
        request_grant(replace(WISH, **wrong), home, NOW)
    assert (recorded_grants(home).all_grants, events(home)) == ((), [])


def test_break_glass_is_active_immediately_for_a_short_time_and_is_reviewed(
    home: Workspace, as_: Callable[..., Grant]
) -> None:
    grant = request_grant(WISH, home, NOW, break_glass=True)
    assert (grant.state(NOW), grant.ends_at(NOW), grant.approver(NOW)) == ("active", NOW + HOUR, None)
    day = NOW + 24 * HOUR
    assert [grant.review(NOW), grant.review(day - SECOND), grant.review(day)] == ["due", "due", "overdue"]
    assert refused(lambda: as_("sam", "review", grant)) == ["nobody"]
    assert as_("pia", "review", grant, day).review(day) == "reviewed"
    assert refused(lambda: as_("pia", "review", grant, day)) == ["does_not_follow"]


def test_break_glass_is_not_for_long(home: Workspace) -> None:
    wish = replace(WISH, duration=HOUR + SECOND)
    assert refused(lambda: request_grant(wish, home, NOW, break_glass=True)) == ["too_long"]


def test_the_audit_log_has_every_act_and_every_refusal(home: Workspace, as_: Callable[..., Grant]) -> None:
    grant = request_grant(WISH, home, NOW)
    refused(lambda: as_("sam", "approve", grant))
    as_("pia", "approve", grant)
    as_("pia", "revoke", grant)
    refused(lambda: as_("pia", "deny", grant))
    assert events(home) == [
        ("request", "success"),
        ("approve", "refused"),
        ("approve", "success"),
        ("revoke", "success"),
        ("deny", "refused"),
    ]


def test_the_audit_log_has_no_justification(home: Workspace) -> None:
    request_grant(replace(WISH, justification="Alice from Zürich called"), home, NOW)
    with home.open_ledger() as ledger:
        assert not any("Alice" in entry.event for entry in find_entries(ledger, EntryFilter()))


def test_personal_data_in_a_justification_is_masked_before_it_is_stored(
    home: Workspace, as_: Callable[..., Grant]
) -> None:
    grant = request_grant(replace(WISH, justification="ann@example.com, +33 6 12 34 56 78"), home, NOW)
    assert grant.request.justification == "[email], [phone]"
    assert not any(b"ann@example.com" in file.read_bytes() for file in Path().glob("ledger.db*"))


def test_a_refused_request_is_logged_with_its_content(home: Workspace) -> None:
    refused(lambda: request_grant(replace(WISH, tenants=("east",)), home, NOW))
    with home.open_ledger() as ledger:
        (entry,) = find_entries(ledger, EntryFilter(result="refused"))
    (resource,) = json.loads(entry.event)["resources"]
    said = {each["name"]: each["new"] for each in resource["changed_properties"]}
    assert (said["incident"], said["dataset"], said["tenants"], said["reasons"]) == (
        INCIDENT,
        "telemetry",
        "east",
        "U102",
    )


def test_an_expired_grant_is_marked_once(home: Workspace, as_: Callable[..., Grant], ask: Callable[[], Grant]) -> None:
    waiting = ask()
    over = as_("pia", "approve", ask())
    assert [each.id for each in expire_grants(home, NOW + 8 * HOUR).grants] == [over.id]
    assert [each.id for each in expire_grants(home, NOW + DAYS_4).grants] == [waiting.id]
    assert expire_grants(home, NOW + DAYS_4).grants == ()
    assert [each.state(NOW + DAYS_4) for each in recorded_grants(home).all_grants] == ["expired", "expired"]
    assert [each for each in events(home) if each[0] == "expire"] == [("expire", "success")] * 2


def test_a_grant_is_named_by_the_start_of_its_name(home: Workspace, as_: Callable[..., Grant]) -> None:
    grant = request_grant(WISH, home, NOW)
    assert answer_grant("revoke", grant.id[:8], home, NOW).id == grant.id
    for name in ("", "nothing"):
        with pytest.raises(PolicyError, match="there is no grant"):
            answer_grant("revoke", name, home, NOW)


def test_without_an_access_file_there_are_no_grants(home: Workspace) -> None:
    Path("minimize.yaml").write_text("ledger: ledger.db\n")
    with pytest.raises(PolicyError, match="no access file"):
        request_grant(WISH, replace(home), NOW)


def test_grants_are_signed(home: Workspace) -> None:
    with pytest.raises(KeyringError):
        request_grant(WISH, Workspace(), NOW)


def test_an_approver_approves_for_each_tenant_up_to_what_they_may_for_that_tenant(
    home: Workspace, as_: Callable[..., Grant]
) -> None:
    """Who may approve everything of one tenant, and a little of another, opens no more than that little of the other."""
    roles = {
        "wide": {"copy": "privacy_officer"},
        "narrow": {"copy": "privacy_officer", "deny": ["grant/approve:pseudonymized"]},
        "shut": {"copy": "privacy_officer", "deny": ["grant/approve:aggregated"]},
    }
    support = assignment("support_engineer", "sam")
    two = [assignment("wide", "pia", tenants=["south", "north"]), assignment("narrow", "pia", tenants=["north"])]
    write(
        roles=roles,
        assignments=[support, *two, assignment("wide", "otto"), assignment("shut", "otto", tenants=["north"])],
    )
    named = replace(WISH, columns=("phone_number",), category=None)
    grant = request_grant(named, home, NOW)
    assert refused(lambda: as_("otto", "approve", grant)) == ["out_of_scope"]
    assert as_("pia", "approve", grant).category_limit(NOW) == "aggregated"


def test_an_account_with_an_unreviewed_break_glass_grant_gets_no_further_one(
    home: Workspace, as_: Callable[..., Grant]
) -> None:
    first = request_grant(WISH, home, NOW, break_glass=True)
    assert request_grant(WISH, home, NOW + HOUR, break_glass=True).is_break_glass
    late = NOW + 24 * HOUR
    assert refused(lambda: request_grant(WISH, home, late, break_glass=True)) == ["unreviewed"]
    assert request_grant(WISH, home, late).state(late) == "requested"
    as_("pia", "review", first, late)


def test_a_refused_duration_names_the_longest_permitted_one(home: Workspace) -> None:
    with pytest.raises(AccessDenied, match=r"at most 24h"):
        request_grant(replace(WISH, duration=25 * HOUR), home, NOW)


def test_a_denial_names_the_role_of_the_denier(as_: Callable[..., Grant], ask: Callable[[], Grant]) -> None:
    denied = as_("pia", "deny", ask())
    last = denied.acts[-1]
    assert denied.denial_text(last.recorded_at).startswith("the request was denied by the role privacy_officer at 20")


def says(*more: dict[str, Any], **changes: Any) -> None:
    """The access file with some more assignments."""
    body = access_file(**changes)
    write_yaml(Path("access.yaml"), {**body, "assignments": [*body["assignments"], *more]})


@pytest.fixture(name="rob")
def _rob(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The role administrator acts, who has adopted the file."""
    monkeypatch.setenv("MINIMIZE_ACTOR", "rob")
    adopt_access(home, NOW, yes=True)
    return home


def rules(home: Workspace) -> list[str]:
    with pytest.raises(AccessDenied) as caught:
        adopt_access(home, NOW, yes=True)
    return [each.rule for each in caught.value.reasons]


def results(home: Workspace) -> list[tuple[str, str]]:
    with home.open_ledger() as ledger:
        told = [json.loads(entry.event) for entry in find_entries(ledger, EntryFilter(operation="roles/assign"))]
    return [(each["actor"]["user"], each["result"]) for each in told]


def test_until_a_file_is_adopted_it_counts_as_it_is(home: Workspace) -> None:
    says(assignment("operator", "ops"))
    found = home.access
    assert found is not None
    assert [each.members.users for each in found.assignments][-1] == ("ops",)


def test_a_change_counts_once_it_is_adopted(rob: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    says(assignment("operator", "ops"))
    monkeypatch.setenv("MINIMIZE_ACTOR", "ops")
    with pytest.raises(AccessDenied):
        rob.require("settings/set", tenant="north")
    monkeypatch.setenv("MINIMIZE_ACTOR", "rob")
    assert adopt_access(rob, NOW + HOUR, yes=True).added == ("operator: ops (tenants all; datasets all)",)
    monkeypatch.setenv("MINIMIZE_ACTOR", "ops")
    assert replace(rob, clock=lambda: NOW + HOUR).require("settings/set", tenant="north") is not None


def test_without_yes_the_change_is_shown_and_not_applied(rob: Workspace) -> None:
    roles = {"daily": {"copy": "analyst", "views": {"telemetry": {"event_time": {"truncate_time": {"to": "day"}}}}}}
    says(roles=roles, groups={"support": ["sam"]})
    change = adopt_access(rob, NOW)
    assert (change.is_needed, len(change.added), change.removed) == (True, 1, ())
    assert "truncate_time" in change.added[0].replace("TruncateTime", "truncate_time")
    assert "daily" not in rob.required_access.roles


def test_only_an_account_that_assigns_roles_adopts_the_access_file_and_attempts_are_logged(
    rob: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(assignment("role_administrator", "eve"), assignment("operator", "ops"))
    for user in ("eve", "pia", "nemo"):
        monkeypatch.setenv("MINIMIZE_ACTOR", user)
        assert rules(rob)[0] == "nobody"
    assert results(rob) == [("rob", "success"), ("eve", "refused"), ("pia", "refused"), ("nemo", "refused")]
    assert adopt_access(rob, NOW).is_needed


def test_the_first_is_adopted_by_whom_it_names(home: Workspace) -> None:
    assert rules(home) == ["nobody"]


def test_accounts_cannot_give_themselves_a_role_or_more_permissions(rob: Workspace) -> None:
    more = {"more": {"copy": "role_administrator", "allow": ["settings/set"]}}
    says(assignment("more", "rob"), roles=more)
    assert rules(rob) == ["not_separate"]
    says(assignment("more", "robert"), roles=more, people={"Rob": ["rob", "robert"]})
    assert rules(rob) == ["not_separate"]
    says()
    assert not adopt_access(rob, NOW).is_needed


def test_a_person_does_not_end_a_denial_of_their_own(rob: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    roles = {"limited": {"copy": "role_administrator", "deny": ["token/make"]}}
    ria = assignment("role_administrator", "ria")
    says(ria)
    adopt_access(rob, NOW, yes=True)
    monkeypatch.setenv("MINIMIZE_ACTOR", "ria")
    says(ria, assignment("limited", "rob"), roles=roles)
    adopt_access(rob, NOW, yes=True)
    says(ria, roles=roles)
    monkeypatch.setenv("MINIMIZE_ACTOR", "rob")
    assert rules(rob) == ["not_separate"]
    monkeypatch.setenv("MINIMIZE_ACTOR", "ria")
    assert adopt_access(rob, NOW, yes=True).adopted


def test_an_adopted_access_file_is_not_adopted_twice(rob: Workspace) -> None:
    assert not adopt_access(rob, NOW, yes=True).is_needed
    assert results(rob) == [("rob", "success")]


def test_the_second_of_two_concurrent_adoptions_is_refused(rob: Workspace) -> None:
    passed = list[str]()

    def adopts_another(name: str) -> None:
        passed.append(name)
        if len(passed) == 1:
            says(assignment("operator", "another"))
            adopt_access(rob, NOW, yes=True)

    says(assignment("operator", "ops"))
    with (
        at_checkpoint("ledger.record", adopts_another),
        pytest.raises(LedgerError, match="another file was adopted in the meantime"),
    ):
        adopt_access(rob, NOW, yes=True)
    assert not adopt_access(rob, NOW).is_needed
    assert len(results(rob)) == 2


def test_a_file_with_faults_is_not_adopted(rob: Workspace) -> None:
    Path("access.yaml").write_text("version: 1\nassignments: [{role: nobody}]\n")
    with pytest.raises(PolicyError):
        adopt_access(rob, NOW, yes=True)


def test_an_adoption_signed_with_another_key_does_not_count(rob: Workspace, tmp_path: Path) -> None:
    stranger = new_keyring(tmp_path / "other.keys", now=NOW)
    with pytest.raises(LedgerError, match="not signed"):
        _ = Workspace(keys=stranger).access


def adopted_by_an_earlier_version(home: Workspace, rules: Mapping[str, Any]) -> None:
    """An adoption that was recorded when each spelling was an account of its own."""
    content = json.dumps(rules)
    with home.open_ledger(create=True) as ledger:
        act = ACCESS_ADOPTION.act(AccessAdoption(content, "rob", NOW))
        event = AuditActivity("test", "access", "access").event(
            "adopt", current_actor(), NOW, Resource("access", "file", "x")
        )
        ledger.record(lambda _: Decision(None, [act], [event]), home.keyring())


def test_an_adopted_file_with_two_spellings_is_replaced_by_a_corrected_one(rob: Workspace) -> None:
    file = rob.folder / "access.yaml"
    rules = json.loads(file.read_text())
    twice = assignment("operator", "ops"), assignment("analyst", "Ops")
    adopted_by_an_earlier_version(rob, {**rules, "assignments": [*rules["assignments"], *twice]})
    with pytest.raises(PolicyError, match="Write an account in one way") as caught:
        rob.require("run/read")
    assert "access adopt --yes" in str(caught.value.hint)
    assert "U210" in {each.code for each in caught.value.findings}
    assert adopt_access(rob, NOW + HOUR, yes=True).adopted
    assert rob.access is not None


def test_only_an_account_of_the_adopted_file_replaces_it(rob: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    file = rob.folder / "access.yaml"
    rules = json.loads(file.read_text())
    adopted_by_an_earlier_version(rob, {**rules, "assignments": [*rules["assignments"], assignment("operator", "Rob")]})
    write_yaml(file, {**rules, "assignments": [*rules["assignments"], assignment("role_administrator", "mel")]})
    monkeypatch.setenv("MINIMIZE_ACTOR", "mel")
    with pytest.raises(AccessDenied):
        adopt_access(rob, NOW + HOUR, yes=True)
