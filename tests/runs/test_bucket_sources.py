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
from minimize.checkpoints import at_checkpoint
from minimize.errors import MinimizeError, PolicyError, SourceError
from minimize.receipts import Receipt
from minimize.stores import ObjectPath
from minimize.stores.durable_files import file_digest
from tests.buckets import ACCESS, Bucket, access, empty_bucket, store
from tests.project import BEFORE, DAY, Project, events, table

SECRET = "hunter2-hunter2"


def moved(project: Project, bucket: Bucket, kind: str = "ndjson", pattern: str = "data/{date}/*") -> None:
    """The data goes to the bucket, and the pipeline reads it there."""
    bucket.upload(project.folder / "data", "data/")
    shutil.rmtree(project.folder / "data")
    project.source(kind, bucket.uri(pattern))


def inputs(receipt: Receipt) -> dict[str, tuple[str, int | None]]:
    return {each.path: (each.digest, each.rows) for each in receipt.inputs}


def brought(project: Project, kind: str) -> None:
    """Two dates of data in a format, with rejects where the format can have some."""
    records = events(40)
    if kind == "parquet":
        for day in (DAY, BEFORE):
            project.columns(table(records), day, row_group_size=16)
    elif kind.startswith("csv"):
        written = pa.BufferOutputStream()
        pyarrow.csv.write_csv(table(records), written)
        text = written.getvalue().to_pybytes() + b'"too few"\n'
        for day in (DAY, BEFORE):
            path = project.folder / "data" / day / f"a.{kind}"
            path.parent.mkdir(parents=True)
            path.write_bytes(gzip.compress(text) if kind.endswith("gz") else text)
    else:
        text = "".join(json.dumps(record) + "\n" for record in records).encode() + b"no json\n"
        packed = {"ndjson": text, "ndjson.gz": gzip.compress(text), "ndjson.zst": zstandard.compress(text)}[kind]
        for day in (DAY, BEFORE):
            path = project.folder / "data" / day / f"a.{kind}"
            path.parent.mkdir(parents=True)
            path.write_bytes(packed)


@pytest.mark.parametrize("kind", ["ndjson", "ndjson.gz", "ndjson.zst", "csv", "csv.gz", "parquet"])
def test_a_bucket_gives_the_rows_rejects_names_and_digests_that_a_folder_gives(
    project: Project, bucket: Bucket, kind: str
) -> None:
    brought(project, kind)
    word = kind.partition(".")[0]
    project.source(word, f"data/{{date}}/*.{kind}")
    local = project.run(output=project.folder / "local")
    moved(project, bucket, word, f"data/{{date}}/*.{kind}")
    remote = project.run()
    assert project.rows() == project.rows(output=project.folder / "local")
    assert inputs(remote) == inputs(local)
    assert remote.dates == (BEFORE, DAY)
    assert remote.quarantine.by_code == local.quarantine.by_code
    minimize.verify(project.out, keys=project.keys)


