"""`python -m benchmarks.risk`: disclosure risk of a table of Adult's shape, and of a large table by persons next to DuckDB.

Each contender runs in a process of its own. CPU is that of all its threads after imports; memory is the most that it held.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any, Final

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ADULT_ROWS: Final = 30_162
ADULT: Final[Mapping[str, int]] = MappingProxyType(
    {
        "sex": 2,
        "age": 72,
        "race": 5,
        "marital_status": 7,
        "education": 16,
        "native_country": 41,
        "workclass": 7,
        "occupation": 14,
    }
)
"""The quasi-identifiers of Adult, and the number of their values."""
SALARY: Final = "salary"
FLEET: Final[Mapping[str, int]] = MappingProxyType(
    {
        "model": 220,
        "os_version": 40,
        "carrier": 60,
        "country": 30,
        "subnet": 40_000,
        "channel": 3,
        "language": 35,
        "storage": 6,
    }
)
"""The quasi-identifiers of a fleet of devices, and the number of their values."""
PERSON: Final = "device_id"
ROWS_OF_A_DEVICE: Final = 15
DICTIONARY_BYTES: Final = 32 << 20
"""Ids of devices are written with a dictionary, which both contenders read faster than repeated texts."""


def adult_table(rows: int = ADULT_ROWS, seed: int = 43) -> pa.Table:
    """A synthetic table of Adult's shape: values are as unevenly frequent as in a census."""
    random = np.random.default_rng(seed)
    columns = {name: _uneven(random, size, rows) for name, size in {**ADULT, SALARY: 2}.items()}
    return pa.table({name: pa.array(codes).cast(pa.string()) for name, codes in columns.items()})


def fleet_table(rows: int, seed: int = 43) -> pa.Table:
    """Records of devices. Each device has a combination of its own, and some have changed their version once."""
    random = np.random.default_rng(seed)
    devices = max(1, rows // ROWS_OF_A_DEVICE)
    device = random.integers(0, devices, rows)
    columns = {name: _uneven(random, size, devices)[device] for name, size in FLEET.items()}
    changed = (device % 100 == 0) & (random.random(rows) < 0.5)
    columns["os_version"] = np.where(changed, columns["os_version"] + 1, columns["os_version"])
    ids = np.char.mod("%022x", np.arange(devices) * 2654435761)
    encoded = {
        name: pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), _labels(name, int(codes.max()) + 1))
        for name, codes in columns.items()
    }
    encoded[PERSON] = pa.DictionaryArray.from_arrays(pa.array(device.astype(np.int32)), pa.array(ids))
    return pa.table(encoded).cast(pa.schema([(name, pa.string()) for name in encoded]))


def _uneven(random: np.random.Generator, size: int, rows: int) -> Any:
    shares = 1 / np.arange(1, size + 1)
    return random.choice(size, rows, p=shares / shares.sum())


def _labels(name: str, size: int) -> pa.Array:
    return pa.array([f"{name} {number}" for number in range(size)])


def adult_minimize(path: Path) -> list[Any]:
    """k, l, t, delta, beta and alpha of `minimize`."""
    from minimize.disclosure_risk.combinations import classes_of, combinations_of
    from minimize.disclosure_risk.measures import RISK_MEASURES
    from minimize.disclosure_risk.requirement import Baseline, worst_figure

    combinations = combinations_of(pq.read_table(path), [*ADULT], [SALARY])
    classes = classes_of(combinations, np.arange(len(combinations)), len(combinations))
    baseline = Baseline.of_combinations(combinations)
    return [worst_figure(name, classes, baseline) for name in RISK_MEASURES]


def adult_risk(path: Path) -> list[Any]:
    """Everything that `minimize.risk` measures."""
    import minimize

    measured = minimize.risk(pq.read_table(path), [*ADULT], [SALARY])
    return [measured.k, *measured.measures[SALARY].values()]


