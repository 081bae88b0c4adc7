"""What somebody put right about himself: in outputs, in later runs, told to recipients."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import minimize
from minimize.errors import ConfigurationError
from minimize.governance.sharing.payload import disclosure_token
from minimize.governance.subjects import Correction, CorrectionEvidence, DataSubject, correct_subject, request_statuses
from minimize.keys import Keyring
from minimize.ledger import find_ledger
from minimize.ledger.kinds import DISCLOSURE, TENANT_SHARE, Disclosure, TenantShare
from minimize.ledger.ledger import open_ledger
from minimize.workspace import Workspace as Places
from tests.acts import RECORDED_AT, record_acts
from tests.project import BEFORE, Builds, Project, events

D3 = DataSubject("d3", "north")
CASE = CorrectionEvidence("subject_request", "CASE-7")
RECORDS = [{**each, "phone": f"+3361234{number:04}", "size": number} for number, each in enumerate(events(60))]
OF_D3 = sum((each["device_id"], each["tenant_id"]) == ("d3", "north") for each in RECORDS)
PHONE = {"type": "string", "role": "identifier", "do": {"mask": {"keep_last": 4}}}
SIZE = {"type": "integer", "do": {"round": {"to": 10}}}


def filled_content(project: Project) -> None:
    project.policy({"phone": PHONE, "size": SIZE})
    project.pipeline(records={}, aggregates=None)
    project.records(RECORDS)
    run(project)


@pytest.fixture(name="filled")
def _filled(builds: Builds, project: Project) -> Project:
    return builds.fill(project, filled_content)


def run(project: Project, **options: Any) -> Any:
    return project.run(**{"at": None, "output": None, **options})


def places(project: Project) -> Places:
    return Places(project.out / "ledger.db", keys=project.keys)


def corrected(project: Project, **values: str | None) -> Correction:
    return correct_subject(D3, values, CASE, places(project), datetime.now(UTC), yes=True)


def standing(project: Project, name: str) -> list[Any]:
    """What stands of the field, d3's records apart from the others."""
    from minimize.governance.subjects import view_subjects

    (found,) = view_subjects([D3], places(project), datetime.now(UTC))
    return [value for each in found.records for value in each.rows[name].to_pylist()]


def test_without_yes_the_plan_is_made_and_nothing_is_changed(filled: Project) -> None:
    before = filled.files()
    assert correct_subject(D3, {"phone": "+4915100009999"}, CASE, places(filled), datetime.now(UTC)).values == OF_D3
    assert filled.files() == before


def test_a_corrected_value_is_written_as_the_policy_releases_it(filled: Project) -> None:
    done = corrected(filled, phone="+4915100009999", size="126")
    (receipt,) = done.receipts
    assert (receipt.kind, receipt.fields["phone"].changed) == ("correct", OF_D3)
    assert standing(filled, "phone") == ["****9999"] * OF_D3
    assert standing(filled, "size") == [130] * OF_D3
    minimize.verify(filled.out, keys=filled.keys)


def test_values_of_others_stay_as_they_are(filled: Project) -> None:
    before = [row["phone"] for row in filled.rows()]
    corrected(filled, phone="+4915100009999")
    left = [row["phone"] for row in filled.rows()]
    assert len([each for each in left if each != "****9999"]) == len(RECORDS) - OF_D3
    assert set(left) - {"****9999"} <= set(before)


def test_a_later_run_of_what_happened_before_carries_the_correction(filled: Project) -> None:
    corrected(filled, phone="+4915100009999")
    filled.records(RECORDS, BEFORE)
    run(filled, date=BEFORE)
    run(filled)
    assert standing(filled, "phone") == ["****9999"] * 2 * OF_D3


def test_of_two_corrections_the_last_counts(filled: Project) -> None:
    corrected(filled, phone="+4915100001111")
    corrected(filled, phone="+4915100002222")
    assert standing(filled, "phone") == ["****2222"] * OF_D3
    run(filled)
    assert standing(filled, "phone") == ["****2222"] * OF_D3


def test_a_value_can_be_put_right_to_none(filled: Project) -> None:
    corrected(filled, phone=None)
    assert standing(filled, "phone") == [None] * OF_D3
    run(filled)
    assert standing(filled, "phone") == [None] * OF_D3


def test_an_output_that_cannot_derive_the_corrected_value_loses_the_old_one(project: Project) -> None:
    cases = {"type": "string", "cases": [{"if": {"model": "A"}, "do": "keep"}], "otherwise": {"mask": {"keep_last": 4}}}
    project.policy({"phone": cases})
    project.pipeline(records={}, aggregates=None)
    project.records(RECORDS)
    run(project)
    corrected(project, phone="+4915100009999")
    assert standing(project, "phone") == [None] * OF_D3
    run(project)
    assert set(standing(project, "phone")) == {"+4915100009999", "****9999"}


def test_a_value_closed_by_a_gate_stays_closed(project: Project) -> None:
    project.policy({"phone": {**PHONE, "feature": "location"}})
    project.pipeline(records={}, aggregates=None)
    (project.folder / "settings.csv").write_text("tenant_id,subject,setting,value,holder,valid_from,recorded_at\n")
    project.records(RECORDS)
    run(project)
    assert corrected(project, phone="+4915100009999").values == 0
    assert standing(project, "phone") == [None] * OF_D3


def test_the_ledger_holds_no_unencrypted_corrected_value(filled: Project) -> None:
    corrected(filled, phone="+4915100009999")
    for path in filled.out.glob("ledger.db*"):
        assert b"4915100009999" not in path.read_bytes()


def test_a_correction_is_recorded_as_a_request(filled: Project) -> None:
    done = corrected(filled, phone="+4915100009999")
    with open_ledger(find_ledger(filled.out / "ledger.db")) as book:
        (status,) = request_statuses(book)
    assert (status.last.kind, status.last.state, status.last.id[:12]) == ("correct", "done", done.request)


@pytest.mark.parametrize("name", ["event_id", "device_id", "tenant_id", "event_time", "nothing"])
def test_identity_and_time_cannot_be_corrected(filled: Project, name: str) -> None:
    with pytest.raises(ConfigurationError, match="no policy has a column"):
        corrected(filled, **{name: "x"})


def test_a_value_of_another_type_is_refused_without_being_named(filled: Project) -> None:
    with pytest.raises(ConfigurationError) as told:
        corrected(filled, size="CANARY")
    assert "CANARY" not in str(told.value)


def test_a_whole_tenant_cannot_be_corrected(filled: Project) -> None:
    with pytest.raises(ConfigurationError, match="one subject of one tenant"):
        correct_subject(DataSubject(None, "north"), {"phone": "x"}, CASE, places(filled), datetime.now(UTC))


def test_recipients_of_a_corrected_subject_are_found_by_its_form_in_the_output(filled: Project) -> None:
    keys, (form,) = Keyring.load(filled.keys), set(standing(filled, "device_id"))
    assert form != D3.id
    with open_ledger(find_ledger(filled.out / "ledger.db")) as ledger:
        for recipient, shared_form in (("vendor", form), ("other", "another form")):
            body = {"fields": {"phone": "mask"}}
            act = Disclosure(recipient, RECORDED_AT, recipient, "sync", 1, "sha256:0", None, body)
            token = bytes.fromhex(disclosure_token(keys, "north", shared_form).rpartition(":")[2])
            record_acts(ledger, keys, DISCLOSURE, act)
            record_acts(ledger, keys, TENANT_SHARE, TenantShare(recipient, "north", 1, "a-consent", 1, token))
    assert corrected(filled, phone="+4915100009999").notices == {"vendor": ["vendor"]}
