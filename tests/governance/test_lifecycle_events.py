"""Lifecycle events of tenants and subjects, from files of three kinds and from the ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.datasets.lifecycle_events import (
    REMOVAL_DEADLINES,
    RetentionEvent,
    effective_events,
    ledger_events,
    load_events,
    parse_events,
    recorded_forms,
)
from minimize.errors import KeyringError, PolicyError
from minimize.keys import Keyring, add_key, new_keyring
from minimize.ledger import Address
from minimize.ledger.ledger import open_ledger
from minimize.ledger.subject_kinds import LIFECYCLE_EVENT, LifecycleEvent
from minimize.ledger.subject_tokens import subject_token
from tests.acts import record_acts
from tests.ledger.ledgers import event

AT = "2026-05-01T12:00:00+02:00"


def row(**changes: Any) -> dict[str, Any]:
    return {"tenant_id": "north", "subject": "d1", "event": "subject_left", "at": AT, **changes}


def fault(**changes: Any) -> str:
    with pytest.raises(PolicyError) as error:
        parse_events([(7, row(**changes))], "events.csv")
    (finding,) = error.value.findings
    assert (finding.file, finding.line) == ("events.csv", 7)
    assert "d1" not in str(error.value)
    return finding.code


def test_an_event_has_tenant_subject_kind_and_time() -> None:
    assert parse_events([(1, row())], "f") == (
        RetentionEvent("north", "subject_left", datetime(2026, 5, 1, 10, tzinfo=UTC), "d1"),
    )


def test_a_repeated_event_counts_once() -> None:
    assert len(parse_events([(1, row()), (2, row())], "f")) == 1


@pytest.mark.parametrize(
    ("kind", "days"), [("tenant_closed", 180), ("subject_left", 30), ("became_personal", 7), ("reset", 30)]
)
def test_each_kind_has_its_time_limit(kind: Any, days: int) -> None:
    event = RetentionEvent("north", kind, datetime(2026, 5, 1, tzinfo=UTC))
    assert (event.deadline - event.occurred_at).days == days == REMOVAL_DEADLINES[event.kind].days


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tenant_id": ""}, "G002"),
        ({"at": "yesterday"}, "G003"),
        ({"at": "2026-05-01"}, "G003"),
        ({"at": "2026-05-01T12:00:00"}, "G003"),
        ({"event": "moved"}, "G004"),
        ({"subject": ""}, "G005"),
        ({"event": "tenant_closed"}, "G006"),
    ],
)
def test_a_faulty_row_is_reported_by_its_line_and_without_its_values(changes: dict[str, Any], code: str) -> None:
    assert fault(**changes) == code


def test_an_event_does_not_print_its_subject() -> None:
    assert "d1" not in repr(parse_events([(1, row())], "f"))


FILE_EVENT_TIME = datetime(2026, 5, 1, tzinfo=UTC)


ROWS: list[dict[str, Any]] = [
    {"tenant_id": "north", "subject": "d1", "event": "reset", "at": "2026-05-01T00:00:00Z"},
    {"tenant_id": "south", "subject": None, "event": "tenant_closed", "at": "2026-05-01T00:00:00Z"},
]


EVENTS = (
    RetentionEvent("north", "reset", FILE_EVENT_TIME, "d1"),
    RetentionEvent("south", "tenant_closed", FILE_EVENT_TIME),
)


def test_csv_ndjson_and_parquet_give_the_same_events(tmp_path: Path) -> None:
    csv, ndjson, parquet = (tmp_path / f"events.{kind}" for kind in ("csv", "ndjson", "parquet"))
    lines = [f"{row['at']},{row['event']},{row['tenant_id']},{row['subject'] or ''}" for row in ROWS]
    csv.write_text("\n".join(["at,event,tenant_id,subject", *lines]))
    ndjson.write_text("\n".join(json.dumps(row) for row in ROWS))
    pq.write_table(pa.Table.from_pylist([{**row, "at": FILE_EVENT_TIME} for row in ROWS]), parquet)
    assert load_events(csv) == load_events(ndjson) == load_events(parquet) == EVENTS


def test_a_file_without_subjects_is_about_whole_tenants(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("tenant_id,event,at\nsouth,tenant_closed,2026-05-01T00:00:00Z\n")
    assert load_events(path) == EVENTS[1:]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"tenant_id,at\nnorth,2026-05-01T00:00:00Z\n"])
def test_an_unreadable_file_is_refused_without_its_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(content)
    with pytest.raises(PolicyError) as error:
        load_events(path)
    assert [finding.code for finding in error.value.findings] == ["G001"]
    assert error.value.__context__ is None


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
@pytest.mark.parametrize("header", ["Subject", "subject ", "sub\u200bject", "subjects", "id", "user_id"])
def test_a_misspelt_column_of_subjects_does_not_make_an_event_of_the_whole_tenant(
    tmp_path: Path, header: str, kind: str
) -> None:
    found = [write_event(tmp_path / f"{number}.{kind}", name) for number, name in enumerate((header, "subject"))]
    with pytest.raises(PolicyError) as error:
        load_events(found[0])
    assert [(finding.code, finding.field) for finding in error.value.findings] == [("G001", "subject")]
    assert load_events(found[1]) == (RetentionEvent("north", "erasure", FILE_EVENT_TIME, "d1"),)


def write_event(path: Path, name: str) -> Path:
    """A file with an erasure whose subject is in the column of this name."""
    row = {"tenant_id": "north", name: "d1", "event": "erasure", "at": "2026-05-01T00:00:00Z"}
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([row]), path)
    else:
        csv = f"{','.join(row)}\n{','.join(row.values())}\n"
        path.write_text(csv if path.suffix == ".csv" else json.dumps(row))
    return path


def test_a_column_of_subjects_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("tenant_id,subject,event,at,subject\nnorth,d1,erasure,2026-05-01T00:00:00Z,\n")
    with pytest.raises(PolicyError) as error:
        load_events(path)
    assert [finding.code for finding in error.value.findings] == ["G001"]


@pytest.mark.parametrize("name", ["field", "Field"])
def test_an_event_file_that_names_a_field_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(f"tenant_id,subject,{name},event,at\nnorth,d1,user_id,erasure,2026-05-01T00:00:00Z\n")
    with pytest.raises(PolicyError) as error:
        load_events(path)
    assert [(finding.code, finding.line) for finding in error.value.findings] == [("G001", 2)]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError):
        load_events(tmp_path / "none.parquet")


LEDGER_EVENT_TIME = datetime(2026, 5, 1, tzinfo=UTC)

CLOSED = LifecycleEvent("north", None, "tenant_closed", LEDGER_EVENT_TIME, "recorded", "{}", LEDGER_EVENT_TIME, "ann")


@pytest.fixture(name="keys")
def _keys(tmp_path: Path) -> Keyring:
    return new_keyring(tmp_path / "test.keys", now=LEDGER_EVENT_TIME)


def left(keys: Keyring, subject: str, forms: str = "{}") -> LifecycleEvent:
    return replace(CLOSED, subject=subject_token(keys, "north", subject), kind="subject_left", forms=forms)


def test_the_last_row_of_an_event_decides_and_all_rows_contribute_forms(keys: Keyring) -> None:
    first, second = left(keys, "d1", '{"a": ["x"]}'), left(keys, "d1", '{"b": ["y"]}')
    taken_back = replace(CLOSED, state="withdrawn")
    (found,) = effective_events([first, CLOSED, second, taken_back], CLOSED.recorded_at)
    assert (found.token, found.subject, found.forms) == (first.subject, None, {"a": ("x",), "b": ("y",)})


def test_a_kind_that_a_later_version_has_is_passed_over() -> None:
    assert list(effective_events([replace(CLOSED, kind="something_new")], CLOSED.recorded_at)) == []


def test_forms_are_read_back(keys: Keyring) -> None:
    assert recorded_forms(left(keys, "d1", '{"a": ["x", "y"]}')) == {"a": ("x", "y")}


def events_of(address: Address, keys: Keyring, given: Sequence[RetentionEvent] = ()) -> tuple[RetentionEvent, ...]:
    with open_ledger(address, verifier=keys) as ledger:
        return ledger_events(ledger, keys, given)


def test_an_event_that_is_also_in_a_file_is_taken_from_the_file(tmp_path: Path, keys: Keyring) -> None:
    address = Address(tmp_path / "ledger.db")
    with open_ledger(address, create=True) as ledger:
        for number, row in enumerate([CLOSED, left(keys, "d1"), left(keys, "d2")]):
            record_acts(ledger, keys, LIFECYCLE_EVENT, row, event=event(number))
    add_key(keys.path, "subject", now=LEDGER_EVENT_TIME + timedelta(days=1))
    newer = Keyring.load(keys.path)
    assert len(events_of(address, newer)) == 3
    given = [
        RetentionEvent("north", "tenant_closed", LEDGER_EVENT_TIME),
        RetentionEvent("north", "subject_left", LEDGER_EVENT_TIME, "d1"),
    ]
    (found,) = events_of(address, newer, given)
    assert found.token == subject_token(keys, "north", "d2")
    assert (
        len(
            events_of(address, newer, [RetentionEvent("north", "subject_left", LEDGER_EVENT_TIME + timedelta(1), "d1")])
        )
        == 3
    )


def test_a_token_of_a_key_that_is_not_there_stops_it(tmp_path: Path, keys: Keyring) -> None:
    address = Address(tmp_path / "ledger.db")
    with open_ledger(address, create=True) as ledger:
        record_acts(ledger, keys, LIFECYCLE_EVENT, replace(CLOSED, subject=f"subject/7:{64 * '0'}", kind="reset"))
    with pytest.raises(KeyringError, match="subject/7"):
        events_of(address, keys)
