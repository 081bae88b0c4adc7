"""`python -m benchmarks.levels`: optimal levels and local recoding of the Adult data set, next to the optima that ARX reports.

Adult comes from a file (`--adult`): the wheel of `fairness` 0.1.8 has one at `fairness/data/raw/adult.csv`. Without a file the
table is synthetic, of the same shape, and only times are compared. The hierarchies are those of ARX's examples.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any, Final

import click
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from minimize.disclosure_risk.combinations import Combinations, combinations_of
from minimize.disclosure_risk.full_domain import optimal_levels
from minimize.disclosure_risk.hierarchy import Hierarchy
from minimize.disclosure_risk.local_recoding import recoded
from minimize.disclosure_risk.requirement import Requirement

Rows = list[tuple[str, ...]]
ADULT_ROWS: Final = 30_162
SALARY: Final = "salary-class"
SALARY_NAMES: Final = ("salary-class", "income-per-year", "income", "salary")
"""What files call the sensitive attribute."""


def _two_levels(groups: Mapping[str, str]) -> Rows:
    return [(leaf, group, "*") for group, leaves in groups.items() for leaf in leaves.split()]


def _ages() -> Rows:
    """Ages from 1 to 100 in groups of 5, 10 and 20, the first of which are short by the age 0."""
    return [(str(age), *(f"{(age - 1) // width}/{width}" for width in (5, 10, 20)), "*") for age in range(1, 101)]


def _education() -> Rows:
    groups = {
        ("Undergraduate", "Higher education"): "Bachelors Some-college",
        ("Graduate", "Higher education"): "Masters Doctorate",
        ("Professional Education", "Higher education"): "Prof-school Assoc-acdm Assoc-voc",
        ("High School", "Secondary education"): "9th 10th 11th 12th 7th-8th HS-grad",
        ("Primary School", "Primary education"): "Preschool 1st-4th 5th-6th",
    }
    return [(leaf, *labels, "*") for labels, leaves in groups.items() for leaf in leaves.split()]


HIERARCHIES: Final[Mapping[str, Rows]] = {
    "sex": [("Male", "*"), ("Female", "*")],
    "age": _ages(),
    "race": [(race, "*") for race in ("White", "Asian-Pac-Islander", "Amer-Indian-Eskimo", "Other", "Black")],
    "marital-status": _two_levels(
        {
            "spouse present": "Married-civ-spouse Married-AF-spouse",
            "spouse not present": "Divorced Never-married Separated Widowed Married-spouse-absent",
        }
    ),
    "education": _education(),
    "native-country": _two_levels(
        {
            "North America": "United-States Puerto-Rico Canada Outlying-US(Guam-USVI-etc) Cuba Honduras Jamaica Mexico "
            "Dominican-Republic Haiti Guatemala El-Salvador",
            "South America": "Ecuador Columbia Nicaragua Trinadad&Tobago Peru",
            "Asia": "Cambodia India Japan China Iran Philippines Vietnam Laos Taiwan Thailand Hong",
            "Europe": "England Germany Greece Italy Poland Portugal Ireland France Hungary Scotland Yugoslavia "
            "Holand-Netherlands",
            "Africa": "South",
        }
    ),
    "workclass": _two_levels(
        {
            "Non-Government": "Private Self-emp-not-inc Self-emp-inc",
            "Government": "Federal-gov Local-gov State-gov",
            "Unemployed": "Without-pay Never-worked",
        }
    ),
    "occupation": _two_levels(
        {
            "Technical": "Tech-support Craft-repair Prof-specialty Machine-op-inspct",
            "Nontechnical": "Sales Exec-managerial Handlers-cleaners",
            "Other": "Other-service Adm-clerical Farming-fishing Transport-moving Priv-house-serv Protective-serv "
            "Armed-Forces",
        }
    ),
}
"""The quasi-identifiers of Adult in the order of ARX's example, with the lines of their hierarchies."""


@dataclass(frozen=True, slots=True)
class LevelsJob:
    """A search, its goals, and the optimum that ARX reports for Adult."""

    name: str
    limit: Fraction | None
    """The share of records that may be suppressed; None for local recoding."""
    seconds: float
    loss: float
    """The optimum's loss; for local recoding the loss that it must not exceed."""
    levels: str = ""
    suppressed: int = 0


JOBS: Final = (
    LevelsJob("optimum, k 5, 5 %", Fraction(1, 20), 0.3, 0.2519, "03001112", 1458),
    LevelsJob("optimum, k 5, 0 %", Fraction(0), 0.3, 0.5916, "04023221", 0),
    LevelsJob("local recoding, k 5", None, 0.5, 0.093),
)
REQUIREMENT: Final = Requirement({"k": 5})


