"""The receipt of an expiry: counts, whose retention was applied, and no values."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest

from minimize.errors import ConfigurationError
from minimize.policy.load import load_policy
from minimize.receipts import sha256_text
from minimize.removal.rewrite import loaded_bytes
from tests.governance.retention.daily import START, Daily

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RAN = START + DAY


def test_it_follows_the_rows_of_the_records_and_balances(day: Daily) -> None:
    (receipt,) = day.expire(RAN, events=day.events("east,d1,subject_left,2026-01-02T00:00:00Z")).receipts
    assert (receipt.rows.read, receipt.rows.written, receipt.rows.gated) == (12, 10, 2)
    assert receipt.gated_by.erased == 2
    assert (receipt.kind, receipt.dates, receipt.engine) == ("expire", ("2026-01-01",), "local")
    assert receipt.outputs["records"].rows == 10


def test_fields_tell_what_went_of_those_that_stay(day: Daily) -> None:
    (receipt,) = day.expire(RAN + HOUR).receipts
    place, note = receipt.fields["place"], receipt.fields["note"]
    assert (place.values, place.gated, note.values, note.gated) == (12, 6, 12, 0)


def test_it_names_the_policy_whose_retention_was_applied_and_that_of_the_files(day: Daily) -> None:
    day.policy(version=2, retention="1d")
    (receipt,) = day.expire(RAN + HOUR).receipts
    assert receipt.retention is not None
    assert (receipt.policy.version, receipt.retention.version) == (1, 2)
    assert receipt.files["retention.yaml"] == receipt.retention.digest


def test_it_lists_the_aggregates_that_stay_on_its_own_dates(day: Daily) -> None:
    shutil.rmtree(day.folder / "data")
    (receipt,) = day.expire(RAN, events=day.events("east,d1,subject_left,2026-01-02T00:00:00Z")).receipts
    assert receipt.stays == {"daily": ("2026-01-01",)}


def test_a_file_that_goes_whole_is_removed_and_not_replaced(day: Daily) -> None:
    (receipt,) = day.expire(RAN + 30 * DAY).receipts
    assert receipt.replaces == ()
    assert sorted(file.path.split("/")[0] for file in receipt.removes) == ["daily", "records"]
    assert receipt.rows.gated == receipt.gated_by.retention == 12


def test_the_policy_is_told_as_it_was_loaded_and_not_as_it_was_changed_since(day: Daily) -> None:
    path = day.folder / "policy.yaml"
    policy = load_policy(path)
    assert sha256_text(loaded_bytes(policy)) == policy.digest
    path.write_text(path.read_text() + "\n")
    with pytest.raises(ConfigurationError, match="changed while this command was running"):
        loaded_bytes(policy)