@pytest.mark.parametrize("kind", ["ndjson", "ndjson.gz", "ndjson.zst", "csv", "csv.gz", "parquet"])
def test_an_object_is_hashed_while_it_is_read(
    project: Project, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    brought(project, kind)
    stored = {f"{day}/a.{kind}": file_digest(project.folder / "data" / day / f"a.{kind}") for day in (BEFORE, DAY)}
    moved(project, bucket, kind.partition(".")[0], f"data/{{date}}/*.{kind}")
    fetched: list[ObjectPath] = []

    with at_checkpoint("file.hashed", lambda _, content: fetched.extend([content] * isinstance(content, ObjectPath))):
        assert {name: each for name, (each, _) in inputs(project.run()).items()} == stored
    assert fetched == []


def test_hive_partitions_and_hidden_objects_are_as_on_disk(project: Project, bucket: Bucket) -> None:
    data = table(events(20)).drop(["tenant_id"])
    for tenant in ("north", "south"):
        project.columns(data, f"{DAY}/tenant_id={tenant}")
    (project.folder / "data" / DAY / "_tmp").mkdir()
    (project.folder / "data" / DAY / "_tmp" / "a.parquet").write_bytes(b"half")
    moved(project, bucket, "parquet", "data/{date}/**/*.parquet")
    project.run()
    assert {row["tenant_id"] for row in project.rows()} == {"north", "south"}


def test_pending_reads_what_arrived_in_the_bucket(project: Project, bucket: Bucket) -> None:
    project.records(events(20))
    moved(project, bucket)
    assert project.run(pending=True).rows.read == 20
    assert project.run(pending=True).sequence == 0
    bucket.put(f"data/{BEFORE}/a.ndjson", json.dumps(events(1)[0]).encode())
    assert project.run(pending=True).dates == (BEFORE,)


def test_an_input_may_lie_in_a_bucket_where_the_source_is_a_folder(project: Project, bucket: Bucket) -> None:
    project.records(events(20))
    bucket.upload(project.folder / "data", "in/")
    project.records(events(5), name="b")
    assert project.run(input=bucket.uri("in"), date=DAY).rows.read == 20


def test_a_replay_finds_the_bucket_again(project: Project, bucket: Bucket) -> None:
    project.records([*events(20), "no json"])
    bucket.upload(project.folder / "data", "in/")
    shutil.rmtree(project.folder / "data")
    project.run(input=bucket.uri("in"))
    from tests.calls import recheck_quarantine

    found = recheck_quarantine(project.out, keys=project.keys)
    assert [(each.quarantined.rows, each.rows, dict(each.passing)) for each in found] == [
        (1, 0, {f"{DAY}/a.ndjson.gz": frozenset()})
    ]


def test_an_object_that_changes_while_it_is_read_stops_the_run(project: Project, bucket: Bucket) -> None:
    project.records(events(20))
    moved(project, bucket)
    key = bucket.keys("data/")[0]
    changing = at_checkpoint("source.read", lambda *_: bucket.put(key, gzip.compress(b"\n")))
    with changing, pytest.raises(SourceError, match="changed while the run read it"):
        project.run()
    assert project.files() == set()


@pytest.mark.parametrize(("kind", "name"), [("ndjson", "a.ndjson.gz"), ("parquet", "a.parquet"), ("csv", "a.csv.gz")])
def test_a_damaged_object_stops_the_run(project: Project, bucket: Bucket, kind: str, name: str) -> None:
    bucket.put(f"data/{DAY}/{name}", gzip.compress(b"device_id\n" * 9999)[:-9])
    project.source(kind, bucket.uri("data/{date}/*"))
    with pytest.raises(SourceError, match="is damaged"):
        project.run()


def failing(project: Project, uri: str, caplog: pytest.LogCaptureFixture) -> MinimizeError:
    """The error of a run over a URI; credentials are in nothing that was said."""
    project.source("ndjson", uri)
    with caplog.at_level(logging.DEBUG), pytest.raises(MinimizeError) as caught:
        project.run()
    said = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(caught.value)
    assert not any(value in said for name, value in ACCESS.items() if "KEY" in name)
    assert SECRET not in said
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    return caught.value


def test_a_missing_bucket_is_reported(project: Project, s3: str, caplog: pytest.LogCaptureFixture) -> None:
    with access():
        error = failing(project, Bucket(s3, "nowhere-at-all").uri("data/{date}/*"), caplog)
    assert isinstance(error, SourceError)
    assert "s3://nowhere-at-all does not exist" in error.message
    assert error.hint


def test_an_unreachable_network_is_reported(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    with access():
        error = failing(project, Bucket("127.0.0.1:1", "project").uri("data/{date}/*"), caplog)
    assert isinstance(error, SourceError)
    assert "cannot be reached" in error.message
    assert error.exit_code == 2


def test_denied_access_is_reported_with_the_source_of_credentials(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    with store({"INITIAL_NO_AUTH_ACTION_COUNT": "1"}) as host, access():
        bucket = empty_bucket(host)
        error = failing(project, bucket.uri("data/{date}/*"), caplog)
    assert isinstance(error, SourceError)
    assert "denied access" in error.message
    assert "environment" in error.hint


@pytest.mark.usefixtures("no_output")
@pytest.mark.parametrize("uri", [f"s3://AKIA:{SECRET}@project/x", f"s3://project/x?secret_key={SECRET}"])
def test_a_secret_in_a_pipeline_is_a_fault_at_its_line_and_is_not_shown(
    project: Project, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    error = failing(project, uri, caplog)
    assert isinstance(error, PolicyError)
    assert error.findings[0].line is not None
    assert not project.out.exists()


def test_credentials_are_in_nothing_that_a_run_leaves(project: Project, bucket: Bucket) -> None:
    project.records([*events(20), "no json"])
    moved(project, bucket)
    project.run()
    left = [path.read_bytes() for path in project.folder.rglob("*") if path.is_file()]
    assert left
    assert not any(secret.encode() in content for content in left for secret in bucket.secrets)


@pytest.mark.parametrize(
    "uri", ["gs://anonymous@project/x?endpoint_override=127.0.0.1:1&scheme=http&retry_limit_seconds=1"]
)
def test_a_refusal_by_google_is_a_source_error(project: Project, uri: str, caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(failing(project, uri, caplog), SourceError)


def test_lint_and_init_look_at_a_bucket(project: Project, bucket: Bucket, tmp_path: Path) -> None:
    project.records(events(20))
    moved(project, bucket)
    assert not [
        finding for finding in minimize.lint(project.folder, keys=project.keys) if finding.code in ("L020", "L023")
    ]
    from minimize.drafting import init_pipeline

    init_pipeline(bucket.uri("data"), tmp_path / "new")
    drafted = minimize.load_pipeline(tmp_path / "new")
    assert drafted.source.path == bucket.at("data/{date}/**/*.ndjson.gz").uri
    assert "battery" in drafted.policy.fields
