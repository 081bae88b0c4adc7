"""100,000 random histories of consents, settings and grants in one ledger beside plain references that read act by act."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, islice
from typing import TypeVar

import pyarrow as pa
import pytest

from minimize.access.entitlements import Grant, load_grants
from minimize.consent import Consents, current_terms
from minimize.keys import Keyring
from minimize.ledger.acts import ActReader, Decision, NewAct
from minimize.ledger.audit_event import utc_text
from minimize.ledger.kinds import CONSENT, GRANT, SETTING, ConsentAct, GrantAct, RecordedSetting, find_consents
from minimize.ledger.ledger import Ledger
from minimize.ledger.subject_tokens import subject_token
from minimize.settings import FeatureSwitch
from minimize.settings.tokenized import ledger_rows
from tests.ledger.ledgers import event
from tests.world import vendor

SEED, NOW = 20261125, datetime(2026, 11, 25, tzinfo=UTC)
COUNTS = [1_000, pytest.param(100_000, marks=pytest.mark.nightly)]
SPAN = 6
"""Few hours, so that times are often equal, also to the time of a question."""
ENDINGS = ("refused", "withdrawn", "expired")
STATES = ("requested", "given", "given", "renewed", *ENDINGS)
PARTIES = ("vendor/sync", "vendor/sync", "vendor/sync", "vendor/push", "vendors/sync", "vend/sync")
VENDOR = vendor()
TERMS = current_terms(VENDOR, "sync").text
HOLDERS = ("admin", "user", "developer")
SUBJECT = "device 1"
QUESTIONS = [(3, 3), (5, 2), (4, 0), (SPAN, SPAN)]
"""Hours of a run and of an event."""
A = TypeVar("A")


def hour(number: int) -> datetime:
    return NOW + timedelta(hours=number)


def consent(acts: Sequence[ConsentAct], when: datetime, run: datetime) -> str | None:
    """Why there is no consent at a time, as known to a run; None if there is one. Takes the acts in the order of recording."""
    known = [act for act in acts if act.recorded_at <= run]
    deciding, latest = None, datetime.min.replace(tzinfo=UTC)
    for act in known:
        if act.valid_from <= when and act.state != "requested":
            if act.state in ENDINGS or act.valid_from >= latest:
                deciding = act
            latest = max(latest, act.valid_from)
    if deciding is None:
        later = any(act.state in ("given", "renewed") for act in known)
        requested = any(act.state == "requested" and act.valid_from <= when for act in known)
        return "not_yet" if later else "requested" if requested else "none"
    if deciding.state in ENDINGS:
        return deciding.state
    return "expired" if deciding.expires_at is not None and deciding.expires_at <= when else None


def feature_on(rows: Sequence[RecordedSetting], when: datetime, run: datetime) -> bool:
    """Whether a feature is on for a subject: a holder other than `user` turned it on for the tenant, and none turned it off."""
    last = {}
    for row in sorted(rows, key=lambda row: (row.valid_from, row.recorded_at, row.value == "off")):
        if row.valid_from <= when and row.recorded_at <= run:
            last[row.subject, row.holder] = row.value
    of_tenant = {value for (subject, holder), value in last.items() if subject is None and holder != "user"}
    return "on" in of_tenant and "off" not in last.values()


def grant_state(acts: Sequence[GrantAct], at: datetime) -> str | None:
    """The state of a grant at a time. Takes its acts in the order of recording."""
    first, known = acts[0], [act for act in acts if act.recorded_at <= at]
    if first not in known:
        return None
    state, until = "requested", first.body.get("answer_by", "")
    answers = [act for act in known if act.state in ("approved", "denied")]
    if answers and utc_text(answers[0].recorded_at) < until:
        state = answers[0].state
    if first.state == "broke_glass" or state == "approved":
        state, until = "active", (answers or acts)[0].body["ends_at"]
    if any(act.state == "revoked" and utc_text(act.recorded_at) < until for act in known):
        return "revoked"
    return "expired" if state != "denied" and until <= utc_text(at) else state


def repeated(dice: random.Random, acts: Iterable[A]) -> list[A]:
    """The acts, some of them twice."""
    return [act for act in acts for _ in range(1 + (dice.random() < 0.1))]


def consent_history(dice: random.Random, tenant: str) -> list[ConsentAct]:
    def act() -> ConsentAct:
        recipient, function = dice.choice(PARTIES).split("/")
        begins, recorded, ends = (hour(dice.randint(0, SPAN)) for _ in range(3))
        expires_at = dice.choice([None, None, ends])
        return ConsentAct(tenant, recipient, function, dice.choice(STATES), TERMS, "ann", begins, expires_at, recorded)

    return repeated(dice, (act() for _ in range(dice.randint(0, 7))))


def setting_history(dice: random.Random, tenant: str, token: str) -> list[RecordedSetting]:
    def row() -> RecordedSetting:
        setting, subject = dice.choice(["location", "location", "usage"]), dice.choice([None, None, None, token])
        begins, recorded = (hour(dice.randint(0, SPAN)) for _ in range(2))
        value = dice.choice(["on", "on", "off"])
        return RecordedSetting(tenant, subject, setting, value, dice.choice(HOLDERS), begins, recorded)

    return repeated(dice, (row() for _ in range(dice.randint(0, 6))))


def grant_history(dice: random.Random, grant: str) -> list[GrantAct]:
    """A request or break-glass access, and steps with times in any order."""
    bodies = {"requested": {"answer_by": 2}, "broke_glass": {"ends_at": 3}, "approved": {"ends_at": 5}}

    def act(state: str, recorded: int) -> GrantAct:
        body = {name: utc_text(hour(number)) for name, number in bodies.get(state, {}).items()}
        return GrantAct(grant, state, "pia", body, hour(recorded))

    first = dice.choice(["requested", "requested", "broke_glass"])
    later = ["revoked", "expired", "reviewed", *(["approved", "approved", "denied"] if first == "requested" else [])]
    chosen = dict.fromkeys(dice.sample(later, dice.randint(0, 3)))
    return [act(first, 0), *repeated(dice, (act(state, dice.randint(0, SPAN)) for state in chosen))]


def interleaved(dice: random.Random, *histories: Sequence[NewAct]) -> Iterator[NewAct]:
    """The acts of all histories, in a random order that keeps the order of each."""
    turns = [number for number, history in enumerate(histories) for _ in history]
    dice.shuffle(turns)
    rest = [iter(history) for history in histories]
    return (next(rest[turn]) for turn in turns)


def recorded(acts: Sequence[NewAct], _: ActReader) -> Decision[None]:
    """The decision to record these acts."""
    return Decision(None, acts, [event()])


@pytest.mark.parametrize("count", COUNTS)
def test_the_states_of_random_histories_are_those_of_the_references(ledger: Ledger, keys: Keyring, count: int) -> None:
    dice = random.Random(SEED)
    tenants = [f"t{number}" for number in range(count * 2 // 5)]
    consents = {tenant: consent_history(dice, tenant) for tenant in tenants}
    tokens = {tenant: subject_token(keys, tenant, SUBJECT) for tenant in tenants}
    settings = {tenant: setting_history(dice, tenant, tokens[tenant]) for tenant in tenants}
    grants = {grant: grant_history(dice, grant) for grant in (f"g{number}" for number in range(count // 5))}
    acts = interleaved(
        dice,
        *([CONSENT.act(act) for act in history] for history in consents.values()),
        *([SETTING.act(row, actor="ann") for row in history] for history in settings.values()),
        *([GRANT.act(act) for act in history] for history in grants.values()),
    )
    while batch := list(islice(acts, dice.randint(1, 2_000))):
        ledger.record(partial(recorded, batch), keys)
    check_consents(ledger, consents)
    check_settings(ledger, keys, settings)
    check_grants(ledger, keys, grants)


def check_consents(ledger: Ledger, histories: dict[str, list[ConsentAct]]) -> None:
    """The acts of a recipient and of a tenant are found in order; those of a function decide for each tenant."""
    of_vendor: dict[str, list[ConsentAct]] = {tenant: [] for tenant in histories}
    for act in find_consents(ledger, recipient="vendor"):
        of_vendor[act.tenant_id].append(act)
    assert of_vendor == {
        tenant: [act for act in history if act.recipient == "vendor"] for tenant, history in histories.items()
    }
    for tenant, history in islice(histories.items(), 100):
        assert ledger.find(CONSENT, tenant=tenant) == history
    found = {tenant: ledger.find(CONSENT, tenant=tenant, key="vendor/sync") for tenant in histories}
    sync = {tenant: [act for act in acts if act.function == "sync"] for tenant, acts in of_vendor.items()}
    consents = Consents(tuple(chain.from_iterable(found.values())))
    reasons: set[str | None] = set()
    for run, when in QUESTIONS:
        seen = consents.effective_at(hour(run), hour(when)).evaluate(VENDOR, "sync", pa.array(histories))
        expected = [
            consent(acts, hour(run), hour(run)) or consent(acts, hour(when), hour(run)) for acts in sync.values()
        ]
        assert seen.reasons.to_pylist() == expected
        reasons |= set(expected)
    assert reasons == {None, "none", "requested", "not_yet", "expired", *ENDINGS}


def check_settings(ledger: Ledger, keys: Keyring, histories: dict[str, list[RecordedSetting]]) -> None:
    """The rows of a tenant are found in order, and those of a feature decide for a subject of it."""
    found = {tenant: ledger.find(SETTING, tenant=tenant) for tenant in histories}
    assert found == histories
    assert len(ledger.find(SETTING, key="usage")) == sum(
        row.setting == "usage" for row in chain.from_iterable(histories.values())
    )
    rows = ledger_rows(list(chain.from_iterable(found.values())), keys, "ledger.db")
    location = [[row for row in history if row.setting == "location"] for history in histories.values()]
    tenants, subjects = pa.array(histories), pa.array([SUBJECT] * len(histories))
    for run, when in QUESTIONS:
        times = pa.array([hour(when)] * len(histories), pa.timestamp("us", "UTC"))
        on = rows.effective_at(hour(run)).feature_on(FeatureSwitch("location"), tenants, subjects, times)
        expected = [
            feature_on(own, hour(run), hour(run)) and feature_on(own, hour(when), hour(run)) for own in location
        ]
        assert on.to_pylist() == expected
        assert {True, False} == set(expected)


def check_grants(ledger: Ledger, keys: Keyring, histories: dict[str, list[GrantAct]]) -> None:
    """The acts of a grant are found in order, and decide about its state at any time."""
    assert {each.id: list(each.acts) for each in load_grants(ledger).all_grants} == histories
    seen = set()
    for grant, history in histories.items():
        found = Grant(tuple(ledger.find(GRANT, key=grant)))
        states = [found.state(hour(at)) for at in range(-1, SPAN + 1)]
        assert states == [grant_state(history, hour(at)) for at in range(-1, SPAN + 1)]
        seen |= set(states)
    assert seen == {None, "requested", "active", "denied", "revoked", "expired"}
