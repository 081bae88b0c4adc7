"""What a tenant does before data moves to or from a third party: a contract, prerequisites, a request and a consent."""

from __future__ import annotations

from minimize.recipients import load_recipient
from minimize.recipients.model import ADMIN_CONSENT
from tests.golden.runner import ROOT, SECOND, Session

SIGNED = "--document signed.txt"
"""The option for a document, which `agree` writes."""
OFFERED = f"--reference C-1 --offered --from 2026-01-01 {SIGNED}"


def agree(session: Session, tenant: str, recipient: str, function: str, places: str, *, since: str = "") -> None:
    """Turns on a function of a shipped recipient for a tenant."""
    session.write("signed.txt", "A signed form.\n")
    found = load_recipient(ROOT / "pipelines" / "recipients" / f"{recipient}.yaml")
    if found.standing == "independent_controller":
        session.run(f"contract record {tenant} {recipient} {OFFERED} {places}")
    session.run(f"functions enable {tenant} {recipient} {function} {places}")
    permissions = found.functions[function].permissions
    for requirement in found.functions[function].requires:
        granted = "".join(f" --permission {name}" for name in permissions if requirement == ADMIN_CONSENT)
        session.run(f"functions confirm {tenant} {recipient} {requirement} {SIGNED}{granted} {places}")
    session.run(f"consent give {tenant} {recipient} {function} --reference FORM-1 {SIGNED} {since} {places}")
    session.run(f"consent confirm {tenant} {recipient} {function} {SIGNED} {places}", actor=SECOND)
