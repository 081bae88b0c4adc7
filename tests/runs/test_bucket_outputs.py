"""Outputs in an object store: the same layout, crash-safe, under the ledger's lease."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.errors import KeyringError, LedgerError, OutputError, VerificationError
from minimize.runs.quarantine_replay import quarantined_dates
from minimize.stores import ObjectPath
from tests.buckets import ACCESS, Bucket
from tests.calls import replay
from tests.commands import command
from tests.project import BEFORE, DAY, LASTING, Project, events


@pytest.fixture(name="ledger")
def _ledger(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger that is not in the bucket."""
    path = project.folder / "project" / "ledger.db"
    monkeypatch.setenv("MINIMIZE_LEDGER", str(path))
    return path


@pytest.fixture(name="out")
def _out(bucket: Bucket, ledger: Path) -> ObjectPath:
    return bucket.at("out")


def written(project: Project, out: ObjectPath, **options: Any) -> minimize.Receipt:
    return project.run(output=out.uri, **options)


def names(bucket: Bucket) -> list[str]:
    return [key.removeprefix("out/") for key in bucket.keys("out/")]


@pytest.mark.usefixtures("no_output")
def test_a_bucket_holds_what_a_folder_would(project: Project, bucket: Bucket, out: ObjectPath) -> None:
    project.records([*events(40), "no json"])
    project.records(events(20), day=BEFORE)
    local = project.run(ledger=project.folder / "local.db")  # exact figures are published once for each ledger
    receipt = written(project, out)
    assert project.rows(output=out) == project.rows()
    assert project.rows("per_model", output=out) == project.rows("per_model")
    assert receipt.rows == local.rows
    assert {
        path.relative_to(project.out).as_posix().replace(local.run_id, "RUN")
        for path in project.out.rglob("*")
        if path.is_file()
    } - {"runs/.lock"} == {name.replace(receipt.run_id, "RUN") for name in names(bucket)}
    minimize.verify(out, keys=project.keys)


def test_a_run_of_a_date_replaces_it_and_leaves_the_others(project: Project, bucket: Bucket, out: ObjectPath) -> None:
    project.records(events(40))
    project.records(events(20), day=BEFORE)
    first = written(project, out)
    project.records(events(10, 900))
    second = written(project, out, date=DAY, allow_shrink=True)
    assert second.sequence == 2
    standing = [name for name in names(bucket) if name.startswith("records/") and name.endswith("parquet")]
    assert {name.split("/")[1]: name.split("/")[2][:23] for name in standing} == {
        f"date={BEFORE}": first.run_id[:23],
        f"date={DAY}": second.run_id[:23],
    }
    replaced = {file.path.rpartition("/")[0] for file in second.replaces}
    assert replaced == {f"records/date={DAY}"}, "exact figures are published once"
    minimize.verify(out, keys=project.keys)


def test_a_date_without_rejects_any_more_has_no_quarantine(project: Project, bucket: Bucket, out: ObjectPath) -> None:
    project.records([*events(20), "no json"])
    written(project, out)
    assert quarantined_dates(out)[0].rows == 1
    project.records(events(20))
    written(project, out)
    assert not [name for name in names(bucket) if name.startswith("quarantine/")]
    assert quarantined_dates(out) == []
    minimize.verify(out, keys=project.keys)


