"""The searches of the benchmark on tables of Adult's shape."""

from __future__ import annotations

from pathlib import Path

import pyarrow.csv as pcsv
import pytest
from click.testing import CliRunner

from benchmarks import levels
from benchmarks.levels import HIERARCHIES, JOBS, LevelsJob


def test_hierarchies_have_the_size_of_those_of_arx() -> None:
    sizes = {name: (len(rows), len(rows[0])) for name, rows in HIERARCHIES.items()}
    assert sizes == {
        "sex": (2, 2),
        "age": (100, 5),
        "race": (5, 2),
        "marital-status": (7, 3),
        "education": (16, 4),
        "native-country": (41, 3),
        "workclass": (8, 3),
        "occupation": (14, 3),
    }


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_a_job_has_a_result_on_a_synthetic_table(job: LevelsJob) -> None:
    figures = levels.measure_job(job, levels.synthetic_adult(2000), runs=1)
    assert 0 < figures["loss"] <= 1
    assert figures["proven"] in (True, None)
    assert figures["suppressed"] <= 100


def test_a_file_is_read_without_records_that_have_unknown_values(tmp_path: Path) -> None:
    table = levels.synthetic_adult(50)
    pcsv.write_csv(table.rename_columns([*HIERARCHIES, "income"]), tmp_path / "adult.csv")
    text = (tmp_path / "adult.csv").read_text() + '"?"' + ',"x"' * len(HIERARCHIES) + "\n"
    (tmp_path / "adult.csv").write_text(text)
    assert levels.read_adult(tmp_path / "adult.csv").equals(table)


def test_goals_are_missed_by_time_loss_or_another_result() -> None:
    optimum, _, recoding = JOBS
    figures = {"cpu": 0.1, "levels": "03001112", "suppressed": 1458, "loss": 0.25191, "proven": True}
    assert levels.missed_goals(optimum, figures, is_adult=True) == []
    assert levels.missed_goals(optimum, {**figures, "cpu": 0.4}, is_adult=True) == ["0.40 s, not below 0.3 s"]
    assert len(levels.missed_goals(optimum, {**figures, "suppressed": 1457}, is_adult=True)) == 1
    assert len(levels.missed_goals(recoding, {**figures, "loss": 0.1}, is_adult=True)) == 1
    assert levels.missed_goals(recoding, {**figures, "loss": 0.1}, is_adult=False) == []


def test_the_command_prints_a_line_per_job(tmp_path: Path) -> None:
    pcsv.write_csv(levels.synthetic_adult(500), tmp_path / "adult.csv")
    result = CliRunner().invoke(levels.main, ["--adult", str(tmp_path / "adult.csv"), "--runs", "1"])
    assert result.exit_code == 1, "a table of 500 synthetic records does not have Adult's optimum"
    assert len(result.output.splitlines()) == 1 + len(JOBS)
    assert "500 records, Adult" in result.output
