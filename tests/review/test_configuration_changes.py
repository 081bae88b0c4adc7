"""Changes of recipients, access files and `minimize.yaml`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minimize.access.model import access_from_mapping
from minimize.recipients.load import recipient_from
from minimize.review.changes import GradedChange, collect_changes
from minimize.review.diff import diff
from minimize.review.party_rules import form_changes
from tests.project import write_yaml
from tests.world import access_file, assignment

FIELDS = {
    "device_id": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "k"}}},
    "model": {"type": "string", "do": {"truncate_version": {"parts": 1}}},
}
FUNCTION = {"direction": "outbound", "purpose": "operations", "text_version": 1, "text": "a", "fields": FIELDS}
CONTRACT = {
    "reference": "C-1",
    "from": "2026-01-01",
    "until": "2027-01-01",
    "permits_transmission": True,
    "permitted_fields": ["device_id", "model"],
    "retention": "30d",
}
BODY: dict[str, Any] = {
    "recipient": "r",
    "standing": "agent",
    "subprocessor": "R",
    "contract": CONTRACT,
    "functions": {"f": FUNCTION},
}


def contract(**changes: Any) -> dict[str, Any]:
    return {"contract": {key: value for key, value in {**CONTRACT, **changes}.items() if value is not None}}


def function(**changes: Any) -> dict[str, Any]:
    return {"functions": {"f": {**FUNCTION, **changes}}}


def field(**changes: Any) -> dict[str, Any]:
    return function(fields={**FIELDS, "model": {**FIELDS["model"], **changes}})


LOOSENS: dict[str, tuple[dict[str, Any], str, str]] = {
    "acts for itself now": ({"standing": "independent", "subprocessor": None}, "J060", "tightens"),
    "may keep it for longer": (contract(retention="60d"), "J061", "tightens"),
    "without end": (contract(until=None), "J061", "tightens"),
    "one more function": ({"functions": {"f": FUNCTION, "g": FUNCTION}}, "J062", "tightens"),
    "another purpose": (function(purpose="customer_support"), "J062", "loosens"),
    "one more field": (function(fields={**FIELDS, "os": {"type": "string", "do": "keep"}}), "J063", "tightens"),
    "a finer form": (field(do={"truncate_version": {"parts": 3}}), "J063", "tightens"),
    "another text of one version": (function(text="b"), "J065", "loosens"),
}


def recipients(old: dict[str, Any], new: dict[str, Any]) -> list[GradedChange]:
    sides = [
        recipient_from({key: value for key, value in {**BODY, **side}.items() if value is not None})
        for side in (old, new)
    ]
    return list(collect_changes(form_changes("recipient", sides[0], sides[1], "old", "new")).changes)


@pytest.mark.parametrize(
    ("old", "new", "grade"),
    [([], ["1"], "tightens"), (["1", "2"], ["1"], "tightens"), (["1"], ["1", "2"], "loosens"), (["1"], [], "loosens")],
)
def test_fewer_listed_values_tighten_and_any_value_is_the_most(old: list[str], new: list[str], grade: str) -> None:
    sides = [field(values=values) if values else {} for values in (old, new)]
    assert [(each.code, each.grade) for each in recipients(sides[0], sides[1])] == [("J063", grade)]


def test_whether_a_field_is_optional_and_from_which_protocol_changes_nothing_of_what_leaves() -> None:
    found = recipients({}, field(optional=True, protocol=2))
    assert {(each.code, each.grade) for each in found} == {("J029", "neutral")}


@pytest.mark.parametrize("name", LOOSENS)
def test_sharing_more_with_a_recipient_loosens(name: str) -> None:
    change, code, back = LOOSENS[name]
    assert {(each.code, each.grade) for each in recipients({}, change)} == {(code, "loosens")}
    assert back in {each.grade for each in recipients(change, {})}


def test_a_new_text_with_a_new_version_is_neutral() -> None:
    assert [each.grade for each in recipients({}, function(text="b", text_version=2))] == ["neutral"]


def access(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str]]:
    changes = collect_changes(form_changes("access", access_from_mapping(old), access_from_mapping(new), "old", "new"))
    return [(each.code, each.grade) for each in changes.changes]


ANN = assignment("analyst", "ann", tenants=["north"])
WIDER: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "somebody more": (access_file(ANN), access_file(ANN, assignment("operator", "bob")), "J071"),
    "more tenants": (access_file(ANN), access_file(assignment("analyst", "ann", tenants=["north", "south"])), "J071"),
    "all tenants": (access_file(ANN), access_file(assignment("analyst", "ann")), "J071"),
    "all datasets": (
        access_file(assignment("analyst", "ann", datasets=["d"])),
        access_file(assignment("analyst", "ann")),
        "J071",
    ),
    "every purpose": (
        access_file(assignment("analyst", "ann", purposes=["operations"])),
        access_file(assignment("analyst", "ann")),
        "J071",
    ),
    "one more in a group": (access_file(ANN), access_file(ANN, groups={"support": ["sam", "sue", "bob"]}), "J073"),
    "a permission more": (
        access_file(ANN, roles={"mine": {"copy": "analyst"}}),
        access_file(ANN, roles={"mine": {"copy": "analyst", "allow": ["audit/read"]}}),
        "J070",
    ),
    "a denial less": (
        access_file(ANN, roles={"mine": {"copy": "analyst", "deny": ["dataset/read:pseudonymized"]}}),
        access_file(ANN, roles={"mine": {"copy": "analyst", "deny": ["dataset/read:identified"]}}),
        "J070",
    ),
    "a view less": (
        access_file(ANN, roles={"mine": {"copy": "analyst", "views": {"d": {"c": {"truncate_time": {"to": "day"}}}}}}),
        access_file(ANN, roles={"mine": {"copy": "analyst"}}),
        "J070",
    ),
    "longer grants": (access_file(ANN), access_file(ANN, grants={"default": "12h"}), "J072"),
}


@pytest.mark.parametrize("name", WIDER)
def test_more_permissions_loosen_and_fewer_tighten(name: str) -> None:
    old, new, code = WIDER[name]
    assert access(old, new) == [(code, "loosens")]
    assert access(new, old) == [(code, "tightens")]


def test_a_role_that_denies_makes_access_incomparable() -> None:
    both = access_file(ANN, assignment("auditor", "olga")), access_file(ANN)
    assert access(*both) == access(both[1], both[0]) == [("J071", "loosens")]


def test_the_order_of_assignments_makes_no_difference() -> None:
    split = access_file(assignment("analyst", "ann", tenants=["north"]), assignment("analyst", "bob"))
    assert access(split, access_file(*reversed(split["assignments"]))) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("approval: required\n", "approval: warn\n"),
        ("approval: warn\n", "ledger: x\n"),
        ("access: {file: access.yaml, encrypt: by_category}\n", "access: {file: access.yaml}\n"),
        ("encrypt: identified\n", "encrypt: off\n"),
        ("encrypt: by_category\n", "encrypt: identified\n"),
        ("access: access.yaml\n", "ledger: x\n"),
        ("access: access.yaml\n", "access: off\n"),
        ("ledger: x\n", "access: off\n"),
        ("ledger: x\n", "encrypt: off\n"),
        ("encrypt: identified\n", "ledger: x\n"),
        ("ledger: x\n", "purposes: [fleet]\n"),
    ],
)
def test_a_configuration_that_requires_less_loosens(old: str, new: str, tmp_path: Path) -> None:
    places = [tmp_path / "old", tmp_path / "new"]
    for place, says in zip(places, (old, new), strict=True):
        place.mkdir()
        (place / "minimize.yaml").write_text(says)
    assert diff(*places).grade == "loosens"
    assert diff(*reversed(places)).grade == "tightens"


def test_an_access_file_that_comes_tightens_and_a_list_is_compared_entry_by_entry(tmp_path: Path) -> None:
    entry = {"name": "R", "from": "2026-01-01"}
    for name, entries in (("old", [entry]), ("new", [{**entry, "until": "2027-01-01"}, {**entry, "name": "S"}])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "subprocessors.yaml").write_text(json.dumps({"subprocessors": entries}))
    write_yaml(tmp_path / "new" / "access.yaml", access_file(ANN))
    found = diff(tmp_path / "old", tmp_path / "new").changes
    assert [(each.code, each.grade, each.about) for each in found] == [
        ("J060", "loosens", "S"),
        ("J001", "tightens", None),
        ("J060", "tightens", "R"),
    ]