def read_adult(path: Path) -> pa.Table:
    """The records of a CSV of Adult without unknown values. Columns may be in any order, with `,` or `;` between them."""
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    options = pcsv.ParseOptions(delimiter=";" if ";" in first else ",")
    read = pcsv.read_csv(path, parse_options=options)
    salary = next(name for name in SALARY_NAMES if name in read.column_names)
    columns = {name: read[name].cast(pa.string()) for name in HIERARCHIES} | {SALARY: read[salary].cast(pa.string())}
    table = pa.table({name: pc.utf8_trim_whitespace(column) for name, column in columns.items()})
    is_known = np.logical_and.reduce([pc.not_equal(table[name], "?").to_numpy() for name in HIERARCHIES])
    return table.filter(pa.array(is_known))


def synthetic_adult(rows: int = ADULT_ROWS, seed: int = 43) -> pa.Table:
    """A table of Adult's shape with values of the hierarchies, as unevenly frequent as in a census."""
    random = np.random.default_rng(seed)
    columns = {}
    salaries: Rows = [("<=50K",), (">50K",)]
    for name, lines in {**HIERARCHIES, SALARY: salaries}.items():
        shares = 1 / np.arange(1, len(lines) + 1)
        codes = random.choice(len(lines), rows, p=shares / shares.sum())
        columns[name] = pa.array([line[0] for line in lines]).take(pa.array(codes))
    return pa.table(columns)


def adult_problem(table: pa.Table) -> tuple[Combinations, list[Hierarchy]]:
    """The combinations of a table, and their hierarchies."""
    combinations = combinations_of(table, [*HIERARCHIES])
    hierarchies = [
        Hierarchy.of_table(name, dictionary, HIERARCHIES[name])
        for name, dictionary in zip(combinations.names, combinations.dictionaries, strict=True)
    ]
    return combinations, hierarchies


def measure_job(job: LevelsJob, table: pa.Table, runs: int) -> dict[str, Any]:
    """The result of a job and its median CPU seconds, from the combinations on."""
    problem = adult_problem(table)
    results, seconds = [], []
    for _ in range(runs + 1):
        start = time.process_time()
        results.append(_job_result(job, *problem))
        seconds.append(time.process_time() - start)
    return {"name": job.name, "cpu": median(seconds[1:]), **results[0]}


def _job_result(job: LevelsJob, combinations: Combinations, hierarchies: list[Hierarchy]) -> dict[str, Any]:
    if job.limit is None:
        recoding = recoded(combinations, hierarchies, REQUIREMENT)
        return {"levels": "", "suppressed": 0, "loss": recoding.loss, "proven": None}
    choice = optimal_levels(combinations, hierarchies, REQUIREMENT, suppress_at_most=job.limit)
    levels = "".join(map(str, choice.levels))
    return {"levels": levels, "suppressed": choice.suppressed, "loss": choice.loss, "proven": choice.proven}


def missed_goals(job: LevelsJob, figures: Mapping[str, Any], *, is_adult: bool) -> list[str]:
    """The goals that the figures of a job miss, as text. A synthetic table has no goals."""
    if not is_adult:
        return []
    checks: dict[str, bool] = {f"{figures['cpu']:.2f} s, not below {job.seconds} s": figures["cpu"] >= job.seconds}
    if job.limit is None:
        checks[f"loss {figures['loss']:.4f}, above {job.loss}"] = figures["loss"] > job.loss
    else:
        optimum = (job.levels, job.suppressed, job.loss, True)
        result = (figures["levels"], figures["suppressed"], round(figures["loss"], 4), figures["proven"])
        checks[f"not the optimum {optimum}"] = result != optimum
    return [text for text, is_missed in checks.items() if is_missed]


@click.command()
@click.option("--adult", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A CSV of Adult.")
@click.option("--runs", default=5, show_default=True, help="Measured runs of each job, after one to warm up.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(adult: Path | None, runs: int, as_json: bool) -> None:
    """Measures the searches. Exits with 1 if a goal is missed."""
    table = synthetic_adult() if adult is None else read_adult(adult)
    show: Callable[[str], None] = (lambda _: None) if as_json else click.echo
    show(f"{table.num_rows:,} records, {'synthetic' if adult is None else 'Adult'}")
    figures, is_missed = [], False
    for job in JOBS:
        figures.append(measure_job(job, table, runs))
        missed = missed_goals(job, figures[-1], is_adult=adult is not None)
        is_missed |= bool(missed)
        row = figures[-1]
        text = f"{job.name:22}{row['cpu']:8.3f} s  loss {row['loss']:.4f}  {row['suppressed']:6} suppressed"
        show(f"{text}  {row['levels']}{''.join(f'  missed: {goal}' for goal in missed)}")
    if as_json:
        click.echo(json.dumps({"records": table.num_rows, "adult": adult is not None, "jobs": figures}, indent=2))
    sys.exit(1 if is_missed else 0)


if __name__ == "__main__":
    main()
