"""Commands around pipelines: first drafts, schemas, formats of others, keys, approval, the server's refusals."""

from __future__ import annotations

from tests.golden.runner import ROOT, Session
from tests.golden.samples import copy_samples, import_settings

PIPELINE = "pipelines/device_telemetry"
POLICY = f"{PIPELINE}/policy.yaml"
JSON_SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["tenant_id"],
    "properties": {
        "tenant_id": {"type": "string"},
        "event_time": {"type": "string", "format": "date-time"},
        "battery": {"type": "number", "maximum": 50},
        "email": {"type": "string", "format": "email"},
    },
}


def steps(session: Session) -> None:
    """Drafts, imports, exports, compares, approves, and handles keys."""
    copy_samples(session, "device_telemetry")
    session.write("schema.json", JSON_SCHEMA)
    session.write("allowed.yaml", {"devices": {"tenant_id": "keep", "device_id": "hash"}})
    session.write("data.ndjson", '{"tenant_id": "a", "battery": 70}\n{"battery": 3}\n{"tenant_id": "b"}\n')
    session.copy(ROOT / POLICY, "before.yaml")
    import_settings(session)

    for shell in ("bash", "zsh", "fish"):
        session.run(f"completion {shell}")
    session.run("help options")
    session.run("sample usage_events --rows 40 --date 2026-11-24 --output generated --format ndjson --json")
    session.run(
        "sample device_telemetry --rows 40 --seed 7 --date 2026-11-24 --output generated --format parquet --json"
    )
    for kind in ("policy", "pipeline", "backfill", "recipient", "subprocessors", "access", "contacts", "configuration"):
        session.run(f"schema {kind} --json")
    session.run("init sample_data/device_telemetry/2026-11-24 mine --json")
    session.run("policy accept mine os_version battery_pct tenant --json")
    session.run("policy accept mine no_such_field --json")
    session.run("lint mine --json")
    session.run("check data.ndjson --schema schema.json --json")
    session.run("import jsonschema schema.json imported --json")
    session.run("import allowlist allowed.yaml --json")
    session.run(f"export odcs {PIPELINE} --json")
    session.run(f"export odcs {PIPELINE} --of source --to contract.yaml")
    session.run("import odcs contract.yaml contracted --json")
    session.run(f"export jsonschema {POLICY} --of source --json")
    session.run(f"export fideslang {PIPELINE} --json")
    session.run("docs pipelines --to docs --json")
    session.run("leaflet pipelines/device_support --json")
    session.run("access new out/mine.yaml --tenant contoso --json")
    session.run("access new out/mine.yaml --json")
    session.run("lint --codes --json")

    session.run(f"policy approve {POLICY} --json")
    session.run(f"lint {PIPELINE} --json")
    session.replace(POLICY, "do: {grid: {metres: 300}}", "do: {grid: {metres: 100}}")
    session.replace(
        POLICY,
        "carrier:          {type: string, role: quasi, do: {top: {keep: 20, other: other}}, label: Mobile network}",
        "carrier: {type: string, do: drop, label: Mobile network}",
    )
    session.run(f"lint {PIPELINE} --json")
    session.run(f"diff before.yaml {POLICY} --json")
    session.run(f"diff before.yaml {POLICY} --allow all --json")
    session.run(f"diff before.yaml {POLICY} --markdown")

    session.run("keys new mine.keys --name device --name user --json")
    session.run("keys new mine.keys --name device --json")
    session.run("keys add mine.keys device --json")  # the ledger in effect is that of another keyring
    session.run("keys add mine.keys device --json", MINIMIZE_LEDGER="mine.db")
    session.run("keys list mine.keys --json")
    session.run("keys public mine.keys --json")
    session.run("keys rotate mine.keys --json", MINIMIZE_LEDGER="mine.db")
    session.run("keys shred mine.keys device/1 --json", MINIMIZE_LEDGER="mine.db")

    session.replace("pipelines/minimize.yaml", "access: ../out/demo-access.yaml", "access: off")
    session.run(f"serve {PIPELINE} --insecure-loopback --json")
    session.run(f"serve {PIPELINE} --host 0.0.0.0 --insecure-loopback --access pipelines/access.yaml")
    session.run(f"serve {PIPELINE} --access pipelines/access.yaml --cert none.pem --key none.pem")
    session.run("access lint pipelines/access.yaml --json")
    session.run("recipient lint pipelines/recipients --json")
    session.run("recipient list --recipients pipelines/recipients --json")
    session.run("recipient show threat_defense --recipients pipelines/recipients --json")
    session.run("recipient show threat_defense --recipients pipelines/recipients --html recipient.html")
    session.run(
        f"share explain apple push --tenant contoso --recipients pipelines/recipients --pipeline {PIPELINE} --json"
    )
    send = f"share send threat_defense app_sync --recipients pipelines/recipients --pipeline {PIPELINE}"
    session.run(f"{send} --dry-run --json")
    session.run(f"{send} --to payload.parquet --json")
