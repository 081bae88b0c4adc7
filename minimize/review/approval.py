"""Approval of a policy and its pipelines: lint must pass, then the approval is written into the policy and the audit log.

In the file, the approval is placed after the policy's head; no other byte changes. A copy of the approved files is kept next to
the policy, so that the next approval can show what has changed.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node

from minimize.access.decision import reason
from minimize.access.permissions import APPROVE_POLICY
from minimize.errors import (
    AccessDenied,
    CheckFailed,
    ConfigurationError,
    Finding,
    PolicyError,
    redact_errors,
)
from minimize.forms.yaml_nodes import FaultList, parse_yaml
from minimize.identifiers import canonical_account
from minimize.keys import Keyring
from minimize.ledger import Actor, AuditActivity, AuditEvent, PropertyChange, Resource, current_actor
from minimize.ledger.acts import Decision
from minimize.linting import ALLOWABLE_CODES, check_allowed_codes, lint
from minimize.plan import request
from minimize.plan.bind import examine
from minimize.policy.approval import (
    APPROVED_KEY,
    approval_digest,
    approval_state,
    content_digest,
    policy_content_digest,
)
from minimize.policy.load import hierarchy_files, load_pipeline, load_policy
from minimize.policy.model import Policy, PolicyApproval
from minimize.policy.pipeline import Pipeline
from minimize.records import PIPELINE_FILE, POLICY_FILE
from minimize.results import JsonResult, Line, json_member
from minimize.review.changes import ChangeReport, collect_changes
from minimize.review.party_rules import form_changes
from minimize.sources import declared_schema
from minimize.stores import PathText
from minimize.stores.durable_files import with_output_errors, write_file
from minimize.times import utc_now
from minimize.workspace import Workspace

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
    approver = json.dumps(approved.by, ensure_ascii=False)
    covered = json.dumps(dict(approved.pipelines), ensure_ascii=False)
    pipelines = f", pipelines: {covered}" if approved.pipelines else ""
    return f'{{by: {approver}, on: "{approved.on}", digest: "{approved.digest}"{pipelines}}}'


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
    document[APPROVED_KEY] = CommentedMap(approved.model_dump(exclude_defaults=True))
    written = io.StringIO()
    yaml.dump(document, written)
    return written.getvalue()


BOM: Final = "\ufeff"
ApproverSource = Literal["--actor", "MINIMIZE_ACTOR", "system"]
"""Origin of the approver's name: passed by the caller, set in the environment, or the user of the operating system."""


@dataclass(frozen=True, slots=True)
class ApprovalResult(JsonResult):
    """An approval: policy, approver, time, whether the file changed, and whether the audit log recorded it."""

    policy: str
    version: int
    file: str
    named: ApproverSource = field(metadata=json_member("name_from"))
    """Origin of the approver's name."""
    approved: PolicyApproval
    changed: bool
    recorded: bool
    pipelines: tuple[str, ...] = ()
    """The pipelines that it covers, relative to the policy."""
    before: int | None = None
    """The version that was approved last; None if there is none, or if its copy cannot be used."""
    changes: ChangeReport = field(default_factory=lambda: ChangeReport(()))
    """The graded changes since then."""
    dry_run: bool = False
    """Whether nothing was recorded."""

    def lines(self) -> Iterator[Line]:
        """The changes since the last approval, the approval, and the source of the approver's name."""
        name, approver = f"{self.policy} version {self.version}", f"{self.approved.by} on {self.approved.on}"
        if self.changed:
            earlier = "no earlier approved state is stored" if self.before is None else f"since version {self.before}:"
            yield earlier
            yield from self.changes.lines() if self.before is not None else ()
        if self.dry_run:
            yield f"{name} would be approved; nothing was recorded"
            return
        log = "recorded in the audit log"
        log = log if self.recorded else f"not {log}, because no ledger is configured"
        changed = f"{name} approved by {approver}, in {self.file}; {log}"
        yield changed if self.changed else f"{name} was already approved by {approver}; nothing was changed"
        yield f"the approval covers {', '.join(('the policy', *self.pipelines))}"
        system = "the user of the operating system: neither --actor nor MINIMIZE_ACTOR is set"
        yield f"approver taken from {system if self.named == 'system' else self.named}"


