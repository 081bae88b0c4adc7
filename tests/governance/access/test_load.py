from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from minimize.access.entitlements import views_of_column
from minimize.access.model import GrantRules, access_from_mapping, examine_access, find_access_file, load_access
from minimize.access.permissions import PERMISSIONS
from minimize.access.roles import BUILTIN_ROLES
from minimize.errors import PolicyError
from minimize.interop.convert import file_schema
from tests.governance.access.factory import HOUR, access_of
from tests.world import access_file, assignment

FULL = """\
version: 1
people: {Pia: [pia, pia-admin]}
groups:
  support: [sam, sue]
  insights: external
roles:
  fleet_analyst:
    copy: analyst
    about: sees days
    deny: [dataset/read:identified]
    views: {device_telemetry: {event_time: {truncate_time: {to: day}}, model: presence}}
assignments:
  - {role: fleet_analyst, members: {groups: [insights]}, scope: {tenants: all, datasets: [device_telemetry]}}
  - {role: support_engineer, members: {groups: [support]}, scope: {tenants: [contoso], datasets: all}}
  - {role: privacy_officer, members: {users: [pia]}, scope: {tenants: all, datasets: all, purposes: [operations]}}
conflicts: [[fleet_analyst, operator]]
grants: {default: 4h, maximum: 12h, unanswered: 2d, break_glass: {maximum: 30m, review_within: 12h}}
"""
FAULTY = """\
version: 2
groups: {support: sam}
roles:
  analyst: {copy: analyst}
  mine: {copy: analyst, allow: [dataset/fly, dataset/read, roles/assign], views: {d: {c: {pseudonymize: {key: k}}}}}
  lost: {allow: []}
assignments:
  - {role: analist, members: {users: [ann]}, scope: {tenants: all, datasets: all}}
  - {role: analyst, members: {groups: [nowhere]}, scope: {tenants: all}}
  - {role: analyst, members: {}, scope: {tenants: [], datasets: all}}
grants: {default: 8h, maximum: 4h, unanswered: 5d}
extra: 1
"""


def codes(text: str, folder: Path) -> list[tuple[str, int | None]]:
    file = folder / "access.yaml"
    file.write_text(text)
    return [(each.code, each.line) for each in examine_access(file)[1]]


def test_an_access_file_is_loaded_with_its_types(tmp_path: Path) -> None:
    file = tmp_path / "access.yaml"
    file.write_text(FULL)
    found = load_access(file)
    assert found.groups == {"support": ("sam", "sue"), "insights": None}
    assert found.person("pia-admin") == "Pia"
    assert (found.grants.default, found.grants.maximum) == (4 * HOUR, 12 * HOUR)
    assert found.grants.break_glass.maximum == HOUR / 2
    assert [str(each.scope.tenants) for each in found.assignments] == ["all", "contoso", "all"]
    assert list(found.roles["fleet_analyst"].views["device_telemetry"]) == ["event_time", "model"]
    assert found.digest.startswith("sha256:")


def test_all_faults_are_reported_together_with_their_lines(tmp_path: Path) -> None:
    found = codes(FAULTY, tmp_path)
    assert sorted(found, key=lambda one: (one[1] or 0, one[0])) == [
        ("P006", 1),
        ("P006", 2),
        ("U004", 4),
        ("U001", 5),
        ("U002", 5),
        ("U006", 5),
        ("U006", 5),
        ("U009", 5),
        ("U003", 8),
        ("P005", 9),
        ("U005", 9),
        ("P006", 10),
        ("U011", 10),
        ("U010", 11),
        ("U010", 11),
        ("P004", 12),
    ]


