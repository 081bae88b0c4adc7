from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minimize.arrow.pointers import Pointer
from minimize.errors import Finding
from minimize.linting import lint, policies_in_tree
from minimize.linting.fields import treatment_residual
from minimize.policy.load import load_policy, policy_from_mapping
from minimize.policy.model import Policy

LintOf = Callable[..., list[Finding]]

FIELDS = """\
retention: 30d
time: w
fields:
  w: {type: timestamp, do: {truncate_time: {to: day}}}
  kept: {type: string, do: keep}
  dropped: {type: boolean}
  device: {type: string, role: identifier, do: drop}
  password: {type: string, role: secret, do: drop}
  support: {type: integer, do: keep, purposes: [customer_support]}
  seen: {type: timestamp, do: {truncate_time: {to: day}}}
  hidden: {type: timestamp}
"""


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("{kept: a}", []),
        ("{dropped: true}", [("L051", "warning")]),
        ("{device: a}", [("L050", "error")]),
        ("{any: [{kept: a}, {password: [a, b]}]}", [("L050", "error")]),
        ("{support: 1}", []),
        ("{seen: {within: 7d}}", []),
        ("{hidden: {within: 7d}}", [("L051", "warning")]),
        ("{seen: {within: 7d, of: hidden}}", [("L051", "warning")]),
        ("{kept: 1}", [("L052", "warning")]),
        ("{support: '1'}", [("L052", "warning")]),
        ("{support: true}", [("L052", "warning")]),
        ("{dropped: 'true'}", [("L051", "warning"), ("L052", "warning")]),
    ],
)
@pytest.mark.parametrize("place", ["do: keep, collect_if: {}", "cases: [{{if: {}, do: keep}}]"])
def test_the_field_of_a_condition_is_judged(
    lint_of: LintOf, condition: str, found: list[tuple[str, str]], place: str
) -> None:
    text = FIELDS + f"  f: {{type: string, {place.format(condition)}}}\n"
    assert [(f.code, f.severity) for f in lint_of(text) if f.field == "f"] == found


def test_a_field_that_this_purpose_drops_is_not_held(pipeline_lint_of: LintOf) -> None:
    found = pipeline_lint_of("", FIELDS + "  f: {type: string, do: keep, collect_if: {support: 1}}\n")
    assert [(f.code, f.field) for f in found] == [("L051", "f")]


def test_conditions_of_whole_records_are_judged(lint_of: LintOf, pipeline_lint_of: LintOf) -> None:
    assert [(f.code, f.line) for f in lint_of("records: {collect_if: {dropped: true}}\n" + FIELDS)] == [("L051", 4)]
    found = pipeline_lint_of("records: {collect_if: {device: a}}\n", FIELDS)
    assert [(f.code, f.line, (f.file or "").endswith("pipeline.yaml")) for f in found] == [("L050", 6, True)]


def codes(found: list[Finding], key: str = "f") -> list[tuple[str, str]]:
    return [(finding.code, finding.severity) for finding in found if finding.field == key]


def one(lint_of: LintOf, field: str) -> list[tuple[str, str]]:
    head = "tenant: tenant_id\nfields:\n  tenant_id: {type: string, do: keep}\n  os: {type: string, do: keep}\n"
    return codes(lint_of(f"{head}  f: {field}\n"))


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("{type: string, role: quasi, do: keep}", [("L001", "warning")]),
        ("{type: string, role: quasi, cases: [{if: {os: a}, do: keep}]}", [("L001", "warning")]),
        ("{type: string, role: quasi, do: {truncate_version: {parts: 1}}}", []),
        ("{type: string, role: free_text, do: keep}", [("L002", "error")]),
        ("{type: string, role: free_text, do: {redact: {patterns: [email]}}}", [("L003", "warning")]),
        ("{type: string, role: free_text, do: presence}", []),
        ("{type: string, role: identifier, do: keep}", [("L004", "warning")]),
        ("{type: string, role: identifier, do: {mask: {keep_last: 4}}}", [("L005", "warning")]),
        ("{type: string, role: identifier, do: {tokenize: {key: k, per: tenant_id}}}", [("L005", "warning")]),
        ("{type: string, role: identifier, do: {pseudonymize: {key: k, per: tenant_id}}}", []),
        ("{type: string, role: identifier, do: drop}", []),
        ("{type: string, role: sensitive, do: keep}", [("L006", "warning")]),
        ("{type: string, role: plain, do: keep}", []),
        ("{type: string, do: {pseudonymize: {key: k}}}", [("L010", "warning")]),
        ("{type: string, do: {pseudonymize: {key: k, per: os}}}", [("L011", "warning")]),
        ("{type: string, do: {tokenize: {key: k, per: os}}}", [("L011", "warning")]),
    ],
)
def test_a_kept_field_is_judged_by_its_role(lint_of: LintOf, field: str, found: list[tuple[str, str]]) -> None:
    assert one(lint_of, field) == found