@redact_errors
def approve(
    path: PathText,
    *,
    by: str | None = None,
    at: datetime | None = None,
    ledger: PathText | None = None,
    keys: Keyring | PathText | None = None,
    allow: Collection[str] = (),
    dry_run: bool = False,
) -> ApprovalResult:
    """Write the approval of a policy and its pipelines into the policy: `approved: {by, on, digest, pipelines}`.

    Takes the policy's file or folder, or a pipeline that names it. The approval covers the pipelines that it covered before,
    and the one that is passed or next to the policy. Optional: the approver (default: the acting user, see `MINIMIZE_ACTOR`),
    the time (aware; default: now), a ledger and keyring in place of the configured ones, the codes of lint errors of pipelines
    that are accepted, and `dry_run`, which only shows the changes since the last approval. If an access file is configured,
    the acting user needs `policy/approve` and can approve only in their own name.
    Raises PolicyError for faults, CheckFailed if lint finds an error or the version was approved with other content,
    AccessDenied, OutputError, LedgerError, KeyringError.
    """
    allowed = check_allowed_codes(allow)
    policy, pipelines = _load_approved_files(Path(path))
    file, actor = _policy_file(policy), current_actor()
    _check_lint(policy, pipelines, allowed)
    clock = utc_now if at is None else lambda: at
    with Workspace(ledger, keys=keys, found_config=policy.config, clock=clock) as workspace:
        when = workspace.now
        workspace.require(APPROVE_POLICY, about=policy.policy)
        name, named = _approver_name(workspace, by, actor), approver_source(by)
        forms = {key: each.form for key, each in pipelines.items()}
        approved = PolicyApproval(
            by=name, on=f"{when.astimezone(UTC):%Y-%m-%d}", digest=approval_digest(policy, forms), pipelines=forms
        )
        same = policy.approved is not None and policy.approved.digest == approved.digest and policy.approved.by == name
        before = None if same else find_approved_state(policy)
        changes = ChangeReport(()) if before is None else before.changes(policy, pipelines)
        if before is not None:
            before.check_version(policy, pipelines)
        result = ApprovalResult(
            policy=policy.policy,
            version=policy.version,
            file=str(file),
            named=named,
            approved=policy.approved if same and policy.approved is not None else approved,
            changed=not same,
            recorded=workspace.has_address and not same and not dry_run,
            pipelines=tuple(pipelines),
            before=None if before is None else before.policy.version,
            changes=changes,
            dry_run=dry_run,
        )
        if same or dry_run:
            return result
        content = _approved_content(file, policy, approved)
        copies = _copies(policy, pipelines, content)

        def write() -> None:
            with_output_errors(_write_copies, file.parent / APPROVED_FOLDER, copies)
            with_output_errors(write_file, file.resolve(), content)

        _write_and_record(workspace, _approval_event(policy, approved, actor, when), write)
        return result


def approver_source(approver_option: str | None) -> ApproverSource:
    """Origin of the approver's name."""
    if approver_option is not None:
        return "--actor"
    return "MINIMIZE_ACTOR" if os.environ.get("MINIMIZE_ACTOR") else "system"


APPROVED_FOLDER: Final = ".approved"
"""The folder next to a policy with a copy of the files that were approved last."""


@dataclass(frozen=True, slots=True)
class ApprovedState:
    """The policy that was approved last and its pipelines by path relative to it, read from copies."""

    policy: Policy
    pipelines: Mapping[str, Pipeline]

    def changes(self, policy: Policy, pipelines: Mapping[str, Pipeline]) -> ChangeReport:
        """The graded changes since then. A pipeline that was not approved before has none."""
        file, names = str(policy.path), {key: str(each.path) for key, each in pipelines.items()}
        before = self.policy.model_copy(update={"approved": None})
        now = policy.model_copy(update={"approved": None})
        changes = [*form_changes("policy", before, now, file, file)]
        for key in (each for each in pipelines if each in self.pipelines):
            changes += form_changes("pipeline", self.pipelines[key], pipelines[key], names[key], names[key])
        return collect_changes(changes)

    def check_version(self, policy: Policy, pipelines: Mapping[str, Pipeline]) -> None:
        """Raises CheckFailed (R023) if the policy or a pipeline has changed and the version is not higher."""
        same = policy_content_digest(self.policy) == policy_content_digest(policy)
        kept = all(each.form == pipelines[key].form for key, each in self.pipelines.items() if key in pipelines)
        if (same and kept) or policy.version > self.policy.version:
            return
        message = f"version {self.policy.version} was approved with other content"
        hint = f"Set `version: {self.policy.version + 1}` in the policy, then approve it."
        finding = Finding("R023", message, hint=hint, file=str(policy.path), line=policy.lines.get(("version",)))
        raise CheckFailed("a changed policy or pipeline needs a new version", findings=[finding], hint=hint)


def find_approved_state(policy: Policy) -> ApprovedState | None:
    """The state that was approved last; None if there is no copy, or if the copy is not what its approval covers."""
    folder = _policy_file(policy).parent / APPROVED_FOLDER
    copies = [*folder.rglob(_policy_file(policy).name)]
    try:
        stored = load_policy(copies[0]) if len(copies) == 1 else None
        if stored is None or stored.approved is None or approval_state(stored) != "approved":
            return None
        covered = {key: load_pipeline(copies[0].parent / key) for key in stored.approved.pipelines}
    except PolicyError:
        return None
    is_whole = all(each.form == stored.approved.pipelines[key] for key, each in covered.items())
    return ApprovedState(stored, covered) if is_whole else None


