"""An incident as text: its times, exposed items, affected tenants, statements and closing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from minimize.text import count_noun


def incident_lines(body: Mapping[str, Any]) -> Iterator[str]:
    """The details of an incident, from its JSON form."""
    happened, scope, closed = body["happened"], body["scope"], body["closed"]
    if body["kind"] == "privacy":
        yield f"  happened {happened['from']} to {happened['to'] or '?'}, known {body['known_at']}"
    if body["exposed"]:
        yield f"  exposed: {', '.join(body['exposed'])}"
    if body["reference"]:
        yield f"  reference: {body['reference']}"
    yield from map(class_line, body["classifications"])
    if scope is not None:
        yield from _scope_lines(scope["tenants"], body)
        yield from _unattributed_lines(scope)
    for what in ("measure", "action", "consequence"):
        yield from (f"  {what}: {text}" for text in body[f"{what}s"])
    if closed is not None:
        class_ = f" as {closed['class']}" if closed["class"] else ""
        reason = f": {closed['reason']}" if "reason" in closed else ""
        yield f"  closed{class_} by {closed['by']}{reason}"


def class_line(each: Mapping[str, Any]) -> str:
    """A class that the incident was given, from its JSON form."""
    reason = f": {each['reason']}" if each["reason"] else ""
    return f"  {each['class']} since {each['at']}, by {each['by']}{reason}"


def _scope_lines(tenants: Sequence[Mapping[str, Any]], body: Mapping[str, Any]) -> Iterator[str]:
    """The affected tenants. Exposed data that several tenants have in common is listed once, after them."""
    by_data: dict[str, list[Mapping[str, Any]]] = {}
    for each in tenants:
        data = "; ".join(f"{form}: {', '.join(names)}" for form, names in names_by_form(each["kinds"]).items())
        by_data.setdefault(data, []).append(each)
    for data, having in by_data.items():
        for each in having:
            yield from _tenant_lines(each, body)
        yield f"    {'each: ' if len(having) > 1 else ''}{data}"


def _tenant_lines(each: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[str]:
    many, period = each["subjects"], each["period"]
    subjects = (
        "groups" if many is None else f"{'' if many['exact'] else 'at most '}{count_noun(many['count'], 'subject')}"
    )
    there = ", ".join(sorted({one["recipient"] for one in each["recipients"]}))
    records = f"{'' if each.get('rows_exact', True) else 'at most '}{count_noun(each['rows'], 'record')}"
    times = f"{period['from'] or '?'} to {period['to'] or '?'}"
    yield f"  {each['tenant_id']}: {subjects}, {records}, {each['form']}, {times}; {_notice_state(each, body)}"
    if each.get("restricted"):
        sealed = each["restricted"]
        yield f"    of these, {count_noun(sealed['rows'], 'sealed record')} of restricted subjects ({sealed['form']})"
    if there:
        yield f"    copies at {there}"
    if any(one["suite"] for one in body["notices"][each["tenant_id"]]):
        yield "    also uses the suite"


def names_by_form(kinds: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The exposed kinds of data by the form in which they were exposed: the policy's description, or else the column's name."""
    found: dict[str, list[str]] = {}
    for kind in kinds:
        names = found.setdefault(kind["form"], [])
        name = kind.get("about") or kind["column"]
        if name not in names:
            names.append(name)
    return found


def _notice_state(each: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    if each["tenant_id"] in body["exempt"]:
        return "exempt"
    if not each["notice"]:
        return "no notice drafted: " + ("encrypted" if each["form"] == "encrypted" else "figures about groups")
    if body["class"] not in (None, "customer_reportable"):
        return f"no notice is due: {body['class']}"
    notices = body["notices"][each["tenant_id"]]
    given = [one["given_at"] for one in notices if one["given_at"]]
    if given:
        return f"notified {given[-1]}"
    failed = [one for notice in notices for one in notice["deliveries"]]
    return f"to be notified, delivery failed {failed[-1]['at']}" if failed else "to be notified"


def _unattributed_lines(scope: Mapping[str, Any]) -> Iterator[str]:
    unknown = scope.get("records_of_unknown_tenants", 0)
    if unknown:
        yield f"  {count_noun(unknown, 'record')} of unknown tenants"
    yield from unmatched_lines(scope.get("nothing_matches", ()))
    for one in scope.get("acts_of_unknown_tenants", ()):
        yield f"  {one['operation']} by {one['actor']} at {one['at']}: tenants unknown"
    for one in scope.get("not_searched", ()):
        yield f"  not searched: {one['file']}: {_unsearched_reason(one)}"
    for one in scope.get("not_reached", ()):
        yield f"  not reached: {one['output']} of {one['pipeline']}: {one['why']}"


def unmatched_lines(lost: Sequence[str]) -> Iterator[str]:
    """A line for each exposed item that matches nothing."""
    return (f"  NOTHING MATCHES {one}. Check the spelling and the time of the incident." for one in lost)


def _unsearched_reason(one: Mapping[str, Any]) -> str:
    """Why a file was not searched, and the source of its tenants instead."""
    why = "its keys were destroyed" if one["why"] == "E210" else one["why"]
    known = {"record": "the inventory recorded when it was removed", "folder": "the name of its folder"}
    by = known.get(str(one.get("tenants_by")))
    return f"{why}; {f'its tenants are known from {by}' if by else 'its tenants are unknown'}"
