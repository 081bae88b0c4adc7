"""What is told of a file that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.errors import PolicyError
from minimize.forms.yaml_nodes import (
    DEEPEST_NESTING,
    FaultList,
    YamlNode,
    node_from_data,
    parse_yaml,
    similar_files_hint,
)
from minimize.policy.load import load_pipeline


@pytest.fixture(name="tree")
def _tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("telemetry", "support"):
        (tmp_path / "pipelines" / name).mkdir(parents=True)
        (tmp_path / "pipelines" / name / "pipeline.yaml").touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("pipelines/telemtry", "Did you mean `pipelines/telemetry`?"),
        ("pipeline/telemetry/pipeline.yaml", "Did you mean `pipelines`?"),
        ("pipelines/telemetry/pipeline.yml", "Did you mean `pipelines/telemetry/pipeline.yaml`?"),
        ("pipelines/pipeline.yaml", "Did you mean `pipelines/support` or `pipelines/telemetry`?"),
        ("pipelines/access.yaml", ""),
        ("empty/pipeline.yaml", ""),
        ("elsewhere", ""),
    ],
)
def test_existing_files_with_similar_names_are_suggested(tree: Path, asked: str, told: str) -> None:
    assert similar_files_hint(Path(asked)) == told


def test_many_pipelines_are_not_listed(tree: Path) -> None:
    for number in range(9):
        (tree / "pipelines" / f"p{number}").mkdir()
        (tree / "pipelines" / f"p{number}" / "pipeline.yaml").touch()
    assert similar_files_hint(Path("pipelines/pipeline.yaml")) == ""


def test_a_similar_name_that_may_be_a_value_is_not_suggested(tree: Path) -> None:
    (tree / "sam@example.com").mkdir()
    assert similar_files_hint(Path("sam@example.co")) == ""


@pytest.mark.parametrize("text", ["a" * 9999, "a\0b", ""])
def test_a_text_that_is_no_path_gets_no_suggestion(tree: Path, text: str) -> None:
    assert similar_files_hint(Path(text)) == ""


def test_the_fault_has_the_hint(tree: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        load_pipeline("pipelines/telemtry")
    (found,) = caught.value.findings
    assert (found.code, found.hint) == ("P001", "Did you mean `pipelines/telemetry`?")


def nodes(text: str) -> tuple[YamlNode, list[tuple[str, int | None]]]:
    faults = FaultList("f.yaml")
    root = parse_yaml(text, faults)
    assert root is not None
    return root, [(fault.code, fault.line) for fault in faults.found]


def test_on_and_off_and_yes_stay_strings() -> None:
    root, _ = nodes("a: on\nb: off\nc: yes\nd: true")
    assert root.to_data() == {"a": "on", "b": "off", "c": "yes", "d": True}


def test_on_stays_a_string_even_where_the_file_asks_for_yaml_1_1() -> None:
    root, _ = nodes("%YAML 1.1\n---\na: on\nb: off\n")
    assert root.to_data() == {"a": "on", "b": "off"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e9", 1e9),
        ("0x1f", 31),
        ("0o17", 15),
        ("-7", -7),
        ("+7", 7),
        ("007", 7),
        ("0.1", 0.1),
        ("-.inf", float("-inf")),
    ],
)
def test_numbers_are_those_of_yaml_1_2(text: str, value: float) -> None:
    root, _ = nodes(f"a: {text}")
    assert root.to_data() == {"a": value}


def test_dates_and_times_stay_text() -> None:
    root, _ = nodes("a: 2026-11-24\nb: 12:30:00\n")
    assert root.to_data() == {"a": "2026-11-24", "b": "12:30:00"}


def test_keys_are_always_text() -> None:
    root, _ = nodes("true: a\n1: b\n")
    assert root.to_data() == {"true": "a", "1": "b"}


def test_a_null_is_none() -> None:
    root, _ = nodes("a:\nb: ~\nc: null\n")
    assert root.to_data() == {"a": None, "b": None, "c": None}


@pytest.mark.parametrize(("path", "line"), [(["a"], 1), (["a", 0], 2), (["a", 1, "b"], 4), (["a", 1, "b", "none"], 4)])
def test_a_node_knows_the_line_of_its_key(path: list[str | int], line: int) -> None:
    root, _ = nodes("a:\n  - x\n  -\n    b: 1\n")
    assert root.descend(path).line == line


def test_a_repeated_key_is_a_fault_and_its_first_value_counts() -> None:
    root, faults = nodes("a: 1\nb: 2\na: 3\n")
    assert (root.to_data(), faults) == ({"a": 1, "b": 2}, [("P002", 3)])


@pytest.mark.parametrize(
    "text", ["a: &x 1\nb: *x\n", "a: &x {c: 1}\n<<: *x\n", "a: !!binary aGk=\n", "? [a]\n: 1\n", "~: 1\n"]
)
def test_aliases_merge_keys_tags_and_odd_keys_are_faults(text: str) -> None:
    _, faults = nodes(text)
    assert {code for code, _ in faults} == {"P003"}


@pytest.mark.parametrize(
    "text", ["a: !!str 5", "a: !x 1", "a: !!map {b: 1}", "a: [1, !!int 5]", "!!str a: 1", "--- !!map\na: 1", "a: ! 5"]
)
def test_an_explicit_tag_is_a_fault_with_any_value(text: str) -> None:
    _, faults = nodes(text)
    assert [code for code, _ in faults] == ["P003"]


@pytest.mark.parametrize("text", ["a: '!!str 5'", "a: x!", "a: 1  # !!str", "a: |\n  !!str x"])
def test_an_exclamation_mark_is_no_tag(text: str) -> None:
    assert nodes(text)[1] == []


def test_nested_aliases_do_not_multiply() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 30)]
    _, faults = nodes("\n".join(lines))
    assert len(faults) <= 90


@pytest.mark.parametrize("text", ["9" * 10_000], ids=["long"])
def test_a_number_that_cannot_be_read_is_a_fault_with_its_line(text: str) -> None:
    root, faults = nodes(f"a: 1\nb: {text}\n")
    assert (root.to_data(), faults) == ({"a": 1, "b": None}, [("P006", 2)])


def test_a_character_that_is_escaped_in_two_halves_as_json_does_is_one() -> None:
    root, faults = nodes('"\\ud83d\\ude00": "\\ud83d\\ude00"')
    assert (root.to_data(), faults) == ({"\U0001f600": "\U0001f600"}, [])


def test_half_of_a_character_is_a_fault_with_its_line() -> None:
    _, faults = nodes('a: 1\nb: "\\ud83d"\n"\\ude00": 1\n')
    assert faults == [("P006", 2), ("P006", 3)]


def nested(depth: int) -> str:
    return "a: " + "[" * depth + "]" * depth


def test_as_deep_as_people_write_is_read() -> None:
    _, faults = nodes(nested(DEEPEST_NESTING - 1))
    assert faults == []


def test_excessive_nesting_is_a_fault_with_its_line() -> None:
    _, faults = nodes("\n\n" + nested(DEEPEST_NESTING + 1))
    assert faults == [("P003", 3)]


@pytest.mark.parametrize("text", [nested(600), "\n".join(" " * n + "a:" for n in range(600))])
def test_so_deep_that_no_stack_holds_it_is_one_fault(text: str) -> None:
    faults = FaultList("f.yaml")
    assert parse_yaml(text, faults) is None
    assert [fault.code for fault in faults.found] == ["P001"]


@pytest.mark.parametrize("text", ["a: [1,", "a: b: c", "--- 1\n--- 2\n", "\ta: 1", "a: \x01"])
def test_a_text_that_is_not_one_yaml_document_is_one_fault(text: str) -> None:
    faults = FaultList("f.yaml")
    assert parse_yaml(text, faults) is None
    assert [fault.code for fault in faults.found] == ["P001"]


def test_an_empty_document_is_an_empty_mapping() -> None:
    root, _ = nodes("# nothing\n")
    assert root.to_data() == {}


def test_plain_data_becomes_nodes_without_lines() -> None:
    root = node_from_data({"a": [1, {"b": None}], True: "x"})
    assert root.to_data() == {"a": (1, {"b": None}), "true": "x"}
    assert root.descend(["a"]).line is None


def test_lines_are_listed_down_to_a_depth() -> None:
    root, _ = nodes("a:\n  b:\n    c:\n      d: 1\n")
    assert dict(root.key_lines(3)) == {("a",): 1, ("a", "b"): 2, ("a", "b", "c"): 3}


def test_a_file_that_is_read_again_has_its_faults_again_under_the_name_of_then() -> None:
    one, other = FaultList("one.yaml"), FaultList("other.yaml")
    first, second = parse_yaml("a: 1\na: 2\n", one), parse_yaml("a: 1\na: 2\n", other)
    assert first == second
    assert [(fault.code, fault.file) for fault in (*one.found, *other.found)] == [
        ("P002", "one.yaml"),
        ("P002", "other.yaml"),
    ]
