"""The output of a pipeline is shared as it stands: nothing is done to it twice, and its pseudonyms get other names."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pytest

import minimize
from minimize.errors import ConfigurationError, NotPermitted, RefusedError
from minimize.keys.keyring import destroy_key
from tests.governance.sharing.sender import OUTPUT_VENDOR, Sender, changed, published, sender_of, shared
from tests.project import AT, FIELDS, SETTINGS, Builds, Project, events, table


@pytest.fixture(name="home")
def _home(builds: Builds, project: Project) -> Project:
    return builds.fill(project, published)


def test_the_records_in_force_are_shared_by_the_folder_or_by_the_table(home: Project) -> None:
    by_folder, by_table = shared(home, home.out), shared(home, minimize.read(home.out))
    assert by_folder.num_rows == by_table.num_rows == 20
    assert by_folder.equals(by_table)


def test_released_values_are_not_treated_again(home: Project) -> None:
    kept = minimize.read(home.out).to_pandas()
    kept = kept[kept["tenant_id"] == "north"]
    given = shared(home, home.out).to_pandas()
    for column in ("event_time", "battery", "model"):
        assert given[column].tolist() == kept[column].tolist()


def test_shared_pseudonyms_differ_from_stored_ones_and_stay_distinct(home: Project) -> None:
    kept = minimize.read(home.out).to_pandas()
    kept = kept[kept["tenant_id"] == "north"]["device_id"]
    given = shared(home, home.out).to_pandas()["device_id"]
    assert not set(kept) & set(given)
    assert len(set(kept)) == len(set(given)) == len(set(zip(kept, given, strict=True)))


def test_raw_records_and_their_output_give_a_recipient_the_same_pseudonyms(home: Project) -> None:
    home.policy({"model": {"type": "string", "do": "drop"}})
    raw = shared(home, table(events(40)))
    assert set(raw.column("device_id").to_pylist()) == set(shared(home, home.out).column("device_id").to_pylist())


def test_collection_is_asked_again(home: Project) -> None:
    assert shared(home, home.out).column("latitude").null_count == 0
    (home.folder / "settings.csv").write_text(
        "tenant_id,subject,setting,value,holder,valid_from,recorded_at\n"
        "north,,location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
        "north,,location,off,admin,2026-11-24T23:00:00Z,2026-11-24T23:00:00Z\n"
    )
    assert shared(home, home.out).column("latitude").null_count == 20


@pytest.mark.parametrize("rotate", [None, "month"])
def test_a_per_subject_feature_is_shared_of_subjects_that_are_on_and_can_be_matched(
    home: Project, rotate: str | None
) -> None:
    device = FIELDS["device_id"]["do"]["pseudonymize"] | ({} if rotate is None else {"rotate": rotate})
    features = {"location": {"per_subject": True}}
    home.policy({"device_id": FIELDS["device_id"] | {"do": {"pseudonymize": device}}}, features=features)
    (row,) = {row["device_id"] for row in events(1) if row["tenant_id"] == "north"}
    on = "location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
    own = on.replace("2026-01-01T00", "2026-11-24T01")
    (home.folder / "settings.csv").write_text(SETTINGS.splitlines()[0] + f"\nnorth,,{on}north,{row},{own}")
    given = shared(home, home.out)
    located = given.filter(pc.is_valid(given["latitude"]))["device_id"]
    assert len(set(located.to_pylist())) == (1 if rotate is None else 0)


def test_a_field_dropped_by_the_current_policy_is_not_shared(home: Project) -> None:
    home.policy({"battery": {"type": "double", "do": "drop"}})
    assert "battery" not in shared(home, home.out).column_names


def test_the_limit_of_the_pipeline_s_records_is_the_payload_s(home: Project) -> None:
    wide = {**FIELDS["device_id"], "do": "keep"}
    home.policy({"device_id": wide})
    home.pipeline(aggregates=None, records={"must_be": "identified"})
    assert shared(home, table(events(3))).num_rows == 2


def test_an_output_without_its_tenants_cannot_be_shared(home: Project) -> None:
    with pytest.raises(ConfigurationError, match="does not contain the tenant"):
        shared(home, minimize.read(home.out).drop_columns(["tenant_id"]))


def test_a_form_finer_than_the_current_policy_is_not_shared(home: Project) -> None:
    home.policy({"event_time": {**FIELDS["event_time"], "do": {"truncate_time": {"to": "day"}}}})
    with pytest.raises(NotPermitted) as caught:
        shared(home, home.out)
    assert [(each.rule, str(each)) for each in caught.value.reasons] == [
        ("differs", "event_time does not have the declared form")
    ]


@pytest.mark.parametrize("encrypt", ["by_category", "identified"])
def test_an_encrypted_output_is_shared_with_its_keys(home: Project, encrypt: str) -> None:
    home.policy({"model": {**FIELDS["model"], "role": "identifier", "do": "keep"}})
    home.pipeline(aggregates=None, records={})
    minimize.run(home.folder, date="2026-11-24", at=AT, output=home.out, keys=home.keys)
    plain = shared(home, home.out)
    home.pipeline(aggregates=None, records={"encrypt": encrypt})
    minimize.run(home.folder, date="2026-11-24", at=AT, output=home.out, keys=home.keys)
    assert shared(home, home.out).sort_by("device_id").equals(plain.sort_by("device_id"))


def test_files_that_cannot_be_read_any_more_do_not_stop_sharing_of_the_rest(home: Project) -> None:
    home.pipeline(records={"partition_by": ["tenant_id"], "encrypt": {"by_category": {"per": "tenant_id"}}})
    minimize.run(home.folder, date="2026-11-24", at=AT, output=home.out, keys=home.keys)
    before = shared(home, home.out).num_rows
    destroy_key(home.keys, "encrypt.pseudonymized.t-south", 1, now=AT)
    assert shared(home, home.out).num_rows == before > 0


def test_a_field_missing_from_the_output_is_reported_as_such(home: Project) -> None:
    secret = {"role": "secret", "do": "pass_through"}
    vendor = changed(
        changed(OUTPUT_VENDOR, "functions.sync.fields.serial", "keep"), "functions.sync.fields.Token", secret
    )
    fates = sender_of(home, vendor).share(home.out, clock=AT, dry_run=True).fields
    assert fates["serial"].why == "the output does not contain it"
    assert fates["Token"].why == "the output does not contain it; secrets are read from the source"


class SenderElsewhere(Sender):
    """A sender with a ledger of its own, in which everybody has agreed."""

    @property
    def ledger(self) -> Path:
        return self.folder / "mine.db"


@pytest.mark.parametrize("form", ["output", "records"])
def test_consents_of_another_ledger_than_the_output_s_permit_nothing(home: Project, form: str) -> None:
    data = home.out if form == "output" else minimize.read(home.out)
    assert shared(home, data).num_rows > 0
    mine = SenderElsewhere(home.folder, OUTPUT_VENDOR, project=home)
    mine.agree("north")
    with pytest.raises(RefusedError) as caught:
        mine.share(data, clock=AT)
    assert caught.value.code == "E303"
