"""Runs for regions: each has an output and receipts of its own, with the rows of its tenants and no others."""

from __future__ import annotations

import json
import pickle
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import minimize
from minimize.config_search import load_config
from minimize.datasets.pipelines import bind_region
from minimize.errors import ConfigurationError, OutputError, PolicyError
from minimize.governance.subjects import DataSubject, delete_subjects, view_subjects
from minimize.policy.load import load_pipeline
from minimize.receipts import Receipt
from minimize.removal.expire import expire
from minimize.times import utc_now
from minimize.workspace import Workspace
from tests.commands import Result, command
from tests.leak.canary import Canary
from tests.leak.sweep import found
from tests.project import AT, BEFORE, DAY, Builds, Project, event, events

CONFIGURATION = "keys: test.keys\nregions: {eu: stores/eu, us: stores/us}\ntenants: tenants.csv\n"
TENANTS = "tenant_id,region,suite\nnorth,eu,yes\nsouth,us,\nnowhere,,\n"
HOMELESS = [event(number, tenant_id="nowhere", device_id=f"n{number}") for number in range(100, 105)]
UNLISTED = [event(number, tenant_id="unlisted", device_id=f"u{number}") for number in range(200, 202)]
RECORDS = [*events(60), *HOMELESS, *UNLISTED]
PER_TENANT: dict[str, Any] = {
    "per_day": {
        "group_by": {"day": {"event_time": "day"}},
        "measures": {"events": "count", "devices": {"count_distinct": "device_id"}},
        "suppress": {"below": 3, "counting": "device_id"},
        "exact": {"because": "tests compare figures"},
    }
}


def content(project: Project) -> None:
    """Two regions, a tenant with an empty region, a tenant that is not listed, and one day."""
    (project.folder / "minimize.yaml").write_text(CONFIGURATION)
    (project.folder / "tenants.csv").write_text(TENANTS)
    project.pipeline(aggregates=PER_TENANT)
    project.records(RECORDS)
    done = command("run", project.folder, "--date", DAY, "--json")
    assert done.code == 0, done.err