def adult_pycanon(path: Path) -> list[Any]:
    """The same measures of pycanon."""
    from pycanon import anonymity

    frame, quasi, sensitive = pq.read_table(path).to_pandas(), [*ADULT], [SALARY]
    return [
        anonymity.k_anonymity(frame, quasi),
        anonymity.l_diversity(frame, quasi, sensitive),
        anonymity.t_closeness(frame, quasi, sensitive),
        anonymity.delta_disclosure(frame, quasi, sensitive),
        anonymity.basic_beta_likeness(frame, quasi, sensitive),
        anonymity.alpha_k_anonymity(frame, quasi, sensitive)[0],
    ]


def fleet_minimize(path: Path) -> list[Any]:
    """The combinations, and those of a single device."""
    from minimize.disclosure_risk.combinations import CombinationTally

    tally = CombinationTally([*FLEET], person=PERSON)
    with pq.ParquetFile(path, read_dictionary=[*FLEET, PERSON]) as file:
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(1 << 20, row_groups=[group], columns=[*FLEET, PERSON]):
                tally.observe(batch)
    combinations = tally.settle()
    return [len(combinations), int((combinations.person_counts == 1).sum())]


def fleet_duckdb(path: Path) -> list[Any]:
    """The same in SQL."""
    import duckdb

    connection = duckdb.connect(config={"threads": 2})
    counted = f"SELECT count(DISTINCT {PERSON}) AS persons FROM '{path}' GROUP BY {', '.join(FLEET)}"
    found = connection.sql(f"SELECT count(*), count(*) FILTER (persons = 1) FROM ({counted})").fetchall()
    return list(found[0])


CONTENDERS: Final[Mapping[str, Mapping[str, Callable[[Path], list[Any]]]]] = MappingProxyType(
    {
        "adult": {"minimize": adult_minimize, "minimize.risk": adult_risk, "pycanon": adult_pycanon},
        "fleet": {"minimize": fleet_minimize, "duckdb": fleet_duckdb},
    }
)
PACKAGES: Final = {"pycanon": "pycanon", "duckdb": "duckdb"}
"""What a contender needs."""


def measure(job: str, name: str, path: Path, runs: int) -> Mapping[str, Any]:
    """The figures of a contender: CPU and wall seconds (medians), megabytes, and its result."""
    command = [sys.executable, "-m", "benchmarks.risk", "--contender", job, name, "--runs", str(runs), str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _contend(job: str, name: str, path: Path, runs: int) -> Mapping[str, Any]:
    work = CONTENDERS[job][name]
    result = work(path)  # warms up; imports are not measured
    cpu, wall = [], []
    for _ in range(runs):
        before, start = time.process_time(), time.perf_counter()
        work(path)
        cpu.append(time.process_time() - before)
        wall.append(time.perf_counter() - start)
    status = Path("/proc/self/status").read_text()
    megabytes = int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
    return {"cpu": median(cpu), "wall": median(wall), "megabytes": megabytes, "result": result}


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path), default=Path("out/benchmarks/risk"))
@click.option("--rows", default=10_000_000, show_default=True, help="Records of the large table.")
@click.option("--runs", default=3, show_default=True)
@click.option("--contender", nargs=2, hidden=True)
def main(path: Path, rows: int, runs: int, contender: tuple[str, str] | None) -> None:
    """Writes the tables into a folder, measures, and prints the figures."""
    if contender:
        click.echo(json.dumps(_contend(*contender, path, runs)))
        return
    path.mkdir(parents=True, exist_ok=True)
    tables = {"adult": (adult_table, ADULT_ROWS), "fleet": (fleet_table, rows)}
    for job, (generate, count) in tables.items():
        file = path / f"{job}-{count}.parquet"
        if not file.exists():
            pq.write_table(generate(count), file, row_group_size=1 << 20, dictionary_pagesize_limit=DICTIONARY_BYTES)
        for name in CONTENDERS[job]:
            if find_spec(PACKAGES.get(name, "minimize")) is None:
                click.echo(f"{job:6} {name:14} is not installed")
                continue
            figures = measure(job, name, file, runs)
            click.echo(
                f"{job:6} {name:14} {figures['cpu']:8.3f} s CPU {figures['wall']:8.3f} s wall "
                f"{figures['megabytes']:6.0f} MB  {figures['result']}"
            )


if __name__ == "__main__":
    main()
