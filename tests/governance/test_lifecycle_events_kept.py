"""Events of the ledger, as an expiry takes them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from minimize.datasets.lifecycle_events import RetentionEvent, effective_events, ledger_events, recorded_forms
from minimize.errors import KeyringError
from minimize.keys import Keyring, add_key, new_keyring
from minimize.ledger import Address
from minimize.ledger.ledger import open_ledger
from minimize.ledger.subject_tokens import subject_token
from minimize.ledger.subjects import LIFECYCLE_EVENT, LifecycleEvent
from tests.acts import record_acts
from tests.ledger.ledgers import event

AT = datetime(2026, 5, 1, tzinfo=UTC)
CLOSED = LifecycleEvent("north", None, "tenant_closed", AT, "recorded", "{}", AT, "ann")


@pytest.fixture(name="keys")
def _keys(tmp_path: Path) -> Keyring:
    return new_keyring(tmp_path / "test.keys", now=AT)


def left(keys: Keyring, subject: str, forms: str = "{}") -> LifecycleEvent:
    return replace(CLOSED, subject=subject_token(keys, "north", subject), kind="subject_left", forms=forms)


def test_the_last_row_of_an_event_says_whether_it_counts_and_all_tell_forms(keys: Keyring) -> None:
    first, second = left(keys, "d1", '{"a": ["x"]}'), left(keys, "d1", '{"b": ["y"]}')
    taken_back = replace(CLOSED, state="withdrawn")
    (found,) = effective_events([first, CLOSED, second, taken_back])
    assert (found.token, found.subject, found.forms) == (first.subject, None, {"a": ("x",), "b": ("y",)})


def test_a_kind_that_a_later_version_has_is_passed_over() -> None:
    assert list(effective_events([replace(CLOSED, kind="something_new")])) == []


def test_forms_are_read_back(keys: Keyring) -> None:
    assert recorded_forms(left(keys, "d1", '{"a": ["x", "y"]}')) == {"a": ("x", "y")}


def test_without_a_ledger_there_are_none(tmp_path: Path, keys: Keyring) -> None:
    assert ledger_events(Address(tmp_path / "ledger.db"), keys) == ()


def test_what_a_file_tells_as_well_is_left_to_the_file(tmp_path: Path, keys: Keyring) -> None:
    address = Address(tmp_path / "ledger.db")
    with open_ledger(address, create=True) as ledger:
        for number, row in enumerate([CLOSED, left(keys, "d1"), left(keys, "d2")]):
            record_acts(ledger, keys, LIFECYCLE_EVENT, row, event=event(number))
    add_key(keys.path, "subject", now=AT + timedelta(days=1))
    newer = Keyring.load(keys.path)
    assert len(ledger_events(address, newer)) == 3
    given = [RetentionEvent("north", "tenant_closed", AT), RetentionEvent("north", "subject_left", AT, "d1")]
    (found,) = ledger_events(address, newer, given)
    assert found.token == subject_token(keys, "north", "d2")
    assert len(ledger_events(address, newer, [RetentionEvent("north", "subject_left", AT + timedelta(1), "d1")])) == 3


def test_a_token_of_a_key_that_is_not_there_stops_it(tmp_path: Path, keys: Keyring) -> None:
    address = Address(tmp_path / "ledger.db")
    with open_ledger(address, create=True) as ledger:
        record_acts(ledger, keys, LIFECYCLE_EVENT, replace(CLOSED, subject=f"subject/7:{64 * '0'}", kind="reset"))
    with pytest.raises(KeyringError, match="subject/7"):
        ledger_events(address, keys)
