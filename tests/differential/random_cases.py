"""Random cases: a policy, a pipeline, settings over time, files of records and the runs over them. A seed gives the same ones."""

from __future__ import annotations

import csv
import json
import random
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from tests.differential import steps
from tests.differential.columns import ARROW, BASE, COLUMNS, OPTIONAL, Column, is_flat, top_of
from tests.differential.records import FILE_FORMATS, RAW, FileFormat, RecordMaker, Row, as_table, write_file

DAYS: Final = (date(2025, 3, 29), date(2024, 2, 28), date(2024, 12, 30), date(2025, 10, 25), date(2025, 7, 14))
"""First batch dates: before a change of the clock, a leap day, the end of a year, another change, a plain day. All are past."""
FEATURES: Final = ("location", "usage", "inventory")
LEVELS: Final = ("required", "basic", "full")
HOLDERS: Final = ("admin", "user", "developer")
PURPOSES: Final = ("service_maintenance", "customer_support")
FORMAT: Final = ("\u200b", "\ufeff")
"""Format characters with which texts begin."""
SETTINGS: Final = ("tenant_id", "subject", "setting", "value", "holder", "valid_from", "recorded_at")
COARSER: Final = {unit: steps.UNITS[position:] for position, unit in enumerate(steps.UNITS)} | {"week": ("week",)}
"""The units that an aggregate may use of a time that is released at a unit."""


