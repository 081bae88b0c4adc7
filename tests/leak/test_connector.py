"""A secret that passes through is found in nothing but the connector's hands: no payload, file, ledger, log, error or print."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import time_machine

from minimize.errors import ConfigurationError, NotPermitted
from minimize.governance.sharing.connector import PassThroughSecrets
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from tests.governance.sharing.sender import NOW, RECORDS, Sender
from tests.governance.sharing.test_connector import connected
from tests.leak.canary import Canary
from tests.leak.sweep import found
from tests.leak.test_memory import written

CANARIES = (
    Canary("a password of a tenant that agrees", "CANARY-newPassword-4d1f"),
    Canary("a password of a tenant that does not", "CANARY-newPassword-of-west"),
)
WORDS = [CANARIES[0].value, None, CANARIES[0].value, CANARIES[1].value]
PLANTED = RECORDS.append_column("newPassword", pa.array(WORDS, pa.string()))


@pytest.fixture(name="sender")
def _sender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sender:
    """A sender whose temporary files stand where the sweep looks."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept" / "tmp").mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "kept" / "tmp"))
    return connected(Sender(tmp_path / "kept").agree("north", "south"))


@pytest.mark.parametrize("ending", [None, "parquet", "csv", "ndjson"])
def test_nothing_that_stays_behind_holds_a_secret(
    sender: Sender, ending: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[bool] = []

    def connector(table: pa.Table) -> None:
        seen.append(CANARIES[0].value in table.column("newPassword").to_pylist())

    with open_ledger(find_ledger(sender.ledger)):  # keeps the write-ahead log where it is
        to = None if ending is None else sender.folder / f"payload.{ending}"
        given = sender.share(PLANTED, connector=connector, to=to)
        assert found(CANARIES, sender.folder) == set()
    assert seen == [True]
    assert found(CANARIES, caplog.text.encode()) == set()
    if ending is None:
        assert set().union(*(found(CANARIES, text) for text in written(given))) == set()


def test_a_secret_of_a_subject_without_consent_reaches_no_recipient(sender: Sender) -> None:
    handed: list[pa.Table] = []
    sender.share(PLANTED, connector=handed.append)
    assert set().union(*(found(CANARIES, text) for text in written(handed[0]))) == {CANARIES[0].place}


def test_accounts_and_refusals_and_prints_hold_no_secret(sender: Sender, caplog: pytest.LogCaptureFixture) -> None:
    account = sender.dry(PLANTED, connector=lambda _: None)
    with pytest.raises(NotPermitted) as caught:
        sender.vendor_with("functions.sync.text_version", 9).share(PLANTED, connector=lambda _: None)
    passing = PassThroughSecrets(PLANTED.schema, frozenset({"newPassword"}), PLANTED.to_batches())
    with time_machine.travel(NOW, tick=False):
        act = sender.planned(PLANTED, connector=lambda _: None)
    told = [str(account), repr(account), str(account.to_json()), repr(caught.value), repr(passing), repr(act)]
    assert found(CANARIES, " ".join([*told, caplog.text]).encode()) == set()
    assert caught.value.__context__ is None


def test_a_connector_that_fails_leaves_no_secret_behind(sender: Sender) -> None:
    def fails(_: pa.Table) -> None:
        raise ConnectionError

    with time_machine.travel(NOW, tick=False):
        act = sender.planned(PLANTED, connector=fails)
        with pytest.raises(ConfigurationError) as caught:
            act.execute(PLANTED, sender.folder / "payload.parquet")
    assert (caught.value.code, caught.value.__context__) == ("E212", None)
    assert found(CANARIES, sender.folder) == set()


def test_the_control_is_caught_a_connector_that_writes_what_it_gets(sender: Sender) -> None:
    sender.share(PLANTED, connector=lambda table: pq.write_table(table, sender.folder / "leaked.parquet"))
    assert found(CANARIES, sender.folder) == {CANARIES[0].place}
