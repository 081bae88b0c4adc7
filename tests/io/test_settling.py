"""Without a lease nobody writes into a bucket; with one that is lost nothing is published."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from minimize.errors import LedgerError, OutputError
from minimize.output.folder import ensure_identity, identity_of
from minimize.output.publish import open_output
from minimize.output.reader import recover_bucket
from minimize.stores import ObjectPath
from tests.buckets import Bucket

RUN = "20261125T000000Z-000000000000"


@pytest.fixture(name="out")
def _out(bucket: Bucket) -> ObjectPath:
    return bucket.at("out")


def test_a_bucket_without_a_lease_is_refused(bucket: Bucket, out: ObjectPath) -> None:
    with pytest.raises(OutputError, match="under a lease") as caught, open_output(out):
        pass
    assert "ledger" in caught.value.hint
    assert bucket.keys() == []


def test_a_run_that_lets_go_leaves_nothing(bucket: Bucket, out: ObjectPath) -> None:
    with open_output(out, lease=lambda: None) as output, output.begin(RUN) as staging:
        sink = staging.sink("records", None, pa.schema([("n", pa.int64())]))
        sink.write(pa.record_batch({"n": [1, 2]}))
        sink.close()
        assert bucket.keys("out/runs/")
    assert bucket.keys() == []


def test_a_run_that_fails_amid_a_file_leaves_nothing(bucket: Bucket, out: ObjectPath) -> None:
    def fails() -> None:
        with open_output(out, lease=lambda: None) as output, output.begin(RUN) as staging:
            staging.sink("records", None, pa.schema([("n", pa.int64())])).write(pa.record_batch({"n": [1, 2]}))
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        fails()
    assert bucket.keys() == []


def test_a_lease_that_is_lost_is_noticed_before_anything_is_begun(bucket: Bucket, out: ObjectPath) -> None:
    def lost() -> None:
        raise LedgerError("the lease on the output was lost")

    with pytest.raises(LedgerError), open_output(out, lease=lost):
        pass
    assert bucket.keys() == []


def test_where_nothing_was_begun_there_is_nothing_to_settle(
    bucket: Bucket, out: ObjectPath, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MINIMIZE_LEDGER")
    monkeypatch.chdir(tmp_path)
    recover_bucket(out)
    assert bucket.keys() == []


def test_all_who_come_first_give_a_bucket_the_same_identity(bucket: Bucket, out: ObjectPath) -> None:
    first = ensure_identity(out)
    bucket.remove("out/runs/.id")
    assert ensure_identity(out) == first
    assert ensure_identity(bucket.at("other")) != first


def test_an_identity_stays_with_what_was_copied(bucket: Bucket, out: ObjectPath) -> None:
    bucket.put("out/runs/.id", b"0123456789abcdef0123456789abcdef\n")
    assert ensure_identity(out) == identity_of(out) == "0123456789abcdef0123456789abcdef"
    assert ensure_identity(out, other_than="0123456789abcdef0123456789abcdef") != "0123456789abcdef0123456789abcdef"
