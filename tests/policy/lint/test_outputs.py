from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from minimize.config_search import load_config
from minimize.errors import Finding
from minimize.linting import lint
from minimize.policy.load import load_pipeline
from minimize.policy.pipeline import Pipeline

LintOf = Callable[..., list[Finding]]

FIELDS = """\
subject: device
time: w
retention: 30d
fields:
  w: {type: timestamp, do: {truncate_time: {to: day}}}
  device: {type: string, role: identifier}
  os: {type: string, do: keep}
  raw: {type: integer, do: keep}
  binned: {type: integer, do: {bin: {width: 10}}}
  clipped: {type: integer, do: {clip: {min: 0, max: 9}}}
  measured: {type: integer, do: drop, in_aggregates: {clip: {min: 0, max: 9}}}
  unclipped: {type: integer, do: drop, in_aggregates: keep}
"""


def told(found: list[Finding]) -> list[tuple[str, str, str | None]]:
    return [(finding.code, finding.severity, finding.field) for finding in found]


ONE_ROW = "per_subject: {rows: 1}"

EXACT = "exact: {because: a contract}"


def aggregate(measure: str, more: str = "suppress: {below: 10}", name: str = "a", keys: str = "{os: os}") -> str:
    limits = "" if EXACT in more else f", {ONE_ROW}"
    return f"  {name}: {{group_by: {keys}, measures: {{n: {measure}}}, {more}{limits}}}\n"


@pytest.mark.parametrize(
    ("measure", "code"),
    [
        ("{mean: raw}", "L060"),
        ("{sum: raw}", "L060"),
        ("{sum: unclipped}", "L060"),
        ("{mean: binned}", None),
        ("{sum: clipped}", None),
        ("{mean: measured}", None),
        ("{min: raw}", "L062"),
        ("{max: clipped}", "L062"),
        ("{max: binned}", None),
        ("{max: measured}", "L062"),
        ("{quantile: {of: measured, q: 0.5}}", None),
        ("{quantile: {of: raw, q: 0.5}}", None),
        ("{quantile: {of: raw, q: 1}}", "L068"),
        ("{quantile: {of: binned, q: 0.0}}", "L068"),
        ("{quantile: {of: raw, q: 0.999}}", None),
        ("count", None),
        ("{count_distinct: device}", None),
    ],
)
def test_measures_are_judged_by_what_they_see(pipeline_lint_of: LintOf, measure: str, code: str | None) -> None:
    found = told(pipeline_lint_of("aggregates:\n" + aggregate(measure), FIELDS))
    assert found == ([] if code is None else [(code, "error", "a")])


def test_a_finding_has_the_line_of_its_aggregate(pipeline_lint_of: LintOf) -> None:
    found = pipeline_lint_of(
        "aggregates:\n  a:\n    group_by: {os: os}\n    measures: {n: {mean: raw}}\n    per_subject: {rows: 1}\n",
        FIELDS,
    )
    assert [(f.code, f.line) for f in found] == [("L061", 7), ("L060", 9)]


@pytest.mark.parametrize(("retention", "expected"), [("365d", []), ("400d", []), ("401d", ["L074"]), ("7d", [])])
def test_a_very_long_retention_of_an_aggregate_is_reported(
    pipeline_lint_of: LintOf, retention: str, expected: list[str]
) -> None:
    more = f"suppress: {{below: 10}}, retention: {retention}"
    found = pipeline_lint_of("aggregates:\n" + aggregate("count", more), FIELDS)
    assert [finding.code for finding in found] == expected


@pytest.mark.parametrize("more", ["suppress: {below: 9}", "suppress: {counting: device, below: 2}", "late: 2d"])
def test_low_or_missing_thresholds_are_reported(pipeline_lint_of: LintOf, more: str) -> None:
    found = told(pipeline_lint_of("aggregates:\n" + aggregate("count", more), FIELDS))
    assert found == [("L061", "warning", "a")]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (f"suppress: {{below: 10}}, round: {{counts_to: 5}}, {EXACT}", ["L066"]),
        (f"suppress: {{below: 10}}, {EXACT}", []),
        ("suppress: {below: 10}", []),
    ],
)
def test_an_exact_figure_next_to_rounded_counts_is_reported(
    pipeline_lint_of: LintOf, more: str, expected: list[str]
) -> None:
    text = "aggregates:\n" + aggregate("{mean: clipped}", more)
    assert [each.code for each in pipeline_lint_of(text, FIELDS) if each.code == "L066"] == expected


