from __future__ import annotations

from pathlib import Path

import pytest

from minimize.errors import ConfigurationError, PolicyError
from minimize.interop import documents
from minimize.interop.documents import as_list, as_mapping, as_text, read_document


def test_json_and_yaml_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, "on", null]}')
    (tmp_path / "a.yaml").write_text("a: [1, on, null]\n")
    assert read_document(tmp_path / "a.json") == {"a": [1, "on", None]}
    assert read_document(tmp_path / "a.yaml") == {"a": (1, "on", None)}


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
@pytest.mark.parametrize("content", [b'{"canary": ', b"\xff\xfe", b"[" * 400, b'["\\ud800"]'])
def test_what_cannot_be_read_is_said_without_what_stands_in_it(tmp_path: Path, name: str, content: bytes) -> None:
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


def test_what_is_of_another_kind_is_nothing() -> None:
    assert (as_mapping([1]), as_list("ab"), as_text(3), as_text("a\n b")) == ({}, (), "", "a b")
