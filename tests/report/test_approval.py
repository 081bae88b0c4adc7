from __future__ import annotations

from minimize.policy.approval import approval_digest
from minimize.policy.load import load_policy
from minimize.report.facts import Approved
from tests.job.house import House, events
from tests.report.telling import facts


def said(house: House, digest: str | None) -> Approved:
    house.brings(events(20))
    if digest is not None:
        house.policy(approved={"by": "ann", "on": "2026-11-20", "digest": digest})
    house.run()
    (policy,) = facts(house).policies
    return policy.approved


def test_a_policy_that_was_approved_as_it_ran_says_yes(house: House) -> None:
    assert said(house, approval_digest(load_policy(house.folder / "policy.yaml"))) == "yes"


def test_one_that_was_changed_since_says_no(house: House) -> None:
    assert said(house, "sha256:" + "0" * 64) == "no"


def test_one_of_which_nobody_says_anything_is_unknown(house: House) -> None:
    assert said(house, None) == "unknown"
