"""The Spark engine without Spark: tasks in this process, pickled on their way. The contract suite has the real one."""

from __future__ import annotations

from importlib import import_module
from itertools import count
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.errors import ConfigurationError, SourceError
from minimize.keys import Keyring
from tests.engines.pretended import Pretended
from tests.project import FIELDS, SETTINGS, Project, event, events, new_project, table

BAD = ['{"broken', '{"contacts": [1]}']


@pytest.fixture(name="house")
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    engine: Any = import_module("minimize.engines.spark")
    numbers = count()
    monkeypatch.setattr(engine, "context", Pretended)
    monkeypatch.setattr(engine, "attempt", lambda: next(numbers))
    return new_project(tmp_path)


@pytest.mark.parametrize(
    "records",
    [{}, {"deduplicate": {"by": ["device_id", "model"]}}, {"partition_by": ["tenant_id"]}, False],
    ids=["plain", "deduplicated", "folders", "aggregates"],
)
@pytest.mark.parametrize("kind", ["ndjson", "parquet"])
def test_it_gives_what_the_local_engine_gives(house: Project, records: Any, kind: str) -> None:
    house.pipeline(records=records)
    if kind == "parquet":
        house.source(kind, records=records)
        house.columns(table(events(200) + events(30)), row_group_size=50)
    for number in range(3 if kind == "ndjson" else 0):
        house.records([*events(60, first=40 * number), *BAD], name=f"f{number}")
    local, spark = house.run(output=house.folder / "local"), house.run(engine="spark")
    assert (local.rows, local.fields, local.undeclared) == (spark.rows, spark.fields, spark.undeclared)
    assert local.quarantine.by_code == spark.quarantine.by_code
    for name in local.outputs:
        assert house.rows(name) == house.rows(name, house.folder / "local")
    minimize.verify(house.out, keys=house.keys)


def test_ids_are_one_subject_across_tasks_whatever_their_padding_and_case(house: Project) -> None:
    do = {"pseudonymize": {"key": "device", "per": "tenant_id", "fold": True}}
    house.policy({"device_id": {**FIELDS["device_id"], "do": do}})
    own = "north,B-1 ,location,off,user,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
    (house.folder / "settings.csv").write_text(SETTINGS + own)
    ids = ["B-1", "b-1", "B-1 ", "\u00a0b-1", "B-1\u200b"]
    for number, device in enumerate(ids):
        house.records([event(number, tenant_id="north ", device_id=device, model="A")], name=f"f{number}")
    house.run(output=house.folder / "local")
    house.run(engine="spark")
    assert house.rows() == house.rows("records", house.folder / "local")
    assert {row["latitude"] for row in house.rows()} == {None}
    assert len({row["device_id"] for row in house.rows()}) == 1
    assert house.rows("per_model") == []
    house.pipeline(records={"deduplicate": {"by": ["device_id"]}})
    assert house.run(engine="spark", output=house.folder / "once").rows.written == 1


def test_without_rows_an_empty_file_of_the_right_type_is_left(house: Project) -> None:
    house.records([{**event, "event_time": "2026-01-01T00:00:00Z"} for event in events(20)])
    receipt = house.run(engine="spark")
    (file,) = receipt.outputs["records"].files
    assert file.rows == 0
    assert minimize.read(house.out).schema.names[0] == "tenant_id"


def test_what_was_wrong_in_a_task_is_raised(house: Project) -> None:
    file = house.records(events(200))
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(SourceError, match="damaged"):
        house.run(engine="spark")
    assert house.files() == set()


def test_tasks_that_nobody_foresaw_to_fail_publish_nothing(house: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    house.records(events(20))
    monkeypatch.setattr("minimize.stages.gate.Gate.__call__", lambda *_: 1 / 0)
    with pytest.raises(ConfigurationError) as told:
        house.run(engine="spark")
    assert told.value.code == "E900"
    assert house.files() == set()


ENCRYPTED = {"encrypt": "by_category"}
APART = {"partition_by": ["tenant_id"], "encrypt": {"by_category": {"per": "tenant_id"}}}


@pytest.mark.parametrize("records", [ENCRYPTED, APART], ids=["one key", "a key for each tenant"])
def test_executors_encrypt_with_keys_that_they_open_by_path(house: Project, records: Any) -> None:
    house.pipeline(records=records)
    house.records(events(60))
    local, spark = house.run(output=house.folder / "local"), house.run(engine="spark")
    assert (spark.keys, spark.rows) == (local.keys, local.rows)
    assert all(file.keys for file in spark.outputs["records"].files)
    assert house.rows(keys=house.keys) == house.rows(output=house.folder / "local", keys=house.keys)
    minimize.verify(house.out, keys=house.keys)


def test_no_key_travels_with_a_task(house: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    pickled: list[bytes] = []
    send = ForkingPickler.dumps

    def seen(thing: Any) -> Any:
        content = send(thing)
        pickled.append(bytes(content))
        return content

    monkeypatch.setattr(ForkingPickler, "dumps", seen)
    house.pipeline(records=ENCRYPTED)
    house.records(events(60))
    house.run(engine="spark")
    ring = Keyring.load(house.keys)
    secrets = [ring.bytes_of(name) for name in ring.names()]
    assert len(pickled) > 2
    assert not any(secret in content for secret in secrets for content in pickled)
