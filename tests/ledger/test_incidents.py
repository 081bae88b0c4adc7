"""Steps about incidents, on each database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from minimize.errors import ConfigurationError, LedgerError
from minimize.keys import Keyring
from minimize.ledger import Address, AuditEvent
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_log import EntryFilter
from minimize.ledger.incidents import IncidentStep, read_incident_steps, record_incident_step
from minimize.ledger.ledger import Ledger
from tests.ledger.ledgers import by_hand, event

NOW = datetime(2026, 11, 25, 8, 30, 15, 123456, tzinfo=UTC)
OPENED = IncidentStep("INC-1", "opened", "ann", '{"title": "a lost disk"}', NOW)
SCOPED = IncidentStep("INC-1", "scoped", "bob", "{}", NOW)


def test_steps_come_back_as_they_were_recorded(ledger: Ledger, keys: Keyring) -> None:
    record_incident_step(ledger, lambda _: (OPENED, event()), keys)
    assert record_incident_step(ledger, lambda _: (SCOPED, event(1)), keys) == [OPENED, SCOPED]
    assert read_incident_steps(ledger) == [OPENED, SCOPED]


def test_a_step_and_its_entry_in_the_log_are_kept_together(ledger: Ledger, keys: Keyring) -> None:
    record_incident_step(ledger, lambda _: (OPENED, event(activity="incident")), keys)
    assert len(find_entries(ledger, EntryFilter(activity="incident"))) == 1


def test_what_is_meant_sees_all_steps_and_may_refuse(ledger: Ledger, keys: Keyring) -> None:
    record_incident_step(ledger, lambda _: (OPENED, event()), keys)

    def refused(before: Sequence[IncidentStep]) -> tuple[IncidentStep, AuditEvent]:
        assert before == [OPENED]
        raise ConfigurationError("it is there")

    with pytest.raises(ConfigurationError):
        record_incident_step(ledger, refused, keys)
    assert read_incident_steps(ledger) == [OPENED]


@pytest.mark.parametrize("statement", ["DELETE FROM incidents", "UPDATE incidents SET body = ''"])
def test_the_database_refuses_to_change_or_remove_a_step(
    ledger: Ledger, address: Address, keys: Keyring, statement: str
) -> None:
    record_incident_step(ledger, lambda _: (OPENED, event()), keys)
    with pytest.raises(Exception, match="append-only"):
        by_hand(address, statement)
    assert read_incident_steps(ledger) == [OPENED]


def test_without_a_signing_key_nothing_is_recorded(ledger: Ledger) -> None:
    class Nobody:
        def sign(self, content: bytes) -> tuple[str, bytes]:
            raise LedgerError("nobody signs")

    with pytest.raises(LedgerError):
        record_incident_step(ledger, lambda _: (OPENED, event()), Nobody())
    assert read_incident_steps(ledger) == []