@dataclass
class Case:
    """Everything that both versions are given, as it would stand in JSON.

    `columns` are the top-level keys that a columnar file has; `files` maps a path below the case's folder to its rows; `runs`
    holds `date` (null for all dates) and `at` of each run.
    """

    number: int
    seed: int
    policy: dict[str, Any]
    pipeline: dict[str, Any]
    settings: list[list[str]]
    columns: list[str]
    files: dict[str, list[Row]]
    runs: list[dict[str, Any]]
    traits: list[str] = field(default_factory=list)

    def write(self, folder: Path, keys: str) -> None:
        """Writes the case's input as files, and the case itself as `case.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "case.json").write_text(json.dumps(asdict(self), indent=1))
        (folder / "policy.yaml").write_text(json.dumps(self.policy, indent=1))
        (folder / "pipeline.yaml").write_text(json.dumps(self.pipeline, indent=1))
        (folder / steps.HIERARCHY).write_text(steps.HIERARCHY_TEXT)
        (folder / "test.keys").write_text(keys)
        (folder / "test.keys").chmod(0o600)
        with (folder / "settings.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([SETTINGS, *self.settings])
        for path, rows in self.files.items():
            write_file(folder / path, rows, self.columns)
        everything = [row for rows in self.files.values() for row in rows]
        pq.write_table(as_table(everything, self.columns), folder / "memory.parquet")

    @property
    def rows(self) -> int:
        """How many records all files hold."""
        return sum(map(len, self.files.values()))


def cases(seed: int, count: int) -> Iterator[Case]:
    """The first cases of a seed. Case number n is the same however many are made."""
    for number in range(count):
        yield make_case(seed, number)


def make_case(seed: int, number: int) -> Case:
    """One case of a seed."""
    rng = random.Random(f"{seed}/{number}")
    source_format = rng.choice(("ndjson", "ndjson", *FILE_FORMATS))
    usable = [key for key in OPTIONAL if not FILE_FORMATS[source_format].flat or is_flat(key)]
    declared = rng.sample(usable, rng.randint(1, min(9, len(usable))))
    if len({"latitude", "longitude"} & {*declared}) == 1 and rng.random() < 0.7:
        declared = [*(key for key in declared if key not in ("latitude", "longitude")), "latitude", "longitude"]
    policy = _policy(rng, declared)
    pipeline = _pipeline(rng, policy, source_format)
    tenants = ["north", "south", "west"][: rng.randint(1, 3)]
    days = [rng.choice(DAYS) + timedelta(days=more) for more in range(rng.choice((1, 1, 2, 3)))]
    days = [days[0] + timedelta(days=more) for more in range(len(days))]
    suffix = pipeline["source"]["path"].partition("*")[2]
    present = _present(rng, declared, usable)
    columns = [name for name in ARROW if name in {*BASE, *map(top_of, present)}]
    required = {key for key, said in policy["fields"].items() if said.get("required")}
    files = _files(RecordMaker(rng, present, tenants, required), days, FILE_FORMATS[source_format], suffix, rng)
    settings = _settings(rng, policy, tenants, days)
    case = Case(number, seed, policy, pipeline, settings, columns, files, _runs(rng, days))
    case.traits = sorted(set(_traits(case)))
    return case


def _policy(rng: random.Random, declared: Sequence[str]) -> dict[str, Any]:
    features = {name: _feature(rng) for name in rng.sample(FEATURES, rng.randint(0, 3))}
    levels = LEVELS if rng.random() < 0.5 else ()
    fields = {
        key: {"type": column.type, "role": column.role, "do": rng.choice(column.does)(rng)}
        for key, column in BASE.items()
    }
    for position, key in enumerate(declared):
        gates = _Gates(rng, sorted(features), levels, declared[:position])
        fields[key] = _field(rng, gates, key, OPTIONAL[key])
    if {"latitude", "longitude"} <= set(declared):
        fields["cell"] = {
            "role": "quasi",
            "from": ["latitude", "longitude"],
            "do": rng.choice((steps.grid, steps.h3))(rng),
        }
    return {
        "policy": "generated",
        "version": 1,
        "purposes": [*PURPOSES],
        "tenant": "tenant_id",
        "subject": "device_id",
        "time": "event_time",
        "record": "event_id",
        **({"retention": rng.choice(("1d", "30d", "400d"))} if rng.random() < 0.7 else {}),
        **({"levels": [*levels]} if levels else {}),
        **({"features": features} if features else {}),
        **({"never": ["/contacts", "password"]} if rng.random() < 0.5 else {}),
        **(
            {"records": {"collect_if": _Gates(rng, sorted(features), levels, declared).condition()}}
            if rng.random() < 0.15
            else {}
        ),
        "fields": fields,
    }


def _feature(rng: random.Random) -> dict[str, Any]:
    return {
        "about": "something optional",
        **({"retention": rng.choice(("12h", "2d"))} if rng.random() < 0.3 else {}),
        **({"holders": rng.sample(HOLDERS, rng.randint(1, 3))} if rng.random() < 0.3 else {}),
    }


@dataclass
class _Gates:
    """Random conditions and gates. `readable` are the fields that they may read: declared before, so that none reads itself."""

    rng: random.Random
    features: Sequence[str]
    levels: Sequence[str]
    readable: Sequence[str]

    def of_field(self) -> dict[str, Any]:
        """The gates of a field; mostly none."""
        rng = self.rng
        gates: dict[str, Any] = {}
        if self.features and rng.random() < 0.2:
            gates["feature"] = rng.choice(self.features)
        if self.levels and rng.random() < 0.15:
            gates["level"] = rng.choice(self.levels)
        if rng.random() < 0.12:
            gates["collect_if"] = self.condition()
        if rng.random() < 0.08:
            gates["purposes"] = [rng.choice(PURPOSES)]
        for word, chance in (("required", 0.03), ("optional", 0.2)):
            if rng.random() < chance:
                gates[word] = True
        return gates

    def condition(self, depth: int = 0) -> dict[str, Any]:
        """One condition, or some of them."""
        if depth < 2 and self.rng.random() < 0.3:
            return {self.rng.choice(("any", "all")): [self.condition(depth + 1) for _ in range(self.rng.randint(1, 3))]}
        return self.rng.choice(self._atoms())

    def _atoms(self) -> list[dict[str, Any]]:
        atoms: list[dict[str, Any]] = [{"tenant_id": ["north", "west"]}]
        atoms += [{"feature": name} for name in self.features]
        atoms += [{"level": name} for name in self.levels]
        known = {
            "device_type": "phone",
            "owner_type": ["corporate"],
            "is_managed": True,
            "model": ["A1", "B1"],
            "storage": 1,
        }
        atoms += [{key: value} for key, value in known.items() if key in self.readable]
        return atoms


def _field(rng: random.Random, gates: _Gates, key: str, column: Column) -> dict[str, Any]:
    role = rng.choice(("identifier", "quasi", "sensitive")) if rng.random() < 0.05 else column.role
    said: dict[str, Any] = {"type": column.type, "role": role, **gates.of_field()}
    if rng.random() < 0.12:
        do = rng.choice(column.does)(rng)
        said["cases"] = [{"if": gates.condition(), "do": do}, {"if": gates.condition(), "do": rng.choice(("drop", do))}]
        said["otherwise"] = rng.choice(("drop", do))
    else:
        said["do"] = rng.choice(column.does)(rng)
    if column.family in ("number", "decimal") and rng.random() < 0.4:
        said["in_aggregates"] = steps.clip(rng)
    return said


def _pipeline(rng: random.Random, policy: Mapping[str, Any], source_format: str) -> dict[str, Any]:
    suffix, purpose = rng.choice(FILE_FORMATS[source_format].suffixes), rng.choice(PURPOSES)
    aggregates = {
        f"table_{number}": _aggregate(rng, policy, purpose) for number in range(rng.choice((0, 1, 1, 1, 1, 1, 1, 2)))
    }
    limits = {word: rng.choice((0.01, 0.5)) for word in ("fail_above", "stop_above") if rng.random() < 0.3}
    return {
        "pipeline": "generated",
        "policy": "policy.yaml",
        "purpose": purpose,
        "source": {"path": f"data/{{date}}/*{suffix}", "format": source_format},
        **({"settings": "settings.csv"} if rng.random() < 0.9 else {}),
        "output": "out",
        **({"records": _records(rng)} if rng.random() < 0.9 or not aggregates else {"records": False}),
        **({"aggregates": aggregates} if aggregates else {}),
        **({"quarantine": limits} if limits else {}),
    }


def _records(rng: random.Random) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if rng.random() < 0.5:
        said["must_be"] = rng.choice((*["identified"] * 7, "pseudonymized"))
    if rng.random() < 0.1:
        said["partition_by"] = ["tenant_id"]
    if rng.random() < 0.2:
        said["index"] = False
    if rng.random() < 0.25:
        said["deduplicate"] = {
            "by": rng.choice((["device_id"], ["event_id"], ["tenant_id", "device_id"])),
            "per": "day",
        }
    return said


def _aggregate(rng: random.Random, policy: Mapping[str, Any], purpose: str) -> dict[str, Any]:
    fields = policy["fields"]
    families = {key: _family(key, said) for key, said in fields.items() if _is_released(said, purpose)}
    groups: dict[str, Any] = {}
    unit = _unit_of(fields["event_time"]["do"])
    if rng.random() < 0.6:
        groups["day"] = {"event_time": rng.choice([each for each in ("day", "week", "month") if each in COARSER[unit]])}
    keys = [key for key, family in families.items() if family in ("text", "flag")]
    groups |= {f"by_{key}": key for key in rng.sample(keys, min(len(keys), rng.randint(0, 2)))}
    if rng.random() < 0.15 and "/tags/*" in families:
        groups["tag"] = "/tags/*"
    measures: dict[str, Any] = (
        {"events": "count"} if rng.random() < 0.8 else {"devices": {"count_distinct": "device_id"}}
    )
    for key, family in families.items():
        if rng.random() < 0.6:
            measures |= _measures(rng, key, family, exact="in_aggregates" in fields[key])
    late = {"late": rng.choice(("1d", "2d"))} if "day" in COARSER[unit] and rng.random() < 0.2 else {}
    return {
        "group_by": groups,
        "measures": measures,
        "suppress": {"below": rng.choice((1, 2, 3, 10)), "counting": "device_id"},
        **({"round": {"counts_to": rng.choice((1, 5))}} if rng.random() < 0.3 else {}),
        **late,
    }


def _unit_of(do: Any) -> str:
    return do["truncate_time"]["to"] if isinstance(do, dict) else "minute"


def _is_released(said: Mapping[str, Any], purpose: str) -> bool:
    """Whether aggregates can see the field."""
    ways = [said.get("do", said.get("otherwise")), *(each["do"] for each in said.get("cases", ()))]
    return any(way != "drop" for way in ways) and purpose in said.get("purposes", PURPOSES)


def _family(key: str, said: Mapping[str, Any]) -> str:
    """Which measures fit the field in its released form."""
    family = COLUMNS[key].family if key in COLUMNS else ""
    techniques = set(_techniques({word: said.get(word) for word in ("do", "otherwise", "cases") if said.get(word)}))
    if "presence" in techniques:
        return "flag" if family else ""
    if "map" in techniques or "label" in str(said.get("do", said.get("otherwise"))):
        return "mapped" if family else ""
    return "number" if "age" in techniques else family


def _measures(rng: random.Random, key: str, family: str, *, exact: bool) -> dict[str, Any]:
    """One measure over a field. An extreme or rank over an `exact` value would be refused."""
    if family in ("number", "decimal"):
        word = rng.choice(("sum", "mean", "mean", "histogram") + (() if exact else ("min", "max", "quantile")))
        value: Any = {"of": key, "q": rng.choice((0, 0.5, 0.9, 1))} if word == "quantile" else key
    elif family == "flag":
        word, value = "share", {"of": key, "is": True}
    elif family == "text":
        word = rng.choice(("count_distinct", "share", "histogram"))
        value = {"of": key, "is": ["A1", "phone", "corporate"]} if word == "share" else key
    elif family == "mapped":
        word, value = rng.choice(("count_distinct", "histogram")), key
    elif family == "time":
        word, value = rng.choice(("min", "max")), key
    else:
        return {}
    return {f"{word}_{key}": {word: value}}


def _present(rng: random.Random, declared: Iterable[str], usable: Sequence[str]) -> list[str]:
    """The fields that records have: nearly all that are declared, and some that are not."""
    present = [key for key in declared if rng.random() < 0.99]
    return [*present, *(key for key in rng.sample(usable, min(2, len(usable))) if key not in present)]


def _files(
    maker: RecordMaker, days: Sequence[date], format_: FileFormat, suffix: str, rng: random.Random
) -> dict[str, list[Row]]:
    """One or two files of each date, in the pipeline's format."""
    files: dict[str, list[Row]] = {}
    for day in days:
        for name in "ab"[: rng.choice((1, 1, 2))]:
            count = rng.choice((0, 1, 40, 40, 40, 120))
            rows = [format_.make(maker, day) for _ in range(count)]
            rows += rng.sample(rows, min(len(rows), rng.choice((0, 0, 3))))
            if format_.damaged and rng.random() < 0.1:
                rows.append({RAW: format_.damaged})
            files[f"data/{day}/{name}{suffix}"] = rows
    return files