def _copies(policy: Policy, pipelines: Mapping[str, Pipeline], content: bytes) -> dict[str, bytes]:
    """The approved files by path below the folder of copies, arranged so that they find each other."""
    file = _policy_file(policy).resolve()
    files = {file: content}
    for path in (*(each.path for each in pipelines.values() if each.path is not None), *hierarchy_files(policy)):
        files[path.resolve()] = path.read_bytes()
    root = Path(os.path.commonpath([path.parent for path in files]))
    return {path.relative_to(root).as_posix(): content for path, content in files.items()}


def _write_copies(folder: Path, files: Mapping[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_file(folder / name, content)


def _load_approved_files(path: Path) -> tuple[Policy, dict[str, Pipeline]]:
    """The policy of a file or folder, or that a pipeline names; and the pipelines that its approval covers."""
    named = path / PIPELINE_FILE if path.is_dir() else path
    is_pipeline = (
        named.name == PIPELINE_FILE and named.is_file() and not (path.is_dir() and (path / POLICY_FILE).exists())
    )
    policy = load_pipeline(named).policy if is_pipeline else load_policy(path)
    folder = _policy_file(policy).parent
    places = [] if policy.approved is None else [folder / key for key in policy.approved.pipelines]
    places += [named if is_pipeline else folder / PIPELINE_FILE]
    pipelines = {}
    for place in places:
        job = load_pipeline(place) if place.is_file() else None
        if job is not None and job.policy.path is not None and job.policy.path.samefile(_policy_file(policy)):
            pipelines[Path(os.path.relpath(place.resolve(), folder.resolve())).as_posix()] = job
    return policy, pipelines


def _policy_file(policy: Policy) -> Path:
    if policy.path is None:
        raise ConfigurationError(
            "this policy was not loaded from a file, so its approval cannot be written",
            hint="Pass the path of the policy.",
        )
    return policy.path


def _check_lint(policy: Policy, pipelines: Mapping[str, Pipeline], allowed: Collection[str]) -> None:
    """Raises CheckFailed if lint finds an error that is not allowed: a policy with errors cannot be approved."""
    findings = [*lint(policy), *(fault for purpose in policy.purposes for fault in _plan_faults(policy, purpose))]
    for pipeline in pipelines.values():
        findings += [finding for finding in lint(pipeline) if finding.code in ALLOWABLE_CODES]
    errors = [each for each in dict.fromkeys(findings) if each.severity == "error" and each.code not in allowed]
    if errors:
        raise CheckFailed(
            "a policy with errors cannot be approved", findings=errors, hint="Fix the errors, then run `minimize lint`."
        )


def _plan_faults(policy: Policy, purpose: str) -> tuple[Finding, ...]:
    """Faults of the policy's plan for a purpose, with the types that the policy declares."""
    return examine(policy, declared_schema(request(policy, purpose)), purpose=purpose).faults


def _approver_name(workspace: Workspace, approver_option: str | None, actor: Actor) -> str:
    """Name of the approver. Raises AccessDenied for another person's name if an access file is configured."""
    access, user = workspace.access, actor.user or ""
    own_accounts = () if access is None else (canonical_account(access.person(user)), *access.accounts(user))
    if access is not None and approver_option is not None and canonical_account(approver_option) not in own_accounts:
        about = "you can approve only in your own name"
        raise AccessDenied(
            f"{user} cannot approve this policy in another name", reasons=[reason("nobody", about=about)]
        )
    name = user if approver_option is None else approver_option
    if not name.strip() or not name.isprintable() or len(name) > 200:
        raise ConfigurationError(
            "the approver's name is empty, too long or not on one line",
            hint="Pass --actor NAME, with up to 200 characters.",
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
        or written.to_data() != approved.model_dump(exclude_defaults=True)
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
        *(PropertyChange(f"pipeline {key}", None, form) for key, form in approved.pipelines.items()),
    )
    resource = Resource(policy.policy, "policy", f"policies/{policy.policy}", changes)
    activity = AuditActivity("policy", component="review", category="policy")
    return activity.event("approve", actor, at, resource, correlation_id=approved.digest)


def _write_and_record(workspace: Workspace, event: AuditEvent, work: Callable[[], None]) -> None:
    """Do the work and append the audit event in one transaction. Without a ledger, only do the work."""
    if not workspace.has_address:
        work()
        return
    keys = workspace.keyring()

    with workspace.open_ledger(create=True) as ledger:
        ledger.record(lambda _: Decision(None, events=[event]), keys, before_commit=work)