@pytest.fixture(name="project")
def _project(builds: Builds, project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("MINIMIZE_LEDGER", raising=False)
    (project.folder / "policy.yaml").unlink()
    project.policy(retention=None, features={"location": {"about": "position of a lost device"}})
    return builds.fill(project, content)


def store(project: Project, region: str) -> Path:
    return project.folder / "stores" / region / "service" / "out"


def receipts(project: Project, region: str) -> list[Receipt]:
    found = [Receipt.from_json(path.read_bytes()) for path in (store(project, region) / "runs").glob("*/receipt.json")]
    return sorted(found, key=lambda each: each.sequence)


def tenants(project: Project, region: str) -> set[str]:
    return {row["tenant_id"] for row in project.rows(output=store(project, region))}


def ran(project: Project, *arguments: object) -> Result:
    return command("run", project.folder, "--json", *arguments)


def test_each_region_has_only_the_rows_of_its_tenants(project: Project) -> None:
    assert (tenants(project, "eu"), tenants(project, "us")) == ({"north"}, {"south"})
    assert project.files() == set()


def test_no_value_of_another_region_is_in_a_store(project: Project) -> None:
    others = [Canary("tenant", tenant) for tenant in ("south", "nowhere", "unlisted")]
    assert found(others, store(project, "eu")) == set()


def test_the_rows_of_each_receipt_balance(project: Project) -> None:
    for region in ("eu", "us"):
        [receipt] = receipts(project, region)
        assert receipt.rows.read == len(RECORDS)
        assert receipt.rows.written == receipt.gated_by.region == 30
        assert receipt.quarantine.by_code == {"no_region": len(HOMELESS) + len(UNLISTED)}
        assert receipt.region is not None
        assert receipt.region.name == region


def test_aggregates_count_the_rows_of_the_region(project: Project) -> None:
    [row] = project.rows("per_day", output=store(project, "eu"))
    devices = {each["device_id"] for each in events(60) if each["tenant_id"] == "north"}
    assert (row["events"], row["devices"]) == (30, len(devices))


def test_a_group_that_is_small_in_its_region_is_suppressed(project: Project) -> None:
    (project.folder / "tenants.csv").write_text("tenant_id,region\nnorth,eu\nsouth,us\nnowhere,us\nunlisted,eu\n")
    tenants_of_rows = ("north", "north", "south")
    project.records([event(number, tenant_id=tenant) for number, tenant in enumerate(tenants_of_rows)], BEFORE)
    assert ran(project, "--date", BEFORE).code == 0
    for region in ("eu", "us"):
        assert [f"{row['date']}" for row in project.rows("per_day", output=store(project, region))] == [DAY]
        assert len(project.rows(output=store(project, region), dates=BEFORE)) > 0


def test_each_output_is_verified_and_has_its_own_chain(project: Project) -> None:
    for region in ("eu", "us"):
        minimize.verify(store(project, region), keys=project.keys)
        assert [each.sequence for each in receipts(project, region)] == [1]


def test_one_region_is_run_alone(project: Project) -> None:
    assert ran(project, "--region", "eu").code == 0
    assert [len(receipts(project, region)) for region in ("eu", "us")] == [2, 1]


def test_an_erasure_in_one_region_does_not_stop_the_first_run_of_another(project: Project) -> None:
    """Each region has a ledger of its own."""
    at = ("--also", store(project, "eu"), "--pipeline", project.folder, "--ledger", store(project, "eu") / "ledger.db")
    done = command("subject", "delete", "d2", "--tenant", "north", *at, "--yes")
    assert done.code == 0, done.err
    shutil.rmtree(store(project, "us"))
    assert ran(project, "--region", "us").code == 0
    shutil.rmtree(store(project, "us"))
    (project.folder / "minimize.yaml").write_text("keys: test.keys\n")
    refused = ran(project, "--output", project.folder / "whole")
    assert (refused.code, "E312" in refused.err) == (3, True), "the control: without regions, the erasure is missing"


def test_pending_dates_are_those_of_the_region(project: Project) -> None:
    project.records([event(7)], BEFORE)
    assert ran(project, "--pending", "--region", "us").code == 0
    assert receipts(project, "us")[-1].dates == (BEFORE,)
    done = ran(project, "--pending")
    assert {name: each["dates"] for name, each in done.json["regions"].items()} == {"eu": [BEFORE], "us": []}


def test_an_error_in_one_region_does_not_stop_the_other(project: Project) -> None:
    ledger = store(project, "eu") / "ledger.db"
    ledger.unlink()
    done = ran(project)
    assert done.code == 3
    assert "region eu" in done.err
    assert "error" in done.json["regions"]["eu"]
    assert len(receipts(project, "us")) == 2


def test_the_function_asks_for_the_region(project: Project) -> None:
    with pytest.raises(ConfigurationError) as caught:
        minimize.run(project.folder, keys=project.keys)
    assert "--region" in caught.value.hint
    assert minimize.run(project.folder, keys=project.keys, region="us").rows.written == 30


@pytest.mark.parametrize("region", ["moon", "EU"])
def test_an_unknown_region_is_refused(project: Project, region: str) -> None:
    assert ran(project, "--region", region).code == 2


def test_one_output_cannot_contain_two_regions(project: Project) -> None:
    assert ran(project, "--output", project.folder / "other").code == 2
    with pytest.raises(OutputError, match="belongs to the region eu"):
        minimize.run(project.folder, keys=project.keys, region="us", output=store(project, "eu"))


def test_a_replay_publishes_the_rows_of_a_tenant_that_has_a_region_now(project: Project) -> None:
    (project.folder / "tenants.csv").write_text(TENANTS.replace("nowhere,,", "nowhere,us,"))
    for region in ("eu", "us"):
        done = command("replay", store(project, region), "--pipeline", project.folder, "--keys", project.keys)
        assert done.code == 0, done.err
    assert (tenants(project, "eu"), tenants(project, "us")) == ({"north"}, {"south", "nowhere"})
    assert receipts(project, "us")[-1].quarantine.by_code == {"no_region": len(UNLISTED)}


def test_a_tenant_that_moves_leaves_the_old_region_with_the_next_run(project: Project) -> None:
    (project.folder / "tenants.csv").write_text(TENANTS.replace("north,eu", "north,us"))
    assert ran(project, "--allow-shrink").code == 0
    assert (tenants(project, "eu"), tenants(project, "us")) == (set(), {"north", "south"})


def test_an_expiry_works_on_the_output_of_a_region(project: Project) -> None:
    project.policy(retention="1d", features={"location": {"about": "position of a lost device"}})
    expire(store(project, "eu"), keys=project.keys, yes=True, allow_shrink=True)
    assert (tenants(project, "eu"), tenants(project, "us")) == (set(), {"south"})
    last = receipts(project, "eu")[-1]
    assert (last.kind, last.region and last.region.name) == ("expire", "eu")
    minimize.verify(store(project, "eu"), keys=project.keys)


def test_an_output_from_before_is_kept_clean_but_not_run_again(project: Project) -> None:
    (project.folder / "minimize.yaml").write_text("keys: test.keys\n")
    project.run()
    (project.folder / "minimize.yaml").write_text(CONFIGURATION)
    with pytest.raises(ConfigurationError, match="for none of them"):
        project.run()
    project.policy(retention="30d", features={"location": {"about": "position of a lost device"}})
    [receipt] = expire(project.out, at=AT + timedelta(days=40), keys=project.keys, yes=True, allow_shrink=True).receipts
    assert receipt.region is None
    assert project.rows() == []


def test_a_backfill_runs_one_region(project: Project) -> None:
    (project.folder / "backfill.yaml").write_text(
        json.dumps({"backfill": "again", "pipeline": ".", "dates": [DAY], "reason": "test"})
    )
    assert command("backfill", project.folder / "backfill.yaml").code == 2
    done = command("backfill", project.folder / "backfill.yaml", "--region", "eu")
    assert done.code == 0, done.err
    assert [len(receipts(project, region)) for region in ("eu", "us")] == [2, 1]


def test_case_is_ignored_where_the_policy_ignores_it(project: Project) -> None:
    folded = {"pseudonymize": {"key": "device", "fold": True}}
    project.policy({"tenant_id": {"type": "string", "role": "identifier", "do": folded}}, retention=None)
    project.records([event(number, tenant_id="NORTH") for number in range(60)])
    receipt = minimize.run(project.folder, keys=project.keys, region="eu")
    assert receipt.rows.written == 60


@pytest.mark.parametrize(
    ("configuration", "tenants_file", "code"),
    [
        (CONFIGURATION, "tenant,region\nnorth,eu\n", "C010"),
        (CONFIGURATION, "tenant_id,region\nnorth,eu\nNorth,us\n", "C011"),
        (CONFIGURATION, "tenant_id,region\nnorth\n", "C011"),
        (CONFIGURATION, "tenant_id,region\n,eu\n", "C011"),
        (CONFIGURATION, "tenant_id,region\nnorth,moon\n", "C012"),
        (CONFIGURATION.replace("stores/us", "stores/eu"), TENANTS, "C013"),
        (CONFIGURATION.replace("stores/us", "stores/eu/us"), TENANTS, "C013"),
    ],
)
def test_faults_of_regions_are_reported_before_anything_is_read(
    project: Project, configuration: str, tenants_file: str, code: str
) -> None:
    (project.folder / "minimize.yaml").write_text(configuration)
    (project.folder / "tenants.csv").write_text(tenants_file)
    with pytest.raises(PolicyError) as caught:
        minimize.run(project.folder, keys=project.keys, region="eu")
    assert [each.code for each in caught.value.findings] == [code]
    assert "north" not in str(caught.value).lower()


def test_a_policy_without_a_tenant_has_no_region(project: Project) -> None:
    project.policy({"latitude": None}, tenant=None)
    project.pipeline(aggregates=None, settings=None)
    with pytest.raises(ConfigurationError, match="names no tenant"):
        minimize.run(project.folder, keys=project.keys, region="eu")


def test_lint_reports_faults_of_regions(project: Project) -> None:
    (project.folder / "tenants.csv").write_text("tenant_id,region\nnorth,moon\n")
    project.policy({"latitude": None}, tenant=None)
    assert "C012" in command("lint", project.folder).out
    (project.folder / "tenants.csv").write_text(TENANTS)
    assert "L077" in command("lint", project.folder).out


def test_one_ledger_has_the_outputs_of_all_regions(project: Project) -> None:
    for region in ("eu", "us"):
        shutil.rmtree(store(project, region))
    (project.folder / "minimize.yaml").write_text(CONFIGURATION + "ledger: organization.db\naccess: off\n")
    assert ran(project).code == 0
    workspace = Workspace(keys=project.keys, found_config=load_config(project.folder))
    for tenant, region in (("north", "eu"), ("south", "us")):
        device = next(each["device_id"] for each in events(60) if each["tenant_id"] == tenant)
        subject = DataSubject(device, tenant)
        [seen] = view_subjects([subject], workspace, utc_now())
        assert seen.rows == sum((each["tenant_id"], each["device_id"]) == (tenant, device) for each in events(60))
        [receipt] = delete_subjects([subject], workspace, utc_now(), yes=True).receipts
        assert receipt.region is not None
        assert receipt.region.name == region
        minimize.verify(store(project, region), keys=project.keys)
    assert ran(project).code == 0
    assert all(receipts(project, region)[-1].gated_by.erased for region in ("eu", "us"))


def test_a_region_is_not_bound_to_the_process_that_reads(project: Project) -> None:
    bound = bind_region(load_pipeline(project.folder), "eu").region
    assert bound is not None
    copied = pickle.loads(pickle.dumps(bound))
    names = pa.array(["north", "south", None, "NORTH"])
    assert copied.own_mask(names, fold=False).tolist() == [True, False, False, False]
    assert copied.own_mask(names.dictionary_encode(), fold=True).tolist() == [True, False, False, True]


def test_regions_need_the_tenants(project: Project) -> None:
    (project.folder / "minimize.yaml").write_text("regions: {eu: stores/eu}\n")
    with pytest.raises(PolicyError, match="needs the tenants of each region"):
        minimize.run(project.folder, keys=project.keys, region="eu")