@pytest.mark.parametrize(
    ("role", "code"),
    [
        ({"copy": "support_engineer", "allow": ["dataset/read:aggregated"]}, "U006"),
        ({"copy": "operator", "allow": ["subject/correct"]}, "U006"),
        ({"copy": "auditor", "allow": ["settings/set"]}, "U006"),
        ({"copy": "privacy_officer", "allow": ["grant/request"]}, "U006"),
        ({"copy": "analyst", "allow": ["roles/assign"]}, "U006"),
        ({"copy": "mine"}, "U013"),
        ({"copy": "nobody"}, "U003"),
        ({"allow": ["roles/assign"]}, "U006"),
        ({"allow": ["grant/request", "grant/approve"]}, "U006"),
        ({"copy": "analyst", "views": {"d": {"c": "tokenize"}}}, "P013"),
        ({"copy": "analyst", "views": {"d": {"c": {"shift_dates": {"key": "k", "per": "t", "max_days": 3}}}}}, "U009"),
        ({"copy": "analyst", "views": {"d": "presence"}}, "P006"),
        ({"copy": "analyst", "allow": "dataset/read:identified"}, "P006"),
    ],
)
def test_a_copied_role_has_no_permission_beyond_its_base(role: dict[str, Any], code: str) -> None:
    with pytest.raises(PolicyError) as caught:
        access_of(roles={"mine": role})
    assert code in [each.code for each in caught.value.findings]


def test_no_role_but_the_administrators_assigns_and_support_reads_nothing() -> None:
    assert [name for name, role in BUILTIN_ROLES.items() if role.has("roles/assign")] == ["role_administrator"]
    assert not BUILTIN_ROLES["support_engineer"].has("dataset/read")
    assert [each for each in BUILTIN_ROLES["auditor"].allow if each.writes] == []
    assert {each.name for role in BUILTIN_ROLES.values() for each in role.allow} == set(PERMISSIONS) - {"run/override"}


@pytest.mark.parametrize(
    "pair",
    [
        ("support_engineer", "privacy_officer"),
        ("role_administrator", "privacy_officer"),
        ("role_administrator", "support_engineer"),
        ("role_administrator", "analyst"),
        ("auditor", "operator"),
        ("auditor", "support_engineer"),
        ("auditor", "privacy_officer"),
        ("auditor", "role_administrator"),
    ],
)
def test_conflicting_roles_in_one_person_are_refused(pair: tuple[str, str]) -> None:
    for extra in ({}, {"people": {"Ann": ["ann", "ann2"]}}):
        with pytest.raises(PolicyError) as caught:
            access_of(assignment(pair[0], "ann"), assignment(pair[1], "ann2" if extra else "ann"), **extra)
        assert [each.code for each in caught.value.findings] == ["U007"]


STAFF = ("analyst", "operator", "privacy_officer", "auditor", "application_manager")


@pytest.mark.parametrize("role", STAFF)
@pytest.mark.parametrize("of_tenant", ["tenant_administrator", "school_administrator"])
def test_no_person_has_a_role_of_the_operator_and_one_of_a_tenant(role: str, of_tenant: str) -> None:
    for more in ({}, {"people": {"Ann": ["ann", "ann2"]}}, {"groups": {"support": [], "admins": ["ann2"]}}):
        other = assignment(role, groups=("admins",)) if "groups" in more else assignment(role, "ann2")
        with pytest.raises(PolicyError) as caught:
            access_of(assignment(of_tenant, "ann" if "people" in more else "ann2", tenants=["north"]), other, **more)
        assert [each.code for each in caught.value.findings] == ["U007"]


def test_a_copy_of_a_tenant_role_and_the_role_are_of_one_side() -> None:
    roles = {"our_admin": {"copy": "tenant_administrator", "allow": ["subject/view"]}}
    members = [assignment(role, "tess", tenants=["north"]) for role in ("our_admin", "school_administrator")]
    assert access_of(*members, roles=roles).assignments
    with pytest.raises(PolicyError):
        access_of(*members, assignment("analyst", "tess", tenants=["north"]), roles=roles)


def test_no_role_of_a_tenant_confirms_a_consent_by_document() -> None:
    with pytest.raises(PolicyError) as caught:
        access_of(roles={"mine": {"copy": "tenant_administrator", "allow": ["consent/confirm"]}})
    assert [each.code for each in caught.value.findings] == ["U006"]


def test_a_configuration_adds_conflicts_of_its_own() -> None:
    access_of(assignment("analyst", "ann"), assignment("operator", "ann"))
    with pytest.raises(PolicyError):
        access_of(assignment("analyst", "ann"), assignment("operator", "ann"), conflicts=[["operator", "analyst"]])


def test_an_account_is_of_one_person() -> None:
    with pytest.raises(PolicyError) as caught:
        access_of(people={"Ann": ["ann"], "Bea": ["ann"]})
    assert [each.code for each in caught.value.findings] == ["U008"]


