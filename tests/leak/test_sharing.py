"""Nothing that stays is found in what leaves: in payloads of every kind, the ledger, the log, errors and accounts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
import time_machine

from minimize.errors import NotPermitted
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from tests.governance.sharing.sender import NOW, RECORDS, Sender
from tests.leak.canary import Canary
from tests.leak.sweep import found
from tests.leak.test_memory import written

CANARIES = (
    Canary("dropped text", "CANARY-note-1f7be2"),
    Canary("other purpose", "+336CANARY12345678"),
    Canary("outside the manifest", "CANARY-serial-99a0"),
    Canary("pseudonymized", "CANARY-device-77ab"),
    Canary("undeclared", "CANARY-extra-5b5b"),
    Canary("a tenant that did not agree", "CANARY-model-of-west"),
    Canary("outside the manifest, a number", 48.856613371337),
)
VALUE = {canary.place: canary.value for canary in CANARIES}


def planted() -> pa.Table:
    """The records with a canary in everything that must stay."""
    rows = RECORDS.to_pylist()
    for number, row in enumerate(rows):
        row["note"], row["phone"], row["serial"] = (
            VALUE[place] for place in ("dropped text", "other purpose", "outside the manifest")
        )
        row["device_id"] = f"{VALUE['pseudonymized']}{number % 2}"
        row["extra"], row["latitude"] = VALUE["undeclared"], VALUE["outside the manifest, a number"]
    rows[3]["model"] = VALUE["a tenant that did not agree"]
    return pa.Table.from_pylist(rows, RECORDS.schema)


@pytest.fixture(name="sender")
def _sender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sender:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept").mkdir()
    return Sender(tmp_path / "kept").agree("north", "south")


@pytest.mark.parametrize("ending", ["parquet", "csv", "ndjson"])
def test_files_ledger_and_log_hold_nothing_that_stays(
    sender: Sender, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with open_ledger(find_ledger(sender.ledger)) as reader:  # keeps the write-ahead log where it is
        sender.share(planted(), to=sender.folder / f"payload.{ending}")
        reader.read(lambda connection: connection.driver.in_transaction)
        assert sender.ledger.with_name("ledger.db-wal").stat().st_size > 0
        assert found(CANARIES, sender.folder) == set()
    assert found(CANARIES, caplog.text.encode()) == set()


def test_a_payload_in_memory_holds_no_withheld_value(sender: Sender) -> None:
    given = sender.share(planted())
    assert given.num_rows == 3
    assert set().union(*(found(CANARIES, text) for text in written(given))) == set()


def test_refusals_and_accounts_reveal_no_withheld_value(sender: Sender, caplog: pytest.LogCaptureFixture) -> None:
    for tenant in ("north", "south"):
        sender.consent(tenant, "withdrawn", at=NOW - timedelta(hours=1))
    with pytest.raises(NotPermitted) as caught:
        sender.share(planted())
    account = sender.dry(planted())
    told = [repr(caught.value), str(caught.value.to_json()), str(account), repr(account), str(account.to_json())]
    assert found(CANARIES, " ".join([*told, caplog.text]).encode()) == set()
    assert caught.value.__context__ is None
    assert found(CANARIES, sender.folder) == set()


def test_a_payload_that_is_stopped_leaves_nothing_behind(sender: Sender) -> None:
    def stopped(clock: time_machine.Traveller) -> Iterator[pa.RecordBatch]:
        first, *rest = planted().to_batches(max_chunksize=1)
        yield first
        sender.consent("north", "withdrawn", at=NOW + timedelta(seconds=1))
        clock.shift(timedelta(hours=1))
        yield from rest

    with time_machine.travel(NOW, tick=False) as clock:
        data = pa.RecordBatchReader.from_batches(RECORDS.schema, stopped(clock))
        with pytest.raises(NotPermitted) as caught:
            sender.share(data, clock=None, to=sender.folder / "payload.parquet")
    assert caught.value.__context__ is None
    assert {path.name.partition("-")[0] for path in sender.folder.iterdir()} <= {"ledger.db", "test.keys"}


def test_the_control_finds_what_was_planted(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(planted(), tmp_path / "control.parquet")
    assert found(CANARIES, tmp_path) == {canary.place for canary in CANARIES}
