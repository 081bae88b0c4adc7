from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from minimize.access.entitlements import coarsest_view, shows_less, views_of_column
from minimize.access.roles import BUILTIN_ROLES, RoleView, find_conflict, is_view_step
from minimize.techniques import TECHNIQUES, Technique
from tests.governance.access.factory import access_of


@pytest.mark.parametrize("name", BUILTIN_ROLES)
def test_no_built_in_role_is_in_its_own_way(name: str) -> None:
    assert find_conflict([BUILTIN_ROLES[name]]) is None


PUBLISHED = {
    "help_desk_operator": {"audit/read", "roles/read", "remote_tasks/locate", "function/read"},
    "policy_and_profile_manager": {"function/read"},
    "application_manager": {"function/read"},
    "read_only_operator": {"audit/read", "roles/read", "function/read"},
    "school_administrator": {"audit/read", "remote_tasks/locate", "function/read"},
    "role_administrator": {"roles/read", "roles/assign"},
}
"""The permissions of the service's built-in roles for audit data, roles, locating a device and connections to third parties."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_role_of_the_service_has_the_permissions_that_the_service_publishes(name: str) -> None:
    comparable = {"audit/read", "roles/read", "roles/assign", "remote_tasks/locate", "function/read"}
    assert {each.name for each in BUILTIN_ROLES[name].allow} & comparable == PUBLISHED[name]


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


def view(way: Any) -> RoleView:
    """A view as a file says it."""
    roles = {"mine": {"copy": "analyst", "views": {"d": {"c": way}}}}
    return access_of(roles=roles).roles["mine"].views["d"]["c"]


HOUR, DAY, WEEK, MONTH = (view({"truncate_time": {"to": unit}}) for unit in ("hour", "day", "week", "month"))
PRESENCE = view("presence")


@pytest.mark.parametrize(
    ("views", "expected"),
    [
        ((), ()),
        ((DAY,), DAY),
        ((HOUR, DAY, DAY), DAY),
        ((HOUR, DAY, MONTH), MONTH),
        ((DAY, WEEK), WEEK),
        ((WEEK, MONTH), None),
        ((WEEK, MONTH, PRESENCE), PRESENCE),
        ((DAY, view({"round": {"to": 10}})), None),
        ((view({"mask": {"keep_last": 4}}), view({"mask": {"keep_last": 2}})), view({"mask": {"keep_last": 2}})),
        ((view({"mask": {"keep_last": 4}}), view({"mask": {"keep_first": 2}})), None),
    ],
)
def test_the_coarsest_view_counts_in_any_order(views: tuple[RoleView, ...], expected: RoleView | None) -> None:
    assert {coarsest_view(order) for order in permutations(views)} == {expected}


def test_only_what_needs_nothing_but_the_value_can_be_a_view() -> None:
    def needs(kind: Any, **said: Any) -> bool:
        return not is_view_step(kind.model_validate(said))

    assert needs(TECHNIQUES["pseudonymize"], key="k", per="tenant_id")
    assert needs(TECHNIQUES["tokenize"], key="k", per="tenant_id")
    assert needs(TECHNIQUES["top"], keep=5, other="other")
    assert all(isinstance(step, Technique) for step in (*DAY, *PRESENCE))


def test_a_view_that_the_output_has_already_shows_no_less() -> None:
    assert shows_less(DAY, HOUR)
    assert not shows_less(DAY, DAY)
    assert not shows_less(HOUR, DAY)
    assert shows_less(PRESENCE, DAY)


def test_a_view_by_a_table_of_values_counts_once() -> None:
    by_name = view({"map": {"values": {"A": "old"}, "otherwise": "new"}})
    assert coarsest_view([by_name, by_name]) == by_name
    roles = {"mine": {"copy": "analyst", "views": {"d": {"c": {"map": {"values": {"A": "old"}, "otherwise": "new"}}}}}}
    assert views_of_column(access_of(roles=roles).roles["mine"], "d", "c") == [by_name]