def test_without_a_word_about_grants_they_last_as_everywhere() -> None:
    rules = GrantRules()
    assert (rules.default, rules.unanswered) == (8 * HOUR, 96 * HOUR)
    assert access_from_mapping({"version": 1}).grants == rules


def test_the_file_is_found_through_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_access_file() is None
    (tmp_path / "minimize.yaml").write_text("access: rules/access.yaml\n")
    with pytest.raises(PolicyError, match="does not exist"):
        find_access_file()
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "access.yaml").write_text("version: 1\n")
    (tmp_path / "below").mkdir()
    assert find_access_file(tmp_path / "below") == tmp_path / "rules" / "access.yaml"
    (tmp_path / "minimize.yaml").write_text("access: {file: rules/access.yaml, encrypt: by_category}\n")
    assert find_access_file() == tmp_path / "rules" / "access.yaml"
    (tmp_path / "minimize.yaml").write_text("access: {encrypt: by_category}\n")
    assert find_access_file() is None
    (tmp_path / "minimize.yaml").write_text("access: [a, b]\n")
    with pytest.raises(PolicyError, match="cannot be read"):
        find_access_file()


def test_the_schema_takes_what_the_loader_takes() -> None:
    from minimize.forms.yaml_nodes import FaultList, parse_yaml

    root = parse_yaml(FULL, FaultList())
    assert root is not None
    plain = json.loads(json.dumps(root.to_data()))
    jsonschema.Draft202012Validator.check_schema(file_schema("access"))
    jsonschema.validate(plain, file_schema("access"))
    for wrong in ({"version": 2}, {"version": 1, "extra": 1}, access_file(roles={"a": {"copy": 7}})):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, file_schema("access"))


def test_the_configuration_may_require_encryption_and_name_the_access_file(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("version: 1\n")
    (tmp_path / "minimize.yaml").write_text("access: {file: rules.yaml, encrypt: by_category}\n")
    assert find_access_file(tmp_path) == tmp_path / "rules.yaml"


def test_a_configuration_that_only_demands_encryption_names_no_file(tmp_path: Path) -> None:
    (tmp_path / "minimize.yaml").write_text("access: {encrypt: by_category}\n")
    assert find_access_file(tmp_path) is None


def test_a_fault_of_a_custom_role_names_its_line_and_a_remedy(tmp_path: Path) -> None:
    file = tmp_path / "access.yaml"
    file.write_text(
        "version: 1\nroles:\n  clerk:\n    allow: [grant/request]\n  lead: {copy: clerk, allow: [grant/approve]}\n"
    )
    (fault,) = examine_access(file)[1]
    assert (fault.code, fault.line, fault.field) == ("U006", 5, "lead")
    assert "combines `grant/request` and `grant/approve`" in fault.message
    assert fault.hint == "Divide them between two roles."


def test_a_copy_of_a_custom_role_has_its_permissions_denials_and_views() -> None:
    roles = {
        "second": {"copy": "first", "allow": ["settings/read"]},
        "first": {"copy": "analyst", "deny": ["dataset/read:identified"], "views": {"d": {"c": "presence"}}},
    }
    found = access_of(roles=roles).roles["second"]
    assert [str(each) for each in found.allow] == ["dataset/read:pseudonymized", "settings/read"]
    assert [str(each) for each in found.deny] == ["dataset/read:identified"]
    assert len(views_of_column(found, "d", "c")) == 1


@pytest.mark.parametrize("role", ["tenant_administrator", "school_administrator", "mine"])
def test_a_role_of_a_tenants_staff_needs_named_tenants(role: str) -> None:
    roles = {"mine": {"copy": "tenant_administrator"}}
    assert access_of(assignment(role, "tess", tenants=["north"]), roles=roles).assignments
    with pytest.raises(PolicyError) as caught:
        access_of(assignment(role, "tess"), roles=roles)
    assert [each.code for each in caught.value.findings] == ["U012"]


def test_a_role_that_sets_every_setting_sets_those_of_administrators() -> None:
    assert BUILTIN_ROLES["operator"].has("settings/set_admin")
    assert not BUILTIN_ROLES["tenant_administrator"].has("settings/set")
