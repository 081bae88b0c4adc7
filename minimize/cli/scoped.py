"""An incident and its scope, in lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from minimize.cli.lines import on_one_line
from minimize.counts import counted

if TYPE_CHECKING:
    from minimize.governance.incidents import Incident


def line_of(found: Incident, now: datetime) -> str:
    """An incident on one line."""
    due = "" if found.due is None else f", notice by {found.due:%Y-%m-%dT%H:%MZ}, {len(found.pending)} to be told"
    late = " OVERDUE" if found.is_overdue(now) else ""
    return on_one_line(f"{found.id}  {found.title}: {found.state}, {counted(len(found.affected), 'tenant')}{due}{late}")


def lines_of(found: Incident, now: datetime) -> list[str]:
    """An incident and its scope."""
    body = found.as_json(now)
    happened = body["happened"]
    lines = [
        line_of(found, now),
        f"  happened {happened['from']} to {happened['to'] or '?'}, known {body['known_at']}",
        f"  exposed: {', '.join(body['exposed'])}",
    ]
    if found.scope is not None:
        lines += [line for each in found.scope["tenants"] for line in _tenant(each, body)]
        lines += _rest(found.scope)
    lines += [f"  {what}: {text}" for what in ("measure", "action", "consequence") for text in body[f"{what}s"]]
    if body["closed"] is not None:
        lines += [f"  closed as {body['closed']['class']} by {body['closed']['by']}: {body['closed']['reason']}"]
    return [on_one_line(line) for line in lines]


def _tenant(each: Mapping[str, Any], body: Mapping[str, Any]) -> list[str]:
    many, period, kinds = each["subjects"], each["period"], each["kinds"]
    subjects = "groups" if many is None else f"{'' if many['exact'] else 'at most '}{counted(many['count'], 'subject')}"
    there = ", ".join(sorted({one["recipient"] for one in each["recipients"]}))
    records = f"{'' if each.get('rows_exact', True) else 'at most '}{counted(each['rows'], 'record')}"
    return [
        f"  {each['tenant_id']}: {subjects}, {records}, {each['form']}, "
        f"{period['from'] or '?'} to {period['to'] or '?'}; {_notice(each, body)}",
        "    " + ", ".join(f"{kind['column']} ({kind['form']})" for kind in kinds),
        *([f"    copies at {there}"] if there else []),
    ]


def _notice(each: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    if each["tenant_id"] in body["exempt"]:
        return "exempt"
    if not each["notice"]:
        return "no notice needed: " + ("unintelligible" if each["form"] == "encrypted" else "it names nobody")
    given = [one for one in body["notices"][each["tenant_id"]] if one["given_at"]]
    return f"told {given[-1]['given_at']}" if given else "to be told"


def _rest(scope: Mapping[str, Any]) -> list[str]:
    unknown = scope["records_of_unknown_tenants"]
    lines = [f"  {counted(unknown, 'record')} whose tenant no file tells"] if unknown else []
    lines += unmatched(scope.get("nothing_matches", ()))
    lines += [
        f"  {one['operation']} by {one['actor']} at {one['at']}: of whom, nobody can tell"
        for one in scope.get("acts_of_unknown_tenants", ())
    ]
    lines += [f"  not searched: {one['file']}: {_why(one)}" for one in scope["not_searched"]]
    return lines + [
        f"  not reached: {one['output']} of {one['pipeline']}: {one['why']}" for one in scope["not_reached"]
    ]


def unmatched(lost: Sequence[str]) -> list[str]:
    """What was named and nothing matches."""
    return [f"  NOTHING MATCHES {one}: is it written right, and was it there by then?" for one in lost]


def _why(one: Mapping[str, Any]) -> str:
    """Why a file was not looked at, and what tells of its tenants in its place."""
    why = "its keys were destroyed" if one["why"] == "E210" else one["why"]
    known = {"record": "what was taken down when it went", "folder": "the name of its folder"}
    by = known.get(str(one.get("tenants_by")))
    return f"{why}; {f'its tenants are known by {by}' if by else 'whose records it held, nobody can tell'}"
