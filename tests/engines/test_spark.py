"""The Spark engine: sessions that are not safe are refused, tries that fail leave nothing, and no value is told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import minimize
from minimize.engines.base import Job
from minimize.engines.spark import SAFE_SETTINGS, check_encryption
from minimize.engines.spark_tasks import FinalPass, FinalResult, ShareInput, merge_final_results
from minimize.errors import ConfigurationError, SourceError
from minimize.governance.events import NewEvent as Wanted
from minimize.governance.events import add_event
from minimize.governance.settings import NewSetting, set_setting
from minimize.records import Reject
from minimize.workspace import Workspace as Places
from tests.buckets import Bucket
from tests.project import AT, Project, event, events, new_project
from tests.risk_bounds import BOUNDS, spread, with_bound
from tests.sparking import want_spark

spark: Any = import_module("minimize.engines.spark")
on_spark = pytest.mark.spark
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
Start = Callable[..., None]
LONG_AGO = AT - timedelta(days=300)


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Project:
    project = new_project(tmp_path)
    for name in range(4):
        project.records(events(60, first=60 * name), name=f"f{name}")
    return project


@pytest.fixture(name="start")
def _start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a session with some settings in place of the active one; without any, the engine starts its own."""
    want_spark()
    _stop()

    def start(master: str, **settings: str) -> None:
        monkeypatch.setenv("MINIMIZE_SPARK_MASTER", master)
        monkeypatch.setattr(
            spark, "SAFE_SETTINGS", SAFE_SETTINGS | {name.replace("_", "."): value for name, value in settings.items()}
        )

    yield start
    _stop()


def _stop() -> None:
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session is not None:
        session.stop()


@dataclass(frozen=True)
class Fails:
    """A last pass whose first tries, or all of them, fail once everything is written."""

    finish: FinalPass
    marks: Path
    always: bool = False

    def __call__(self, job: Job, load: ShareInput, attempt: str) -> FinalResult:
        done = self.finish(job, load, attempt)
        mark = self.marks / str(load.number)
        if self.always or not mark.exists():
            mark.write_text(attempt)
            raise ValueError("CANARY")
        return done


@pytest.fixture(name="sent")
def _sent() -> Iterator[None]:
    """What is defined here goes to executors as it is: they have no tests to import."""
    cloudpickle: Any = import_module("pyspark.cloudpickle")
    here = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(here)
    yield
    cloudpickle.unregister_pickle_by_value(here)


@pytest.fixture(name="failing")
def _failing(sent: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[bool], Path]:
    """Lets the last pass of every share fail once, or always; gives the folder with the name of the try that did."""

    def failing(always: bool) -> Path:
        marks = tmp_path / "marks"
        marks.mkdir()
        monkeypatch.setattr(spark, "FinalPass", lambda *given: Fails(FinalPass(*given), marks, always))
        return marks

    return failing


@pytest.mark.parametrize("master", ["local", "local[*]", "local[2,3]"])
def test_a_local_session_must_encrypt_what_it_writes(master: str) -> None:
    check_encryption(master, {"spark.io.encryption.enabled": "true"})
    with pytest.raises(ConfigurationError) as told:
        check_encryption(master, {"spark.network.crypto.enabled": "true"})
    assert told.value.exit_code == 2
    assert "spark.io.encryption.enabled=true" in told.value.hint


@pytest.mark.parametrize("master", ["spark://host:7077", "yarn", "k8s://https://host", "local-cluster[2,1,1024]"])
def test_any_other_session_must_encrypt_what_it_sends_too(master: str) -> None:
    check_encryption(master, SAFE_SETTINGS)
    with pytest.raises(ConfigurationError) as told:
        check_encryption(master, {"spark.io.encryption.enabled": "true", "spark.network.crypto.enabled": "false"})
    assert told.value.hint == "Start it with spark.network.crypto.enabled=true."