@pytest.mark.parametrize(
    ("counting", "expected"),
    [
        ("owner", ("L067", "warning", "a")),
        ("os", ("L095", "error", "a")),
        ("event", ("L095", "error", "a")),
        ("row", ("L095", "error", "a")),
    ],
)
def test_counting_another_field_than_the_subject_is_reported(
    pipeline_lint_of: LintOf, counting: str, expected: tuple[str, str, str]
) -> None:
    fields = (
        f"record: event\n{FIELDS.rstrip()}\n  owner: {{type: string, role: identifier, identifies: user, do: drop}}\n"
        "  event: {type: string, role: identifier, do: drop}\n  row: {type: string, role: identifier, do: drop}\n"
    )
    text = "aggregates:\n" + aggregate("count", f"suppress: {{below: 10, counting: {counting}}}")
    assert told(pipeline_lint_of(text, fields)) == [expected]


@pytest.mark.parametrize(("key", "is_told"), [("device", True), ("clipped", False), ("os", False)])
def test_groups_that_identify_persons_are_reported(pipeline_lint_of: LintOf, key: str, *, is_told: bool) -> None:
    text = f"aggregates:\n  a: {{group_by: {{k: {key}}}, measures: {{n: count}}, suppress: {{below: 10}}}}\n"
    fields = FIELDS.replace("role: identifier}", "role: identifier, do: {pseudonymize: {key: device}}}")
    assert [each.code for each in pipeline_lint_of(text, fields) if each.code == "L073"] == ["L073"] * is_told


@pytest.fixture(name="codes")
def _codes(
    pipeline_in: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str], list[str]]:
    """What is said of an output, where nothing names a ledger."""
    monkeypatch.delenv("MINIMIZE_LEDGER", raising=False)
    monkeypatch.chdir(tmp_path)

    def codes(output: str) -> list[str]:
        job = pipeline_in("").model_copy(update={"output": output, "path": tmp_path / "pipeline.yaml"})
        return [finding.code for finding in lint(job) if finding.code == "L071"]

    return codes


