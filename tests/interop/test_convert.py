from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.drafting import accept_proposals
from minimize.errors import ConfigurationError
from minimize.forms.yaml_nodes import FaultList, parse_yaml
from minimize.interop import FORMATS, export_formats, import_formats
from minimize.interop.convert import export_document, import_into, import_policy, imported_policy_text
from minimize.interop.documents import DescribedColumn, DescribedDataset, ExportRequest
from minimize.policy.load import load_policy, policy_from_mapping
from minimize.policy.model import Policy
from minimize.text import load_object


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_the_functions_of_its_row(name: str) -> None:
    row = FORMATS[name]
    assert row.reads is None or callable(load_object(row.reads))
    assert row.writes is None or callable(load_object(row.writes))
    assert row.reads or row.writes


def test_no_format_is_loaded_before_it_is_asked_for() -> None:
    modules = [each.rpartition(".")[0] for row in FORMATS.values() for each in (row.reads, row.writes) if each]
    text = f"import sys, minimize.interop, minimize.interop.convert; print([m for m in {modules} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_policy_is_written_once_and_loads(tmp_path: Path) -> None:
    schema = tmp_path / "s.json"
    schema.write_text(json.dumps({"title": "check ins", "properties": {"a": {"type": "string"}}}))
    [path] = import_into("jsonschema", schema, tmp_path / "p").files
    assert path.read_text() == import_policy("jsonschema", schema).policy
    assert load_policy(tmp_path / "p").policy == "check_ins"
    assert (tmp_path / "p" / ".schema" / "policy.json").exists()
    with pytest.raises(ConfigurationError, match="exists"):
        import_into("jsonschema", schema, tmp_path / "p")


def test_an_unknown_format_or_a_wrong_direction_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="unknown format"):
        import_policy("openlineage", tmp_path / "x")
    with pytest.raises(ConfigurationError, match="unknown format"):
        export_document("allowlist", ExportRequest(str(tmp_path)))
    assert {*import_formats(), *export_formats()} == set(FORMATS)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
HOSTILE = '"}\n  evil: {type: string, do: keep}  # : {type: string, do: drop}'


def policy_of(described: DescribedDataset) -> Policy:
    faults = FaultList()
    root = parse_yaml(imported_policy_text(described, "a test"), faults)
    assert root is not None
    assert faults.found == []
    return policy_from_mapping(root.to_data())


@given(TEXTS.filter(bool), TEXTS, TEXTS, TEXTS, TEXTS)
def test_a_policy_imported_from_any_document_loads_and_drops_all_fields(
    name: str, about: str, unit: str, owner: str, left: str
) -> None:
    column = DescribedColumn(Pointer(("x", name)), "string", "identifier", about, unit, required=True, kind="email")
    described = DescribedDataset(
        name, (column,), owner, remarks=(about, left), never=(Pointer((name,)),), left_out={left: "why"}
    )
    policy = policy_of(described)
    field = next(iter(policy.fields.values()))
    assert (field.pointer, field.role, field.about, field.unit) == (column.pointer, "identifier", about, unit)
    assert [field.do for field in policy.fields.values()] == ["drop"]
    assert policy.never == (Pointer((name,)),)


def test_text_that_would_be_policy_stays_text(tmp_path: Path) -> None:
    columns = (
        DescribedColumn(Pointer(("a",)), "string", about=HOSTILE),
        DescribedColumn(Pointer((HOSTILE,)), "string", about=HOSTILE),
    )
    (tmp_path / "policy.yaml").write_text(
        imported_policy_text(DescribedDataset("p", columns, HOSTILE, remarks=(HOSTILE,)), "a test")
    )
    accept_proposals(tmp_path, ["all"])
    policy = load_policy(tmp_path)
    assert {field.about for field in policy.fields.values()} == {HOSTILE}
    assert [field.pointer.top for field in policy.fields.values()] == ["a", HOSTILE]
    assert all(field.do == "drop" for field in policy.fields.values())


def test_an_imported_role_is_in_the_field_and_in_the_proposal(tmp_path: Path) -> None:
    columns = (
        DescribedColumn(Pointer(("state",)), "boolean", "sensitive"),
        DescribedColumn(Pointer(("tenant_id",)), "string"),
        DescribedColumn(Pointer(("ref",)), "string", "identifier", do="keep"),
    )
    text = imported_policy_text(DescribedDataset("p", columns), "a test")
    assert "  # proposed: {role: sensitive, do: drop}\n" in text
    assert "  # proposed: {role: identifier, do: {pseudonymize: {key: pseudonyms, per: tenant_id}}}\n" in text
    (tmp_path / "policy.yaml").write_text(text)
    accept_proposals(tmp_path, ["state", "ref", "tenant_id"])
    assert [field.role for field in load_policy(tmp_path).fields.values()] == ["sensitive", "plain", "identifier"]


def test_where_no_field_is_left_there_is_no_policy() -> None:
    columns = (DescribedColumn(Pointer(("date",)), "date"), DescribedColumn(Pointer(("x",)), "decimal(99,1)"))
    with pytest.raises(ConfigurationError, match="no field"):
        imported_policy_text(DescribedDataset("p", columns), "a test")


def test_retention_counts_where_a_time_is_known() -> None:
    column = DescribedColumn(Pointer(("at",)), "timestamp")
    assert policy_of(DescribedDataset("p", (column,), retention="30d", parts={"time": "at"})).retention is not None
    assert policy_of(DescribedDataset("p", (column,), retention="30d")).retention is None
