"""The grants of a running server, after acts were added to its ledger or the ledger was replaced by another copy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from minimize.access.entitlements import Grants
from minimize.checkpoints import at_checkpoint
from minimize.keys import Keyring
from minimize.ledger import Actor, AuditActivity, Resource, find_ledger
from minimize.ledger.acts import Decision
from minimize.ledger.kinds import GRANT, GrantAct
from minimize.ledger.ledger import Ledger, open_ledger
from minimize.server.authorizer import Authorizer
from minimize.times import utc_now
from tests.project import write_keyring

NOW = datetime(2026, 11, 25, tzinfo=UTC)
GRANTED = AuditActivity("grant", "tests", "access").event(
    "request", Actor("user", user="sam"), NOW, Resource("g1", "grant", "grants/g1")
)


@pytest.fixture(name="keys")
def _keys(tmp_path: Path) -> Keyring:
    return write_keyring(tmp_path / "test.keys")


@pytest.fixture(name="ledger")
def _ledger(tmp_path: Path, keys: Keyring) -> Iterator[Ledger]:
    with open_ledger(find_ledger(tmp_path / "ledger.db"), create=True, verifier=keys) as ledger:
        yield ledger


def record(ledger: Ledger, keys: Keyring, *steps: tuple[str, str]) -> None:
    """Records steps, each the id of a grant and its state."""
    acts = [GRANT.act(GrantAct(grant, state, "sam", {}, NOW)) for grant, state in steps]
    ledger.record(lambda _: Decision(None, acts, [GRANTED]), keys)


def states(grants: Grants) -> dict[str, list[str]]:
    """The states of each grant, in the order of recording."""
    return {each.id: [act.state for act in each.acts] for each in grants.all_grants}


def test_of_earlier_acts_only_the_last_is_read_again(tmp_path: Path, ledger: Ledger, keys: Keyring) -> None:
    record(ledger, keys, *((f"g{number}", "requested") for number in range(20)))
    authorizer = Authorizer(tmp_path / "access.yaml", ledger, utc_now)
    before = authorizer.grants()
    record(ledger, keys, ("g7", "approved"), ("g20", "requested"))
    read: list[str] = []
    with at_checkpoint("act.read", read.append):
        after = authorizer.grants()
        assert authorizer.grants() is after
    assert len(read) == 3
    assert states(after) == {**states(before), "g7": ["requested", "approved"], "g20": ["requested"]}
    assert after.all_grants[0] is before.all_grants[0]
    assert states(before)["g7"] == ["requested"]


@pytest.mark.parametrize("grants", [[], ["g2"], ["g2", "g3", "g4"]])
def test_all_acts_of_another_copy_of_the_ledger_are_read(
    tmp_path: Path, ledger: Ledger, keys: Keyring, grants: list[str]
) -> None:
    record(ledger, keys, ("g1", "requested"))
    authorizer = Authorizer(tmp_path / "access.yaml", ledger, utc_now)
    ledger.close()
    backup = (tmp_path / "ledger.db").read_bytes()
    record(ledger, keys, ("g1", "approved"), ("g1", "revoked"))
    assert states(authorizer.grants()) == {"g1": ["requested", "approved", "revoked"]}
    ledger.close()
    os.remove(tmp_path / "ledger.db")
    with os.fdopen(os.open(tmp_path / "ledger.db", os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
        file.write(backup)
    with open_ledger(find_ledger(tmp_path / "ledger.db")) as copy:
        for grant in grants:
            record(copy, keys, (grant, "requested"))
        assert states(authorizer.grants()) == {grant: ["requested"] for grant in ["g1", *grants]}
