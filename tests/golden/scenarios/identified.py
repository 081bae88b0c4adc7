"""Identified columns encrypted by the default of the configuration, and what the commands do with such an output."""

from __future__ import annotations

import minimize
from tests.golden.organization import PIPELINE, write_organization
from tests.golden.runner import KEYRING, Session

OUTPUT = "out/checkins"


def steps(session: Session) -> None:
    """Plans, runs, verifies, reports, views and deletes a subject, expires, rotates, and turns the encryption off."""
    write_organization(session, access=False)
    session.write("pipeline/minimize.yaml", {"ledger": "../ledger.db", "access": "off", "encrypt": "identified"})
    session.write(
        "pipeline/settings.csv",
        "tenant_id,subject,setting,value,holder,valid_from,recorded_at\n"
        "north,,location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n",
    )
    session.write("pipeline/pipeline.yaml", {**PIPELINE, "settings": "settings.csv"})
    session.run("plan pipeline --json")
    session.run("run pipeline --json")
    session.look(OUTPUT)
    session.run("keys list --json")
    session.run(f"verify {OUTPUT} --json")
    public = session.run("keys public --json").get("public_key")
    session.write("public.pem", public)
    session.run(f"verify {OUTPUT} --public-key public.pem --json", MINIMIZE_KEYS="")
    session.call("minimize.read(OUTPUT)", lambda: minimize.read(OUTPUT, keys=KEYRING).sort_by("user"))
    session.run(f"report {OUTPUT} --at 2026-11-25T12:00:00Z")
    session.run(f"subject view d-1 --also {OUTPUT} --tenant west --pipeline pipeline --json")
    session.run(f"subject delete d-1 --also {OUTPUT} --tenant west --pipeline pipeline --yes --json")
    session.run(f"expire {OUTPUT} --yes --json")
    session.run(f"keys rotate --rewrite {OUTPUT} --json")
    session.run(f"verify {OUTPUT} --json")
    session.look(OUTPUT)
    records = {**PIPELINE["records"], "encrypt": "off"}
    session.write("pipeline/pipeline.yaml", {**PIPELINE, "settings": "settings.csv", "records": records})
    session.run("lint pipeline --json")
    session.run("run pipeline --json")
    session.run(f"report {OUTPUT} --at 2026-11-25T12:00:00Z")
