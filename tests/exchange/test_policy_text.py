from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.drafting.accept import accept
from minimize.errors import ConfigurationError
from minimize.exchange.base import Column, Described
from minimize.exchange.policy_text import policy_text
from minimize.pointer import Pointer
from minimize.policy.faults import Faults
from minimize.policy.load import load_policy, policy_from
from minimize.policy.model import Policy
from minimize.policy.yaml import parse

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
HOSTILE = '"}\n  evil: {type: string, do: keep}  # : {type: string, do: drop}'


def policy_of(described: Described) -> Policy:
    faults = Faults()
    root = parse(policy_text(described, "a test"), faults)
    assert root is not None
    assert faults.found == []
    return policy_from(root.plain())


@given(TEXTS.filter(bool), TEXTS, TEXTS, TEXTS, TEXTS)
def test_whatever_a_document_says_the_policy_loads_and_drops_all(
    name: str, about: str, unit: str, owner: str, left: str
) -> None:
    column = Column(Pointer(("x", name)), "string", "identifier", about, unit, required=True, kind="email")
    described = Described(
        name, (column,), owner, remarks=(about, left), never=(Pointer((name,)),), left_out={left: "why"}
    )
    policy = policy_of(described)
    field = next(iter(policy.fields.values()))
    assert (field.pointer, field.role, field.about, field.unit) == (column.pointer, "identifier", about, unit)
    assert [field.do for field in policy.fields.values()] == ["drop"]
    assert policy.never == (Pointer((name,)),)


def test_text_that_would_be_policy_stays_text(tmp_path: Path) -> None:
    columns = (Column(Pointer(("a",)), "string", about=HOSTILE), Column(Pointer((HOSTILE,)), "string", about=HOSTILE))
    (tmp_path / "policy.yaml").write_text(policy_text(Described("p", columns, HOSTILE, remarks=(HOSTILE,)), "a test"))
    accept(tmp_path, ["all"])
    policy = load_policy(tmp_path)
    assert {field.about for field in policy.fields.values()} == {HOSTILE}
    assert [field.pointer.top for field in policy.fields.values()] == ["a", HOSTILE]
    assert all(field.do == "drop" for field in policy.fields.values())


def test_what_the_document_says_of_a_role_stands_in_the_field_and_in_the_proposal(tmp_path: Path) -> None:
    columns = (
        Column(Pointer(("state",)), "boolean", "sensitive"),
        Column(Pointer(("tenant_id",)), "string"),
        Column(Pointer(("ref",)), "string", "identifier", do="keep"),
    )
    text = policy_text(Described("p", columns), "a test")
    assert "  # proposed: {role: sensitive, do: drop}\n" in text
    assert "  # proposed: {role: identifier, do: {pseudonymize: {key: pseudonyms, per: tenant_id}}}\n" in text
    (tmp_path / "policy.yaml").write_text(text)
    accept(tmp_path, ["state", "ref", "tenant_id"])
    assert [field.role for field in load_policy(tmp_path).fields.values()] == ["sensitive", "plain", "identifier"]


def test_where_no_field_is_left_there_is_no_policy() -> None:
    columns = (Column(Pointer(("date",)), "date"), Column(Pointer(("x",)), "decimal(99,1)"))
    with pytest.raises(ConfigurationError, match="no field"):
        policy_text(Described("p", columns), "a test")


def test_retention_counts_where_a_time_is_known() -> None:
    column = Column(Pointer(("at",)), "timestamp")
    assert policy_of(Described("p", (column,), retention="30d", parts={"time": "at"})).retention is not None
    assert policy_of(Described("p", (column,), retention="30d")).retention is None
