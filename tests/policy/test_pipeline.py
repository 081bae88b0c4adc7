from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from minimize.aggregates import MEASURES, Measure
from minimize.arrow.pointers import Pointer
from minimize.errors import Finding, PolicyError
from minimize.forms import Form, read_form
from minimize.forms.yaml_nodes import FaultList, node_from_data, parse_yaml
from minimize.policy.aggregate_forms import (
    ExactModel,
    GroupKeyModel,
    NoiseModel,
    PerSubjectModel,
    RoundModel,
    SuppressModel,
)
from minimize.policy.condition import FieldEquals
from minimize.policy.load import load_pipeline
from minimize.policy.model import Policy
from minimize.policy.names import PolicyNames, PolicyReading
from minimize.policy.pipeline import DeduplicateModel, Pipeline, RecordsModel, SourceModel
from minimize.policy.treatments import FormMeasure

POLICY = Policy(policy="p", version=1, purposes=("operations",), fields={})

SOURCE = SourceModel(path="x", format="csv")


def test_relative_paths_start_from_the_pipelines_folder() -> None:
    pipeline = Pipeline(pipeline="p", policy=POLICY, purpose="operations", source=SOURCE, output="out")
    assert pipeline.folder == Path()
    assert pipeline.model_copy(update={"path": Path("a/pipeline.yaml")}).folder == Path("a")


PipelineIn = Callable[..., Pipeline]

FaultsIn = Callable[..., list[Finding]]


def test_an_aggregate_is_typed(pipeline_in: PipelineIn) -> None:
    fleet = pipeline_in(
        """
        aggregates:
          fleet:
            group_by: {day: {event_time: day}, os: /os}
            measures: {events: count, devices: {count_distinct: device_id}, middle: {quantile: {of: storage, q: 0.5}}}
            suppress: {below: 20, counting: device_id}
            round: {counts_to: 5}
            exact: {because: a contract}
            rollups: [[day], []]
            late: 2d
            retention: 365d
        """
    ).aggregates["fleet"]
    assert fleet.group_by == {"day": GroupKeyModel(field="event_time", to="day"), "os": GroupKeyModel(field="os")}
    assert [(name, measure.name, measure.of) for name, measure in fleet.measures.items()] == [
        ("events", "count", None),
        ("devices", "count_distinct", "device_id"),
        ("middle", "quantile", "storage"),
    ]
    assert fleet.suppress == SuppressModel(below=20, counting="device_id")
    assert (fleet.round, fleet.late) == (RoundModel(counts_to=5), timedelta(days=2))
    assert fleet.retention == timedelta(days=365)
    assert (fleet.exact, fleet.rollups) == (ExactModel(because="a contract"), (("day",), ()))


def test_an_aggregate_has_noise_by_default(pipeline_in: PipelineIn) -> None:
    fleet = pipeline_in(AGGREGATE).aggregates["fleet"]
    assert (fleet.exact, fleet.noise) == (None, NoiseModel(sd="2", releases=3))
    assert (fleet.per_subject, fleet.rollups) == (PerSubjectModel(rows=1, values=1), ())


@pytest.mark.parametrize(("written", "read"), [("1", "1"), ("1.5", "1.5"), ("2.0", "2"), ("5", "5")])
def test_the_standard_deviation_is_a_number(pipeline_in: PipelineIn, written: str, read: str) -> None:
    text = f"aggregates:\n  a: {{group_by: {{os: os}}, measures: {{n: count}}, noise: {{sd: {written}}}}}\n"
    assert pipeline_in(text).aggregates["a"].noise == NoiseModel(sd=read)