def test_without_a_ledger_elsewhere_nothing_is_written(
    project: Project, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINIMIZE_LEDGER", raising=False)
    project.records(events(5))
    with pytest.raises(LedgerError, match="no ledger is configured for the output in an object store") as caught:
        project.run(output=bucket.uri("out"))
    assert caught.value.exit_code == 2
    assert bucket.keys() == []


def test_a_bucket_that_is_not_there_is_an_error_of_the_output(project: Project, s3: str, out: ObjectPath) -> None:
    project.records(events(5))
    with pytest.raises(OutputError, match="s3://not-here-at-all does not exist"):
        project.run(output=Bucket(s3, "not-here-at-all").uri("out"))


@pytest.mark.slow
def test_a_network_that_is_gone_is_an_error_of_the_output(project: Project, out: ObjectPath) -> None:
    project.records(events(5))
    with pytest.raises(OutputError, match="cannot be reached"):
        project.run(output=Bucket("127.0.0.1:1", "project").uri("out"))


def test_source_and_output_in_one_bucket_do_not_lie_in_each_other(
    project: Project, bucket: Bucket, out: ObjectPath
) -> None:
    project.records(events(20))
    bucket.upload(project.folder / "data", "data/")
    project.source("ndjson", bucket.uri("data/{date}/*"))
    written(project, out)
    assert len(project.rows(output=out)) == 20
    with pytest.raises(OutputError, match="inside the source"):
        project.run(output=bucket.uri("data/out"))


def test_a_replay_runs_a_date_again_whose_records_pass_now(project: Project, bucket: Bucket, out: ObjectPath) -> None:
    project.policy({"storage": {"type": "string", "do": "drop"}}, **LASTING)
    counts = {"group_by": {"model": "model"}, "measures": {"events": "count"}, "suppress": {"below": 3}}
    project.pipeline(aggregates={"per_model": {**counts, "per_subject": {"rows": 5}}})
    project.records(events(20))
    project.run(output=out, at=None)
    assert quarantined_dates(out)[0].rows == 20
    project.policy(**LASTING)
    found = replay(out.uri, keys=project.keys)
    assert [receipt.kind for receipt in found.receipts] == ["replay"]
    assert quarantined_dates(out) == []
    minimize.verify(out, keys=project.keys)


def test_tampering_in_a_bucket_is_found(project: Project, bucket: Bucket, out: ObjectPath) -> None:
    project.records(events(20))
    written(project, out)
    bucket.put(f"out/records/date={DAY}/stranger.parquet", b"x")
    record = next(
        name
        for name in names(bucket)
        if name.startswith("records/") and "stranger" not in name and name.endswith("parquet")
    )
    bucket.put(f"out/{record}", b"other bytes")
    with pytest.raises(VerificationError) as caught:
        minimize.verify(out, keys=project.keys)
    assert {finding.code for finding in caught.value.findings} >= {"V012", "V014", "V017"}


def test_other_engines_read_the_current_files(
    project: Project, bucket: Bucket, out: ObjectPath, tmp_path: Path
) -> None:
    project.records(events(40))
    project.records(events(20), day=BEFORE)
    written(project, out)
    project.records(events(30))
    written(project, out, date=DAY)
    want = len(project.rows(output=out))
    folder = bucket.download(tmp_path / "copy", "out/")
    files = minimize.files(out)
    assert all(path.startswith(f"{bucket.shown('out')}/records/") for path in files)
    assert ds.dataset(f"{bucket.name}/out/records", filesystem=out.bucket.files, format="parquet").count_rows() == want
    counted = duckdb.execute(f"select count(*) from read_parquet('{folder}/records/**/*.parquet')")
    assert counted.fetchall() == [(want,)]
    pandas_like = [
        pq.read_table(io.BytesIO(bucket.get(path.split(bucket.name + "/")[1]))).to_pandas() for path in files
    ]
    assert sum(map(len, pandas_like)) == want


def test_polars_reads_the_current_files_from_s3(project: Project, s3_bucket: Bucket, ledger: Path) -> None:
    project.records(events(40))
    out = s3_bucket.at("out")
    written(project, out)
    options = {"aws_endpoint_url": f"http://{s3_bucket.host}", "aws_region": "us-east-1", "aws_allow_http": "true"}
    access = {
        "aws_access_key_id": ACCESS["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": ACCESS["AWS_SECRET_ACCESS_KEY"],
    }
    scanned = polars.scan_parquet(minimize.files(out), storage_options=options | access)
    assert scanned.select(polars.len()).collect().item() == len(project.rows(output=out))


def test_the_command_line_takes_a_bucket(project: Project, bucket: Bucket, out: ObjectPath) -> None:
    project.records([*events(20), "no json"])
    project.pipeline(output=out.uri)
    keys = ["--keys", str(project.keys)]

    def does(*words: str) -> str:
        done = command(*words)
        assert done.code == 0, done.err
        return done.out

    assert f"results in {bucket.shown('out')}" in does("run", str(project.folder), *keys)
    assert "verified: 1 receipt" in does("verify", out.uri, *keys)
    assert "1 record in quarantine" in does("quarantine", out.uri)
    assert "checkins" in does("runs", "--output", out.uri)
    assert "checkins" in does("runs", "show", run_id_of(out), "--output", out.uri)
    assert "1 run of" in does("runs", "--rebuild", "--output", out.uri, *keys)
    assert does("audit", "verify", "--receipts", out.uri, *keys)


def run_id_of(out: ObjectPath) -> str:
    return next(path.name for path in (out / "runs").iterdir() if path.is_dir())


def test_indexes_find_subjects_in_a_bucket(project: Project, bucket: Bucket, out: ObjectPath) -> None:
    from minimize.datasets.reader import find_subjects

    project.records(events(40))
    written(project, out)
    one = project.rows(output=out)[0]["device_id"]
    assert [place.groups for place in find_subjects(out, [one], keys=project.keys)] == [(0,)]
    assert {row["device_id"] for row in minimize.read(out, subjects=[one], keys=project.keys).to_pylist()} == {one}


def test_credentials_are_in_nothing_that_is_published(project: Project, bucket: Bucket, out: ObjectPath) -> None:
    project.records([*events(20), "no json"])
    written(project, out)
    left = [bucket.get(key) for key in bucket.keys("")] + [
        path.read_bytes() for path in project.folder.rglob("*") if path.is_file()
    ]
    assert left
    assert not any(secret.encode() in content for content in left for secret in bucket.secrets)


@pytest.mark.usefixtures("no_output")
def test_a_copy_of_an_output_on_disk_in_a_bucket_is_an_output_and_gets_its_own_identity(
    project: Project, bucket: Bucket, out: ObjectPath
) -> None:
    project.records(events(20))
    project.run()
    (project.out / "runs" / ".lock").unlink()
    bucket.upload(project.out, "out/")
    before = bucket.get("out/runs/.id")
    written(project, out)
    assert bucket.get("out/runs/.id") != before
    minimize.verify(out, keys=project.keys)
    shutil.rmtree(project.out)


def test_an_encrypted_output_can_be_in_a_bucket(project: Project, bucket: Bucket, out: ObjectPath) -> None:
    project.pipeline(records={"encrypt": "by_category"})
    project.records(events(40))
    receipt = written(project, out)
    assert receipt.outputs["records"].files[0].keys == ("encrypt.footer/1", "encrypt.pseudonymized/1")
    assert len(project.rows(output=out, keys=project.keys)) == 40
    with pytest.raises(KeyringError, match=r"encrypt\.pseudonymized/1"):
        minimize.read(out)
    minimize.verify(out, keys=project.keys)


def test_sketches_of_an_earlier_version_are_removed(project: Project, bucket: Bucket, out: ObjectPath) -> None:
    project.records(events(40))
    written(project, out)
    (out / "sketches" / "per_model" / "old-0.sealed").write_bytes(b"sealed")
    assert [name for name in names(bucket) if name.startswith("sketches/")]
    written(project, out)
    assert [name for name in names(bucket) if name.startswith("sketches/")] == []
    minimize.verify(out, keys=project.keys)
