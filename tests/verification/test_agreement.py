"""What the techniques really give is accepted by the rules, which were written without them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.keys import new_keyring
from minimize.techniques import TECHNIQUES, Context, Technique
from minimize.verification.rules import RULES, ColumnContext, StepView, chain_rule, output_family, type_family
from minimize.verification.values import distinct_rows
from tests.hypothesis_profiles import examples

AT = datetime(2026, 11, 25, tzinfo=UTC)
RANDOM = np.random.default_rng(7)
TEXTS = pa.array(
    [
        *(
            "+33612345678",
            "203.0.113.77",
            "[2001:db8:1:2::3]:443",
            "::ffff:203.0.113.77",
            "10.0.19045.3803",
            "8",
            "12a",
            "",
        ),
        *(
            "https://user:pw@www.Example.com:8443/a/b?c#d",
            "Alice.B@Mail.Example.COM",
            "ab",
            "a",
            " spaced out ",
            "é́",
            None,
        ),
        *(
            "call +33 6 12 34 56 78 or alice@example.com",
            "imei 490154203237518",
            "card 4111 1111 1111 1111",
            "v 1.2.3.4",
        ),
        *("b66bc706-ffff-7437-0340-032819502773", "DE89370400440532013000", "C:\\Users\\alice\\x.txt", "/home/alice/x"),
        *(
            "http://[2001:db8::1]:80/x",
            "ftp://example.org",
            "02:00:5e:10:00:01",
            "münchen.example",
            "x@münchen.example",
        ),
    ]
)
NUMBERS = pa.array(
    [*(RANDOM.normal(size=200) * 10.0 ** RANDOM.integers(-6, 12, 200)), 0.0, -0.0, 0.30000000000000004, None]
)
WHOLE = pa.array([*RANDOM.integers(-(10**6), 10**6, 200).tolist(), 0, None])
MOMENTS = pa.array([*RANDOM.integers(-(10**15), 2 * 10**15, 200).tolist(), 0, -1, None]).cast(pa.timestamp("us", "UTC"))
DAYS = pa.array([*RANDOM.integers(-30000, 30000, 200).tolist(), None], pa.int32()).cast(pa.date32())
POSITIONS = pa.StructArray.from_arrays(
    [pa.array([*RANDOM.uniform(-90, 90, 300), 90, -90, 0]), pa.array([*RANDOM.uniform(-180, 180, 300), 180, -180, 0])],
    names=["latitude", "longitude"],
)
CASES: list[tuple[str, dict[str, Any], pa.Array]] = [
    ("keep", {}, TEXTS),
    ("pseudonymize", {"key": "device"}, TEXTS),
    ("pseudonymize", {"key": "device"}, WHOLE),
    ("tokenize", {"key": "device"}, TEXTS),
    ("mask", {"keep_last": 4}, TEXTS),
    ("mask", {"keep_first": 1}, TEXTS),
    ("round", {"to": 0.1}, NUMBERS),
    ("round", {"to": 0.25}, NUMBERS.cast(pa.float32())),
    ("round", {"to": 1000}, WHOLE),
    ("bin", {"width": 10}, NUMBERS),
    ("bin", {"width": 0.1}, NUMBERS.filter(pa.compute.less(pa.compute.abs(NUMBERS), 1e6))),
    ("bin", {"width": 10, "origin": 3, "as": "label"}, NUMBERS),
    ("bin", {"width": 10, "as": "middle"}, NUMBERS),
    ("bin", {"edges": [0.1, 10, 1000.5], "as": "label"}, NUMBERS),
    ("bin", {"edges": [0.1, 10, 1000.5], "as": "middle"}, NUMBERS),
    ("bin", {"edges": [1e3, 5e4, 2e5]}, WHOLE),
    ("clip", {"min": -5, "max": 0.5}, NUMBERS),
    *[("truncate_time", {"to": to}, MOMENTS) for to in ("minute", "hour", "day", "week", "month", "quarter", "year")],
    *[("truncate_time", {"to": to, "zone": "Europe/Paris"}, MOMENTS) for to in ("hour", "day", "week", "month")],
    *[("truncate_time", {"to": to, "zone": "America/Sao_Paulo"}, MOMENTS) for to in ("hour", "day")],
    ("truncate_time", {"to": "week"}, DAYS),
    ("age", {"unit": "days"}, DAYS),
    ("age", {"unit": "months"}, MOMENTS),
    ("truncate_ip", {}, TEXTS),
    ("truncate_ip", {"v4": 12, "v6": 20, "as": "network"}, TEXTS),
    ("truncate_version", {"parts": 2}, TEXTS),
    ("map", {"values": {"8": "old", "ab": "x"}, "otherwise": "rest"}, TEXTS),
    *[("grid", {"metres": metres}, POSITIONS) for metres in (300, 5_000, 777_000)],
    *[("h3", {"resolution": resolution}, POSITIONS) for resolution in (0, 5, 15)],
    ("keep_host", {}, TEXTS),
    ("email_domain", {}, TEXTS),
    ("redact", {}, TEXTS),
    ("presence", {}, TEXTS),
    ("size", {}, pa.array([[1, 2], [], None])),
]


@pytest.mark.parametrize(
    ("word", "parameters", "values"), CASES, ids=lambda part: part if isinstance(part, str) else None
)
def test_the_rule_accepts_what_the_technique_gives(
    tmp_path: Path, word: str, parameters: dict[str, Any], values: pa.Array
) -> None:
    keys = new_keyring(tmp_path / "k.keys", ["device"], now=AT)
    kind = TECHNIQUES[word]
    assert issubclass(kind, Technique)
    treated = kind(**parameters).apply(values, Context("x", AT, keys)).values
    obeys = chain_rule([StepView(word, parameters)], ColumnContext(treated.type, tmp_path))
    told = [value for (value,) in distinct_rows([treated])]
    assert told
    assert [value for value in told if not obeys(value)] == []
    assert type_family(treated.type) == output_family([StepView(word, parameters)], type_family(values.type))


FRAGMENTS = [
    *(
        "alice@example.com",
        "a.b+c@mail.example.co.uk",
        "+33612345678",
        "+1 (555) 010-9999",
        "203.0.113.77",
        "2001:db8::1",
    ),
    *("02:00:5e:10:00:01", "490154203237518", "b66bc706-ffff-7437-0340-032819502773", "https://example.com/a?b=c"),
    *(
        "/home/alice/x.txt",
        "C:\\Users\\alice\\x",
        "4111111111111111",
        "DE89370400440532013000",
        "10.0.19045",
        "word",
        "7",
    ),
]
JOINTS = st.sampled_from([" ", ", ", ": ", "; ", "(", ") ", "\n", "<", ">", "=", '"', "'", "/", "|"])


@settings(max_examples=examples(300))
@given(parts=st.lists(st.tuples(JOINTS, st.sampled_from(FRAGMENTS)), min_size=1, max_size=4))
def test_redacted_text_is_accepted_in_any_combination(parts: list[tuple[str, str]]) -> None:
    text = "".join(joint + fragment for joint, fragment in parts)
    kind = TECHNIQUES["redact"]
    assert issubclass(kind, Technique)
    treated = kind().apply(pa.array([text]), Context("x", AT)).values
    obeys = chain_rule([StepView("redact")], ColumnContext(pa.string(), Path()))
    assert obeys(treated[0].as_py())


def test_every_technique_has_a_rule() -> None:
    assert set(TECHNIQUES) == set(RULES)
