"""The differential runner: the same cases from the same seed, no difference where there is none, and a planted one found."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pytest

from minimize.aggregates import MEASURES
from minimize.sources import FORMATS
from minimize.techniques import TECHNIQUES
from tests.differential.__main__ import main
from tests.differential.compare import Difference, Intended, differences, intended
from tests.differential.random_cases import Case, cases, make_case
from tests.differential.shrink import shrunk
from tests.differential.versions import ROOT, working_tree

SEED = 7
FEW = 10


def json_of(case: Case) -> str:
    return json.dumps(asdict(case))


def texts(old: object, new: object) -> list[str]:
    return [str(each) for each in differences(old, new)]


def shows_a_mask(case: Case) -> bool:
    """Whether a field is masked whatever the settings say, in records that no limit keeps back, in a case that is compared."""
    open_fields = [said for said in case.policy["fields"].values() if {*said} == {"type", "role", "do"}]
    masked = any("mask" in str(said["do"]) for said in open_fields)
    compared = not any({*entry.traits} <= {*case.traits} for entry in intended())
    return compared and masked and "records" not in case.policy and "quarantine" not in case.pipeline and case.rows > 30


def packed(folder: Path, replaced: tuple[str, str] | None = None) -> Path:
    """A wheel of this tree's package, one text of it replaced everywhere."""
    package = working_tree().package
    copy = folder / "content" / package
    shutil.copytree(ROOT / package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    if replaced:
        having = [path for path in copy.rglob("*.py") if replaced[0] in path.read_text()]
        assert having, f"no module has {replaced[0]}"
        for path in having:
            path.write_text(path.read_text().replace(*replaced))
    archive = shutil.make_archive(str(folder / "packed"), "zip", folder / "content")
    return Path(archive).rename(folder / "packed.whl")


def test_a_seed_gives_the_same_cases() -> None:
    assert [*map(json_of, cases(SEED, FEW))] == [*map(json_of, cases(SEED, FEW))]


def test_a_case_is_the_same_in_a_process_with_another_hash_seed() -> None:
    program = f"from tests.differential.test_differential import *; print(json_of(make_case({SEED}, 3)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == json_of(make_case(SEED, 3))


def test_another_seed_gives_other_cases() -> None:
    assert make_case(SEED, 0).policy != make_case(SEED + 1, 0).policy


@cache
def generated_traits() -> set[str]:
    return {trait for case in cases(SEED, 300) for trait in case.traits}


@pytest.mark.parametrize(("kind", "table"), [("technique", TECHNIQUES), ("measure", MEASURES), ("format", FORMATS)])
def test_every_technique_measure_and_source_format_is_generated(kind: str, table: Mapping[str, object]) -> None:
    assert {f"{kind}:{name}" for name in table} <= generated_traits()


@pytest.mark.slow
def test_the_same_package_shows_no_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--against", str(packed(tmp_path)), "--seed", str(SEED), "--cases", str(FEW)])
    assert (code, capsys.readouterr().out.splitlines()[-1]) == (0, "0 cases differ: none")


@pytest.mark.slow
def test_a_changed_technique_is_found_and_the_case_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    number = next(case.number for case in cases(SEED, 600) if shows_a_mask(case))
    words = ["--against", str(packed(tmp_path, ('"****"', '"***"'))), "--seed", str(SEED), "--only", str(number)]
    code = main([*words, "--no-shrink", "--no-cross", "--keep", str(tmp_path)])
    assert (code, f"case {number} of seed {SEED} differs" in capsys.readouterr().out) == (1, True)
    assert (tmp_path / f"case-{number}" / "input" / "pipeline.yaml").exists()


def test_rows_are_compared_as_multisets() -> None:
    old, new = {"rows": [{"a": 1}, {"a": 1}, {"a": 2}]}, {"rows": [{"a": 1}, {"a": 2}, {"a": 3}]}
    assert texts(old, new) == ["rows/a: 1 → 3"]


def test_a_missing_row_is_a_difference() -> None:
    assert texts({"rows": [{"a": 1}]}, {"rows": []}) == ['rows: {"a": 1} → absent']


def test_another_order_of_columns_is_a_difference() -> None:
    assert texts({"schema": {"a": "x", "b": "y"}}, {"schema": {"b": "y", "a": "x"}}) == ["schema/order: a, b → b, a"]


def test_an_intended_difference_needs_its_path_and_its_traits() -> None:
    entry = Intended("HEAD", ("outputs/*/rows/battery",), "rounded otherwise", ("technique:round",))
    difference = Difference("outputs/records/rows/battery", "1", "2")
    assert entry.covers(difference, ["technique:round", "format:csv"])
    assert not entry.covers(difference, ["format:csv"])
    assert not entry.covers(Difference("lint/exit", "0", "1"), ["technique:round"])


def test_the_list_of_intended_differences_can_be_read() -> None:
    assert all(entry.why and entry.paths for entry in intended())


def test_a_case_is_shrunk_to_what_shows_the_difference() -> None:
    case = next(case for case in cases(SEED, 60) if "battery" in case.policy["fields"] and case.rows > 10)
    small = shrunk(case, lambda less: "battery" in less.policy["fields"] and less.rows > 0, budget=500)
    assert (small.rows, len(small.runs), [*small.policy["fields"]][4:]) == (1, 1, ["battery"])


@pytest.mark.nightly
def test_the_wheel_of_this_tree_shows_no_difference(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    assert main(["--against", str(next(tmp_path.glob("*.whl"))), "--seed", "11", "--cases", "100"]) == 0
