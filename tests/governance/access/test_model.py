from __future__ import annotations

from minimize.governance.access import UserAccount
from minimize.governance.access.model import same_dataset
from tests.governance.access.factory import access_of
from tests.world import assignment


def test_groups_are_those_of_the_file_and_those_that_it_leaves_to_others() -> None:
    access = access_of(
        assignment("analyst", groups=("insights", "guests")), groups={"insights": ["ann"], "guests": "external"}
    )
    assert access.groups_of(UserAccount("ann")) == {"insights"}
    assert access.groups_of(UserAccount("eve", frozenset({"insights", "guests", "elsewhere"}))) == {"guests"}


def test_people_are_told_apart_by_their_accounts_and_groups() -> None:
    access = access_of(people={"Sam": ["sam", "samuel"]}, groups={"support": ["sam", "sue"], "site": ["samuel", "pia"]})
    assert not access.are_separate("sam", "sam")
    assert not access.are_separate("samuel", "sam")
    assert not access.are_separate("sue", "sam")
    assert not access.are_separate("pia", "sam")
    assert access.are_separate("olga", "sam")
    assert access.are_separate("pia", "sue")


def test_a_pipelines_name_alone_is_that_of_its_records() -> None:
    assert same_dataset("telemetry", "telemetry/records")
    assert not same_dataset("telemetry", "telemetry/fleet")
