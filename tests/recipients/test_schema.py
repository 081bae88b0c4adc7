from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from minimize.errors import PolicyError
from minimize.forms.yaml_nodes import FaultList, parse_yaml
from minimize.interop.convert import file_schema
from minimize.recipients import recipient_from
from minimize.recipients.load import load_subprocessors
from tests.pipelines.shipped import RECIPIENTS
from tests.project import write_yaml
from tests.world import CONTRACT, sync, vendor_file

FILES = sorted(path for path in RECIPIENTS.glob("*.yaml") if path.stem != "subprocessors")


RECIPIENT = Draft202012Validator(file_schema("recipient"))


def accepts(document: Any) -> bool:
    return RECIPIENT.is_valid(document)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(RECIPIENT.schema)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_shipped_files_fit(path: Path) -> None:
    root = parse_yaml(path.read_text(encoding="utf-8"), FaultList())
    assert root is not None
    assert accepts(json.loads(json.dumps(root.to_data())))


@pytest.mark.parametrize(
    "changes",
    [
        {"standing": "friend"},
        {"functions": None},
        {"extra": 1},
        {"contract": {**CONTRACT, "from": "soon"}},
        {"contract": {**CONTRACT, "retention": "30"}},
        {"functions": sync(direction="sideways")},
        {"functions": sync(text_version=0)},
        {"functions": sync(fields={"a": "md5"})},
        {"functions": sync(fields={"a": {"do": "keep", "tpye": "x"}})},
        {"functions": sync(fields={})},
    ],
)
def test_a_document_that_the_loader_refuses_is_invalid(changes: dict[str, Any]) -> None:
    document = vendor_file(**changes)
    with pytest.raises(PolicyError):
        recipient_from(document)
    assert not accepts(document)


LISTED = Draft202012Validator(file_schema("subprocessors"))
DESK = {"name": "Desk", "from": "2026-01-01", "until": "2026-07-01", "about": "takes calls"}


def test_the_schema_of_the_list_of_subprocessors_is_one_and_takes_the_shipped_list() -> None:
    Draft202012Validator.check_schema(LISTED.schema)
    root = parse_yaml((RECIPIENTS / "subprocessors.yaml").read_text(encoding="utf-8"), FaultList())
    assert root is not None
    assert LISTED.is_valid(json.loads(json.dumps(root.to_data())))
    assert LISTED.is_valid({"subprocessors": [DESK]})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"subprocessors": "Desk"},
        {"subprocessors": [{"name": "Desk"}]},
        {"subprocessors": [{**DESK, "from": "soon"}]},
        {"subprocessors": [{**DESK, "since": "2026-01-01"}]},
        {"subprocessors": [DESK], "more": 1},
    ],
)
def test_a_list_that_the_loader_refuses_does_not_fit(tmp_path: Path, body: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        load_subprocessors(write_yaml(tmp_path / "subprocessors.yaml", body))
    assert not LISTED.is_valid(body)
