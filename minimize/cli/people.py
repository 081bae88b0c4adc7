"""What `minimize subject` prints: what is held of somebody, what went, how a request stands."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from minimize.counts import counted
from minimize.receipt.show import KEPT

if TYPE_CHECKING:
    from minimize.governance.subjects import Deletion, Status, Subject, View


def gone(done: Deletion, yes: bool) -> str:
    """What a deletion took, or would take, and what it leaves to do."""
    lines = [f"{counted(done.rows, 'record')} of {_whom(done)} {'went' if yes else 'would go'}"]
    if not done.rows and done.resumed:
        lines += [
            f"  an earlier deletion of {counted(done.resumed, 'subject')} was interrupted; nothing of it is left to do"
        ]
    elif not done.rows:
        lines += ["  nothing is held of whoever is named: are they spelled so?"]
        lines += ["  what arrives late of them is kept out all the same"] if yes else []
    plans = {name: plan.carried_out() if yes else str(plan) for name, plan in done.plans.items()}
    lines += [f"  {name}: {each}" for name, plan in plans.items() for each in plan.splitlines()]
    said = done.as_json()
    lines += [f"  {name} must delete, too: {', '.join(acts)}" for name, acts in said["recalls"].items()]
    lines += [
        f"  {name} of {pipeline} keeps figures for {', '.join(dates) or 'all'}: {KEPT}"
        for pipeline, stays in said["stays"].items()
        for name, dates in stays.items()
    ]
    lines += [f"  not searched: {each['file']}: {each['why']}" for each in said["not_searched"]]
    lines += [f"  not reached: {each['output']}: {each['why']}" for each in said["not_reached"]]
    lines += [f"  request {name}" for name in said["requests"]]
    return "\n".join(lines if yes else [*lines, "nothing was changed: --yes does it"])


def line(found: Status, now: datetime) -> str:
    """A request and how it stands."""
    body = found.as_json(now)
    waiting = [name for name, each in found.told.items() if not each["confirmed"]]
    rest = f", waiting for {', '.join(waiting)}" if waiting else ""
    late = " OVERDUE" if body["overdue"] else ""
    whose = f"tenant {body['tenant_id']}" if body["subject"] is None else f"a subject of {body['tenant_id']}"
    asked = f"{body['request']}  {body['kind']} of {whose}, asked {body['asked_at']}"
    return f"{asked}: {body['state']}{rest}, by {body['due']}{late}"


def held(found: View, rows: int) -> str:
    """What is held of somebody, file by file."""
    body = found.as_json(rows)
    lines = [f"{_name(found.subject)}: {counted(found.rows, 'record')} in {counted(len(found.held), 'file')}"]
    lines += [f"  {found.read:,} of {counted(found.groups, 'row group')} had to be read"] if found.groups else []
    lines += ["  no output and nothing in the ledger names that tenant: is it spelled so?"] if found.is_unseen else []
    lines += [
        f"  deletion {each['request']}, asked {each['asked_at']}, is {each['state']}: {counted(each['rows'], 'record')} "
        "still to go; repeat `subject delete`"
        for each in body.get("to_be_deleted", ())
    ]
    for each in body["held"]:
        kept = f", kept until {each['until']}" if each["until"] else ""
        lines += [
            f"  {each['pipeline']}  {each['date'] or ''}  {counted(each['rows'], 'record')}, {each['category']}, "
            f"for {each['purpose']}: {each['since'] or '?'} to {each['to'] or '?'}{kept}",
            f"    in {each['output']}/{each['file']}, found by {each['found_by']}",
            "    " + ", ".join(f"{name} ({_form(form)})" for name, form in each["fields"].items()),
            *(f"    beside: {counted(count, 'form')} of {name}" for name, count in each["beside"].items()),
            *(f"    {_row(row)}" for row in each["records"]),
        ]
    lines += [
        f"  shared with {each['recipient']} ({each['function']}, {each['purpose']}) at {each['at']}: "
        f"{', '.join(each['fields'])}" + (f", there until {each['until']}" if each["until"] else "")
        for each in body["shared"]
    ]
    lines += [f"  not searched: {each['output']}/{each['file']}: {each['why']}" for each in body["not_searched"]]
    lines += [f"  not reached: {each['output']} of {each['pipeline']}: {each['why']}" for each in body["not_reached"]]
    return "\n".join(lines)


def _name(subject: Subject) -> str:
    if subject.id is None:
        return f"tenant {subject.tenant}"
    return subject.id if subject.tenant is None else f"{subject.id} of {subject.tenant}"


def _whom(done: Deletion) -> str:
    tenants = sum(each.is_tenant for each in done.whose)
    subjects = len(done.whose) - tenants
    said = [counted(count, word) for count, word in ((subjects, "subject"), (tenants, "tenant")) if count]
    return " and ".join(said) or "nobody"


def _form(form: Any) -> str:
    return form if isinstance(form, str) else " → ".join(form)


def _row(row: dict[str, Any]) -> str:
    return "  ".join(f"{name}={value}" for name, value in row.items() if value is not None)
