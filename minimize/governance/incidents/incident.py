"""Incident: its state from the recorded steps, and the list of incidents.

An incident as text: its times, exposed items, affected tenants, statements and closing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args

from minimize.errors import ConfigurationError
from minimize.governance.incident_steps import IncidentKind, concerned_tenants, last_scope
from minimize.governance.incidents.exposure import Exposure
from minimize.ledger.kinds import INCIDENT, IncidentStep
from minimize.pages import Table
from minimize.policy.plain_words import plain_name
from minimize.results import Line, json_object
from minimize.text import count_noun
from minimize.times import minute_text, time_text
from minimize.workspace import Workspace


def incident_lines(body: Mapping[str, Any], *, verbose: bool = False) -> Iterator[Line]:
    """The details of an incident, from its JSON form; with `verbose`, all exposed columns of each tenant."""
    happened, scope, closed = body["happened"], body["scope"], body["closed"]
    if body["kind"] == "privacy":
        yield f"  happened {happened['from']} to {happened['to'] or '?'}, known {body['known_at']}"
    if body["exposed"]:
        yield f"  exposed: {', '.join(body['exposed'])}"
    if body["reference"]:
        yield f"  reference: {body['reference']}"
    yield from map(class_line, body["classifications"])
    if scope is not None:
        yield from _scope_lines(scope["tenants"], body, verbose=verbose)
        yield from _unattributed_lines(scope)
    for what in ("measure", "action", "consequence"):
        yield from (f"  {what}: {text}" for text in body[f"{what}s"])
    if closed is not None:
        class_ = f" as {closed['class']}" if closed["class"] else ""
        reason = f": {closed['reason']}" if "reason" in closed else ""
        yield f"  closed{class_} by {closed['by']}{reason}"


def class_line(classification: Mapping[str, Any]) -> str:
    """A class that the incident was given, from its JSON form."""
    reason = f": {classification['reason']}" if classification["reason"] else ""
    return f"  {classification['class']} since {classification['at']}, by {classification['by']}{reason}"


_SCOPE_HEAD: Final = (
    *("tenant", "subjects", "records", "sealed", "form", "from", "to", "copies at", "also uses", "notice"),
)
_FORMS: Final = ("identified", "pseudonymized", "encrypted", "aggregated")
"""The forms in which data can be exposed, the most revealing first."""


def _scope_lines(tenants: Sequence[Mapping[str, Any]], body: Mapping[str, Any], *, verbose: bool) -> Iterator[Line]:
    """A table of the affected tenants, and the exposed data: what identifies people, and how many other columns there are."""
    if not tenants:
        return
    yield Table.filled("", _SCOPE_HEAD, [_tenant_cells(each, body) for each in tenants])
    if verbose:
        yield from _exposed_columns(tenants)
        return
    names = names_by_form([kind for tenant in tenants for kind in tenant["kinds"]])
    parts = [
        f"{form}: {', '.join(names[form]) if form == _FORMS[0] else count_noun(len(names[form]), 'column')}"
        for form in names
    ]
    if parts:
        yield f"  data: {'; '.join(parts)}. Pass --verbose to see all columns."


def _exposed_columns(tenants: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The exposed columns by form. Data that several tenants have in common is listed once."""
    by_data: dict[str, list[str]] = {}
    for tenant in tenants:
        data = "; ".join(f"{form}: {', '.join(names)}" for form, names in names_by_form(tenant["kinds"]).items())
        by_data.setdefault(data, []).append(tenant["tenant_id"])
    yield from (f"  {', '.join(names)}: {data}" for data, names in by_data.items())


def _tenant_cells(tenant: Mapping[str, Any], body: Mapping[str, Any]) -> tuple[str, ...]:
    many, period, sealed = tenant["subjects"], tenant["period"], tenant.get("restricted")
    recipients = sorted({entry["recipient"] for entry in tenant["recipients"]})
    has_suite = any(notice["suite"] for notice in body["notices"][tenant["tenant_id"]])
    return (
        tenant["tenant_id"],
        "groups" if many is None else f"{'' if many['exact'] else 'at most '}{many['count']:,}",
        f"{'' if tenant.get('rows_exact', True) else 'at most '}{tenant['rows']:,}",
        f"{sealed['rows']:,} of restricted subjects ({sealed['form']})" if sealed else "",
        tenant["form"],
        _minute_of(period["from"]),
        _minute_of(period["to"]),
        ", ".join(recipients),
        "the suite" if has_suite else "",
        _notice_state(tenant, body),
    )


def _minute_of(text: str | None) -> str:
    return "?" if text is None else minute_text(datetime.fromisoformat(text))