def _settings(
    rng: random.Random, policy: Mapping[str, Any], tenants: Sequence[str], days: Sequence[date]
) -> list[list[str]]:
    """Rows of settings before, during and after the batch dates; rarely of another tenant, or with a value that is none."""
    names = [*policy.get("features", {}), *(["level"] if "levels" in policy else [])]
    rows = [
        _setting(rng, name, tenant, days)
        for name in names
        for tenant in tenants
        for _ in range(rng.choice((0, 1, 1, 2, 4)))
    ]
    rng.shuffle(rows)
    return rows


def _setting(rng: random.Random, name: str, tenant: str, days: Sequence[date]) -> list[str]:
    words = LEVELS if name == "level" else ("on",) * 7 + ("off",)
    value = rng.choice(("ON", "yes", "")) if rng.random() < 0.02 else rng.choice(words)
    subject = rng.choice(("d0", "d1", " d2", "d3")) if rng.random() < 0.3 else ""
    since = days[0] - timedelta(days=rng.choice((400, 400, 30, 30, 1, 0, -1)))
    recorded = since + timedelta(days=rng.choice((0, 0, 0, 1, 5)))
    hour = rng.choice(("00:00:00Z", "12:30:00+02:00", "23:59:59Z"))
    spelled = tenant if rng.random() < 0.95 else f" {tenant} "
    return [spelled, subject, name, value, rng.choice(HOLDERS), f"{since}T{hour}", f"{recorded}T{hour}"]


