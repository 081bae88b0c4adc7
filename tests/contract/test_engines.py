"""The contract of engines: Spark gives what the local engine gives, row for row and bit for bit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.receipts import Receipt
from tests.project import BEFORE, FIELDS, Project, event, events, new_project, table
from tests.sparking import want_spark

pytestmark = [
    pytest.mark.spark,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
BAD = ['{"broken', '{"contacts": [1]}', '{"event_time": "yesterday", "tenant_id": "north", "device_id": "d1"}', "[]"]


@pytest.fixture(autouse=True)
def _session(monkeypatch: pytest.MonkeyPatch) -> None:
    want_spark()
    monkeypatch.setenv("MINIMIZE_SPARK_MASTER", "local[2]")
    monkeypatch.delenv("MINIMIZE_KEYS", raising=False)
    monkeypatch.setattr(
        import_module("minimize.engines.spark"), "RESULTS_AT_ONCE", 2
    )  # the four tasks are put together in two


def lines(project: Project) -> None:
    """Several files, one of them empty, with lines that are refused, undeclared fields, and a `top`."""
    for name in range(5):
        more = [{**event, "näw_thing": "ünïcode ☃"} for event in events(40, first=1000 + 40 * name)]
        project.records([*events(90, first=90 * name), *BAD, *more], name=f"f{name}")
    project.records([], name="empty")


def two_dates(project: Project) -> None:
    project.records(events(60), name="a")
    project.records(events(60, first=30), name="b")
    project.records(events(80, first=500), day=BEFORE)


def copies(project: Project) -> None:
    """Duplicates within and across files, equal in everything or not."""
    project.pipeline(records={"deduplicate": {"by": ["device_id", "model"]}})
    for name in range(5):
        again = events(30) + events(30, first=20 * name)
        project.records([*again, *again[:10], *BAD], name=f"f{name}")


def equal_rows(project: Project) -> None:
    """Every record stands in every file: of each exactly one stays."""
    project.pipeline(records={"deduplicate": {"by": ["event_id"]}})
    for name in range(6):
        project.records(events(70), name=f"f{name}")


def folders(project: Project) -> None:
    project.pipeline(records={"partition_by": ["tenant_id"], "deduplicate": {"by": ["device_id"]}})
    for name in range(3):
        project.records(events(50, first=50 * name), name=f"f{name}")


def row_groups(project: Project) -> None:
    project.source("parquet")
    project.columns(table(events(300)), name="a", row_group_size=37)
    project.columns(table(events(200, first=250)), name="b", row_group_size=1000)
    project.columns(table([]), name="c")


def copied_row_groups(project: Project) -> None:
    project.source("parquet", records={"deduplicate": {"by": ["device_id", "model"]}})
    project.columns(table(events(300) + events(300)), name="a", row_group_size=41)
    project.columns(table(events(200, first=250)), name="b", row_group_size=1000)


def comma_separated(project: Project) -> None:
    project.source("csv")
    for name in range(3):
        project.columns(table(events(60, first=60 * name)), name=f"f{name}", kind="csv")


def aggregates_only(project: Project) -> None:
    project.pipeline(records=False, aggregates=ROUNDED)
    for name in range(4):
        project.records([*events(120, first=120 * name), *BAD], name=f"f{name}")


def noise(project: Project) -> None:
    """Tables with noise, whose subjects are in several files with several rows."""
    project.pipeline(aggregates=NOISY)
    for name in range(4):
        project.records(
            [*(event(number, device_id=f"d{number % 150}") for number in range(120 * name, 120 * name + 200)), *BAD],
            name=f"f{name}",
        )


def nothing_stays(project: Project) -> None:
    """All is past retention: an empty, typed file is left."""
    for name in range(2):
        project.records([{**event, "event_time": "2026-01-01T00:00:00Z"} for event in events(20)], name=f"f{name}")


def rich(project: Project) -> None:
    """Nulls, decimals, time zones, nanoseconds, dates, binaries, unicode and nested columns over several row groups."""
    project.policy(
        {
            "price": {"type": "decimal(38,9)", "do": "keep"},
            "wide": {"type": "decimal(10,2)", "do": {"round": {"to": 5}}},
            "seen": {"type": "timestamp", "do": "keep"},
            "born": {"type": "date", "do": "keep"},
            "blob": {"type": "binary", "do": "keep"},
            "word": {"type": "string", "do": "keep"},
            "/os/version": {"type": "string", "do": {"truncate_version": {"parts": 2}}},
            "/apps/*/name": {
                "type": "string",
                "do": {"top": {"keep": 1, "other": "other", "at_least": 2}},
            },
            "/apps/*/size": {"type": "double", "do": "keep"},
        }
    )
    project.source("parquet", aggregates=PRICES)
    for name in range(3):
        project.columns(_rich(150, 150 * name), name=f"f{name}", row_group_size=60)


EXACT = {"exact": {"because": "engines are compared"}}
ROUNDED: dict[str, Any] = {
    "hours": {
        "group_by": {"hour": {"event_time": "hour"}},
        "measures": {"events": "count", "last": {"max": "event_time"}, "mean": {"mean": "battery"}},
        "suppress": {"below": 2, "counting": "device_id"},
        "round": {"counts_to": 5},
        **EXACT,
    }
}
NOISY: dict[str, Any] = {
    "total": {
        "group_by": {},
        "measures": {
            "events": "count",
            "devices": {"count_distinct": "device_id"},
            "models": {"histogram": "model"},
            "storage": {"quantile": {"of": "storage", "q": 0.5}},
        },
        "suppress": {"below": 3},
        "per_subject": {"rows": 4},
    },
    "per_model": {
        "group_by": {"day": {"event_time": "day"}, "model": "model"},
        "measures": {"battery": {"mean": "battery"}, "drained": {"sum": "battery"}, "events": "count"},
        "suppress": {"below": 3},
        "per_subject": {"rows": 4},
    },
}
PRICES: dict[str, Any] = {
    "prices": {
        "group_by": {"word": "word"},
        "measures": {"sum": {"sum": "price"}, "mean": {"mean": "price"}, "words": {"count_distinct": "word"}},
        "suppress": {"below": 2, "counting": "device_id"},
        **EXACT,
    }
}


def _rich(count: int, first: int) -> pa.Table:
    plain, numbers = table(events(count, first=first)), range(first, first + count)
    times = [None if n % 9 == 0 else datetime(2026, 11, 24, n % 24, n % 60, n % 60, n, UTC) for n in numbers]
    apps = [None if n % 11 == 0 else _apps(n) for n in numbers]
    columns: dict[str, pa.Array] = {
        "price": pa.array(
            [None if n % 5 == 0 else Decimal(n * 12345) / 7**5 // Decimal("1e-9") * Decimal("1e-9") for n in numbers],
            pa.decimal128(38, 9),
        ),
        "wide": pa.array([None if n % 4 == 0 else Decimal(n * 3) / 4 for n in numbers], pa.decimal128(10, 2)),
        "seen": pa.array(times, pa.timestamp("ns", "Europe/Berlin")),
        "born": pa.array([None if n % 6 == 0 else date(1990, 1 + n % 12, 1 + n % 28) for n in numbers]),
        "blob": pa.array([None if n % 7 == 0 else bytes([n % 256, 0, 255]) for n in numbers]),
        "word": pa.array([(None, "", "Zoë", "日本語", "🙂\u0000", "e\u0301")[n % 6] for n in numbers]),
        "os": pa.array([None if n % 10 == 0 else {"version": f"{n % 4}.{n % 3}.{n}", "extra": n} for n in numbers]),
        "apps": pa.array(apps, pa.list_(pa.struct([("name", pa.string()), ("size", pa.float64())]))),
    }
    for name, column in columns.items():
        plain = plain.append_column(name, column)
    return plain


def _apps(number: int) -> list[dict[str, Any] | None]:
    sizes = [float("nan"), -0.0, 1e300, 0.1 + 0.2, None]
    return [
        {"name": ("Mail", "Käse", None)[(number + i) % 3], "size": sizes[(number + i) % 5]} for i in range(number % 4)
    ]


SCENES: list[Callable[[Project], None]] = [
    lines, two_dates, copies, equal_rows, folders, row_groups, copied_row_groups, comma_separated, aggregates_only,
    noise, nothing_stays, rich,
]  # fmt: skip


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_spark_gives_what_the_local_engine_gives(scene: Callable[[Project], None], tmp_path: Path) -> None:
    project = new_project(tmp_path)
    scene(project)
    local, spark = (run(project, name, name) for name in ("local", "spark"))
    assert told(project.exact(local, tmp_path / "local")) == told(project.exact(spark, tmp_path / "spark"))
    assert spark.engine == "spark"
    for name in local.outputs:
        assert standing(tmp_path / "local", name) == standing(tmp_path / "spark", name)
    assert releases(local) == releases(spark)
    assert refused(tmp_path / "local") == refused(tmp_path / "spark")
    minimize.verify(tmp_path / "spark", keys=project.keys)


def test_the_scenes_reach_several_tasks_rejects_duplicates_and_small_groups(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    copies(project)
    receipt = project.run(engine="spark")
    assert len(receipt.outputs["records"].files) > 1
    assert receipt.rows.by_result["deduplicated"] > 100
    assert receipt.rows.quarantined == 5 * len(BAD)


def test_tables_with_noise_have_equal_bytes_for_any_engine_and_files(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    noise(project)
    local, spark = (run(project, name, name) for name in ("local", "spark"))
    shutil.rmtree(tmp_path / "data")
    joined = [
        event(number, device_id=f"d{number % 150}")
        for name in range(4)
        for number in range(120 * name, 120 * name + 200)
    ]
    project.records(reversed(joined), name="one")
    other = run(project, "other", "spark")
    for name in NOISY:
        files = [minimize.files(tmp_path / each, name) for each in ("local", "spark", "other")]
        assert len({Path(file).read_bytes() for each in files for file in each}) == 1
    assert releases(local) == releases(spark) == releases(other) != {}


def test_equal_rows_in_all_files_stay_once(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    equal_rows(project)
    assert project.run(engine="spark").rows.written == 70


def test_rows_are_written_in_the_order_of_the_input(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    project.policy(
        {"event_id": {"type": "string", "role": "plain", "do": "keep"}, "model": FIELDS["model"] | {"do": "keep"}}
    )
    for name in range(5):
        project.records(events(30, first=30 * name), name=f"f{name}")
    project.run(engine="spark")
    assert minimize.read(project.out)["event_id"].to_pylist() == [f"e{number}" for number in range(150)]


def test_files_of_executors_are_indexed_and_every_subject_is_found(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    copies(project)
    records = project.run(engine="spark").outputs["records"]
    assert len(records.index or ()) == len(records.files) > 1
    everything = minimize.read(project.out)
    for subject in everything["device_id"].unique().to_pylist():
        due = everything.filter(pa.compute.equal(everything["device_id"], subject))
        found = minimize.read(project.out, subjects=[subject], keys=project.keys)
        assert sorted(map(str, found.to_pylist())) == sorted(map(str, due.to_pylist()))


def run(project: Project, output: str, engine: str) -> Receipt:
    """Runs into an output with a ledger of its own: exact figures of a date are published once for each ledger."""
    folder = project.folder
    return project.run(output=folder / output, ledger=folder / f"{output}.db", engine=engine)


def told(receipt: Receipt) -> dict[str, Any]:
    """What a receipt says that does not depend on when it was made, or in how many files."""
    outputs = {
        name: (each.category, each.rows, each.groups_suppressed, each.rows_suppressed)
        for name, each in receipt.outputs.items()
    }
    return {
        "rows": receipt.rows,
        "gated": receipt.gated_by,
        "fields": receipt.fields,
        "undeclared": receipt.undeclared,
        "quarantine": (receipt.quarantine.rows, receipt.quarantine.by_code),
        "inputs": receipt.inputs,
        "outputs": outputs,
        "dates": receipt.dates,
        "keys": receipt.keys,
        "plan": receipt.plan,
        "settings": receipt.settings,
    }


def releases(receipt: Receipt) -> dict[str, Any]:
    """The marks of the releases of tables with noise: equal marks are equal figures."""
    return {name: output.releases for name, output in receipt.outputs.items() if output.releases}


def standing(output: Path, name: str) -> tuple[pa.Schema, Any]:
    """The schema of an output with all that it says, and its rows: aggregates in their order, records in any."""
    found = minimize.read(output, name)
    rows = [bits(row) for row in found.to_pylist()]
    return found.schema.serialize().to_pybytes(), sorted(rows) if name == "records" else rows


def bits(row: dict[str, Any]) -> str:
    """A row as text that tells -0.0 from 0.0, and one NaN from a null."""
    return repr(row)


def refused(output: Path) -> list[str]:
    """The rows of the quarantine but for the run's id."""
    files = (output / "quarantine").rglob("*.parquet")
    rows = [row for file in files for row in pq.read_table(file, partitioning=None).to_pylist()]
    return sorted(repr({key: value for key, value in row.items() if key != "run_id"}) for row in rows)
