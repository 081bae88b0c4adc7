"""Whom tenants named: read with every fault at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.config_search import load_config
from minimize.errors import PolicyError
from minimize.governance.incidents import find_contacts, lint_contacts, load_contacts

CSV = """tenant_id,role,name,address
north,administrator,Ann,ann@north.example
north,privacy,Pia,pia@north.example
south,administrator,Sam,sam@south.example
"""
YAML = """contacts:
  - {tenant_id: north, role: privacy, name: Pia, address: pia@north.example}
"""


def written(folder: Path, text: str, name: str = "contacts.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_the_privacy_contact_is_used_before_the_administrators(tmp_path: Path) -> None:
    found = load_contacts(written(tmp_path, CSV))
    assert [each.name for each in found.for_tenant("north")] == ["Pia"]
    assert [each.name for each in found.for_tenant("south")] == ["Sam"]
    assert found.for_tenant("west") == ()


def test_yaml_and_csv_contacts_are_equal(tmp_path: Path) -> None:
    assert load_contacts(written(tmp_path, YAML, "contacts.yaml")).for_tenant("north")[0].address == "pia@north.example"


def test_a_tenant_that_uses_the_suite_is_marked_in_either_form(tmp_path: Path) -> None:
    marked = CSV.replace("address\n", "address,suite\n").replace("pia@north.example\n", "pia@north.example,true\n")
    as_yaml = YAML.replace("example}", "example, suite: true}")
    for name, text in (("contacts.csv", marked), ("contacts.yaml", as_yaml)):
        found = load_contacts(written(tmp_path, text, name))
        assert (found.uses_suite("north"), found.uses_suite("south")) == (True, False)
    fault, _ = lint_contacts(written(tmp_path, marked.replace(",true", ",perhaps")))
    assert (fault.code, fault.line) == ("K002", 3)


def test_all_faults_of_a_contact_file_are_reported_with_their_lines(tmp_path: Path) -> None:
    text = CSV + ",privacy,X,x@x.example\nwest,boss,X,x@x.example\nwest,privacy,X,nowhere\n"
    with pytest.raises(PolicyError) as error:
        load_contacts(written(tmp_path, text))
    assert [(each.code, each.line) for each in error.value.findings] == [("K002", 5), ("K003", 6), ("K004", 7)]
    assert "nowhere" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("contacts.yaml", "contacts: [{ann@contoso.example: privacy, tenant_id: north, role: privacy}]\n"),
        ("contacts.yaml", "ann@contoso.example: [{tenant_id: north}]\n"),
        ("contacts.csv", CSV + "north,privacy,X,x@x.example,ann@contoso.example\n"),
    ],
)
def test_a_fault_of_an_unknown_key_does_not_show_it(tmp_path: Path, name: str, text: str) -> None:
    findings = lint_contacts(written(tmp_path, text, name))
    assert findings
    assert "ann" not in "".join(map(str, findings))


def test_a_duplicate_contact_is_a_fault(tmp_path: Path) -> None:
    codes = [each.code for each in lint_contacts(written(tmp_path, CSV + CSV.splitlines()[1] + "\n"))]
    assert codes == ["K005", "K006"]


@pytest.mark.parametrize(("text", "name"), [("a,b\n1,2\n", "c.csv"), ("contacts: 7\n", "c.yaml"), ("x: [", "c.yaml")])
def test_a_file_that_holds_none_cannot_be_read(tmp_path: Path, text: str, name: str) -> None:
    assert [each.code for each in lint_contacts(written(tmp_path, text, name))] == ["K001"]


def test_lint_warns_of_tenants_without_a_contact_for_privacy(tmp_path: Path) -> None:
    found = lint_contacts(written(tmp_path, CSV))
    assert [(each.code, each.severity) for each in found] == [("K006", "warning")]


def test_contacts_do_not_show_whom_they_name(tmp_path: Path) -> None:
    assert "pia" not in repr(load_contacts(written(tmp_path, CSV))).lower()


def test_the_configuration_names_the_contacts(tmp_path: Path) -> None:
    written(tmp_path, CSV)
    (tmp_path / "minimize.yaml").write_text("contacts: contacts.csv\n")
    assert [each.name for each in find_contacts(None, load_config(tmp_path)).for_tenant("north")] == ["Pia"]
    other = written(tmp_path, YAML.replace("Pia", "Pat"), "other.yaml")
    assert [each.name for each in find_contacts(other, load_config(tmp_path)).for_tenant("north")] == ["Pat"]


def test_a_configuration_that_names_none_has_none(tmp_path: Path) -> None:
    (tmp_path / "minimize.yaml").write_text("ledger: ledger.db\n")
    assert find_contacts(None, load_config(tmp_path)).entries == ()
    (tmp_path / "minimize.yaml").write_text("contacts: [a]\n")
    with pytest.raises(PolicyError, match="cannot be read"):
        find_contacts(None, load_config(tmp_path))
