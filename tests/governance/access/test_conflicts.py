from __future__ import annotations

import pytest

from minimize.governance.access.roles import BUILTIN_ROLES, find_conflict


@pytest.mark.parametrize("name", BUILTIN_ROLES)
def test_no_built_in_role_is_in_its_own_way(name: str) -> None:
    assert find_conflict([BUILTIN_ROLES[name]]) is None


def test_roles_that_get_along_are_left_alone() -> None:
    assert (
        find_conflict([BUILTIN_ROLES["analyst"], BUILTIN_ROLES["operator"], BUILTIN_ROLES["support_engineer"]]) is None
    )


def test_conflicting_roles_are_named() -> None:
    pair = [BUILTIN_ROLES["support_engineer"], BUILTIN_ROLES["analyst"], BUILTIN_ROLES["privacy_officer"]]
    assert find_conflict(pair) == ("support_engineer", "privacy_officer")
    assert find_conflict([BUILTIN_ROLES["analyst"], BUILTIN_ROLES["operator"]], [("operator", "analyst")]) == (
        "analyst",
        "operator",
    )
