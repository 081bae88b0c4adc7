""""""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minimize.errors import Finding
from minimize.linting import lint, policies_in_tree
from minimize.policy.load import load_policy, policy_from_mapping
from minimize.policy.model import Policy

LintOf = Callable[..., list[Finding]]
FIELDS = "fields:\n  osVersion: {type: string, do: keep}\n  /apps/*/name: {type: string, do: keep}\n"


def told(found: list[Finding]) -> list[tuple[str, str | None, str]]:
    return [(finding.code, finding.field, finding.hint) for finding in found if finding.code.startswith("L02")]


def policy(name: str, **field: Any) -> Policy:
    fields = {"f": {"type": "string", **field}, "owner": {"type": "string", "do": "keep"}}
    return policy_from_mapping(
        {"policy": name, "version": 1, "purposes": ["operations"], "retention": "30d", "fields": fields}
    )


def test_paths_that_the_source_has_are_fine(lint_of: LintOf) -> None:
    assert told(lint_of(FIELDS, columns=["osVersion", "/apps/*/name", "/else"])) == []


def test_a_container_is_there_where_something_stands_in_it(lint_of: LintOf) -> None:
    text = "fields:\n  apps: {type: list, do: size}\n"
    assert told(lint_of(text, columns=["/apps/*/name"])) == []


@pytest.mark.parametrize("column", ["OSVersion", "os_version", "os-version", "osversion"])
def test_a_case_typo_is_an_error_with_the_right_spelling(lint_of: LintOf, column: str) -> None:
    found = told(lint_of(FIELDS, columns=[column, "/apps/*/name"]))
    assert found == [("L021", "osVersion", f"Did you mean `{column}`?")]


def test_a_case_typo_below_a_list_is_found(lint_of: LintOf) -> None:
    found = told(lint_of(FIELDS, columns=["osVersion", "/Apps/*/Name"]))
    assert found == [("L021", "/apps/*/name", "Did you mean `/Apps/*/Name`?")]


def test_a_path_that_matches_nothing_is_told(lint_of: LintOf) -> None:
    assert [code for code, *_ in told(lint_of(FIELDS, columns=["osVersion"]))] == ["L020"]


def test_optional_and_derived_fields_need_not_be_there(lint_of: LintOf) -> None:
    text = "fields:\n  a: {type: string, optional: true}\n  b: {from: [a], do: keep}\n"
    assert told(lint_of(text, columns=["c"])) == []


def test_nothing_is_said_of_the_source_where_it_is_not_known(lint_of: LintOf) -> None:
    assert told(lint_of(FIELDS)) == []


@pytest.mark.parametrize("other", [{"do": "keep"}, {"role": "quasi"}])
def test_a_field_treated_differently_elsewhere_is_told(other: dict[str, str]) -> None:
    found = lint(policy("one"), siblings=[policy("two", **other)])
    assert [(f.code, f.field) for f in found] == [("L022", "f"), ("L042", None)]
    assert "`two`" in found[0].message


@pytest.mark.parametrize(
    ("here", "there", "hint"),
    [
        ({"do": "keep"}, {"do": "drop"}, "drop (plain) there, keep (plain) here"),
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
            "map (plain) in both, with different parameters",
        ),
    ],
)
def test_the_hint_says_how_the_treatments_differ(here: dict[str, Any], there: dict[str, Any], hint: str) -> None:
    found = lint(policy("one", **here), siblings=[policy("two", **there)])
    assert [each.hint for each in found if each.code == "L022"] == [f"Check that this is intended: {hint}."]


def test_a_field_treated_alike_is_not() -> None:
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
