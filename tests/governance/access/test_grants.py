"""Histories of a grant against a plain reference that goes through the acts second by second."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.access.entitlements import Grants
from minimize.ledger.kinds import GrantAct
from tests.governance.access.factory import HOUR, NOW, SECOND, act, approved, asked, grant, grants, requested

WAITS, LASTS = 4, 8
"""In the histories below a request waits four seconds for its answer, and access lasts eight."""
STATES = ("approved", "denied", "revoked", "expired", "reviewed")


def seconds(count: int) -> datetime:
    return NOW + count * SECOND


def made(steps: list[tuple[int, str]]) -> list[GrantAct]:
    """A request at second 0, and acts that follow, as the ledger would have them (a state once, whatever the clocks said)."""
    first = act("requested", "sam", NOW, asked=asked().to_json(), answer_by=seconds(WAITS))
    rest = [
        act(state, "pia", seconds(at), ends_at=seconds(at + LASTS) if state == "approved" else None)
        for at, state in steps
    ]
    return [first, *rest]


def reference(steps: list[tuple[int, str]], at: int) -> str | None:
    """The state at a second: the acts are gone through in the ledger's order, among those that were recorded by then."""
    if at < 0:
        return None
    known = [(when, state) for when, state in steps if when <= at]
    answers = [(when, state) for when, state in known if state in ("approved", "denied")]
    answer = answers[0] if answers and answers[0][0] < WAITS else None
    ends = answer[0] + LASTS if answer is not None and answer[1] == "approved" else None
    if any(state == "revoked" and when < (WAITS if ends is None else ends) for when, state in known):
        return "revoked"
    if answer is None:
        return "requested" if at < WAITS else "expired"
    if ends is None:
        return "denied"
    return "active" if at < ends else "expired"


@given(
    st.lists(st.tuples(st.integers(0, 14), st.sampled_from(STATES)), max_size=5, unique_by=lambda step: step[1]),
    st.integers(-2, 26),
)
def test_every_history_matches_the_reference_at_every_second(steps: list[tuple[int, str]], at: int) -> None:
    assert grant(*made(steps)).state(seconds(at)) == reference(steps, at)


@given(st.lists(st.tuples(st.integers(0, 14), st.sampled_from(STATES)), max_size=5, unique_by=lambda step: step[1]))
def test_access_that_ended_never_opens_again(steps: list[tuple[int, str]]) -> None:
    in_order = sorted(steps)
    history = grant(*made(in_order))
    states = [history.state(seconds(at)) for at in range(26)]
    over = [place for place, state in enumerate(states) if state in ("denied", "revoked", "expired")]
    assert not over or all(state != "active" for state in states[over[0] :])


def test_a_denial_that_came_first_is_not_undone() -> None:
    found = grant(requested(), act("denied", "pia", NOW), approved(NOW + SECOND))
    assert found.state(NOW + 2 * SECOND) == "denied"


def test_grants_are_found_by_full_id_account_and_incident() -> None:
    found = grants(requested(grant="a1"), requested(grant="a2", by="sue"), approved(grant="a1"))
    assert [each.id for each in found.all_grants] == ["a1", "a2"]
    assert [each.id for each in found.for_incident("sam", "INC-7")] == ["a1"]
    assert found.find("a") is None
    assert found.find("a2") is found.all_grants[1]


def test_acts_about_a_request_that_was_never_made_are_no_grant() -> None:
    assert Grants((approved(),)).all_grants == ()


@pytest.mark.parametrize("lasts", [SECOND, 8 * HOUR, timedelta(days=1)])
def test_a_grant_is_shown_with_its_times(lasts: timedelta) -> None:
    said = grant(requested(duration=lasts), approved(hours=lasts / HOUR)).to_json(NOW)
    assert said["state"] == "active"
    assert said["duration_s"] == lasts.total_seconds()
    assert said["ends_at"].endswith("Z")
    assert said["answer_by"] == "2026-11-29T12:00:00Z"
    assert said["review"] is None
