"""Delivery of notices: the operator's command gets each message of the outbox, and the result is recorded for each tenant."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from minimize.errors import ConfigurationError, Finding, RefusedError
from minimize.governance.incidents.incident import Incident, load_incident, require_open_privacy
from minimize.governance.incidents.notice import message_digest
from minimize.governance.incidents.notification import message_path, version_folder
from minimize.governance.incidents.workflow import record_step
from minimize.governance.notify import find_notify_command, run_notify_command
from minimize.results import UNCHANGED, JsonResult, json_member
from minimize.stores import PathText
from minimize.text import count_noun
from minimize.workspace import Workspace

DeliveryResult = Literal["planned", "sent", "failed"]


@dataclass(frozen=True, slots=True)
class NoticeDelivery(JsonResult):
    """The delivery of one version of the notice to one tenant."""

    tenant_id: str
    version: int
    to: str | None
    """The role of the contacts; None if the tenant has none."""
    message: Path | None
    """The message in the outbox; None if there is none, because the tenant has no contact."""
    result: DeliveryResult = "planned"
    exit_code: int | None = None
    """Exit code of the command; None if it was not run, not started or ended after the timeout."""

    def lines(self) -> Iterator[str]:
        """The tenant, the version and the result."""
        if self.message is None:
            yield f"  {self.tenant_id}: no contact"
            return
        code = "" if not self.exit_code else f" (exit {self.exit_code})"
        yield f"  {self.tenant_id}: version {self.version} to {self.to}, {self.result}{code}"


@dataclass(frozen=True, slots=True)
class SentNotices(JsonResult):
    """The deliveries that were due, and the tenants without a draft. `applied` is whether the notices were sent."""

    incident: str
    deliveries: tuple[NoticeDelivery, ...]
    not_drafted: tuple[str, ...]
    applied: bool = field(metadata=json_member("sent"))

    @property
    def exit_code(self) -> int:
        """1 if a notice was not delivered."""
        complete = all(each.result == "sent" for each in self.deliveries) and not self.not_drafted
        return int(self.applied and not complete)

    def lines(self) -> Iterator[str]:
        """A line for each tenant."""
        if not self.deliveries and not self.not_drafted:
            yield "nothing to do: no notice is waiting for delivery"
            return
        yield f"{self.incident}: {count_noun(len(self.deliveries), 'notice')} to deliver"
        for delivery in self.deliveries:
            yield from delivery.lines()
        yield from (f"  {each}: no notice was drafted" for each in self.not_drafted)
        if not self.applied:
            yield UNCHANGED


def send_notices(
    name: str,
    outbox: PathText,
    workspace: Workspace,
    now: datetime,
    *,
    only: Sequence[str] = (),
    yes: bool = False,
) -> SentNotices:
    """Runs the command of `notify:` in the configuration for the latest notice of each tenant, unless it was delivered.

    outbox  the folder that `draft_notices` wrote to
    only    only these tenants
    yes     whether the notices are sent; otherwise only the plan is returned

    Every result is recorded in the ledger. All messages are checked before the first one is sent. Raises ConfigurationError if no
    command is configured or a tenant in `only` needs no notice; RefusedError for a message that is missing or was changed
    (K024), or that has no measure or no recommended action (E326); LedgerError, KeyringError.
    """
    workspace.require("incident/notice")
    this = require_open_privacy(load_incident(name, workspace))
    planned, not_drafted = _due_deliveries(this, Path(outbox), only)
    if not yes:
        return SentNotices(name, tuple(planned), not_drafted, applied=False)
    command = _require_notify_command(workspace)
    _require_sections(this, planned)
    started = time.monotonic()
    results = list[NoticeDelivery]()
    for delivery in planned:
        if delivery.message is None:
            results.append(delivery)
            continue
        result = _deliver(command, delivery, delivery.message)
        at = now + timedelta(seconds=time.monotonic() - started)
        record_delivery(name, result, "command", workspace, at)
        results.append(result)
    return SentNotices(name, tuple(results), not_drafted, applied=True)


def record_notices_sent(name: str, tenants: Sequence[str], workspace: Workspace, now: datetime) -> Incident:
    """Records that the latest notices to these tenants were sent by hand.

    Raises ConfigurationError without tenants, or if a tenant has no drafted notice.
    """
    workspace.require("incident/notice")
    if not tenants:
        raise ConfigurationError(
            "the tenants whose notices were sent are missing", hint="Pass --tenant TENANT for each of them."
        )
    this = require_open_privacy(load_incident(name, workspace))
    drafted = {each: this.notices(each) for each in dict.fromkeys(tenants)}
    if not all(drafted.values()):
        raise ConfigurationError(
            "no notice has been drafted yet for these tenants", hint=f"Run `minimize incident notice {name} --to DIR`."
        )
    for tenant, notices in drafted.items():
        sent = NoticeDelivery(tenant, notices[-1]["version"], notices[-1]["to"], None, "sent")
        this = record_delivery(name, sent, "hand", workspace, now)
    return this


def record_delivery(
    name: str, delivery: NoticeDelivery, via: Literal["command", "hand"], workspace: Workspace, now: datetime
) -> Incident:
    """Records the result of a delivery with the tenant, the version, the account and the time."""

    def body_of(incident: Incident | None) -> Mapping[str, Any]:
        require_open_privacy(incident)
        return {
            "version": delivery.version,
            "result": delivery.result,
            "exit_code": delivery.exit_code,
            "via": via,
        }

    return record_step(name, "delivered", body_of, workspace, now, tenant=delivery.tenant_id)


def _due_deliveries(
    incident: Incident, outbox: Path, only: Sequence[str]
) -> tuple[list[NoticeDelivery], tuple[str, ...]]:
    """The latest notices that were not delivered, and the tenants for which none was drafted."""
    concerned = [each for each in incident.tenants_to_notify if each not in incident.exempt]
    if set(only) - set(concerned):
        raise ConfigurationError(
            "no notice is needed for these tenants",
            hint=f"Run `minimize incident show {incident.id}` to see which tenants need a notice.",
        )
    latest = {each: incident.notices(each)[-1:] for each in concerned if not only or each in only}
    planned = [
        _planned_delivery(incident, outbox, tenant, notice["version"], notice["to"])
        for tenant, notices in latest.items()
        for notice in notices
        if notice["given_at"] is None
    ]
    return planned, tuple(tenant for tenant, notices in latest.items() if not notices)


def _require_sections(incident: Incident, planned: Sequence[NoticeDelivery]) -> None:
    """Raises RefusedError (E326) if a notice was drafted without a measure or without a recommended action."""
    drafts = [incident.draft(each.version).body["tenants"][each.tenant_id] for each in planned]
    empty = sorted({section for draft in drafts for section in draft.get("empty", ())}, reverse=True)
    if empty:
        commands = " and ".join(f"`minimize incident measure {incident.id} TEXT --type {each}`" for each in empty)
        raise RefusedError(
            f"no notice was sent: the notices have no {' and no '.join(empty)}",
            code="E326",
            hint=f"Run {commands}, and draft a new version with `minimize incident notice`.",
        )


def _planned_delivery(incident: Incident, outbox: Path, tenant: str, version: int, to: str | None) -> NoticeDelivery:
    planned = NoticeDelivery(tenant, version, to, None)
    if to is None:
        return planned
    path = message_path(version_folder(outbox, incident.id, version), tenant).absolute()
    drafted = incident.draft(version).body["tenants"][tenant].get("message")
    try:
        unchanged = drafted is not None and message_digest(path.read_text(encoding="utf-8")) == drafted
    except (OSError, ValueError):
        unchanged = False
    if not unchanged:
        hint = "Pass the --outbox that `minimize incident notice --to` wrote to, or draft a new version."
        finding = Finding("K024", f"the message to {tenant} is missing, or differs from its draft", hint=hint)
        raise RefusedError("no notice was sent", findings=[finding])
    return replace(planned, message=path)


def _require_notify_command(workspace: Workspace) -> list[str]:
    """The words of the operator's command. Raises ConfigurationError if it is missing or cannot be found."""
    words = find_notify_command(workspace.config)
    if words is None:
        raise ConfigurationError(
            "no command delivers notices",
            hint="Set `notify: [COMMAND]` in minimize.yaml, or send the messages yourself and run `minimize incident mark-sent`.",
        )
    return words


def _deliver(command: Sequence[str], planned: NoticeDelivery, message: Path) -> NoticeDelivery:
    code = run_notify_command(command, message)
    return replace(planned, result="sent" if code == 0 else "failed", exit_code=code)
