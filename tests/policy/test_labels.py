"""`label` of a field: what people call it."""

from __future__ import annotations

from typing import Any

import pytest

from minimize import linting
from minimize.errors import PolicyError
from minimize.policy.load import load_policy
from minimize.policy.plain_words import column_name, field_name, plain_name
from tests.cli.conftest import _command
from tests.commands import Command
from tests.project import Project
from tests.review.factory import between, policy

__all__ = ["_command"]

LABELLED: dict[str, Any] = {"type": "string", "do": "keep", "label": "Model of the device"}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("imei", "IMEI"),
        ("/hardware/os_version", "hardware: OS version"),
        ("ip_address", "IP address"),
        ("description", "description"),
    ],
)
def test_a_key_in_words_spells_abbreviations(key: str, name: str) -> None:
    assert plain_name(key) == name


def test_a_label_replaces_the_key(project: Project) -> None:
    project.policy({"model": LABELLED, "os_version": {"type": "string", "do": "keep"}})
    policy = load_policy(project.folder / "policy.yaml")
    assert field_name(policy.fields["model"]) == "Model of the device"
    assert column_name(policy, "os_version") == "OS version"
    assert column_name(policy, "unknown_column") == "unknown column"


def test_lint_has_nothing_against_a_label(project: Project) -> None:
    project.policy({"model": {"type": "string", "do": "keep"}})
    before = [each.code for each in linting.lint(load_policy(project.folder / "policy.yaml"))]
    project.policy({"model": LABELLED})
    assert [each.code for each in linting.lint(load_policy(project.folder / "policy.yaml"))] == before


def test_a_label_is_a_short_text(project: Project) -> None:
    project.policy({"model": {**LABELLED, "label": "x" * 101}})
    with pytest.raises(PolicyError, match="label"):
        load_policy(project.folder / "policy.yaml")


def test_the_schema_has_the_label(project: Project, command: Command) -> None:
    schema = command("schema", "policy").json
    assert "What people call the field" in str(schema)


def test_a_changed_label_is_neutral() -> None:
    changes = between(policy(LABELLED), policy({**LABELLED, "label": "Model"})).changes
    assert [(each.code, each.grade) for each in changes] == [("J029", "neutral")]
