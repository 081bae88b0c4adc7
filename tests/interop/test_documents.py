from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from minimize.errors import ConfigurationError, PolicyError
from minimize.interop import documents
from minimize.interop.documents import as_list, as_mapping, as_text, read_document, yaml_text


def test_json_and_yaml_give_the_same_document(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, "on", null]}')
    (tmp_path / "a.yaml").write_text("a: [1, on, null]\n")
    assert read_document(tmp_path / "a.json") == {"a": [1, "on", None]}
    assert read_document(tmp_path / "a.yaml") == {"a": (1, "on", None)}


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
@pytest.mark.parametrize("content", [b'{"canary": ', b"\xff\xfe", b"[" * 400, b'["\\ud800"]'])
def test_an_unreadable_document_is_reported_without_its_content(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PolicyError) as caught:
        read_document(tmp_path / name)
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PolicyError):
        read_document(tmp_path / "nowhere.json")
    monkeypatch.setattr(documents, "LARGEST_DOCUMENT", 3)
    (tmp_path / "a.json").write_text("{}  ")
    with pytest.raises(ConfigurationError, match="too large"):
        read_document(tmp_path / "a.json")


def test_a_value_of_another_kind_is_empty() -> None:
    assert (as_mapping([1]), as_list("ab"), as_text(3), as_text("a\n b")) == ({}, (), "", "a b")


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
SCALARS = TEXTS | st.integers(-(2**53), 2**53) | st.booleans() | st.none()
VALUES = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXTS, below, max_size=3), max_leaves=6
)


def flat(value: Any) -> bool:
    """Whether no list stands right in a list, which no document of ours has."""
    if isinstance(value, list):
        return all(not isinstance(each, list) and flat(each) for each in value)
    return all(map(flat, value.values())) if isinstance(value, dict) else True


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4).filter(flat))
def test_both_versions_of_yaml_read_the_same_document(body: dict[str, Any]) -> None:
    text = yaml_text(body)
    assert YAML(typ="safe", pure=True).load(text) == body
    assert pyyaml.safe_load(text) == body


def test_words_that_some_readers_take_for_something_else_are_quoted() -> None:
    assert yaml_text({"a": "on", "b": "2026-11-25", "c": "1e3"}) == 'a: "on"\nb: "2026-11-25"\nc: "1e3"\n'
