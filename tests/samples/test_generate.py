"""Sample data as a whole: `minimize_samples.generate`."""

import gzip
import hashlib
import json
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import minimize_samples as samples
import pyarrow.parquet as pq
import pytest
from minimize_samples import NAMES, generate

from minimize.errors import ConfigurationError
from tests.commands import command

SCRIPT = Path(__file__).parents[2] / "sample_data" / "generate.py"
LARGER = {"app_inventory": 250_000, "device_inventory": 210_000, "device_telemetry": 210_000, "usage_events": 450_000}
"""The most bytes of samples whose tables by application or error need enough devices or users."""


def plain(value: Any) -> Any:
    """A value of a table as NDJSON has it, nulls left out."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        pairs = bool(value) and isinstance(value[0], tuple)
        return dict(value) if pairs else [plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_arguments_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    generate(name, 400, tmp_path / "a")
    generate(name, 400, tmp_path / "b")
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


@pytest.mark.parametrize("name", NAMES)
def test_one_row_per_date_can_be_written(tmp_path: Path, name: str) -> None:
    for format_ in ("ndjson", "parquet"):
        assert generate(name, 2, tmp_path / format_, format=format_)


def test_another_seed_gives_other_bytes(tmp_path: Path) -> None:
    generate("usage_events", 400, tmp_path / "a")
    generate("usage_events", 400, tmp_path / "b", seed=2)
    assert not set(digests(tmp_path / "a").values()) & set(digests(tmp_path / "b").values())


@pytest.mark.parametrize("name", NAMES)
def test_the_rows_are_spread_over_the_dates(tmp_path: Path, name: str) -> None:
    *parts, settings = generate(name, 301, tmp_path, dates=[date(2026, 1, 2), "2026-01-01"])
    assert [str(part.relative_to(tmp_path)) for part in parts] == [
        "2026-01-01/part-00000.ndjson.gz",
        "2026-01-02/part-00000.ndjson.gz",
    ]
    assert [gzip.decompress(part.read_bytes()).count(b"\n") for part in parts] == [151, 150]
    assert settings == tmp_path / "settings.csv"


def test_many_rows_of_a_day_are_several_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "PART_ROWS", 100)
    parts = generate("usage_events", 250, tmp_path, dates=["2026-01-01"], format="parquet")[:-1]
    assert [part.name for part in parts] == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    assert [pq.read_metadata(part).num_rows for part in parts] == [100, 100, 50]


def test_parts_that_lay_there_are_replaced(tmp_path: Path) -> None:
    generate("usage_events", 10, tmp_path, dates=["2026-01-01"], format="ndjson")
    generate("usage_events", 10, tmp_path, dates=["2026-01-01"])
    assert [path.name for path in (tmp_path / "2026-01-01").iterdir()] == ["part-00000.ndjson.gz"]


@pytest.mark.parametrize("name", NAMES)
def test_no_rows_make_empty_files(tmp_path: Path, name: str) -> None:
    first, *_ = generate(name, 0, tmp_path, dates=["2026-01-01"], format="ndjson")
    assert first.read_bytes() == b""


@pytest.mark.parametrize("name", NAMES)
def test_parquet_holds_the_records_of_ndjson(tmp_path: Path, name: str) -> None:
    parquet, ndjson = (
        generate(name, 50, tmp_path / kind, dates=["2026-01-01"], format=kind)[0] for kind in ("parquet", "ndjson")
    )
    lines = [json.loads(line) for line in ndjson.read_text().splitlines()]
    assert [plain(row) for row in pq.read_table(parquet).to_pylist()] == lines


def test_an_unknown_name_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        generate("usage_event", 1, tmp_path)
    assert refused.value.hint == "Did you mean usage_events?"


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        generate("usage_events", 1, tmp_path, format="xml")
    assert "parquet" in refused.value.hint


@pytest.mark.parametrize(("rows", "dates"), [(-1, []), (1, ["yesterday"])])
def test_invalid_sample_requests_are_refused(tmp_path: Path, rows: int, dates: list[str]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        generate("usage_events", rows, tmp_path, dates=dates)
    assert "yesterday" not in str(refused.value)


def test_the_script_writes_the_same_as_the_library(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "usage_events", "--rows", "50", "--out", str(tmp_path / "a")]
    command += ["--date", "2026-01-01"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    generate("usage_events", 50, tmp_path / "b", dates=["2026-01-01"])
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert len(done.stdout.splitlines()) == 2


def test_samples_are_listed_without_faker() -> None:
    code = "import sys; import minimize_samples; sys.exit('faker' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture(name="committed", scope="module")
def _committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the script makes of all samples."""
    folder = tmp_path_factory.mktemp("samples")
    subprocess.run([sys.executable, str(SCRIPT), "--all", "--out", str(folder)], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_samples_are_what_the_script_makes(committed: Path, name: str) -> None:
    assert digests(SCRIPT.parent / name) == digests(committed / name)


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_samples_are_small_and_of_the_default_dates(name: str) -> None:
    folder = SCRIPT.parent / name
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.name for path in folder.iterdir()} == {"2026-11-23", "2026-11-24", "settings.csv"}
    assert sum(path.stat().st_size for path in files) <= LARGER.get(name, 200_000)


@pytest.mark.parametrize("arguments", [[], ["usage_events"], ["--out", "x"]])
def test_the_script_names_the_missing_arguments(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "give a name and --out, or --all" in done.stderr


def test_the_command_lists_the_datasets() -> None:
    text = " ".join(command("sample", "--help").out.split())
    assert all(name in text for name in NAMES)