def test_a_field_that_keeps_its_inputs_is_judged_by_their_roles(lint_of: LintOf) -> None:
    found = lint_of("fields:\n  lat: {type: double, role: quasi, do: drop}\n  f: {from: [lat], do: keep}\n")
    assert codes(found) == [("L001", "warning")]


def test_a_finding_has_the_line_of_its_field_and_a_hint(lint_of: LintOf) -> None:
    finding = next(
        f for f in lint_of("fields:\n  a: {type: string}\n  f: {type: string, role: quasi, do: keep}\n") if f.field
    )
    assert (finding.line, finding.field) == (6, "f")
    assert (finding.file or "").endswith("policy.yaml")
    assert finding.hint


def test_a_personal_name_with_a_plain_role_is_reported(lint_of: LintOf) -> None:
    found = lint_of("fields:\n  phoneNumber: {type: string, do: keep}\n  imei: {type: string, do: drop}\n")
    assert [(f.code, f.field, f.hint) for f in found if f.field] == [("L007", "phoneNumber", "Set `role: identifier`.")]


@pytest.mark.parametrize(
    "name", ["clientId", "app_install_id", "user_hash", "profile_group_id", "idfa", "android_id", "sessionToken"]
)
def test_an_identifier_of_telemetry_with_no_role_is_reported(lint_of: LintOf, name: str) -> None:
    found = lint_of(f"fields:\n  {name}: {{type: string, do: keep}}\n")
    assert [(f.code, f.field) for f in found if f.field] == [("L007", name)]


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("{type: string, do: keep}", [("L008", "warning")]),
        ("{type: string, do: {mask: {keep_last: 4}}}", [("L008", "warning")]),
        ("{type: string, role: plain, do: keep}", []),
        ("{type: string, do: drop}", []),
        ("{type: string, do: presence}", []),
    ],
)
def test_values_that_identify_are_reported_unless_the_role_is_stated(
    lint_of: LintOf, field: str, found: list[tuple[str, str]]
) -> None:
    values = {Pointer.parse("f"): "UUIDs"}
    assert codes(lint_of(f"fields:\n  f: {field}\n", values=values)) == found


LEVELS = (
    "tenant: tenant_id\nlevels: [required, basic, full, verbose]\nfields:\n  tenant_id: {type: string, do: keep}\n"
    "  os: {type: string, do: keep}\n"
)


@pytest.mark.parametrize(
    "field",
    [
        "contact_name: {type: string, do: keep}",
        "serverIp: {type: string, role: quasi, level: basic, do: keep}",
        "user_principal_name: {type: string, role: identifier, do: keep}",
        "/owner/email: {type: string, role: identifier, level: basic, cases: [{if: {os: a}, do: keep}]}",
        "postal_address: {type: string, role: sensitive, do: keep}",
        "address: {type: string, do: keep}",
        "who: {from: [site_name], do: keep}\n  site_name: {type: string, role: quasi, do: drop}",
    ],
)
def test_names_and_addresses_are_not_kept_below_the_level_full(lint_of: LintOf, field: str) -> None:
    found = [each for each in lint_of(f"{LEVELS}  {field}\n") if each.code == "L009"]
    assert [(each.severity, each.field) for each in found] == [("error", field.partition(":")[0])]