def _runs(rng: random.Random, days: Sequence[date]) -> list[dict[str, Any]]:
    """Date by date, or all at once; rarely the first one again, or a date without files."""
    after = [f"{day + timedelta(days=1)}T{rng.choice(('00:00:00', '06:30:00'))}Z" for day in days]
    if len(days) > 1 and rng.random() < 0.3:
        return [{"date": None, "at": after[-1]}]
    runs = [{"date": str(day), "at": at} for day, at in zip(days, after, strict=True)]
    last = f"{days[-1] + timedelta(days=3)}T12:00:00Z"
    if rng.random() < 0.25:
        runs.append({"date": str(days[0]), "at": last})
    if rng.random() < 0.05:
        runs.append({"date": "2001-01-01", "at": last})
    return runs


def _traits(case: Case) -> Iterator[str]:
    """What the case has in it, by which intended differences are told from others."""
    yield f"format:{case.pipeline['source']['format']}"
    for said in case.policy["fields"].values():
        yield from (f"technique:{name}" for name in _techniques(said))
        yield from (f"field:{word}" for word in ("cases", "collect_if", "feature", "level", "from") if word in said)
    for aggregate in case.pipeline.get("aggregates", {}).values():
        yield from (
            f"measure:{next(iter(each)) if isinstance(each, dict) else each}" for each in aggregate["measures"].values()
        )
        yield from (f"aggregate:{word}" for word in ("late", "round") if word in aggregate)
    records = case.pipeline.get("records") or {}
    yield from (f"records:{word}" for word in records)
    yield from (f"policy:{word}" for word in ("retention", "never", "records") if word in case.policy)
    last = max(run["at"] for run in case.runs)
    if any(row.get("event_time", "") > last for rows in case.files.values() for row in rows if RAW not in row):
        yield "records:future"
    if any(RAW in row for rows in case.files.values() for row in rows):
        yield "records:damaged"
    if any(map(_is_spelled, _ids(case))):
        yield "ids:spelled"
    if any(text.startswith(FORMAT) for rows in case.files.values() for row in rows for text in map(str, row.values())):
        yield "records:format characters"


def _ids(case: Case) -> Iterator[str]:
    """The tenants and subjects of records, and of settings, where a subject may be empty."""
    for row in (row for rows in case.files.values() for row in rows if RAW not in row):
        yield from (str(row[name]) for name in ("tenant_id", "device_id") if row.get(name) is not None)
    yield from (each for tenant, subject, *_ in case.settings for each in (tenant, subject or tenant))


def _is_spelled(text: str) -> bool:
    """Whether an id is not in its canonical form, or in capitals, which a policy may fold."""
    return not text or text != unicodedata.normalize("NFC", text).strip(f" \u00a0{FORMAT[0]}") or text != text.lower()


def _techniques(said: Mapping[str, Any]) -> Iterator[str]:
    chains = [
        said.get("do"),
        said.get("otherwise"),
        said.get("in_aggregates"),
        *(each["do"] for each in said.get("cases", ())),
    ]
    for chain in chains:
        for step in chain if isinstance(chain, list) else [chain]:
            if step is not None:
                yield next(iter(step)) if isinstance(step, dict) else step