@pytest.mark.parametrize(
    ("more", "code", "message", "hint"),
    [
        ("noise: {sd: 7}", "P006", "`sd` must be a number for which the noise is tabulated", "Use one of: 1, 1.5, 2"),
        ("noise: {sd: true}", "P006", "`sd` must be a number", "Use one of"),
        ("noise: {releases: 0}", "P006", "`releases` must be a whole number from 1", ""),
        (
            "noise: off",
            "P006",
            "`noise` of an aggregate must be a mapping",
            "For example: `noise: {sd: 2, releases: 3}`",
        ),
        ("noise: {sigma: 2}", "P004", "unknown key `sigma`", ""),
        ("exact: true", "P006", "`exact` of an aggregate must be a mapping", "For example: `exact: {because:"),
        ("exact: {}", "P005", "missing key `because` in `exact`", "Add `because`."),
        ("exact: {because: ' '}", "P006", "`because` must state the reason in words", ""),
        ("exact: {because: c}, noise: {sd: 2}", "P018", "both `noise` and `exact`", "Remove one"),
        ("exact: {because: c}, per_subject: {rows: 2}", "P018", "`per_subject` has no effect", "Remove `per_subject`"),
        ("per_subject: {rows: 0}", "P006", "`rows` must be a whole number from 1 to 100000", ""),
        ("per_subject: {values: 100001}", "P006", "`values` must be a whole number from 1 to 100000", ""),
        ("round: {counts_to: 5}", "P018", "`round` is for exact statistics only", "Remove `round`"),
        ("rollups: [[]]", "P018", "`rollups` are for exact statistics only", "Remove `rollups`"),
        ("exact: {because: c}, rollups: [os]", "P006", "`rollups` must be a list of lists", "For example"),
        ("exact: {because: c}, rollups: [[oss]]", "P010", "`oss` is not a group", "Did you mean `os`?"),
        ("exact: {because: c}, rollups: [[os]]", "P018", "is no coarser table", "Name some of the groups"),
        ("exact: {because: c}, rollups: [[], []]", "P018", "a roll-up repeats groups", "Name some of the groups"),
    ],
)
def test_noise_and_exact_figures_are_checked(
    pipeline_faults_in: FaultsIn, more: str, code: str, message: str, hint: str
) -> None:
    (fault,) = pipeline_faults_in(f"aggregates:\n  a: {{group_by: {{os: os}}, measures: {{n: count}}, {more}}}\n")
    assert (fault.code, fault.field) == (code, "a")
    assert message in fault.message
    assert hint in fault.hint


def test_groups_are_suppressed_below_ten_by_default(pipeline_in: PipelineIn) -> None:
    fleet = pipeline_in("aggregates:\n  fleet: {group_by: {os: os}, measures: {n: count}}\n").aggregates["fleet"]
    assert (fleet.suppress.below, "suppress" in fleet.model_fields_set) == (10, False)


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("records", "group_by: {os: os}, measures: {n: count}", "P015"),
        ("runs", "group_by: {os: os}, measures: {n: count}", "P015"),
        ("quarantine", "group_by: {os: os}, measures: {n: count}", "P015"),
        ("index", "group_by: {os: os}, measures: {n: count}", "P015"),
        ("a/b", "group_by: {os: os}, measures: {n: count}", "P015"),
        ("..", "group_by: {os: os}, measures: {n: count}", "P015"),
        ("a", "group_by: {date: os}, measures: {n: count}", "P015"),
        ("a", "group_by: {os: os}, measures: {date: count}", "P015"),
        ("a", "group_by: {os: os}, measures: {os: count}", "P018"),
        ("a", "group_by: {os: oss}, measures: {n: count}", "P010"),
        ("a", "group_by: {day: {event_time: days}}, measures: {n: count}", "P007"),
        ("a", "group_by: {day: {event_tme: day}}, measures: {n: count}", "P010"),
        ("a", "group_by: [os], measures: {n: count}", "P006"),
        ("a", "group_by: {os: os}", "P005"),
        ("a", "group_by: {os: os}, measures: {}", "P006"),
        ("a", "group_by: {os: os}, measures: {n: contt}", "P011"),
        ("a", "group_by: {os: os}, measures: {n: {mean: batery}}", "P010"),
        ("a", "group_by: {os: os}, measures: {n: count}, suppress: {below: 0}", "P006"),
        ("a", "group_by: {os: os}, measures: {n: count}, suppress: {counting: nobody}", "P010"),
        ("a", "group_by: {os: os}, measures: {n: count}, round: {counts_to: 0.5}", "P006"),
        ("a", "group_by: {os: os}, measures: {n: count}, round: 5", "P006"),
        ("a", "group_by: {os: os}, measures: {n: count}, late: 2", "P006"),
        ("a", "group_by: {os: os}, measures: {n: count}, retention: 1y", "P006"),
        ("a", "group_by: {os: os}, measures: {n: count}, must_be: public", "P007"),
        ("a", "group_by: {os: os}, measures: {n: count}, having: 3", "P004"),
    ],
)
def test_a_fault_of_an_aggregate_has_its_name_and_line(
    pipeline_faults_in: FaultsIn, name: str, body: str, code: str
) -> None:
    found = pipeline_faults_in(f"aggregates:\n  {name}: {{{body}}}\n")
    assert [(fault.code, fault.line, fault.field) for fault in found] == [(code, 7, name)]


