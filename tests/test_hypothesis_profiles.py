from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import settings

from tests.hypothesis_profiles import PROFILES, examples, profile_name

TESTS = Path(__file__).parent


@pytest.mark.parametrize(("name", "same"), [("default", True), ("ci", True), ("nightly", False)])
def test_examples_are_drawn_again_in_nightly_only(name: str, same: bool) -> None:
    profile = settings.get_profile(name)
    assert (profile.derandomize, profile.database, profile.deadline) == (same, None, None)


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "default"),
        ({"CI": "true"}, "ci"),
        ({"CI": ""}, "default"),
        ({"CI": "true", "HYPOTHESIS_PROFILE": "nightly"}, "nightly"),
    ],
)
def test_the_environment_selects_the_profile(environ: dict[str, str], name: str) -> None:
    assert profile_name(environ) == name
    assert name in PROFILES


def test_the_examples_of_a_property_scale_with_the_profile() -> None:
    usual = settings().max_examples
    assert (examples(100), examples(300), examples(0)) == (usual, 3 * usual, 1)


def test_no_property_fixes_its_number_of_examples() -> None:
    fixed = re.compile(r"max_examples=\d")
    assert [
        str(path.relative_to(TESTS)) for path in sorted(TESTS.rglob("*.py")) if fixed.search(path.read_text())
    ] == []
