"""Approval of a policy: lint must pass, then the approval is written into the file and recorded in the audit log.

In the file, the approval is placed after the policy's head; no other byte changes.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node

from minimize.errors import AccessDenied, CheckFailed, ConfigurationError, Finding, LedgerError, redact_errors
from minimize.governance.access.decision import reason
from minimize.governance.access.enforcement import configured_access, require_permission
from minimize.governance.access.permissions import APPROVE_POLICY
from minimize.governance.workspace import Workspace
from minimize.identifiers import canonical_account
from minimize.json_form import JsonResult, json_member
from minimize.keys import Keyring
from minimize.ledger import Actor, AuditActivity, AuditEvent, PropertyChange, Resource, current_actor, find_ledger
from minimize.ledger.acts import Decision
from minimize.output.folder import PIPELINE_FILE, POLICY_FILE
from minimize.plan import request
from minimize.plan.bind import examine
from minimize.policy.approval import APPROVED_KEY, approval_digest, approval_state, content_digest
from minimize.policy.faults import FaultList
from minimize.policy.lint import lint
from minimize.policy.load import load_pipeline, load_policy
from minimize.policy.model import Policy, PolicyApproval
from minimize.policy.yaml_nodes import parse_yaml
from minimize.sources import declared_schema
from minimize.stores import PathText
from minimize.stores.durable_files import with_output_errors, write_file

HEAD_KEYS: Final = ("policy", "version", "owner", "purposes")
"""The approval is placed after these keys, as far as they come first in the file."""


def with_approval(text: str, approved: PolicyApproval) -> str:
    """The text of a policy with this approval, which replaces an earlier one.

    Comments, order and layout do not change. A policy that is one JSON-like mapping is laid out again.
    """
    root = YAML(typ="safe", pure=True).compose(text)
    if not isinstance(root, MappingNode) or root.flow_style:
        return _dump_with_approval(text, approved)
    newline = "\r\n" if "\r\n" in text else "\n"
    line = f"{APPROVED_KEY}: {_approval_line(approved)}{newline}"
    entries = dict(_entry_spans(root))
    if APPROVED_KEY in entries:
        start, end = entries[APPROVED_KEY]
        return text[:start] + line.removesuffix(newline) + text[end:]
    at = _next_line(text, _head_end(text, entries, root))
    before = text[:at]
    return before + ("" if not before or before.endswith("\n") else newline) + line + text[at:]


def _approval_line(approved: PolicyApproval) -> str:
    """The approval on one line. Texts are quoted as in JSON, which is also valid YAML."""
    by = json.dumps(approved.by, ensure_ascii=False)
    return f'{{by: {by}, on: "{approved.on}", digest: "{approved.digest}"}}'


def _entry_spans(root: MappingNode) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each key, with start and end of its entry in the text."""
    for key, value in root.value:
        yield str(key.value), (key.start_mark.index, _node_end(value))


