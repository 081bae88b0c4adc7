"""The control of the leak sweep: a policy that keeps what is planted, and the sweep finds it."""

from __future__ import annotations

from typing import Any

from tests.golden.runner import Session
from tests.leak import planted

KEPT = ("note", "user_name", "department", "comment", "ip", "support_id", "model")


def steps(session: Session) -> None:
    """Keeps some fields as they are, in identified records."""
    session.canaries += planted.CANARIES
    planted.build(session.folder)
    policy: dict[str, Any] = {**planted.POLICY, "fields": dict(planted.POLICY["fields"])}
    del policy["never"]
    for name in KEPT:
        policy["fields"][name] = {"type": "string", "role": "quasi", "do": "keep"}
    session.write("policy.yaml", policy)
    pipeline = {key: value for key, value in planted.PIPELINE.items() if key != "aggregates"}
    session.write("pipeline.yaml", {**pipeline, "records": {"must_be": "identified"}})
    session.run("run . --allow L009 --json")
    session.run("verify out --json")
