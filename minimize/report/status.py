"""Status of a report: what needs a decision, from the facts of all sections.

Quarantined rows need one if the pipeline has no limit for them, or if they reach half of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minimize.pages import StatusLine
from minimize.report.facts import ReportFacts
from minimize.text import count_noun


def report_status(facts: ReportFacts) -> StatusLine:
    """What in the output needs a decision; the urgent things first."""
    urgent = [*_urgent(facts)]
    return StatusLine.of_needs([*urgent, *_open(facts)], [*_in_order(facts)], urgent=bool(urgent))


def status_json(status: StatusLine) -> dict[str, Any]:
    """The status as JSON: its level, and what needs a decision."""
    return {"level": status.level, "needs": [] if status.level == "good" else list(status.items)}


def _urgent(facts: ReportFacts) -> Iterator[str]:
    """What is overdue, not valid, or above a limit that stops a run."""
    if facts.retention.overdue:
        yield f"{count_noun(facts.retention.overdue, 'removal')} overdue: run `minimize expire`"
    recalls = sum(
        number
        for recipient in facts.sharing or ()
        for function in recipient.functions
        for state, number in function.recalls.items()
        if state == "overdue"
    )
    if recalls:
        yield f"{count_noun(recalls, 'recall')} overdue at recipients"
    unencrypted = [each.name for each in facts.outputs if each.category == "identified" and not each.encrypted]
    if unencrypted:
        yield f"identified data is not encrypted: {', '.join(unencrypted)}"


def _open(facts: ReportFacts) -> Iterator[str]:
    """What a person has not decided yet."""
    if not facts.policies:
        yield "no run has used a policy yet"
    elif facts.policies[-1].approved == "no":
        yield "policy not approved"
    quarantined = facts.flow.parts["quarantined"]
    share, limit = quarantined.share(facts.flow.read), facts.quarantine_limit
    if quarantined and (limit is None or quarantined.hidden or (share is not None and 2 * share >= limit)):
        yield f"{quarantined} rows quarantined ({_share_text(share, limit)})"
    risk = facts.risk
    if risk is not None and risk.unique_persons and not risk.bound:
        fields = count_noun(len(risk.quasi_identifiers), "field")
        yield f"{risk.unique_persons} of {risk.persons} persons unique by {fields}, without a bound"
    codes = sorted({code for run in facts.runs if run.in_force for code in run.allowed})
    if codes:
        yield f"lint errors allowed: {', '.join(codes)}"
    if facts.missing_protections:
        yield f"off: {', '.join(facts.missing_protections)}"
    if facts.undeclared:
        yield f"{count_noun(len(facts.undeclared), 'undeclared field')} in the source, dropped"
    if not facts.are_signatures_checked:
        yield "signatures not checked: pass --keys FILE"


def _in_order(facts: ReportFacts) -> Iterator[str]:
    """What a reader wants to know if nothing needs a decision."""
    if facts.policies:
        yield "policy approved"
    yield "nothing overdue" if facts.retention.due is not None else "overdue data was not checked"
    if facts.hidden:
        yield f"{count_noun(len(facts.hidden), 'part')} could not be shown"


def _share_text(share: float | None, limit: float | None) -> str:
    limit_text = "no limit" if limit is None else f"limit {_percent(limit)}"
    return limit_text if share is None else f"{_percent(share)}, {limit_text}"


def _percent(share: float) -> str:
    """A share with a decimal if it is small.

    >>> _percent(0.0081), _percent(0.01), _percent(0.5), _percent(0.0004)
    ('0.8 %', '1 %', '50 %', 'under 0.1 %')
    """
    return "under 0.1 %" if 0 < share < 0.001 else f"{share * 100:.1f}".removesuffix(".0") + " %"
