from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from minimize.removal.expire import expire
from minimize.report.context import total_flow
from minimize.report.facts import ApprovalAnswer, RoundedCount, RowFlow
from minimize.review.approval import approve
from tests.project import AT, BEFORE, DAY, Project, events
from tests.report.telling import facts, report


def said(project: Project, digest: str | None) -> ApprovalAnswer:
    project.records(events(20))
    if digest is not None:
        project.policy(approved={"by": "ann", "on": "2026-11-20", "digest": digest})
    project.run()
    (policy,) = facts(project).policies
    return policy.approved


def test_a_policy_approved_as_it_ran_is_approved(project: Project) -> None:
    approve(project.folder, by="ann", at=AT)
    assert said(project, None) == "yes"


def test_a_policy_changed_after_its_approval_is_not_approved(project: Project) -> None:
    assert said(project, "sha256:" + "0" * 64) == "no"


def test_a_policy_without_an_approval_statement_is_not_approved(project: Project) -> None:
    assert said(project, None) == "no"


counts = st.integers(0, 2000).map(RoundedCount.rounded)
by_name = st.dictionaries(st.sampled_from(["a", "b", "c"]), counts, max_size=3)
flows = st.builds(RowFlow, written=counts, gated=by_name, quarantined=by_name, suppressed=counts, deduplicated=counts)


@given(st.lists(flows, max_size=5))
def test_rows_read_are_the_sum_of_their_outcomes(each: list[RowFlow]) -> None:
    whole = total_flow(each)
    assert whole.read == RoundedCount.total(whole.parts.values())
    assert whole.read == RoundedCount.total(flow.read for flow in each)


def test_each_row_that_was_read_is_accounted_for(project: Project) -> None:
    project.records([*events(60), *["broken"] * 7])
    project.run()
    found = facts(project).flow
    assert {name: str(count) for name, count in found.parts.items() if count} == {"written": "60", "quarantined": "5"}
    assert {code: str(count) for code, count in found.quarantined.items()} == {"malformed": "5"}
    assert str(found.read) == "65"


def test_a_replaced_run_is_listed_and_its_rows_count_once(project: Project) -> None:
    project.records(events(60))
    project.run()
    project.run()
    found = facts(project)
    assert str(found.flow.read) == "60"
    assert [run.in_force for run in found.runs] == [False, True]


def test_several_dates_are_summed(project: Project) -> None:
    project.records(events(60))
    project.records(events(40, first=100), BEFORE)
    project.run(date=BEFORE)
    project.run(date=DAY)
    found = facts(project)
    assert found.dates == (BEFORE, DAY)
    assert str(found.flow.written) == "100"


def test_outputs_state_what_is_too_small_to_show(project: Project) -> None:
    project.records(events(60))
    project.pipeline(
        aggregates={
            "by_hour": {
                "group_by": {"hour": {"event_time": "hour"}, "model": "model"},
                "measures": {"events": "count"},
                "suppress": {"below": 8, "counting": "device_id"},
            }
        }
    )
    project.run()
    by_name = {each.name: each for each in facts(project).outputs}
    assert by_name["records"].suppressed is None
    assert by_name["by_hour"].suppressed is None
    opened = {each.name: each for each in facts(project, sealed_counts=True).outputs}
    assert opened["by_hour"].suppressed
    assert by_name["by_hour"].category == "aggregated"


def test_later_removals_are_listed_by_kind_and_reason(project: Project) -> None:
    project.records(events(60))
    project.run()
    later = AT + timedelta(days=40)
    expire(project.out, at=later, keys=project.keys, yes=True, allow_shrink=True)
    found = facts(project, at=later)
    assert [(each.kind, {why: str(count) for why, count in each.gated.items()}) for each in found.removals] == [
        ("expire", {"retention": "60"})
    ]


def test_the_policy_version_of_a_run_is_shown_with_its_approval(project: Project) -> None:
    project.records(events(60))
    project.run()
    (policy,) = facts(project).policies
    assert (policy.name, policy.version, policy.runs, policy.approved) == ("checkins", 3, 1, "no")


def test_without_records_row_counts_that_reveal_suppressed_groups_are_hidden(project: Project) -> None:
    groups = {"hour": {"event_time": "hour"}, "model": "model"}
    daily = {"group_by": groups, "measures": {"events": "count"}, "suppress": {"below": 8}, "per_subject": {"rows": 9}}
    project.pipeline(records=False, aggregates={"daily": daily})
    project.records(events(60))
    receipt = project.exact(project.run())
    assert receipt.rows.suppressed
    found = facts(project)
    assert [str(each) for each in (found.flow.read, found.flow.written, found.flow.suppressed)] == ["not shown"] * 3
    assert {str(each.flow.read) for each in found.runs} == {"not shown"}
    assert {each.values for each in found.fields} == {None}
    assert "number of rows read and written" in {each.what for each in found.hidden}
    assert found.to_json()["flow"]["read"] == "not shown"


def test_without_records_row_counts_are_hidden_even_if_no_group_is_suppressed(project: Project) -> None:
    daily = {
        "group_by": {"tenant": "tenant_id"},
        "measures": {"events": "count"},
        "suppress": {"below": 2},
        "per_subject": {"rows": 9},
    }
    project.pipeline(records=False, aggregates={"daily": daily})
    project.records(events(60))
    project.run()
    assert str(facts(project).flow.read) == "not shown"
    assert str(facts(project, sealed_counts=True).flow.read) == "60"


def test_an_output_states_the_noise_of_its_counts_unless_they_are_exact(project: Project) -> None:
    daily = {"group_by": {"tenant": "tenant_id"}, "measures": {"devices": {"count_distinct": "device_id"}}}
    project.records(events(120))
    project.pipeline(aggregates={"daily": {**daily, "suppress": {"below": 5}}})
    project.run()
    noisy = {each.name: each.count_sd for each in facts(project).outputs}
    assert noisy == {"records": None, "daily": 2.828}
    assert "; counts of subjects have noise, ± 2.8" in report(project).summary()
    assert [each["count_sd"] for each in facts(project).to_json()["outputs"]] == [None, 2.828]


def test_exact_counts_have_no_error_bars(project: Project) -> None:
    daily = {"group_by": {"tenant": "tenant_id"}, "measures": {"devices": {"count_distinct": "device_id"}}}
    project.records(events(120))
    project.pipeline(aggregates={"daily": {**daily, "suppress": {"below": 5}, "exact": {"because": "a test"}}})
    project.run()
    assert {each.name: each.count_sd for each in facts(project).outputs} == {"records": None, "daily": None}
