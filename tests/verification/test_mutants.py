"""Real runs in which one technique is broken: the run itself does not notice, verification does."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from minimize.keys import Keyring, new_keyring
from minimize.runs import run
from minimize.techniques import TECHNIQUES, Context, Technique, TechniqueResult
from minimize.verification import check

AT = datetime(2026, 11, 25, tzinfo=UTC)
Mutant = Callable[[Technique, pa.Array, Context], TechniqueResult]
FIELDS: dict[str, Any] = {
    "tenant": {"type": "string", "do": "keep"},
    "device": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "device", "per": "tenant"}}},
    "time": {"type": "timestamp", "do": {"truncate_time": {"to": "hour"}}},
    "mail": {"type": "string", "do": {"tokenize": {"key": "device"}}},
    "phone": {"type": "string", "do": {"mask": {"keep_last": 4}}},
    "latitude": {"type": "double", "do": {"round": {"to": 0.1}}},
    "longitude": {"type": "double", "do": "drop"},
    "battery": {"type": "double", "do": {"bin": {"width": 10}}},
    "opens": {"type": "integer", "do": {"clip": {"max": 20}}},
    "born": {"type": "date", "do": {"age": {"unit": "years"}}},
    "enrolled": {"type": "date", "do": {"shift_dates": {"key": "device", "per": "device", "max_days": 30}}},
    "ip": {"type": "string", "do": {"truncate_ip": {}}},
    "os": {"type": "string", "do": {"truncate_version": {"parts": 2}}},
    "years": {"type": "string", "do": {"generalize": {"hierarchy": "years.csv", "level": 1}}},
    "state": {"type": "string", "do": {"map": {"values": {"ok": "good"}, "otherwise": "bad"}}},
    "place": {"from": ["latitude", "longitude"], "do": {"grid": {"metres": 300}}},
    "cell": {"from": ["latitude", "longitude"], "do": {"h3": {"resolution": 7}}},
    "site": {"type": "string", "do": "keep_host"},
    "sender": {"type": "string", "do": "email_domain"},
    "note": {"type": "string", "role": "free_text", "do": {"redact": {"patterns": ["email", "ip"]}}},
    "os_language": {"type": "string", "do": "presence"},
    "tags": {"type": "list", "do": "size"},
}
RECORD: dict[str, Any] = {
    "tenant": "t",
    "time": "2026-11-24T13:17:03Z",
    "mail": "alice@example.com",
    "phone": "+33612345678",
    "latitude": 48.8566,
    "longitude": 2.3522,
    "battery": 87.0,
    "opens": 31,
    "born": "1990-02-03",
    "enrolled": "2020-02-03",
    "ip": "203.0.113.77",
    "os": "10.0.19045.3803",
    "years": "34",
    "state": "ok",
    "site": "https://example.com/x",
    "sender": "alice@example.com",
    "note": "mail alice@example.com from 203.0.113.77",
    "os_language": "fr",
    "tags": [1, 2],
}


def identity(technique: Technique, values: pa.Array, context: Context) -> TechniqueResult:
    return TechniqueResult(values)


def always(value: Any) -> Mutant:
    def mutant(technique: Technique, values: pa.Array, context: Context) -> TechniqueResult:
        type_ = technique.output_type(values.type)
        return TechniqueResult(pc.if_else(values.is_valid(), pa.scalar(value, type_), pa.scalar(None, type_)))

    return mutant


def raw_position(technique: Technique, values: pa.Array, context: Context) -> TechniqueResult:
    return TechniqueResult(values.cast(technique.output_type(values.type)))


MUTANTS: dict[str, tuple[str, Mutant]] = {
    **{
        word: (word, identity)
        for word in (
            *("pseudonymize", "tokenize", "mask", "round", "bin", "clip", "truncate_time", "truncate_ip"),
            *("truncate_version", "generalize", "map", "keep_host", "email_domain", "redact", "shift_dates"),
        )
    },
    "grid": ("grid", raw_position),
    "h3 too fine": ("h3", always("881fb46625fffff")),
    "age from the future": ("age", always(-1)),
    "presence of nothing": ("presence", always(False)),
    "size below zero": ("size", always(-1)),
    "pseudonym of two lengths": ("pseudonymize", always("a" * 25)),
    "bin of another width": ("bin", always(85.0)),
    "time of the next minute": ("truncate_time", always(datetime(2026, 11, 24, 13, 1, tzinfo=UTC))),
    "longer prefix": ("truncate_ip", always("203.0.113.64")),
    "three parts": ("truncate_version", always("10.0.1")),
    "five digits": ("mask", always("****45678")),
}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    policy = {
        "policy": "p",
        "version": 1,
        "owner": "o@example.com",
        "purposes": ["operations"],
        "retention": "30d",
        "tenant": "tenant",
        "subject": "device",
        "time": "time",
        "fields": FIELDS,
    }
    made = {
        "pipeline": "p",
        "policy": "policy.yaml",
        "purpose": "operations",
        "output": "out",
        "source": {"path": "in/*.ndjson", "format": "ndjson"},
        "records": {"must_be": "identified", "encrypt": "off"},
    }
    (folder / "policy.yaml").write_text(json.dumps(policy))
    (folder / "pipeline.yaml").write_text(json.dumps(made))
    (folder / "years.csv").write_text("34;30-39;*\n41;40-49;*\n")
    (folder / "in").mkdir()
    lines = [json.dumps({**RECORD, "device": f"device-{index}"}) for index in range(3)]
    (folder / "in" / "a.ndjson").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return new_keyring(tmp_path_factory.mktemp("keys") / "k.keys", ["device"], now=AT)


def _codes(pipeline: Path, keyring: Keyring, output: Path) -> list[tuple[str, str | None]]:
    run(pipeline, at=AT, output=output, keys=keyring)
    found = check(output, keys=keyring)
    return [(finding.code, finding.field) for finding in found if finding.severity == "error"]


def test_an_honest_run_is_verified(pipeline: Path, keyring: Keyring, tmp_path: Path) -> None:
    assert _codes(pipeline, keyring, tmp_path / "out") == []


@pytest.mark.parametrize(("word", "mutant"), MUTANTS.values(), ids=MUTANTS.keys())
def test_a_broken_technique_is_found_out(
    pipeline: Path, keyring: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, mutant: Mutant
) -> None:
    kind = TECHNIQUES[word]
    monkeypatch.setattr(kind, "apply", mutant)
    monkeypatch.setattr(kind, "apply_column", mutant)
    monkeypatch.setattr(
        kind, "apply_encoded", lambda self, values, context: mutant(self, values.dictionary_decode(), context)
    )
    key = next(key for key, field in FIELDS.items() if field["do"] == word or word in field["do"])
    assert _codes(pipeline, keyring, tmp_path / "out") == [("V032" if word == "shift_dates" else "V030", key)]