@pytest.mark.parametrize("key", ["group_by", "measures"])
def test_the_hint_for_a_list_in_place_of_columns_has_an_example_that_can_be_read(
    pipeline_faults_in: FaultsIn, key: str
) -> None:
    body = {"group_by": "{os: os}", "measures": "{n: count}", key: "[os]"}
    aggregate = ", ".join(f"{name}: {value}" for name, value in body.items())
    (fault,) = pipeline_faults_in(f"aggregates:\n  a: {{{aggregate}}}\n")
    assert fault.hint.startswith(f"For example: `{key}: {{")
    example = fault.hint.removeprefix("For example: `").removesuffix("`.")
    root = parse_yaml(example, FaultList())
    assert root is not None
    assert root.entries[key].is_mapping


def test_an_aggregate_requires_a_subject_to_count(pipeline_faults_in: FaultsIn) -> None:
    found = pipeline_faults_in(
        "aggregates:\n  a: {group_by: {b: b}, measures: {n: count}, late: 2d}\n",
        fields="fields:\n  b: {type: string}\n",
    )
    assert [fault.code for fault in found] == ["P017", "P017"]


class Measured(Form):
    """A measure."""

    noun = "a test"

    measure: FormMeasure | None = None


def read(measure: Any) -> tuple[Measure | None, list[str]]:
    faults, names = FaultList(), PolicyNames({Pointer.parse("battery"): "battery"}, {"battery": "double"})
    found = read_form(Measured, node_from_data({"measure": measure}), PolicyReading(faults, names=names))
    return None if found is None else found.measure, [fault.code for fault in faults.found]


def measure(name: str, **parameters: Any) -> Measure:
    return MEASURES[name].model_validate(parameters)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("count", measure("count")),
        ({"mean": "battery"}, measure("mean", of="battery")),
        ({"mean": "/battery"}, measure("mean", of="battery")),
        ({"quantile": {"of": "battery", "q": 0.5}}, measure("quantile", of="battery", q=0.5)),
        ({"share": {"of": "battery", "is": [1]}}, measure("share", of="battery", **{"is": (1,)})),
    ],
)
def test_measures_read_as_they_are_meant(written: Any, meant: Measure) -> None:
    assert read(written) == (meant, [])


@pytest.mark.parametrize(
    ("written", "codes"),
    [
        ("cuont", ["P011"]),
        ({"mean": "batery"}, ["P010"]),
        ("mean", ["P013"]),
        ({"mean": 3}, ["P013"]),
        ({"quantile": "battery"}, ["P013"]),
        ({"quantile": {"of": "battery", "q": 2}}, ["P013"]),
        ({"quantile": {"of": "battery", "q": 0.5, "p": 1}}, ["P004"]),
        ({"mean": "battery", "sum": "battery"}, ["P006"]),
        ([], ["P006"]),
    ],
)
def test_measures_that_cannot_be_meant_are_faults(written: Any, codes: list[str]) -> None:
    assert read(written)[1] == codes


AGGREGATE = "aggregates:\n  fleet: {group_by: {os: os}, measures: {n: count}}\n"


def test_records_are_written_with_defaults(pipeline_in: PipelineIn) -> None:
    assert pipeline_in("").records == RecordsModel()


def test_records_may_be_left_out_where_there_are_aggregates(pipeline_in: PipelineIn) -> None:
    pipeline = pipeline_in("records: false\n" + AGGREGATE)
    assert (pipeline.records, list(pipeline.aggregates)) == (None, ["fleet"])


def test_a_pipeline_that_writes_nothing_is_a_fault(pipeline_faults_in: FaultsIn) -> None:
    assert [fault.code for fault in pipeline_faults_in("records: false\n")] == ["P005"]


def test_records_may_have_a_category_a_condition_and_deduplication(pipeline_in: PipelineIn) -> None:
    records = pipeline_in(
        """
        records:
          must_be: pseudonymized
          partition_by: [/tenant_id]
          collect_if: {os: [ios, android]}
          deduplicate: {by: [device_id], per: day}
        """
    ).records
    assert records == RecordsModel(
        must_be="pseudonymized",
        partition_by=("tenant_id",),
        collect_if=FieldEquals("os", ("ios", "android")),
        deduplicate=DeduplicateModel(by=("device_id",)),
    )


