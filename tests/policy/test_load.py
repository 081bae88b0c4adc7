from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest

from minimize.errors import PolicyError
from minimize.policy.load import hierarchy_files, load_pipeline, load_policy, policy_from_mapping

Write = Callable[[str, str], Path]
DATA = Path(__file__).parent / "data" / "device_telemetry"
GOOD = "policy: p\nversion: 1\npurposes: [operations]\nfields:\n  a: {type: string, do: keep}\n"


def test_the_policy_of_a_folder_is_its_policy_yaml() -> None:
    assert load_policy(DATA).policy == load_policy(DATA / "policy.yaml").policy == "device_telemetry"


def test_the_pipeline_of_a_folder_is_its_pipeline_yaml() -> None:
    pipeline = load_pipeline(DATA)
    assert (pipeline.pipeline, pipeline.policy.policy) == ("device_telemetry", "device_telemetry")
    assert pipeline.path == DATA / "pipeline.yaml"


def test_a_whole_policy_keeps_its_fields_in_order() -> None:
    fields = load_policy(DATA).fields
    assert list(fields)[:3] == ["event_id", "tenant_id", "event_time"]
    assert list(fields)[-2:] == ["/apps/*/managed", "user_principal_name"]


def test_the_digest_is_of_the_bytes(write: Write) -> None:
    path = write("policy.yaml", GOOD + "# remark\n")
    assert load_policy(path).digest == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_policy_can_be_sent_to_a_worker() -> None:
    policy = load_policy(DATA)
    assert ForkingPickler.loads(ForkingPickler.dumps(policy)) == policy


def test_a_policy_in_memory_equals_that_of_its_file(write: Write) -> None:
    loaded = load_policy(write("policy.yaml", GOOD))
    built = policy_from_mapping(
        {"policy": "p", "version": 1, "purposes": ["operations"], "fields": {"a": {"type": "string", "do": "keep"}}}
    )
    assert (built.fields["a"].do, built.digest, built.path) == (loaded.fields["a"].do, "", None)


def test_faults_of_a_policy_in_memory_have_no_line() -> None:
    with pytest.raises(PolicyError) as caught:
        policy_from_mapping(
            {"policy": "p", "version": 1, "purposes": ["operations"], "fields": {"a": {"type": "strin"}}}
        )
    assert [(f.code, f.file, f.line, f.field) for f in caught.value.findings] == [("P007", None, None, "a")]


def test_all_faults_are_reported_together_and_in_order(write: Write) -> None:
    path = write(
        "policy.yaml", "policy: p\nversion: 0\nowners: x\npurposes: [sale]\nfields:\n  a: {type: x, do: hash}\n"
    )
    with pytest.raises(PolicyError, match="5 faults") as caught:
        load_policy(path)
    assert [(f.code, f.line) for f in caught.value.findings] == [
        ("P006", 2),
        ("P004", 3),
        ("P009", 4),
        ("P007", 6),
        ("P012", 6),
    ]
    assert {f.file for f in caught.value.findings} == {str(path)}


def test_faults_of_pipeline_and_policy_are_reported_together(write: Write) -> None:
    write("policy.yaml", "policy: p\nversion: 0\npurposes: [operations]\nfields:\n  a: {type: string}\n")
    path = write("pipeline.yaml", "pipeline: p\npolicy: policy.yaml\npurpose: x\nsource: {path: x, format: csv}\n")
    with pytest.raises(PolicyError) as caught:
        load_pipeline(path)
    assert [(Path(f.file or "").name, f.code) for f in caught.value.findings] == [
        ("policy.yaml", "P006"),
        ("pipeline.yaml", "P005"),
        ("pipeline.yaml", "P008"),
    ]


