from __future__ import annotations

import pytest

from minimize.governance.access.builtin import BUILTIN
from minimize.governance.access.conflicts import clash


@pytest.mark.parametrize("name", BUILTIN)
def test_no_built_in_role_is_in_its_own_way(name: str) -> None:
    assert clash([BUILTIN[name]]) is None


def test_roles_that_get_along_are_left_alone() -> None:
    assert clash([BUILTIN["analyst"], BUILTIN["operator"], BUILTIN["support_engineer"]]) is None


def test_conflicting_roles_are_named() -> None:
    pair = [BUILTIN["support_engineer"], BUILTIN["analyst"], BUILTIN["privacy_officer"]]
    assert clash(pair) == ("support_engineer", "privacy_officer")
    assert clash([BUILTIN["analyst"], BUILTIN["operator"]], [("operator", "analyst")]) == ("analyst", "operator")