def test_the_policy_is_loaded_from_the_folder_of_the_pipeline(pipeline_in: PipelineIn, tmp_path: Path) -> None:
    pipeline = pipeline_in("")
    assert (pipeline.policy.policy, pipeline.policy.path) == ("p", tmp_path / "policy.yaml")
    assert (pipeline.folder, pipeline.digest[:7]) == (tmp_path, "sha256:")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("records: {must_be: anonymous}", "P007"),
        ("records: {partition_by: [nobody]}", "P010"),
        ("records: {partition_by: []}", "P006"),
        ("records: {deduplicate: {by: [device_id], per: week}}", "P007"),
        ("records: {deduplicate: {per: day}}", "P005"),
        ("records: {collect_if: {oss: a}}", "P010"),
        ("records:", "P006"),
        ("quarantine: {fail_above: 2}", "P006"),
        ("quarantine: {fail_above: a}", "P006"),
        ("quarantine: {warn_above: 2}", "P006"),
        ("quarantine: {warn_above: 0.1, fail_above: 0.1}", "P018"),
        ("quarantine: {abort_above: 0.2, stop_above: 0.1}", "P018"),
        ("quarantine: {stop: 1}", "P004"),
        ("aggregates: [a]", "P006"),
        ("settings: 3", "P006"),
        ("polcy: x", "P004"),
    ],
)
def test_a_fault_of_the_pipeline_has_its_line(pipeline_faults_in: FaultsIn, text: str, code: str) -> None:
    found = pipeline_faults_in(text + "\n")
    assert [(fault.code, fault.line, Path(fault.file or "").name) for fault in found] == [(code, 6, "pipeline.yaml")]


def test_deduplication_needs_the_event_time(pipeline_faults_in: FaultsIn) -> None:
    found = pipeline_faults_in("records: {deduplicate: {by: [a]}}\n", fields="fields:\n  a: {type: string}\n")
    assert [fault.code for fault in found] == ["P017"]


@pytest.mark.parametrize(
    ("head", "codes"),
    [
        ("policy: policy.yaml", ["P005", "P005", "P005", "P005"]),
        ("pipeline: p\npurpose: operations\nsource: {path: x, format: csv}\noutput: o", ["P005"]),
        ("pipeline: p\npolicy: 3\npurpose: operations\nsource: {path: x, format: csv}\noutput: o", ["P006"]),
        ("pipeline: p\npolicy: policy.yaml\npurpose: marketing\nsource: {path: x, format: csv}\noutput: o", ["P009"]),
        (
            "pipeline: p\npolicy: policy.yaml\npurpose: quality_and_security\nsource: {path: x, format: csv}\noutput: o",
            ["P008"],
        ),
        (
            "pipeline: p\npolicy: policy.yaml\npurpose: [operations]\nsource: {path: x, format: csv}\noutput: o",
            ["P006"],
        ),
        ("pipeline: p\npolicy: policy.yaml\npurpose: operations\nsource: {path: x, format: avro}\noutput: o", ["P007"]),
        (
            "pipeline: p\npolicy: policy.yaml\npurpose: operations\nsource: {path: '{hour}', format: csv}\noutput: o",
            ["P006"],
        ),
        ("pipeline: p\npolicy: policy.yaml\npurpose: operations\nsource: {path: x}\noutput: o", ["P005"]),
        ("pipeline: p\npolicy: nowhere.yaml\npurpose: operations\nsource: {path: x, format: csv}\noutput: o", ["P001"]),
    ],
)
def test_a_pipeline_without_a_required_key_is_refused(
    write: Callable[[str, str], Path], head: str, codes: list[str]
) -> None:
    write("policy.yaml", "policy: p\nversion: 1\npurposes: [operations]\nfields:\n  a: {type: string}\n")
    with pytest.raises(PolicyError) as caught:
        load_pipeline(write("pipeline.yaml", head + "\n"))
    assert [fault.code for fault in caught.value.findings] == codes


@pytest.mark.parametrize(
    ("groups", "rollups", "code", "message"),
    [
        ("{a: os, b: os, a_b: os}", "[[a, b], [a_b]]", "P018", "two tables have the name `t_by_a_b`"),
        ("{os version: os, b: os}", "[[os version]]", "P015", "the names of its groups"),
    ],
)
def test_the_names_of_roll_ups_are_checked(
    pipeline_faults_in: FaultsIn, groups: str, rollups: str, code: str, message: str
) -> None:
    table = f"{{group_by: {groups}, measures: {{n: count}}, exact: {{because: c}}, rollups: {rollups}}}"
    (fault,) = pipeline_faults_in(f"aggregates:\n  t: {table}\n")
    assert (fault.code, message in fault.message) == (code, True)


def test_a_roll_up_has_another_name_than_a_table(pipeline_faults_in: FaultsIn) -> None:
    exact = "{group_by: {os: os}, measures: {n: count}, exact: {because: c}, rollups: [[]]}"
    (fault,) = pipeline_faults_in(
        f"aggregates:\n  t: {exact}\n  t_total: {{group_by: {{os: os}}, measures: {{n: count}}}}\n"
    )
    assert (fault.code, fault.message.endswith("two tables have the name `t_total`")) == ("P018", True)
