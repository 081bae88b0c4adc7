"""Nights in a row: late rows, pending dates, faulty inputs, changed policies, and a backfill."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tests.golden.organization import DAYS, PIPELINE, POLICY, checkin, write_organization
from tests.golden.runner import Session

OUTPUT = "out/checkins"
LATE = {**PIPELINE["aggregates"]["per_day"], "late": "1d"}
SETTINGS = """\
tenant_id,subject,setting,value,holder,valid_from,recorded_at
north,,location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z
south,,location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z
south,d-4,location,off,user,2026-11-24T00:00:00Z,2026-11-24T00:00:00Z
"""


def steps(session: Session) -> None:
    """Each night runs what is pending as of its own time."""
    write_organization(session, access=False)
    pipeline = {**PIPELINE, "settings": "settings.csv", "quarantine": {"warn_above": 0.2, "abort_above": 0.5}}
    session.write("pipeline/pipeline.yaml", {**pipeline, "aggregates": {**PIPELINE["aggregates"], "per_day": LATE}})
    session.write("pipeline/settings.csv", SETTINGS)
    required = {**POLICY["fields"]["serial"], "required": True}
    session.write("pipeline/policy.yaml", _with_fields(serial=required))

    run = f"run pipeline --output {OUTPUT} --json"
    session.run(f"{run} --date {DAYS[0]} --at 2026-11-24T02:00:00Z")
    late = [{**checkin(number, DAYS[0]), "event_id": f"late-{number}"} for number in range(50, 60)]
    session.write(f"data/{DAYS[1]}/late.ndjson.gz", late)
    session.run(f"{run} --pending --at 2026-11-25T02:00:00Z")
    session.look(OUTPUT)
    session.run(f"{run} --date {DAYS[1]} --at 2026-11-24T20:00:00Z")
    session.write("data/2026-11-25/a.ndjson.gz", [*late[:3], *(checkin(number, "2026-11-25") for number in range(7))])
    session.run(f"{run} --pending --at 2026-11-25T08:00:00Z")
    session.run(f"verify {OUTPUT} --json")
    broken = [{**checkin(number, DAYS[1]), "serial": None} for number in range(20)]
    session.write(f"data/{DAYS[1]}/broken.ndjson.gz", broken)
    session.run(f"{run} --pending --skip-exit-code")
    session.run(f"drift pipeline --date {DAYS[1]} --output {OUTPUT} --json")
    session.run(f"quarantine {OUTPUT} --json")

    session.write("pipeline/policy.yaml", POLICY)
    session.run("lint pipeline --json")
    session.run(f"quarantine {OUTPUT} --check --json")
    session.run(f"replay {OUTPUT} --json")
    session.write("pipeline/policy.yaml", _with_fields(owner={"type": "string", "do": "drop"}))
    session.run(f"retract {OUTPUT} --json")
    session.run(f"retract {OUTPUT} --yes --json")
    session.run(f"verify {OUTPUT} --json")
    fill = {
        "backfill": "coarser",
        "pipeline": "../pipeline",
        "reason": "coarser",
        "dates": {"from": DAYS[0], "to": DAYS[1]},
    }
    session.write("backfills/coarser.yaml", fill)
    session.write("backfills/then.yaml", {**fill, "backfill": "then", "policy": "then"})
    session.write("backfills/faulty.yaml", "backfill: b\ndates: soon\n")
    session.run("backfill backfills/faulty.yaml --json")
    session.run("backfill backfills/coarser.yaml --dry-run --json")
    session.run("backfill backfills/coarser.yaml --json")
    session.run("backfill backfills/coarser.yaml --json")
    session.run("backfill backfills/then.yaml --dry-run --json")
    session.run(f"runs --rebuild --output {OUTPUT} --json")
    first = session.run(f"runs --output {OUTPUT} --json").get("runs", 0, "run_id")
    session.run(f"runs show --output {OUTPUT} --json", first)
    session.run(f"verify {OUTPUT} --json")
    session.run(f"verify {OUTPUT} --from-receipt 4 --json")
    session.run(f"verify {OUTPUT} --quiet")
    session.run(f"expire {OUTPUT} --quiet")
    session.run(f"verify {OUTPUT} --from-receipt 400 --quiet --json")
    _broken_nights(session, run)


def _broken_nights(session: Session, run: str) -> None:
    """Dates without files, with a truncated file, and whose files are gone."""
    for day in ("2026-11-21", "2026-11-22"):
        session.write(f"data/{day}/a.ndjson.gz", [checkin(number, day) for number in range(20)])
    whole = (session.folder / "data/2026-11-22/a.ndjson.gz").read_bytes()
    session.write("data/2026-11-22/a.ndjson.gz", whole[:-60])
    session.run(f"{run} --date 2026-11-22")
    session.run(f"{run} --pending")
    session.run(f"{run} --since 2026-11-21 --until 2026-11-22")
    session.run(f"{run} --date 2026-11-28")
    session.write("data/2026-11-22/a.ndjson.gz", whole)
    (session.folder / "data/2026-11-21/a.ndjson.gz").unlink()
    session.run(f"{run} --pending")
    session.run(f"{run} --pending --input gone/{{date}}")
    session.run(f"verify {OUTPUT} --json")
    _shrunk_nights(session, run)


def _shrunk_nights(session: Session, run: str) -> None:
    """A date with far fewer rows than before, a clock that is ahead, and a run that is declared void."""
    session.write("data/2026-11-21/a.ndjson.gz", [checkin(number, "2026-11-21") for number in range(5)])
    session.run(f"{run} --pending")
    session.run(f"{run} --date 2026-11-21")
    session.run(f"{run} --date 2026-11-22 --at 2027-01-24T02:00:00Z")
    shrunk = session.run(f"{run} --pending --allow-shrink").get("run_id")
    session.run(f"runs void --output {OUTPUT} --reason 'the source was not complete' --json", shrunk)
    session.run(f"runs void --output {OUTPUT} --reason 'the source was not complete' --json", shrunk)
    session.run(f"runs void --output {OUTPUT} --reason 'ann@example.com said so' --json", shrunk)
    session.run(f"verify {OUTPUT} --json")
    session.write("data/2026-11-21/a.ndjson.gz", [checkin(number, "2026-11-21") for number in range(20)])
    session.run(f"{run} --pending")
    session.run(f"runs --output {OUTPUT} --json")
    session.run(f"verify {OUTPUT} --json")


def _with_fields(**changes: Any) -> dict[str, Any]:
    policy = deepcopy(POLICY)
    policy["fields"] |= changes
    return policy