@pytest.mark.parametrize(
    "field",
    [
        "contact_name: {type: string, role: identifier, level: full, do: keep}",
        "contact_name: {type: string, role: identifier, level: verbose, do: keep}",
        "contact_name: {type: string, role: identifier, do: {pseudonymize: {key: k, per: tenant_id}}}",
        "contact_name: {type: string, role: identifier, do: drop}",
        "server_ip: {type: string, role: quasi, do: {truncate_ip: {v4: 24, v6: 48}}}",
        "server_name: {type: string, role: plain, do: keep}",
        "email_verified: {type: boolean, do: keep}",
        "app_name: {type: string, do: keep}",
        "mac_address: {type: string, role: identifier, do: keep}",
        "phone_number: {type: string, role: identifier, do: keep}",
    ],
)
def test_a_treated_or_impersonal_field_may_be_below_the_level_full(lint_of: LintOf, field: str) -> None:
    assert "L009" not in [each.code for each in lint_of(f"{LEVELS}  {field}\n")]


def test_a_policy_without_the_level_full_is_not_judged_by_it(lint_of: LintOf) -> None:
    for levels in ("", "levels: [required, basic]\n", "levels: [required, full]\nrecords: {level: full}\n"):
        text = f"tenant: tenant_id\n{levels}fields:\n  tenant_id: {{type: string, do: keep}}\n"
        found = lint_of(text + "  contact_name: {type: string, role: identifier, do: keep}\n")
        assert "L009" not in [each.code for each in found], levels


def test_e_mail_addresses_are_known_by_their_values_too(lint_of: LintOf) -> None:
    text = f"{LEVELS}  f: {{type: string, role: quasi, do: keep}}\n"
    found = lint_of(text, contacts={Pointer.parse("f"): "an e-mail address"})
    assert ("L009", "error") in codes(found)


def test_a_pseudonym_scope_in_a_policy_without_a_tenant_is_reported(lint_of: LintOf) -> None:
    found = lint_of(
        "fields:\n  os: {type: string, do: keep}\n  f: {type: string, do: {pseudonymize: {key: k, per: os}}}\n"
    )
    assert codes(found) == [("L011", "warning")]


def test_a_chain_leaves_the_least_that_any_step_leaves() -> None:
    fields = {
        "f": {"type": "string", "do": ["keep", {"mask": {"keep_last": 4}}]},
        "g": {"type": "string", "do": "drop"},
    }
    policy = policy_from_mapping({"policy": "p", "version": 1, "purposes": ["operations"], "fields": fields})
    assert [treatment_residual(field.do) for field in policy.fields.values()] == ["guessable", "coarse"]


PATH_FIELDS = "fields:\n  osVersion: {type: string, do: keep}\n  /apps/*/name: {type: string, do: keep}\n"


def told(found: list[Finding]) -> list[tuple[str, str | None, str]]:
    return [(finding.code, finding.field, finding.hint) for finding in found if finding.code.startswith("L02")]


def policy(name: str, **field: Any) -> Policy:
    fields = {"f": {"type": "string", **field}, "owner": {"type": "string", "do": "keep"}}
    return policy_from_mapping(
        {"policy": name, "version": 1, "purposes": ["operations"], "retention": "30d", "fields": fields}
    )


def test_paths_that_the_source_has_are_fine(lint_of: LintOf) -> None:
    assert told(lint_of(PATH_FIELDS, columns=["osVersion", "/apps/*/name", "/else"])) == []


def test_a_container_exists_if_it_has_elements(lint_of: LintOf) -> None:
    text = "fields:\n  apps: {type: list, do: size}\n"
    assert told(lint_of(text, columns=["/apps/*/name"])) == []


@pytest.mark.parametrize("column", ["OSVersion", "os_version", "os-version", "osversion"])
def test_a_case_typo_is_an_error_with_the_right_spelling(lint_of: LintOf, column: str) -> None:
    found = told(lint_of(PATH_FIELDS, columns=[column, "/apps/*/name"]))
    assert found == [("L021", "osVersion", f"Did you mean `{column}`?")]


