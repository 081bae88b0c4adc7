"""What a tenant does before data moves to or from a third party: a contract, prerequisites, a request and a consent."""

from __future__ import annotations

from minimize.recipients import load_recipient
from tests.golden.runner import ROOT, Session

OFFERED = "--reference C-1 --offered --from 2026-01-01"


def agree(session: Session, tenant: str, recipient: str, function: str, places: str, *, since: str = "") -> None:
    """Turns on a function of a shipped recipient for a tenant."""
    found = load_recipient(ROOT / "pipelines" / "recipients" / f"{recipient}.yaml")
    if found.standing == "independent":
        session.run(f"contract record {tenant} {recipient} {OFFERED} {places}")
    session.run(f"functions enable {tenant} {recipient} {function} {places}")
    for requirement in found.functions[function].requires:
        session.run(f"functions confirm {tenant} {recipient} {requirement} --reference TICKET-1 {places}")
    session.run(f"consent give {tenant} {recipient} {function} --reference FORM-1 {since} {places}")
