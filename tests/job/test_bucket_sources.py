"""Sources in an object store are read as strictly as files, and told in the same words."""

from __future__ import annotations

import gzip
import json
import logging
import shutil
import traceback
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest
import zstandard

import minimize
from minimize.errors import MinimizeError, PolicyError, SourceError
from minimize.io.durable import digest_of
from minimize.receipt import Receipt
from minimize.stores import Remote
from tests.buckets import ACCESS, Bucket, access, empty_bucket, store
from tests.job.house import BEFORE, DAY, House, events, table

SECRET = "hunter2-hunter2"


def moved(house: House, bucket: Bucket, kind: str = "ndjson", pattern: str = "data/{date}/*") -> None:
    """The data goes to the bucket, and the pipeline reads it there."""
    bucket.upload(house.folder / "data", "data/")
    shutil.rmtree(house.folder / "data")
    house.reads(kind, bucket.uri(pattern))


def inputs(receipt: Receipt) -> dict[str, tuple[str, int]]:
    return {each.path: (each.digest, each.rows) for each in receipt.inputs}


def brought(house: House, kind: str) -> None:
    """Two dates of data in a format, with rejects where the format can have some."""
    records = events(40)
    if kind == "parquet":
        for day in (DAY, BEFORE):
            house.columns(table(records), day, row_group_size=16)
    elif kind.startswith("csv"):
        written = pa.BufferOutputStream()
        pyarrow.csv.write_csv(table(records), written)
        text = written.getvalue().to_pybytes() + b'"too few"\n'
        for day in (DAY, BEFORE):
            path = house.folder / "data" / day / f"a.{kind}"
            path.parent.mkdir(parents=True)
            path.write_bytes(gzip.compress(text) if kind.endswith("gz") else text)
    else:
        text = "".join(json.dumps(record) + "\n" for record in records).encode() + b"no json\n"
        packed = {"ndjson": text, "ndjson.gz": gzip.compress(text), "ndjson.zst": zstandard.compress(text)}[kind]
        for day in (DAY, BEFORE):
            path = house.folder / "data" / day / f"a.{kind}"
            path.parent.mkdir(parents=True)
            path.write_bytes(packed)


@pytest.mark.parametrize("kind", ["ndjson", "ndjson.gz", "ndjson.zst", "csv", "csv.gz", "parquet"])
def test_a_bucket_gives_the_rows_rejects_names_and_digests_that_a_folder_gives(
    house: House, bucket: Bucket, kind: str
) -> None:
    brought(house, kind)
    word = kind.partition(".")[0]
    house.reads(word, f"data/{{date}}/*.{kind}")
    local = house.run(output=house.folder / "local")
    moved(house, bucket, word, f"data/{{date}}/*.{kind}")
    remote = house.run()
    assert house.rows() == house.rows(output=house.folder / "local")
    assert inputs(remote) == inputs(local)
    assert remote.dates == (BEFORE, DAY)
    assert remote.quarantine.by_code == local.quarantine.by_code
    minimize.verify(house.out, keys=house.keys)


def test_hive_partitions_and_hidden_objects_are_as_on_disk(house: House, bucket: Bucket) -> None:
    data = table(events(20)).drop(["tenant_id"])
    for tenant in ("north", "south"):
        house.columns(data, f"{DAY}/tenant_id={tenant}")
    (house.folder / "data" / DAY / "_tmp").mkdir()
    (house.folder / "data" / DAY / "_tmp" / "a.parquet").write_bytes(b"half")
    moved(house, bucket, "parquet", "data/{date}/**/*.parquet")
    house.run()
    assert {row["tenant_id"] for row in house.rows()} == {"north", "south"}


def test_pending_reads_what_arrived_in_the_bucket(house: House, bucket: Bucket) -> None:
    house.brings(events(20))
    moved(house, bucket)
    assert house.run(pending=True).rows.read == 20
    assert house.run(pending=True).sequence == 0
    bucket.put(f"data/{BEFORE}/a.ndjson", json.dumps(events(1)[0]).encode())
    assert house.run(pending=True).dates == (BEFORE,)


def test_an_input_may_lie_in_a_bucket_where_the_source_is_a_folder(house: House, bucket: Bucket) -> None:
    house.brings(events(20))
    bucket.upload(house.folder / "data", "in/")
    house.brings(events(5), name="b")
    assert house.run(input=bucket.uri("in"), date=DAY).rows.read == 20


