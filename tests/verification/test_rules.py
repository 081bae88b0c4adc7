"""For each technique values as it gives them, and values as its typical faults would give them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import h3
import pyarrow as pa
import pytest

from minimize.receipts import FieldReceipt

from .make import single

PSEUDONYM = "abcdefghijklmnopqrstuvwxyz"
HIERARCHY = "34;30-39;*\n41;40-49;*\n"
CELL = h3.latlng_to_cell(48.8566, 2.3522, 7)
PENTAGON = sorted(h3.get_pentagons(3))[0]
US = pa.timestamp("us", "UTC")
NS = pa.timestamp("ns", "UTC")
PLACE = pa.struct([("latitude", pa.float64()), ("longitude", pa.float64())])


def time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


TEXT, DOUBLE, LONG = pa.string(), pa.float64(), pa.int64()
Case = tuple[Any, pa.DataType, str, list[Any]]
RIGHT: dict[str, Case] = {
    "keep": ("keep", TEXT, "string", ["anything", ""]),
    "pseudonymize": ({"pseudonymize": {"key": "device"}}, TEXT, "string", [PSEUDONYM, "2" * 26]),
    "tokenize": (
        {"tokenize": {"key": "device"}},
        TEXT,
        "string",
        ["q83vEjRWeJCrze8SNFZ4kKvN7xI", "QUJDREVGR0hJSktMTU5PUA"],
    ),
    "mask last": ({"mask": {"keep_last": 4}}, TEXT, "string", ["****5678", "****"]),
    "mask first": ({"mask": {"keep_first": 2}}, TEXT, "string", ["ab****", "****"]),
    "round": ({"round": {"to": 0.1}}, DOUBLE, "double", [48.9, 0.0, -3.2, 0.3, 1e300]),
    "round to a text": ({"round": {"to": "0.05"}}, DOUBLE, "double", [1.05, 0.1]),
    "bin of a text": ({"bin": {"width": "0.5", "origin": "0.25"}}, DOUBLE, "double", [0.75, -0.25]),
    "clip to texts": ({"clip": {"min": "0", "max": "99.5"}}, DOUBLE, "double", [0.0, 99.5]),
    "round float32": ({"round": {"to": 0.1}}, pa.float32(), "double", [48.9, 0.3]),
    "round integers": ({"round": {"to": 1000}}, LONG, "integer", [-2000, 0, 5000]),
    "round decimals": ({"round": 0.05}, pa.decimal128(10, 2), "decimal(10,2)", [Decimal("1.05"), Decimal("0.10")]),
    "bin lower": ({"bin": {"width": 10}}, DOUBLE, "double", [80.0, -10.0, 0.0]),
    "bin lower origin": ({"bin": {"width": 10, "origin": 5}}, DOUBLE, "double", [75.0, -5.0]),
    "bin label": ({"bin": {"width": 10, "as": "label"}}, TEXT, "double", ["[80, 90)", "[-10, 0)"]),
    "bin middle": ({"bin": {"width": 10, "as": "middle"}}, DOUBLE, "integer", [85.0, -5.0]),
    "bin edges": ({"bin": {"edges": [1e9, 4e9, 16e9]}}, LONG, "integer", [10**9, 4 * 10**9]),
    "bin edges label": (
        {"bin": {"edges": [1, 4, 16], "as": "label"}},
        TEXT,
        "integer",
        ["< 1", "[1, 4)", "[4, 16)", ">= 16"],
    ),
    "bin edges middle": ({"bin": {"edges": [0.1, 0.2, 0.4], "as": "middle"}}, DOUBLE, "double", [0.15, 0.3]),
    "clip": ({"clip": {"min": 0, "max": 100}}, DOUBLE, "double", [0.0, 99.9, 100.0]),
    "clip open": ({"clip": {"max": 20}}, LONG, "integer", [-5, 20]),
    "truncate_time hour": ({"truncate_time": {"to": "hour"}}, US, "timestamp", [time("2026-11-24T23:00")]),
    "truncate_time ns": ({"truncate_time": "minute"}, NS, "timestamp", [time("2026-11-24T23:59")]),
    "truncate_time week": ({"truncate_time": {"to": "week"}}, US, "timestamp", [time("2026-11-23T00:00")]),
    "truncate_time quarter": ({"truncate_time": {"to": "quarter"}}, pa.date32(), "date", [date(2026, 10, 1)]),
    "truncate_time year": ({"truncate_time": {"to": "year"}}, pa.date32(), "date", [date(1969, 1, 1)]),
    "truncate_time zone": (
        {"truncate_time": {"to": "day", "zone": "Europe/Paris"}},
        US,
        "timestamp",
        [time("2026-11-23T23:00")],
    ),
    "truncate_time no midnight": (
        {"truncate_time": {"to": "day", "zone": "America/Sao_Paulo"}},
        *(US, "timestamp", [time("2018-11-04T03:00")]),
    ),
    "age": ({"age": {"unit": "years"}}, pa.int32(), "date", [0, 6, 425, 2025]),
    "age in days until": ({"age": {"unit": "days", "at": "f"}}, pa.int32(), "date", [0, 3_652_058]),
    "truncate_ip": ({"truncate_ip": {}}, TEXT, "string", ["203.0.113.0", "2001:db8:1::"]),
    "truncate_ip network": (
        {"truncate_ip": {"v4": 16, "as": "network"}},
        TEXT,
        "string",
        ["203.0.0.0/16", "2001:db8:1::/48"],
    ),
    "truncate_version": ({"truncate_version": {"parts": 2}}, TEXT, "string", ["10.0", "8", "10.10"]),
    "generalize": ({"generalize": {"hierarchy": "ages.csv", "level": 1}}, TEXT, "integer", ["30-39", "*"]),
    "map": ({"map": {"values": {"a": "x", "b": 1}, "otherwise": "rest"}}, TEXT, "string", ["x", "1", "rest"]),
    "top": ({"top": {"keep": 2, "other": "rest"}}, TEXT, "string", ["a", "b", "rest"]),
    "h3": ({"h3": {"resolution": 7}}, TEXT, "struct", [CELL]),
    "keep_host": ("keep_host", TEXT, "string", ["example.com", "192.0.2.1", "localhost", "2001:db8::1"]),
    "email_domain": ("email_domain", TEXT, "string", ["example.com"]),
    "redact": (
        {"redact": {"patterns": ["email", "phone", "ip", "imei", "card", "iban"]}},
        *(TEXT, "string", ["write to [email] or [phone]", "version 10.0.19045.3803", "order 353626070676776"]),
    ),
    "presence": ("presence", pa.bool_(), "list", [True]),
    "size": ("size", pa.int32(), "list", [0, 7]),
    "chain of top": ([{"truncate_version": 1}, {"top": {"keep": 2, "other": "rest"}}], TEXT, "string", ["8", "rest"]),
    "chain of clip": ([{"round": 10}, {"clip": {"max": 95}}], LONG, "integer", [90, 95]),
    "chain whose first step no longer shows": (
        ["email_domain", {"mask": {"keep_last": 4}}],
        TEXT,
        "string",
        ["****.com"],
    ),
}
WRONG: dict[str, Case] = {
    "pseudonymize identity": (
        {"pseudonymize": {"key": "device"}},
        TEXT,
        "string",
        ["b66bc706-ffff-7437-0340-032819502773"],
    ),
    "pseudonymize hex": ({"pseudonymize": {"key": "device"}}, TEXT, "string", ["0123456789abcdef0123456789abcdef"]),
    "pseudonymize upper case": ({"pseudonymize": {"key": "device"}}, TEXT, "string", [PSEUDONYM.upper()]),
    "pseudonymize padding": ({"pseudonymize": {"key": "device"}}, TEXT, "string", [PSEUDONYM + "======"]),
    "pseudonymize too short": ({"pseudonymize": {"key": "device"}}, TEXT, "string", [PSEUDONYM[:25]]),
    "pseudonymize two lengths": ({"pseudonymize": {"key": "device"}}, TEXT, "string", [PSEUDONYM, PSEUDONYM + "a"]),
    "pseudonymize empty": ({"pseudonymize": {"key": "device"}}, TEXT, "string", [""]),
    "tokenize identity": ({"tokenize": {"key": "device"}}, TEXT, "string", ["alice@example.com"]),
    "tokenize uuid": ({"tokenize": {"key": "device"}}, TEXT, "string", ["b66bc706-ffff-7437-0340-032819502773"]),
    "tokenize serial": ({"tokenize": {"key": "device"}}, TEXT, "string", ["01ed07873b3c20cd"]),
    "mask identity": ({"mask": {"keep_last": 4}}, TEXT, "string", ["+33612345678"]),
    "mask one more": ({"mask": {"keep_last": 4}}, TEXT, "string", ["****45678"]),
    "mask of equal length": ({"mask": {"keep_last": 4}}, TEXT, "string", ["********5678"]),
    "mask the other end": ({"mask": {"keep_first": 2}}, TEXT, "string", ["****78"]),
    "mask short value shown": ({"mask": {"keep_last": 4}}, TEXT, "string", ["123"]),
    "round identity": ({"round": {"to": 0.1}}, DOUBLE, "double", [48.8566]),
    "round unclean": ({"round": {"to": 0.1}}, DOUBLE, "double", [0.30000000000000004]),
    "round negative zero": ({"round": {"to": 0.1}}, DOUBLE, "double", [-0.0]),
    "round finer": ({"round": {"to": 1000}}, LONG, "integer", [1500]),
    "bin identity": ({"bin": {"width": 10}}, DOUBLE, "double", [87.0]),
    "bin middle for lower": ({"bin": {"width": 10}}, DOUBLE, "double", [85.0]),
    "bin without origin": ({"bin": {"width": 10, "origin": 5}}, DOUBLE, "double", [80.0]),
    "bin infinity": ({"bin": {"width": 10}}, DOUBLE, "double", [float("inf")]),
    "bin label closed": ({"bin": {"width": 10, "as": "label"}}, TEXT, "double", ["[80, 90]"]),
    "bin label width": ({"bin": {"width": 10, "as": "label"}}, TEXT, "double", ["[80, 85)"]),
    "bin lower for middle": ({"bin": {"width": 10, "as": "middle"}}, DOUBLE, "double", [80.0]),
    "bin edges open end": ({"bin": {"edges": [1, 4, 16]}}, LONG, "integer", [16]),
    "bin edges below": ({"bin": {"edges": [1, 4, 16]}}, LONG, "integer", [0]),
    "bin edges label": ({"bin": {"edges": [1, 4, 16], "as": "label"}}, TEXT, "integer", ["[1, 16)"]),
    "bin edges label open": ({"bin": {"edges": [1, 4, 16], "as": "label"}}, TEXT, "integer", [">= 17"]),
    "bin edges middle": ({"bin": {"edges": [1, 4, 16], "as": "middle"}}, DOUBLE, "integer", [4.0]),
    "clip above": ({"clip": {"min": 0, "max": 100}}, DOUBLE, "double", [100.5]),
    "clip below": ({"clip": {"min": 0, "max": 100}}, DOUBLE, "double", [-1.0]),
    "truncate_time identity": ({"truncate_time": {"to": "hour"}}, US, "timestamp", [time("2026-11-24T23:17:03")]),
    "truncate_time finer": ({"truncate_time": {"to": "day"}}, US, "timestamp", [time("2026-11-24T23:00")]),
    "truncate_time microsecond": ({"truncate_time": "hour"}, US, "timestamp", [time("2026-11-24T23:00:00.000001")]),
    "truncate_time sunday": ({"truncate_time": {"to": "week"}}, US, "timestamp", [time("2026-11-22T00:00")]),
    "truncate_time quarter": ({"truncate_time": {"to": "quarter"}}, pa.date32(), "date", [date(2026, 11, 1)]),
    "truncate_time not UTC": ({"truncate_time": {"to": "day"}}, US, "timestamp", [time("2026-11-23T23:00")]),
    "truncate_time zone": (
        {"truncate_time": {"to": "day", "zone": "Europe/Paris"}},
        US,
        "timestamp",
        [time("2026-11-24T00:00")],
    ),
    "age ahead": ({"age": {"unit": "years"}}, pa.int32(), "date", [-1]),
    "age in days": ({"age": {"unit": "years"}}, pa.int32(), "date", [2190]),
    "truncate_ip identity": ({"truncate_ip": {}}, TEXT, "string", ["203.0.113.77"]),
    "truncate_ip to /16 wanted": ({"truncate_ip": {"v4": 16}}, TEXT, "string", ["203.0.113.0"]),
    "truncate_ip to /64": ({"truncate_ip": {}}, TEXT, "string", ["2001:db8:1:2::"]),
    "truncate_ip mapped": ({"truncate_ip": {}}, TEXT, "string", ["::ffff:203.0.113.0"]),
    "truncate_ip long text": ({"truncate_ip": {}}, TEXT, "string", ["2001:0db8:0001::"]),
    "truncate_ip text": ({"truncate_ip": {}}, TEXT, "string", ["unknown"]),
    "truncate_ip prefix": ({"truncate_ip": {}}, TEXT, "string", ["203.0.113.0/24"]),
    "truncate_ip no prefix": ({"truncate_ip": {"as": "network"}}, TEXT, "string", ["203.0.113.0"]),
    "truncate_ip other prefix": ({"truncate_ip": {"as": "network"}}, TEXT, "string", ["203.0.113.0/25"]),
    "truncate_version identity": ({"truncate_version": {"parts": 2}}, TEXT, "string", ["10.0.19045.3803"]),
    "truncate_version one more": ({"truncate_version": {"parts": 2}}, TEXT, "string", ["10.0.1"]),
    "truncate_version rest": ({"truncate_version": {"parts": 2}}, TEXT, "string", ["10.0-beta"]),
    "truncate_version dot": ({"truncate_version": {"parts": 2}}, TEXT, "string", ["10."]),
    "generalize identity": ({"generalize": {"hierarchy": "ages.csv", "level": 1}}, TEXT, "integer", ["34"]),
    "generalize unseen": ({"generalize": {"hierarchy": "ages.csv", "level": 1}}, TEXT, "integer", ["99"]),
    "generalize finer": ({"generalize": {"hierarchy": "ages.csv", "level": 2}}, TEXT, "integer", ["30-39"]),
    "map identity": ({"map": {"values": {"a": "x"}, "otherwise": None}}, TEXT, "string", ["a"]),
    "map unseen": ({"map": {"values": {"a": "x"}}}, TEXT, "string", ["c"]),
    "top one more": ({"top": {"keep": 2, "other": "rest"}}, TEXT, "string", ["a", "b", "c", "rest"]),
    "grid identity": ({"grid": {"metres": 300}}, PLACE, "struct", [{"latitude": 48.8566, "longitude": 2.3522}]),
    "grid exchanged": ({"grid": {"metres": 300}}, PLACE, "struct", [{"latitude": 148.0, "longitude": 2.0}]),
    "h3 finer": ({"h3": {"resolution": 6}}, TEXT, "struct", [CELL]),
    "h3 upper case": ({"h3": {"resolution": 7}}, TEXT, "struct", [CELL.upper()]),
    "h3 no cell": ({"h3": {"resolution": 7}}, TEXT, "struct", [f"{int(CELL, 16) | 127 << 45:x}"]),
    "h3 edge": ({"h3": {"resolution": 7}}, TEXT, "struct", [h3.origin_to_directed_edges(CELL)[0]]),
    "h3 digits left": ({"h3": {"resolution": 7}}, TEXT, "struct", [CELL[:-1] + "0"]),
    "keep_host identity": ("keep_host", TEXT, "string", ["https://user:pw@example.com:8443/a?b"]),
    "keep_host port": ("keep_host", TEXT, "string", ["example.com:8443"]),
    "keep_host user": ("keep_host", TEXT, "string", ["user@example.com"]),
    "keep_host path": ("keep_host", TEXT, "string", ["example.com/secret"]),
    "email_domain identity": ("email_domain", TEXT, "string", ["alice@example.com"]),
    "email_domain case": ("email_domain", TEXT, "string", ["Example.com"]),
    "presence false": ("presence", pa.bool_(), "list", [False]),
    "size below zero": ("size", pa.int32(), "list", [-1]),
    "redact email": ({"redact": {"patterns": ["email"]}}, TEXT, "string", ["mail alice@example.com"]),
    "redact phone": ({"redact": {"patterns": ["phone"]}}, TEXT, "string", ["call +33612345678"]),
    "redact ip": ({"redact": {"patterns": ["ip"]}}, TEXT, "string", ["from 203.0.113.77"]),
    "redact mac": ({"redact": {"patterns": ["mac"]}}, TEXT, "string", ["at 02:00:5e:10:00:01"]),
    "redact imei": ({"redact": {"patterns": ["imei"]}}, TEXT, "string", ["imei 490154203237518"]),
    "redact uuid": ({"redact": {"patterns": ["uuid"]}}, TEXT, "string", ["id b66bc706-ffff-7437-0340-032819502773"]),
    "redact url": ({"redact": {"patterns": ["url"]}}, TEXT, "string", ["see https://example.com/x"]),
    "redact path": ({"redact": {"patterns": ["path"]}}, TEXT, "string", ["in /home/alice/notes.txt"]),
    "redact windows path": ({"redact": {"patterns": ["path"]}}, TEXT, "string", ["in C:\\Users\\alice\\x"]),
    "redact card": ({"redact": {"patterns": ["card"]}}, TEXT, "string", ["card 4111111111111111"]),
    "redact iban": ({"redact": {"patterns": ["iban"]}}, TEXT, "string", ["to DE89370400440532013000"]),
    "redact all where none are named": ("redact", TEXT, "string", ["mail alice@example.com"]),
    "chain of top": ([{"truncate_version": 1}, {"top": {"keep": 2}}], TEXT, "string", ["8.1", "other"]),
    "chain of clip": ([{"round": 10}, {"clip": {"max": 95}}], LONG, "integer", [93]),
    "chain without its last step": (["email_domain", {"mask": {"keep_last": 4}}], TEXT, "string", ["example.com"]),
    "chain without its first step": ([{"truncate_time": "day"}, "keep"], US, "timestamp", [time("2026-11-24T01:00")]),
}


def _codes(folder: Path, case: Case) -> list[str]:
    do, type_, declared, values = case
    steps = do if isinstance(do, list) else [do]
    words = ",".join(step if isinstance(step, str) else next(iter(step)) for step in steps)
    beside = {"ages.csv": HIERARCHY} if "generalize" in words else {}
    return single(folder, do, pa.array([*values, None], type_), declared, words, beside=beside)


@pytest.mark.parametrize("case", RIGHT.values(), ids=RIGHT.keys())
def test_correct_results_of_a_technique_are_accepted(tmp_path: Path, case: Case) -> None:
    assert _codes(tmp_path, case) == []


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_faulty_results_of_a_technique_are_found(tmp_path: Path, case: Case) -> None:
    assert _codes(tmp_path, case) == ["V030"]


def test_the_pentagons_of_h3_have_no_first_child(tmp_path: Path) -> None:
    do, words = {"h3": {"resolution": 3}}, "h3"
    assert single(_sub(tmp_path, "a"), do, pa.array([PENTAGON]), "struct", words) == []
    deleted = f"{int(PENTAGON, 16) | 1 << 42:x}"
    assert not h3.is_valid_cell(deleted)
    assert single(_sub(tmp_path, "b"), do, pa.array([deleted]), "struct", words) == ["V030"]


def test_a_missing_hierarchy_is_reported(tmp_path: Path) -> None:
    do = {"generalize": {"hierarchy": "ages.csv", "level": 1}}
    assert single(tmp_path, do, pa.array(["30-39"]), "integer", "generalize") == ["V034"]


def test_a_technique_without_a_rule_is_reported(tmp_path: Path) -> None:
    assert single(tmp_path, {"shuffle": {}}, pa.array(["a"]), "string", "shuffle") == ["V034"]


@pytest.mark.parametrize(("changed", "codes"), [(3, []), (2, ["V032"])])
def test_dates_that_were_not_shifted_are_found_by_their_count(tmp_path: Path, changed: int, codes: list[str]) -> None:
    do = {"shift_dates": {"key": "device", "per": "x", "max_days": 30}}
    values = pa.array([date(2026, 11, day) for day in (1, 2, 3)])
    fields = {"x": FieldReceipt("shift_dates", values=4, changed=changed, unparsable=1)}
    assert single(tmp_path, do, values, "date", "shift_dates", fields=fields) == codes


@pytest.mark.parametrize(
    ("do", "type_", "declared", "words"),
    [
        ("keep", pa.string(), "integer", "keep"),
        ("size", pa.int64(), "list", "size"),
        ({"bin": {"width": 10, "as": "label"}}, pa.float64(), "double", "bin"),
        ("keep", pa.decimal128(12, 2), "decimal(10,2)", "keep"),
        ("presence", pa.string(), "list", "presence"),
    ],
)
def test_a_column_of_another_type_is_found(
    tmp_path: Path, do: Any, type_: pa.DataType, declared: str, words: str
) -> None:
    assert single(tmp_path, do, pa.nulls(2, type_), declared, words) == ["V023"]


def test_a_decimal_may_be_narrower_than_declared(tmp_path: Path) -> None:
    assert single(tmp_path, "keep", pa.array([Decimal("1.5")], pa.decimal128(5, 1)), "decimal(10,2)", "keep") == []


def _sub(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name
