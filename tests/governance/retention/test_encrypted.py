"""Expiry and retraction on outputs that are encrypted: the same as on plain ones, and what was encrypted stays so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

import minimize
from minimize.errors import RefusedError
from minimize.keys import add_key, new_keyring
from minimize.keys.keyring import destroy_key
from minimize.keys.parquet_footer import read_encrypted_columns
from minimize.removal.retract import retract
from tests.governance.retention.daily import START, Daily, rows
from tests.leak.canary import Canary
from tests.leak.sweep import found
from tests.project import Builds

FIRST = date(2026, 1, 1)
DAY = timedelta(days=1)


def shut_content(project: Daily) -> None:
    """A project that demands encryption, and in which one day was run."""
    (project.folder / "minimize.yaml").write_text("keys: test.keys\naccess: {encrypt: by_category}\n")
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, START + DAY)


@pytest.fixture(name="shut")
def _shut(builds: Builds, project: Daily) -> Daily:
    return builds.fill(project, shut_content)


def masters(project: Daily) -> Iterator[str]:
    for file in minimize.files(project.out):
        yield from read_encrypted_columns(Path(file)).masters.values()


def test_values_past_their_retention_are_removed_and_the_rest_stays_encrypted(shut: Daily) -> None:
    (receipt,) = shut.expire(START + 2 * DAY).receipts
    assert {row["place"] for row in shut.rows()} == {None}
    assert {row["note"] for row in shut.rows()} == {f"note-{row.name}" for row in rows(FIRST)}
    assert set(masters(shut)) == {"encrypt.pseudonymized/1"}
    assert receipt.outputs["records"].files[0].keys == ("encrypt.footer/1", "encrypt.pseudonymized/1")
    shut.verified()


def test_rewritten_files_have_the_newest_key_version(shut: Daily) -> None:
    add_key(shut.keys, "encrypt.pseudonymized", now=START)
    (receipt,) = shut.expire(START + 2 * DAY).receipts
    assert set(masters(shut)) == {"encrypt.pseudonymized/2"}
    assert receipt.keys == ("device/1", "encrypt.footer/1", "encrypt.pseudonymized/2")
    shut.verified()


def test_whole_days_go_without_a_look_inside(shut: Daily) -> None:
    shut.expire(START + 40 * DAY)
    assert shut.rows() == []


def test_a_subject_is_found_by_its_index_and_removed(shut: Daily) -> None:
    shut.expire(START + DAY, events=shut.events("north,d0,subject_left,2026-01-01T23:59:00Z"))
    assert not any(row["note"].startswith("note-north-d0") for row in shut.rows())
    assert len(shut.rows()) == len(rows(FIRST)) - 2
    shut.verified()


def test_nothing_of_what_went_or_stayed_is_found_in_the_files(shut: Daily) -> None:
    shut.expire(START + 2 * DAY)
    notes = [Canary(row.name, text) for row in rows(FIRST) for text in (f"note-{row.name}", f"place-{row.name}")]
    assert found(notes, shut.out) == set()


def test_a_retraction_from_the_output_keeps_it_encrypted(shut: Daily) -> None:
    for path in shut.folder.glob("data/*/*"):
        path.unlink()
    shut.policy({"note": {"type": "string", "do": "drop"}})
    retract(shut.out, yes=True, at=START + DAY + timedelta(hours=1), keys=shut.keys)
    assert {row["note"] for row in shut.rows()} == {None}
    assert set(masters(shut)) == {"encrypt.pseudonymized/1"}
    shut.verified()


def test_a_retraction_from_the_source_encrypts_as_the_run_did(shut: Daily) -> None:
    shut.policy({"note": {"type": "string", "do": "drop"}})
    retract(shut.out, yes=True, at=START + DAY + timedelta(hours=1), keys=shut.keys)
    assert "note" not in shut.rows()[0]
    assert set(masters(shut)) == {"encrypt.pseudonymized/1"}
    shut.verified()


def test_without_the_key_nothing_is_changed(shut: Daily) -> None:
    before = sorted(path.read_bytes() for path in shut.out.rglob("*.parquet"))
    other = new_keyring(shut.folder / "other.keys", ("device",), now=START)
    with pytest.raises(RefusedError, match="does not have the key signing/1"):
        shut.expire(START + 2 * DAY, keys=other)
    destroy_key(shut.keys, "encrypt.pseudonymized", 1, now=START)
    assert shut.expire(START + 2 * DAY).plan.unreadable
    assert sorted(path.read_bytes() for path in shut.out.rglob("*.parquet")) == before
