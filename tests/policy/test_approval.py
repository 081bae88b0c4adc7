"""What an approval is of, and what a configuration may require."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from minimize.config_search import load_config
from minimize.errors import PolicyError
from minimize.forms.yaml_nodes import FaultList
from minimize.policy.approval import approval_digest, approval_state, configured_approval, policy_reference
from minimize.policy.load import load_policy, policy_from_mapping
from minimize.policy.model import Policy

BODY: dict[str, Any] = {
    "policy": "p",
    "version": 1,
    "purposes": ["operations"],
    "fields": {"a": {"type": "string", "do": "keep"}, "b": {"type": "integer"}},
}


def policy(**changes: Any) -> Policy:
    return policy_from_mapping({**BODY, **changes})


def approved(**changes: Any) -> Policy:
    given = {"by": "ann", "on": "2026-11-25", "digest": approval_digest(policy())} | changes.pop("approved", {})
    return policy(approved=given, **changes)


def test_a_policy_as_it_was_approved_is_approved() -> None:
    assert approval_state(approved()) == "approved"


def test_a_policy_without_an_approval_is_unapproved() -> None:
    assert approval_state(policy()) == "unapproved"


@pytest.mark.parametrize(
    "change",
    [{"version": 2}, {"owner": "x"}, {"retention": "30d"}, {"fields": {"a": {"type": "string", "do": "keep"}}}],
    ids=str,
)
def test_any_change_of_its_content_ends_the_approval(change: dict[str, Any]) -> None:
    assert approval_state(approved(**change)) == "changed"


def test_the_order_of_keys_the_comments_and_the_layout_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        "# a comment\nversion: 1\nfields:\n  b: {type: integer}\n  a:\n    do: keep\n    type: string\n"
        "purposes:\n- operations\npolicy: p\n"
    )
    assert approval_digest(load_policy(path)) == approval_digest(policy())


def test_the_bytes_of_a_hierarchy_matter(tmp_path: Path) -> None:
    fields = {"a": {"type": "string", "do": {"generalize": {"hierarchy": "h.csv", "level": 1}}}}
    digests = []
    for label in ("Nexus", "Other"):
        (tmp_path / "h.csv").write_text(f"Nexus 5X;{label};*\n")
        digests.append(approval_digest(policy_from_mapping({**BODY, "fields": fields}, folder=tmp_path)))
    assert digests[0] != digests[1]


def test_a_receipt_names_the_approval_where_it_holds() -> None:
    held, lost = policy_reference(approved()).approved, policy_reference(approved(version=2)).approved
    assert held is not None
    assert (held.by, held.on, lost) == ("ann", "2026-11-25", None)


@pytest.mark.parametrize("part", [{"on": "yesterday"}, {"digest": "sha256:1"}, {"by": ""}, {"by": 3}], ids=str)
def test_an_impossible_approval_is_a_fault(part: dict[str, Any]) -> None:
    with pytest.raises(PolicyError) as caught:
        approved(approved=part)
    assert [finding.code for finding in caught.value.findings] == ["P006"]


@pytest.mark.parametrize(
    ("said", "wanted", "faults"),
    [
        ("ledger: x\n", "none", []),
        ("approval: warn\n", "warn", []),
        ("approval: required\n", "required", []),
        ("approval: yes please\n", "required", ["P007"]),
        ("approval: [warn]\n", "required", ["P007"]),
    ],
)
def test_the_configuration_determines_the_required_approval(
    said: str, wanted: str, faults: list[str], tmp_path: Path
) -> None:
    (tmp_path / "minimize.yaml").write_text(said)
    found = FaultList()
    assert configured_approval(load_config(tmp_path), found) == wanted
    assert [finding.code for finding in found.found] == faults
