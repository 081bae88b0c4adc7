"""The keys of a map are values: they are dropped, unless the policy says what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.errors import PolicyError, RefusedError
from minimize.policy.load import load_policy
from minimize.runs.inspection import make_plan
from tests.commands import command
from tests.project import AT, DAY, Project, event

MAILS = [f"{name}@mail.example" for name in ("ann", "bob", "eve")]
LEAF = {"/by_user/*/n": {"type": "integer", "do": "keep"}}
PSEUDONYM = {"pseudonymize": {"key": "device", "per": "tenant_id"}}


def mapped(**more: Any) -> dict[str, Any]:
    return {"/by_user": {"type": "map", "role": "identifier", **more}, **LEAF}


@pytest.fixture(name="project")
def _project(project: Project) -> Project:
    project.pipeline(aggregates=None)
    users = {mail: {"n": place, "secret": mail} for place, mail in enumerate(MAILS)}
    project.records([event(number, by_user=users if number % 3 else {}) for number in range(30)])
    return project


def held(project: Project) -> bytes:
    return b"".join(path.read_bytes() for path in project.out.rglob("*") if path.is_file())


def column(project: Project) -> tuple[pa.DataType, list[Any]]:
    found = minimize.read(project.out)
    return found.schema.field("by_user").type, found.column("by_user").to_pylist()


@pytest.mark.parametrize("fields", [LEAF, mapped(), mapped(keys="drop")], ids=["undeclared", "silent", "dropped"])
def test_a_map_is_a_list_of_its_values_unless_keys_are_named(project: Project, fields: Mapping[str, Any]) -> None:
    project.policy(fields)
    receipt = project.run()
    type_, values = column(project)
    assert type_.value_type == pa.struct([("n", pa.int64())])
    assert {json.dumps(sorted(each["n"] for each in value)) for value in values if value} == {"[0, 1, 2]"}
    assert receipt.outputs["records"].category == "pseudonymized"
    assert not any(mail.encode() in held(project) for mail in MAILS)
    minimize.verify(project.out, keys=project.keys)


def test_presence_below_a_map_does_not_show_its_keys(project: Project) -> None:
    project.policy({"/by_user/*/n": {"type": "integer", "do": "presence"}})
    project.run()
    type_, values = column(project)
    assert type_.value_type == pa.struct([("n", pa.bool_())])
    assert [{"n": True}] * 3 in values
    minimize.verify(project.out, keys=project.keys)


def test_the_order_of_the_values_is_that_of_no_key_and_the_same_for_every_engine_and_batch(project: Project) -> None:
    project.policy(LEAF)
    users = {f"u{number:03}": {"n": number} for number in range(100)}
    project.records([event(0, by_user=users), event(1, by_user=dict(reversed(users.items())))])
    project.run()
    first, second = ([each["n"] for each in value] for value in column(project)[1])
    assert first == second != [*range(100)]
    other = minimize.apply(project.folder / "policy.yaml", table(project), keys=project.keys, at=AT)
    assert [[each["n"] for each in value] for value in other.column("by_user").to_pylist()] == [first, first]


def table(project: Project) -> pa.Table:
    """The records as a table, the map as Arrow has it."""
    users = [(f"u{number:03}", {"n": number}) for number in range(100)]
    rows = [{**event(number), "by_user": [*users][:: 1 if number else -1]} for number in range(2)]
    names = [*project.base_policy["fields"], "by_user"]
    types = {"battery": pa.float64(), "storage": pa.int64(), "latitude": pa.float64()}
    columns = {
        name: pa.array([row[name] for row in rows], types.get(name, pa.string())) for name in names if name != "by_user"
    }
    columns["event_time"] = columns["event_time"].cast(pa.timestamp("us", "UTC"))
    kind = pa.map_(pa.string(), pa.struct([("n", pa.int64())]))
    return pa.table({**columns, "by_user": pa.array([row["by_user"] for row in rows], kind)})


def test_treated_map_keys_are_released_with_their_values(project: Project) -> None:
    project.policy(mapped(keys=PSEUDONYM))
    receipt = project.run()
    type_, values = column(project)
    assert [each.name for each in type_.value_type] == ["key", "value"]
    tokens = {each["key"]: each["value"]["n"] for value in values for each in value or ()}
    assert len(tokens) == 3 * len({event(number)["tenant_id"] for number in range(30)})
    assert not any(mail.encode() in held(project) for mail in MAILS)
    fields = receipt.to_json()["fields"]["/by_user/~keys"]
    assert (fields["did"], fields["values"], fields["changed"]) == ("pseudonymize", 60, 60)
    minimize.verify(project.out, keys=project.keys)


def test_coarser_keys_may_collide(project: Project) -> None:
    project.policy(mapped(keys="email_domain"))
    project.run()
    value = next(value for value in column(project)[1] if value)
    assert [each["key"] for each in value] == ["mail.example"] * 3
    assert sorted(each["value"]["n"] for each in value) == [0, 1, 2]
    minimize.verify(project.out, keys=project.keys)


def test_a_kept_key_counts_as_what_it_is(project: Project) -> None:
    project.policy(mapped(keys="keep"))
    with pytest.raises(RefusedError):
        project.run()
    project.pipeline(aggregates=None, records={})
    assert project.run().outputs["records"].category == "identified"
    assert column(project)[0].key_type == pa.string()
    minimize.verify(project.out, keys=project.keys)
    codes = {finding.code for finding in minimize.lint(project.folder) if finding.field == "/by_user/~keys"}
    assert codes == {"L004"}


def test_keys_go_with_the_values_that_a_gate_closes(project: Project) -> None:
    gated = {"/by_user/*/n": {"type": "integer", "feature": "location", "do": "keep"}}
    project.policy({**mapped(keys=PSEUDONYM), **gated})
    project.run()
    rows = minimize.read(project.out).to_pylist()
    assert {row["tenant_id"] for row in rows if row["by_user"]} == {"north"}
    assert {json.dumps(row["by_user"]) for row in rows if row["tenant_id"] != "north"} == {"null"}
    minimize.verify(project.out, keys=project.keys)


def test_expiry_of_a_value_leaves_the_others_with_their_keys(project: Project) -> None:
    fields = {**mapped(keys=PSEUDONYM), "/by_user/*/m": {"type": "integer", "feature": "location", "do": "keep"}}
    project.policy(fields)
    users = {mail: {"n": place, "m": place} for place, mail in enumerate(MAILS)}
    project.records([event(number, by_user=users) for number in range(30)])
    project.run()
    before = column(project)[1]
    done = command(
        "expire", project.out, "--keys", project.keys, "--yes", "--allow-shrink", "--at", "2026-12-10T00:00:00Z"
    )
    assert done.code == 0, done.err
    after = column(project)[1]
    assert [[each["key"] for each in value] for value in after] == [[each["key"] for each in value] for value in before]
    minimize.verify(project.out, keys=project.keys)


def test_plan_lists_keys_as_a_field(project: Project) -> None:
    project.policy(LEAF)
    fields = make_plan(project.folder).to_json()["fields"]
    assert (fields["/by_user/~keys"]["action"], fields["/by_user/~keys"]["leaves"]) == ("drop", None)
    project.policy(mapped(keys=PSEUDONYM))
    plan = make_plan(project.folder)
    assert plan.to_json()["fields"]["/by_user/~keys"]["technique"] == "pseudonymize"
    assert plan.to_json()["fields"]["/by_user/~keys"]["category"] == "pseudonymized"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"/by_user": {"type": "list", "keys": "keep"}, **LEAF}, "only valid for a map"),
        ({"/by_user": {"type": "map", "keys": "keep"}}, "released only with its values"),
        (mapped(keys="keep", feature="location"), "cannot have their own gate"),
        (mapped(keys={"top": {"keep": 3, "other": "x"}}), "not valid for the keys"),
        ({**mapped(keys="keep"), "/by_user": {"type": "map", "role": "secret", "keys": "keep"}}, "must be dropped"),
        ({"/by_user/~keys": {"type": "string"}, **LEAF}, "Use `keys:`"),
    ],
)
def test_keys_that_cannot_leave_are_faults(project: Project, fields: Mapping[str, Any], message: str) -> None:
    project.policy(fields)
    with pytest.raises(PolicyError) as caught:
        load_policy(project.folder / "policy.yaml")
    assert any(message in f"{finding.message} {finding.hint}" for finding in caught.value.findings)


@pytest.mark.parametrize(
    ("old", "new", "grade"),
    [
        ("drop", PSEUDONYM, "loosens"),
        (PSEUDONYM, "keep", "loosens"),
        ("drop", "keep", "loosens"),
        ("keep", PSEUDONYM, "tightens"),
        (None, "keep", "loosens"),
        ("keep", None, "tightens"),
        (None, "drop", "neutral"),
    ],
)
def test_diff_grades_a_change_of_keys(project: Project, old: Any, new: Any, grade: str) -> None:
    paths = []
    for name, keys in (("old", old), ("new", new)):
        project.policy(mapped(**({} if keys is None else {"keys": keys})))
        paths.append(project.folder / f"{name}.yaml")
        (project.folder / "policy.yaml").rename(paths[-1])
    done = command("diff", *paths, "--json")
    changes = [each for each in json.loads(done.out)["changes"] if each["about"] == "/by_user/~keys"]
    assert {each["grade"] for each in changes} == ({grade} if grade != "neutral" or changes else set())


KEYS = {
    "integer": pa.array([7, 20]),
    "double": pa.array([7.5, 20.0]),
    "boolean": pa.array([True, False]),
    "timestamp": pa.array([0, 1]).cast(pa.timestamp("us", "UTC")),
    "dictionary": pa.array(["a", "b"]).dictionary_encode(),
}


def with_keys(project: Project, keys: pa.Array) -> pa.Table:
    """The records as a table whose maps have these two keys each, which is also the source."""
    base = table(project).slice(0, 1)
    items = pa.array([{"n": 1}, {"n": 2}], pa.struct([("n", pa.int64())]))
    found = base.set_column(
        base.schema.names.index("by_user"),
        "by_user",
        pa.MapArray.from_arrays(pa.array([0, 2], pa.int32()), keys, items),
    )
    (project.folder / "data" / DAY).mkdir(parents=True, exist_ok=True)
    pq.write_table(found, project.folder / "data" / DAY / "a.parquet")
    return found


@pytest.mark.parametrize("kind", KEYS)
def test_kept_keys_have_the_type_of_the_source(project: Project, kind: str) -> None:
    project.policy(mapped(keys="keep"))
    source = {"path": "data/{date}/*.parquet", "format": "parquet"}
    project.pipeline(aggregates=None, records={}, source=source)
    given = with_keys(project, KEYS[kind])
    project.run()
    keys = KEYS[kind].dictionary_decode() if kind == "dictionary" else KEYS[kind]
    type_, ((*pairs,),) = column(project)
    assert (type_.key_type, [key for key, _ in pairs]) == (keys.type, keys.to_pylist())
    minimize.verify(project.out, keys=project.keys)
    made = minimize.apply(project.folder / "policy.yaml", given, keys=project.keys, at=AT).column("by_user")
    assert [key for key, _ in made.to_pylist()[0]] == keys.to_pylist()


@pytest.mark.parametrize("kind", ["integer", "double"])
def test_keys_that_are_numbers_go_through_the_techniques_of_numbers(project: Project, kind: str) -> None:
    project.policy(mapped(keys={"bin": {"width": 10}}))
    project.pipeline(aggregates=None, records={}, source={"path": "data/{date}/*.parquet", "format": "parquet"})
    with_keys(project, KEYS[kind])
    project.run()
    assert sorted(each["key"] for each in column(project)[1][0]) == [0, 20]
    minimize.verify(project.out, keys=project.keys)