def _node_end(node: Node) -> int:
    """Position of the last character of a node. A block ends with its last entry."""
    if isinstance(node, CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _node_end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _head_end(text: str, entries: dict[str, tuple[int, int]], root: MappingNode) -> int:
    """End of the head: after the keys of the head that come before any other key."""
    end = root.start_mark.index
    for name, (_, last) in entries.items():
        if name not in HEAD_KEYS:
            break
        end = last
    return int(end)


def _next_line(text: str, place: int) -> int:
    """Start of the next line; the position itself if it begins a line."""
    if place == 0 or text[place - 1] == "\n":
        return place
    end = text.find("\n", place)
    return len(text) if end < 0 else end + 1


def _dump_with_approval(text: str, approved: PolicyApproval) -> str:
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    document = yaml.load(text)
    document[APPROVED_KEY] = CommentedMap(approved.model_dump())
    written = io.StringIO()
    yaml.dump(document, written)
    return written.getvalue()


BOM: Final = "\ufeff"
ApproverSource = Literal["--by", "MINIMIZE_ACTOR", "system"]
"""Origin of the approver's name: passed by the caller, set in the environment, or the user of the operating system."""


@dataclass(frozen=True)
class ApprovalWorkspace(Workspace):
    """Configuration, ledger and keyring, searched from the policy's folder upwards."""

    start: Path = Path()

    @cached_property
    def folder(self) -> Path:
        """The policy's folder."""
        return self.start

    @property
    def has_ledger(self) -> bool:
        """Whether a ledger is configured, so that the approval can be recorded in the audit log."""
        try:
            find_ledger(self.ledger, start=self.folder)
        except LedgerError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class ApprovalResult(JsonResult):
    """An approval: policy, approver, time, whether the file changed, and whether the audit log recorded it.

    named  origin of the approver's name
    """

    policy: str
    version: int
    file: str
    named: ApproverSource = field(metadata=json_member("name_from"))
    approved: PolicyApproval
    changed: bool
    recorded: bool

    def lines(self) -> Iterator[str]:
        """The approval, and the source of the approver's name."""
        name, by = f"{self.policy} version {self.version}", f"{self.approved.by} on {self.approved.on}"
        log = "recorded in the audit log"
        log = log if self.recorded else f"not {log}, because no ledger is configured"
        changed = f"{name} approved by {by}, in {self.file}; {log}"
        yield changed if self.changed else f"{name} was already approved by {by}; nothing was changed"
        system = "the user of the operating system: neither --by nor MINIMIZE_ACTOR is set"
        yield f"approver taken from {system if self.named == 'system' else self.named}"


@redact_errors
def approve(
    path: PathText,
    *,
    by: str | None = None,
    at: datetime | None = None,
    ledger: PathText | None = None,
    keys: Keyring | PathText | None = None,
) -> ApprovalResult:
    """Write the approval of a policy's current content into its file: `approved: {by, on, digest}`.

    Takes the policy's file or folder, or a pipeline that names it. Optional: the approver (default: the acting user, see
    `MINIMIZE_ACTOR`), the time (aware; default: now), and a ledger and keyring in place of the configured ones. If an access
    file is configured, the acting user needs `policy/approve` and can approve only in their own name.
    Raises PolicyError for faults, CheckFailed if lint finds an error, AccessDenied, OutputError, LedgerError, KeyringError.
    """
    policy = _load_policy(Path(path))
    file, actor, when = _policy_file(policy), current_actor(), at or datetime.now(UTC)
    _check_lint(policy)
    house = ApprovalWorkspace(ledger=ledger, keys=keys, start=file.parent)
    require_permission(APPROVE_POLICY, house, when, about=policy.policy)
    name, named = _approver_name(house, by, actor), approver_source(by)
    approved = PolicyApproval(by=name, on=f"{when.astimezone(UTC):%Y-%m-%d}", digest=approval_digest(policy))
    if policy.approved is not None and approval_state(policy) == "approved" and policy.approved.by == name:
        return ApprovalResult(
            policy.policy, policy.version, str(file), named, policy.approved, changed=False, recorded=False
        )
    content = _approved_content(file, policy, approved)
    _write_and_record(
        house,
        _approval_event(policy, approved, actor, when),
        lambda: with_output_errors(write_file, file.resolve(), content),
    )
    return ApprovalResult(
        policy.policy, policy.version, str(file), named, approved, changed=True, recorded=house.has_ledger
    )


def approver_source(by: str | None) -> ApproverSource:
    """Origin of the approver's name."""
    if by is not None:
        return "--by"
    return "MINIMIZE_ACTOR" if os.environ.get("MINIMIZE_ACTOR") else "system"


def _load_policy(path: Path) -> Policy:
    """The policy of a file or folder; for a pipeline, the policy that it names."""
    named = path / PIPELINE_FILE if path.is_dir() else path
    is_pipeline = (
        named.name == PIPELINE_FILE and named.is_file() and not (path.is_dir() and (path / POLICY_FILE).exists())
    )
    return load_pipeline(named).policy if is_pipeline else load_policy(path)


def _policy_file(policy: Policy) -> Path:
    if policy.path is None:
        raise ConfigurationError(
            "this policy was not loaded from a file, so its approval cannot be written",
            hint="Pass the path of the policy.",
        )
    return policy.path


def _check_lint(policy: Policy) -> None:
    """Raises CheckFailed if lint finds an error: a policy with errors cannot be approved."""
    found = [*lint(policy), *(fault for purpose in policy.purposes for fault in _plan_faults(policy, purpose))]
    errors = [finding for finding in dict.fromkeys(found) if finding.severity == "error"]
    if errors:
        raise CheckFailed(
            "a policy with errors cannot be approved", findings=errors, hint="Fix the errors, then run `minimize lint`."
        )


def _plan_faults(policy: Policy, purpose: str) -> tuple[Finding, ...]:
    """Faults of the policy's plan for a purpose, with the types that the policy declares."""
    return examine(policy, declared_schema(request(policy, purpose)), purpose=purpose).faults


def _approver_name(workspace: Workspace, by: str | None, actor: Actor) -> str:
    """Name of the approver. Raises AccessDenied for another person's name if an access file is configured."""
    access, user = configured_access(workspace), actor.user or ""
    own = () if access is None else (canonical_account(access.person(user)), *access.accounts(user))
    if access is not None and by is not None and canonical_account(by) not in own:
        about = "you can approve only in your own name"
        raise AccessDenied(
            f"{user} cannot approve this policy in another name", reasons=[reason("nobody", about=about)]
        )
    name = user if by is None else by
    if not name.strip() or not name.isprintable() or len(name) > 200:
        raise ConfigurationError(
            "the approver's name is empty, too long or not on one line",
            hint="Pass --by NAME, with up to 200 characters.",
        )
    return name


def _approved_content(file: Path, policy: Policy, approved: PolicyApproval) -> bytes:
    """Content of the file with the approval. Raises ConfigurationError if the rest of the policy would change."""
    text = file.read_bytes().decode()
    mark = BOM if text.startswith(BOM) else ""
    new = with_approval(text.removeprefix(BOM), approved)
    root = parse_yaml(new, FaultList())
    written = None if root is None else root.get("approved")
    if (
        root is None
        or written is None
        or content_digest(root) != policy.form
        or written.to_data() != approved.model_dump()
    ):
        message = "the approval cannot be written into this file"
        hint = f"Add this line to the file: approved: {{by: …, on: {approved.on}, digest: {approved.digest}}}"
        raise ConfigurationError(message, hint=hint)
    return (mark + new).encode()


def _approval_event(policy: Policy, approved: PolicyApproval, actor: Actor, at: datetime) -> AuditEvent:
    before = policy.approved
    changes = (
        PropertyChange("digest", None if before is None else before.digest, approved.digest),
        PropertyChange("by", None if before is None else before.by, approved.by),
        PropertyChange("version", None, policy.version),
    )
    resource = Resource(policy.policy, "policy", f"policies/{policy.policy}", changes)
    activity = AuditActivity("policy", component="review", category="policy")
    return activity.event("approve", actor, at, resource, correlation_id=approved.digest)


def _write_and_record(workspace: ApprovalWorkspace, event: AuditEvent, work: Callable[[], None]) -> None:
    """Do the work and append the audit event in one transaction. Without a ledger, only do the work."""
    if not workspace.has_ledger:
        work()
        return
    keys = workspace.keyring()

    with workspace.open_ledger(create=True) as ledger:
        ledger.record(lambda _: Decision(None, events=[event]), keys, then=work)