@pytest.mark.parametrize(
    ("load", "name", "says"),
    [
        (load_pipeline, "policy.yaml", "this file is a policy; a pipeline is needed"),
        (load_policy, "pipeline.yaml", "this file is a pipeline; a policy is needed"),
    ],
)
def test_a_policy_given_for_a_pipeline_or_the_other_way_round_is_one_fault(
    load: Callable[[Path], object], name: str, says: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        load(DATA / name)
    (fault,) = caught.value.findings
    assert (fault.message, fault.line, "folder that contains both" in fault.hint) == (says, 1, True)


def test_a_fault_of_a_policy_does_not_breed_faults_of_the_pipeline(write: Write) -> None:
    write("policy.yaml", "policy: p\nversion: 1\npurposes: [operations]\nfields:\n  a: {type: strin, do: keeep}\n")
    path = write(
        "pipeline.yaml",
        "pipeline: p\npolicy: policy.yaml\npurpose: operations\nsource: {path: x, format: csv}\noutput: o\n"
        "records: {partition_by: [a]}\n",
    )
    with pytest.raises(PolicyError) as caught:
        load_pipeline(path)
    assert [f.code for f in caught.value.findings] == ["P007", "P011"]


def test_a_purpose_of_the_configuration_may_be_used(write: Write) -> None:
    write("minimize.yaml", "purposes: [capacity_planning]\n")
    path = write("a/policy.yaml", GOOD.replace("operations", "capacity_planning"))
    assert load_policy(path).purposes == ("capacity_planning",)


def test_purposes_may_be_given(write: Write) -> None:
    path = write("policy.yaml", GOOD.replace("operations", "capacity_planning"))
    assert load_policy(path, ["capacity_planning"]).purposes == ("capacity_planning",)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: [", b"a: \x00"])
def test_a_file_that_is_no_yaml_is_a_fault_of_configuration(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(content)
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    assert ([f.code for f in caught.value.findings], caught.value.exit_code) == (["P001"], 2)


@pytest.mark.parametrize("load", [load_policy, load_pipeline])
def test_a_file_that_is_not_there_is_a_fault_of_configuration(tmp_path: Path, load: Callable[[Path], object]) -> None:
    with pytest.raises(PolicyError) as caught:
        load(tmp_path / "nowhere.yaml")
    assert ([f.code for f in caught.value.findings], caught.value.exit_code) == (["P001"], 2)


def test_a_fault_has_no_other_exception_behind_it(write: Write) -> None:
    path = write("policy.yaml", GOOD + "b: [")
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    assert "During handling" not in "".join(traceback.format_exception(caught.value))


def test_a_byte_order_mark_is_no_character(write: Write) -> None:
    assert load_policy(write("policy.yaml", "\ufeff" + GOOD)).policy == "p"


def test_a_policy_without_hierarchies_refers_to_no_files() -> None:
    assert hierarchy_files(load_policy(DATA)) == ()


def test_hierarchies_are_found_relative_to_the_policy(write: Write, tmp_path: Path) -> None:
    write("tree/countries.csv", "France;Europe;*\nJapan;Asia;*\n")
    generalize = "{type: string, do: {generalize: {hierarchy: tree/countries.csv, level: 1}}}"
    text = GOOD + f"  b: {generalize}\n  c: {generalize}\n"
    assert hierarchy_files(load_policy(write("policy.yaml", text))) == (tmp_path / "tree" / "countries.csv",)


def test_a_hierarchy_that_is_not_there_is_a_fault_of_its_field(write: Write) -> None:
    text = GOOD + "  b: {type: string, do: {generalize: {hierarchy: nowhere.csv, level: 1}}}\n"
    with pytest.raises(PolicyError) as caught:
        load_policy(write("policy.yaml", text))
    assert [(f.code, f.field, f.line) for f in caught.value.findings] == [("P013", "b", 6)]


def test_the_path_of_a_policy_elsewhere_is_shown_straight(write: Write, tmp_path: Path) -> None:
    write("a/policy.yaml", GOOD)
    text = "pipeline: p\npolicy: ../a/policy.yaml\npurpose: operations\nsource: {path: x, format: csv}\noutput: o\n"
    assert load_pipeline(write("b/pipeline.yaml", text)).policy.path == tmp_path / "a" / "policy.yaml"


def test_a_path_through_a_link_is_left_as_it_is(write: Write, tmp_path: Path) -> None:
    write("real/a/policy.yaml", GOOD)
    text = "pipeline: p\npolicy: ../a/policy.yaml\npurpose: operations\nsource: {path: x, format: csv}\noutput: o\n"
    write("real/b/pipeline.yaml", text)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "b")
    assert load_pipeline(tmp_path / "link").policy.path == tmp_path / "link" / ".." / "a" / "policy.yaml"


def test_a_folder_in_place_of_a_file_is_a_fault_of_configuration(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").mkdir()
    with pytest.raises(PolicyError) as caught:
        load_policy(tmp_path)
    assert [f.code for f in caught.value.findings] == ["P001"]


@pytest.mark.parametrize("named", ["nowhere/../policy.yaml", '"a\\0b"', "."])
def test_a_policy_that_cannot_be_found_is_a_fault(write: Write, named: str) -> None:
    text = f"pipeline: p\npolicy: {named}\npurpose: operations\nsource: {{path: x, format: csv}}\noutput: o\n"
    with pytest.raises(PolicyError) as caught:
        load_pipeline(write("pipeline.yaml", text))
    assert [f.code for f in caught.value.findings] == ["P001"]


def test_a_text_that_is_no_path_is_not_repeated() -> None:
    text = "policy: p\n" * 500
    with pytest.raises(PolicyError) as caught:
        load_policy(text)
    assert "policy: p" not in str(caught.value)
