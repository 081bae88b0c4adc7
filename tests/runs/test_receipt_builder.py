"""The account of a run: the receipt's JSON has its names, its digests, and a signature that anybody can check."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from typing import Any

import pytest
from blake3 import blake3

from minimize.keys import Keyring
from minimize.receipts import Receipt
from tests.project import AT, DAY, NOISY_AGGREGATES, Project, event, events, sha256

ROWS = {"read", "written", "gated", "quarantined", "suppressed", "deduplicated"}
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
NAMES = {
    *("receipt", "kind", "run_id", "sequence", "previous", "pipeline", "purpose", "engine", "at", "at_given"),
    *("started", "finished", "dates", "policy", "plan", "settings", "keys", "versions", "inputs", "rows"),
    *(
        "gated_by",
        "key_checks",
        "fields",
        "undeclared",
        "outputs",
        "replaces",
        "removes",
        "quarantine",
        "files",
        "audit",
        "signature",
    ),
}
VERIFIER = """
import base64, json, pathlib, sys
import rfc8785
from cryptography.hazmat.primitives.serialization import load_pem_public_key

receipt = json.loads(pathlib.Path(sys.argv[1]).read_text())
signature = receipt.pop("signature")
key = load_pem_public_key(pathlib.Path(sys.argv[2]).read_bytes())
key.verify(base64.b64decode(signature["value"], validate=True), rfc8785.dumps(receipt))
print(signature["algorithm"], signature["key"])
"""


def told(project: Project, receipt: Receipt) -> dict[str, Any]:
    """The receipt as it stands in its file."""
    found: dict[str, Any] = json.loads((project.out / "runs" / receipt.run_id / "receipt.json").read_text())
    return found


def test_the_receipt_has_all_its_names_and_no_others(project: Project) -> None:
    project.pipeline(aggregates=NOISY_AGGREGATES)
    project.records([*events(40), "no json", event(41, new_thing=1)])
    shown = told(project, project.run())
    assert set(shown) == NAMES
    assert (shown["receipt"], shown["kind"], shown["sequence"], shown["previous"]) == (1, "run", 1, None)
    assert set(shown["policy"]) == {"name", "version", "digest"}
    assert set(shown["plan"]) == set(shown["settings"]) == {"digest"}
    assert {frozenset(each) for each in shown["inputs"]} == {frozenset({"path", "digest", "rows"})}
    assert set(shown["rows"]) == ROWS
    assert set(shown["gated_by"]) == {"setting", "condition", "retention", "erased"}
    counts = {"did", "values", "changed", "gated", "unparsable", "dropped", "outputs"}
    assert {frozenset(each) for each in shown["fields"].values()} == {frozenset(counts)}
    assert set(shown["outputs"]["records"]) == {"category", "rows", "files", "index"}
    assert {frozenset(each) for each in shown["outputs"]["records"]["index"]} == {frozenset({"path", "digest", "of"})}
    assert set(shown["outputs"]["per_model"]) == {"category", "rows", "files", "too_late", "noise", "releases"}
    files = [file for output in shown["outputs"].values() for file in output["files"]] + shown["quarantine"]["files"]
    assert {frozenset(each) for each in files} == {frozenset({"path", "rows", "digest"})}
    assert set(shown["quarantine"]) == {"rows", "by_code", "files"}
    assert set(shown["signature"]) == {"algorithm", "key", "value"}


def test_exact_figures_have_neither_noise_nor_releases(project: Project) -> None:
    project.records(events(40))
    assert set(told(project, project.run())["outputs"]["per_model"]) == {
        "category",
        "rows",
        "files",
        "too_late",
        "exact_of",
    }


def test_every_digest_is_that_of_the_bytes_it_names(project: Project) -> None:
    project.records([*events(40), "no json"])
    shown = told(project, project.run())
    outputs = [file for output in shown["outputs"].values() for file in output["files"]]
    for file in [*outputs, *shown["quarantine"]["files"]]:
        assert file["digest"] == f"blake3:{blake3((project.out / file['path']).read_bytes()).hexdigest()}"
    for each in shown["inputs"]:
        content = (project.folder / "data" / each["path"]).read_bytes()
        assert each["digest"] == f"blake3:{blake3(content).hexdigest()}"
    assert shown["policy"]["digest"] == sha256(project.folder / "policy.yaml")
    assert all(DIGEST.fullmatch(shown[name]["digest"]) for name in ("plan", "settings"))


def test_the_chain_is_the_digest_of_the_canonical_receipt(project: Project) -> None:
    import rfc8785

    project.pipeline(aggregates=NOISY_AGGREGATES)
    project.records(events(40))
    first, second = told(project, project.run()), told(project, project.run())
    assert second["previous"] == "sha256:" + hashlib.sha256(rfc8785.dumps(first)).hexdigest()
    assert {file["path"]: file["digest"] for file in second["replaces"]} == {
        file["path"]: file["digest"] for output in first["outputs"].values() for file in output["files"]
    }


def test_a_script_without_minimize_can_check_the_signature(project: Project) -> None:
    project.records([*events(40), event(41, größe="ü")])
    receipt = project.run()
    key = project.folder / "public.pem"
    key.write_bytes(Keyring.load(project.keys).public_key_pem())
    path = project.out / "runs" / receipt.run_id / "receipt.json"
    words = [sys.executable, "-I", "-c", VERIFIER, str(path), str(key)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "ed25519 signing/1\n"
    path.write_text(path.read_text().replace('"written": 41', '"written": 40'))
    assert subprocess.run(words, capture_output=True, check=False).returncode == 1


def test_a_field_states_its_treatment(project: Project) -> None:
    chain = [{"clip": {"min": 0, "max": 50}}, {"round": {"to": 5}}]
    cases = [{"if": {"tenant_id": "north"}, "do": "keep"}]
    project.policy(
        {
            "storage": {"type": "integer", "do": chain},
            "note": {"type": "string", "cases": cases, "otherwise": "drop"},
            "agent": {"type": "string", "purposes": ["customer_support"], "do": "keep"},
        }
    )
    project.records([event(n, note="n", agent="a", storage=n) for n in range(60)])
    fields = told(project, project.run())["fields"]
    assert fields["event_id"]["did"] == fields["agent"]["did"] == "drop"
    assert fields["tenant_id"]["did"] == "keep"
    assert fields["storage"]["did"] == ["clip", "round"]
    assert fields["note"] == {
        "did": ["keep", "drop"],
        "values": 60,
        "changed": 0,
        "gated": 0,
        "unparsable": 0,
        "dropped": 30,
        "outputs": ["records"],
    }


def test_a_field_that_is_dropped_unseen_claims_no_count(project: Project) -> None:
    hidden = {"type": "double", "do": "drop", "in_aggregates": {"clip": {"min": 0, "max": 100}}}
    project.policy({"battery": hidden})
    project.records(events(60))
    fields = project.run().fields
    assert fields["event_id"].values is None
    assert fields["battery"].values == 60
    assert fields["tenant_id"].values == 60


def test_values_are_counted_as_they_came_in(project: Project) -> None:
    project.policy({"address": {"type": "string", "role": "quasi", "do": {"truncate_ip": {}}}})
    old = event(1000, event_time="2026-10-01T00:00:00Z", address="10.0.0.1")
    given = [event(n, address="10.0.0.1" if n % 2 else None) for n in range(40)]
    project.records([*given, event(40, address="nowhere"), event(41, address="10.0.0.0"), old])
    address = project.run().fields["address"]
    assert (address.values, address.changed, address.unparsable) == (22, 20, 1)


def test_undeclared_paths_are_counted_by_pointer(project: Project) -> None:
    project.records([event(n, new_thing={"a": 1}, **{f"key{n}": 1}) for n in range(12)])
    assert project.run().undeclared == {"/*": 12, "/new_thing": 12}


def test_the_times_of_a_receipt_are_utc(project: Project) -> None:
    project.records(events(4))
    shown = told(project, project.run(at="2026-11-25T02:00:00+02:00"))
    assert shown["at"] == "2026-11-25T00:00:00Z"
    assert all(shown[name].endswith("Z") for name in ("started", "finished"))
    assert shown["dates"] == [DAY]


def test_run_ids_sort_by_time_and_name_the_files(project: Project) -> None:
    project.records(events(40))
    receipts = [project.run(at=AT) for _ in range(3)]
    seconds = [receipt.run_id[:16] for receipt in receipts]
    assert seconds == sorted(seconds)
    assert len({receipt.run_id for receipt in receipts}) == 3
    written = [file.path for receipt in receipts for output in receipt.outputs.values() for file in output.files]
    assert len(set(written)) == len(written)
    for receipt in receipts:
        assert all(receipt.run_id in file.path for output in receipt.outputs.values() for file in output.files)


def test_the_signature_is_base64_of_an_ed25519_signature(project: Project) -> None:
    project.records(events(4))
    signature = told(project, project.run())["signature"]
    assert (signature["algorithm"], signature["key"]) == ("ed25519", "signing/1")
    assert len(base64.b64decode(signature["value"], validate=True)) == 64


@pytest.mark.parametrize("source", ["data/{date}/*.ndjson.gz", "data/**/*.ndjson.gz"])
def test_paths_are_relative_to_the_output_and_to_the_sources_root(project: Project, source: str) -> None:
    project.pipeline(source={"path": source, "format": "ndjson"}, aggregates=NOISY_AGGREGATES)
    project.records([*events(40), "no json"])
    shown = told(project, project.run())
    assert [each["path"] for each in shown["inputs"]] == [f"{DAY}/a.ndjson.gz"]
    assert {row["source"] for row in project.rows("quarantine")} == {f"{DAY}/a.ndjson.gz"}
    assert all((project.out / file["path"]).is_file() for file in shown["outputs"]["records"]["files"])
