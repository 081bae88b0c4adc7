from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

import minimize
from minimize.drafting import accept_proposals, init_pipeline, looks_like_a_value
from minimize.policy.fields import is_dropped
from minimize.policy.load import load_policy
from minimize.runs.inspection import lint
from minimize.sources import FORMATS
from tests.commands import command

SAMPLE = Path(__file__).parents[2] / "sample_data" / "device_telemetry"
CANARIES = {
    "mail": "canary.ann@example.com",
    "phone": "+33639985825",
    "ip": "203.0.113.77",
    "mac": "02:ad:46:f2:18:64",
    "imei": "490154203237518",
    "card": "4111111111111111",
    "iban": "GB82WEST12345698765432",
    "url": "https://canary.example/path",
    "place": "48.8566, 2.3522",
    "postcode": "SW1A 1AA",
    "note": "the canary sang of a lost telephone",
    "odd": "canary-0817",
    "number": "1234567891",
    "path": "C:\\Users\\canary\\notes.txt",
}


def canaries(folder: Path, kind: str) -> Path:
    rows = [{**CANARIES, "number": int(CANARIES["number"])} for _ in range(3)]
    path = folder / f"data.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif kind == "csv":
        pa.csv.write_csv(pa.Table.from_pylist(rows), path)
    else:
        odd = [{"canary.bob@example.com": 1}, {"seen": {"canary.eve@example.com": {"x": 1}, "203.0.113.78": 2}}]
        path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *odd, "not canary json"]))
    return path


@pytest.mark.parametrize("kind", ["ndjson", "csv", "parquet"])
def test_no_value_of_the_data_is_written_or_printed(tmp_path: Path, kind: str) -> None:
    data = canaries(tmp_path, kind)
    said = [command("init", data, tmp_path / "first"), command("policy", "accept", tmp_path / "first", "all")]
    written = [path.read_text() for path in (tmp_path / "first").rglob("*") if path.is_file()]
    assert [each.code for each in said] == [0, 0]
    assert len(written) == 4
    seen = "\n".join([*written, *(each.out + each.err for each in said)])
    values = [*CANARIES.values(), "canary", "203.0.113"]
    forms = [
        form for text in values for form in (text, json.dumps(text)[1:-1], base64.b64encode(text.encode()).decode())
    ]
    assert [form for form in forms if form in seen] == []


def test_a_control_shows_that_a_written_value_would_be_found(tmp_path: Path) -> None:
    text = canaries(tmp_path, "ndjson").read_text()
    assert all(json.dumps(value)[1:-1] in text for value in CANARIES.values())


@pytest.fixture(scope="module", name="drafted")
def _drafted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is drafted from the sample, for tests that only read."""
    folder = tmp_path_factory.mktemp("drafted") / "first"
    init_pipeline(SAMPLE, folder)
    return folder


def test_every_field_is_dropped_and_has_a_proposal(drafted: Path) -> None:
    policy = load_policy(drafted)
    assert all(map(is_dropped, policy.fields.values()))
    text = (drafted / "policy.yaml").read_text()
    assert len(re.findall(r"^  # proposed: ", text, re.MULTILINE)) == len(policy.fields)


def test_once_all_is_accepted_real_data_lints_without_errors_and_is_pseudonymized_at_most(
    drafted: Path, tmp_path: Path
) -> None:
    shutil.copytree(drafted, tmp_path / "first")
    accept_proposals(tmp_path / "first", ["all"])
    assert [finding for finding in lint(tmp_path / "first") if finding.severity == "error"] == []
    plan = minimize.make_plan(tmp_path / "first")
    assert plan.outputs["records"].category == "pseudonymized"
    assert plan.fields["event_time"].technique == ("truncate_time",)


def test_editors_find_the_schema_that_the_files_obey(drafted: Path) -> None:
    for kind in ("policy", "pipeline"):
        path = drafted / f"{kind}.yaml"
        named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text())
        assert named is not None
        schema = json.loads((path.parent / named[1]).read_text())
        jsonschema.validate(YAML(typ="safe", pure=True).load(path), schema)


def test_the_same_data_gives_the_same_policy(drafted: Path, tmp_path: Path) -> None:
    init_pipeline(SAMPLE, tmp_path / "first")
    assert (tmp_path / "first" / "policy.yaml").read_bytes() == (drafted / "policy.yaml").read_bytes()


@pytest.mark.parametrize(
    ("key", "kind", "expected"),
    [
        ("model", "ndjson", False),
        ("/a/b-c/d", "ndjson", False),
        ("Postal Code", "ndjson", False),
        ("/x/4711", "ndjson", True),
        ("4711", "csv", False),
        ("ann@example.com", "parquet", True),
    ],
)
def test_names_that_look_like_values_are_recognized(key: str, kind: str, expected: bool) -> None:
    assert looks_like_a_value(key, has_columns=FORMATS[kind].has_columns) is expected


def drafted(folder: Path, records: Sequence[object]) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "data.ndjson").write_text("".join(json.dumps(record) + "\n" for record in records))
    init_pipeline(folder / "data.ndjson", folder / "first")
    return (folder / "first" / "policy.yaml").read_text()


def test_a_name_is_written_if_ten_records_or_half_of_them_carry_it(tmp_path: Path) -> None:
    many = [{"id": n} | ({"ten": 1} if n < 10 else {}) | ({"nine": 1} if n < 9 else {}) for n in range(100)]
    text = drafted(tmp_path / "many", many)
    assert "  ten:" in text
    assert "nine" not in text
    assert "few records have them (they are dropped): 1" in text
    few = [{"id": n} | ({"half": 1} if n < 3 else {}) | ({"third": 1} if n < 2 else {}) for n in range(6)]
    text = drafted(tmp_path / "few", few)
    assert "  half:" in text
    assert "third" not in text


@pytest.mark.parametrize(
    "odd",
    [
        {f"f{n}": {"odd": "x"} for n in range(38)},
        {f"f{n}": ["odd"] for n in range(38)},
        {f"odd{n}": n for n in range(2000)},
        {"inner": "odd", "f1": "odd"},
        {"inner": {"odd@example.com": 1}},
        {"inner": [{"a": 1}]},
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_one_odd_record_decides_nothing(tmp_path: Path, odd: object, first: bool) -> None:
    records: list[object] = [{f"f{n}": n for n in range(38)} | {"inner": {"a": n, "b": "x"}} for n in range(30)]
    text = drafted(tmp_path, [odd, *records] if first else [*records, odd])
    assert "no value was found" not in text
    assert "odd" not in text
    assert all(f"  f{n}: {{type: integer" in text for n in range(38))
    assert "  /inner/a: {type: integer" in text


def test_an_object_whose_keys_differ_from_record_to_record_is_a_map_with_dropped_keys(tmp_path: Path) -> None:
    text = drafted(tmp_path, [{"id": n, "by_user": {f"u{n}": {"n": n}}} for n in range(30)])
    assert "  by_user: {type: map, do: drop, keys: drop}" in text
    assert "  /by_user/*/n: {type: integer, do: drop}" in text
    assert "u1" not in text
    assert load_policy(tmp_path / "first" / "policy.yaml").fields["/by_user/~keys"].do == "drop"


def test_the_format_of_a_pattern_without_a_suffix_is_that_of_its_first_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("id,name\n1,x\n")
    init_pipeline(str(tmp_path / "data" / "*"), tmp_path / "first")
    assert YAML(typ="safe", pure=True).load(tmp_path / "first" / "pipeline.yaml")["source"]["format"] == "csv"