def test_a_case_typo_below_a_list_is_found(lint_of: LintOf) -> None:
    found = told(lint_of(PATH_FIELDS, columns=["osVersion", "/Apps/*/Name"]))
    assert found == [("L021", "/apps/*/name", "Did you mean `/Apps/*/Name`?")]


def test_a_path_that_matches_nothing_is_reported(lint_of: LintOf) -> None:
    assert [code for code, *_ in told(lint_of(PATH_FIELDS, columns=["osVersion"]))] == ["L020"]


def test_optional_and_derived_fields_need_not_be_there(lint_of: LintOf) -> None:
    text = "fields:\n  a: {type: string, optional: true}\n  b: {from: [a], do: keep}\n"
    assert told(lint_of(text, columns=["c"])) == []


def test_an_unknown_source_gives_no_finding(lint_of: LintOf) -> None:
    assert told(lint_of(PATH_FIELDS)) == []


@pytest.mark.parametrize("other", [{"do": "keep"}, {"role": "quasi"}])
def test_a_field_treated_differently_in_another_policy_is_reported(other: dict[str, str]) -> None:
    found = lint(policy("one"), siblings=[policy("two", **other)])
    assert [(f.code, f.field) for f in found] == [("L022", "f"), ("L042", None)]
    assert "`two`" in found[0].message


@pytest.mark.parametrize(
    ("here", "there", "hint"),
    [
        ({"do": "keep"}, {"do": "drop"}, "drop there, keep here"),
        (
            {"do": {"mask": {"keep_last": 4}}},
            {"do": {"mask": {"keep_last": 2}}},
            "mask (keep_last 2) there, mask (keep_last 4) here",
        ),
        (
            {"cases": [{"if": {"owner": "firm"}, "do": "keep"}], "otherwise": "drop"},
            {"cases": [{"if": {"owner": "person"}, "do": "keep"}], "otherwise": "drop"},
            "keep if owner is person, drop otherwise there, keep if owner is firm, drop otherwise here",
        ),
        (
            {"do": {"map": {"values": {"a": "b"}, "otherwise": "c"}}},
            {"do": {"map": {"values": {"a": "d"}, "otherwise": "c"}}},
            "map in both, with different parameters",
        ),
    ],
)
def test_the_hint_describes_how_the_treatments_differ(here: dict[str, Any], there: dict[str, Any], hint: str) -> None:
    found = lint(policy("one", **here), siblings=[policy("two", **there)])
    assert [each.hint for each in found if each.code == "L022"] == [f"Check that this is intended: {hint}."]


def test_a_field_with_the_same_treatment_is_not_reported() -> None:
    assert told(lint(policy("one"), siblings=[policy("two")])) == []


def test_a_policy_is_not_compared_with_itself() -> None:
    assert told(lint(policy("one"), siblings=[policy("one", do="keep")])) == []


def test_the_policies_of_a_tree_are_found_and_faulty_ones_left_out(
    write: Callable[[str, str], Path], tmp_path: Path
) -> None:
    good = "policy: {}\nversion: 1\npurposes: [operations]\nfields:\n  a: {{type: string}}\n"
    write("b/policy.yaml", good.format("b"))
    write("a/policy.yaml", good.format("a"))
    write("c/policy.yaml", "policy: c\n")
    write("a/runs/1/policy.yaml", good.format("copy"))
    assert [policy.policy for policy in policies_in_tree(tmp_path)] == ["a", "b"]


def test_a_policy_in_a_tree_is_not_compared_with_its_own_file(
    write: Callable[[str, str], Path], tmp_path: Path
) -> None:
    path = write("a/policy.yaml", "policy: a\nversion: 1\npurposes: [operations]\nfields:\n  a: {type: string}\n")
    changed = load_policy(path).model_copy(update={"policy": "renamed"})
    assert told(lint(changed, siblings=policies_in_tree(tmp_path))) == []
