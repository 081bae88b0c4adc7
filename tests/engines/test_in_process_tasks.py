"""The Spark engine without Spark: tasks in this process, pickled on their way. The contract suite has the real one."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from itertools import count
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.errors import ConfigurationError, OutOfMemoryError, RefusedError, SourceError
from minimize.keys import Keyring
from tests.engines.pretended import Pretended
from tests.inbound import Inbound, message, new_inbound
from tests.project import AT, FIELDS, SETTINGS, Project, enter, event, events, table
from tests.risk_bounds import BOUNDS, spread, with_bound
from tests.sparking import want_spark

BAD = ['{"broken', '{"contacts": [1]}']

pytestmark = pytest.mark.usefixtures("own_ledger")


@pytest.fixture(name="project")
def _project(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose Spark runs in this process."""
    _pretend(monkeypatch)
    return project


@pytest.fixture(name="inbound")
def _inbound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inbound:
    """A project that receives, whose Spark runs in this process."""
    enter(tmp_path, monkeypatch)
    _pretend(monkeypatch)
    return new_inbound(tmp_path)


def _pretend(monkeypatch: pytest.MonkeyPatch) -> None:
    engine: Any = import_module("minimize.engines.spark")
    numbers = count()
    monkeypatch.setattr(engine, "spark_context", Pretended)
    monkeypatch.setattr(engine, "attempt_number", lambda: next(numbers))


@pytest.mark.parametrize(
    "records",
    [{}, {"deduplicate": {"by": ["device_id", "model"]}}, {"partition_by": ["tenant_id"]}, False],
    ids=["plain", "deduplicated", "folders", "aggregates"],
)
@pytest.mark.parametrize("kind", ["ndjson", "parquet"])
def test_it_gives_what_the_local_engine_gives(project: Project, records: Any, kind: str) -> None:
    project.pipeline(records=records)
    if kind == "parquet":
        project.source(kind, records=records)
        project.columns(table(events(200) + events(30)), row_group_size=50)
    for number in range(3 if kind == "ndjson" else 0):
        project.records([*events(60, first=40 * number), *BAD], name=f"f{number}")
    local = project.run(output=project.folder / "local", ledger=project.folder / "local.db")
    spark = project.run(engine="spark")
    assert (local.rows, local.fields, local.undeclared) == (spark.rows, spark.fields, spark.undeclared)
    assert local.quarantine.by_code == spark.quarantine.by_code
    for name in local.outputs:
        assert project.rows(name) == project.rows(name, project.folder / "local")
    minimize.verify(project.out, keys=project.keys)


@pytest.mark.parametrize("name", BOUNDS)
def test_a_bound_on_disclosure_risk_decides_over_all_tasks(project: Project, name: str) -> None:
    with_bound(project, name)
    spread(project)
    local = project.run(output=project.folder / "local", ledger=project.folder / "local.db")
    spark = project.run(engine="spark")
    assert spark.risk is not None
    assert spark.risk == local.risk
    assert (spark.rows, spark.fields) == (local.rows, local.fields)
    assert project.rows() == project.rows(output=project.folder / "local")
    assert {row["os"] for row in project.rows()} != {None}
    minimize.verify(project.out, keys=project.keys)


def test_a_bound_that_is_missed_by_all_tasks_together_refuses_the_run(project: Project) -> None:
    with_bound(project, "refuse")
    project.pipeline(
        aggregates=None, settings=None, records={"risk": {"quasi_identifiers": ["os"], "require": {"k": 2}}}
    )
    spread(project)
    for engine in ("local", "spark"):
        with pytest.raises(RefusedError, match="k of some combinations"):
            project.run(engine=engine)
    assert project.files() == set()


def test_ids_are_one_subject_across_tasks_in_any_padding_and_case(project: Project) -> None:
    do = {"pseudonymize": {"key": "device", "per": "tenant_id", "fold": True}}
    project.policy({"device_id": {**FIELDS["device_id"], "do": do}})
    own = "north,B-1 ,location,off,user,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
    (project.folder / "settings.csv").write_text(SETTINGS + own)
    ids = ["B-1", "b-1", "B-1 ", "\u00a0b-1", "B-1\u200b"]
    for number, device in enumerate(ids):
        project.records([event(number, tenant_id="north ", device_id=device, model="A")], name=f"f{number}")
    project.run(output=project.folder / "local")
    project.run(engine="spark")
    assert project.rows() == project.rows("records", project.folder / "local")
    assert {row["latitude"] for row in project.rows()} == {None}
    assert len({row["device_id"] for row in project.rows()}) == 1
    assert project.rows("per_model") == []
    project.pipeline(records={"deduplicate": {"by": ["device_id"]}})
    assert project.run(engine="spark", output=project.folder / "once").rows.written == 1


