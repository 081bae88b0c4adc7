"""An intent reads back as it was written, and all its steps can be done again."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.errors import OutputError
from minimize.output.recovery import (
    FolderExchange,
    Intent,
    exchange_folders,
    list_data_files,
    no_exchange,
    recover_output,
    roll_forward,
)


def intent() -> Intent:
    return Intent("run2", {"records/date=2026-11-24": ("run2-0.parquet",)}, ("fleet/date=2026-11-24",), "{}\n")


def prepared(output: Path) -> Path:
    """A folder with one partition to swap and one to remove, staged and decided."""
    run = output / "runs/run2"
    for path in (
        "records/date=2026-11-24/run1-0.parquet",
        "fleet/date=2026-11-24/run1-0.parquet",
        "runs/run2/staging/records/date=2026-11-24/run2-0.parquet",
        "runs/run2/staging/records/date=2026-11-24/_SUCCESS",
    ):
        (output / path).parent.mkdir(parents=True, exist_ok=True)
        (output / path).touch()
    intent().write(run)
    return run


def test_an_intent_reads_back(tmp_path: Path) -> None:
    intent().write(tmp_path)
    assert Intent.read(tmp_path) == intent()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"run_id": "run2", "swaps": 7}'])
def test_what_is_no_intent_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "intent.json").write_text(content)
    with pytest.raises(OutputError) as caught:
        Intent.read(tmp_path)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("way", [exchange_folders, no_exchange])
def test_forward_twice_is_forward_once(tmp_path: Path, way: FolderExchange) -> None:
    run = prepared(tmp_path)
    for _ in range(2):
        roll_forward(tmp_path, intent(), way)
        assert list_data_files(tmp_path) == ("records/date=2026-11-24/run2-0.parquet", "runs/run2/receipt.json")
        intent().write(run)


def test_settled_runs_are_left_alone(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    recover_output(tmp_path, exchange_folders)
    before = list_data_files(tmp_path)
    recover_output(tmp_path, exchange_folders)
    assert list_data_files(tmp_path) == before
    assert not (run / "staging").exists()


def test_success_marks_are_not_listed(tmp_path: Path) -> None:
    for name in ("b.parquet", "_SUCCESS", "a/c.parquet", "a/_SUCCESS"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list_data_files(tmp_path) == ("a/c.parquet", "b.parquet")


@pytest.mark.parametrize(("removed", "left"), [(["23"], ["fleet", "sketches"]), (["23", "24"], ["fleet"])])
def test_no_empty_folder_of_companion_files_is_left(tmp_path: Path, removed: list[str], left: list[str]) -> None:
    for day in ("23", "24"):
        for path in (f"fleet/date=2026-11-{day}/run1-0.parquet", f"sketches/fleet/date=2026-11-{day}/run1-0.sealed"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
    paths = [f"{name}/date=2026-11-{day}" for day in removed for name in ("fleet", "sketches/fleet")]
    made = Intent("run2", {}, tuple(paths), "{}\n")
    for _ in range(2):
        (tmp_path / "runs/run2").mkdir(parents=True, exist_ok=True)
        made.write(tmp_path / "runs/run2")
        roll_forward(tmp_path, made, exchange_folders)
        assert sorted(path.name for path in tmp_path.iterdir()) == [*left[:1], "runs", *left[1:]]
