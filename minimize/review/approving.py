"""Approving a policy: what lint lets pass, by whoever may, written into the file and told to the audit log."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal

from minimize.errors import AccessDenied, CheckFailed, ConfigurationError, Finding, LedgerError, without_values
from minimize.governance.access.asking import access_of
from minimize.governance.access.gate import gate
from minimize.governance.access.permissions import APPROVE_POLICY
from minimize.governance.access.reasons import reason
from minimize.io import declared_schema
from minimize.io.durable import write_file, written
from minimize.keys import Keyring
from minimize.ledger import Actor, Change, Event, Resource, actor_of, find_ledger
from minimize.plan import request
from minimize.plan.bind import examine
from minimize.policy.approval import approval_digest, approval_state, form_of
from minimize.policy.faults import Faults
from minimize.policy.lint import lint
from minimize.policy.load import load_pipeline, load_policy
from minimize.policy.model import Approved, Policy
from minimize.policy.yaml import parse
from minimize.review.signing import with_approval
from minimize.switching import House

PIPELINE: Final = "pipeline.yaml"
BOM: Final = "\ufeff"
Named = Literal["--by", "MINIMIZE_ACTOR", "system"]
"""Where the name of whoever approves comes from: it was given, it stands in the environment, or it is the system's user."""
PathLike_ = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Approving(House):
    """Where the house's things are, looked for from the policy's folder on."""

    start: Path = Path()

    @property
    def folder(self) -> Path:
        """The policy's folder."""
        return self.start

    @property
    def is_told(self) -> bool:
        """Whether a ledger is named, so that the audit log can be told."""
        try:
            find_ledger(self.ledger, start=self.folder)
        except LedgerError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signed:
    """A policy that is approved now: which, by whom, when; whether anything was changed, and whether the audit log knows.

    named  where the approver's name was taken from
    """

    policy: str
    version: int
    file: str
    approved: Approved
    changed: bool
    recorded: bool
    named: Named

    def as_json(self) -> dict[str, Any]:
        """What `policy approve --json` prints."""
        head = {"policy": self.policy, "version": self.version, "file": self.file, "name_from": self.named}
        return {**head, "approved": self.approved.model_dump(), "changed": self.changed, "recorded": self.recorded}


@without_values
def approve(
    path: PathLike_,
    *,
    by: str | None = None,
    at: datetime | None = None,
    ledger: PathLike_ | None = None,
    keys: Keyring | PathLike_ | None = None,
) -> Signed:
    """Writes into a policy that somebody approves it as it is: `approved: {by, on, digest}`.

    Takes the file or its folder, or a pipeline that names it; who approves (whoever acts: `MINIMIZE_ACTOR`); when (aware; now);
    what stands in for the house's ledger and keyring. Where an access file is configured, whoever acts needs `policy/approve`,
    and approves in no other name.
    Raises PolicyError for faults, CheckFailed where lint finds an error, AccessDenied, OutputError, LedgerError, KeyringError.
    """
    policy = _policy(Path(path))
    file, actor, when = _file(policy), actor_of(), at or datetime.now(UTC)
    _check(policy)
    house = Approving(ledger=ledger, keys=keys, start=file.parent)
    gate(APPROVE_POLICY, house, when, about=policy.policy)
    name, named = _name(house, by, actor), named_by(by)
    approved = Approved(by=name, on=f"{when.astimezone(UTC):%Y-%m-%d}", digest=approval_digest(policy))
    if policy.approved is not None and approval_state(policy) == "approved" and policy.approved.by == name:
        return Signed(policy.policy, policy.version, str(file), policy.approved, False, False, named)
    content = _content(file, policy, approved)
    _told(house, _event(policy, approved, actor, when), lambda: written(write_file, file.resolve(), content))
    return Signed(policy.policy, policy.version, str(file), approved, True, house.is_told, named)


def named_by(by: str | None) -> Named:
    """Where the name comes from."""
    if by is not None:
        return "--by"
    return "MINIMIZE_ACTOR" if os.environ.get("MINIMIZE_ACTOR") else "system"


def _policy(path: Path) -> Policy:
    """The policy in a file or folder; of a pipeline the one that it names."""
    named = path / PIPELINE if path.is_dir() else path
    is_pipeline = named.name == PIPELINE and named.is_file() and not (path.is_dir() and (path / "policy.yaml").exists())
    return load_pipeline(named).policy if is_pipeline else load_policy(path)


def _file(policy: Policy) -> Path:
    if policy.path is None:
        raise ConfigurationError("this policy stands in no file", hint="give the path of a policy")
    return policy.path


def _check(policy: Policy) -> None:
    """Raises CheckFailed where lint finds an error: what nobody should run, nobody approves."""
    found = [*lint(policy), *(fault for purpose in policy.purposes for fault in _planned(policy, purpose))]
    errors = [finding for finding in dict.fromkeys(found) if finding.severity == "error"]
    if errors:
        raise CheckFailed("a policy with errors is not approved", findings=errors, hint="minimize lint says more")


def _planned(policy: Policy, purpose: str) -> tuple[Finding, ...]:
    """The faults of its plan for a purpose, by the types that it names itself."""
    return examine(policy, declared_schema(request(policy, purpose)), purpose=purpose).faults


def _name(house: House, by: str | None, actor: Actor) -> str:
    """In whose name. Raises AccessDenied for another person's where an access file says who is who."""
    access, user = access_of(house), actor.user or ""
    if access is not None and by is not None and by not in (access.person(user), *access.accounts(user)):
        about = "whoever acts approves in no other name"
        raise AccessDenied(f"{user} may not do this", reasons=[reason("nobody", about=about)])
    name = user if by is None else by
    if not name.strip() or not name.isprintable() or len(name) > 200:
        raise ConfigurationError("that is no name to approve by", hint="--by NAME, on one line")
    return name


def _content(file: Path, policy: Policy, approved: Approved) -> bytes:
    """The file with the approval in it. Raises ConfigurationError where that would say anything else than before."""
    text = file.read_bytes().decode()
    mark = BOM if text.startswith(BOM) else ""
    new = with_approval(text.removeprefix(BOM), approved)
    root = parse(new, Faults())
    said = None if root is None else root.get("approved")
    if root is None or said is None or form_of(root) != policy.form or said.plain() != approved.model_dump():
        message = "the approval cannot be written into this file"
        hint = f"write it yourself: approved: {{by: …, on: {approved.on}, digest: {approved.digest}}}"
        raise ConfigurationError(message, hint=hint)
    return (mark + new).encode()


def _event(policy: Policy, approved: Approved, actor: Actor, at: datetime) -> Event:
    before = policy.approved
    changes = (
        Change("digest", None if before is None else before.digest, approved.digest),
        Change("by", None if before is None else before.by, approved.by),
        Change("version", None, policy.version),
    )
    return Event(
        component="review",
        category="policy",
        activity="policy",
        operation="approve",
        actor=actor,
        time=at,
        correlation_id=approved.digest,
        resources=(Resource(policy.policy, "policy", f"policies/{policy.policy}", changes),),
    )


def _told(house: Approving, event: Event, work: Callable[[], None]) -> None:
    """The work, and the audit log told of it, or neither; without a ledger the work alone."""
    if not house.is_told:
        work()
        return
    from minimize.ledger.audit import append

    keys = house.keyring()

    def both(connection: Any) -> None:
        append(connection, event, keys)
        work()

    with house.opened(create=True) as ledger:
        ledger.write(both)
