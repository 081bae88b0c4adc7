"""What is sent elsewhere: no key, no value in an error, and each record that stays stays once."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.engines.base import Job, derive_row_key
from minimize.engines.passes import split_shares
from minimize.engines.spark_tasks import (
    RemoteJob,
    ShareInput,
    TaskResult,
    assign_survivors,
    find_candidates,
    merge_results,
    run_task,
)
from minimize.errors import ConfigurationError, KeyringError, MinimizeError, SourceError
from minimize.ledger.kinds import RecordedSetting
from minimize.ledger.subject_tokens import subject_token
from minimize.runs.resolve import ResolvedRun, RunRequest, resolve_run
from minimize.settings import FeatureSwitch
from minimize.settings.erasures import Erasures, Tombstone
from minimize.settings.tokenized import ledger_rows
from minimize.stages.generalize import empty_memos
from minimize.workspace import Workspace
from tests.project import AT, Project, events, new_project


def nothing(job: Job, load: ShareInput, attempt: str) -> str:
    return attempt


@dataclass(frozen=True)
class Raises:
    """Work that fails."""

    error: Exception

    def __call__(self, job: Job, load: ShareInput, attempt: str) -> None:
        raise self.error


@pytest.fixture(name="given_")
def _given(tmp_path: Path) -> ResolvedRun:
    project = new_project(tmp_path)
    project.pipeline(
        records={"deduplicate": {"by": ["device_id"]}},
        source={"path": "data/{date}/**", "format": "ndjson"},
    )
    for name in range(3):
        project.records(events(20), name=f"device_id=d{name}/part")
    return resolved(project)


def resolved(project: Project) -> ResolvedRun:
    workspace = Workspace(output=project.out, pipeline=project.folder, keys=project.keys)
    return resolve_run(workspace, RunRequest(at=AT))


def job_of(given_: ResolvedRun) -> Job:
    settings = None if given_.settings is None else given_.settings.effective_at(given_.at)
    memos = empty_memos(given_.plan)
    return Job(given_.plan, given_.at, given_.keys, settings, row_key=derive_row_key(given_.keys), memos=memos)


def loads_of(given_: ResolvedRun) -> list[ShareInput]:
    (source,) = given_.sources.values()
    return [ShareInput(number, share) for number, share in enumerate(split_shares(source.parts, 3, least=1))]


def test_no_key_is_sent(given_: ResolvedRun) -> None:
    keys = given_.keys
    secrets = [keys.bytes_of(name) for name in keys.names()]
    secrets += [keys.subkey("subject", purpose) for purpose in ("rows", "paths")]
    sent = bytes(ForkingPickler.dumps((RemoteJob.from_job(job_of(given_), nothing), loads_of(given_))))
    assert keys.path.name.encode() in sent
    for secret in secrets:
        assert secret not in sent
        assert base64.b64encode(secret) not in sent


def test_tokenized_settings_and_erasures_apply_in_the_remote_process(given_: ResolvedRun) -> None:
    keys, when = given_.keys, AT - timedelta(days=300)
    rows = [("north", None, "on"), ("north", subject_token(keys, "north", "d1"), "off")]
    told = [RecordedSetting(tenant, who, "location", value, "admin", when, when) for tenant, who, value in rows]
    settings = ledger_rows(told, keys, "a ledger").effective_at(AT)
    erased = Erasures.from_tombstones([Tombstone("north", AT, subject_token(keys, "north", "d2"))], keys)
    job = replace(job_of(given_), settings=settings, erased=erased)
    sent = pickle.loads(ForkingPickler.dumps(RemoteJob.from_job(job, nothing))).open_job()
    people = pa.array(["north"] * 3), pa.array(["d1", "d2", "d3"]), pa.array([AT] * 3, pa.timestamp("us", "UTC"))
    assert sent.settings.feature_on(FeatureSwitch("location"), *people).to_pylist() == [False, True, True]
    assert sent.erased.erased_mask(*people).to_pylist() == [False, True, False]


def test_the_search_would_find_a_key_that_is_sent(given_: ResolvedRun) -> None:
    job = job_of(given_)
    assert job.row_key in bytes(ForkingPickler.dumps(job))


def test_names_of_files_arrive_as_they_are_shown(given_: ResolvedRun) -> None:
    for load in loads_of(given_):
        for part, sent in zip(load.parts, ForkingPickler.loads(ForkingPickler.dumps(load)).parts, strict=True):
            assert "=#" in sent.name
            assert sent.name == part.name
            assert [chunk.read for chunk in sent.read()] == [20]


def test_an_errand_opens_the_keyring_where_it_is_carried_out(given_: ResolvedRun) -> None:
    job = RemoteJob.from_job(job_of(given_), nothing).open_job()
    assert (job.keys, job.row_key) != (None, b"")
    assert job.row_key == job_of(given_).row_key
    assert job.records_schema == job_of(given_).records_schema


def test_a_missing_keyring_is_reported(given_: ResolvedRun) -> None:
    errand = RemoteJob.from_job(job_of(given_), nothing)
    given_.keys.path.unlink()
    assert isinstance(run_task(errand, ShareInput(0, ()), "a"), KeyringError)


def test_keys_that_are_in_no_file_are_refused(given_: ResolvedRun) -> None:
    class Elsewhere:
        def bytes_of(self, name: str, version: int | None = None) -> bytes:
            return bytes(32)

        def version_of(self, name: str) -> int:
            return 1

    with pytest.raises(ConfigurationError, match="from its file"):
        RemoteJob.from_job(replace(job_of(given_), keys=Elsewhere()), nothing)


def test_an_error_of_ours_comes_back(given_: ResolvedRun) -> None:
    wrong = SourceError("a.gz is damaged", hint="fetch it again")
    found = run_task(RemoteJob.from_job(job_of(given_), Raises(wrong)), ShareInput(0, ()), "a")
    assert isinstance(found, MinimizeError)
    again = ForkingPickler.loads(ForkingPickler.dumps(found))
    assert (type(again), str(again), again.hint) == (SourceError, str(wrong), "fetch it again")


def test_an_unexpected_error_is_raised_without_its_text(given_: ResolvedRun) -> None:
    errand = RemoteJob.from_job(job_of(given_), Raises(ValueError("CANARY")))
    with pytest.raises(RuntimeError, match="an error inside minimize: ValueError") as told:
        run_task(errand, ShareInput(0, ()), "a")
    assert "CANARY" not in str(told.value)
    assert told.value.__context__ is None
    assert told.value.__cause__ is None


def summed(job: Job, results: Iterable[int]) -> int:
    assert job.keys is not None
    return sum(results)


def test_the_merged_result_has_the_number_of_the_first_share(given_: ResolvedRun) -> None:
    errand: RemoteJob[Any] = RemoteJob.from_job(job_of(given_), nothing)
    assert merge_results(errand, summed, [TaskResult(4, 1), TaskResult(2, 10), TaskResult(7, 100)]) == TaskResult(
        2, 111
    )


def test_the_first_failed_share_is_reported_in_any_order_of_arrival(given_: ResolvedRun) -> None:
    errand: RemoteJob[Any] = RemoteJob.from_job(job_of(given_), nothing)
    late, early = SourceError("late"), SourceError("early")
    assert merge_results(
        errand, summed, [TaskResult(1, 1), TaskResult(6, late), TaskResult(3, early), TaskResult(5, 2)]
    ) == TaskResult(3, early)


def test_an_error_while_shares_are_put_together_comes_back_and_one_of_ours_alone(given_: ResolvedRun) -> None:
    errand: RemoteJob[Any] = RemoteJob.from_job(job_of(given_), nothing)

    def refuses(job: Job, results: Iterable[int]) -> int:
        raise SourceError(f"{sum(results)} is wrong")

    def breaks(job: Job, results: Iterable[int]) -> int:
        raise ValueError("CANARY")

    told = merge_results(errand, refuses, [TaskResult(3, 1), TaskResult(2, 1)])
    assert (told.number, str(told.result)) == (2, "2 is wrong")
    with pytest.raises(RuntimeError) as caught:
        merge_results(errand, breaks, [TaskResult(0, 1)])
    assert "CANARY" not in str(caught.value)


def test_other_versions_are_refused_by_name(given_: ResolvedRun) -> None:
    errand = RemoteJob.from_job(job_of(given_), nothing)
    assert {"minimize", "pyarrow", "numpy"} <= dict(errand.versions).keys()
    versions = tuple((name, "0" if name == "pyarrow" else version) for name, version in errand.versions)
    found = run_task(replace(errand, versions=versions), ShareInput(0, ()), "a")
    assert isinstance(found, ConfigurationError)
    assert "pyarrow: the version differs from the version" in str(found)


def test_a_share_without_records_has_no_candidates(given_: ResolvedRun) -> None:
    assert find_candidates(RemoteJob.from_job(job_of(given_), nothing).open_job(), ShareInput(0, ()), "a") is None
    assert [(staying.rows.size, staying.counts.size) for staying in assign_survivors([None, None])] == [(0, 0), (0, 0)]


@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=6), min_size=1, max_size=5))
def test_of_each_group_one_record_stays_in_one_share(found: list[list[tuple[int, int]]]) -> None:
    tables = [table_of(share) for share in found]
    staying = [row for share in assign_survivors(tables) for row in share.rows.tolist()]
    first = {
        group: min(time for share in found for each, time in share if each == group)
        for share in found
        for group, _ in share
    }
    assert sorted(staying) == sorted(digest(group, time) for group, time in first.items())


@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=6), min_size=1, max_size=5))
def test_survivors_of_a_share_are_ascending_and_count_their_duplicates(found: list[list[tuple[int, int]]]) -> None:
    for share, staying in zip(found, assign_survivors([table_of(share) for share in found]), strict=True):
        assert staying.rows.tolist() == sorted(staying.rows.tolist())
        earliest = {row: sum(digest(*each) == row for each in share) for row in staying.rows.tolist()}
        assert dict(zip(staying.rows.tolist(), staying.counts.tolist(), strict=True)) == earliest


def digest(group: int, time: int) -> bytes:
    return f"row {group:04} {time:04}..".encode()[:16].ljust(16, b".")


def table_of(share: list[tuple[int, int]]) -> pa.Table | None:
    """What a share's tally finds: per group the earliest record."""
    if not share:
        return None
    groups = sorted({group for group, _ in share})
    times = [min(time for each, time in share if each == group) for group in groups]
    kind = pa.binary(16)
    return pa.table(
        {
            "group": pa.array([f"group {group:04}......".encode()[:16] for group in groups], kind),
            "time": pa.array(times, pa.int64()),
            "record": pa.array([0] * len(groups), pa.int64()),
            "row": pa.array([digest(*each) for each in zip(groups, times, strict=True)], kind),
            "count": pa.array([share.count(each) for each in zip(groups, times, strict=True)], pa.int64()),
        }
    )
