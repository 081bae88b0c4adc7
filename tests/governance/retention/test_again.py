"""Today's policy and settings over a batch: what could be collected today, as far as the file tells."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.governance.output_file import EventTimeBounds
from minimize.governance.retention.file_instructions import lookup_columns
from minimize.governance.retention.reevaluate import FileSettings, PolicyReevaluation, compare_forms
from minimize.governance.retention.retention_rules import RetentionRules, field_pointers
from minimize.governance.retention.verdict import BatchVerdict
from minimize.keys import Keyring
from minimize.policy.condition import FeatureOn
from minimize.policy.load import load_policy
from minimize.settings import load_settings
from tests.governance.retention.daily import POLICY, SETTINGS, START, Daily

DAY = timedelta(days=1)
RAN = START + DAY
FEATURES = {"location": {"about": "position"}, "inventory": {"about": "applications"}}


def again(project: Daily, settings: str = "") -> tuple[PolicyReevaluation, pa.RecordBatch]:
    """Today's policy over the one file that stands."""
    ((written, stored, _),) = project.orders(RAN)
    (project.folder / "settings.csv").write_text(SETTINGS + settings)
    then, today = written.policy, load_policy(project.folder / "policy.yaml")
    pointers, clock = field_pointers(then, stored.whole), EventTimeBounds.for_policy(then, stored.whole)
    types = {key: stored.whole.field(place.top).type for key, place in pointers.items()}
    forms = {
        key: compare_forms(then.fields[key], today.fields.get(key), "service_maintenance", types[key])
        for key in pointers
    }
    tenant, subject = lookup_columns(then, RetentionRules(pointers=pointers), clock, stored, Keyring.load(project.keys))
    rows = load_settings(project.folder / "settings.csv")
    collected = FileSettings.for_file(rows, today, RAN, tenant, subject, clock)
    (batch,) = stored.batches()
    return PolicyReevaluation(then, today, RAN, pointers, forms, (), collected, clock), batch


def verdict(project: Daily, settings: str = "") -> tuple[BatchVerdict, pa.RecordBatch]:
    made, batch = again(project, settings)
    return made(batch), batch


def test_what_would_be_collected_today_stays(day: Daily) -> None:
    day.policy(features=FEATURES)
    found, batch = verdict(day)
    assert "place" not in found.removed_values
    assert found.remaining(batch.num_rows).all()


def test_a_value_whose_feature_was_switched_off_goes(day: Daily) -> None:
    day.policy(features=FEATURES)
    found, batch = verdict(day, "east,,location,off,admin,2025-06-01T00:00:00Z,2025-06-01T00:00:00Z\n")
    assert found.removed_values["place"].tolist() == pc.equal(batch["tenant_id"], "east").to_pylist()


def test_a_feature_that_is_kept_for_less_long_takes_what_is_older(day: Daily) -> None:
    features = {**POLICY["features"], "location": {"about": "position", "retention": "12h"}}
    day.policy(features=features)
    found, batch = verdict(day)
    assert found.removed_values["place"].tolist() == pc.equal(pc.hour(batch["event_time"]), 1).to_pylist()


def test_a_field_that_is_dropped_today_goes_everywhere(day: Daily) -> None:
    day.policy({"note": {"type": "string", "do": "drop"}}, features=FEATURES)
    found, _ = verdict(day)
    assert found.removed_values["note"].all()


def test_a_coarser_form_is_made_of_the_one_that_stands(day: Daily) -> None:
    day.policy({"event_time": {"type": "timestamp", "role": "quasi", "do": {"truncate_time": {"to": "day"}}}})
    found, _ = verdict(day)
    assert set(found.replacements["event_time"].to_pylist()) == {START}


def test_whole_records_go_whose_condition_does_not_hold_today(day: Daily) -> None:
    day.policy(features=FEATURES)
    made, batch = again(day, "east,,location,off,admin,2025-06-01T00:00:00Z,2025-06-01T00:00:00Z\n")
    found = replace(made, records=(FeatureOn("location"),))(batch)
    assert found.removed_records["setting"].tolist() == pc.equal(batch["tenant_id"], "east").to_pylist()
    assert int(np.sum(found.remaining(batch.num_rows))) == 8