def test_without_rows_an_empty_file_of_the_right_type_is_left(project: Project) -> None:
    project.records([{**event, "event_time": "2026-01-01T00:00:00Z"} for event in events(20)])
    receipt = project.run(engine="spark")
    (file,) = receipt.outputs["records"].files
    assert file.rows == 0
    assert minimize.read(project.out).schema.names[0] == "tenant_id"


def test_an_error_in_a_task_is_raised(project: Project) -> None:
    file = project.records(events(200))
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(SourceError, match="damaged"):
        project.run(engine="spark")
    assert project.files() == set()


@pytest.mark.spark
@pytest.mark.parametrize(
    "said",
    [
        "org.apache.spark.SparkException: java.lang.OutOfMemoryError: Java heap space",
        "ExecutorLostFailure: Container killed on request. Exit code is 137, exit code: 137",
        "Container killed by YARN for exceeding physical memory limits.",
    ],
)
def test_an_executor_out_of_memory_raises_out_of_memory_error(
    project: Project, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    want_spark()
    errors: Any = import_module("pyspark.errors")

    def lost(_: Pretended) -> list[Any]:
        raise errors.PySparkException(said)

    project.records(events(20))
    monkeypatch.setattr(Pretended, "collect", lost)
    with pytest.raises(OutOfMemoryError) as caught:
        project.run(engine="spark")
    assert caught.value.code == "E211"
    assert "spark.executor.memory" in caught.value.hint
    assert project.files() == set()


def test_a_task_out_of_memory_raises_out_of_memory_error(project: Project) -> None:
    def full(*_: Any) -> Any:
        raise MemoryError

    project.records(events(20))
    with at_checkpoint("gate", full), pytest.raises(OutOfMemoryError):
        project.run(engine="spark")


def test_unexpected_task_failures_publish_nothing(project: Project) -> None:
    project.records(events(20))
    with at_checkpoint("gate", lambda *_: 1 / 0), pytest.raises(ConfigurationError) as told:
        project.run(engine="spark")
    assert told.value.code == "E900"
    assert project.files() == set()


ENCRYPTED = {"encrypt": "by_category"}
APART = {"partition_by": ["tenant_id"], "encrypt": {"by_category": {"per": "tenant_id"}}}


@pytest.mark.parametrize("records", [ENCRYPTED, APART], ids=["one key", "a key for each tenant"])
def test_executors_encrypt_with_keys_that_they_open_by_path(project: Project, records: Any) -> None:
    project.pipeline(records=records)
    project.records(events(60))
    local = project.run(output=project.folder / "local", ledger=project.folder / "local.db")
    spark = project.run(engine="spark")
    assert (spark.keys, spark.rows) == (local.keys, local.rows)
    assert all(file.keys for file in spark.outputs["records"].files)
    assert project.rows(keys=project.keys) == project.rows(output=project.folder / "local", keys=project.keys)
    minimize.verify(project.out, keys=project.keys)


def test_no_key_travels_with_a_task(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    pickled: list[bytes] = []
    send = ForkingPickler.dumps

    def seen(thing: Any) -> Any:
        content = send(thing)
        pickled.append(bytes(content))
        return content

    monkeypatch.setattr(ForkingPickler, "dumps", seen)
    project.pipeline(records=ENCRYPTED)
    project.records(events(60))
    project.run(engine="spark")
    ring = Keyring.load(project.keys)
    secrets = [ring.bytes_of(name) for name in ring.names()]
    assert len(pickled) > 2
    assert not any(secret in content for secret in secrets for content in pickled)


def test_consents_gate_in_tasks_as_they_do_here(inbound: Inbound) -> None:
    inbound.consent("give", "north", AT - timedelta(hours=1, minutes=20))
    inbound.consent("give", "south")
    inbound.consent("withdraw", "south", AT)
    for number in range(3):
        inbound.records([message(each, message_id=f"{number}/{each}") for each in range(40)], name=f"f{number}")
    local, spark = inbound.run(output=inbound.folder / "local"), inbound.run(engine="spark")
    assert (local.rows, local.gated_by, local.received) == (spark.rows, spark.gated_by, spark.received)
    assert 0 < spark.gated_by.reasons["consent"] < spark.rows.read
    assert inbound.rows() == inbound.rows("records", inbound.folder / "local")
    minimize.verify(inbound.out, keys=inbound.keys)
