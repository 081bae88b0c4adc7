from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from minimize.errors import PolicyError
from minimize.recipients import load_recipient
from minimize.recipients.load import examine_recipient
from tests.project import write_yaml
from tests.world import sync, vendor_file


def test_the_digest_is_of_the_bytes(tmp_path: Path) -> None:
    path = write_yaml(tmp_path / "vendor.yaml", vendor_file())
    assert load_recipient(path).digest == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def test_faults_have_file_line_and_field(tmp_path: Path) -> None:
    path = tmp_path / "vendor.yaml"
    text = "recipient: vendor\nstanding: independent\nfunctions:\n  sync:\n    direction: outbound\n    purpose: operations\n"
    path.write_text(text + "    text_version: 1\n    fields:\n      name: md5\n")
    with pytest.raises(PolicyError) as caught:
        load_recipient(path)
    assert [(one.code, one.file, one.line, one.field) for one in caught.value.findings] == [
        ("P012", str(path), 9, "name")
    ]


def test_a_recipient_is_in_the_file_of_its_name(tmp_path: Path) -> None:
    _, faults = examine_recipient(write_yaml(tmp_path / "other.yaml", vendor_file()))
    assert [fault.code for fault in faults] == ["T006"]


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        load_recipient(tmp_path / "nobody.yaml")
    assert [one.code for one in caught.value.findings] == ["P001"]


def test_the_configuration_adds_purposes(tmp_path: Path) -> None:
    (tmp_path / "minimize.yaml").write_text("purposes: [fleet_care]\n")
    path = write_yaml(tmp_path / "recipients" / "vendor.yaml", vendor_file(functions=sync(purpose="fleet_care")))
    assert load_recipient(path).functions["sync"].purpose == "fleet_care"


def test_a_faulty_field_is_left_out_of_what_is_examined(tmp_path: Path) -> None:
    fields = {"good": "keep", "bad": "md5"}
    found, faults = examine_recipient(write_yaml(tmp_path / "vendor.yaml", vendor_file(functions=sync(fields=fields))))
    assert [fault.field for fault in faults] == ["bad"]
    assert found is not None
    assert "bad" not in found.functions["sync"].shared
