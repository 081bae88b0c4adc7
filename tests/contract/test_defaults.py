"""Parameters of techniques: what holds where a policy says nothing, and what no policy may say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from minimize.techniques import TECHNIQUES

SILENT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("top", {"keep": 3, "other": "other"}, {"at_least": 10}),
    ("grid", {}, {"metres": 300.0}),
    ("truncate_ip", {}, {"v4": 24, "v6": 48, "as_": "address"}),
    ("truncate_time", {"to": "hour"}, {"zone": "UTC"}),
    ("bin", {"width": 10}, {"origin": 0, "as_": "lower"}),
    ("age", {"unit": "days"}, {"at": "run"}),
    ("pseudonymize", {"key": "k"}, {"per": None, "rotate": None, "link": None, "fold": False}),
]
NEVER: list[tuple[str, dict[str, Any]]] = [
    ("mask", {"keep_first": 0}),
    ("mask", {"keep_last": 0}),
    ("mask", {"keep_last": 10**30}),
    ("mask", {}),
    ("top", {"keep": 0, "other": "other"}),
    ("top", {"keep": 3, "other": "other", "at_least": 0}),
    ("tokenize", {"key": "k", "per": ""}),
    ("tokenize", {"key": ""}),
    ("pseudonymize", {"key": "k", "per": ""}),
    ("pseudonymize", {"key": "k", "link": ""}),
    ("shift_dates", {"key": "k", "per": "tenant_id", "max_days": 0}),
    ("grid", {"metres": 9}),
    ("h3", {"resolution": 16}),
    ("h3", {"resolution": -1}),
    ("truncate_ip", {"v4": 32}),
    ("truncate_ip", {"v6": 128}),
    ("truncate_version", {"parts": 0}),
    ("truncate_version", {"parts": 17}),
    ("bin", {"width": 0}),
    ("bin", {"edges": [2, 1]}),
    ("clip", {}),
    ("clip", {"min": 2, "max": 1}),
    ("round", {"to": 0}),
    ("redact", {"patterns": []}),
]


@pytest.mark.parametrize(("word", "said", "held"), SILENT, ids=[word for word, _, _ in SILENT])
def test_a_parameter_that_is_left_out_has_the_value_of_the_contract(
    word: str, said: dict[str, Any], held: dict[str, Any]
) -> None:
    technique = TECHNIQUES[word].model_validate(said)
    assert {name: getattr(technique, name) for name in held} == held


@pytest.mark.parametrize(("word", "said"), NEVER, ids=[f"{word} {said}" for word, said in NEVER])
def test_an_empty_or_excessive_parameter_is_refused(word: str, said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TECHNIQUES[word].model_validate(said)