def test_a_replay_finds_the_bucket_again(house: House, bucket: Bucket) -> None:
    house.brings([*events(20), "no json"])
    bucket.upload(house.folder / "data", "in/")
    shutil.rmtree(house.folder / "data")
    house.run(input=bucket.uri("in"))
    from minimize.job.replay import recheck

    found = recheck(house.out, keys=house.keys)
    assert [(each.held.rows, each.rows, dict(each.passing)) for each in found] == [
        (1, 0, {f"{DAY}/a.ndjson.gz": frozenset()})
    ]


def test_an_object_that_changes_while_it_is_read_stops_the_run(
    house: House, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.brings(events(20))
    moved(house, bucket)
    key = bucket.keys("data/")[0]

    def late(path: Path | Remote) -> str:
        found = digest_of(path)
        bucket.put(key, gzip.compress(b"\n"))
        return found

    monkeypatch.setattr("minimize.io.part.digest_of", late)
    with pytest.raises(SourceError, match="changed while it was read"):
        house.run()
    assert house.files() == set()


@pytest.mark.parametrize(("kind", "name"), [("ndjson", "a.ndjson.gz"), ("parquet", "a.parquet"), ("csv", "a.csv.gz")])
def test_a_damaged_object_stops_the_run(house: House, bucket: Bucket, kind: str, name: str) -> None:
    bucket.put(f"data/{DAY}/{name}", gzip.compress(b"device_id\n" * 9999)[:-9])
    house.reads(kind, bucket.uri("data/{date}/*"))
    with pytest.raises(SourceError, match="is damaged"):
        house.run()


def failing(house: House, uri: str, caplog: pytest.LogCaptureFixture) -> MinimizeError:
    """The error of a run over a URI; credentials are in nothing that was said."""
    house.reads("ndjson", uri)
    with caplog.at_level(logging.DEBUG), pytest.raises(MinimizeError) as caught:
        house.run()
    said = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(caught.value)
    assert not any(value in said for name, value in ACCESS.items() if "KEY" in name)
    assert SECRET not in said
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    return caught.value


def test_a_bucket_that_is_not_there_is_told(house: House, s3: str, caplog: pytest.LogCaptureFixture) -> None:
    with access():
        error = failing(house, Bucket(s3, "nowhere-at-all").uri("data/{date}/*"), caplog)
    assert isinstance(error, SourceError)
    assert "s3://nowhere-at-all is not there" in error.message
    assert error.hint


def test_a_network_that_is_gone_is_told(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with access():
        error = failing(house, Bucket("127.0.0.1:1", "house").uri("data/{date}/*"), caplog)
    assert isinstance(error, SourceError)
    assert "cannot be reached" in error.message
    assert error.exit_code == 2


def test_a_store_that_refuses_is_told_with_where_credentials_come_from(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    with store({"INITIAL_NO_AUTH_ACTION_COUNT": "1"}) as host, access():
        bucket = empty_bucket(host)
        error = failing(house, bucket.uri("data/{date}/*"), caplog)
    assert isinstance(error, SourceError)
    assert "does not let us in" in error.message
    assert "environment" in error.hint


@pytest.mark.parametrize("uri", [f"s3://AKIA:{SECRET}@house/x", f"s3://house/x?secret_key={SECRET}"])
def test_a_secret_in_a_pipeline_is_a_fault_at_its_line_and_goes_nowhere(
    house: House, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    error = failing(house, uri, caplog)
    assert isinstance(error, PolicyError)
    assert error.findings[0].line is not None
    assert not house.out.exists()


def test_credentials_are_in_nothing_that_a_run_leaves(house: House, bucket: Bucket) -> None:
    house.brings([*events(20), "no json"])
    moved(house, bucket)
    house.run()
    left = [path.read_bytes() for path in house.folder.rglob("*") if path.is_file()]
    assert left
    assert not any(secret.encode() in content for content in left for secret in bucket.secrets)


@pytest.mark.parametrize(
    "uri", ["gs://anonymous@house/x?endpoint_override=127.0.0.1:1&scheme=http&retry_limit_seconds=1"]
)
def test_what_google_refuses_is_our_error(house: House, uri: str, caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(failing(house, uri, caplog), SourceError)


def test_lint_and_init_look_at_a_bucket(house: House, bucket: Bucket, tmp_path: Path) -> None:
    house.brings(events(20))
    moved(house, bucket)
    assert not [finding for finding in minimize.lint(house.folder, keys=house.keys) if finding.code in ("L020", "L023")]
    from minimize.drafting.first import init

    init(bucket.uri("data"), tmp_path / "new")
    drafted = minimize.load_pipeline(tmp_path / "new")
    assert drafted.source.path == bucket.at("data/{date}/**/*.ndjson.gz").uri
    assert "battery" in drafted.policy.fields
