"""Every technique in every place of a record, from every kind of source: what comes out is the same, nested as it came in."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

import minimize
from minimize.techniques import TECHNIQUES
from tests.project import AT, TIME, Project, event

KEYED = object()
"""Stands for what only the keyring knows: some text or time that is not the value."""
DEVICE = {"key": "device", "per": "tenant_id"}
HIERARCHY = "Nexus 5X;Nexus;*\nPixel;Pixel;*\n"

CHAIN = [{"clip": {"max": 50}}, {"bin": {"width": 20}}]
Case = tuple[str, Any, Any, Any]
CASES: tuple[Case, ...] = (
    ("string", "a", "keep", "a"),
    ("string", "+33612345678", {"mask": {"keep_last": 4}}, "****5678"),
    ("string", "203.0.113.77", {"truncate_ip": {}}, "203.0.113.0"),
    ("string", "lobby", {"truncate_ip": {}}, None),
    ("string", "10.0.19045.3803", {"truncate_version": {"parts": 2}}, "10.0"),
    ("string", "https://ann:pw@example.com:8443/x", "keep_host", "example.com"),
    ("string", "Ann@Example.com", "email_domain", "example.com"),
    ("string", "mail ann@example.com", {"redact": {"patterns": ["email"]}}, "mail [email]"),
    ("string", "Nexus 5X", {"generalize": {"hierarchy": "models.csv", "level": 1}}, "Nexus"),
    ("string", "Nexus 6", {"generalize": {"hierarchy": "models.csv", "level": 1}}, "*"),
    ("string", "Corporate", {"map": {"values": {"Corporate": "work"}, "otherwise": "own"}}, "work"),
    ("string", "A", {"top": {"keep": 1, "other": "other", "at_least": 1}}, "A"),
    ("string", "A", {"top": {"keep": 1, "other": "other", "at_least": 9}}, "other"),
    ("string", "d1", {"pseudonymize": DEVICE}, KEYED),
    ("string", "d1", {"pseudonymize": DEVICE | {"rotate": "month"}}, KEYED),
    ("string", "d1", {"tokenize": DEVICE}, KEYED),
    ("string", "v1.2", ["presence", {"map": {"values": {"true": "there"}}}], "there"),
    ("integer", 25, {"round": {"to": 10}}, 20),
    ("integer", 87, {"bin": {"width": 10, "as": "label"}}, "[80, 90)"),
    ("integer", 70, {"bin": {"edges": [0, 18, 65]}}, None),
    ("integer", 255, {"clip": {"max": 100}}, 100),
    ("integer", 12, {"pseudonymize": DEVICE}, KEYED),
    ("integer", 3, {"map": {"values": {3: "three"}}}, "three"),
    ("double", 48.8566, {"round": {"to": 0.1}}, 48.9),
    ("double", 87.0, {"bin": {"width": 10, "as": "middle"}}, 85.0),
    ("double", 87.0, CHAIN, 40.0),
    ("decimal(8,2)", 2.5, {"round": {"to": 1}}, Decimal("2.00")),
    ("boolean", True, {"map": {"values": {True: "yes", False: "no"}}}, "yes"),
    ("boolean", False, "presence", True),
    ("binary", "AAEC", {"pseudonymize": DEVICE}, KEYED),
    ("binary", "AAEC", "keep", b"\0\1\2"),
    ("date", "2024-02-29", {"truncate_time": {"to": "quarter"}}, date(2024, 1, 1)),
    ("date", "2024-02-29", {"age": {"unit": "years"}}, 2),
    ("date", "2024-02-29", {"shift_dates": {"key": "device", "per": "device_id", "max_days": 30}}, KEYED),
    (
        "timestamp",
        "2026-11-25T10:59:00Z",
        {"truncate_time": {"to": "week"}},
        datetime.fromisoformat("2026-11-23T00:00Z"),
    ),
    ("timestamp", "2026-11-20T10:00:00Z", {"age": {"unit": "days", "at": "event_time"}}, 4),
)
TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "double": pa.float64(),
    "decimal(8,2)": pa.decimal128(8, 2),
    "boolean": pa.bool_(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": TIME,
}
READ: dict[str, Callable[[Any], Any]] = {
    "decimal(8,2)": lambda number: Decimal(str(number)),
    "binary": base64.b64decode,
    "date": date.fromisoformat,
    "timestamp": datetime.fromisoformat,
}
Nest = Callable[[Any], Any]
PLACES: dict[str, tuple[str, Nest, Callable[[pa.DataType], pa.DataType], Nest]] = {
    "alone": ("/{0}", lambda value: value, lambda type_: type_, lambda value: value),
    "in a struct": (
        "/{0}/x.y/~1",
        lambda value: {"x.y": {"/": value}},
        lambda type_: pa.struct([("x.y", pa.struct([("/", type_)]))]),
        lambda value: None if value is None else {"x.y": {"/": value}},
    ),
    "in a list": ("/{0}/*", lambda value: [None, value], pa.list_, lambda value: [None, value]),
    "in a list of structs": (
        "/{0}/*/~2",
        lambda value: [{"*": value}, {}],
        lambda type_: pa.list_(pa.struct([("*", type_)])),
        lambda value: [None if value is None else {"*": value}, None],
    ),
    "in a list of lists": (
        "/{0}/*/*",
        lambda value: [[value], []],
        lambda type_: pa.list_(pa.list_(type_)),
        lambda value: [[value], []],
    ),
    "in a map": (
        "/{0}/*",
        lambda value: {"k": value},
        lambda type_: pa.map_(pa.string(), type_),
        lambda value: [value],
    ),
    "in a map with its keys": (
        "/{0}/*",
        lambda value: {"k": value},
        lambda type_: pa.map_(pa.string(), type_),
        lambda value: [("k", value)],
    ),
}


@pytest.fixture(name="place", params=list(PLACES.values()), ids=list(PLACES))
def _place(request: pytest.FixtureRequest, project: Project) -> Any:
    (project.folder / "models.csv").write_text(HIERARCHY)
    pointer = request.param[0]
    fields = {pointer.format(f"c{number}"): {"type": word, "do": do} for number, (word, _, do, _) in enumerate(CASES)}
    keys = {"keys": "keep"} if request.param is PLACES["in a map with its keys"] else {}
    maps = {f"/c{number}": {"type": "map", **keys} for number in range(len(CASES))} if pointer == "/{0}/*" else {}
    is_map = isinstance(request.param[1](0), dict) and maps
    project.policy(fields | (maps if is_map else {}))
    project.pipeline(aggregates=None, settings=None)
    return request.param


def agrees(found: Any, due: Any, sent: Any) -> bool:
    """Whether a value is what is due; where only the keyring knows, whether there is one and it is another."""
    if due is KEYED:
        return found is not None and found != sent
    if isinstance(due, list | tuple) and len(found) == len(due):
        return all(map(agrees, found, due, [sent] * len(due)))
    if isinstance(due, dict) and found.keys() == due.keys():
        return all(agrees(found[key], due[key], sent) for key in due)
    return bool(found == due)


def columns(place: Any) -> pa.Table:
    """The records as a columnar source has them: one with all values, one with none."""
    _, nest, typed, _ = place
    table = {}
    for number, (word, value, _, _) in enumerate(CASES):
        nested = nest(READ.get(word, lambda same: same)(value))
        type_ = typed(TYPES[word])
        table[f"c{number}"] = pa.array([[*nested.items()] if pa.types.is_map(type_) else nested, None], type_)
    flat = {name: [event(row)[name] for row in (0, 2)] for name in ("event_id", "tenant_id", "device_id", "model")}
    times = [datetime.fromisoformat(event(row)["event_time"]) for row in (0, 2)]
    numbers = {name: [event(row)[name] for row in (0, 2)] for name in ("battery", "storage", "latitude")}
    return pa.table({**flat, "event_time": pa.array(times, TIME), **numbers, **table})


def test_every_source_gives_the_same_nested_result(project: Project, place: Any) -> None:
    _, nest, _, released = place
    values = {f"c{number}": nest(value) for number, (_, value, _, _) in enumerate(CASES)}
    project.records([event(0, **values), event(2)])
    project.run()
    minimize.verify(project.out, keys=project.keys)
    rows = project.rows()

    project.source("parquet", aggregates=None, settings=None)
    project.columns(columns(place))
    project.run(output=project.folder / "other")
    minimize.verify(project.folder / "other", keys=project.keys)
    assert project.rows(output=project.folder / "other") == rows

    kept = minimize.apply(project.folder / "policy.yaml", columns(place), keys=project.keys, at=AT)
    names = [f"c{number}" for number in range(len(CASES))]
    (full, empty) = kept.select(names).to_pylist()
    for name, (word, value, do, due) in zip(names, CASES, strict=True):
        sent = READ.get(word, lambda same: same)(value)
        expected = released(due)
        assert agrees(full[name], expected, sent), (word, do, full[name])
        assert empty[name] is None
        assert full[name] in [row[name] for row in rows]


POSITION = {"lat": {"type": "double", "do": "drop"}, "/at/lon": {"type": "double", "do": "drop"}}
MADE = {
    "cell": {"from": ["lat", "/at/lon"], "do": {"grid": {"metres": 300}}},
    "hex": {"from": ["lat", "/at/lon"], "do": {"h3": {"resolution": 7}}},
    "there": {"from": ["lat", "/at/lon"], "do": "presence"},
}


def test_a_position_is_made_from_two_fields_and_neither_leaves(project: Project) -> None:
    project.policy(POSITION | MADE)
    shape: dict[str, Any] = {"aggregates": None, "settings": None, "records": {"must_be": "identified"}}
    project.pipeline(**shape)
    where = [(48.8566, 2.3522), (91.0, 2.0), (48.8566, None), (None, None)]
    project.records([event(row, lat=lat, at={"lon": lon}) for row, (lat, lon) in enumerate(where)])
    fields = project.run().fields
    minimize.verify(project.out, keys=project.keys)
    rows = project.rows()
    assert [(fields[name].values, fields[name].unparsable) for name in ("cell", "hex")] == [(3, 1), (3, 1)]
    (full,) = (row for row in rows if row["hex"] is not None)
    assert abs(full["cell"]["lat"] - 48.8566) < 0.005
    assert full["hex"] == "871fb4662ffffff"
    assert sorted(str(row["there"]) for row in rows) == ["None", "True", "True", "True"]
    assert not {"lat", "at"} & set(full)

    project.source("parquet", **shape)
    flat = [event(row) for row in range(4)]
    times = pa.array([datetime.fromisoformat(row.pop("event_time")) for row in flat], TIME)
    table = pa.Table.from_pylist(
        [{**row, "lat": lat, "at": {"lon": lon}} for row, (lat, lon) in zip(flat, where, strict=True)]
    )
    project.columns(table.append_column("event_time", times))
    project.run(output=project.folder / "other")
    minimize.verify(project.folder / "other", keys=project.keys)
    assert project.rows(output=project.folder / "other") == rows


@pytest.mark.parametrize("text", [HIERARCHY, HIERARCHY.replace(";", ","), "\ufeff" + HIERARCHY.replace("\n", "\r\n")])
def test_a_hierarchy_is_read_relative_to_the_policy_in_any_spelling_of_csv(project: Project, text: str) -> None:
    (project.folder / "beside").mkdir()
    (project.folder / "beside" / "models.csv").write_text(text, newline="")
    project.policy({"model": {"type": "string", "do": {"generalize": {"hierarchy": "beside/models.csv", "level": 1}}}})
    project.pipeline(aggregates=None, settings=None)
    project.records([event(0, model="Nexus 5X"), event(1, model="nexus 5x"), event(2, model=None)])
    project.run()
    minimize.verify(project.out, keys=project.keys)
    assert {str(row["model"]) for row in project.rows()} == {"Nexus", "*", "None"}


def test_an_integer_finds_its_line_in_a_hierarchy(project: Project) -> None:
    (project.folder / "sizes.csv").write_text("13;10-19;*\n0;0-9;*\n")
    project.policy({"storage": {"type": "integer", "do": {"generalize": {"hierarchy": "sizes.csv", "level": 1}}}})
    project.pipeline(aggregates=None, settings=None)
    project.records(event(row) for row in range(3))
    project.run()
    minimize.verify(project.out, keys=project.keys)
    assert sorted(row["storage"] for row in project.rows()) == ["*", "0-9", "10-19"]


def first(do: Any) -> str:
    """The word of what is done first."""
    step = do[0] if isinstance(do, list) else do
    return step if isinstance(step, str) else next(iter(step))


@pytest.mark.parametrize("names_somebody", [False, True])
def test_an_identifier_has_the_category_of_its_technique_and_verification_agrees(
    project: Project, names_somebody: bool
) -> None:
    (project.folder / "models.csv").write_text(HIERARCHY)
    near = {
        "round",
        "bin",
        "top",
        *(word for word, kind in TECHNIQUES.items() if kind.residual not in ("coarse", "linkable")),
    }
    guessed = [first(do) in near for _, _, do, _ in CASES]
    chosen = [case for case, known in zip(CASES, guessed, strict=True) if known == names_somebody and case[2] != CHAIN]
    project.policy({f"c{n}": {"type": w, "role": "identifier", "do": do} for n, (w, _, do, _) in enumerate(chosen)})
    project.pipeline(aggregates=None, settings=None, records={"must_be": "identified"})
    project.records([event(0, **{f"c{n}": value for n, (_, value, _, _) in enumerate(chosen)})])
    receipt = project.run()
    minimize.verify(project.out, keys=project.keys)
    assert receipt.outputs["records"].category == ("identified" if names_somebody else "pseudonymized")