def test_without_pyspark_the_error_names_the_extra_to_install(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(ConfigurationError, match=r"needs pyspark.*extra `spark`"):
        project.run(engine="spark")
    assert project.files() == set()


def test_a_quarantine_that_is_in_no_folder_is_refused() -> None:
    class Nowhere:
        def write(self, source: str, rejects: Any) -> None:
            assert not [reject for reject in rejects if isinstance(reject, Reject)]

    nothing: Any = None
    with pytest.raises(ConfigurationError, match="needs an output folder"):
        spark.run(nothing, nothing, None, Nowhere())


def test_spark_connect_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    session_class = SimpleNamespace(getActiveSession=object)
    monkeypatch.setitem(sys.modules, "pyspark.sql", SimpleNamespace(SparkSession=session_class))
    with pytest.raises(ConfigurationError, match="Spark Connect"):
        project.run(engine="spark")


def test_importing_the_engine_does_not_import_pyspark() -> None:
    code = "import sys, minimize.engines.spark; sys.exit('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@on_spark
def test_an_unsafe_session_is_refused_before_anything_is_written(project: Project, start: Start) -> None:
    start("local[2]", spark_io_encryption_enabled="false")
    with pytest.raises(ConfigurationError, match="without encryption") as told:
        project.run(engine="spark")
    assert told.value.exit_code == 2
    assert project.files() == set()


@on_spark
def test_an_active_session_is_used(project: Project, start: Start) -> None:
    start("local[1]")
    first = spark.spark_context()
    os.environ["MINIMIZE_SPARK_MASTER"] = "local[2]"
    project.run(engine="spark")
    assert spark.spark_context() is first
    assert first.master == "local[1]"


@on_spark
def test_an_unknown_master_is_reported(project: Project, start: Start) -> None:
    start("nonsense")
    with pytest.raises(ConfigurationError, match="Spark does not start"):
        project.run(engine="spark")


@on_spark
@pytest.mark.parametrize("few", [8, 2], ids=["together on the driver", "together on executors"])
def test_tries_that_failed_count_nothing_and_leave_nothing(
    project: Project,
    start: Start,
    failing: Callable[[bool], Path],
    tmp_path: Path,
    few: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start("local[2,3]")
    monkeypatch.setattr(spark, "RESULTS_AT_ONCE", few)
    local = project.run(output=tmp_path / "local", ledger=tmp_path / "local.db")  # each releases the exact table once
    marks = failing(False)
    receipt = project.run(engine="spark", ledger=tmp_path / "spark.db")
    failed = {mark.read_text() for mark in marks.iterdir()}
    assert len(failed) == 4
    assert not [path for path in project.files() for attempt in failed if attempt in path]
    assert receipt.rows == local.rows
    assert project.rows() == project.rows(output=tmp_path / "local")
    assert project.rows("per_model")
    assert project.rows("per_model") == project.rows("per_model", tmp_path / "local")
    assert {path.name for path in (project.out / "runs" / receipt.run_id).iterdir()} >= {"receipt.json"}
    assert not (project.out / "runs" / receipt.run_id / "staging").exists()
    minimize.verify(project.out, keys=project.keys, ledger=tmp_path / "spark.db")


@on_spark
def test_a_task_that_fails_on_every_try_publishes_nothing_and_reveals_no_value(
    project: Project, start: Start, failing: Callable[[bool], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    start("local[2,2]")
    failing(True)
    with pytest.raises(ConfigurationError) as told:
        project.run(engine="spark")
    assert told.value.code == "E900"
    assert "ValueError" in str(told.value)
    assert "CANARY" not in str(told.value) + "".join(capfd.readouterr())
    assert told.value.__context__ is None
    assert project.files() == set()


@dataclass(frozen=True)
class Refuses:
    """A last pass that is wrong for some shares."""

    shares: tuple[int, ...]

    def __call__(self, job: Job, load: ShareInput, attempt: str) -> FinalResult:
        if load.number in self.shares:
            raise SourceError(f"share {load.number} is wrong")
        return merge_final_results(job, ())


@on_spark
@pytest.mark.parametrize("wrong", [(3,), (1, 2), (0, 3), (0, 1, 2, 3, 4, 5, 6, 7)])
def test_the_first_of_several_failing_shares_is_reported(
    project: Project, start: Start, sent: None, wrong: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    start("local[4]")
    for name in range(4, 8):
        project.records(events(20, first=20 * name), name=f"f{name}")
    monkeypatch.setattr(spark, "RESULTS_AT_ONCE", 2)
    monkeypatch.setattr(spark, "FinalPass", lambda *given: Refuses(wrong))
    with pytest.raises(SourceError, match=f"share {wrong[0]} is wrong"):
        project.run(engine="spark")
    assert project.files() == set()


@on_spark
def test_a_damaged_file_has_the_error_of_the_local_engine(project: Project, start: Start) -> None:
    start("local[2]")
    file = project.records(events(200, first=900), name="z")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(SourceError) as local:
        project.run()
    with pytest.raises(SourceError) as told:
        project.run(engine="spark")
    assert (str(told.value), told.value.hint) == (str(local.value), local.value.hint)
    assert project.files() == set()


@on_spark
def test_progress_is_reported_for_every_file_in_every_pass(project: Project, start: Start) -> None:
    start("local[2]")
    seen: list[tuple[int, int]] = []
    project.run(engine="spark", progress=lambda done, of: seen.append((done, of)))
    assert seen == [(done, 8) for done in range(9)]


@on_spark
def test_a_subjects_own_settings_in_the_ledger_count_where_the_work_is_done(project: Project, start: Start) -> None:
    start("local[2]")
    ledger = project.folder / "told.db"
    for subject, value in ((None, "on"), ("d1", "off")):
        wish = NewSetting("north", "location", value, "admin", subject, LONG_AGO)
        set_setting(wish, Places(ledger, pipeline=project.folder, keys=project.keys), LONG_AGO)
    project.pipeline(settings="ledger")
    found = []
    for engine in ("local", "spark"):
        project.run(engine=engine, ledger=ledger, output=project.folder / engine)
        found.append(project.rows(output=project.folder / engine))
    assert found[0] == found[1]
    collected = [each for each in events(240) if each["tenant_id"] == "north" and each["device_id"] != "d1"]
    assert sum(row["latitude"] is not None for row in found[0]) == len(collected)


@on_spark
def test_executors_encrypt_by_category(project: Project, start: Start) -> None:
    start("local[2]")
    project.pipeline(records={"encrypt": "by_category"})
    local, receipt = project.run(output=project.folder / "local"), project.run(engine="spark")
    assert receipt.keys == local.keys
    assert all(file.keys for file in receipt.outputs["records"].files)
    assert project.rows(keys=project.keys) == project.rows(output=project.folder / "local", keys=project.keys)
    minimize.verify(project.out, keys=project.keys)


@on_spark
def test_a_bound_on_disclosure_risk_gives_the_rows_and_figures_of_the_local_engine(
    project: Project, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    start("local[2]")
    monkeypatch.setattr(spark, "RESULTS_AT_ONCE", 2)
    spread(project, files=4)
    for name in BOUNDS:
        with_bound(project, name)
        places = [project.folder / f"{engine} {name}" for engine in ("local", "spark")]
        local, receipt = (project.run(engine=place.name.split()[0], output=place) for place in places)
        assert receipt.risk is not None
        assert (receipt.risk, receipt.rows) == (local.risk, local.rows)
        assert project.rows(output=places[1]) == project.rows(output=places[0])
        minimize.verify(places[1], keys=project.keys)


@on_spark
def test_it_writes_into_a_bucket_what_it_writes_on_disk(
    project: Project, start: Start, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_LEDGER", str(project.folder / "project" / "ledger.db"))
    project.records(["no json"], name="bad")
    start("local[2]")
    access = {f"spark.executorEnv.{name}": value for name, value in os.environ.items() if name[:4] in ("AWS_", "AZUR")}
    monkeypatch.setattr(spark, "SAFE_SETTINGS", SAFE_SETTINGS | access)
    receipt = project.run(engine="spark", output=bucket.at("out"))
    local = project.run(output=project.folder / "local")
    assert project.rows(output=bucket.at("out")) == project.rows(output=project.folder / "local")
    assert (receipt.rows, receipt.quarantine.rows) == (local.rows, 1)
    minimize.verify(bucket.at("out"), keys=project.keys)
    standing = {path.rpartition(f"{bucket.name}/")[2] for path in minimize.files(bucket.at("out"))}
    lying = bucket.keys("out/")
    assert {key for key in lying if key.startswith("out/records/") and key.endswith(".parquet")} == standing
    assert not [key for key in lying if "attempts" in key or "staging" in key]


@on_spark
def test_future_and_erased_records_are_treated_as_in_the_local_engine(
    project: Project, start: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    start("local[2]")
    project.policy(future="2h")
    times = [f"{AT + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}" for hours in (1, 20)]
    project.records(event(4, tenant_id="north", device_id="d4", event_time=time) for time in times)
    gone = [each for each in events(240) if (each["tenant_id"], each["device_id"]) == ("north", "d4")]
    for engine in ("local", "spark"):
        output = tmp_path_factory.mktemp(engine) / "out"
        given: dict[str, Any] = {"output": output, "engine": engine, "ledger": output.with_suffix(".db")}
        assert project.run(**given).quarantine.by_code == {"future_time": 1}
        places = Places(given["ledger"], keys=project.keys)
        add_event(Wanted("north", "erasure", "d4", AT), places, AT)
        receipt = project.run(**given, at=AT + timedelta(hours=20))
        assert (receipt.gated_by.erased, receipt.quarantine.by_code) == (len(gone) + 2, {})
