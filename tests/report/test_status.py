"""The status of a report: what needs a decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from minimize.report import OutputReport
from minimize.report.facts import FieldFacts, FunctionFacts, RecipientFacts, ReportFacts, RoundedCount, RowFlow
from minimize.report.status import report_status
from tests.project import Project, events
from tests.report.telling import facts, report


@pytest.fixture(name="shown")
def _shown(project: Project) -> ReportFacts:
    project.records([*events(60), *["broken"] * 6])
    project.run()
    return facts(project)


def in_order(shown: ReportFacts) -> ReportFacts:
    """The same facts, without anything that needs a decision."""
    flow = replace(shown.flow, quarantined={})
    policies = tuple(replace(each, approved="yes") for each in shown.policies)
    outputs = tuple(replace(each, encrypted=True) for each in shown.outputs)
    return replace(
        shown,
        flow=flow,
        policies=policies,
        outputs=outputs,
        missing_protections=(),
        risk=None,
        undeclared={},
        hidden=(),
    )


def flow(read: int, quarantined: int) -> RowFlow:
    rounded = RoundedCount.rounded
    return RowFlow(rounded(read - quarantined), {}, {"malformed": rounded(quarantined)}, rounded(0), rounded(0))


def test_an_output_in_order_needs_no_action(shown: ReportFacts) -> None:
    status = report_status(in_order(shown))
    assert (status.level, status.headline) == ("good", "No action needed")
    assert '<p class="status good">' in OutputReport(in_order(shown)).html()


def test_a_policy_that_nobody_approved_needs_a_decision(shown: ReportFacts) -> None:
    status = report_status(replace(in_order(shown), policies=shown.policies))
    assert str(status) == "1 thing needs you: policy not approved"
    assert status.level == "attention"


@pytest.mark.parametrize(
    ("quarantined", "limit", "text"),
    [
        (160, 0.01, "160 rows quarantined (0.8 %, limit 1 %)"),
        (160, None, "160 rows quarantined (0.8 %, no limit)"),
        (80, 0.01, None),
    ],
)
def test_quarantined_rows_need_a_decision_from_half_of_the_limit_on(
    shown: ReportFacts, quarantined: int, limit: float | None, text: str | None
) -> None:
    status = report_status(replace(in_order(shown), flow=flow(20_000, quarantined), quarantine_limit=limit))
    assert (text in status.items) if text else status.headline == "No action needed"


def test_overdue_recalls_and_unencrypted_identified_data_are_urgent(shown: ReportFacts) -> None:
    function = FunctionFacts("push", "outbound", "operations", 2, 1, 0, 1, RoundedCount(5), None, {"overdue": 2})
    sharing = (RecipientFacts("apple", "independent", "C-1", True, (function,)),)
    outputs = tuple(replace(each, category="identified", encrypted=False) for each in shown.outputs)
    status = report_status(replace(in_order(shown), sharing=sharing, outputs=outputs))
    assert status.level == "bad"
    assert status.items[0] == "2 recalls overdue at recipients"
    assert status.items[1].startswith("identified data is not encrypted: records")


def test_the_status_is_in_page_summary_and_json(project: Project) -> None:
    project.records(events(60))
    project.run()
    made = report(project)
    assert "policy not approved" in made.summary().splitlines()[1]
    assert "policy not approved" in made.to_json()["status"]["needs"]
    assert made.html().index('class="status') < made.html().index("<main>")


def test_fields_that_identify_come_first_and_coarse_ones_are_folded(shown: ReportFacts) -> None:
    template = shown.fields[0]
    assert isinstance(template, FieldFacts)
    fields = tuple(
        replace(template, key=key, role=role, residual=residual, leaves="present")
        for key, role, residual in (
            ("a_coarse", "quasi", "coarse"),
            ("b_plain", "plain", "original"),
            ("c_linkable", "identifier", "linkable"),
            ("d_original", "identifier", "original"),
        )
    )
    html = OutputReport(replace(shown, fields=fields)).html()
    places = [
        html.index(f'<span class="key">{key}</span>') for key in ("d_original", "c_linkable", "b_plain", "a_coarse")
    ]
    assert places == sorted(places)
    assert "1 other released field</summary>" in html[places[2] : places[3]]


def test_recipients_without_data_are_one_line(shown: ReportFacts) -> None:
    none = FunctionFacts("push", "outbound", "operations", 2, 0, 0, 0, RoundedCount(0))
    sharing = tuple(RecipientFacts(name, "independent", "no contract", False, (none,)) for name in ("apple", "jamf"))
    active = RecipientFacts(
        "google", "agent", "C-1", True, (replace(none, acts=1, last=datetime(2026, 1, 1, tzinfo=UTC)),)
    )
    html = OutputReport(replace(shown, sharing=(*sharing, active))).html()
    assert "nothing was sent to or received from: apple, jamf." in html
    assert html.index("<h3>google") < html.index("nothing was sent to")


def test_backticks_are_code_and_digests_are_short(shown: ReportFacts) -> None:
    fields = tuple(replace(each, form="different for each `tenant_id`", leaves="present") for each in shown.fields)
    html = OutputReport(replace(shown, fields=fields)).html()
    assert "different for each <code>tenant_id</code>" in html
    assert "`" not in html.split("</style>")[1]


def test_500_fields_and_long_names_stay_readable(shown: ReportFacts) -> None:
    template = shown.fields[0]
    fields = tuple(
        replace(template, key=f"/<b>{number}</b>/{'x' * 200}", residual="original", leaves="present")
        for number in range(500)
    )
    html = OutputReport(replace(shown, fields=fields)).html()
    assert "500 fields released unchanged or linkable" in html
    assert "<b>" not in html
