from __future__ import annotations

from typing import Any

import yaml as pyyaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from minimize.interop.documents import yaml_text

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
def test_both_versions_of_yaml_read_back_what_was_said(body: dict[str, Any]) -> None:
    text = yaml_text(body)
    assert YAML(typ="safe", pure=True).load(text) == body
    assert pyyaml.safe_load(text) == body


def test_words_that_some_readers_take_for_something_else_are_quoted() -> None:
    assert yaml_text({"a": "on", "b": "2026-11-25", "c": "1e3"}) == 'a: "on"\nb: "2026-11-25"\nc: "1e3"\n'
