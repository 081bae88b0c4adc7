"""The report about a tenant: everything recorded about it, and nothing of another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from minimize.keys import Keyring
from minimize.ledger import find_ledger
from minimize.ledger.acts import ActKind
from minimize.ledger.kinds import (
    CONSENT,
    DISCLOSURE,
    INCIDENT,
    RECALL,
    SETTING,
    TENANT_SHARE,
    ConsentAct,
    Disclosure,
    IncidentStep,
    RecallStep,
    RecordedSetting,
    TenantShare,
)
from minimize.ledger.ledger import open_ledger
from minimize.ledger.subject_kinds import SUBJECT_REQUEST, SubjectRequestStep
from minimize.report.tenant_report import SECTIONS
from tests.acts import record_acts
from tests.world import (
    DATES,
    NOW,
    World,
    access_file,
    assignment,
    owned_event,
)

OTHER: Final = "canarycorp"
OTHER_COUNT: Final = 987_654
EARLIER: Final = NOW - timedelta(minutes=5)
TOKEN: Final = "subject/1:" + "ab" * 16


def report(world: World, *options: object, tenant: str = "north", actor: str = "pia") -> Any:
    done = world.command(actor, "tenant", "report", tenant, "--json", *options)
    assert done.code == 0, done.err
    return done.json


def record(world: World, kind: ActKind[Any], *records: Any) -> None:
    with open_ledger(find_ledger(world.ledger, start=world.folder)) as ledger:
        record_acts(ledger, Keyring.load(world.keys), kind, *records)


def request(tenant: str, kind: str = "delete", **changes: Any) -> SubjectRequestStep:
    step = SubjectRequestStep(
        kind=kind,
        tenant_id=tenant,
        subject=TOKEN,
        asked_at=EARLIER,
        due=EARLIER + timedelta(days=30),
        state="open",
        body={},
        recorded_at=EARLIER,
        actor="pia",
    )
    return replace(step, **changes)


def scoped_tenant(tenant: str, count: int) -> dict[str, Any]:
    kinds = [{"column": "device_id", "category": "pseudonymized", "form": "pseudonymized", "technique": "pseudonymize"}]
    people = {"count": count, "exact": True}
    return {
        "tenant_id": tenant,
        "notice": True,
        "form": "pseudonymized",
        "kinds": kinds,
        "subjects": people,
        "rows": count,
    }


def incident(name: str, *tenants: tuple[str, int], is_declared: bool = True) -> Iterator[IncidentStep]:
    opening = {
        "title": f"A backup of {OTHER} was lost",
        "happened": ["2026-11-24T08:00:00Z", None],
        "known_at": "2026-11-24T20:00:00Z",
        "exposed": ["output:usage/out#records"],
    }
    scope = {"scope": {"tenants": [scoped_tenant(*each) for each in tenants]}}
    yield IncidentStep(name, "opened", "otto", opening, EARLIER)
    yield IncidentStep(name, "scoped", "otto", scope, EARLIER)
    if is_declared:
        yield IncidentStep(name, "declared", "otto", {}, EARLIER)


def record_of_other(world: World) -> None:
    """Records one of everything about another tenant, with its own figures."""
    consent = ("vendor", "sync", "given", '{"text_version": 1}', f"admin@{OTHER}.example", EARLIER, None, EARLIER)
    body = {"fields": {}, "purpose": "operations", "tenants": {OTHER: {"rows": OTHER_COUNT}}, "rows": OTHER_COUNT}
    record(world, CONSENT, ConsentAct(OTHER, *consent))
    record(world, SETTING, RecordedSetting(OTHER, None, "location", "on", "admin", EARLIER, EARLIER))
    record(world, SUBJECT_REQUEST, *(request(OTHER, asked_at=EARLIER + timedelta(seconds=n)) for n in range(7)))
    record(world, DISCLOSURE, Disclosure("d-other", EARLIER, "vendor", "sync", OTHER_COUNT, "sha256:0", None, body))
    record(world, TENANT_SHARE, TenantShare("d-other", OTHER, OTHER_COUNT, ""))
    record(world, RECALL, RecallStep("d-other", OTHER, "vendor", "withdrawn", "requested", EARLIER, "pia"))
    record(world, INCIDENT, *incident("INC-8", (OTHER, OTHER_COUNT)))


def test_it_has_every_section_of_the_tenant(world: World) -> None:
    sections = report(world)["sections"]
    assert list(sections) == [title.lower().replace(" ", "_") for title in SECTIONS]
    assert {each["dataset"] for each in sections["policies_in_force"]} == {"checkins", "support", "usage"}
    assert {each["result"] for each in sections["verification"]} == {"passed"}
    assert {(each["key"], each["signature"]) for each in sections["receipts"]} == {("signing/1", "valid")}
    assert [(each["whose"], each["in force"]) for each in sections["contracts"]] == [("of this tenant", "yes")]
    assert [(each["function"], each["state"]) for each in sections["functions"]] == [("sync", "on")]
    assert [each["permits sharing now"] for each in sections["consents"]] == ["yes"]
    assert [each["rows of this tenant"] for each in sections["disclosures"]] == ["40"]
    assert sections["recipients"][0]["sent of this tenant"] == "40 rows"
    assert sections["recipients"][0]["standing"] == sections["recipients"][0]["role"]
    assert sections["settings"] == [
        {
            "dataset": "checkins",
            "setting": "location",
            "in force": "on",
            "recorded": "on by admin since 2026-01-01 00:00 UTC",
        }
    ]


def test_it_begins_with_what_an_auditor_asks_first(world: World) -> None:
    status = report(world)["status"]
    assert status["facts"][0] == "Verification passed"
    assert "3 of 3 policies not approved" in status["facts"]
    assert "40 rows sent" in status["facts"]
    assert "0 open requests" in status["facts"]
    assert status["level"] == "attention"
    lines = world.command("pia", "tenant", "report", "north").out.splitlines()
    assert lines[0] == "# Tenant report"
    assert lines[2].startswith(
        "**! Verification passed · 3 of 3 policies not approved · 40 rows sent · 0 open requests"
    )


def test_a_failed_check_and_an_overdue_request_are_urgent(world: World) -> None:
    late = NOW - timedelta(days=40)
    record(world, SUBJECT_REQUEST, request("north", asked_at=late, due=late + timedelta(days=30)))
    next(path for path in (world.checkins.out / "per_model").rglob("*.parquet")).unlink()
    status = report(world)["status"]
    assert status["level"] == "bad"
    assert status["facts"][0] == "Verification failed for 1 dataset"
    assert "1 open request, 1 overdue" in status["facts"]


def test_digests_on_the_page_are_short_with_the_whole_value_on_demand(world: World) -> None:
    page = world.folder / "north.html"
    world.command("pia", "tenant", "report", "north", "--html", page)
    text = page.read_text(encoding="utf-8").split("</style>")[1]
    digest = report(world)["sections"]["policies_in_force"][0]["digest"]
    assert f"<summary>{digest[:19]}…</summary>{digest}</details>" in text
    assert text.count('<details class="digest">') >= 6
    assert "`" not in text


def test_records_of_other_tenants_do_not_change_the_report(world: World) -> None:
    before = report(world)
    record_of_other(world)
    assert report(world) == before


def test_a_shared_disclosure_and_a_shared_incident_show_only_the_tenant_s_part(world: World) -> None:
    total = OTHER_COUNT + 41
    body = {"fields": {"app_id": "keep"}, "purpose": "operations", "rows": total, "tenants": {"north": {}, OTHER: {}}}
    record(world, DISCLOSURE, Disclosure("d-both", EARLIER, "vendor", "sync", total, "sha256:0", None, body))
    record(world, TENANT_SHARE, TenantShare("d-both", "north", 41, ""), TenantShare("d-both", OTHER, OTHER_COUNT, ""))
    record(
        world,
        INCIDENT,
        *incident("INC-8", ("north", 5), (OTHER, OTHER_COUNT)),
        *incident("INC-9", ("north", 5), is_declared=False),
    )
    other_reference = ("--reference", f"C-{OTHER}", "--offered", "--document", "signed.txt")
    assert world.command("pia", "contract", "record", "north", "vendor", *other_reference).code == 0
    page = world.folder / "north.html"
    texts = [world.command("pia", "tenant", "report", "north", *options).out for options in ((), ("--json",))]
    assert world.command("pia", "tenant", "report", "north", "--html", page).code == 0
    for text in (*texts, page.read_text(encoding="utf-8")):
        assert OTHER not in text.casefold()
        assert not [count for count in (OTHER_COUNT, total) if f"{count:,}" in text or str(count) in text]
    sections = json.loads(texts[1])["sections"]
    assert [each["rows of this tenant"] for each in sections["disclosures"]] == ["40", "41"]
    assert [(each["incident"], each["persons or devices"]) for each in sections["incidents"]] == [("INC-8", "5")]
    assert "not shown" in [each["contract"] for each in sections["contracts"]]


def test_the_region_of_the_tenant_is_named(world: World) -> None:
    assert report(world)["sections"]["storage_location"] == []
    config = world.folder / "minimize.yaml"
    regions = {"regions": {"eu": "eu", "us": "us"}, "tenants": "tenants.csv"}
    (world.folder / "tenants.csv").write_text("tenant_id,region\nnorth,eu\nsouth,us\n")
    config.write_text(json.dumps({**json.loads(config.read_text()), **regions}))
    assert report(world)["sections"]["storage_location"] == [{"region": "eu"}]


def test_requests_are_counts_and_name_no_subject(world: World) -> None:
    late = NOW - timedelta(days=40)
    overdue = request("north", asked_at=late, due=late + timedelta(days=30))
    record(world, SUBJECT_REQUEST, request("north"), overdue, request("north", "restrict", state="done"))
    found = world.command("pia", "tenant", "report", "north", "--json")
    assert found.json["sections"]["requests"] == [
        {"kind": "delete", "state": "open", "number": "2", "overdue": "1"},
        {"kind": "restrict", "state": "done", "number": "1", "overdue": "0"},
    ]
    assert TOKEN not in found.out


def test_a_failed_check_is_in_the_report(world: World) -> None:
    lost = next(path for path in (world.checkins.out / "per_model").rglob("*.parquet"))
    lost.unlink()
    results = {each["dataset"]: each["result"] for each in report(world)["sections"]["verification"]}
    assert results["checkins"].startswith("failed: V")
    assert results["support"] == "passed"


def test_an_output_without_data_of_the_tenant_is_not_named(world: World) -> None:
    shutil.rmtree(world.usage.folder / "data")
    for day in DATES:
        world.usage.records([owned_event(n, tenant_id="south", app_id="mail") for n in range(60)], day)
    with world.as_actor("otto"):
        world.usage.run(at=NOW, allow_shrink=True)
    sections = report(world)["sections"]
    for name in ("policies_in_force", "verification", "receipts"):
        assert {each["dataset"] for each in sections[name]} == {"checkins", "support"}


def test_a_tenant_of_which_nothing_is_recorded_is_an_error(world: World) -> None:
    done = world.command("pia", "tenant", "report", "nroth")
    assert done.code == 2
    assert "nothing is recorded about this tenant" in done.err


def test_only_who_may_report_about_the_tenant_gets_the_report(world: World) -> None:
    mine = assignment("privacy_officer", "noa", tenants=["north"])
    (world.folder / "access.yaml").write_text(json.dumps(access_file(mine, assignment("analyst", "ann"))))
    assert world.command("noa", "tenant", "report", "north").code == 0
    denied = world.command("noa", "tenant", "report", "south")
    assert denied.code == 3
    assert "U102" in denied.err
    assert world.command("ann", "tenant", "report", "north").code == 3


def test_the_page_is_for_its_owner_alone_and_loads_nothing(world: World) -> None:
    page = world.folder / "north.html"
    assert world.command("pia", "tenant", "report", "north", "--html", page).out == f"wrote {page}\n"
    assert page.stat().st_mode & 0o077 == 0
    text = Path(page).read_text(encoding="utf-8")
    assert "What this report does not show" in text
    assert not [each for each in ("<script", "src=", "href=", "url(") if each in text]


def test_each_section_has_an_introduction(world: World) -> None:
    lines = world.command("pia", "tenant", "report", "north").out.splitlines()
    assert all(lines[lines.index(f"## {title}") + 2].endswith(".") for title in SECTIONS)