def names_by_form(kinds: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The exposed kinds of data by the form in which they were exposed, the most revealing first.

    A column has its label, else the policy's description, else its name in words.
    """
    form_names: dict[str, list[str]] = {}
    for kind in sorted(kinds, key=lambda kind: _FORMS.index(kind["form"])):
        names = form_names.setdefault(kind["form"], [])
        name = kind.get("label") or kind.get("about") or plain_name(kind["column"])
        if name not in names:
            names.append(name)
    return form_names


def _notice_state(tenant: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    if tenant["tenant_id"] in body["exempt"]:
        return "exempt"
    if not tenant["notice"]:
        return "no notice drafted: " + ("encrypted" if tenant["form"] == "encrypted" else "statistics about groups")
    if body["class"] not in (None, "customer_reportable"):
        return f"no notice is due: {body['class']}"
    notices = body["notices"][tenant["tenant_id"]]
    notice_times = [notice["given_at"] for notice in notices if notice["given_at"]]
    if notice_times:
        return f"notified {notice_times[-1]}"
    failed = [delivery for notice in notices for delivery in notice["deliveries"]]
    return f"to be notified, delivery failed {failed[-1]['at']}" if failed else "to be notified"


def _unattributed_lines(scope: Mapping[str, Any]) -> Iterator[str]:
    unknown = scope.get("records_of_unknown_tenants", 0)
    if unknown:
        yield f"  {count_noun(unknown, 'record')} of unknown tenants"
    yield from unmatched_lines(scope.get("nothing_matches", ()))
    for act in scope.get("acts_of_unknown_tenants", ()):
        yield f"  {act['operation']} by {act['actor']} at {act['at']}: tenants unknown"
    for file in scope.get("not_searched", ()):
        yield f"  not searched: {file['file']}: {_unsearched_reason(file)}"
    for output in scope.get("not_reached", ()):
        yield f"  not reached: {output['output']} of {output['pipeline']}: {output['why']}"


def unmatched_lines(items: Sequence[str]) -> Iterator[str]:
    """A line for each exposed item that matches nothing."""
    return (f"  NOTHING MATCHES {item}. Check the spelling and the time of the incident." for item in items)


def _unsearched_reason(file: Mapping[str, Any]) -> str:
    """Why a file was not searched, and the source of its tenants instead."""
    why = "its keys were destroyed" if file["why"] == "E210" else file["why"]
    descriptions = {"record": "the inventory recorded when it was removed", "folder": "the name of its folder"}
    tenants_source = descriptions.get(str(file.get("tenants_by")))
    return f"{why}; {f'its tenants are known from {tenants_source}' if tenants_source else 'its tenants are unknown'}"


NOTICE_DEADLINE: Final = timedelta(hours=72)
"""Time from the declaration of an incident until which notice must be given."""

IncidentState = Literal["open", "scoped", "declared", "closed"]
DeclaredClass = Literal["customer_reportable", "security_incident"]
IncidentClass = Literal["false_positive", "security_incident", "customer_reportable"]
DECLARED_CLASSES: Final[tuple[DeclaredClass, ...]] = get_args(DeclaredClass)
"""The classes of a declared incident. Notices are due for the first. A false positive can only be closed."""
StatementKind = Literal["measure", "action", "consequence"]


@dataclass(frozen=True)
class Incident:
    """An incident, as its recorded steps describe it. The first step opened it."""

    steps: tuple[IncidentStep, ...]

    @property
    def id(self) -> str:
        """The id of the incident."""
        return self.steps[0].incident

    @property
    def opening(self) -> Mapping[str, Any]:
        """The content of the step that opened the incident."""
        return self.steps[0].body

    @property
    def title(self) -> str:
        """The title of the incident."""
        return str(self.opening["title"])

    @property
    def kind(self) -> IncidentKind:
        """Whether the incident exposed data, or is a support ticket."""
        kind: IncidentKind = self.opening.get("kind", "privacy")
        return kind

    @property
    def tenants(self) -> tuple[str, ...]:
        """The tenants for which a grant can name the incident: those that it was opened for, and those of the latest scope."""
        return tuple(sorted(concerned_tenants(self.opening, self.scope)))

    @property
    def exposure(self) -> Exposure:
        """The exposed items."""
        return Exposure.parse(self.opening["exposed"])

    @property
    def window(self) -> tuple[datetime, datetime]:
        """Start and end of the incident. Without an end, the time when it became known."""
        since, until = self.opening["happened"]
        return datetime.fromisoformat(since), datetime.fromisoformat(until or self.opening["known_at"])

    @property
    def scope(self) -> Mapping[str, Any] | None:
        """The latest scope. None if no scope was determined."""
        return last_scope(self.steps)

    @property
    def declared_at(self) -> datetime | None:
        """Time of the declaration. None if the incident is not declared."""
        declaration = next(self._steps_of("declared"), None)
        return None if declaration is None else declaration.recorded_at

    @property
    def classifications(self) -> tuple[IncidentStep, ...]:
        """The steps that set the class of the incident before it is closed."""
        return tuple(each for each in self.steps if each.step in ("declared", "reclassified"))

    @property
    def incident_class(self) -> IncidentClass | None:
        """The class of the incident. None before it is declared or closed, and for a support incident."""
        closed = self.closing_step
        if closed is not None:
            class_: IncidentClass | None = closed.body["class"]
            return class_
        return class_of_step(self.classifications[-1]) if self.classifications else None

    @property
    def reportable_since(self) -> datetime | None:
        """Time of the first decision that customers must be notified. None if the class of the incident requires no notice."""
        if self.incident_class != "customer_reportable":
            return None
        reporting_steps = (each for each in self.classifications if class_of_step(each) == "customer_reportable")
        return next((each.recorded_at for each in reporting_steps), None)

    @property
    def notice_deadline(self) -> datetime | None:
        """Time until which notice must be given. None if the class of the incident requires no notice."""
        return None if self.reportable_since is None else self.reportable_since + NOTICE_DEADLINE

    @property
    def closing_step(self) -> IncidentStep | None:
        """The step that closed the incident. None if it is open."""
        return self._last_step("closed")

    @property
    def state(self) -> IncidentState:
        """The stage of the incident."""
        if self.closing_step is not None:
            return "closed"
        return "declared" if self.declared_at is not None else "open" if self.scope is None else "scoped"

    @property
    def affected(self) -> tuple[str, ...]:
        """The tenants of the latest scope."""
        return () if self.scope is None else tuple(each["tenant_id"] for each in self.scope["tenants"])

    @property
    def tenants_to_notify(self) -> tuple[str, ...]:
        """The affected tenants that must be notified. Before the declaration, as if the incident were customer-reportable."""
        if self.scope is None or self.incident_class not in (None, "customer_reportable"):
            return ()
        return tuple(each["tenant_id"] for each in self.scope["tenants"] if each["notice"])

    @property
    def exempt(self) -> Mapping[str, IncidentStep]:
        """The tenants with an approved exemption from notice.

        An exemption covers what was known when it was approved. It lapses if a later scope finds more data of the tenant.
        """
        exemptions = {each.body["tenant_id"]: each for each in self._steps_of("exempted")}
        return {tenant: step for tenant, step in exemptions.items() if not self._has_grown(tenant, step)}

    def _has_grown(self, tenant: str, since: IncidentStep) -> bool:
        """Whether the latest scope lists more data of a tenant than the scope that was known at a step."""
        before = [each.body["scope"] for each in self.steps[: self.steps.index(since)] if each.step == "scoped"]
        earlier, current = (_tenant_entry(scope, tenant) for scope in (before[-1] if before else None, self.scope))
        return any(column not in earlier[0] for column in current[0]) or current[1] > earlier[1]

    def exemption_request(self, tenant: str) -> IncidentStep | None:
        """The latest request to exempt a tenant from notice."""
        requests = [each for each in self._steps_of("exempt_asked") if each.body["tenant_id"] == tenant]
        return requests[-1] if requests else None

    def notices(self, tenant: str) -> tuple[Mapping[str, Any], ...]:
        """The notices drafted for a tenant, by version, each with its deliveries and the time of the first successful one."""
        drafts = [each for each in self._steps_of("drafted") if tenant in each.body["tenants"]]
        return tuple(self._notice_entry(each, tenant) for each in drafts)

    def _notice_entry(self, draft: IncidentStep, tenant: str) -> dict[str, Any]:
        version, drafted = draft.body["version"], draft.body["tenants"][tenant]
        deliveries = [*self._deliveries(version, tenant)]
        sent = (each["at"] for each in deliveries if each["result"] == "sent")
        return {
            "version": version,
            "drafted_at": time_text(draft.recorded_at),
            "digest": drafted["digest"],
            "to": drafted["to"],
            "suite": drafted.get("suite", False),
            "given_at": next(sent, None),
            "deliveries": deliveries,
        }

    def _deliveries(self, version: int, tenant: str) -> Iterator[dict[str, Any]]:
        """The deliveries of a version to a tenant. A step `given` of an earlier release records one by hand."""
        for step in self.steps:
            if step.step == "delivered" and step.tenant_id == tenant and step.body["version"] == version:
                names = ("result", "exit_code", "via")
                yield {**{name: step.body[name] for name in names}, **_actor_and_time(step)}
            elif step.step == "given" and step.body["tenants"].get(tenant) == version:
                yield {"result": "sent", "exit_code": None, "via": "hand", **_actor_and_time(step)}

    def draft(self, version: int) -> IncidentStep:
        """The step that drafted a version of the notices. Raises LookupError if there is none."""
        return {each.body["version"]: each for each in self._steps_of("drafted")}[version]

    @property
    def draft_count(self) -> int:
        """Number of versions of notices drafted so far."""
        return sum(1 for _ in self._steps_of("drafted"))

    def is_notified(self, tenant: str) -> bool:
        """Whether any version of the notice was sent to a tenant."""
        return any(each["given_at"] is not None for each in self.notices(tenant))

    @property
    def pending(self) -> tuple[str, ...]:
        """The tenants that must be notified and have not been notified yet."""
        return tuple(each for each in self.tenants_to_notify if each not in self.exempt and not self.is_notified(each))

    @property
    def review(self) -> Literal["due", "reviewed"] | None:
        """The state of the review of break-glass access. None if the incident was not opened by it."""
        if "break_glass_grant" not in self.opening:
            return None
        return "due" if self._last_step("reviewed") is None else "reviewed"

    def is_overdue(self, now: datetime) -> bool:
        """Whether the deadline has passed although a tenant is not notified, or no scope was determined."""
        late = self.notice_deadline is not None and self.notice_deadline < now and self.closing_step is None
        return late and (self.scope is None or bool(self.pending))

    def statements(self, what: StatementKind) -> tuple[str, ...]:
        """The recorded measures, actions for tenants, or consequences."""
        return tuple(each.body["text"] for each in self._steps_of("measured") if each.body["what"] == what)

    def to_json(self, now: datetime) -> dict[str, Any]:
        """The output of `incident show --json`."""
        opened, closed = self.opening, self.closing_step
        body = {
            "incident": self.id,
            "kind": self.kind,
            "title": self.title,
            "state": self.state,
            "class": self.incident_class,
            "classifications": [
                {"class": class_of_step(each), "reason": each.body.get("reason"), **_actor_and_time(each)}
                for each in self.classifications
            ],
            "tenants": self.tenants,
            "reference": opened.get("reference"),
            "break_glass_grant": opened.get("break_glass_grant"),
            "review": self.review,
            "opened_at": self.steps[0].recorded_at,
            "opened_by": self.steps[0].by,
            "happened": {"from": opened["happened"][0], "to": opened["happened"][1]},
            "known_at": opened["known_at"],
            "exposed": opened["exposed"],
            "declared_at": self.declared_at,
            "due": self.notice_deadline,
            "overdue": self.is_overdue(now),
            "pending": self.pending,
            "notices": {each: self.notices(each) for each in self.affected},
            "exempt": {tenant: _actor_and_time(step) for tenant, step in self.exempt.items()},
            "measures": self.statements("measure"),
            "actions": self.statements("action"),
            "consequences": self.statements("consequence"),
            "scope": self.scope,
            "closed": None if closed is None else {**closed.body, **_actor_and_time(closed)},
        }
        return json_object(body)

    def summary_line(self, now: datetime) -> str:
        """The title, the state, the class, and the deadline of notices."""
        if self.kind == "support":
            review = "" if self.review is None else f"  BREAK-GLASS, review {self.review}"
            return f"{self.id}  {self.title}: {self.state}, support for {', '.join(self.tenants)}{review}"
        due = self.notice_deadline
        class_ = "" if self.incident_class is None else f" as {self.incident_class}"
        notice = (
            f", notice by {due:%Y-%m-%dT%H:%MZ}, {count_noun(len(self.pending), 'tenant')} to notify" if due else ""
        )
        late = " OVERDUE" if self.is_overdue(now) else ""
        reach = "scope unknown" if self.scope is None else count_noun(len(self.affected), "tenant")
        return f"{self.id}  {self.title}: {self.state}{class_}, {reach}{notice}{late}"

    def lines(self, now: datetime, *, verbose: bool = False) -> Iterator[Line]:
        """The summary and the details; with `verbose`, all exposed columns."""
        yield self.summary_line(now)
        yield from incident_lines(self.to_json(now), verbose=verbose)

    def _steps_of(self, step: str) -> Iterator[IncidentStep]:
        return (each for each in self.steps if each.step == step)

    def _last_step(self, step: str) -> IncidentStep | None:
        return next((each for each in reversed(self.steps) if each.step == step), None)


@dataclass(frozen=True, slots=True)
class OpenedIncident:
    """An incident that was opened at a time, and its exposed items that match nothing."""

    incident: Incident
    at: datetime
    nothing_matches: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The incident and the items."""
        return {**self.incident.to_json(self.at), "nothing_matches": list(self.nothing_matches)}

    def lines(self) -> Iterator[Line]:
        """The incident, and a line for each item."""
        yield from self.incident.lines(self.at)
        yield from unmatched_lines(self.nothing_matches)


@dataclass(frozen=True, slots=True)
class IncidentSummary:
    """An incident in the list, at a time."""

    incident: Incident
    at: datetime

    def to_json(self) -> dict[str, Any]:
        """The incident."""
        return self.incident.to_json(self.at)

    def lines(self) -> Iterator[str]:
        """The summary without the details."""
        yield self.incident.summary_line(self.at)


@dataclass(frozen=True, slots=True)
class IncidentDetails:
    """An incident with its details, at a time."""

    incident: Incident
    at: datetime
    verbose: bool = False
    """Whether the text lists all exposed columns."""

    def to_json(self) -> dict[str, Any]:
        """The incident."""
        return self.incident.to_json(self.at)

    def lines(self) -> Iterator[Line]:
        """The summary and the details."""
        yield from self.incident.lines(self.at, verbose=self.verbose)


@dataclass(frozen=True, slots=True)
class ChangedIncident(IncidentSummary):
    """An incident with its last step, at a time. As text, what the step recorded; `minimize incident show` shows the rest."""

    def lines(self) -> Iterator[str]:
        """The summary and the recorded class or statement."""
        yield self.incident.summary_line(self.at)
        step = self.incident.steps[-1]
        if step.step == "measured":
            yield f"  {step.body['what']}: {step.body['text']}"
        else:
            yield from map(class_line, self.to_json()["classifications"][-1:])


def class_of_step(step: IncidentStep) -> DeclaredClass:
    """The class that a step sets. A declaration of an earlier release names none: notices are due."""
    class_: DeclaredClass = step.body.get("class", "customer_reportable")
    return class_


def group_steps(steps: Iterable[IncidentStep]) -> dict[str, Incident]:
    """Groups steps by incident, in the order in which the incidents were opened."""
    steps_by_incident: dict[str, list[IncidentStep]] = {}
    for step in steps:
        steps_by_incident.setdefault(step.incident, []).append(step)
    return {name: Incident(tuple(each)) for name, each in steps_by_incident.items()}


def _tenant_entry(scope: Mapping[str, Any] | None, tenant: str) -> tuple[list[tuple[str, str]], int]:
    """The columns of a tenant with their forms, and the number of persons, as listed in a scope."""
    entry = next((each for each in (scope or {"tenants": ()})["tenants"] if each["tenant_id"] == tenant), None)
    if entry is None:
        return [], 0
    many = entry.get("subjects") or {"count": 0}
    return [(each["column"], each["form"]) for each in entry.get("kinds", ())], many["count"]


def _actor_and_time(step: IncidentStep) -> dict[str, str]:
    return {"by": step.by, "at": time_text(step.recorded_at)}


def require_open(incident: Incident | None) -> Incident:
    """Returns the incident. Raises ConfigurationError if it does not exist or is closed."""
    if incident is None:
        raise ConfigurationError("there is no incident of this name", hint="Run `minimize incident list`.")
    if incident.closing_step is not None:
        raise ConfigurationError(
            "this incident is closed", hint="Open a new incident and refer to this one in its title."
        )
    return incident


def require_open_privacy(incident: Incident | None) -> Incident:
    """Returns the open incident that exposed data. Raises ConfigurationError if there is none, also for a support incident."""
    if require_open(incident).kind == "support":
        raise ConfigurationError(
            "this is a support incident, which exposed no data",
            hint="If data was exposed, open a privacy incident with `minimize incident open ID --exposed WHAT`.",
        )
    return require_open(incident)


def load_incidents(workspace: Workspace) -> dict[str, Incident]:
    """Reads all incidents, in the order in which they were opened. Raises LedgerError."""
    with workspace.open_ledger() as ledger:
        return group_steps(ledger.find(INCIDENT))


def load_incident(name: str, workspace: Workspace) -> Incident:
    """Reads one incident. Raises ConfigurationError if it does not exist, LedgerError."""
    incident = load_incidents(workspace).get(name)
    if incident is None:
        raise unknown_incident()
    return incident


def unknown_incident() -> ConfigurationError:
    """Builds the error for an incident that does not exist, or that the account may not see."""
    return ConfigurationError("there is no incident of this name", hint="Run `minimize incident list`.")
