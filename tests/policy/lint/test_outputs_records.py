""""""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from minimize.errors import Finding
from minimize.linting import lint
from minimize.policy.load import load_pipeline

LintOf = Callable[..., list[Finding]]
FIELDS = """\
subject: device
fields:
  device: {type: string, role: identifier, do: DO}
  os: {type: string, do: keep}
"""


def codes(found: list[Finding]) -> list[str]:
    return [finding.code for finding in found if finding.code == "L070"]


def test_records_whose_subjects_are_found_only_by_reading_everything(pipeline_lint_of: LintOf) -> None:
    held, dropped = FIELDS.replace("DO", "{pseudonymize: {key: device}}"), FIELDS.replace("DO", "drop")
    assert codes(pipeline_lint_of("records: {index: false}\n", held)) == ["L070"]
    assert codes(pipeline_lint_of("records: {index: true}\n", held)) == []
    assert codes(pipeline_lint_of("records: {}\n", held)) == []
    assert codes(pipeline_lint_of("records: {index: false}\n", dropped)) == []


@pytest.mark.parametrize(
    ("subject", "do", "uncovered"),
    [
        ("", "{pseudonymize: {key: device}}", True),
        ("", "{tokenize: {key: device}}", True),
        ("", "keep", True),
        ("subject: os\n", "keep", False),
        ("subject: serial\n", "keep", True),
        ("subject: device\n", "keep", False),
        ("", "drop", False),
        ("", "{mask: {keep_last: 4}}", False),
        ("", "presence", False),
    ],
)
def test_an_identifier_that_stands_in_records_wants_a_subject_to_find_it_by(
    pipeline_lint_of: LintOf, subject: str, do: str, uncovered: bool
) -> None:
    fields = FIELDS.replace("subject: device\n", subject).replace("DO", do)
    fields += "  serial: {type: string, role: identifier, do: drop}\n"
    found = [each for each in pipeline_lint_of("records: {}\n", fields) if each.code == "L072"]
    assert bool(found) == uncovered
    assert all(each.severity == "error" and each.field == "device" for each in found)


POSITIONS = """\
fields:
  latitude: {type: double, role: quasi, do: drop}
  longitude: {type: double, role: quasi, do: drop}
"""


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("position: {from: [latitude, longitude], role: quasi, do: {grid: {metres: 300}}}", True),
        ("position: {from: [latitude, longitude], role: quasi, do: {h3: {resolution: 9}}}", True),
        ("position: {from: [latitude, longitude], purposes: [customer_support], do: {grid: {metres: 300}}}", False),
        ("lat: {type: double, role: quasi, do: keep}", True),
        ("lat: {type: double, role: quasi, do: {round: {to: 0.1}}}", False),
        ("lat: {type: double, role: quasi, do: {round: {to: 0.01}}}", True),
        ("position: {from: [latitude, longitude], role: quasi, do: {grid: {metres: 10000}}}", False),
        ("latency: {type: double, do: keep}", False),
    ],
)
def test_a_position_in_records_that_are_not_encrypted_is_told(pipeline_lint_of: LintOf, field: str, told: bool) -> None:
    fields = f"{POSITIONS}  {field}\n"
    for records, is_told in (
        ("{}", told),
        ("{encrypt: off}", told),
        ("{encrypt: identified}", False),
        ("{encrypt: by_category}", False),
        ("false", False),
    ):
        aggregate = "" if records != "false" else "aggregates: {}\n"
        found = [each.code for each in pipeline_lint_of(f"records: {records}\n{aggregate}", fields)]
        assert (found.count("L048") == 1) == is_told


@pytest.mark.parametrize(
    ("records", "configured", "found"),
    [
        ("{encrypt: off}", "", [("pipeline.yaml", 6)]),
        ("{encrypt: none}", "", [("pipeline.yaml", 6)]),
        ("{encrypt: off}", "encrypt: identified\n", [("pipeline.yaml", 6)]),
        ("{}", "ledger: x.db\nencrypt: off\n", [("minimize.yaml", 2)]),
        ("{}", "encrypt: off\naccess: {encrypt: identified}\n", []),
        ("{}", "encrypt: identified\n", []),
        ("{}", "", []),
    ],
)
def test_the_line_that_turns_encryption_off_is_named(
    pipeline_lint_of: LintOf, tmp_path: Path, records: str, configured: str, found: list[tuple[str, int]]
) -> None:
    (tmp_path / "minimize.yaml").write_text(configured)
    codes = [
        each for each in pipeline_lint_of(f"records: {records}\n", FIELDS.replace("DO", "drop")) if each.code == "L049"
    ]
    assert [(Path(each.file or "").name, each.line) for each in codes] == found


@pytest.mark.parametrize(
    ("data", "output", "found"),
    [
        ("telemetry", "out/usage", True),
        ("telemetry", "out/telemetry/usage", True),
        ("telemetry", "usage", True),
        ("telemetry", "telemetry/usage", False),
        ("service", "out/usage", False),
    ],
)
def test_telemetry_and_service_data_need_separate_output_roots(
    write: Callable[[str, str], Path], data: str, output: str, found: bool
) -> None:
    write("checkins/pipeline.yaml", "output: ../out/checkins\n")
    write("usage/policy.yaml", "policy: p\nversion: 1\npurposes: [operations]\n" + FIELDS.replace("DO", "drop"))
    source = "source: {path: in.csv, format: csv}"
    head = f"pipeline: usage\npolicy: policy.yaml\npurpose: operations\n{source}\ndata: {data}\n"
    job = load_pipeline(write("usage/pipeline.yaml", f"{head}output: ../{output}\n"))
    assert [(each.severity, each.line) for each in lint(job) if each.code == "L076"] == [("error", 6)] * found
