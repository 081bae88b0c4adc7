"""Encrypted columns, and what rotation, rewriting and shredding of their keys does."""

from __future__ import annotations

import minimize
from tests.golden.organization import PIPELINE, write_organization
from tests.golden.runner import KEYRING, Session

OUTPUT = "out/checkins"


def steps(session: Session) -> None:
    """Runs with keys per tenant, rotates, rewrites, and shreds the keys of one tenant and one key."""
    write_organization(session, access=False)
    records = {"must_be": "identified", "partition_by": ["tenant_id"], "encrypt": {"by_category": {"per": "tenant_id"}}}
    session.write("pipeline/pipeline.yaml", {**PIPELINE, "settings": "settings.csv", "records": records})
    session.write(
        "pipeline/settings.csv",
        "tenant_id,subject,setting,value,holder,valid_from,recorded_at\n"
        "north,,location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n",
    )
    session.run("lint pipeline --json")
    session.run("run pipeline --json")
    for name in ("encrypt.identified", "encrypt.pseudonymized"):
        session.run(f"keys add {KEYRING} {name} --json")
    session.run("run pipeline --json")
    session.look(OUTPUT)
    session.run("keys list --json")
    session.run(f"verify {OUTPUT} --json")
    public = session.run("keys public --json").get("public_key")
    session.write("public.pem", public)
    session.run(f"verify {OUTPUT} --public-key public.pem --json", MINIMIZE_KEYS="")
    read = "minimize.read(OUTPUT)"
    session.call(read, lambda: minimize.read(OUTPUT, keys=KEYRING).sort_by("user"))
    session.run(f"keys rotate --rewrite {OUTPUT} --json")
    session.run(f"keys rotate --rewrite {OUTPUT} --no-new --json")
    session.run("keys list --json")
    session.run(f"keys shred --tenant west --output {OUTPUT} --json")
    session.run(f"keys shred --tenant west --output {OUTPUT} --yes --json")
    session.call(read, lambda: minimize.read(OUTPUT, keys=KEYRING).sort_by("user"))
    session.run(f"verify {OUTPUT} --json")
    session.run(f"subject view d-1 --also {OUTPUT} --tenant west --pipeline pipeline --json")
    session.run(f"report {OUTPUT} --at 2026-11-25T12:00:00Z --json")
    session.run(f"runs --output {OUTPUT} --json")