def test_an_output_in_a_bucket_requires_a_ledger_elsewhere(
    codes: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert codes("s3://house/out") == ["L071"]
    assert codes("../out") == []
    (tmp_path / "minimize.yaml").write_text("ledger: organization.db\n")
    assert codes("s3://house/out") == []


def test_a_ledger_of_the_environment_will_do(
    codes: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_LEDGER", "/srv/organization.db")
    assert codes("gs://house/out") == []


def codes_of(found: list[Finding], *codes: str) -> list[str]:
    return [finding.code for finding in found if finding.code in codes]


@pytest.mark.parametrize(("more", "expected"), [(EXACT, ["L087"]), ("noise: {sd: 2}", [])])
def test_two_dates_of_exact_figures_can_be_subtracted(pipeline_lint_of: LintOf, more: str, expected: list[str]) -> None:
    text = "aggregates:\n" + aggregate("count", f"suppress: {{below: 10}}, {more}")
    assert codes_of(pipeline_lint_of(text, FIELDS), "L087") == expected


@pytest.mark.parametrize(("sd", "expected"), [("1", ["L088"]), ("1.5", []), ("2", []), ("5", [])])
def test_little_noise_is_named(pipeline_lint_of: LintOf, sd: str, expected: list[str]) -> None:
    text = "aggregates:\n" + aggregate("count", f"suppress: {{below: 10}}, noise: {{sd: {sd}}}")
    assert codes_of(pipeline_lint_of(text, FIELDS), "L088") == expected


@pytest.mark.parametrize(
    ("measure", "limits", "expected"),
    [
        ("count", "", ["L092"]),
        ("{sum: clipped}", "", ["L092"]),
        ("{mean: clipped}", "", ["L092"]),
        ("{quantile: {of: binned, q: 0.5}}", "", ["L092"]),
        ("count", ", per_subject: {values: 2}", ["L092"]),
        ("count", f", {ONE_ROW}", []),
        ("{count_distinct: device}", "", []),
        ("{histogram: os}", "", []),
    ],
)
def test_figures_that_depend_on_row_counts_require_a_limit_per_subject(
    pipeline_lint_of: LintOf, measure: str, limits: str, expected: list[str]
) -> None:
    text = f"aggregates:\n  a: {{group_by: {{os: os}}, measures: {{n: {measure}}}, suppress: {{below: 10}}{limits}}}\n"
    assert codes_of(pipeline_lint_of(text, FIELDS), "L092") == expected


@pytest.mark.parametrize(
    ("by", "keys", "expected"),
    [
        ("[device]", "{day: w}", []),
        ("[device]", "{os: os}", ["L092"]),  # two days of a batch
        ("[device]", "{week: {w: week}}", ["L092"]),
        ("[device, os]", "{day: w}", ["L092"]),
    ],
)
def test_one_record_of_a_subject_and_day_needs_no_limit(
    pipeline_lint_of: LintOf, by: str, keys: str, expected: list[str]
) -> None:
    table = f"aggregates:\n  a: {{group_by: {keys}, measures: {{n: count}}, suppress: {{below: 10}}}}\n"
    found = pipeline_lint_of(f"records: {{deduplicate: {{by: {by}}}}}\n{table}", FIELDS)
    assert codes_of(found, "L092") == expected


@pytest.mark.parametrize(
    ("keys", "expected"),
    [("{t: w}", []), ("{t: {fine: week}}", []), ("{t: {fine: hour}}", ["L090"]), ("{app: /apps/*/name}", ["L090"])],
)
def test_a_subject_in_many_rows_is_named(pipeline_lint_of: LintOf, keys: str, expected: list[str]) -> None:
    fields = FIELDS + "  /apps/*/name: {type: string, do: keep}\n"
    if "fine" in keys:
        fields = fields.replace("  w:", "  fine:").replace("time: w", "time: fine").replace("to: day", "to: minute")
    text = "aggregates:\n" + aggregate("count", keys=keys)
    assert codes_of(pipeline_lint_of(text, fields), "L090") == expected


def tables(count: int, more: str = "") -> str:
    return "aggregates:\n" + "".join(
        aggregate("count", f"suppress: {{below: 10}}{more}", name=f"t{number}") for number in range(count)
    )


def write_neighbour(folder: Path, path: str, count: int, more: str = "") -> None:
    """Another pipeline below the same `minimize.yaml`."""
    (folder / "minimize.yaml").write_text("ledger: ledger.db\n")
    other = folder / "other" / "pipeline.yaml"
    other.parent.mkdir()
    other.write_text(f"pipeline: other\nsource: {{path: '{path}'}}\n{tables(count, more)}")


@pytest.mark.parametrize(
    ("path", "own", "others", "expected"),
    [
        ("../in/{date}/*.csv", 4, 4, []),
        ("../in/{date}/*.csv", 4, 5, ["L089"]),
        ("../in/{date}/*.parquet", 4, 5, ["L089"]),  # the same folder
        ("../elsewhere/{date}/*.csv", 4, 5, []),
        ("../elsewhere/{date}/*.csv", 9, 1, ["L089"]),
    ],
)
def test_many_tables_of_a_source_are_named(
    pipeline_in: Callable[..., Pipeline], tmp_path: Path, path: str, own: int, others: int, expected: list[str]
) -> None:
    write_neighbour(tmp_path, path, others)
    source = pipeline_in("").source.model_copy(update={"path": "../in/{date}/*.csv"})
    (tmp_path / "own").mkdir()
    changed = {"source": source, "path": tmp_path / "own" / "pipeline.yaml"}
    job = pipeline_in(tables(own), FIELDS).model_copy(update=changed)
    assert codes_of(lint(job), "L089") == expected


def test_a_ledger_for_each_output_is_named(
    pipeline_in: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MINIMIZE_LEDGER", raising=False)
    changed = {"output": "../out", "path": tmp_path / "pipeline.yaml"}
    job = pipeline_in(tables(1), FIELDS).model_copy(update=changed).with_config(load_config(tmp_path))
    assert codes_of(lint(job), "L091") == ["L091"]
    monkeypatch.setenv("MINIMIZE_LEDGER", "/srv/organization.db")
    assert codes_of(lint(job), "L091") == []
    monkeypatch.delenv("MINIMIZE_LEDGER")
    (tmp_path / "minimize.yaml").write_text("ledger: organization.db\n")
    assert codes_of(lint(job.with_config(load_config(tmp_path))), "L091") == []


RECORD_FIELDS = """\
subject: device
fields:
  device: {type: string, role: identifier, do: DO}
  os: {type: string, do: keep}
"""


def codes(found: list[Finding]) -> list[str]:
    return [finding.code for finding in found if finding.code == "L070"]


def test_records_whose_subjects_are_found_only_by_reading_everything(pipeline_lint_of: LintOf) -> None:
    held, dropped = RECORD_FIELDS.replace("DO", "{pseudonymize: {key: device}}"), RECORD_FIELDS.replace("DO", "drop")
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
def test_an_identifier_in_records_requires_a_subject_to_find_it_by(
    pipeline_lint_of: LintOf, subject: str, do: str, uncovered: bool
) -> None:
    fields = RECORD_FIELDS.replace("subject: device\n", subject).replace("DO", do)
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
def test_a_position_in_unencrypted_records_is_reported(pipeline_lint_of: LintOf, field: str, told: bool) -> None:
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
        each
        for each in pipeline_lint_of(f"records: {records}\n", RECORD_FIELDS.replace("DO", "drop"))
        if each.code == "L049"
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
    write("usage/policy.yaml", "policy: p\nversion: 1\npurposes: [operations]\n" + RECORD_FIELDS.replace("DO", "drop"))
    source = "source: {path: in.csv, format: csv}"
    head = f"pipeline: usage\npolicy: policy.yaml\npurpose: operations\n{source}\ndata: {data}\n"
    job = load_pipeline(write("usage/pipeline.yaml", f"{head}output: ../{output}\n"))
    assert [(each.severity, each.line) for each in lint(job) if each.code == "L076"] == [("error", 6)] * found
